"""Dehazing pairs: the clean clip, and the same clip seen through a scattering medium."""

from __future__ import annotations

import math
from typing import Annotated, Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field

from configs import Settings, ShareInterval
from datagen.effects.haze import haze, transmission
from datagen.sources.base import Clip
from datagen.tasks.base import Builder, Pair, Parameters, clip_depth, draw_depth


def _seen_through(ends: tuple[float, float]) -> tuple[float, float]:
    if ends[0] == 0:
        raise ValueError("must be greater than 0: through no transmission nothing is seen")
    return ends


class DehazeOptions(Settings):
    """Ranges that a clip's haze is drawn from."""

    transmission: Annotated[ShareInterval, AfterValidator(_seen_through)] = (0.25, 0.75)
    """Of the clip's median pixel. The scattering coefficient beta follows from it and the clip's depth, whose unit
    differs from source to source, so that the same range means the same amount of haze everywhere."""
    faintest: float = Field(0.06, gt=0, lt=1)
    """Least transmission of the clip's far end (its 95th percentile of depth): beyond it nothing is left to restore, so
    beta is lowered to keep it."""
    airlight: ShareInterval = (0.7, 1.0)
    """Brightness of the airlight in linear light (RESIDE's range)."""
    cast: float = Field(0.04, ge=0, le=0.3)
    """Largest deviation of one colour channel of the airlight from its brightness."""
    drift: float = Field(0.02, ge=0, le=0.2)
    """Largest slow change of beta and airlight over a clip, as a share of their value; 0 keeps them constant."""


class Dehaze(Builder[DehazeOptions]):
    """Atmospheric scattering I = J t + A (1 - t), t = exp(-beta d), in linear light (Narasimhan & Nayar 2002)."""

    name = "dehaze"
    effect = "haze"
    version = 1
    Options = DehazeOptions

    def draw(self, clip: Clip, options: DehazeOptions, rng: np.random.Generator) -> dict[str, Any]:
        """Draw depth (where the clip has none), beta and airlight; the last two per frame."""
        frames = len(clip.frames)
        recorded = draw_depth(clip, rng)
        depth = clip_depth(clip, recorded)
        middle, far = np.percentile(depth[::2, ::8, ::8], [50, 95])
        beta = min(-math.log(rng.uniform(*options.transmission)) / middle, -math.log(options.faintest) / far)
        brightness = rng.uniform(*options.airlight)
        colour = np.clip(brightness + rng.uniform(-options.cast, options.cast, 3), 0, 1)
        betas = beta * _track(rng, frames, options.drift)
        airlights = np.clip(colour * _track(rng, frames, options.drift)[:, None], 0, 1)
        t = [transmission(depth[i], betas[i]) for i in range(frames)]
        return {
            "beta": _rounded(betas, 7),
            "airlight": [_rounded(row, 5) for row in airlights],
            **recorded,
            "transmission": {
                "min": _rounded([frame.min() for frame in t], 4),
                "mean": _rounded([cv2.mean(frame)[0] for frame in t], 4),
                "max": _rounded([frame.max() for frame in t], 4),
            },
            "light": "linear, gamma 2.2",
        }

    def apply(self, clip: Clip, parameters: Parameters) -> Pair:
        """Put the described haze in front of the clip."""
        depth = clip_depth(clip, parameters)
        source = haze(clip.frames, depth, beta=parameters["beta"], airlight=parameters["airlight"])
        return Pair(source=source, target=clip.frames)


def _track(rng: np.random.Generator, frames: int, drift: float) -> NDArray[np.float64]:
    """Return a smooth factor per frame within 1 +- drift: less than half a period of a sine, so that nothing flickers."""
    phase, period = rng.uniform(0, 2 * math.pi), rng.uniform(2.0, 4.0)
    amount = rng.uniform(0, drift)
    angle = phase + 2 * math.pi * np.arange(frames) / (period * max(frames, 2))
    track: NDArray[np.float64] = 1 + amount * np.sin(angle)
    return track


def _rounded(values: Any, digits: int) -> list[float]:
    return [round(float(value), digits) for value in values]


BUILDER = Dehaze()
