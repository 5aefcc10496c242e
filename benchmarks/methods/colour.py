"""Recoloring without learning more than one number per channel."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.methods.base import Context, Method, Restore
from configs import DatasetError
from shards.sample import Video

_MOST_SAMPLES = 200
_EVERY = 8


def make_mean_chroma(context: Context) -> Restore:
    """Return a method that gives every pixel the mean a and b of the train split's targets and keeps its L."""
    keys = context.dataset.keys(context.task, "train")
    if not keys:
        raise DatasetError(
            f"{context.dataset.root} has no train samples of {context.task!r} to take the mean chroma from"
        )
    chosen = keys[:: max(len(keys) // _MOST_SAMPLES, 1)]
    chroma = np.mean([mean_chroma(context.dataset[key].target) for key in chosen], axis=0)

    def recolor(
        clip: Video, instruction: str, reference: NDArray[np.uint8] | None, mask: NDArray[np.uint8] | None
    ) -> Video:
        return with_chroma(clip, chroma)

    return recolor


def mean_chroma(video: Video) -> NDArray[np.float64]:
    """Return the mean (a, b) of CIE Lab over uint8 [t h w 3], from every eighth pixel each way."""
    thinned = np.ascontiguousarray(video[:, ::_EVERY, ::_EVERY].reshape(1, -1, 3)).astype(np.float32) / np.float32(255)
    return cv2.cvtColor(thinned, cv2.COLOR_RGB2Lab)[..., 1:].mean(axis=(0, 1), dtype=np.float64)


def with_chroma(gray: Video, chroma: NDArray[np.float64]) -> Video:
    """Return uint8 [t h w 3] with the lightness that `gray` encodes (255 for L = 100) and one chroma for all pixels."""
    levels = np.empty((1, 256, 3), np.float32)
    levels[..., 0] = np.arange(256) / 2.55
    levels[..., 1:] = chroma
    table = np.clip(cv2.cvtColor(levels, cv2.COLOR_Lab2RGB)[0] * 255 + 0.5, 0, 255).astype(np.uint8)
    return table[gray[..., 0]]


MEAN_CHROMA = Method(
    name="mean_chroma",
    tasks=("recolor",),
    summary="keeps L, gives all pixels the mean a and b of the train split",
    paper="-",
    version=1,
    make=make_mean_chroma,
    learns=True,
)
