"""Editing pairs: the clip, and the same clip after an edit program that was drawn, put into words and executed."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import Field, PositiveFloat, field_validator

from configs import Settings, unknown_name
from datagen.edits import Edit, in_scenes, in_video, looks
from datagen.sources.base import Clip
from datagen.tasks.base import Builder, Pair, Parameters, UnsuitableClipError, pick

SCOPES: dict[str, dict[str, Edit]] = {"scene": in_scenes.EDITS, "video": in_video.EDITS, "look": looks.EDITS}
"""All edits: of scenes, of what masks mark in real video, of the whole picture."""
KINDS = tuple(sorted({kind for edits in SCOPES.values() for kind in edits}))


class EditOptions(Settings):
    """Which edits are made, and how often."""

    kinds: dict[str, PositiveFloat] = Field(default=dict.fromkeys(KINDS, 1.0), min_length=1)
    """Shares of the kinds of edit, among those that a clip allows: scenes allow all, video with object masks
    `recolour`, `background` and `remove` (where the camera stands still), any video the others."""

    @field_validator("kinds")
    @classmethod
    def _known(cls, kinds: dict[str, float]) -> dict[str, float]:
        for kind in kinds:
            if kind not in KINDS:
                raise ValueError(unknown_name("kind of edit", kind, KINDS))
        return dict(sorted(kinds.items()))


class EditTask(Builder[EditOptions]):
    """An edit program, executed exactly; outside the mask every pixel keeps its bits."""

    name = "edit"
    effect = "edit"
    version = 3
    Options = EditOptions
    made = "target"

    def draw(self, clip: Clip, options: EditOptions, rng: np.random.Generator) -> dict[str, Any]:
        """Draw an edit that the clip allows.

        Raises:
            UnsuitableClipError: it allows none of those that are wanted; with the reason of each.
        """
        kinds, reasons = dict(options.kinds), {}
        while kinds:
            kind = pick(kinds, rng)
            del kinds[kind]
            scope = _scope(kind, clip)
            if scope is None:
                reasons[kind] = "an edit of scenes" if clip.scene is None else "an edit of real video"
                continue
            try:
                drawn = SCOPES[scope][kind].draw(clip, rng)
            except UnsuitableClipError as error:
                reasons[kind] = str(error)
                continue
            return {"kind": kind, "scope": scope, "program": list(drawn.program), "words": drawn.words}
        raise UnsuitableClipError(f"no edit: {'; '.join(f'{kind}: {why}' for kind, why in sorted(reasons.items()))}")

    def apply(self, clip: Clip, parameters: Parameters) -> Pair:
        """Execute the program."""
        edited = SCOPES[parameters["scope"]][parameters["kind"]].apply(clip, parameters["program"])
        return Pair(
            source=clip.frames,
            target=edited.target,
            mask=edited.mask,
            reference=edited.reference,
            attributes={"edit": parameters["words"]},
            family="whole" if parameters["scope"] == "look" else "",
        )


def _scope(kind: str, clip: Clip) -> str | None:
    """Return which of the scopes edits a clip in this way."""
    own = "video" if clip.scene is None else "scene"
    return next((scope for scope in (own, "look") if kind in SCOPES[scope]), None)


BUILDER = EditTask()
