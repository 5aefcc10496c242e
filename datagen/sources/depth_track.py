"""The depth that a data set has for its video: from stored numbers to metres, without holes."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from configs import VideoError

_LEAST_KNOWN = 0.5
"""Share of every frame whose depth must be known: a hole larger than what surrounds it is not filled but made up."""
_FARTHEST = 99
"""Percentile of the distances of surfaces at which the sky is put."""


def metric_depth(
    stored: NDArray[np.float32], scale: float, *, sky: float = np.inf
) -> tuple[NDArray[np.float32], dict[str, Any]]:
    """Return float32 [t h w] in metres, every number finite and greater than 0, and what to record of it.

    `stored`: numbers as the data set has them, `scale` metres each. 0, negative numbers and NaN mean that nobody knows; these
    pixels take the depth of the nearest known pixel of their frame. Infinite numbers, and those from `sky` metres on, mean
    that there is nothing: the sky. Where a clip has sky it ends at `far`, the distance within which 99 % of its surfaces
    lie: haze before an infinite sky would have to vanish everywhere else for anything of the sky to be left.

    Recorded are `unknown`, the share of such pixels, and where there is sky its share and `far` (metres), so that
    depth = min(stored * scale, far) wherever it is known.

    Raises:
        VideoError: most of a frame is unknown, or there is nothing but sky.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        depth = stored * np.float32(scale)
        empty = depth >= np.float32(sky) if np.isfinite(sky) else np.isposinf(depth)
        empty |= np.isposinf(depth)
        known = (depth > 0) | empty
    shares = known.mean((1, 2))
    if shares.min() < _LEAST_KNOWN:
        worst = int(shares.argmin())
        raise VideoError(
            f"depth: known for {shares[worst]:.0%} of frame {worst} of the clip, at least {_LEAST_KNOWN:.0%} is needed"
        )
    note: dict[str, Any] = {"kind": "data set", "unknown": round(float(1 - known.mean()), 5)}
    if empty.any():
        surfaces = depth[known & ~empty]
        if not surfaces.size:
            raise VideoError("depth: nothing but sky")
        far = np.float32(round(float(np.percentile(surfaces, _FARTHEST)), 4))
        note |= {"sky": round(float(empty.mean()), 5), "far": float(far)}
        depth[known] = np.minimum(depth[known], far)
    for frame, seen in zip(depth, known, strict=True):
        if not seen.all():
            frame[:] = _filled(frame, seen)
    return depth, note


def _filled(depth: NDArray[np.float32], known: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return [h w] with the depth of the nearest known pixel where none is known."""
    unknown = np.where(known, np.uint8(0), np.uint8(1))
    _, nearest = cv2.distanceTransformWithLabels(unknown, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    # a label belongs to one known pixel; which number it has is OpenCV's business
    of_label = np.zeros(int(nearest.max()) + 1, np.float32)
    of_label[nearest[known]] = depth[known]
    return of_label[nearest]
