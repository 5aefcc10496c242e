"""Weather that was not there: rain, snow and fog over any video.

Drops and flakes live in space before a camera that does not move: a layer at distance z falls v f / z pixels a second
(v metres a second, focal length f = `FOCAL` picture heights), so that near ones are fast, long and large, far ones
slow, short and small - the depth cue of Garg & Nayar, "Vision and Rain", 2007.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from datagen.effects.depth import perspective_depth
from datagen.effects.haze import haze
from shards.sample import Video

FOCAL = 1.2
"""Focal length in picture heights: a vertical angle of view of 45 degrees."""
RAIN_SPEED = 8.0
"""Metres a second: a drop of 3 mm at its terminal velocity (Gunn & Kinzer 1949)."""
SNOW_SPEED = 1.2
"""Metres a second: an aggregate of snow crystals (Locatelli & Hobbs 1974)."""
HORIZON, FAR = 0.35, 8.0
"""Of `perspective_depth`, for fog over a video without depth."""

Mask = NDArray[np.uint8]
"""uint8 [t h w]: how much a pixel is covered, 255 for all of it."""


@dataclass(frozen=True, kw_only=True)
class Layer:
    """Drops or flakes at one distance; sizes in pixels of a 256 rows high picture."""

    distance: float
    """In metres."""
    count: int
    """How many are in a square picture at full intensity."""
    size: float
    """Width of a streak, or radius of a flake."""
    cover: float
    """How much of what is behind it one hides, 0 to 1."""


RAIN = (
    Layer(distance=16, count=340, size=1, cover=0.24),
    Layer(distance=9, count=180, size=1, cover=0.36),
    Layer(distance=5, count=70, size=1, cover=0.50),
    Layer(distance=3, count=20, size=2, cover=0.36),
)
"""From far to near."""
SNOW = (
    Layer(distance=14, count=420, size=0.9, cover=0.60),
    Layer(distance=8, count=180, size=1.3, cover=0.85),
    Layer(distance=4.5, count=60, size=2.1, cover=0.90),
    Layer(distance=2.2, count=14, size=4.2, cover=0.50),
)
"""From far to near; the nearest are out of focus."""

_REFERENCE = 256
_SHUTTER = 0.75
"""Share of the time between two frames that the shutter is open, as in the dull light of rain."""
_SUBPIXEL = 4
"""Binary digits after the point of the coordinates that OpenCV draws with."""
_GOLDEN = 0.6180339887
_SWAY = 0.07
"""Metres that a flake swings to either side."""


def rain(
    video: Video,
    *,
    fps: float,
    intensity: float,
    wind: float,
    veil: float,
    seed: int,
    depth: NDArray[np.float32] | None = None,
) -> Video:
    """Return the video in the rain: uint8 [t h w 3].

    `intensity` from 0 to 1 (a downpour) is the share of the drops of `RAIN`, and makes the light duller. `wind` blows to the
    right with that many metres a second. `veil`: share of the light that the rain in the air takes at the mean
    distance (0 to 0.5), more behind it if `depth`, float32 [t h w] in any unit, is given. Intensity and veil 0 leave
    the video as it is.
    """
    dull = _veiled(_dulled(video, 0.35 * intensity, 0.22 * intensity), veil, _overcast_light(video), depth)
    mask = np.zeros(video.shape[:3], np.uint8)
    for number, layer in enumerate(RAIN):
        draw_streaks(mask, layer, fps=fps, share=intensity, wind=wind, seed=[seed, number])
    return _covered(dull, mask, soften=True, shade=_overcast_light(video))


def snow(
    video: Video,
    *,
    fps: float,
    intensity: float,
    wind: float,
    veil: float,
    seed: int,
    depth: NDArray[np.float32] | None = None,
) -> Video:
    """Return the video in falling snow: uint8 [t h w 3]. Parameters as for `rain`, with the flakes of `SNOW`."""
    dull = _veiled(_dulled(video, 0.30 * intensity, 0.06 * intensity), veil, (0.80, 0.84, 0.90), depth)
    mask = np.zeros(video.shape[:3], np.uint8)
    for number, layer in enumerate(SNOW):
        draw_flakes(mask, layer, fps=fps, share=intensity, wind=wind, seed=[seed, number])
    return _covered(dull, mask, soften=False, shade=(0.92, 0.95, 1.0))


def fog(video: Video, *, density: float, airlight: Sequence[float], depth: NDArray[np.float32] | None = None) -> Video:
    """Return the video in fog: uint8 [t h w 3], by `haze` with beta = `density` / mean depth.

    `density`: optical depth at the mean distance, 0 (none) to 2. `airlight`: linear RGB in [0, 1]. `depth`: float32
    [t h w] in any unit; the perspective prior of `perspective_depth` without.
    """
    far = perspective_depth(video, horizon=HORIZON, far=FAR) if depth is None else depth
    return haze(video, far, beta=[density / float(far.mean())] * len(video), airlight=[airlight] * len(video))


def speed(layer: Layer, metres: float, *, height: int, fps: float) -> float:
    """Return how many pixels a frame something moves in this layer that moves `metres` a second."""
    return metres * FOCAL * height / layer.distance / fps


def draw_streaks(mask: Mask, layer: Layer, *, fps: float, share: float, wind: float, seed: Sequence[int]) -> None:
    """Draw into `mask` the streaks of one layer's drops while the shutter is open: each `_SHUTTER` of its way long."""
    height = mask.shape[1]
    fall, drift = (speed(layer, metres, height=height, fps=fps) for metres in (RAIN_SPEED, wind))
    slant = drift / fall
    streak = np.array([slant, 1.0]) * fall * _SHUTTER
    drops = _fallen(mask.shape, layer, fall=fall, slant=slant, share=share, margin=streak[1], seed=seed)
    thickness = max(round(layer.size * height / _REFERENCE), 1)
    ends = np.round(np.stack([drops - streak / 2, drops + streak / 2], 2) * 2**_SUBPIXEL).astype(np.int32)
    # no line is thinner than a pixel: in small pictures it is fainter instead
    shade = round(255 * layer.cover * min(layer.size * height / _REFERENCE / thickness, 1))
    for picture, lines in zip(mask, ends, strict=True):
        cv2.polylines(picture, list(lines), False, shade, thickness, cv2.LINE_AA, _SUBPIXEL)


def draw_flakes(mask: Mask, layer: Layer, *, fps: float, share: float, wind: float, seed: Sequence[int]) -> None:
    """Add to `mask` one layer's flakes: round and soft, falling with the wind and each swaying in its own time."""
    height, width = mask.shape[1:]
    fall, drift = (speed(layer, metres, height=height, fps=fps) for metres in (SNOW_SPEED, wind))
    radius = layer.size * height / _REFERENCE
    sway = _SWAY * FOCAL * height / layer.distance
    flakes = _fallen(
        mask.shape, layer, fall=fall, slant=drift / fall, share=share, margin=4 * radius, seed=seed, sway=sway, fps=fps
    )
    # drawn where the radius is about a pixel: large flakes are smooth and need few pixels
    scale = min(1.2 / radius, 1.0)
    small = max(round(height * scale), 1), max(round(width * scale), 1)
    wanted = 0.7 * radius * small[0] / height
    sigma = max(wanted, 0.5)
    # what a spread over the four nearest pixels and a Gaussian leave of a peak; flakes that are too small are fainter
    peak = 255 * layer.cover * wanted / sigma * 2 * np.pi * (sigma**2 + 1 / 6)
    for picture, points in zip(mask, flakes, strict=True):
        spots = _splat((points + 0.5) * (small[1] / width, small[0] / height) - 0.5, small)
        soft = cv2.GaussianBlur(spots, (0, 0), sigma)
        cv2.add(picture, cv2.convertScaleAbs(cv2.resize(soft, (width, height)), alpha=peak), dst=picture)


def _fallen(
    shape: tuple[int, ...],
    layer: Layer,
    *,
    fall: float,
    slant: float,
    share: float,
    margin: float,
    seed: Sequence[int],
    sway: float = 0.0,
    fps: float = 1.0,
) -> NDArray[np.float64]:
    """Return places (x, y) [t n 2] of things that fall `fall` pixels a frame and drift `slant` times as much.

    What leaves at the lower border comes in again above the upper one, at another place.
    """
    frames, height, width = shape
    rng = np.random.default_rng(seed)
    period, reach = height + 2 * margin, width + abs(slant) * height + 2 * margin
    count = round(share * layer.count * reach * period / height**2)
    across, down, phase = rng.uniform(size=(3, count))
    rate = rng.uniform(0.3, 0.9, count) / fps
    time = np.arange(frames)[:, None]
    rounds, y = np.divmod(down * period + fall * time, period)
    x = (across + _GOLDEN * rounds) % 1 * reach - margin + slant * y - max(slant, 0) * height
    x += sway * np.sin(2 * np.pi * (phase + rate * time))
    return np.stack([x, y - margin], 2)


def _splat(points: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float32]:
    """Return float32 [h w]: 1 for every point (x, y), spread over the four pixels around it."""
    height, width = size
    low = np.floor(points).astype(int)
    share = points - low
    spots = np.zeros(height * width, np.float32)
    for right, below in ((0, 0), (1, 0), (0, 1), (1, 1)):
        x, y = low[:, 0] + right, low[:, 1] + below
        weight = np.abs(1 - right - share[:, 0]) * np.abs(1 - below - share[:, 1])
        inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        np.add.at(spots, (y * width + x)[inside], weight[inside].astype(np.float32))
    return spots.reshape(size)


def _covered(video: Video, mask: Mask, *, soften: bool, shade: Sequence[float]) -> Video:
    """Return the video with light of the colour `shade` (0 to 1) wherever the mask covers it."""
    result = np.empty_like(video)
    table = np.round(np.arange(256)[:, None] * np.array(shade)).astype(np.uint8).reshape(1, 256, 3)
    three, light = np.empty_like(video[0]), np.empty_like(video[0])
    for frame, cover, out in zip(video, mask, result, strict=True):
        soft = cv2.GaussianBlur(cover, (3, 3), 0) if soften else cover
        cv2.merge([soft] * 3, three)
        cv2.LUT(three, table, dst=light)
        cv2.multiply(frame, cv2.bitwise_not(three, dst=three), dst=out, scale=1 / 255)
        cv2.add(out, light, dst=out)
    return result


def _dulled(video: Video, colour: float, light: float) -> Video:
    """Return the video with `colour` of its colours and `light` of its light taken away."""
    luma = np.array([0.299, 0.587, 0.114])
    matrix = ((1 - light) * ((1 - colour) * np.eye(3) + colour * luma)).astype(np.float32)
    dull = np.empty_like(video)
    for frame, out in zip(video, dull, strict=True):
        cv2.transform(frame, matrix, dst=out)
    return dull


def _overcast_light(video: Video) -> tuple[float, float, float]:
    """Return the gray that rain and the wet air shine in: brighter in a bright scene, in [0, 1]."""
    gray = 0.45 + 0.5 * float(video[:, ::4, ::4].mean()) / 255
    return gray * 0.97, gray, min(gray * 1.03, 1.0)


def _veiled(video: Video, veil: float, airlight: Sequence[float], depth: NDArray[np.float32] | None) -> Video:
    """Return the video in haze that hides the share `veil` at the mean depth, everywhere the same without depth."""
    if veil == 0:
        return video
    density = -float(np.log1p(-veil))
    linear = [float(a) ** 2.2 for a in airlight]
    if depth is not None:
        return fog(video, density=density, airlight=linear, depth=depth)
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, None, :, None], 3, axis=3)
    table = fog(ramp, density=density, airlight=linear, depth=np.ones((1, 1, 256), np.float32))[0]
    veiled = np.empty_like(video)
    for frame, out in zip(video, veiled, strict=True):
        cv2.LUT(frame, table, dst=out)
    return veiled
