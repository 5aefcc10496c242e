"""Referring segmentation pairs: the clip, and the same clip with the object that is referred to painted over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import cv2
import numpy as np
from pydantic import Field

from configs import Settings, Share
from datagen.scenes.description import COLOURS
from datagen.sources.base import Clip
from datagen.tasks.base import Builder, Pair, Parameters, UnsuitableClipError
from shards.sample import Video

_SHOWS = 110.0
"""Distance in RGB between the paint and the object's mean colour."""


class SegmentOptions(Settings):
    """How objects are referred to and painted."""

    blend: float = Field(0.5, gt=0, le=1)
    """Share of the paint in the painted pixels."""
    empty: Share = 0.1
    """Share of the expressions that fit nothing in the clip: its mask is empty and nothing is painted. In scenes alone: that
    nobody has named a thing in a real video does not mean that there is none."""


class Segment(Builder[SegmentOptions]):
    """The object's pixels mixed with one plain colour that the instruction names; the mask is exact."""

    name = "segment"
    effect = "paint"
    version = 2
    Options = SegmentOptions
    units: ClassVar[Mapping[str, str]] = {"blend": "share of the paint", "rgb": "0 to 255"}
    made = "target"
    needs_masks = True
    changes = False

    def refuse(self, clip: Clip, scores: Mapping[str, Any], options: SegmentOptions) -> str | None:
        """Turn away clips in which nothing can be referred to without doubt."""
        if clip.names:
            return None
        named = clip.scene is not None or clip.video.facts.get("names")
        why = "no object is seen well enough in every frame" if named else "the source names no object (no expressions)"
        return f"nothing to refer to: {why}"

    def draw(self, clip: Clip, options: SegmentOptions, rng: np.random.Generator) -> dict[str, Any]:
        """Draw the object, one of the expressions that fit it alone, and the paint."""
        empty = bool(clip.absent) and rng.random() < options.empty
        number = 0 if empty else sorted(clip.names)[int(rng.integers(len(clip.names)))]
        phrases = clip.absent if empty else clip.names[number]
        phrase = phrases[int(rng.integers(len(phrases)))]
        paint = _draw_paint(clip, number, phrase, rng)
        return {
            "object": number,
            "expression": phrase,
            "paint": paint,
            "rgb": list(COLOURS[paint]),
            "blend": options.blend,
        }

    def apply(self, clip: Clip, parameters: Parameters) -> Pair:
        """Paint the object."""
        if clip.ids is None:
            raise UnsuitableClipError("no object masks")
        number = parameters["object"]
        mask = np.where((clip.ids == number) & (number > 0), np.uint8(255), np.uint8(0))
        return Pair(
            source=clip.frames,
            target=painted(clip.frames, mask, parameters["rgb"], parameters["blend"]),
            mask=mask,
            attributes={"object": parameters["expression"], "color": parameters["paint"]},
        )


def _draw_paint(clip: Clip, number: int, phrase: str, rng: np.random.Generator) -> str:
    """Draw a colour that shows on the object, and that the phrase does not name as the object's own."""
    paints = [colour for colour in COLOURS if colour not in phrase.split()]
    shown = clip.frames[clip.ids == number] if number and clip.ids is not None else clip.frames[:0]
    # what a data set asks for may be out of the picture in this clip
    if shown.size:
        own = shown.mean(0)
        paints = [colour for colour in paints if np.linalg.norm(np.array(COLOURS[colour]) - own) > _SHOWS]
    return paints[int(rng.integers(len(paints)))]


def painted(video: Video, mask: Video, colour: list[int], blend: float) -> Video:
    """Return uint8 [t h w 3]: (1 - blend) of the video and `blend` of the colour where the mask is set, else its own bits."""
    plain = np.empty(video.shape[1:], np.uint8)
    plain[:] = colour
    result = video.copy()
    for frame, hole, out in zip(video, mask, result, strict=True):
        cv2.copyTo(cv2.addWeighted(frame, 1 - blend, plain, blend, 0), hole, out)
    return result


BUILDER = Segment()
