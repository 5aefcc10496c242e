"""Looks that a whole video can take on: drawings, paintings, pixels, old film, and the colours of another picture."""

from __future__ import annotations

from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from shards.sample import Video

_SEPIA = (1.06, 0.96, 0.76)
"""What a toned print lets through of red, green and blue."""
_SAMPLED = 4
"""A palette is drawn from every fourth pixel of every fourth frame."""


def cartoon(video: Video, *, tones: int = 7, lines: float = 0.8) -> Video:
    """Return flat tones between dark outlines: smoothing that keeps edges, soft steps of lightness, lines along edges.

    After Winnemoeller et al., "Real-time video abstraction" (SIGGRAPH 2006): bilateral filter, soft quantisation of
    lightness, difference of Gaussians. `tones`: steps of lightness. `lines`: 0 (none) to 1 (black).
    """
    height, width = video.shape[1:3]
    half = (max(width // 2, 8), max(height // 2, 8))
    scale = height / 256
    out = np.empty_like(video)
    for frame, drawn in zip(video, out, strict=True):
        small = cv2.resize(frame, half, interpolation=cv2.INTER_AREA)
        for _ in range(2):
            small = cv2.bilateralFilter(small, 5, 40, 4 * max(scale, 0.5))
        flat = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
        lab = cv2.cvtColor(flat, cv2.COLOR_RGB2Lab)
        lab[..., 0] = cv2.LUT(np.ascontiguousarray(lab[..., 0]), _soft_steps(tones))
        gray = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32)
        fine, coarse = (cv2.GaussianBlur(gray, (0, 0), sigma * max(scale, 0.5)) for sigma in (0.9, 1.5))
        # where the picture is darker than around it there is a line
        dark = np.clip((coarse - fine - 1.2) / 5, 0, 1) * np.float32(lines)
        rgb = cv2.cvtColor(lab, cv2.COLOR_Lab2RGB).astype(np.float32)
        np.clip(rgb * (1 - dark)[..., None] + 0.5, 0, 255, out=rgb)
        drawn[:] = rgb.astype(np.uint8)
    return out


def _soft_steps(tones: int) -> NDArray[np.uint8]:
    """Return a table from lightness to stepped lightness, with steps soft enough not to flicker."""
    x = np.arange(256) / 255 * tones
    step = np.floor(x)
    stepped = step + 0.5 + 0.5 * np.tanh(3.5 * (x - step - 0.5))
    return np.clip(stepped / tones * 255 + 0.5, 0, 255).astype(np.uint8)


def pencil(video: Video, *, seed: int, darkness: float = 1.0) -> Video:
    """Return a graphite drawing on paper whose grain stays where it is.

    The dodge blend that photo editors use: gray over the inverse of its own blurred negative leaves lines on white;
    a share of the picture's own shading is drawn beneath. `darkness`: 0.5 (hard pencil) to 1.5 (soft).
    """
    height, width = video.shape[1:3]
    rng = np.random.default_rng(seed)
    grain = cv2.GaussianBlur(rng.normal(0, 1, (height, width)).astype(np.float32), (0, 0), 0.7 * max(height / 256, 0.6))
    paper = 1 - 0.05 * np.abs(grain)
    out = np.empty_like(video)
    for frame, drawn in zip(video, out, strict=True):
        gray = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        blurred = cv2.GaussianBlur(gray, (0, 0), 5 * height / 256)
        # the constant keeps the noise of black areas from being drawn
        lines = np.minimum((gray + np.float32(24)) / (blurred + np.float32(24)), 1)
        shade = 1 - 0.35 * (1 - blurred.astype(np.float32) / 255) * (1 + 0.6 * grain)
        sheet = np.clip(lines ** np.float32(2.2 * darkness) * shade * paper * 250, 0, 255).astype(np.uint8)
        cv2.cvtColor(sheet, cv2.COLOR_GRAY2RGB, dst=drawn)
    return out


def oil(video: Video, *, radius: float = 0.016) -> Video:
    """Return brush strokes: of the four squares that meet in a pixel, the mean of the one that varies least.

    The filter of Kuwahara et al. (1976), with box filters. `radius`: of a square, as a share of the picture's height.
    """
    height = video.shape[1]
    side = max(round(radius * height), 1)
    out = np.empty_like(video)
    for frame, painted in zip(video, out, strict=True):
        gray = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32)
        size = (side + 1, side + 1)
        mean, square = cv2.blur(gray, size), cv2.blur(gray * gray, size)
        colours = cv2.blur(frame, size)
        variance = square - mean * mean
        best: NDArray[np.float32] | None = None
        # a box filter centred half a side away is the mean over the square in that corner
        for across, down in ((-1, -1), (1, -1), (-1, 1), (1, 1)):
            shift = np.array(
                [[1, 0, across * (side // 2 + side % 2)], [0, 1, down * (side // 2 + side % 2)]], np.float32
            )
            spread = _moved(variance, shift)
            paint = _moved(colours, shift)
            if best is None:
                best = spread
                painted[:] = paint
                continue
            better = (spread < best).astype(np.uint8)
            cv2.copyTo(paint, better, painted)
            best = np.minimum(best, spread)
        _saturate(painted, 1.25)
    return out


def _moved(image: NDArray[np.generic], shift: NDArray[np.float32]) -> NDArray[np.float32]:
    moved = cv2.warpAffine(image, shift, image.shape[1::-1], flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
    return cast("NDArray[np.float32]", moved)


def _saturate(frame: NDArray[np.uint8], factor: float) -> None:
    hsv = cv2.cvtColor(frame, cv2.COLOR_RGB2HSV)
    hsv[..., 1] = cv2.convertScaleAbs(np.ascontiguousarray(hsv[..., 1]), alpha=factor)
    cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB, dst=frame)


def pixel_art(video: Video, *, rows: int = 64, colours: int = 24) -> Video:
    """Return the video in square blocks, `rows` of them from top to bottom, of at most `colours` colours.

    The palette (median cut, Heckbert 1982) belongs to the whole clip, so that a thing keeps its colour.
    """
    height, width = video.shape[1:3]
    size = (max(round(rows * width / height), 1), rows)
    small = np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in video])
    seen = small[::_SAMPLED].reshape(1, -1, 3)
    palette = Image.fromarray(seen).quantize(colours, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    out = np.empty_like(video)
    for blocks, drawn in zip(small, out, strict=True):
        mapped = Image.fromarray(blocks).quantize(palette=palette, dither=Image.Dither.NONE).convert("RGB")
        cv2.resize(np.asarray(mapped), (width, height), dst=drawn, interpolation=cv2.INTER_NEAREST)
    return out


def vintage(video: Video, *, seed: int, strength: float = 0.8) -> Video:
    """Return old film: a warm tone, pale blacks, a vignette, and grain that changes from frame to frame, as film does.

    `strength`: 0 leaves the video as it is, 1 is a print that has lain in the sun.
    """
    height, width = video.shape[1:3]
    rng = np.random.default_rng(seed)
    y, x = (np.linspace(-1, 1, side, dtype=np.float32) for side in (height, width))
    vignette = (1 - np.float32(0.38 * strength) * np.clip((y[:, None] ** 2 + x[None] ** 2) - 0.25, 0, None) / 1.75)[
        ..., None
    ]
    tint = (1 + strength * (np.array(_SEPIA) - 1)).astype(np.float32)
    # coarser than a pixel, and enough of it to be shifted about instead of drawn anew for each frame
    grain = cv2.GaussianBlur(
        rng.normal(0, 1, (2 * height, 2 * width)).astype(np.float32), (0, 0), 0.8 * max(height / 256, 0.5)
    )
    grain *= np.float32(4 * strength / grain.std())
    out = np.empty_like(video)
    for frame, aged in zip(video, out, strict=True):
        gray = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32)[..., None]
        print_ = frame + np.float32(0.6 * strength) * (gray - frame)
        print_ = np.float32(26 * strength) + print_ * np.float32(1 - 0.16 * strength)
        top, left = rng.integers(0, (height + 1, width + 1))
        print_ = print_ * tint * vignette + grain[top : top + height, left : left + width, None]
        aged[:] = np.clip(print_ + 0.5, 0, 255).astype(np.uint8)
    return out


def with_colours_of(video: Video, reference: NDArray[np.uint8], *, strength: float = 1.0) -> Video:
    """Return the video with the mean and spread of the reference's colours, uint8 [h w 3], in CIE Lab.

    Reinhard et al., "Color transfer between images" (2001); here in Lab, and with the statistics of the whole clip, so
    that nothing flickers. `strength`: 0 (as it is) to 1.
    """
    every = max(min(video.shape[1:3]) // 64, 1)
    seen = np.ascontiguousarray(video[:, ::every, ::every]).reshape(1, -1, 3)
    own, wanted = (_statistics(picture) for picture in (seen, reference))
    gain = np.clip(wanted[1] / np.maximum(own[1], 1e-3), 0.25, 3.0)
    # (lab - mean) * gain + wanted mean, and only `strength` of the way there
    scale = (1 + strength * (gain - 1)).astype(np.float32)
    offset = (strength * (wanted[0] - own[0] * gain)).astype(np.float32)
    out = np.empty_like(video)
    for frame, changed in zip(video, out, strict=True):
        rgb = cv2.cvtColor(_lab(frame) * scale + offset, cv2.COLOR_Lab2RGB)
        changed[:] = np.clip(rgb * 255 + 0.5, 0, 255).astype(np.uint8)
    return out


def _statistics(picture: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    mean, deviation = cv2.meanStdDev(_lab(picture))
    return mean.reshape(-1), deviation.reshape(-1)


def _lab(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    return cast("NDArray[np.float32]", cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2Lab))
