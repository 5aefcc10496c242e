"""What in an answer looks like a mistake, though it is a clip of the right size."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from shards import Sample
from shards.sample import Video

_THUMB = 32
_LEAST = 1.0
"""Grey levels by which frames must differ before their order can be told."""

RETURNED = "returned its input"
REORDERED = "frames out of order"
FROZEN = "one frame repeated"


def suspicions(sample: Sample, prediction: Video) -> list[str]:
    """Return what is odd about an answer, uint8 [t h w 3]: in words, none for most."""
    found = []
    if np.array_equal(prediction, sample.source) and not np.array_equal(sample.source, sample.target):
        found.append(RETURNED)
    if len(prediction) > 1:
        answer, truth = _thumbs(prediction), _thumbs(sample.target)
        if (answer == answer[0]).all() and np.abs(truth - truth[0]).mean() > _LEAST:
            found.append(FROZEN)
        elif _reordered(answer, truth):
            found.append(REORDERED)
    return found


def _reordered(answer: NDArray[np.float32], truth: NDArray[np.float32]) -> bool:
    """Return whether another order of the answer's frames fits the target more than twice as well."""
    from scipy.optimize import linear_sum_assignment

    cost = np.array([np.abs(truth - frame).mean(axis=(1, 2)) for frame in answer])
    rows, columns = linear_sum_assignment(cost)
    as_is, best = float(np.trace(cost)) / len(cost), float(cost[rows, columns].mean())
    return bool(as_is - best > _LEAST and best < as_is / 2)


def _thumbs(video: Video) -> NDArray[np.float32]:
    """Return float32 [t 32 32] without each frame's mean: brightness is not what order is told by."""
    small = [cv2.resize(frame, (_THUMB, _THUMB), interpolation=cv2.INTER_AREA) for frame in video]
    grey = np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in small]).astype(np.float32)
    return grey - grey.mean(axis=(1, 2), keepdims=True)
