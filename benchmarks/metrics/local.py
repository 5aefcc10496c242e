"""How a clip does inside and outside of a mask: holes that were filled, and edits that were asked for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.metrics.fidelity import decibels
from shards.sample import Video

Mask = NDArray[np.uint8]


def masked_psnr(prediction: Video, target: Video, mask: Mask) -> NDArray[np.float64]:
    """Return the PSNR in dB over the pixels that are set in `mask` uint8 [t h w], frame by frame: float64, range 255.

    Frames with nothing set are left out; the clips are uint8 [t h w 3], equal pixels give 100.
    """
    pairs = zip(prediction, target, mask != 0, strict=True)
    return np.array([decibels(_error(a[inside], b[inside])) for a, b, inside in pairs if inside.any()])


def pasted(prediction: Video, source: Video, mask: Mask) -> Video:
    """Return the prediction where `mask` is set and the source elsewhere, as inpainting papers score it."""
    return np.where((mask != 0)[..., None], prediction, source)


def change_made(prediction: Video, source: Video, target: Video) -> float:
    """Return which share of the way from source to target was gone, over all pixels of uint8 [t h w 3].

    1 - |prediction - target|^2 / |source - target|^2: 1 for the target, 0 for the source, below 0 for what is farther from
    the target than the source was; at least -1. Source and target must differ.

    Raises:
        ValueError: they are equal.
    """
    whole = _error(source, target)
    if whole == 0:
        raise ValueError("source and target are equal: there is no change to make")
    return max(1 - _error(prediction, target) / whole, -1.0)


def unchanged(prediction: Video, source: Video, target: Video) -> bool:
    """Return whether the answer is as good as the source again: it changed less than a tenth of what the target changes.

    Changes are mean absolute differences from the source, all clips uint8 [t h w 3].
    """
    changed, asked = (np.abs(clip.astype(np.int16) - source).mean() for clip in (prediction, target))
    return bool(changed < asked / 10)


def _error(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    return float(((a.astype(np.int16) - b) ** 2.0).mean()) if a.size else 0.0
