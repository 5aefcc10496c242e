"""Another time of day and another sky over the same scene. All of it in linear light."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from datagen.effects.light import TO_LINEAR, to_stored
from shards.sample import Video

_LUMA = np.array([0.2126, 0.7152, 0.0722])
_MOONLIGHT = np.array([0.60, 0.85, 1.45])
"""What gray turns into at night: blue, of five sixths of its luminance."""
_LOW_SUN = np.array([1.32, 0.95, 0.55])
"""Light of about 4300 K relative to 6500 K, of the same luminance."""
_COOL_SKY = np.array([0.95, 1.0, 1.08])
"""An overcast sky, about 7000 K, relative to 6500 K."""


def night(video: Video, *, strength: float, exposure: float) -> Video:
    """Return the scene as by moonlight: uint8 [t h w 3].

    Light falls to `exposure` (0.03 to 0.15), bright lamps and sky less; colours shrink to a quarter and turn to blue,
    and the corners darken a little. `strength` 0 leaves the video as it is, 1 is full night; in between it darkens
    steadily. Source: the day-for-night recipe of film, with the blue shift and the lost colour of human night vision from
    Jensen et al., "Night Rendering", 2000.
    """
    # what shines brightly may be a lamp: the fourth power keeps highlights and hardly lifts the rest
    curve = exposure * (TO_LINEAR + 3 * TO_LINEAR**4)
    table = _mixed(TO_LINEAR, curve, strength)
    blue = _mixed(np.eye(3), _saturation(0.25) * _MOONLIGHT[:, None], strength)
    gain = np.repeat(vignette(video.shape[1:3], 0.5 * strength)[..., None], 3, axis=2)
    return _relit(video, np.repeat(table[:, None], 3, 1), blue, gain=gain)


def golden_hour(video: Video, *, strength: float, side: float) -> Video:
    """Return the scene under a low warm sun that stands beyond the picture: uint8 [t h w 3].

    `side`: the sun's direction in degrees, 0 right, 90 top, 180 left. Highlights turn orange, shadows stay nearly
    neutral (split toning), and a soft gradient of light and flare falls in from the sun's side. `strength` from 0, which
    leaves the video as it is, to 1.
    """
    # light takes the sun's colour in proportion to how much of it arrives
    lit = np.sqrt(TO_LINEAR)[:, None]
    tones = (1 - lit) * np.array([0.92, 0.88, 0.92]) + lit * _LOW_SUN
    table = TO_LINEAR[:, None] * _mixed(1.0, tones, strength)
    toward = _toward(video.shape[1:3], side)
    gain = np.repeat(1 + np.float32(strength) * (0.42 * toward - 0.30), 3, axis=2)
    flare = toward**2 * np.array([0.30, 0.155, 0.05], np.float32) * np.float32(strength)
    return _relit(video, table, _mixed(np.eye(3), _saturation(1.1), strength), gain=gain, flare=flare)


def overcast(video: Video, *, strength: float) -> Video:
    """Return the scene under a gray sky: uint8 [t h w 3], cooler, paler, its highlights and shadows drawn together.

    `strength` from 0, which leaves the video as it is, to 1.
    """
    # contrast about mid-gray (18 %) falls to three quarters in log light
    flat = 0.85 * 0.18 * (TO_LINEAR / 0.18) ** 0.75
    table = _mixed(TO_LINEAR, flat, strength)[:, None] * _mixed(1.0, _COOL_SKY, strength)
    return _relit(video, table, _mixed(np.eye(3), _saturation(0.6), strength))


def bright_day(video: Video, *, strength: float) -> Video:
    """Return the scene at a clear noon: uint8 [t h w 3], brighter, with more contrast and stronger colours.

    `strength` from 0, which leaves the video as it is, to 1.
    """
    # a shoulder keeps highlights from clipping: x (1 + x / w^2) / (1 + x) with white w (Reinhard et al. 2002, eq. 4)
    exposed, white = 4.0 * TO_LINEAR**1.15, 3.0
    noon = exposed * (1 + exposed / white**2) / (1 + exposed)
    table = _mixed(TO_LINEAR, noon, strength)[:, None] * _mixed(1.0, np.array([1.05, 1.0, 0.92]), strength)
    return _relit(video, table, _mixed(np.eye(3), _saturation(1.45), strength))


def vignette(size: tuple[int, int], strength: float) -> NDArray[np.float32]:
    """Return float32 [h w]: 1 in the middle, falling by `strength` (0 to 1) towards the corners as cos^4 does."""
    height, width = size
    y, x = (np.linspace(-1, 1, n, dtype=np.float32) for n in (height, width))
    squared = (y[:, None] ** 2 + x**2) / 2
    return (1 - strength * squared * (2 - squared)).astype(np.float32)


def _relit(
    video: Video,
    table: NDArray[np.float64],
    colours: NDArray[np.float64],
    *,
    gain: NDArray[np.float32] | None = None,
    flare: NDArray[np.float32] | None = None,
) -> Video:
    """Return gain (colours table[v]) + flare: `table` [256 3] gives linear light, `colours` is a 3x3 matrix.

    `gain` and `flare`: float32 [h w 3].
    """
    relit, light = np.empty_like(video), np.empty(video.shape[1:], np.float32)
    rows, matrix = table.astype(np.float32).reshape(1, 256, 3), colours.astype(np.float32)
    for frame, out in zip(video, relit, strict=True):
        cv2.transform(cv2.LUT(frame, rows), matrix, dst=light)
        if gain is not None:
            light *= gain
        if flare is not None:
            light += flare
        # as one plane: OpenCV compares only the first channel of several with a single number
        out[:] = to_stored(light.reshape(len(light), -1)).reshape(frame.shape)
    return relit


def _mixed(plain: NDArray[np.floating] | float, full: NDArray[np.floating], strength: float) -> NDArray[np.float64]:
    return np.asarray((1 - strength) * plain + strength * full, float)


def _saturation(share: float) -> NDArray[np.float64]:
    """Return the 3x3 matrix that leaves luminance as it is and colours at `share` of their strength."""
    return share * np.eye(3) + (1 - share) * _LUMA


def _toward(size: tuple[int, int], side: float) -> NDArray[np.float32]:
    """Return float32 [h w 1]: from 0 at the border away from `side` (degrees, 0 right, 90 top) smoothly to 1 at it."""
    height, width = size
    y, x = np.linspace(1, -1, height), np.linspace(-1, 1, width)
    angle = np.deg2rad(side)
    along = np.cos(angle) * x + np.sin(angle) * y[:, None]
    along = (along / (abs(np.cos(angle)) + abs(np.sin(angle))) + 1) / 2
    return (along**2 * (3 - 2 * along)).astype(np.float32)[..., None]
