"""A depth for real video that has none: a perspective prior which follows the picture's own edges."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from shards.sample import Video

_REDUCTION = 4
_SMOOTHNESS = 2e-3
"""Regularisation of the guided filter on gray values in [0, 1]: edges weaker than its root are smoothed over."""


def perspective_depth(video: Video, *, horizon: float, far: float) -> NDArray[np.float32]:
    """Return a plausible, temporally steady depth: float32 [t h w], 1 at the lower border, at most `far`.

    The depth of a ground plane seen by a level camera, z = (1 - horizon) / (y - horizon) with y from 0 (top) to 1
    (bottom), `far` at the horizon and above; then smoothed by a guided filter (He et al. 2013, the fast version at a
    quarter of the size) so that its edges are those of the picture. It is a prior, not a measurement: sky, walls and
    people stand where the plane is. The plane is the same in all frames and the filter's coefficients are averaged
    over neighbouring frames, so the depth moves only with the picture.
    """
    frames, height, width = video.shape[:3]
    y = (np.arange(height, dtype=np.float32) + 0.5) / height
    plane = np.clip((1 - horizon) / np.maximum(y - horizon, 1e-4), 1, far).astype(np.float32)
    small = (max(width // _REDUCTION, 8), max(height // _REDUCTION, 8))
    middle = (max(width // 2, 8), max(height // 2, 8))
    guides = [
        cv2.cvtColor(cv2.resize(frame, small, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY) for frame in video
    ]
    slope, offset = _guided_coefficients(np.stack(guides), _column(plane, small))
    depth = np.empty((frames, height, width), np.float32)
    for i, frame in enumerate(video):
        # at half size: the eye does not see the difference through haze, and it is three times faster
        a, b = (cv2.resize(part[i], middle, interpolation=cv2.INTER_LINEAR) for part in (slope, offset))
        guide = cv2.cvtColor(cv2.resize(frame, middle, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
        a *= guide
        a *= np.float32(1 / 255)
        a += b
        np.clip(a, 1, far, out=a)
        cv2.resize(a, (width, height), dst=depth[i], interpolation=cv2.INTER_LINEAR)
    return depth


def _column(plane: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    column = cv2.resize(plane[:, None], (1, size[1]), interpolation=cv2.INTER_AREA)
    return np.repeat(column.reshape(-1, 1), size[0], axis=1)


def _guided_coefficients(
    guides: NDArray[np.uint8], plane: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return slope and offset [t h w] of the local linear models `plane = slope * guide + offset`."""
    radius = max(min(guides.shape[1:3]) // 8, 2)
    guide = guides.astype(np.float32) / np.float32(255)
    mean_plane = _box(plane, radius)
    slopes, offsets = [], []
    for i in range(len(guide)):
        image: NDArray[np.float32] = guide[i]
        mean = _box(image, radius)
        variance = _box(image * image, radius) - mean * mean
        covariance = _box(image * plane, radius) - mean * mean_plane
        slope: NDArray[np.float32] = (covariance / (variance + np.float32(_SMOOTHNESS))).astype(np.float32)
        slopes.append(_box(slope, radius))
        offset: NDArray[np.float32] = mean_plane - slope * mean
        offsets.append(_box(offset, radius))
    return _over_time(np.stack(slopes)), _over_time(np.stack(offsets))


def _box(image: NDArray[np.float32], radius: int) -> NDArray[np.float32]:
    return cv2.blur(image, (2 * radius + 1, 2 * radius + 1), borderType=cv2.BORDER_REFLECT)


def _over_time(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Average [t h w] over five neighbouring frames."""
    flat = values.reshape(len(values), -1)
    return cv2.blur(flat, (1, 5), borderType=cv2.BORDER_REPLICATE).reshape(values.shape)
