"""How close a clip is to its target: PSNR and SSIM, per frame."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from shards.sample import Video

EQUAL_PSNR = 100.0
"""dB of equal frames, whose PSNR would be infinite and swamp every mean."""
_WINDOW, _SIGMA = 11, 1.5
_BORDER = _WINDOW // 2


def psnr(prediction: Video, target: Video) -> NDArray[np.float64]:
    """Return the PSNR in dB of each frame: float64 [t].

    10 log10(255^2 / MSE) over all pixels and channels of uint8 [t h w 3]; equal to
    `skimage.metrics.peak_signal_noise_ratio(data_range=255)` frame by frame, equal frames giving 100.
    """
    return np.array([_psnr(a, b) for a, b in zip(prediction, target, strict=True)])


def ssim(prediction: Video, target: Video) -> NDArray[np.float64]:
    """Return the SSIM of each frame: float64 [t].

    Wang et al. 2004 with their gaussian window, on each RGB channel of uint8 [t h w 3]; equal to
    `skimage.metrics.structural_similarity(gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
    data_range=255, channel_axis=-1)` frame by frame.

    Raises:
        ValueError: frames smaller than the window of 11 x 11.
    """
    if min(target.shape[1:3]) < _WINDOW:
        raise ValueError(
            f"SSIM needs frames of at least {_WINDOW}x{_WINDOW} pixels, these are {target.shape[1]}x{target.shape[2]}"
        )
    return np.array([_ssim(a, b) for a, b in zip(prediction, target, strict=True)])


def _psnr(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    # the norm is summed in wide integers; a - b in 8 bits would wrap around
    error = cv2.norm(a, b, cv2.NORM_L2SQR) / a.size
    return EQUAL_PSNR if error == 0 else 10 * math.log10(255**2 / error)


def _ssim(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    x, y = a.astype(np.float64), b.astype(np.float64)
    mean_x, mean_y = _blur(x), _blur(y)
    variance_x = _blur(x * x) - mean_x * mean_x
    variance_y = _blur(y * y) - mean_y * mean_y
    covariance = _blur(x * y) - mean_x * mean_y
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    numerator = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    denominator = (mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2)
    inner = slice(_BORDER, -_BORDER)
    return float((numerator / denominator)[inner, inner].mean())


def _blur(image: NDArray[np.float64]) -> NDArray[np.float64]:
    return cv2.GaussianBlur(image, (_WINDOW, _WINDOW), _SIGMA, borderType=cv2.BORDER_REFLECT)
