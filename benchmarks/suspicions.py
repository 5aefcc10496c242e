"""What in an answer looks like a mistake, though it is a clip of the right size."""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from shards import Sample
from shards.sample import Video

_THUMB = 32
_LEAST = 0.5
"""Grey levels by which a clip's frames must differ from their mean before their order can be told."""
_TELLS = 0.5
"""Correlation with a clip's motion above which an answer shows that motion, in whatever order."""
_LITTLE = 0.1
"""Of what was asked: an answer that changes less has left things as they were."""
_CLEARLY = 0.3
"""Correlation of what stands still beyond which an answer is no negative, or is one."""
_SOMETHING = 1.0
"""Grey levels, root mean square, that a target must differ from the input by before anything was asked."""
_SAME = 1e-3
"""Grey levels between thumbnails of one frame."""
_LOSS = 24
"""Grey levels that a codec may put between a mask's pixel and black or white."""

RETURNED = "returned its input or nearly so"
EXACT = "equals the target to the bit"
REORDERED = "frames out of order"
FROZEN = "one frame repeated"
OTHERWISE = "answers otherwise when asked again"
MASKS = "black and white as masks are, which are taken for such from pictures of one channel only,"
Array = NDArray[np.float32]


class Shown(NamedTuple):
    """What a clip shows, in small."""

    still: Array
    """float32 [n]: what is in all frames."""
    motion: Array
    """float32 [t n]: what is particular to each."""


def suspicions(sample: Sample, prediction: Video, *, knows_target: bool = False) -> list[str]:
    """Return what is odd about an answer, uint8 [t h w 3]: in words, none for most. `knows_target`: as an oracle may."""
    found = []
    asked = apart(sample.target, sample.source)
    if asked > _SOMETHING:
        if apart(prediction, sample.source) < _LITTLE * asked:
            found.append(RETURNED)
        if not knows_target and np.array_equal(prediction, sample.target):
            found.append(EXACT)
    if sample.meta.task == "segment" and _is_masks(prediction) and not _is_masks(sample.source):
        found.append(MASKS)
    if len(prediction) > 1:
        answer, clips = _shown(prediction), [_shown(sample.target), _shown(sample.source)]
        if np.abs(answer.motion).max() < _SAME and np.abs(clips[0].motion).mean() > _LEAST:
            found.append(FROZEN)
        elif _reordered(answer, clips):
            found.append(REORDERED)
    return found


def apart(a: Video, b: Video) -> float:
    """Return the root mean square difference of two clips: grey levels. A small place that is much changed counts in it."""
    return float(
        np.sqrt(np.mean([cv2.norm(one, other, cv2.NORM_L2SQR) / one.size for one, other in zip(a, b, strict=True)]))
    )


def _is_masks(video: Video) -> bool:
    """Return whether nearly every pixel is black or white."""
    return bool(((video < _LOSS) | (video > 255 - _LOSS)).mean() > 0.99)


def _reordered(answer: Shown, clips: list[Shown]) -> bool:
    """Return whether an answer shows the motion of one of the clips in another order.

    Each frame of the answer is given the frame it is like, by correlation; the clip that fits best in any order decides.
    Noise alone can make another order fit a little better, the more the worse the fit. Of steady motion the negative looks
    like the reverse; what stands still tells which it is, and where it does not, neither may fit in order.
    """
    moving = [clip for clip in clips if np.abs(clip.motion).mean() > _LEAST]
    contrast = max((_contrast(answer, clip) for clip in moving), key=abs, default=0.0)
    signs = [math.copysign(1, contrast)] if abs(contrast) > _CLEARLY else [1, -1]
    return bool(moving) and all(_fits_another(np.float32(sign) * answer.motion, moving) for sign in signs)


def _fits_another(answer: Array, clips: list[Shown]) -> bool:
    """Return whether motion fits that of one of the clips better in another order."""
    best, as_is = max(_fit(answer, clip.motion) for clip in clips)
    return best > _TELLS and (best - as_is) * len(answer) > 0.1 + 2 * (1 - best)


def _fit(answer: Array, clip: Array) -> tuple[float, float]:
    """Return the mean correlation of frames in the order that fits best, and in the order they have."""
    from scipy.optimize import linear_sum_assignment

    likeness = _unit(answer) @ _unit(clip).T
    return float(likeness[linear_sum_assignment(-likeness)].mean()), float(np.trace(likeness)) / len(clip)


def _contrast(answer: Shown, clip: Shown) -> float:
    """Return the correlation of what stands still: about -1 for a negative."""
    return float((_unit(answer.still[None]) @ _unit(clip.still[None]).T).item())


def _unit(rows: Array) -> Array:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)


def _shown(video: Video) -> Shown:
    """Return thumbnails less each one's mean, apart by what is in all of them: haze and what stands still is no motion."""
    small = [cv2.resize(frame, (_THUMB, _THUMB), interpolation=cv2.INTER_AREA) for frame in video]
    grey = np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in small]).astype(np.float32)
    flat = (grey - grey.mean(axis=(1, 2), keepdims=True)).reshape(len(grey), -1)
    still = flat.mean(axis=0)
    return Shown(still, flat - still)
