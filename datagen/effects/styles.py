"""Looks: what a draughtsman, a painter, an old computer or an old film would have made of the clip.

A still clip stays still: textures, palettes and statistics are made once for the whole clip. The one exception is film
grain, whose amplitude is small.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from datagen.effects.relight import vignette
from shards.sample import Video

Table = NDArray[np.uint8]
"""A curve for `cv2.LUT`, uint8 [1 256 1] or [1 256 3]."""

_REFERENCE = 256
"""Height in pixels that sizes of strokes, lines and grain are given for."""
_CALM = np.float32(8.0)
"""Variance, in squared values, that a painter takes for flat."""
_SAMPLE = 2048
"""Blocks that a palette is made from."""
_STEEPNESS = 4.0
"""Of a cartoon's steps between two tones: 0 would leave them out, endless would make them hard and flicker."""
_LAB_UNITS = np.array([100 / 255, 1, 1], np.float32)
_LOYALTY = 8.0
"""Squared distance in Lab by which another colour of the palette must be nearer before a block takes it."""
_ROLL = 64
"""Pixels by which the piece of film with the grain is larger than the picture."""
_VALUES = np.arange(256.0)
_EMBOSS = np.array([[1, 0.5, 0], [0.5, 0, -0.5], [0, -0.5, -1]], np.float32)


def cartoon(video: Video, *, tones: int, lines: float, saturation: float) -> Video:
    """Return a cel drawing: uint8 [t h w 3], flat areas in a few soft tones between dark lines.

    `tones`: how many from black to white (5 to 12). `lines`: strength of the lines, 0 (none) to 1. `saturation` 1 keeps
    colours as they are. Source: Winnemoeller, Olsen & Gooch, "Real-Time Video Abstraction", 2006: bilateral filtering,
    differences of Gaussians and quantisation of luminance by tanh, whose soft steps are what keeps it from flickering.
    """
    height, width = video.shape[1:3]
    scale = height / _REFERENCE
    # large pictures are smoothed at about 256 rows, where small filters reach as far as large ones would here
    small = _at_height(video.shape[1:3], min(height, max(_REFERENCE, height // 3)))
    box = _odd(height / small[1])
    posterised, drawn, paint = _posterised(tones, saturation), np.empty_like(video), np.empty_like(video[0])
    ink = _table(255 * (1 - lines * (1 - _smoothstep(_VALUES, 30, 112))))
    for frame, out in zip(video, drawn, strict=True):
        # a box, then every so many pixels: OpenCV's mean over areas is slow where they are no whole numbers of pixels
        flat = cv2.resize(cv2.blur(frame, (box, box)), small, interpolation=cv2.INTER_LINEAR)
        for _ in range(2):
            flat = cv2.bilateralFilter(flat, 5, 45, 3)
        flat = cv2.resize(flat, (width, height), interpolation=cv2.INTER_CUBIC)
        cv2.LUT(cv2.cvtColor(flat, cv2.COLOR_RGB2YCrCb, dst=paint), posterised, dst=paint)
        # of the smoothed picture, as in the paper: grass and fur would be all lines
        edges = cv2.LUT(_difference_of_gaussians(cv2.cvtColor(flat, cv2.COLOR_RGB2GRAY), scale), ink)
        cv2.cvtColor(paint, cv2.COLOR_YCrCb2RGB, dst=out)
        cv2.multiply(out, cv2.merge([edges] * 3), dst=out, scale=1 / 255)
    return drawn


def pencil(video: Video, *, line: float, shading: float, paper: float, seed: int) -> Video:
    """Return a graphite sketch on white paper: uint8 [t h w 3], gray.

    `line`: exponent of the lines' darkness (1 to 4). `shading`: how dark the hatched shadows are, 0 to 1. `paper`:
    how much the hatching and the paper's grain show, 0 to 1; both are drawn from `seed` and lie still. Source: the
    colour dodge of gray by its blurred negative, as in image editors, for lines; hatched tone times lines after Lu, Xu &
    Jia, "Combining Sketch and Tone for Pencil Drawing Production", 2012.
    """
    height, width = video.shape[1:3]
    scale = height / _REFERENCE
    strokes = _table(255 * (np.clip(_VALUES / 245, 0, 1)) ** (2 * line))
    tone = _table(255 * shading * (1 - _smoothstep(_VALUES, -20, 225)))
    # graphite catches on the paper's teeth: less than all of it in the gaps between strokes
    coverage = _u8(255 * (1 - paper * (1 - _hatching(video.shape[1:3], seed))))
    rng = np.random.default_rng([seed, 1])
    sheet = _u8(248 + 2.5 * paper * _grain(video.shape[1:3], rng, 0.6 * scale))
    soft = _odd(1.6 * scale)
    sketch, (graphite, gray) = np.empty_like(video), np.empty((2, height, width), np.uint8)
    for frame, out in zip(video, sketch, strict=True):
        cv2.GaussianBlur(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), (soft, soft), 0, dst=gray)
        around = _wide_blur(gray, 5 * scale)
        # the offset keeps the noise of dark areas from becoming lines
        dodged = cv2.divide(cv2.add(gray, 24), cv2.add(around, 24), scale=255)
        cv2.multiply(cv2.LUT(gray, tone), coverage, dst=graphite, scale=1 / 255)
        cv2.multiply(cv2.LUT(dodged, strokes), cv2.bitwise_not(graphite), dst=graphite, scale=1 / 255)
        cv2.multiply(graphite, sheet, dst=graphite, scale=1 / 255)
        cv2.merge([graphite] * 3, out)
    return sketch


def oil(video: Video, *, radius: float, relief: float, saturation: float) -> Video:
    """Return an oil painting: uint8 [t h w 3], smooth dabs with crisp borders, their edges raised.

    `radius`: half a dab, in pixels of a 256 rows high picture (1 to 4). `relief`: height of the paint's ridges in the
    light from the upper left, 0 to 1. `saturation` 1 keeps colours as they are. Source: the generalised Kuwahara filter of
    Papari, Petkov & Campisi, "Artistic Edge and Corner Enhancing Smoothing", 2007, with q = 8 and squares for sectors: a
    mean of the places around a pixel, each weighted by its standard deviation^-q; unlike the choice of the calmest place
    this does not flicker.
    """
    reach = max(round(radius * video.shape[1] / _REFERENCE), 1)
    vivid = _saturating(saturation)
    # paint is only so thick: the ridges of strong edges are no higher than others
    ridge = _table(128 + 24 * relief * np.tanh((_VALUES - 128) / 24))
    painting, paint = np.empty_like(video), np.empty_like(video[0])
    work = np.empty((2, video.shape[1] + 2 * reach, video.shape[2] + 2 * reach, 3), np.float32)
    for frame, out in zip(video, painting, strict=True):
        cv2.transform(_kuwahara(frame, reach, work), vivid, dst=paint)
        gray = cv2.cvtColor(paint, cv2.COLOR_RGB2GRAY)
        # light from the upper left: the difference across the diagonal, as an embossing filter takes it
        ridges = cv2.LUT(cv2.filter2D(gray, cv2.CV_8U, _EMBOSS, delta=128), ridge)
        cv2.addWeighted(paint, 1, cv2.merge([ridges] * 3), 1, -128, dst=out)
    return painting


def pixel_art(video: Video, *, rows: int, colours: int, dither: float) -> Video:
    """Return the clip on an old computer: uint8 [t h w 3], about `rows` rows of square blocks in at most `colours`
    colours.

    The palette is that of the clip as a whole: k-means in Lab from a median cut (Heckbert 1982). The blocks are fixed to
    the screen, and so is the ordered 4x4 pattern (Bayer 1973) that `dither`, 0 to 1, weighs. A block keeps the colour it
    had while that is nearly as good as the nearest one, so that noise does not make it blink.
    """
    block = max(round(video.shape[1] / rows), 1)
    small = np.stack([cv2.cvtColor(_blocks(frame, block), cv2.COLOR_RGB2LAB) for frame in video]).astype(np.float32)
    # 8-bit L counts to 255, but a and b in the units of Lab: what the eye sees as equal steps
    small *= _LAB_UNITS
    palette = _palette(small, colours)
    small[..., 0] += dither * 40 / len(palette) ** 0.5 * _bayer(small.shape[1:3])
    shown = cv2.cvtColor(_u8(palette / _LAB_UNITS)[None], cv2.COLOR_LAB2RGB)[0]
    art = np.empty_like(video)
    for labels, out in zip(_nearest(small, palette), art, strict=True):
        big = cv2.resize(shown[labels], None, fx=block, fy=block, interpolation=cv2.INTER_NEAREST)
        out[:] = big[: out.shape[0], : out.shape[1]]
    return art


def vintage(video: Video, *, strength: float, grain: float, seed: int) -> Video:
    """Return an old colour film: uint8 [t h w 3], faded, warm, darker in the corners, grainy.

    `strength`: 0 leaves the video as it is, 1 is an old film: 55 % of the colour, black lifted and yellow-brown, white
    creamy, corners 40 % darker. `grain`: standard deviation of the grain in values (0 to 8). The grain is of another
    piece of film in each frame, drawn from `seed`; it is the only thing that changes from frame to frame.
    """
    # fading takes the blue of highlights and fills shadows: the dyes of a chromogenic print do not age alike
    film = _VALUES[:, None] / 255
    curve = film**0.85 + 0.08 * np.sin(2 * np.pi * (film - 0.5)) * film * (1 - film) * 4
    black, white = np.array([0.17, 0.12, 0.13]), np.array([1.0, 0.96, 0.84])
    table = _table(255 * ((1 - strength) * film + strength * (black + (white - black) * curve)))
    corners = _u8(255 * vignette(video.shape[1:3], 0.40 * strength))
    colours = _saturating(1 - 0.45 * strength)
    return _printed(video, colours, table, corners, grain=grain, seed=seed)


def noir(video: Video, *, contrast: float, grain: float, seed: int) -> Video:
    """Return a film noir: uint8 [t h w 3], gray, deep shadows and hard light, dark corners, fine grain.

    `contrast`: about the slope of the curve at middle gray (1.2 to 2.5). `grain`: as in `vintage`. Skies darken as behind
    an orange filter.
    """
    curve = 1 / (1 + np.exp(-4 * contrast * (_VALUES / 255 - 0.5)))
    curve = (curve - curve[0]) / (curve[-1] - curve[0])
    orange = np.repeat([[0.5, 0.4, 0.1]], 3, axis=0).astype(np.float32)
    corners = _u8(255 * vignette(video.shape[1:3], 0.55))
    return _printed(video, orange, _table(np.repeat(255 * curve[:, None], 3, 1)), corners, grain=grain, seed=seed)


def _posterised(tones: int, saturation: float) -> Table:
    """Return the curves of Y, Cr and Cb: luma in soft steps, chroma stretched about gray."""
    step = 255 / (tones - 1)
    border = (np.minimum(_VALUES // step, tones - 2) + 0.5) * step
    luma = border + step / 2 * np.tanh(_STEEPNESS * (_VALUES - border) / step) / np.tanh(_STEEPNESS / 2)
    chroma = 128 + saturation * (_VALUES - 128)
    return _table(np.stack([luma, chroma, chroma], 1))


def _difference_of_gaussians(gray: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    """Return 128 in flat places, less on the dark side of an edge: uint8 [h w]."""
    light = gray.astype(np.float32)
    centre, around = (cv2.GaussianBlur(light, (0, 0), sigma * scale) for sigma in (1.4, 2.24))
    return cv2.addWeighted(centre, 10, around, -10, 128, dtype=cv2.CV_8U)


def _kuwahara(frame: NDArray[np.uint8], reach: int, work: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return the mean of the eight squares of side 2 reach + 1 around each pixel, weighted by their calm.

    `work`: two pictures [2 h w 3] with a border of `reach`, overwritten; memory is slower to get than to fill.
    """
    side = (2 * reach + 1, 2 * reach + 1)
    bordered = cv2.copyMakeBorder(frame, reach, reach, reach, reach, cv2.BORDER_REFLECT)
    gray = cv2.cvtColor(bordered, cv2.COLOR_RGB2GRAY)
    mean = cv2.boxFilter(gray, cv2.CV_32F, side)
    weight = cv2.sqrBoxFilter(gray, cv2.CV_32F, side)
    weight -= mean * mean
    # variance^-4; the offset is the noise of 8 bits and of a codec, and keeps float32 in range
    np.maximum(weight, 0, out=weight)
    weight += _CALM
    np.divide(_CALM, weight, out=weight)
    weight *= weight
    weight *= weight
    weighted, total = work
    cv2.merge([weight] * 3, weighted)
    cv2.multiply(weighted, cv2.blur(bordered, side), dst=weighted, dtype=cv2.CV_32F)
    total = _around(weighted, reach, total[: frame.shape[0], : frame.shape[1]])
    total /= cv2.merge([_around(weight, reach, np.empty(frame.shape[:2], np.float32))] * 3)
    return cv2.convertScaleAbs(total)


def _around(values: NDArray[np.float32], reach: int, total: NDArray[np.float32]) -> NDArray[np.float32]:
    """Write into `total` for each pixel of a picture with a border of `reach` the sum of the values `reach` away in 8
    directions."""
    height, width = total.shape[:2]
    angles = np.arange(8) * np.pi / 4
    total[:] = 0
    for y, x in np.round(reach + reach * np.stack([np.sin(angles), np.cos(angles)], 1)).astype(int):
        cv2.add(total, values[y : y + height, x : x + width], dst=total)
    return total


def _blocks(frame: NDArray[np.uint8], block: int) -> NDArray[np.uint8]:
    """Return the means of square blocks; those at the right and lower border may reach beyond the picture."""
    height, width = frame.shape[:2]
    rows, columns = -(-height // block), -(-width // block)
    full = cv2.copyMakeBorder(frame, 0, rows * block - height, 0, columns * block - width, cv2.BORDER_REPLICATE)
    return cv2.resize(full, (columns, rows), interpolation=cv2.INTER_AREA)


def _palette(pixels: NDArray[np.float32], colours: int) -> NDArray[np.float32]:
    """Return at most `colours` colours, float32 [n 3]: median cut (Heckbert 1982), then k-means from there."""
    flat = pixels.reshape(-1, 3)
    # at random places, always the same: every n-th block would be of the same few columns
    boxes = [flat[np.random.default_rng(0).integers(len(flat), size=_SAMPLE)]]
    while len(boxes) < colours:
        # the box that spreads widest is cut at the median of its widest axis
        spreads = np.stack([box.max(0) - box.min(0) for box in boxes])
        widest, axis = np.unravel_index(spreads.argmax(), spreads.shape)
        box = boxes.pop(int(widest))
        low = box[:, axis] <= np.median(box[:, axis])
        if low.all():
            low = box[:, axis] < box[:, axis].max()
        if not low.any():
            boxes.append(box)
            break
        boxes += [box[low], box[~low]]
    samples = np.concatenate(boxes)
    labels = np.repeat(np.arange(len(boxes), dtype=np.int32), [len(box) for box in boxes])
    stop = (cv2.TERM_CRITERIA_COUNT, 8, 0.0)
    _, _, centres = cv2.kmeans(samples, len(boxes), labels[:, None], stop, 1, cv2.KMEANS_USE_INITIAL_LABELS)
    return centres


def _nearest(pixels: NDArray[np.float32], palette: NDArray[np.float32]) -> NDArray[np.intp]:
    """Return the palette's index for every pixel, [t h w]; a change must make the colour better by `_LOYALTY`."""
    labels = np.empty(pixels.shape[:3], np.intp)
    square = (palette**2).sum(1)[:, None, None]
    for t, frame in enumerate(pixels):
        distance = square - 2 * np.einsum("hwc,nc->nhw", frame, palette, optimize=True)
        labels[t] = distance.argmin(0)
        if t:
            before, now = (np.take_along_axis(distance, label[None], 0)[0] for label in labels[t - 1 : t + 1])
            np.copyto(labels[t], labels[t - 1], where=before < now + _LOYALTY)
    return labels


def _bayer(size: tuple[int, int]) -> NDArray[np.float32]:
    """Return the 4x4 threshold pattern over a picture, float32 [h w] in (-0.5, 0.5)."""
    two = np.array([[0, 2], [3, 1]])
    four = np.block([[4 * two, 4 * two + 2], [4 * two + 3, 4 * two + 1]])
    tiles = np.tile(four, (-(-size[0] // 4), -(-size[1] // 4)))[: size[0], : size[1]]
    return ((tiles + 0.5) / 16 - 0.5).astype(np.float32)


def _printed(
    video: Video,
    colours: NDArray[np.float32],
    table: Table,
    corners: NDArray[np.uint8],
    *,
    grain: float,
    seed: int,
) -> Video:
    """Return the video through a 3x3 matrix, curves, a vignette uint8 [h w] and grain."""
    rng = np.random.default_rng(seed)
    height, width = video.shape[1:3]
    roll = _grain((height + _ROLL, width + _ROLL), rng, 0.6 * height / _REFERENCE)
    film = cv2.merge([_u8(128 + grain * roll)] * 3)
    shade = cv2.merge([corners] * 3)
    prints, places = np.empty_like(video), rng.integers(0, _ROLL + 1, (len(video), 2))
    for frame, (y, x), out in zip(video, places, prints, strict=True):
        cv2.multiply(cv2.LUT(cv2.transform(frame, colours), table), shade, dst=out, scale=1 / 255)
        cv2.addWeighted(out, 1, film[y : y + height, x : x + width], 1, -128, dst=out)
    return prints


def _hatching(size: tuple[int, int], seed: int) -> NDArray[np.float32]:
    """Return float32 [h w] in [0, 1]: pencil strokes side by side from the lower left to the upper right."""
    rng = np.random.default_rng(seed)
    rows, columns = _REFERENCE, max(round(size[1] * _REFERENCE / size[0]), 1)
    line = np.fliplr(np.eye(15, dtype=np.float32)) / 15
    strokes = cv2.filter2D(rng.standard_normal((rows, columns), np.float32), -1, line, borderType=cv2.BORDER_REFLECT)
    strokes = 0.5 + 1.1 * strokes + 0.12 * rng.standard_normal(strokes.shape, np.float32)
    return np.clip(cv2.resize(strokes, size[::-1], interpolation=cv2.INTER_AREA), 0, 1)


def _grain(size: tuple[int, int], rng: np.random.Generator, sigma: float) -> NDArray[np.float32]:
    """Return normally distributed noise that is smooth over `sigma` pixels, float32 [h w], mean 0 and variance 1."""
    noise = rng.standard_normal(size, np.float32)
    if sigma > 0.3:
        noise = cv2.GaussianBlur(noise, (0, 0), sigma)
    return noise / noise.std()


def _wide_blur(gray: NDArray[np.uint8], sigma: float) -> NDArray[np.uint8]:
    """Return uint8 [h w], blurred at a quarter of 256 rows, where the kernel is small."""
    height, width = gray.shape
    small = _at_height(gray.shape, min(height, _REFERENCE // 4))
    reduced = cv2.resize(gray, small, interpolation=cv2.INTER_AREA)
    blurred = cv2.GaussianBlur(reduced, (0, 0), max(sigma * small[1] / height, 0.3))
    return cv2.resize(blurred, (width, height), interpolation=cv2.INTER_LINEAR)


def _at_height(size: tuple[int, ...], rows: int) -> tuple[int, int]:
    """Return (width, height) for OpenCV: `size` (height, width) brought to `rows` rows."""
    return max(round(size[1] * rows / size[0]), 1), rows


def _saturating(share: float) -> NDArray[np.float32]:
    """Return the 3x3 matrix that leaves luma as it is and colours at `share` of their strength."""
    return (share * np.eye(3) + (1 - share) * np.array([0.299, 0.587, 0.114])).astype(np.float32)


def _table(values: NDArray[np.float64]) -> Table:
    return _u8(values).reshape(1, 256, -1)


def _u8(values: NDArray[np.floating]) -> NDArray[np.uint8]:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


def _smoothstep(values: NDArray[np.floating], low: float, high: float) -> NDArray[np.float64]:
    share = np.clip((values - low) / (high - low), 0, 1)
    return share**2 * (3 - 2 * share)


def _odd(size: float) -> int:
    """Return the odd number at or above `size`."""
    return 2 * int(np.ceil((size - 1) / 2)) + 1
