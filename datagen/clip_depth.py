"""How far away everything in a clip is: exactly where its source knows, else by a prior or a model, as the recipe says."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datagen.effects.depth import perspective_depth
from datagen.sources.base import Clip


def check_depth(wanted: str) -> None:
    """Raise `MissingExtraError` for a depth model without weights."""
    if wanted != "prior":
        _described(wanted)


def _described(wanted: str) -> dict[str, Any]:
    from datagen.effects.depth_model import describe_model

    return describe_model(wanted.removeprefix("model:"))


def draw_depth(clip: Clip, rng: np.random.Generator) -> dict[str, Any]:
    """Draw the depth of a clip that has none of its own; return what to record: `depth` and `depth_unit`."""
    if clip.depth is not None:
        return {"depth": dict(clip.depth_note), "depth_unit": clip.depth_unit}
    if clip.depth_from != "prior":
        return _described(clip.depth_from)
    return prior_depth(horizon=round(rng.uniform(0.15, 0.45), 4), far=round(rng.uniform(6.0, 14.0), 4))


def prior_depth(horizon: float, far: float) -> dict[str, Any]:
    """Return what to record of the depth that `perspective_depth` gives."""
    prior = {"kind": "prior:perspective-2", "horizon": horizon, "far": far}
    return {"depth": prior, "depth_unit": "height of the camera above the ground"}


def clip_depth(clip: Clip, recorded: Mapping[str, Any]) -> NDArray[np.float32]:
    """Return float32 [t h w]: the depth that `draw_depth` recorded."""
    found = recorded["depth"]
    if found["kind"].startswith("prior:"):
        return _prior_depth(clip, found["horizon"], found["far"])
    if found["kind"].startswith("model:"):
        return _model_depth(clip, found["kind"].removeprefix("model:"))
    if clip.depth is None:
        raise ValueError(f"{clip.video.id} has no depth of its own")
    return clip.depth


@lru_cache(maxsize=1)  # drawing the parameters needs the depth, and so does applying them a moment later
def _prior_depth(clip: Clip, horizon: float, far: float) -> NDArray[np.float32]:
    return perspective_depth(clip.frames, horizon=horizon, far=far)


@lru_cache(maxsize=1)
def _model_depth(clip: Clip, name: str) -> NDArray[np.float32]:
    from datagen.effects.depth_model import model_depth

    return model_depth(clip.frames, name)
