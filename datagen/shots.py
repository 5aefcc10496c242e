"""Shot changes in a video, found by how much neighbouring frames differ from each other."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from shards.sample import Video

SIZE = (64, 36)
"""(width, height) of the frames that are looked at."""
_CHUNK = 256
_AROUND = 8
"""Frames on each side of a change that tell how much is usual there."""
_SHORTEST = 5
"""Frames: what follows sooner upon a cut is a flash, not a shot."""
_FLOOR, _RATIO = 4.0, 2.5
"""Grey levels and factor as in the gate `max_jump`: what it would turn away is a cut here."""


def find_cuts(read: Callable[[range], Video], frames: int) -> list[int]:
    """Return the first frame of every shot but the first one's.

    `read`: gives frames as uint8 [t h w 3], at any small size. The rule is that of adaptive detectors such as
    PySceneDetect's: a change counts that stands out from the changes around it, here from their median.
    """
    changes = _changes(read, frames)
    cuts: list[int] = []
    for i in np.flatnonzero(changes > _FLOOR * _RATIO):
        around = np.concatenate([changes[max(i - _AROUND, 0) : i], changes[i + 1 : i + 1 + _AROUND]])
        usual = float(np.median(around)) if len(around) else 0.0
        stands_out = changes[i] > _RATIO * (_FLOOR + usual)
        if stands_out and int(i) + 1 - (cuts[-1] if cuts else 0) >= _SHORTEST:
            cuts.append(int(i) + 1)
    return cuts


def _changes(read: Callable[[range], Video], frames: int) -> NDArray[np.float32]:
    """Return float32 [frames - 1]: the mean absolute difference of the gray values of neighbours."""
    found = [np.zeros(0, np.float32)]
    last: NDArray[np.float32] | None = None
    for start in range(0, frames, _CHUNK):
        gray = read(range(start, min(start + _CHUNK, frames))).mean(-1, dtype=np.float32)
        joined = gray if last is None else np.concatenate([last[None], gray])
        found.append(np.abs(np.diff(joined, axis=0)).mean((1, 2)))
        last = gray[-1]
    return np.concatenate(found)
