"""How well a mask fits: region and boundary, as DAVIS defines them."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from shards import Sample

Mask = NDArray[np.uint8]
"""uint8 [t h w], 0 outside, anything else inside."""
_TOLERANCE = 0.008
"""Of the picture's diagonal."""
_QUARTERS = 4
_BITS = 64
_ONE, _LAST = np.uint64(1), np.uint64(_BITS - 1)
_FRAMES = 4
"""At once: more of them are no faster, for they leave the cache."""
Bits = NDArray[np.uint64]
"""uint64 [t h w/64], the first pixel lowest; or such rows one after another."""
LEAST_PAINT = 25
"""Grey levels between a pixel and the paint below which its change says little about how much of it is paint."""


def region_similarity(prediction: Mask, target: Mask) -> NDArray[np.float64]:
    """Return J of each frame: float64 [t]. Intersection over union; 1 where both are empty (Perazzi et al. 2016)."""
    return np.array([_ratio(*areas(a, b)) for a, b in zip(prediction, target, strict=True)])


def boundary_accuracy(prediction: Mask, target: Mask) -> NDArray[np.float64]:
    """Return F of each frame: float64 [t]. 2 P R / (P + R) of boundary pixels that have one of the other boundary near.

    Perazzi et al. 2016 as the DAVIS 2017 evaluation computes it: near is within ceil(0.008 x diagonal) pixels; 1 where both
    masks have no boundary, 0 where one has none.
    """
    radius = math.ceil(_TOLERANCE * math.hypot(*target.shape[1:3]))
    parts = [slice(start, start + _FRAMES) for start in range(0, len(target), _FRAMES)]
    return np.concatenate([_boundary_scores(prediction[part], target[part], radius) for part in parts])


def recall(values: NDArray[np.float64]) -> float:
    """Return the share of frames whose value is above one half."""
    return float((values > 0.5).mean())


def decay(values: NDArray[np.float64]) -> float:
    """Return how much the values fall from the first quarter of the t frames to the last, after DAVIS.

    The quarters end at the frames 1 + (t - 1) k / 4, k = 0 to 4, rounded half up; both ends count, so that neighbours share one.
    """
    ends = np.round(np.linspace(1, len(values), _QUARTERS + 1) + 1e-10).astype(int) - 1
    first, last = (values[ends[q] : ends[q + 1] + 1].mean() for q in (0, _QUARTERS - 1))
    return float(first - last)


def areas(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> tuple[int, int]:
    """Return the sizes of intersection and union of two masks of one shape, in pixels."""
    a, b = a.reshape(-1, a.shape[-1]), b.reshape(-1, b.shape[-1])
    # zero stays zero and nothing else becomes it: no need to make them one value
    both, either = cv2.min(a, b), cv2.bitwise_or(a, b)
    return cv2.countNonZero(both), cv2.countNonZero(either)


def painted_mask(source: NDArray[np.uint8], answer: NDArray[np.uint8], paint: tuple[int, int, int]) -> Mask:
    """Return where an answer, uint8 [t h w 3], is painted: uint8 [t h w], 0 or 255.

    Paint of share a makes `out = in + a (C - in)`; a pixel is painted where `a = <out - in, C - in> / |C - in|^2` is above
    one quarter, half of the share that is asked for (InstructDiffusion, arXiv 2309.03895). Pixel by pixel, so that anybody
    can decode it alike; `|C - in|` counts as 25 grey levels at least.
    """
    masks = np.empty(source.shape[:3], np.uint8)
    for before, after, mask in zip(source, answer, masks, strict=True):
        towards = np.asarray(paint, np.int32) - before
        along = np.einsum("hwc,hwc->hw", after - before.astype(np.int32), towards)
        length = np.einsum("hwc,hwc->hw", towards, towards)
        mask[:] = np.where(4 * along > np.maximum(length, LEAST_PAINT**2), np.uint8(255), np.uint8(0))
    return masks


def paint_of(sample: Sample) -> tuple[int, int, int]:
    """Return the RGB that a sample's mask is painted in: as its data set says, else as its instruction does.

    Raises:
        ConfigError: neither names a colour.
    """
    from vidiff.segmentation import paint_named

    known = sample.meta.parameters.get("rgb")
    if known is None:
        return paint_named(sample.instruction)
    red, green, blue = (int(value) for value in known)
    return red, green, blue


def _ratio(both: int, either: int) -> float:
    return both / either if either else 1.0


def _boundary_scores(a: Mask, b: Mask, radius: int) -> NDArray[np.float64]:
    rows, columns = _surroundings(np.bitwise_or.reduce(a | b))
    found, wanted = (boundaries(each[:, rows, columns], spare=radius) for each in (a, b))
    counts = np.stack([_counted(found), _counted(wanted)])
    near = np.stack([_counted(found & _near(wanted, radius)), _counted(wanted & _near(found, radius))])
    # precision and recall; 0 where there is nothing to be precise about
    shares = np.divide(near, counts, out=np.zeros(near.shape), where=counts > 0)
    total = shares.sum(axis=0)
    scores = np.divide(2 * shares.prod(axis=0), total, out=np.zeros(len(total)), where=total > 0)
    return np.where(counts.any(axis=0), scores, 1.0)


def _surroundings(mask: NDArray[np.uint8]) -> tuple[slice, slice]:
    """Return the rows and columns that hold everything in a mask [h w], and one more on each side that there is."""
    x, y, width, height = cv2.boundingRect(mask)
    return slice(max(y - 1, 0), y + height + 1), slice(max(x - 1, 0), x + width + 1)


def boundaries(masks: Mask, *, spare: int = 0) -> Bits:
    """Return the boundaries of masks [t h w]: pixels that differ from their right, lower or diagonal neighbour.

    64 pixels to a number: a boundary is widened faster by shifting it than by OpenCV's dilation with a disk. `spare`: how
    many pixels at least, all 0, each row has beyond its last.
    """
    inside = _packed(masks, spare)
    right = inside >> _ONE
    right[..., :-1] |= inside[..., 1:] << _LAST
    edge = inside ^ right
    edge[:, :-1] |= inside[:, :-1] ^ right[:, 1:]
    # beyond the last column and row the picture goes on as it is
    last, bit = divmod(masks.shape[2] - 1, _BITS)
    edge[..., last] &= np.uint64((1 << bit) - 1)
    edge[:, :-1] |= inside[:, :-1] ^ inside[:, 1:]
    return edge


def _packed(masks: Mask, spare: int) -> Bits:
    frames, height, width = masks.shape
    packed = np.packbits(masks, axis=2, bitorder="little")
    words = np.zeros((frames, height, -(-(width + spare) // _BITS)), np.uint64)
    words.view(np.uint8)[..., : packed.shape[2]] = packed
    return words


def _near(edge: Bits, radius: int) -> Bits:
    """Return what lies within `radius` pixels of the edge: each row widened as the disk is there, and moved up and down.

    Rows must have as many spare pixels at their end, which hold anything then: all of them are one long row here.
    """
    frames, height, words = edge.shape
    found = np.zeros((frames, (height + 2 * radius) * words), np.uint64)
    row, wide = edge.ravel(), 0
    for away in range(radius, -1, -1):
        wanted = math.isqrt(radius * radius - away * away)
        while wide < wanted:
            # a run may be moved by its own length without a gap
            step = min(wanted - wide, 2 * wide + 1)
            row, wide = _widened(row, step), wide + step
        for top in {radius - away, radius + away}:
            found[:, top * words : (top + height) * words] |= row.reshape(frames, -1)
    return found.reshape(frames, -1, words)[:, radius : radius + height]


def _widened(row: Bits, step: int) -> Bits:
    """Return a row together with itself moved to both sides by so many pixels, fewer than 64."""
    near, far = np.uint64(step), np.uint64(_BITS - step)
    wide, moved = row << near, row >> far
    wide[1:] |= moved[:-1]
    wide |= row
    np.left_shift(row, far, out=moved)
    wide[:-1] |= moved[1:]
    np.right_shift(row, near, out=moved)
    wide |= moved
    return wide


def _counted(bits: Bits) -> NDArray[np.int64]:
    return np.asarray(np.bitwise_count(bits).sum(axis=(1, 2), dtype=np.int64))
