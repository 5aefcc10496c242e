"""Referring segmentation without learning: by the words for colour, place and size, and by what moves."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.methods.base import Method, Restore
from benchmarks.methods.flow import carried, flow_between
from configs import ConfigError
from shards.colours import COLOURS
from shards.sample import Video
from vidiff.segmentation import paint_named

Masks = NDArray[np.bool_]
Find = Callable[[Video, str, NDArray[np.uint8] | None], Masks]
"""Takes clip, instruction and mask; returns where the object is, bool [t h w]."""

BLEND = 0.5
"""Share of the paint in what is painted, as the task's targets have it."""
NEAR = 60.0
"""Distance in RGB from a named colour, lightness aside, up to which a pixel has it."""
MOVING = 1.0
"""Pixels from frame to frame by which a pixel's motion departs from the camera's where something moves by itself."""
LEAST = 0.002
"""Share of the picture that an object has at least."""
OTHER_NAMES = {
    "grey": "white",
    "gray": "white",
    "silver": "white",
    "violet": "purple",
    "magenta": "pink",
    "golden": "yellow",
}


def painting(find: Find) -> Restore:
    """Return a method that paints what `find` finds in the colour that the instruction asks for."""

    def restore(
        clip: Video, instruction: str, reference: NDArray[np.uint8] | None, mask: NDArray[np.uint8] | None
    ) -> Video:
        try:
            paint = paint_named(instruction)
        except ConfigError:
            return clip
        return painted(clip, find(clip, instruction, mask), paint)

    return restore


def painted(clip: Video, masks: Masks, paint: tuple[int, int, int]) -> Video:
    """Return uint8 [t h w 3], half of it `paint` where `masks` bool [t h w] is set."""
    mixed = clip * np.float32(1 - BLEND) + np.asarray(paint, np.float32) * np.float32(BLEND) + np.float32(0.5)
    return np.where(masks[..., None], mixed.astype(np.uint8), clip)


def nothing(clip: Video, instruction: str, mask: NDArray[np.uint8] | None) -> Masks:
    """Find nothing."""
    return np.zeros(clip.shape[:3], bool)


def centre(clip: Video, instruction: str, mask: NDArray[np.uint8] | None) -> Masks:
    """Find an ellipse in the middle, half as wide and as tall as the frame: where people point cameras."""
    height, width = clip.shape[1:3]
    y, x = np.ogrid[:height, :width]
    inside = ((x - (width - 1) / 2) / (width / 4)) ** 2 + ((y - (height - 1) / 2) / (height / 4)) ** 2 <= 1
    return np.broadcast_to(inside, clip.shape[:3]).copy()


def colour_words(clip: Video, instruction: str, mask: NDArray[np.uint8] | None) -> Masks:
    """Find pixels near the object's colour, if the instruction names one besides the paint; else nothing."""
    word = object_colour(instruction)
    return nothing(clip, instruction, mask) if word is None else _cleaned(_coloured(clip, word))


def motion_saliency(clip: Video, instruction: str, mask: NDArray[np.uint8] | None) -> Masks:
    """Find what moves otherwise than the camera, whose motion is an affine map fitted to the flow (RANSAC)."""
    return _cleaned(_moving(clip))


def parser(clip: Video, instruction: str, mask: NDArray[np.uint8] | None) -> Masks:
    """Find the one object that the words for colour, place, size and motion leave, among connected regions.

    Candidates are regions of the named colour, else regions that move. `left`, `right`, `top`, `bottom`, `middle`,
    `largest` and `smallest` choose one; without such a word, the largest is taken.
    """
    return find_object(clip, instruction, object_colour(instruction))


def find_object(clip: Video, description: str, word: str | None) -> Masks:
    """Return where in uint8 [t h w 3] the object of a description is, bool [t h w]; `word` is its colour, if that is named."""
    words = set(re.findall(r"[a-z]+", description.lower()))
    candidates = _moving(clip) if word is None else _coloured(clip, word)
    if word is not None and words & {"moving", "moves", "running", "runs", "driving", "jumping", "flying", "rolling"}:
        both = candidates & _moving(clip)
        candidates = both if both.mean() > LEAST else candidates
    return np.stack([_chosen(frame, words) for frame in _cleaned(candidates)])


def first_frame_propagation(clip: Video, instruction: str, mask: NDArray[np.uint8] | None) -> Masks:
    """Carry the mask of the first frame, which is given, along optical flow from frame to frame."""
    found = nothing(clip, instruction, mask)
    if mask is None:
        return found
    soft = (mask[0] > 0).astype(np.float32)
    found[0] = soft > 0
    for i in range(1, len(clip)):
        soft = carried(soft, flow_between(clip[i], clip[i - 1]))
        found[i] = soft > 0.5
    return found


def object_colour(instruction: str) -> str | None:
    """Return the colour word that belongs to the object: one that is left when the paint's own word is taken out."""
    named = colours_in(instruction)
    try:
        paint = paint_named(instruction)
    except ConfigError:
        return named[0] if named else None
    for word in reversed(named):
        if COLOURS[word] == paint:
            named.remove(word)
            break
    return named[0] if named else None


def colours_in(text: str) -> list[str]:
    """Return the colour words of a text, in its order, by the names that `COLOURS` has for them."""
    words = [OTHER_NAMES.get(word, word) for word in re.findall(r"[a-z]+", text.lower())]
    return [word for word in words if word in COLOURS]


def _coloured(clip: Video, word: str) -> Masks:
    """Return where pixels have the hue and the saturation of a named colour, whatever the light."""
    wanted = np.asarray(COLOURS[word], np.float32)
    values = clip.astype(np.float32)
    grey = values.mean(axis=-1, keepdims=True)
    if np.ptp(wanted) < 30:  # white and its like: bright, and of no hue
        return (np.abs(values - grey).max(axis=-1) < 18) & (grey[..., 0] > 165)
    # lightness aside: the colour is compared at the pixel's own brightness
    scale = np.clip(grey / wanted.mean(), 0.35, 1.3)
    return np.linalg.norm(values - wanted * scale, axis=-1) < NEAR


def _moving(clip: Video) -> Masks:
    if len(clip) < 2:
        return np.zeros(clip.shape[:3], bool)
    found = [_departs(a, b) for a, b in pairwise(clip)]
    return np.stack([*found, found[-1]])


def _departs(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.bool_]:
    flow = flow_between(a, b)
    height, width = flow.shape[:2]
    step = max(min(height, width) // 24, 1)
    y, x = (grid.ravel().astype(np.float32) for grid in np.mgrid[0:height:step, 0:width:step])
    start = np.stack([x, y], axis=1)
    moved = start + flow[::step, ::step].reshape(-1, 2)
    camera, _ = cv2.estimateAffine2D(start, moved, ransacReprojThreshold=1.0) if len(start) >= 3 else (None, None)
    if camera is None:
        return np.zeros((height, width), bool)
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    expected = np.stack([columns, rows, np.ones_like(rows)], axis=-1) @ camera.T.astype(np.float32)
    gap = np.hypot(columns + flow[..., 0] - expected[..., 0], rows + flow[..., 1] - expected[..., 1])
    return gap > MOVING


def _cleaned(masks: Masks) -> Masks:
    """Return the masks without specks, and with their gaps closed."""
    side = max(min(masks.shape[1:]) // 60, 1) * 2 + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    frames = [cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, kernel) for mask in masks]
    return np.stack([cv2.morphologyEx(frame, cv2.MORPH_CLOSE, kernel) > 0 for frame in frames])


def _chosen(mask: NDArray[np.bool_], words: set[str]) -> NDArray[np.bool_]:
    count, labels, stats, centres = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    regions = [n for n in range(1, count) if stats[n, cv2.CC_STAT_AREA] >= LEAST * mask.size]
    if not regions:
        return np.zeros_like(mask)
    middle = np.array(mask.shape[::-1]) / 2
    rules: tuple[tuple[set[str], Callable[[int], float]], ...] = (
        ({"left", "leftmost"}, lambda n: centres[n][0]),
        ({"right", "rightmost"}, lambda n: -centres[n][0]),
        ({"top", "upper", "highest", "topmost"}, lambda n: centres[n][1]),
        ({"bottom", "lower", "lowest", "bottommost"}, lambda n: -centres[n][1]),
        ({"middle", "centre", "center"}, lambda n: float(np.linalg.norm(centres[n] - middle))),
        ({"smallest", "small", "tiny"}, lambda n: stats[n, cv2.CC_STAT_AREA]),
    )
    rank = next((rule for names, rule in rules if names & words), lambda n: -stats[n, cv2.CC_STAT_AREA])
    found: NDArray[np.bool_] = labels == min(regions, key=rank)
    return found


def _method(name: str, summary: str, find: Find, *, paper: str = "-", first_mask: bool = False) -> Method:
    return Method(
        name=name,
        tasks=("segment",),
        summary=summary,
        paper=paper,
        version=1,
        make=lambda context: painting(find),
        first_mask=first_mask,
    )


EMPTY = _method("empty", "paints nothing: right where the expression fits nothing", nothing)
CENTRE = _method("centre", "paints an ellipse in the middle", centre)
COLOUR_WORDS = _method("colour_words", "paints pixels near the object's colour word", colour_words)
MOTION_SALIENCY = _method(
    "motion_saliency",
    "paints what moves otherwise than the camera",
    motion_saliency,
    paper="after Irani & Anandan, PAMI 1998",
)
PARSER = _method("parser", "one region by the words for colour, motion, place and size", parser)
FIRST_FRAME = _method(
    "first_frame_propagation", "carries the first frame's mask, which is given, along optical flow", first_frame_propagation,
    paper="after Tsai, Yang & Black, CVPR 2016", first_mask=True,
)  # fmt: skip
