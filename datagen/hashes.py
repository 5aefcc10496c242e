"""Perceptual hashes of a clip: of what its frames show, and of what moves in them."""

from __future__ import annotations

from typing import NamedTuple

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


class Hashes(NamedTuple):
    """64-bit hashes, in hexadecimal, of every second frame of a clip that shows something."""

    shown: list[str]
    """Of all of its picture for each, then of its middle for each.

    pHash (Zauner 2010) with the signs of the 8 x 8 lowest frequencies of the cosine transform of 32 x 32 gray values:
    mirrored, a picture changes those of odd frequency along a row and no other. Scaling, compression and small changes of
    light leave most alone. Datasets of earlier versions have whether these were above their median, which is another bit
    in 2 of 64 mostly, and no middles.
    """
    moving: list[str]
    """Of how the same frames differ from the mean of all.

    The signs of the same frequencies. What stands still is gone from it: two clips of one camera that stands still have
    hashes of their own, and copies the same ones. A clip of one frame has none.
    """


def perceptual_hashes(video: Video) -> Hashes:
    """Return what a clip, uint8 [t h w 3], is known again by."""
    every = _EVERY if len(video) > _SHORT else 1
    grays = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in video]
    frames = np.stack([_small(gray) for gray in grays])
    whole = _low_frequencies(frames[::every])
    middle = _low_frequencies(np.stack([_small(_middle(gray)) for gray in grays[::every]]))
    moving = _low_frequencies(frames[::every] - frames.mean(0))
    shows = _shows(whole)
    return Hashes(
        shown=_texts(whole[shows]) + _texts(middle[_shows(middle)]),
        moving=_texts(moving[shows]) if len(video) > 1 else [],
    )


def _middle(gray: Gray) -> Gray:
    top, left = (round(side * (1 - _MIDDLE) / 2) for side in gray.shape)
    return gray[top : len(gray) - top, left : gray.shape[1] - left]


def _small(gray: Gray) -> Small:
    return cv2.resize(gray, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)


def _low_frequencies(frames: Small) -> Small:
    return np.stack([cv2.dct(frame)[:_KEPT, :_KEPT].reshape(-1) for frame in frames])


def _shows(low: Small) -> NDArray[np.bool_]:
    # the mean of the picture says nothing of what it shows
    spread: NDArray[np.float32] = np.sqrt(np.square(low[:, 1:]).sum(1)) / _SIDE
    return spread >= _FLAT


def _texts(low: Small) -> list[str]:
    return [row.tobytes().hex() for row in np.packbits(low > 0, axis=1)]
