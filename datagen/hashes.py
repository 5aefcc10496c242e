"""Perceptual hashes of a clip: of what its frames show, and of what moves in them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from shards.sample import Video

_SIDE, _KEPT = 32, 8
_EVERY, _SHORT = 2, 8
"""Every second frame is hashed: one frame further on a fast picture still has over half of its hashes within 8 bits, four
frames further on none. Of clips of up to 8 frames every frame is."""
_FLAT = 2.0
"""Grey levels of standard deviation: a frame with less shows nothing, and all black frames are alike."""


def perceptual_hashes(video: Video) -> list[str]:
    """Return a 64-bit perceptual hash, in hexadecimal, of every second frame that shows something.

    pHash (Zauner 2010): the 8 x 8 lowest frequencies of the cosine transform of 32 x 32 gray values, each above or below
    their median. Scaling, compression and small changes of light leave most bits alone.
    """
    low = _low_frequencies(_hashed(video))
    return _texts(low > np.median(low[:, 1:], axis=1, keepdims=True), _shown(low))


def motion_hashes(video: Video) -> list[str]:
    """Return a 64-bit hash, in hexadecimal, of how each of the same frames differs from the mean of all.

    The signs of the same frequencies. What stands still is gone from it: two clips of one camera that stands still have
    hashes of their own, and copies the same ones. A clip of one frame has none.
    """
    if len(video) == 1:
        return []
    frames = _hashed(video)
    moving = _low_frequencies(frames - np.stack([_small(frame) for frame in video]).mean(0))
    return _texts(moving > 0, _shown(_low_frequencies(frames)))


def _hashed(video: Video) -> NDArray[np.float32]:
    every = _EVERY if len(video) > _SHORT else 1
    return np.stack([_small(frame) for frame in video[::every]])


def _small(frame: NDArray[np.uint8]) -> NDArray[np.float32]:
    gray = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    return cv2.resize(gray, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)


def _low_frequencies(frames: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.stack([cv2.dct(frame)[:_KEPT, :_KEPT].reshape(-1) for frame in frames])


def _shown(low: NDArray[np.float32]) -> NDArray[np.bool_]:
    # the mean of the picture says nothing of what it shows
    shown: NDArray[np.bool_] = np.sqrt(np.square(low[:, 1:]).sum(1)) / _SIDE >= _FLAT
    return shown


def _texts(bits: NDArray[np.bool_], shown: NDArray[np.bool_]) -> list[str]:
    return [row.tobytes().hex() for row in np.packbits(bits[shown], axis=1)]
