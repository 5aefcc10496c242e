"""Haze by the atmospheric scattering model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from datagen.effects.light import TO_LINEAR, to_stored
from shards.sample import Video

_FINER = 4
_AS_STORED = (np.arange(256) / 255).astype(np.float32)


def transmission(depth: NDArray[np.float32], beta: float) -> NDArray[np.float32]:
    """Return t = exp(-beta d), the share of light that arrives; `beta` in 1 / (unit of `depth`)."""
    # OpenCV's exp and log are good to 1e-6 and several times faster than numpy's
    return cast("NDArray[np.float32]", cv2.exp(np.float32(-beta) * depth))


def haze(
    video: Video, depth: NDArray[np.float32], *, beta: Sequence[float], airlight: Sequence[Sequence[float]]
) -> Video:
    """Return the hazy video I = J t + A (1 - t), t = exp(-beta d), mixed in linear light (gamma 2.2).

    `video`: uint8 [t h w 3]. `depth`: float32 [t h w], >= 0. `beta`: one scattering coefficient per frame, in
    1 / (unit of depth). `airlight`: one RGB triple per frame, linear, in [0, 1]. Source: Narasimhan & Nayar,
    "Vision and the Atmosphere", IJCV 2002; that the mixing is done in linear light is our choice.
    """
    t = np.stack([transmission(distance, b) for distance, b in zip(depth, beta, strict=True)])
    return through_haze(video, t, airlight)


def through_haze(
    video: Video, t: NDArray[np.float32], airlight: Sequence[Sequence[float]], *, linear: bool = True
) -> Video:
    """Return I = J t + A (1 - t) for a given transmission, float32 [t h w].

    `linear`: mix light, gamma 2.2; else the stored values themselves, as RESIDE and HazeWorld do, and `airlight` is in
    these.
    """
    hazy = np.empty_like(video)
    light = TO_LINEAR if linear else _AS_STORED
    for i, frame in enumerate(video):
        # plane by plane: three contiguous planes are several times faster than broadcasting t over RGB
        planes = [
            _scatter(plane, t[i], np.float32(a), light, linear)
            for plane, a in zip(cv2.split(frame), airlight[i], strict=True)
        ]
        cv2.merge(planes, hazy[i])
    return hazy


def _scatter(
    plane: NDArray[np.uint8], t: NDArray[np.float32], airlight: np.float32, light: NDArray[np.float32], linear: bool
) -> NDArray[np.uint8]:
    """Return A + (J - A) t of uint8 [h w], as stored values."""
    mixed = cv2.LUT(plane, light - airlight)
    mixed *= t
    mixed += airlight
    return to_stored(mixed) if linear else cast("NDArray[np.uint8]", cv2.convertScaleAbs(mixed, alpha=255.0))


def patches(
    frames: int, size: tuple[int, int], *, seed: int, cells: int, amount: float, wind: Sequence[float]
) -> NDArray[np.float32]:
    """Return float32 [t h w], the density of drifting haze: within 1 +- `amount`, 1 in the clip's mean, and smooth.

    Cubic interpolation between random values, `cells` of them over the height of the picture. It moves by `wind`,
    (x, y) in picture heights per frame.
    """
    height, width = size
    rng = np.random.default_rng(seed)
    reach = [abs(step) * frames for step in wind]
    rows, columns = (int(np.ceil(cells * part)) + 4 for part in (1 + reach[1], width / height + reach[0]))
    coarse = rng.uniform(-1, 1, (rows, columns)).astype(np.float32)
    # drawn at a quarter of the size and enlarged: it is smooth, and this is ten times as fast
    sides = [max(side // _FINER, 8) for side in size]
    y = (np.arange(sides[0], dtype=np.float32) + 0.5) / sides[0]
    x = (np.arange(sides[1], dtype=np.float32) + 0.5) / sides[1] * (width / height)
    small = np.empty((frames, *sides), np.float32)
    for i in range(frames):
        # the corner starts where the whole way lies inside the values
        across, down = (max(step * frames, 0) - step * i for step in wind)
        map_x = np.broadcast_to(((x + across) * cells + 1)[None], sides).astype(np.float32)
        map_y = np.broadcast_to(((y + down) * cells + 1)[:, None], sides).astype(np.float32)
        cv2.remap(coarse, map_x, map_y, cv2.INTER_CUBIC, dst=small[i], borderMode=cv2.BORDER_REPLICATE)
    small -= small.mean()
    small *= amount / np.abs(small).max()
    small += 1
    density = np.empty((frames, height, width), np.float32)
    for coarser, fine in zip(small, density, strict=True):
        cv2.resize(coarser, (width, height), dst=fine, interpolation=cv2.INTER_LINEAR)
    return density
