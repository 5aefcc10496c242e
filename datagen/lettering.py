"""Lettering laid over a video - subtitles, watermarks, time stamps: it stands still while the picture behind it moves."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import cv2
import numpy as np
from numpy.typing import NDArray

from shards.sample import Video

Gray = NDArray[np.uint8]

_SHORT_SIDE = 256
"""Pixels: larger frames are reduced to it."""
_STILL = 20
"""Grey levels by which a letter may change over the clip."""
_MOVES = 6
"""Grey levels by which its surroundings, a square of so many pixels a side, have to change in the mean."""
_AROUND = 17
_CONTRAST = 40
"""Grey levels between a stroke and what is beside it."""
_THICKEST = 9
"""Pixels: what is as wide as that both ways is no stroke."""
_SAME = 0.5
"""Share of the strokes in a line, of all frames together, that are there in every frame."""
_LETTERS = 6
"""Least of them in a line: fences and foliage have a few side by side that look like letters."""
_LEAST_AREA = 8
"""Pixels of a letter's strokes."""
_TALLEST = 0.2
"""Share of the frame's height."""
_TONES = 14.0
"""Grey levels, standard deviation: the letters of a line are of one tone."""


def lettering(video: Video) -> float:
    """Return the share of the picture that lines of lettering cover which was laid over uint8 [t h w 3], from three frames.

    A line is of six letters or more, of about one height, foot and tone, brighter or darker than what is beside
    them in every frame. Over a picture that does not move nothing is found: there it cannot be told from a sign in the scene.
    """
    frames = [video[number] for number in (0, len(video) // 2, len(video) - 1)]
    height, width = video.shape[1:3]
    reduction = _SHORT_SIDE / min(height, width)
    if reduction < 1:
        size = (round(width * reduction), round(height * reduction))
        frames = [cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in frames]
    gray = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    change = cv2.subtract(reduce(cv2.max, gray), reduce(cv2.min, gray))
    among_motion = cv2.compare(cv2.blur(change, (_AROUND, _AROUND)), _MOVES, cv2.CMP_GT)
    still = cv2.bitwise_and(cv2.compare(change, _STILL, cv2.CMP_LE), among_motion)
    if cv2.countNonZero(still) < _LETTERS * _LEAST_AREA:
        return 0.0
    # dark letters are bright ones of the negative
    covered = sum(_covered(light, still) for light in (gray, [cv2.bitwise_not(frame) for frame in gray]))
    return covered / change.size


def _covered(frames: Sequence[Gray], still: Gray) -> int:
    """Return how many pixels the lines of bright letters cover."""
    kernel = np.ones((_THICKEST, _THICKEST), np.uint8)
    hats = [cv2.morphologyEx(frame, cv2.MORPH_TOPHAT, kernel) for frame in frames]
    drawn = [cv2.compare(hat, _CONTRAST, cv2.CMP_GT) for hat in hats]
    always, ever = reduce(cv2.bitwise_and, drawn), reduce(cv2.bitwise_or, drawn)
    strokes, light = cv2.bitwise_and(always, still), frames[1]
    if cv2.countNonZero(strokes) < _LETTERS * _LEAST_AREA:
        return 0
    # labels of 16 bits take a third of the time, and there cannot be more
    stats = cv2.connectedComponentsWithStats(strokes, None, None, None, 8, cv2.CV_16U)[2]
    letters = _letters(stats[1:], tallest=_TALLEST * len(light))
    covered = 0
    for line in _lines(letters):
        left, top, right, bottom = letters[line].T
        box = np.s_[top.min() : bottom.max(), left.min() : right.max()]
        tones = [light[t:b, x:r].max() for x, t, r, b in letters[line]]
        # what moves with the scene, if slowly, has other outlines in each frame
        same = cv2.countNonZero(always[box]) / cv2.countNonZero(ever[box])
        if same >= _SAME and np.std(tones) <= _TONES:
            covered += light[box].size
    return covered


def _letters(stats: NDArray[np.int32], *, tallest: float) -> NDArray[np.int64]:
    """Return boxes [n 4] (left, top, right, bottom), from left to right, of the blots that are shaped like letters."""
    left, top, width, height, area = stats.T.astype(np.int64)
    fits = (height >= 5) & (height <= tallest) & (width <= 3 * height)
    fits &= (area >= _LEAST_AREA) & (area >= 0.15 * height * width)
    boxes = np.stack([left, top, left + width, top + height], axis=1)[fits]
    return boxes[np.argsort(boxes[:, 0], kind="stable")]


def _lines(letters: NDArray[np.int64]) -> list[list[int]]:
    """Return the letters of each line, by their places: each next one is the nearest that stands beside on the same foot."""
    left, top, right, bottom = letters.T
    height = bottom - top
    larger = np.maximum(height[:, None], height)
    gap = left - right[:, None]
    beside = (left > left[:, None]) & (gap >= -2) & (gap <= 1.2 * larger)
    beside &= larger < 2.2 * np.minimum(height[:, None], height)
    beside &= np.abs(bottom - bottom[:, None]) <= 0.35 * larger
    if not beside.any():
        return []
    following = np.where(beside.any(axis=1), np.where(beside, gap, gap.max() + 1).argmin(axis=1), -1).tolist()
    lines, taken = [], [False] * len(letters)
    for first in range(len(letters)):
        line, place = [], first
        while place >= 0 and not taken[place]:
            taken[place] = True
            line.append(place)
            place = following[place]
        if len(line) >= _LETTERS:
            lines.append(line)
    return lines
