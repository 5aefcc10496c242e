"""The record of a metric, and the table of all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.metrics.fidelity import psnr, ssim
from shards.sample import Video

PerFrame = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A function of (prediction, target), both uint8 [t h w 3], that gives one value per frame; a clip's score is
    their mean."""

    name: str
    unit: str
    function: Callable[[Video, Video], PerFrame]
    higher_is_better: bool
    worst: float
    """What a clip scores on which the method failed."""
    version: int
    convention: str
    """Channels, range, crop, pooling: everything another program must do alike to get the same number."""
    digits: int = 2
    least_side: int = 1
    """Pixels that a frame must have in each direction."""


_POOLING = "mean over the clip's frames, then over a video's clips, then over videos"

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            name="psnr",
            unit="dB",
            function=psnr,
            higher_is_better=True,
            worst=0.0,
            version=1,
            convention="per frame, from the squared error over all pixels and RGB channels, 8-bit range 255, no crop; equal "
            f"frames count 100 dB; {_POOLING}",
        ),
        Metric(
            name="ssim",
            unit="",
            function=ssim,
            higher_is_better=True,
            worst=-1.0,
            version=1,
            convention="per frame and RGB channel, gaussian window 11 x 11 with sigma 1.5, population covariance, "
            f"K1 0.01, K2 0.03, 8-bit range 255, the map cropped by 5 pixels as scikit-image does, "
            f"mean over channels; {_POOLING}",
            digits=4,
            least_side=11,
        ),
    )
}


def get_metrics(task: str) -> list[Metric]:
    """Return the metrics of a task; the first one ranks. So far every task's answer is a clip, and these fit all."""
    return list(METRICS.values())
