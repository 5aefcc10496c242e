"""Which clips are worth using: scores of the clean clip, and the thresholds they must meet."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from datagen.effects.colour import colourfulness
from datagen.lettering import lettering
from datagen.settings import EngineSettings, GateSettings
from datagen.shots import unexplained
from shards.codecs import pooled_psnr
from shards.sample import Video

_LONG_SIDE = 64
_VISIBLE = 10
"""Grey levels: a difference that one sees."""
_JUMP_FLOOR = 4.0
"""Grey levels: in a clip in which nothing moves a small change is no cut."""
_STANDS_OUT = 1.5
"""From what `jump` on motion is looked for: most clips have no such frames."""
_BLACK = 20.0
"""Grey level up to which a bar is black: 16 is black to many encoders, and there is noise."""
_HALF = 0.5
"""Share of a line that subtitles may cover, and that is more than black where a bar ends."""
_EDGE = 2
"""Lines in which a bar ends, thinned out: one may be of both."""
_JUST_VISIBLE = 4.0
"""Grey levels by which a dark picture is lighter than the bar beside it."""
_DARK = 0.01
"""Share of the pixels that lie below a clip's black point."""
_LUMA = np.array([[0.299, 0.587, 0.114]], np.float32)


def score(video: Video) -> dict[str, float]:
    """Return what the gates look at, most of it measured on frames thinned out to about 64 pixels.

    `brightness` and `contrast` (gray, 0..255), `motion` (mean absolute difference of neighbouring frames),
    `duplicates` (share of frames equal to the one before), `jump` (the largest such difference over the median one and
    a floor: a cut; of one that stands out, what motion does not explain), `borders` (share of the picture under black bars),
    `lettering` (share of it under lettering that was laid over it, see `datagen.lettering`), `colourfulness` (Hasler &
    Suesstrunk), `black_point` (grey level of the least channel that one pixel in a hundred stays below: what haze lifts, as
    the dark channel prior says), `sharpness` (variance of the Laplacian of the sharpest of three whole frames;
    Pech-Pacheco et al. 2000).
    """
    every = max(max(video.shape[1:3]) // _LONG_SIDE, 1)
    small = _thinned(video, every)
    gray = cv2.transform(small.reshape(len(small), -1, 3).astype(np.float32), _LUMA)
    changes = np.abs(np.diff(gray, axis=0)).mean(1) if len(gray) > 1 else np.zeros(0, np.float32)
    values = {
        "brightness": gray.mean(),
        "contrast": gray.std(axis=1).mean(),
        "motion": changes.mean() if len(changes) else 0.0,
        "duplicates": (changes == 0).mean() if len(changes) else 0.0,
        "colourfulness": colourfulness(small),
        "black_point": _percentile(_least(small[::4]), _DARK),
        "jump": _jump(gray.reshape(small.shape[:3]), changes) if len(changes) > 1 else 0.0,
        "borders": _borders(gray.reshape(small.shape[:3])),
        "lettering": lettering(video),
        "sharpness": max(_sharpness(video[i]) for i in (0, len(video) // 2, len(video) - 1)),
    }
    return {name: round(float(value), 4) for name, value in values.items()}


def _jump(gray: NDArray[np.float32], changes: NDArray[np.float32]) -> float:
    usual = _JUMP_FLOOR + float(np.median(changes))
    found = [
        unexplained(gray[i], gray[i + 1]) if change > _STANDS_OUT * usual else change
        for i, change in enumerate(map(float, changes))
    ]
    return max(found) / usual


def _thinned(video: Video, every: int) -> Video:
    """Return every so many pixels of every so many rows."""
    height, width = video.shape[1] // every, video.shape[2] // every
    small = np.empty((len(video), height, width, 3), np.uint8)
    for frame, out in zip(video, small, strict=True):
        cv2.resize(frame, (width, height), dst=out, interpolation=cv2.INTER_NEAREST)
    return small


def _least(video: Video) -> NDArray[np.uint8]:
    """Return the least of each pixel's channels. numpy takes forty times as long along an axis of three."""
    return reduce(cv2.min, cv2.split(video.reshape(1, -1, 3)))


def _percentile(levels: NDArray[np.uint8], share: float) -> float:
    """Return what `np.percentile` does, by counting the 256 levels: nothing is sorted."""
    below = np.cumsum(np.bincount(levels.reshape(-1), minlength=256))
    rank = share * (levels.size - 1)
    first, last = np.searchsorted(below, [np.floor(rank), np.ceil(rank)], side="right")
    return float(first + (last - first) * (rank % 1))


def _sharpness(frame: NDArray[np.uint8]) -> float:
    edges = cv2.Laplacian(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), cv2.CV_16S, borderType=cv2.BORDER_REFLECT)
    return float(cv2.meanStdDev(edges)[1][0, 0] ** 2)


def _borders(gray: NDArray[np.float32]) -> float:
    """Return the share of [t h w] under black bars: above and below, or left and right, and black in all frames."""
    brightest = gray.max(0)
    shares = []
    for picture in (brightest, brightest.T):
        sides = (picture, picture[::-1])
        bars = [_bar((side > _BLACK).mean(1)) for side in sides] if (picture > _BLACK).any() else [0, 0]
        # one dark side is a night sky; bars come in pairs
        paired = min(bars) > 0 and any(_ends_at_once(side, bar) for side, bar in zip(sides, bars, strict=True))
        shares.append(sum(bars) / len(picture) if paired else 0.0)
    return float(max(shares))


def _ends_at_once(side: NDArray[np.float32], bar: int) -> bool:
    """Whether a picture begins all along a bar's edge, as the black around a globe or a stage does not end."""
    within = side[bar : bar + _EDGE] > np.median(side[:bar]) + _JUST_VISIBLE
    return bool((within.mean(1) > _HALF).any())


def _bar(lit: NDArray[np.float64]) -> int:
    """Return how many lines the bar has whose lines, from the picture's edge on, are lit by these shares. Subtitles within it,
    black lines above and below them, belong to it."""
    bright = np.flatnonzero(lit > _HALF)
    dark = np.flatnonzero(lit[: bright[0] if len(bright) else len(lit)] == 0)
    return int(dark[-1]) + 1 if len(dark) and lit[0] == 0 else 0


def pair_score(source: Video, target: Video, mask: NDArray[np.uint8] | None = None) -> dict[str, float]:
    """Return what the gates look at in a pair.

    `pair_psnr`: PSNR in dB between its two clips, pooled. `pair_changed`: see `changed_share`. `pair_outside`, where there is
    a `mask` uint8 [t h w]: the largest difference outside it.
    """
    found = {"pair_psnr": pooled_psnr(source, target), "pair_changed": changed_share(source, target)}
    if mask is not None:
        sides = zip(source, target, mask, strict=True)
        found["pair_outside"] = max(cv2.norm(a, b, cv2.NORM_INF, mask=cv2.bitwise_not(hole)) for a, b, hole in sides)
    return {name: round(float(value), 4) for name, value in found.items()}


def changed_share(source: Video, target: Video) -> float:
    """Return the share of the pixels in which two clips differ by more than 10 grey levels, on frames thinned out as for
    `score`."""
    every = max(max(source.shape[1:3]) // _LONG_SIDE, 1)
    apart = cv2.absdiff(_thinned(source, every).reshape(1, -1, 3), _thinned(target, every).reshape(1, -1, 3))
    return float((reduce(cv2.max, cv2.split(apart)) > _VISIBLE).mean())


def judge_pair(scores: Mapping[str, Any], gates: GateSettings, *, changes: bool, keeps_outside: bool) -> str:
    """Return why a pair with these scores may not be used, or nothing.

    `changes`: whether its clips should differ at all; `keeps_outside`: whether only inside the mask.
    """
    if changes and scores["pair_psnr"] > gates.max_pair_psnr:
        return f"no change: pair_psnr {scores['pair_psnr']:g} > {gates.max_pair_psnr:g}"
    if changes and scores["pair_changed"] < gates.min_pair_changed:
        return f"no change: pair_changed {scores['pair_changed']:g} < {gates.min_pair_changed:g}"
    if changes and scores["pair_changed"] > gates.max_pair_changed:
        return f"overdone: pair_changed {scores['pair_changed']:g} > {gates.max_pair_changed:g}"
    if keeps_outside and scores.get("pair_outside", 0) > 0:
        return f"changed outside its mask: pair_outside {scores['pair_outside']:g} > 0"
    return ""


def judge_generated(scores: Mapping[str, Any], engine: EngineSettings) -> str:
    """Return why a pair with these scores of a CLIP may not be used, or nothing; pairs without them may."""
    rules = [
        ("another picture", "pair_clip_image", engine.min_pair_clip_image),
        ("not as described", "pair_clip_text", engine.min_pair_clip_text),
        ("another change", "pair_clip_direction", engine.min_pair_clip_direction),
    ]
    for reason, name, least in rules:
        if scores.get(name, least) < least:
            return f"{reason}: {name} {scores[name]:g} < {least:g}"
    return ""


def judge(scores: Mapping[str, Any], gates: GateSettings, frames: int) -> tuple[bool, str]:
    """Return whether a clip with these scores may be used, and if not, why."""
    least_motion = gates.min_motion if frames > 1 else -np.inf
    rules = [
        ("black", "brightness", "<", gates.min_brightness),
        ("blown out", "brightness", ">", gates.max_brightness),
        ("flat", "contrast", "<", gates.min_contrast),
        ("still", "motion", "<", least_motion),
        ("frozen", "duplicates", ">", gates.max_duplicates),
        ("cut", "jump", ">", gates.max_jump),
        ("black bars", "borders", ">", gates.max_borders),
        ("lettering", "lettering", ">", gates.max_lettering),
        ("out of focus", "sharpness", "<", gates.min_sharpness),
    ]
    for reason, name, sign, limit in rules:
        if (scores[name] < limit) if sign == "<" else (scores[name] > limit):
            return False, f"{reason}: {name} {scores[name]:g} {sign} {limit:g}"
    return True, ""
