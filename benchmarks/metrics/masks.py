"""How well a mask fits: region and boundary, as DAVIS defines them."""

from __future__ import annotations

import math

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
    """Return the sizes of intersection and union of two masks of any shape, in pixels."""
    a, b = a != 0, b != 0
    both = int(np.count_nonzero(a & b))
    return both, int(np.count_nonzero(a)) + int(np.count_nonzero(b)) - both


def boundary(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return uint8 [h w], 1 on the boundary of [h w]: pixels that differ from their right, lower or diagonal neighbour."""
    inside = (mask != 0).astype(np.uint8)
    east, south, across = inside.copy(), inside.copy(), inside.copy()
    east[:, :-1] = inside[:, 1:]
    south[:-1] = inside[1:]
    # beyond the last row and column the picture goes on as it is
    across[:-1, :-1] = inside[1:, 1:]
    across[-1, :-1], across[:-1, -1] = inside[-1, 1:], inside[1:, -1]
    return (inside ^ east) | (inside ^ south) | (inside ^ across)


def _ratio(both: int, either: int) -> float:
    return both / either if either else 1.0


def _boundary_score(a: NDArray[np.uint8], b: NDArray[np.uint8], radius: int) -> float:
    found, wanted = boundary(a), boundary(b)
    counts = int(np.count_nonzero(found)), int(np.count_nonzero(wanted))
    if not all(counts):
        return 1.0 if counts == (0, 0) else 0.0
    precision = np.count_nonzero(found & _near(wanted, radius)) / counts[0]
    share = np.count_nonzero(wanted & _near(found, radius)) / counts[1]
    return 2 * precision * share / (precision + share) if precision + share else 0.0


def _near(edge: NDArray[np.uint8], radius: int) -> NDArray[np.uint8]:
    """Return 1 within `radius` pixels of the edge: a dilation by a disk, whose squared distances are whole numbers."""
    distance = cv2.distanceTransform(1 - edge, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return (distance < math.sqrt(radius * radius + 0.5)).astype(np.uint8)
