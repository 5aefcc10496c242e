"""From a painted clip to the mask of what was painted: no training, one division per pixel."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from configs import ConfigError, unknown_name
from shards import get_task
from shards.colours import COLOURS

Frame = NDArray[np.uint8]
Video = NDArray[np.uint8]
Mask = NDArray[np.uint8]
Light = NDArray[np.float32]
_ALIKE = 12.0
"""Grey levels by which a pixel may differ from the same place in the next frame and still be taken for the same thing."""
_WINDOW = 3
"""Pixels along one side of the neighbourhood that a pixel's evidence is summed over."""
_LEAST = 25.0**2
"""Squared distance, in grey levels, between source and paint below which a pixel says nothing."""
_SPECK = 0.0003
"""Share of the picture up to which a lone spot, or a hole, is noise."""


def paint_named(instruction: str, task: str = "segment") -> tuple[int, int, int]:
    """Return the RGB of the paint that an instruction asks for.

    Where the instruction follows one of the task's templates it is that template's `{color}` (so that "the red cube"
    is no paint); else the last color word.

    Raises:
        ConfigError: no color is named.
    """
    for template in (text for split in ("train", "val") for text in get_task(task).templates(split)):
        pattern = re.escape(template).replace(r"\{object\}", r"(.+)").replace(r"\{color\}", r"(?P<color>\w+)")
        found = re.fullmatch(pattern, instruction.strip(), re.IGNORECASE)
        if found and found["color"].lower() in COLOURS:
            return COLOURS[found["color"].lower()]
    words = [word for word in re.findall(r"[a-z]+", instruction.lower()) if word in COLOURS]
    if not words:
        raise ConfigError(
            f"the instruction {instruction!r} names no color to look for; it may be {', '.join(COLOURS)}, or give --paint"
        )
    return COLOURS[words[-1]]


def colour_named(name: str) -> tuple[int, int, int]:
    """Return the RGB of a color by name; `ConfigError` says which was probably meant."""
    if name not in COLOURS:
        raise ConfigError(unknown_name("color", name, COLOURS))
    return COLOURS[name]


class MaskDecoder:
    """Finds, frame by frame, where the painted one of two clips is painted with `colour`.

    Paint of share a makes `out = in + a (C - in)`; by least squares over a neighbourhood `a = sum <out - in, C - in> / sum
    |C - in|^2` (InstructDiffusion's segmentation, arXiv 2309.03895, whose paint has a = 1/2). The neighbourhood is 3 x 3
    pixels in the frame and in its two neighbours, there as far as the source shows the same thing in the same place: a
    model's flicker is averaged out where nothing moves, and nothing is smeared where something does. `threshold`: half
    of the paint's share. `size`: (width, height) of the masks, if other than that of the frames.
    """

    def __init__(
        self, colour: tuple[int, int, int], *, threshold: float = 0.25, size: tuple[int, int] | None = None
    ) -> None:
        self._colour, self._threshold, self._size = colour, threshold, size
        self._nearby: deque[_Evidence] = deque(maxlen=3)

    def push(self, source: Frame, painted: Frame) -> list[Mask]:
        """Take the next frame of both, uint8 [h w 3]; return the masks that are certain now, uint8 [h w], 0 or 255."""
        self._nearby.append(_evidence(source, painted, self._colour))
        return [self._mask(len(self._nearby) - 2)] if len(self._nearby) > 1 else []

    def close(self) -> list[Mask]:
        """Return what is left: the mask of the last frame."""
        return [self._mask(len(self._nearby) - 1)] if self._nearby else []

    def _mask(self, middle: int) -> Mask:
        here = self._nearby[middle]
        along, length = here.along.copy(), here.length.copy()
        for place in (middle - 1, middle + 1):
            if 0 <= place < len(self._nearby):
                other = self._nearby[place]
                apart = cv2.absdiff(other.source, here.source).max(2)
                alike = np.exp(-((apart / np.float32(_ALIKE)) ** 2))
                along += alike * other.along
                length += alike * other.length
        share = along / np.maximum(length, _LEAST)
        if self._size is not None and (share.shape[1], share.shape[0]) != self._size:
            share = cv2.resize(share, self._size, interpolation=cv2.INTER_LINEAR)
        return _without_specks(np.where(share > self._threshold, np.uint8(255), np.uint8(0)))


def decode_masks(source: Video, painted: Video, colour: tuple[int, int, int], *, threshold: float = 0.25) -> Mask:
    """Return the masks uint8 [t h w], 0 or 255, of two clips uint8 [t h w 3] that are in memory; see `MaskDecoder`."""
    decoder = MaskDecoder(colour, threshold=threshold)
    masks = [mask for before, after in zip(source, painted, strict=True) for mask in decoder.push(before, after)]
    return np.stack([*masks, *decoder.close()])


@dataclass(frozen=True)
class _Evidence:
    """One frame, and `<out - in, C - in>` and `|C - in|^2`, float32 [h w], summed over a small square."""

    source: Frame
    along: Light
    length: Light


def _evidence(source: Frame, painted: Frame, colour: tuple[int, int, int]) -> _Evidence:
    before = source.astype(np.float32)
    towards = np.asarray(colour, np.float32) - before
    along = ((painted - before) * towards).sum(2)
    length = (towards * towards).sum(2)
    square = (_WINDOW, _WINDOW)
    return _Evidence(source, cv2.blur(along, square), cv2.blur(length, square))


def _without_specks(mask: Mask) -> Mask:
    """Return the mask without spots, and without holes, too small to mean anything."""
    for value in (255, 0):
        count, labels, found, _ = cv2.connectedComponentsWithStats(np.where(mask == value, np.uint8(1), np.uint8(0)))
        small = np.flatnonzero(found[:, cv2.CC_STAT_AREA] <= _SPECK * mask.size)
        small = small[(small > 0) & (small < count)]
        if len(small):
            mask[np.isin(labels, small)] = 255 - value
    return mask
