"""How close a clip is to its target: PSNR, SSIM and MS-SSIM."""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from shards.sample import Video

EQUAL_PSNR = 100.0
"""dB of equal frames, whose PSNR would be infinite and swamp every mean."""
_SIGMA = 1.5
_SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_STRIP = 64
"""Rows that are worked on at once: what is needed for them stays in the processor's cache."""
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2

Frame = NDArray[np.uint8]
Plane = NDArray[np.float32]
Blur = Callable[[Plane], Plane]


def psnr(prediction: Video, target: Video, *, crop: int = 0) -> NDArray[np.float64]:
    """Return the PSNR in dB of each frame: float64 [t].

    10 log10(255^2 / MSE) over all pixels and channels of uint8 [t h w 3], without `crop` pixels at each edge; equal to
    `skimage.metrics.peak_signal_noise_ratio(data_range=255)` frame by frame, equal frames giving 100.
    """
    pairs = zip(_cropped(prediction, crop), _cropped(target, crop), strict=True)
    return np.array([decibels(squared_error(a, b)) for a, b in pairs])


def pooled_psnr(prediction: Video, target: Video) -> float:
    """Return the PSNR in dB of the mean squared error over all frames of uint8 [t h w 3].

    Equal to torchmetrics' `PeakSignalNoiseRatio(data_range=255)`; at most as high as the mean of the frames' PSNR.
    """
    return decibels(float(np.mean([squared_error(a, b) for a, b in zip(prediction, target, strict=True)])))


def ssim(prediction: Video, target: Video, *, crop: int = 0) -> NDArray[np.float64]:
    """Return the SSIM of each frame: float64 [t].

    Wang et al. 2004 with their gaussian window, on each RGB channel of uint8 [t h w 3]; within 1e-6 of
    `skimage.metrics.structural_similarity(gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
    data_range=255, channel_axis=-1)` frame by frame for ordinary pictures, and within 2e-4 where both are flat: there the
    variance is a small difference of large squares, and single precision leaves 1e-3 grey levels squared of it.

    Raises:
        ValueError: frames smaller than the window of 11 x 11.
    """
    prediction, target = _cropped(prediction, crop), _cropped(target, crop)
    _check_size(target, 11, "SSIM")
    return np.array([_similarity(a, b, _gaussian, 5)[0] for a, b in zip(prediction, target, strict=True)])


def ssim_uniform(prediction: Video, target: Video, *, window: int = 65) -> NDArray[np.float64]:
    """Return the SSIM of each frame with a square window: float64 [t]. The inpainting papers' protocol has window 65.

    Within 1e-6 of `skimage.metrics.structural_similarity(win_size=65, data_range=255, channel_axis=-1)`, which takes
    sample covariances (n / (n - 1)).

    Raises:
        ValueError: frames smaller than the window.
    """
    _check_size(target, window, "SSIM")
    bias = window**2 / (window**2 - 1)

    def mean(image: Plane) -> Plane:
        return cv2.boxFilter(image, -1, (window, window), borderType=cv2.BORDER_REFLECT).astype(np.float32)

    pairs = zip(prediction, target, strict=True)
    return np.array([_similarity(a, b, mean, window // 2, bias=bias)[0] for a, b in pairs])


def ms_ssim(prediction: Video, target: Video) -> NDArray[np.float64]:
    """Return the multi-scale SSIM of each frame: float64 [t] in [0, 1].

    Wang, Simoncelli & Bovik 2003: five scales, each half the size of the one before by 2 x 2 means, the window and
    constants of `ssim`; the luminance counts at the coarsest scale only. Negative terms count as 0. On uint8 [t h w 3],
    each scale averaged over pixels and channels where the whole window lies inside. torchmetrics'
    `multiscale_structural_similarity_index_measure` counts a mirrored border at the coarsest scale: it is near for large
    frames (5e-4 at 480 x 854) and can be far off for small ones whose border is unlike their middle.

    Raises:
        ValueError: frames smaller than 176 x 176, whose coarsest scale the window does not fit into.
    """
    _check_size(target, 176, "MS-SSIM")
    return np.array([_multiscale(a, b) for a, b in zip(prediction, target, strict=True)])


def luma(video: Video) -> Video:
    """Return uint8 [t h w 1]: Y of BT.601 in [16, 235], rounded, as MATLAB's `rgb2ycbcr` gives it."""
    weights = np.array([[65.481, 128.553, 24.966]]) / 255
    return np.stack([cv2.transform(frame, np.hstack([weights, [[16.0]]])) for frame in video])[..., None]


def squared_error(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """Return the mean squared difference of two uint8 arrays."""
    # the norm is summed in wide integers; a - b in 8 bits would wrap around
    return cv2.norm(a, b, cv2.NORM_L2SQR) / a.size


def decibels(error: float) -> float:
    """Return the PSNR of a mean squared error in grey levels; 100 for none."""
    return EQUAL_PSNR if error == 0 else min(10 * math.log10(255**2 / error), EQUAL_PSNR)


def _cropped(video: Video, crop: int) -> Video:
    return video[:, crop : video.shape[1] - crop, crop : video.shape[2] - crop] if crop else video


def _check_size(video: Video, least: int, name: str) -> None:
    height, width = video.shape[1:3]
    if min(height, width) < least:
        raise ValueError(f"{name} needs frames of at least {least}x{least} pixels, these are {height}x{width}")


def _multiscale(a: Frame, b: Frame) -> float:
    # from 8 bits to single floats, with nothing lost
    x, y = a.astype(np.float32), b.astype(np.float32)
    result = 1.0
    for scale, weight in enumerate(_SCALES):
        whole, contrast = _similarity(x, y, _gaussian, 5)
        last = scale == len(_SCALES) - 1
        result *= max(whole if last else contrast, 0.0) ** weight
        if not last:
            x, y = _halved(x), _halved(y)
    return result


def _halved(image: Plane) -> Plane:
    height, width = image.shape[0] // 2 * 2, image.shape[1] // 2 * 2
    return cv2.resize(image[:height, :width], (width // 2, height // 2), interpolation=cv2.INTER_AREA)


def _gaussian(image: Plane) -> Plane:
    return cv2.GaussianBlur(image, (11, 11), _SIGMA, borderType=cv2.BORDER_REFLECT).astype(np.float32, copy=False)


def _similarity(
    a: NDArray[np.generic], b: NDArray[np.generic], mean: Blur, border: int, *, bias: float = 1.0
) -> tuple[float, float]:
    """Return the means of Wang's index and of its contrast-structure part, without `border` pixels at each edge."""
    height = a.shape[0]
    sums, count = np.zeros(2), 0
    for top in range(border, height - border, _STRIP):
        end = min(top + _STRIP, height - border)
        rows = slice(top - border, end + border)
        whole, contrast = _index(a[rows], b[rows], mean, border, bias)
        sums += whole.sum(dtype=np.float64), contrast.sum(dtype=np.float64)
        count += whole.size
    return float(sums[0] / count), float(sums[1] / count)


def _index(a: NDArray[np.generic], b: NDArray[np.generic], mean: Blur, border: int, bias: float) -> tuple[Plane, Plane]:
    # moments about mid-grey: squares stay small, so that single floats suffice (an error of 1e-7 in the mean
    # index of ordinary pictures; up to 2e-4 where both pictures are flat and far from mid-grey)
    x, y = a.astype(np.float32) - np.float32(128), b.astype(np.float32) - np.float32(128)
    inner = (slice(border, x.shape[0] - border), slice(border, x.shape[1] - border))
    mean_x, mean_y = mean(x)[inner], mean(y)[inner]
    product = mean(x * y)[inner]
    # only the sum of the two variances is ever needed
    squares = mean(x * x + y * y)[inner]
    product -= mean_x * mean_y
    squares -= mean_x * mean_x + mean_y * mean_y
    if bias != 1:
        product *= np.float32(bias)
        squares *= np.float32(bias)
    contrast = (2 * product + np.float32(_C2)) / (squares + np.float32(_C2))
    mean_x, mean_y = mean_x + np.float32(128), mean_y + np.float32(128)
    light = (2 * mean_x * mean_y + np.float32(_C1)) / (mean_x * mean_x + mean_y * mean_y + np.float32(_C1))
    return (light * contrast).astype(np.float32, copy=False), contrast.astype(np.float32, copy=False)
