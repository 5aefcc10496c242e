"""Rain and snow that fall through a video at the speed they have, in layers of distance."""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from shards.sample import Video

Layer = NDArray[np.uint8]
"""uint8 [h' w'], how much of it one sees, 255 all; its borders fit to each other."""
_FOCAL = 1.1
"""Focal length in picture heights: a phone's camera."""
_RAIN_SPEED, _SNOW_SPEED = 7.0, 1.1
"""Metres per second at which drops of 2 mm and flakes of 5 mm fall."""
_SHUTTER = 0.5
"""Share of the time between two frames during which a drop draws its streak."""
_RAIN_METRES, _SNOW_METRES = (3.0, 6.0, 12.0), (2.0, 4.0, 8.0)
"""Distances of the layers."""


def rain(video: Video, *, seed: int, fps: float, amount: float = 1.0, slant: float = 0.1) -> Video:
    """Return the video in rain: bright streaks in three layers, and the dull light of a rainy day.

    A drop `d` metres away falls 7 m/s * f / d: near ones are fast and long. `amount`: 0.3 (drizzle) to 2 (downpour).
    `slant`: sideways for each step down, -0.5 to 0.5. `fps`: of the clip.
    """
    height, width = video.shape[1:3]
    rng = np.random.default_rng(seed)
    layers, steps = [], []
    for metres in _RAIN_METRES:
        step = _RAIN_SPEED / fps * _FOCAL * height / metres
        length = max(_SHUTTER * step, 2.0)
        thick = max(round(0.9 * height / 256 * 3 / metres), 1)
        count = round(amount * 30 * metres / 3 * width / height)
        layers.append(_tile(rng, (height, width), count, _streak(length, slant, thick)))
        steps.append((slant * step, step))
    wet = _graded(video, saturation=0.72, gain=0.86, lift=10)
    return _in_front(wet, layers, steps, opacity=(0.62, 0.5, 0.4), colour=(216, 222, 230))


def snow(video: Video, *, seed: int, fps: float, amount: float = 1.0, wind: float = 0.2) -> Video:
    """Return the video in falling snow: flakes in three layers, the near ones large and soft, and a pale light.

    A flake `d` metres away falls 1.1 m/s * f / d, and is blown sideways by `wind` times that. `amount`: 0.3 to 2.
    """
    height, width = video.shape[1:3]
    rng = np.random.default_rng(seed)
    layers, steps = [], []
    for metres in _SNOW_METRES:
        step = _SNOW_SPEED / fps * _FOCAL * height / metres
        radius = max(5.2 / metres * height / 256, 0.7)
        count = round(amount * 45 * metres / 2 * width / height)
        layers.append(_tile(rng, (height, width), count, _flake(radius), blur=0.45 * radius))
        steps.append((wind * step, step))
    pale = _graded(video, saturation=0.68, gain=0.88, lift=26)
    return _in_front(pale, layers, steps, opacity=(0.95, 0.9, 0.8), colour=(248, 250, 253))


def _streak(length: float, slant: float, thick: int) -> Callable[[Layer, NDArray[np.float64], float], None]:
    def draw(canvas: Layer, at: NDArray[np.float64], light: float) -> None:
        end = at + np.array([slant * length, length])
        # coordinates in sixteenths of a pixel
        start, stop = (tuple(int(16 * value) for value in point) for point in (at, end))
        cv2.line(canvas, start, stop, 255 * light, thick, cv2.LINE_AA, 4)

    return draw


def _flake(radius: float) -> Callable[[Layer, NDArray[np.float64], float], None]:
    def draw(canvas: Layer, at: NDArray[np.float64], light: float) -> None:
        centre = tuple(int(16 * value) for value in at)
        cv2.circle(canvas, centre, max(int(16 * radius * (0.6 + 0.4 * light)), 8), 255 * light, -1, cv2.LINE_AA, 4)

    return draw


def _tile(
    rng: np.random.Generator,
    size: tuple[int, int],
    count: int,
    draw: Callable[[Layer, NDArray[np.float64], float], None],
    blur: float = 0.0,
) -> Layer:
    """Draw drops or flakes at random places of a layer whose borders fit: what leaves below comes in above."""
    height, width = size
    layer = np.zeros((height, width), np.uint8)
    places = rng.uniform(0, 1, (max(count, 1), 2)) * [width, height]
    light = rng.uniform(0.45, 1, len(places))
    for at, bright in zip(places, light, strict=True):
        for across in (-width, 0, width):
            for down in (-height, 0, height):
                moved = at + np.array([across, down])
                if -0.3 * width < moved[0] < 1.3 * width and -0.5 * height < moved[1] < 1.3 * height:
                    draw(layer, moved, float(bright))
    if blur > 0.3:
        margin = math.ceil(4 * blur)
        wrapped = cv2.copyMakeBorder(layer, margin, margin, margin, margin, cv2.BORDER_WRAP)
        layer = cv2.GaussianBlur(wrapped, (0, 0), blur)[margin:-margin, margin:-margin]
    return np.ascontiguousarray(layer)


def _in_front(
    video: Video,
    layers: list[Layer],
    steps: list[tuple[float, float]],
    *,
    opacity: tuple[float, ...],
    colour: tuple[int, int, int],
) -> Video:
    """Blend the layers, each moved by its step (x, y) per frame, over the video."""
    plain = np.empty(video.shape[1:], np.float32)
    plain[:] = colour
    out = np.empty_like(video)
    for i, (frame, shown) in enumerate(zip(video, out, strict=True)):
        clear = np.ones(video.shape[1:3], np.float32)
        for layer, (across, down), share in zip(layers, steps, opacity, strict=True):
            moved = np.roll(layer, (round(down * i), round(across * i)), axis=(0, 1))
            clear *= 1 - moved * np.float32(share / 255)
        mixed = plain + (frame - plain) * clear[..., None]
        shown[:] = np.clip(mixed + 0.5, 0, 255).astype(np.uint8)
    return out


def _graded(video: Video, *, saturation: float, gain: float, lift: float) -> Video:
    """Return the video with less colour and contrast: value * gain + lift, and `saturation` of its distance from gray."""
    weights = np.array([[0.299, 0.587, 0.114]])
    matrix = gain * (saturation * np.eye(3) + (1 - saturation) * weights)
    full = np.hstack([matrix, np.full((3, 1), lift)])
    return np.stack([cv2.transform(frame, full) for frame in video])
