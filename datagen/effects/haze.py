"""Haze by the atmospheric scattering model."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from shards.sample import Video

GAMMA = 2.2
_TO_LINEAR = ((np.arange(256) / 255) ** GAMMA).astype(np.float32)


def transmission(depth: NDArray[np.float32], beta: float) -> NDArray[np.float32]:
    """Return t = exp(-beta d), the share of light that arrives; `beta` in 1 / (unit of `depth`)."""
    t: NDArray[np.float32] = np.exp(np.float32(-beta) * depth)
    return t


def haze(
    video: Video, depth: NDArray[np.float32], *, beta: Sequence[float], airlight: Sequence[Sequence[float]]
) -> Video:
    """Return the hazy video I = J t + A (1 - t), t = exp(-beta d), mixed in linear light (gamma 2.2).

    `video`: uint8 [t h w 3]. `depth`: float32 [t h w], >= 0. `beta`: one scattering coefficient per frame, in
    1 / (unit of depth). `airlight`: one RGB triple per frame, linear, in [0, 1]. Source: Narasimhan & Nayar,
    "Vision and the Atmosphere", IJCV 2002; that the mixing is done in linear light is our choice.
    """
    hazy = np.empty_like(video)
    for i, frame in enumerate(video):
        t = transmission(depth[i], beta[i])
        # plane by plane: three contiguous planes are several times faster than broadcasting t over RGB
        planes = [_scatter(plane, t, float(a)) for plane, a in zip(cv2.split(frame), airlight[i], strict=True)]
        cv2.merge(planes, hazy[i])
    return hazy


def _scatter(plane: NDArray[np.uint8], t: NDArray[np.float32], airlight: float) -> NDArray[np.uint8]:
    light = cv2.LUT(plane, _TO_LINEAR)
    light -= airlight
    light *= t
    light += airlight
    # (J - A) t + A can fall below zero by a rounding error
    np.maximum(light, 0, out=light)
    np.power(light, 1 / GAMMA, out=light)
    return cv2.convertScaleAbs(light, alpha=255.0)
