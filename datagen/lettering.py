"""Lettering laid over a video - subtitles, watermarks, time stamps: it stands still while the picture behind it moves - and
title cards, which are lettering and nothing else."""

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
_FLAT = 6
"""Grey levels by which the ground of a title card may differ from its most frequent tone: grain, and what a codec makes of it."""
_CARD = 0.7
"""Share of a frame that is ground where it is a title card. No frame of ours that shows a scene came above .56."""
_HOLLOW = 0.85
"""Share of their convex hulls that letters fill at most in the mean: thin ones .5, bold ones .8, lights and lit windows .95."""


def lettering(video: Video) -> float:
    """Return the share of the picture that lines of lettering cover which was laid over uint8 [t h w 3], from three frames.

    A line is of six letters or more, of about one height, foot and tone, brighter or darker than what is beside
    them in every frame. Over a picture that does not move nothing is found, for there it cannot be told from a sign in the
    scene, unless there is no scene: letters on one flat tone that fills the frame.
    """
    frames = [video[number] for number in (0, len(video) // 2, len(video) - 1)]
    height, width = video.shape[1:3]
    reduction = _SHORT_SIDE / min(height, width)
    if reduction < 1:
        size = (round(width * reduction), round(height * reduction))
        frames = [cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in frames]
    gray = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    return max(_laid_over(gray), *map(_on_card, gray)) / gray[0].size


def _laid_over(gray: Sequence[Gray]) -> int:
    """Return how many pixels the lines cover that stand still over a picture which moves."""
    change = cv2.subtract(reduce(cv2.max, gray), reduce(cv2.min, gray))
    among_motion = cv2.compare(cv2.blur(change, (_AROUND, _AROUND)), _MOVES, cv2.CMP_GT)
    still = cv2.bitwise_and(cv2.compare(change, _STILL, cv2.CMP_LE), among_motion)
    if cv2.countNonZero(still) < _LETTERS * _LEAST_AREA:
        return 0
    # dark letters are bright ones of the negative
    return sum(_covered(light, still) for light in (gray, [cv2.bitwise_not(frame) for frame in gray]))


def _on_card(frame: Gray) -> int:
    """Return how many pixels the lines of a title card cover; none where the frame is no card."""
    counts = np.bincount(frame[::2, ::2].reshape(-1), minlength=256)
    tone = int(np.convolve(counts, np.ones(5), "same").argmax())
    if counts[max(tone - _FLAT, 0) : tone + _FLAT + 1].sum() < _CARD * counts.sum():
        return 0
    apart = cv2.absdiff(frame, np.full_like(frame, tone))
    drawn = cv2.compare(apart, _CONTRAST, cv2.CMP_GT)
    letters, covered = _letters(drawn, tallest=2 * _TALLEST * len(frame)), 0
    for line in _lines(letters):
        places = [np.s_[top:bottom, left:right] for left, top, right, bottom in letters[line]]
        hollow = np.mean([_filled(drawn[place]) for place in places]) <= _HOLLOW
        if hollow and np.std([apart[place].max() for place in places]) <= _TONES:
            covered += frame[_box(letters[line])].size
    return covered


def _filled(blot: Gray) -> float:
    """Return the share of its convex hull that a blot fills."""
    hull = cv2.fillConvexPoly(np.zeros_like(blot), cv2.convexHull(cv2.findNonZero(blot)), 255)
    return cv2.countNonZero(blot) / cv2.countNonZero(hull)


def _covered(frames: Sequence[Gray], still: Gray) -> int:
    """Return how many pixels the lines of bright letters cover."""
    kernel = np.ones((_THICKEST, _THICKEST), np.uint8)
    hats = [cv2.morphologyEx(frame, cv2.MORPH_TOPHAT, kernel) for frame in frames]
    drawn = [cv2.compare(hat, _CONTRAST, cv2.CMP_GT) for hat in hats]
    always, ever = reduce(cv2.bitwise_and, drawn), reduce(cv2.bitwise_or, drawn)
    strokes, light = cv2.bitwise_and(always, still), frames[1]
    if cv2.countNonZero(strokes) < _LETTERS * _LEAST_AREA:
        return 0
    letters = _letters(strokes, tallest=_TALLEST * len(light))
    covered = 0
    for line in _lines(letters):
        box = _box(letters[line])
        tones = [light[top:bottom, left:right].max() for left, top, right, bottom in letters[line]]
        # what moves with the scene, if slowly, has other outlines in each frame
        same = cv2.countNonZero(always[box]) / cv2.countNonZero(ever[box])
        if same >= _SAME and np.std(tones) <= _TONES:
            covered += light[box].size
    return covered


def _box(letters: NDArray[np.int64]) -> tuple[slice, slice]:
    left, top, right, bottom = letters.T
    return np.s_[top.min() : bottom.max(), left.min() : right.max()]


def _letters(strokes: Gray, *, tallest: float) -> NDArray[np.int64]:
    """Return boxes [n 4] (left, top, right, bottom), from left to right, of the blots that are shaped like letters."""
    # labels of 16 bits take a third of the time, and there cannot be more
    stats = cv2.connectedComponentsWithStats(strokes, None, None, None, 8, cv2.CV_16U)[2]
    left, top, width, height, area = stats[1:].T.astype(np.int64)
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
