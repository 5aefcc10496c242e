"""How well a mask fits: region and boundary, as DAVIS defines them."""

from __future__ import annotations

import math
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.uint8]
"""uint8 [t h w], 0 outside, anything else inside."""
_TOLERANCE = 0.008
"""Of the picture's diagonal."""
_QUARTERS = 4


def region_similarity(prediction: Mask, target: Mask) -> NDArray[np.float64]:
    """Return J of each frame: float64 [t]. Intersection over union; 1 where both are empty (Perazzi et al. 2016)."""
    return np.array([_ratio(*areas(a, b)) for a, b in zip(prediction, target, strict=True)])


def boundary_accuracy(prediction: Mask, target: Mask) -> NDArray[np.float64]:
    """Return F of each frame: float64 [t]. 2 P R / (P + R) of boundary pixels that have one of the other boundary near.

    Perazzi et al. 2016 as the DAVIS 2017 evaluation computes it: near is within ceil(0.008 x diagonal) pixels; 1 where both
    masks have no boundary, 0 where one has none.
    """
    radius = math.ceil(_TOLERANCE * math.hypot(*target.shape[1:3]))
    return np.array([_boundary_score(a, b, radius) for a, b in zip(prediction, target, strict=True)])


def recall(values: NDArray[np.float64]) -> float:
    """Return the share of frames whose value is above one half."""
    return float((values > 0.5).mean())


def decay(values: NDArray[np.float64]) -> float:
    """Return how much the values fall from the first quarter of the frames to the last; DAVIS' rule for the quarters' ends."""
    ends = np.round(np.linspace(1, len(values), _QUARTERS + 1) + 1e-10).astype(int) - 1
    first, last = (values[ends[q] : ends[q + 1] + 1].mean() for q in (0, _QUARTERS - 1))
    return float(first - last)


def areas(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> tuple[int, int]:
    """Return the sizes of intersection and union of two masks of one shape, in pixels."""
    a, b = a.reshape(-1, a.shape[-1]), b.reshape(-1, b.shape[-1])
    # zero stays zero and nothing else becomes it: no need to make them one value
    both, either = cv2.min(a, b), cv2.bitwise_or(a, b)
    return cv2.countNonZero(both), cv2.countNonZero(either)


def boundary(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return uint8 [h w], 1 on the boundary of [h w]: pixels that differ from their right, lower or diagonal neighbour."""
    inside = (mask != 0).view(np.uint8)
    edge = np.zeros_like(inside)
    # beyond the last row and column the picture goes on as it is
    np.bitwise_xor(inside[:, :-1], inside[:, 1:], out=edge[:, :-1])
    edge[:-1] |= inside[:-1] ^ inside[1:]
    edge[:-1, :-1] |= inside[:-1, :-1] ^ inside[1:, 1:]
    return edge


def _ratio(both: int, either: int) -> float:
    return both / either if either else 1.0


def _boundary_score(a: NDArray[np.uint8], b: NDArray[np.uint8], radius: int) -> float:
    place = _surroundings(cv2.bitwise_or(a, b))
    found, wanted = boundary(a[place]), boundary(b[place])
    counts = cv2.countNonZero(found), cv2.countNonZero(wanted)
    if not all(counts):
        return 1.0 if counts == (0, 0) else 0.0
    precision = cv2.countNonZero(cv2.bitwise_and(found, _near(wanted, radius))) / counts[0]
    share = cv2.countNonZero(cv2.bitwise_and(wanted, _near(found, radius))) / counts[1]
    return 2 * precision * share / (precision + share) if precision + share else 0.0


def _surroundings(mask: NDArray[np.uint8]) -> tuple[slice, slice]:
    """Return the rows and columns that hold everything in a mask [h w], and one more on each side that there is."""
    x, y, width, height = cv2.boundingRect(mask)
    return slice(max(y - 1, 0), y + height + 1), slice(max(x - 1, 0), x + width + 1)


def _near(edge: NDArray[np.uint8], radius: int) -> NDArray[np.uint8]:
    """Return 1 within `radius` pixels of the edge."""
    return cv2.dilate(edge, _disk(radius)).astype(np.uint8, copy=False)


@cache
def _disk(radius: int) -> NDArray[np.uint8]:
    y, x = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    return (x * x + y * y <= radius * radius).astype(np.uint8)
