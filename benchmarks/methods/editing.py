"""Editing by instruction without learning: words are turned into a program of classical filters."""

from __future__ import annotations

import re
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.methods.base import Method
from benchmarks.methods.segmentation import colours_in, find_object
from shards.colours import COLOURS
from shards.sample import Video

Frame = NDArray[np.uint8]
Filter = Callable[[Frame], Frame]
_CHANGED = re.compile(
    rf"\b(?:re-?colou?r|make|turn|paint|dye|change|tint)\b(?P<object>.+)\b(?P<colour>{'|'.join(COLOURS)})\b"
)
"""An object's new colour, the last one named, as in "change the color of the silver car to red"."""


def filter_program(
    clip: Video, instruction: str, reference: NDArray[np.uint8] | None, mask: NDArray[np.uint8] | None
) -> Video:
    """Edit uint8 [t h w 3] as far as its words name a look, a light, a weather, or an object's new colour; else nothing.

    A reference picture is matched as in `reinhard_edit`. The pixels of an object are found by `segmentation.find_object`.
    """
    if reference is not None:
        return reinhard_edit(clip, instruction, reference, mask)
    text = instruction.lower()
    for words, change in _PROGRAM:
        if re.search(words, text):
            return np.stack([change(frame) for frame in clip])
    found = _CHANGED.search(text)
    return clip if found is None else _recoloured(clip, found["object"], found["colour"])


def reinhard_edit(
    clip: Video, instruction: str, reference: NDArray[np.uint8] | None, mask: NDArray[np.uint8] | None
) -> Video:
    """Give uint8 [t h w 3] the mean and deviation that the reference has in each channel of Lab; without one, nothing.

    Reinhard et al., "Color Transfer between Images" (CG&A 2001), in CIE Lab, with one transfer for the whole clip.
    """
    if reference is None:
        return clip
    source, wanted = _lab(clip.reshape(1, -1, 3)), _lab(reference)
    mean, deviation = source.mean(axis=(0, 1)), source.std(axis=(0, 1))
    target_mean, target_deviation = wanted.mean(axis=(0, 1)), wanted.std(axis=(0, 1))
    moved = (source - mean) * (target_deviation / np.maximum(deviation, 1e-3)) + target_mean
    return _rgb(moved.astype(np.float32)).reshape(clip.shape)


def _lab(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    return cv2.cvtColor(image.astype(np.float32) / np.float32(255), cv2.COLOR_RGB2Lab).astype(np.float32, copy=False)


def _rgb(lab: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.clip(cv2.cvtColor(lab, cv2.COLOR_Lab2RGB) * 255 + 0.5, 0, 255).astype(np.uint8)


def _recoloured(clip: Video, what: str, colour: str) -> Video:
    """Give what the words describe the hue and saturation of a colour, and leave it its shading."""
    own_colours = colours_in(what)
    masks = find_object(clip, what, own_colours[0] if own_colours else None)
    wanted = np.asarray(COLOURS[colour], np.float32)
    grey = clip.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    own = float(wanted @ np.array([0.299, 0.587, 0.114], np.float32))
    tinted = np.clip(wanted * (grey / own)[..., None] + 0.5, 0, 255).astype(np.uint8)
    return np.where(masks[..., None], tinted, clip)


def _curve(gains: tuple[float, float, float], gamma: float = 1.0, lift: float = 0.0) -> Filter:
    """Return a filter that maps each channel x to lift + (1 - lift) gain x^gamma, in [0, 1]."""
    levels = (np.arange(256) / 255) ** gamma
    table = np.clip(np.outer(levels, gains) * (1 - lift) + lift, 0, 1)[None] * 255 + 0.5
    return lambda frame: cv2.LUT(frame, table.astype(np.uint8)).astype(np.uint8, copy=False)


def _saturated(frame: Frame, factor: float) -> Frame:
    grey = cv2.cvtColor(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return cv2.addWeighted(frame, factor, grey, 1 - factor, 0)


def _night(frame: Frame) -> Frame:
    return _curve((0.3, 0.36, 0.55), 1.3)(_saturated(frame, 0.5))


def _grey_day(frame: Frame) -> Frame:
    return _curve((0.86, 0.9, 0.93), 1.0, 0.05)(_saturated(frame, 0.6))


def _noir(frame: Frame) -> Frame:
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32) / np.float32(255)
    hard = 1 / (1 + np.exp(-9 * (grey - np.float32(0.45))))
    return np.repeat((hard * 255).astype(np.uint8)[..., None], 3, axis=2)


def _vintage(frame: Frame) -> Frame:
    return _curve((1.0, 0.9, 0.72), 0.95, 0.08)(_saturated(frame, 0.55))


def _sepia(frame: Frame) -> Frame:
    return _curve((1.0, 0.86, 0.67))(_saturated(frame, 0.0))


def _foggy(frame: Frame) -> Frame:
    return cv2.addWeighted(frame, 0.5, np.full_like(frame, 210), 0.5, 0)


def _snowy(frame: Frame) -> Frame:
    return _curve((0.92, 0.96, 1.0), 0.9, 0.1)(_saturated(frame, 0.7))


def _cartoon(frame: Frame) -> Frame:
    flat = cv2.bilateralFilter(frame, 7, 60, 7)
    grey = cv2.medianBlur(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), 5)
    lines = cv2.adaptiveThreshold(grey, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY, 9, 6)
    return cv2.bitwise_and(flat, flat, mask=lines).astype(np.uint8, copy=False)


def _pencil(frame: Frame) -> Frame:
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    soft = cv2.GaussianBlur(255 - grey, (0, 0), max(min(grey.shape) / 60, 1.0))
    drawn = cv2.divide(grey, np.maximum(255 - soft, 1).astype(np.uint8), scale=250)
    return np.repeat(drawn[..., None], 3, axis=2).astype(np.uint8, copy=False)


def _oil(frame: Frame) -> Frame:
    side = max(min(frame.shape[:2]) // 50, 1) * 2 + 1
    return cv2.medianBlur(frame, min(side, 15)).astype(np.uint8, copy=False)


def _pixels(frame: Frame) -> Frame:
    height, width = frame.shape[:2]
    size = (max(width // 6, 1), max(height // 6, 1))
    small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA) // 32 * 32 + 16
    return cv2.resize(small.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST).astype(
        np.uint8, copy=False
    )


_PROGRAM: tuple[tuple[str, Filter], ...] = (
    (r"cartoon|comic|anime", _cartoon),
    (r"pencil|graphite|sketch", _pencil),
    (r"oil paint|painted in oil|painting|brush strokes|canvas", _oil),
    (r"pixel art|8-bit|video game|large pixels", _pixels),
    (r"noir|detective|hard black and white|high-contrast black", _noir),
    (r"sepia", _sepia),
    (r"vintage|old film|seventies|faded home|home movie", _vintage),
    (r"black and white|gr[ae]yscale|remove the colou?rs?", lambda frame: _saturated(frame, 0.0)),
    (r"snow", _snowy),
    (r"\bfog|mist", _foggy),
    (r"night|dark of", _night),
    (r"golden hour|evening sun|sunset|low sun|warm", _curve((1.08, 0.92, 0.7))),
    (r"bright|sunny|noon|sun shine", _curve((1.12, 1.1, 1.02), 0.85)),
    (r"overcast|gr[ae]y day|cloudy|take the sun away|\brain", _grey_day),
    (r"darker|darken", _curve((0.7, 0.7, 0.7))),
    (r"cool(er)?\b|colder", _curve((0.85, 0.95, 1.1))),
    (r"blur|defocus", lambda frame: cv2.GaussianBlur(frame, (0, 0), 3)),
)
"""Patterns of words, and what they are taken to ask for; the first that is found decides."""

FILTER_PROGRAM = Method(
    name="filter_program",
    tasks=("edit",),
    summary="words for looks, light, weather and object colours run classical filters; what it does not know it leaves",
    paper="-",
    version=1,
    make=lambda context: filter_program,
)
REINHARD_EDIT = Method(
    name="reinhard_edit",
    needs_reference=True,
    tasks=("edit",),
    summary="mean and deviation of Lab matched to the reference picture; without one it returns its input",
    paper="Reinhard et al., CG&A 2001",
    version=1,
    make=lambda context: reinhard_edit,
)
