"""Haze by the atmospheric scattering model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from datagen.effects.light import TO_LINEAR, to_stored
from shards.sample import Video


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
    hazy = np.empty_like(video)
    for i, frame in enumerate(video):
        t = transmission(depth[i], beta[i])
        # plane by plane: three contiguous planes are several times faster than broadcasting t over RGB
        planes = [_scatter(plane, t, np.float32(a)) for plane, a in zip(cv2.split(frame), airlight[i], strict=True)]
        cv2.merge(planes, hazy[i])
    return hazy


def _scatter(plane: NDArray[np.uint8], t: NDArray[np.float32], airlight: np.float32) -> NDArray[np.uint8]:
    """Return A + (J - A) t of uint8 [h w], back in gamma-encoded values."""
    light = cv2.LUT(plane, TO_LINEAR - airlight)
    light *= t
    light += airlight
    return to_stored(light)
