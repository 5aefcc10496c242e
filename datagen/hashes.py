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
_MIDDLE = 0.9
"""Share of height and width that the middle of a picture has: what is cropped to about that much looks like it."""
Gray = NDArray[np.uint8]
Small = NDArray[np.float32]


def perceptual_hashes(video: Video) -> list[str]:
    """Return 64-bit perceptual hashes, in hexadecimal, of every second frame that shows something: of all of its picture
    for each, then of its middle for each.

    pHash (Zauner 2010) with the signs of the 8 x 8 lowest frequencies of the cosine transform of 32 x 32 gray values:
    mirrored, a picture changes those of odd frequency along a row and no other. Scaling, compression and small changes of
    light leave most alone. Datasets of earlier versions have whether these were above their median, which is another bit
    in 2 of 64 mostly, and no middles.
    """
    grays = [_gray(frame) for frame in video[_chosen(video)]]
    hashes = [_small(gray) for gray in grays] + [_small(_middle(gray)) for gray in grays]
    low = _low_frequencies(np.stack(hashes))
    return _texts(low, _shown(low))


def motion_hashes(video: Video) -> list[str]:
    """Return a 64-bit hash, in hexadecimal, of how each of the same frames differs from the mean of all.

    The signs of the same frequencies. What stands still is gone from it: two clips of one camera that stands still have
    hashes of their own, and copies the same ones. A clip of one frame has none.
    """
    if len(video) == 1:
        return []
    frames = np.stack([_small(_gray(frame)) for frame in video])
    chosen = frames[_chosen(video)]
    return _texts(_low_frequencies(chosen - frames.mean(0)), _shown(_low_frequencies(chosen)))


def _chosen(video: Video) -> slice:
    return slice(None, None, _EVERY if len(video) > _SHORT else 1)


def _gray(frame: Gray) -> Gray:
    return cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)


def _middle(gray: Gray) -> Gray:
    top, left = (round(side * (1 - _MIDDLE) / 2) for side in gray.shape)
    return gray[top : len(gray) - top, left : gray.shape[1] - left]


def _small(gray: Gray) -> Small:
    return cv2.resize(gray, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)


def _low_frequencies(frames: Small) -> Small:
    return np.stack([cv2.dct(frame)[:_KEPT, :_KEPT].reshape(-1) for frame in frames])


def _shown(low: Small) -> NDArray[np.bool_]:
    # the mean of the picture says nothing of what it shows
    shown: NDArray[np.bool_] = np.sqrt(np.square(low[:, 1:]).sum(1)) / _SIDE >= _FLAT
    return shown


def _texts(low: Small, shown: NDArray[np.bool_]) -> list[str]:
    return [row.tobytes().hex() for row in np.packbits(low[shown] > 0, axis=1)]
