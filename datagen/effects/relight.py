"""Another light for a whole video: night, the low sun, a bright noon. Worked in linear light."""

from __future__ import annotations

import math
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from datagen.effects.light import TO_LINEAR, to_stored
from shards.sample import Video

_LUMINANCE = (0.2126, 0.7152, 0.0722)
_MOONLIGHT = (0.62, 0.86, 1.28)
"""Tint of the night in films: the eye sees blue where it sees little."""
_LOW_SUN, _SHADE = (1.42, 0.98, 0.56), (0.82, 0.84, 1.0)
"""Tints of what the evening sun reaches and of what only the sky lights."""


def night(video: Video, *, strength: float = 1.0) -> Video:
    """Return the video by night: a fraction of the light, little colour, a blue tint; lamps and skies stay brightest.

    The "day for night" of the cinema. `strength`: 0 leaves the video as it is, 1 is deep night.
    """
    saturation = 1 - 0.6 * strength
    tint = 1 + strength * (np.array(_MOONLIGHT) - 1)
    matrix = _coloured(saturation, tint)
    out = np.empty_like(video)
    for frame, dark in zip(video, out, strict=True):
        light = cv2.transform(_linear(frame), matrix)
        # highlights lose less: exposure falls as the square of what there was
        luminance = _luminance(light)[..., None]
        light *= 1 - np.float32(strength * 0.93) * (1 - np.float32(0.35) * luminance)
        dark[:] = to_stored(np.minimum(light, 1))
    return out


def golden_hour(video: Video, *, side: float = 1.0, strength: float = 1.0) -> Video:
    """Return the video in the last sun: warm where it is bright, cool in the shade, and a glow from one side.

    `side`: -1 (sun on the left) to 1 (right). `strength`: 0 leaves the video as it is.
    """
    height, width = video.shape[1:3]
    across = np.linspace(-1, 1, width, dtype=np.float32)[None]
    down = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    glow = np.exp(-(((across - np.float32(side)) / 1.1) ** 2) - ((down - 0.25) / 0.6) ** 2).astype(np.float32)
    warm, cool = (
        np.float32(1) + np.float32(strength) * (np.array(tint, np.float32) - 1) for tint in (_LOW_SUN, _SHADE)
    )
    out = np.empty_like(video)
    for frame, lit in zip(video, out, strict=True):
        light = _linear(frame)
        share = np.clip(_luminance(light) * np.float32(2.2), 0, 1)[..., None]
        light *= cool + (warm - cool) * share
        light += np.float32(0.22 * strength) * glow[..., None] * np.array([1.0, 0.62, 0.26], np.float32)
        lit[:] = to_stored(np.minimum(light, 1))
    return out


def bright_day(video: Video, *, strength: float = 1.0) -> Video:
    """Return the video under a high sun: more light, contrast and colour, whites near their limit.

    `strength`: 0 leaves the video as it is.
    """
    matrix = _coloured(1 + 0.25 * strength, 1 + strength * (np.array([1.04, 1.0, 0.95]) - 1))
    exposure = np.float32(1 + 0.6 * strength)
    knee = np.float32(strength)
    out = np.empty_like(video)
    for frame, lit in zip(video, out, strict=True):
        light = np.maximum(cv2.transform(_linear(frame), matrix), 0) * exposure
        # a soft shoulder in the place of clipping: Reinhard et al. 2002, with white at twice the paper's
        light = light * (1 + light * knee / 4) / (1 + light * knee)
        light *= 1 + knee / 4
        lit[:] = to_stored(np.minimum(light, 1).astype(np.float32))
    return out


def _coloured(saturation: float, tint: NDArray[np.float64]) -> NDArray[np.float64]:
    mixed = saturation * np.eye(3) + (1 - saturation) * np.array([_LUMINANCE])
    matrix: NDArray[np.float64] = tint[:, None] * mixed
    return matrix


def _linear(frame: NDArray[np.uint8]) -> NDArray[np.float32]:
    return cast("NDArray[np.float32]", cv2.LUT(frame, TO_LINEAR))


def _luminance(light: NDArray[np.float32]) -> NDArray[np.float32]:
    return cast("NDArray[np.float32]", cv2.transform(light, np.array([_LUMINANCE])))


def toward(side: float) -> str:
    """Return `left` or `right`, where a sun at `side` stands."""
    return "left" if math.copysign(1, side) < 0 else "right"
