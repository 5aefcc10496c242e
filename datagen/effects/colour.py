"""Taking colour away, and measuring how much there is."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from shards.sample import Video

_LEVELS = 65535
_LUMA = np.array([[0.2126729, 0.7151522, 0.0721750]], np.float32)
"""Y of linear sRGB under D65 (IEC 61966-2-1)."""


def lightness(video: Video) -> Video:
    """Return CIE L of every pixel, three times: uint8 [t h w 3], 255 for L = 100.

    Equal to `skimage.color.rgb2lab(frame)[..., 0] * 2.55` rounded, but for values that lie on the edge of rounding.
    """
    gray = np.empty_like(video)
    for i, frame in enumerate(video):
        luminance = cv2.transform(cv2.LUT(frame, _TO_LINEAR), _LUMA)
        luminance *= _LEVELS
        luminance += 0.5
        plane = _TO_LIGHTNESS.take(luminance.astype(np.uint16))
        cv2.merge([plane, plane, plane], gray[i])
    return gray


def toned(video: Video, tone: Sequence[float]) -> Video:
    """Return a monochrome print on toned paper: uint8 [t h w 3], the curve from black through `tone` to white at each
    pixel's lightness. `tone`: RGB of the middle gray, 0 to 255; (186, 160, 125) is sepia."""
    gray = np.arange(256) / 255
    # a parabola through black, the tone at one half, and white; it stays in range for tones between 64 and 191
    curve = np.stack([255 * gray + 4 * (t - 127.5) * gray * (1 - gray) for t in tone], axis=1)
    table = np.clip(np.round(curve), 0, 255).astype(np.uint8)
    return np.stack([cv2.LUT(frame, table.reshape(1, 256, 3)) for frame in lightness(video)])


def faded(video: Video, *, saturation: float, black: float, warmth: float) -> Video:
    """Return an old colour print: uint8 [t h w 3].

    Colours shrink towards the pixel's lightness to `saturation` of their strength, black rises to the gray `black`
    (0 to 255), and `warmth` (0 to 1) is taken from blue and half as much from green.
    """
    result = np.empty_like(video)
    gains = np.array([1.0, 1 - warmth / 2, 1 - warmth])
    lift = 1 - black / 255
    gray = lightness(video)
    for frame, plain, out in zip(video, gray, result, strict=True):
        mixed = cv2.addWeighted(frame, saturation, plain, 1 - saturation, 0)
        table = np.clip(np.round((black + lift * np.arange(256)[:, None]) * gains), 0, 255).astype(np.uint8)
        cv2.LUT(mixed, table.reshape(1, 256, 3), dst=out)
    return result


def colourfulness(frame: NDArray[np.uint8]) -> float:
    """Return the colourfulness of uint8 [... 3]: sqrt(s_rg^2 + s_yb^2) + 0.3 sqrt(m_rg^2 + m_yb^2).

    Source: Hasler & Suesstrunk, "Measuring colourfulness in natural images", 2003.
    """
    red, green, blue = cv2.split(frame.reshape(1, -1, 3))
    yellow = cv2.addWeighted(red, 0.5, green, 0.5, 0, dtype=cv2.CV_32F)
    opponents = (cv2.subtract(red, green, dtype=cv2.CV_16S), cv2.subtract(yellow, blue, dtype=cv2.CV_32F))
    (m_rg, s_rg), (m_yb, s_yb) = ([float(v[0, 0]) for v in cv2.meanStdDev(plane)] for plane in opponents)
    return float(np.hypot(s_rg, s_yb) + 0.3 * np.hypot(m_rg, m_yb))


def _srgb_to_linear() -> NDArray[np.float32]:
    value = np.arange(256) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    return linear.astype(np.float32)


def _luminance_to_lightness() -> NDArray[np.uint8]:
    y = np.arange(_LEVELS + 1) / _LEVELS
    light = np.where(y > 216 / 24389, 116 * np.cbrt(y) - 16, y * 24389 / 27)
    return np.round(light * 2.55).astype(np.uint8)


_TO_LINEAR = _srgb_to_linear()
_TO_LIGHTNESS = _luminance_to_lightness()
