"""Taking an object, and the shadow that it throws, out of a video whose camera stands still."""

from __future__ import annotations

from functools import reduce

import cv2
import numpy as np
from numpy.typing import NDArray

from datagen.effects.local import Mask, extent, feathered
from shards.sample import Video

_STILL = 4.0
"""Grey levels: with a camera that stands still the background of two frames differs by less, noise included."""
_MOVED = 0.05
"""Share of the background that may differ by more all the same: leaves, reflections."""
_MARGIN = 0.02
"""Of the picture's height: so far around an object its outline is taken for part of it when it is removed."""
_SHADE = 6.0
"""Grey levels, in the mean over 5 x 5 pixels, by which a shadow or a reflection differs from what it falls on."""
_THINNED = 4
"""Every so many rows and columns are enough for a median."""
_SPECK = 0.001
"""Of the picture: a difference from the plate on less of it is not taken for a shadow that lies apart."""


def widened(mask: Mask) -> Mask:
    """Return the mask with a margin around it."""
    kernel = _disc(max(round(_MARGIN * mask.shape[1]), 1))
    return np.stack([cv2.dilate(hole, kernel) for hole in mask])


def stands_still(video: Video, holes: Mask) -> bool:
    """Whether the background outside the holes stays where it is."""
    first, last = video[0].astype(np.int16), video[-1].astype(np.int16)
    free = (holes[0] == 0) & (holes[-1] == 0)
    if not free.any():
        return False
    differences = np.abs(first - last).max(-1)[free]
    return bool((differences > 3 * _STILL).mean() < _MOVED and differences.mean() < _STILL)


def clean_plate(video: Video, holes: Mask) -> NDArray[np.uint8]:
    """Return uint8 [h w 3], what is behind the holes: at each pixel the median over the frames in which it is free, or over
    all frames where it never is."""
    free = holes == 0
    free |= ~free.any(0)
    # what is not free comes last, so that the median is in the middle of the first of them
    ordered = np.sort(np.where(free[..., None], video, np.uint8(255)), axis=0)
    count = free.sum(0)
    low, high = (np.take_along_axis(ordered, at[None, ..., None], 0)[0] for at in ((count - 1) // 2, count // 2))
    return cv2.addWeighted(low, 0.5, high, 0.5, 0)


def with_shadows(video: Video, holes: Mask, others: Mask, plate: NDArray[np.uint8]) -> Mask:
    """Return the holes grown by what differs from the plate and begins at them: shadows, reflections.

    `others`: what belongs to other objects, which keep their own.
    """
    grown = holes.copy()
    margin = _disc(max(round(_MARGIN * holes.shape[1] / 2), 2))
    for frame, hole, other, out in zip(video, holes, others, grown, strict=True):
        labels, _ = _differing(frame, hole | other, plate)
        begun = np.unique(labels[cv2.dilate(hole, _disc(1)) > 0])
        attached = np.isin(labels, begun[begun > 0]).astype(np.uint8)
        out |= cv2.dilate(255 * attached, margin)
    return grown


def is_calm(video: Video, holes: Mask, plate: NDArray[np.uint8]) -> bool:
    """Whether nothing of note differs from the plate outside the holes, such as a shadow that lies apart from its object."""
    largest = [_differing(frame, hole, plate)[1][1:].max(initial=0) for frame, hole in zip(video, holes, strict=True)]
    return max(largest) <= _SPECK * video.shape[1] * video.shape[2]


def removed(video: Video, holes: Mask, plate: NDArray[np.uint8]) -> Video:
    """Return the video with the plate, in each frame's exposure, in the holes; it fades in over a few pixels inside them."""
    result = video.copy()
    for frame, hole, out in zip(video, holes, result, strict=True):
        part = extent(hole)
        old, new = frame[part], plate[part] + _exposure(frame, hole, plate)
        mixed = old + (new - old) * feathered(hole)[part][..., None]
        cv2.copyTo(np.clip(mixed + 0.5, 0, 255).astype(np.uint8), hole[part], out[part])
    return result


def _differing(
    frame: NDArray[np.uint8], hole: NDArray[np.uint8], plate: NDArray[np.uint8]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the connected parts outside the hole that differ from the plate: int [h w], 0 elsewhere; and their sizes."""
    difference = cv2.subtract(frame, plate, dtype=cv2.CV_32F) - _exposure(frame, hole, plate)
    difference *= (hole == 0)[..., None]
    # signed, so that noise averages out; numpy's maximum along an axis of three is slow
    shade = reduce(cv2.max, cv2.split(np.abs(cv2.blur(difference, (5, 5)))))
    differs = ((shade > _SHADE) & (hole == 0)).astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(differs, connectivity=8)
    return labels, stats[:, cv2.CC_STAT_AREA]


def _exposure(frame: NDArray[np.uint8], hole: NDArray[np.uint8], plate: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return by how much a frame is brighter than the plate outside the hole, in the median: float32 [3]."""
    free = hole[::_THINNED, ::_THINNED] == 0
    if not free.any():
        return np.zeros(3, np.float32)
    thinned = (picture[::_THINNED, ::_THINNED][free].astype(np.float32) for picture in (frame, plate))
    return np.median(np.subtract(*thinned), axis=0).astype(np.float32)


def _disc(reach: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1)), np.uint8)
