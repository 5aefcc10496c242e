"""Blur: what a long exposure, a shaking hand and a lens out of focus do to sharp frames. All of it in linear light."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from datagen.effects.light import TO_LINEAR, to_stored
from shards.sample import Video

Light = NDArray[np.float32]
"""Linear light in [0, 1], float32 [h w c]."""
Flow = NDArray[np.float32]
"""Displacement (x, y) of every pixel in pixels, float32 [h w 2]."""
_LEAST_SIDE = 32
"""Pixels: OpenCV's fast search reads outside of smaller pictures."""
_PIXELS_AT_ONCE = 16384
"""So many are moved and added up in the processor's cache: two thirds of the time that whole frames take."""


class Glimpse(NamedTuple):
    """What is seen at one moment: a picture moved by `share` of its flow, or where it is (None)."""

    light: Light
    flow: Flow | None = None
    share: float = 0.0


def mean_stored(glimpses: Sequence[Glimpse]) -> NDArray[np.uint8]:
    """Return g((1/M) sum L_i), uint8 [h w 3], of M pictures in linear light, float32 [h w 4]; g(x) = x^(1/2.2).

    Source: Nah et al., "Deep Multi-scale Convolutional Neural Network for Dynamic Scene Deblurring", 2017, eq. 2.
    """
    height, width = glimpses[0].light.shape[:2]
    grid = _grid(height, width)
    mean = np.empty((height, width, 3), np.uint8)
    rows = max(_PIXELS_AT_ONCE // width, 1)
    for top in range(0, height, rows):
        band = slice(top, min(top + rows, height))
        cv2.cvtColor(to_stored(_mean(glimpses, band, grid[band])), cv2.COLOR_RGBA2RGB, dst=mean[band])
    return mean


def _mean(glimpses: Sequence[Glimpse], band: slice, grid: NDArray[np.float32]) -> Light:
    """Return some rows of the mean of pictures."""
    total = np.zeros_like(glimpses[0].light[band])
    places, moved = np.empty_like(grid), np.empty_like(total)
    for light, flow, share in glimpses:
        if flow is None:
            cv2.add(total, light[band], dst=total)
        else:
            cv2.scaleAdd(flow[band], -share, grid, dst=places)
            cv2.remap(light, places, None, cv2.INTER_LINEAR, dst=moved, borderMode=cv2.BORDER_REPLICATE)
            cv2.add(total, moved, dst=total)
    total *= 1 / len(glimpses)
    return total


@lru_cache(maxsize=4)
def _grid(height: int, width: int) -> NDArray[np.float32]:
    """Return the place (x, y) of every pixel, float32 [h w 2]."""
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    return np.dstack([columns, rows])


class Lights:
    """The frames of a video, uint8 [t h w 3], in linear light: float32 [h w 4], of which the last channel is 1.

    Of four channels OpenCV's `remap` takes half the time of three. Some are kept: neighbouring exposures share frames.
    """

    def __init__(self, video: Video, *, keep: int) -> None:
        self.video = video
        self._keep = keep
        self._made: dict[int, Light] = {}

    def __getitem__(self, number: int) -> Light:
        if number not in self._made:
            if len(self._made) >= self._keep:
                del self._made[next(iter(self._made))]
            self._made[number] = cv2.LUT(cv2.cvtColor(self.video[number], cv2.COLOR_RGB2RGBA), TO_LINEAR)
        return self._made[number]


class Interpolator:
    """Gives the frames between the frames of a video, moved along its optical flow.

    A frame at time n + d, |d| <= 1/2, is frame n moved by d times its flow to the neighbour on that side, so that
    nothing is ever shown twice, as cross-fading would. Beyond the first and the last frame motion goes on as it was. The flow
    is OpenCV's dense inverse search (Kroeger et al. 2016).
    """

    def __init__(self, video: Video) -> None:
        self._lights = Lights(video, keep=4)
        self._gray = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in video]
        self._search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        # half of the time, and frames moved along the flow come no nearer to their neighbours with it
        self._search.setVariationalRefinementIterations(0)
        self._flows: dict[tuple[int, int], Flow] = {}

    def at(self, time: float) -> Glimpse:
        """Return what is seen at `time` in frames; a whole number gives that frame itself."""
        n = min(max(round(time), 0), len(self._gray) - 1)
        d = time - n
        if d == 0:
            return Glimpse(self._lights[n])
        return Glimpse(self._lights[n], self._flow(n, 1 if d > 0 else -1), abs(d))

    def _flow(self, n: int, side: int) -> Flow:
        other = n + side
        if len(self._gray) == 1:
            return np.zeros((*self._gray[0].shape, 2), np.float32)
        if not 0 <= other < len(self._gray):
            return -self._flow(n, -side)
        if (n, other) not in self._flows:
            height, width = self._gray[n].shape
            found = self._search.calc(_padded(self._gray[n]), _padded(self._gray[other]), None)
            self._flows[n, other] = found[:height, :width]
        return self._flows[n, other]


def _padded(gray: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a picture with its last rows and columns repeated up to what OpenCV's search needs: below that it crashes."""
    missing = [max(_LEAST_SIDE - side, 0) for side in gray.shape]
    return cv2.copyMakeBorder(gray, 0, missing[0], 0, missing[1], cv2.BORDER_REPLICATE) if any(missing) else gray


def exposure_blur(
    centres: Sequence[int], *, samples: Sequence[int], per_interval: int, at: Callable[[float], Glimpse]
) -> Video:
    """Return what a camera would have caught that kept its shutter open around some frames: uint8 [len(centres) h w 3].

    Each result is the linear mean of `samples[i]` (odd) pictures, `1 / per_interval` frames apart, around frame
    `centres[i]` of the video. `at` gives what is seen at a time in frames, as `Interpolator.at` does.
    """
    blurred = []
    for centre, count in zip(centres, samples, strict=True):
        reach = count // 2
        blurred.append(mean_stored([at(centre + k / per_interval) for k in range(-reach, reach + 1)]))
    return np.stack(blurred)


def shake_blur(video: Video, paths: Sequence[Sequence[Sequence[float]]]) -> Video:
    """Return uint8 [t h w 3]: every frame seen along the way that a shaking camera took during its exposure.

    `paths[i]`: places (x, y) in pixels, equal times apart, that add up to about (0, 0), so that the picture stays
    where it is. They become a kernel whose weights sum to 1 (each place spread over its four pixels).
    """
    blurred = np.empty_like(video)
    for frame, path, out in zip(video, paths, blurred, strict=True):
        light = cv2.filter2D(cv2.LUT(frame, TO_LINEAR), -1, path_kernel(path), borderType=cv2.BORDER_REFLECT)
        out[:] = to_stored(light)
    return blurred


def path_kernel(path: Sequence[Sequence[float]]) -> NDArray[np.float32]:
    """Return the kernel of a way, float32 [k k], k odd, with sum 1."""
    places = np.asarray(path, float)
    reach = int(np.ceil(np.abs(places).max())) + 1
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float64)
    for x, y in places + reach:
        column, row = int(np.floor(x)), int(np.floor(y))
        right, below = x - column, y - row
        square = np.outer([1 - below, below], [1 - right, right])
        kernel[row : row + 2, column : column + 2] += square
    # the outermost rows and columns are empty unless a place lies on the very edge
    return (kernel / kernel.sum()).astype(np.float32)


def tremor(
    rng: np.random.Generator, frames: int, *, fps: float, exposure: float, amplitude: float, places: int
) -> list[list[list[float]]]:
    """Return for each frame the way of a shaking camera during its exposure: `places` points (x, y), in pixels.

    One smooth way runs through the whole clip - in each direction three sines of 2 to 10 Hz, the tremor of a hand,
    with a standard deviation of `amplitude` pixels - of which each frame sees `exposure` seconds; its middle is moved to (0, 0).
    """
    rates = rng.uniform(2, 10, (2, 3))
    phases = rng.uniform(0, 2 * np.pi, (2, 3))
    weights = rng.uniform(0.5, 1, (2, 3)) / rates
    weights *= amplitude * np.sqrt(2) / np.sqrt((weights**2).sum(1, keepdims=True))
    times = np.arange(frames)[:, None] / fps + np.linspace(-0.5, 0.5, places) * exposure
    way = (
        weights[:, :, None, None] * np.sin(2 * np.pi * rates[:, :, None, None] * times + phases[:, :, None, None])
    ).sum(1)
    way -= way.mean(-1, keepdims=True)
    return [
        [[round(float(x), 3), round(float(y), 3)] for x, y in zip(*frame, strict=True)]
        for frame in way.transpose(1, 0, 2)
    ]


def defocus_blur(video: Video, depth: NDArray[np.float32], *, focus: Sequence[float], aperture: float) -> Video:
    """Return uint8 [t h w 3]: the video through a lens focused at depth `focus[i]`.

    The circle of confusion has the diameter `aperture |1/d - 1/focus|` in pixels (thin lens, far from its focal
    length; `aperture` in pixels times the unit of `depth`). Each pixel is a mix of the two nearest of a few discs, so
    that depth edges are soft; near objects do not spread over what is behind them.
    """
    blurred = np.empty_like(video)
    for frame, far, f, out in zip(video, depth, focus, blurred, strict=True):
        diameter = np.float32(aperture) * np.abs(1 / far - np.float32(1 / f))
        light = cv2.LUT(frame, TO_LINEAR)
        out[:] = to_stored(_mixed_discs(light, diameter))
    return blurred


def _mixed_discs(light: Light, diameter: NDArray[np.float32]) -> Light:
    result = np.zeros_like(light)
    least, most = diameter.min(1), diameter.max(1)
    for level in range(int(np.ceil(most.max())) + 1):
        rows = np.flatnonzero((least < level + 1) & (most > level - 1))
        if not len(rows):
            continue
        # depth mostly changes from row to row, so that few rows need the same disc
        band = slice(rows[0], rows[-1] + 1)
        weight = np.maximum(1 - np.abs(diameter[band] - np.float32(level)), 0)
        result[band] += weight[..., None] * (light[band] if level < 1 else _through_disc(light, band, level))
    return result


def _through_disc(light: Light, band: slice, diameter: float) -> Light:
    """Return some rows of a picture blurred by a disc."""
    kernel = disc_kernel(diameter)
    reach = len(kernel) // 2
    top, bottom = max(band.start - reach, 0), min(band.stop + reach, len(light))
    blurred = cv2.filter2D(light[top:bottom], -1, kernel, borderType=cv2.BORDER_REFLECT)
    return blurred[band.start - top : band.stop - top]


@cache
def disc_kernel(diameter: float) -> NDArray[np.float32]:
    """Return a disc of this diameter in pixels with soft edges, float32 [k k], k odd, with sum 1."""
    reach = int(np.ceil((diameter - 1) / 2)) + 1
    fine, size = 8, 2 * reach + 1
    places = (np.arange(size * fine) + 0.5) / fine - size / 2
    inside = places[:, None] ** 2 + places**2 <= (diameter / 2) ** 2
    kernel = inside.reshape(size, fine, size, fine).mean((1, 3))
    return (kernel / kernel.sum()).astype(np.float32)
