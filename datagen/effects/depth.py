"""A depth for real video that has none: a perspective prior which follows the picture's own edges."""

from __future__ import annotations

from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from shards.sample import Video

_SMOOTHNESS = 2e-3
"""Regularisation of the guided filter on gray values in [0, 1]: edges weaker than its root are smoothed over."""


def perspective_depth(video: Video, *, horizon: float, far: float) -> NDArray[np.float32]:
    """Return a plausible, temporally steady depth: float32 [t h w], 1 at the lower border, at most `far`.

    The depth of a ground plane seen by a level camera, z = (1 - horizon) / (y - horizon) with y from 0 (top) to 1
    (bottom), `far` at the horizon and above; then smoothed by a guided filter (He et al. 2013, the fast version at a
    quarter of the size) so that its edges are those of the picture. It is a prior, not a measurement: sky, walls and
    people stand where the plane is. The plane is the same in all frames, and the filter's coefficients are those of every
    second frame averaged over neighbouring ones, so the depth moves only with the picture.
    """
    frames, height, width = video.shape[:3]
    y = (np.arange(height, dtype=np.float32) + 0.5) / height
    plane = np.clip((1 - horizon) / np.maximum(y - horizon, 1e-4), 1, far).astype(np.float32)
    half = (max(width // 2, 8), max(height // 2, 8))
    quarter = (max(width // 4, 8), max(height // 4, 8))
    guides = [_reduced(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), half) for frame in video]
    small = np.stack([_reduced(guide, quarter) for guide in guides[::2]])
    slope, offset = (_every_frame(part, frames) for part in _guided_coefficients(_unit(small), _column(plane, quarter)))
    depth = np.empty((frames, height, width), np.float32)
    for i, guide in enumerate(guides):
        # at half size: the eye does not see the difference through haze, and it is three times faster
        a, b = (cv2.resize(part[i], half, interpolation=cv2.INTER_LINEAR) for part in (slope, offset))
        a *= _unit(guide)
        a += b
        np.clip(a, 1, far, out=a)
        cv2.resize(a, (width, height), dst=depth[i], interpolation=cv2.INTER_LINEAR)
    return depth


def _reduced(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    return cast("NDArray[np.uint8]", cv2.resize(image, size, interpolation=cv2.INTER_AREA))


def _unit(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.multiply(image, 1 / 255, dtype=np.float32)


def _column(plane: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    column = cv2.resize(plane[:, None], (1, size[1]), interpolation=cv2.INTER_AREA)
    return np.repeat(column.reshape(-1, 1), size[0], axis=1)


def _guided_coefficients(
    guides: NDArray[np.float32], plane: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return slope and offset [t h w] of the local linear models `plane = slope * guide + offset`."""
    radius = max(min(guides.shape[1:3]) // 8, 2)
    mean, mean_plane = _box(guides, radius), _box(plane[None], radius)
    variance = _box(guides * guides, radius) - mean * mean
    covariance = _box(guides * plane, radius) - mean * mean_plane
    slope: NDArray[np.float32] = (covariance / (variance + np.float32(_SMOOTHNESS))).astype(np.float32, copy=False)
    offset: NDArray[np.float32] = mean_plane - slope * mean
    return _over_time(_box(slope, radius)), _over_time(_box(offset, radius))


def _box(images: NDArray[np.float32], radius: int) -> NDArray[np.float32]:
    """Average each image of [t h w] over squares."""
    side = 2 * radius + 1
    averaged = np.empty_like(images)
    for image, result in zip(images, averaged, strict=True):
        cv2.blur(image, (side, side), dst=result, borderType=cv2.BORDER_REFLECT)
    return averaged


def _over_time(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Average [t h w] over three neighbours, which are two frames apart."""
    flat = values.reshape(len(values), -1)
    return cv2.blur(flat, (1, 3), borderType=cv2.BORDER_REPLICATE).reshape(values.shape)


def _every_frame(values: NDArray[np.float32], frames: int) -> NDArray[np.float32]:
    """Return [frames h w]: the values of every second frame, and in between their means."""
    full = np.repeat(values, 2, axis=0)[:frames]
    between = full[1 : 2 * len(values) - 1 : 2]
    np.add(values[:-1], values[1:], out=between)
    between *= 0.5
    return full
