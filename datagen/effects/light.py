"""Between stored 8-bit values and linear light: gamma 2.2."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

GAMMA = 2.2
TO_LINEAR = ((np.arange(256) / 255) ** GAMMA).astype(np.float32)
"""Linear light in [0, 1] of every stored value, for `cv2.LUT`."""
_BLACK = 1e-12
"""Linear light that is stored as 0: black has no logarithm, and rounding may have taken it below zero."""


def to_stored(light: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return 255 light^(1/2.2) rounded; `light` is overwritten.

    By OpenCV's log and exp, which are good to 1e-6 and ten times as fast as numpy's power.
    """
    # as one channel: of more, OpenCV would hold a lone number against the first, and the logarithm of zero is slow
    plane = light.reshape(len(light), -1)
    cv2.max(plane, _BLACK, dst=plane)
    cv2.log(plane, dst=plane)
    plane *= 1 / GAMMA
    cv2.exp(plane, dst=plane)
    return cv2.convertScaleAbs(plane, alpha=255.0).reshape(light.shape)
