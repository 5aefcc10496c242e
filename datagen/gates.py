"""Which clips are worth using: scores of the clean clip, and the thresholds they must meet."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np

from datagen.effects.colour import colourfulness
from datagen.settings import GateSettings
from shards.codecs import pooled_psnr
from shards.sample import Video

_LONG_SIDE = 64
_LUMA = np.array([[0.299, 0.587, 0.114]], np.float32)


def score(video: Video) -> dict[str, float]:
    """Return what the gates look at, measured on frames thinned out to about 64 pixels.

    `brightness` and `contrast` (gray, 0..255), `motion` (mean absolute difference of neighbouring frames),
    `duplicates` (share of frames equal to the one before), `colourfulness` (Hasler & Suesstrunk).
    """
    every = max(max(video.shape[1:3]) // _LONG_SIDE, 1)
    small = np.ascontiguousarray(video[:, ::every, ::every])
    gray = cv2.transform(small.reshape(len(small), -1, 3).astype(np.float32), _LUMA)
    changes = np.abs(np.diff(gray, axis=0)).mean(1) if len(gray) > 1 else np.zeros(0, np.float32)
    values = {
        "brightness": gray.mean(),
        "contrast": gray.std(axis=1).mean(),
        "motion": changes.mean() if len(changes) else 0.0,
        "duplicates": (changes == 0).mean() if len(changes) else 0.0,
        "colourfulness": colourfulness(small),
    }
    return {name: round(float(value), 4) for name, value in values.items()}


def pair_score(source: Video, target: Video) -> dict[str, float]:
    """Return what the gates look at in a pair: `pair_psnr`, the PSNR in dB between its two clips, pooled."""
    return {"pair_psnr": round(pooled_psnr(source, target), 3)}


def judge_pair(scores: Mapping[str, float], gates: GateSettings) -> str:
    """Return why a pair with these scores may not be used, or nothing."""
    if scores["pair_psnr"] > gates.max_pair_psnr:
        return f"no change: pair_psnr {scores['pair_psnr']:g}"
    return ""


def judge(scores: dict[str, float], gates: GateSettings, frames: int) -> tuple[bool, str]:
    """Return whether a clip with these scores may be used, and if not, why."""
    rules = [
        ("black", scores["brightness"] < gates.min_brightness, "brightness"),
        ("blown out", scores["brightness"] > gates.max_brightness, "brightness"),
        ("flat", scores["contrast"] < gates.min_contrast, "contrast"),
        ("still", frames > 1 and scores["motion"] < gates.min_motion, "motion"),
        ("frozen", scores["duplicates"] > gates.max_duplicates, "duplicates"),
    ]
    for reason, broken, name in rules:
        if broken:
            return False, f"{reason}: {name} {scores[name]:g}"
    return True, ""
