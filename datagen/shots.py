"""Shot changes in a video, found by how much neighbouring frames differ from each other."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from shards.sample import Video

Gray = NDArray[np.uint8]
SIZE = (64, 36)
"""(width, height) of the frames that are looked at."""
_LEAST_SIDE = 12
"""Pixels that the optical flow needs; in the thumbnail of a banner no motion is looked for."""
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
    PySceneDetect's: a change counts that stands out from the changes around it, here from their median, and not by motion alone.
    """
    changes, jumps = _changes(read, frames)
    cuts: list[int] = []
    for i in np.flatnonzero(jumps > _FLOOR * _RATIO):
        around = np.concatenate([changes[max(i - _AROUND, 0) : i], changes[i + 1 : i + 1 + _AROUND]])
        usual = float(np.median(around)) if len(around) else 0.0
        stands_out = jumps[i] > _RATIO * (_FLOOR + usual)
        if stands_out and int(i) + 1 - (cuts[-1] if cuts else 0) >= _SHORTEST:
            cuts.append(int(i) + 1)
    return cuts


def unexplained(before: NDArray[np.float32], after: NDArray[np.float32]) -> float:
    """Return the mean absolute difference of two small gray frames [h w] that motion does not explain.

    Motion explains what it brings to where it came from, by the flow there and back (Sundaram et al. 2010): unrelated frames
    can be warped onto each other, but not back. Of both ways the better counts, for what is uncovered is in one frame only.
    """
    if min(before.shape) < _LEAST_SIDE:
        return float(np.abs(after - before).mean())
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    search.setFinestScale(0)
    one, other = (np.clip(frame, 0, 255).astype(np.uint8) for frame in (before, after))
    there, back = search.calc(one, other, None), search.calc(other, one, None)
    return min(_left(one, other, there, back), _left(other, one, back, there))


def _left(one: Gray, other: Gray, there: NDArray[np.float32], back: NDArray[np.float32]) -> float:
    places = np.stack(np.meshgrid(*map(np.arange, one.shape[::-1])), axis=-1).astype(np.float32) + there
    moved, home = (
        cv2.remap(each, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for each in (other, back)
    )
    lengths = ((there**2).sum(-1) + (home**2).sum(-1), ((there + home) ** 2).sum(-1))
    lost = lengths[1] > 0.01 * lengths[0] + 0.5
    stayed, came = cv2.absdiff(other, one), cv2.absdiff(moved, one)
    # where motion explains nothing, what it brings there counts as well, up to the plain difference in all
    return min(float(np.where(lost, cv2.max(stayed, came), came).mean()), float(stayed.mean()))


def _changes(read: Callable[[range], Video], frames: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return twice float32 [frames - 1]: the mean absolute difference of the gray values of neighbours, and, of what is large
    enough for a cut, what motion does not explain."""
    changes, jumps = ([np.zeros(0, np.float32)] for _ in range(2))
    last: NDArray[np.float32] | None = None
    for start in range(0, frames, _CHUNK):
        gray = read(range(start, min(start + _CHUNK, frames))).mean(-1, dtype=np.float32)
        joined = gray if last is None else np.concatenate([last[None], gray])
        changes.append(np.abs(np.diff(joined, axis=0)).mean((1, 2)))
        jumps.append(changes[-1].copy())
        for i in np.flatnonzero(changes[-1] > _FLOOR * _RATIO):
            jumps[-1][i] = unexplained(joined[i], joined[i + 1])
        last = gray[-1]
    return np.concatenate(changes), np.concatenate(jumps)
