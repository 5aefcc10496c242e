"""Metrics of masks, answered or painted."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.metrics import masks
from benchmarks.metrics.base import Metric, Outcome, Values

_PAINTED = (
    "of a painted answer the mask is where <out - in, C - in> / |C - in|^2 > 1/4, pixel by pixel, C the named paint, |C - in| "
    "taken as 25 grey levels at least"
)


def _above(level: float) -> Callable[[Outcome], Values]:
    return lambda outcome: (outcome.regions > level).astype(np.float64)


def _overall_union(outcome: Outcome) -> float:
    return float(masks.areas(outcome.masks, outcome.mask)[1])


def _overall_iou(outcome: Outcome) -> Values:
    both, either = masks.areas(outcome.masks, outcome.mask)
    return both / either if either else []


METRICS = (
    Metric(
        name="jf",
        label="J&F",
        version=2,
        function=lambda o: (o.regions + o.boundaries) / 2,
        higher_is_better=True,
        worst=0.0,
        best=1.0,
        convention=f"(J + F) / 2; {_PAINTED}; all frames count",
        digits=3,
        tasks=("segment",),
    ),
    Metric(
        name="j",
        label="J",
        version=2,
        function=lambda outcome: outcome.regions,
        higher_is_better=True,
        worst=0.0,
        best=1.0,
        convention=f"intersection over union per frame, 1 where both masks are empty; {_PAINTED}",
        digits=3,
        tasks=("segment",),
    ),
    Metric(
        name="f",
        label="F",
        version=2,
        function=lambda outcome: outcome.boundaries,
        higher_is_better=True,
        worst=0.0,
        best=1.0,
        convention="F measure of the boundaries per frame, tolerance ceil(0.008 x diagonal), 1 where both have "
        "none, 0 where one "
        f"has none; {_PAINTED}",
        digits=3,
        tasks=("segment",),
    ),
    Metric(
        name="j_recall",
        label="J recall",
        version=2,
        function=lambda outcome: masks.recall(outcome.regions),
        higher_is_better=True,
        worst=0.0,
        best=1.0,
        convention="share of frames with J above 0.5",
        pooling="clip",
        digits=3,
        tasks=("segment",),
    ),
    Metric(
        name="j_decay",
        label="J decay",
        version=2,
        function=lambda outcome: masks.decay(outcome.regions),
        higher_is_better=False,
        marks_best=False,
        worst=1.0,
        best=-1.0,
        convention="mean J of the first quarter of the frames minus that of the last; as in DAVIS the quarters of t frames end "
        "at 1 + (t - 1) k / 4, rounded half up, and both ends count, so that neighbouring quarters share a frame",
        pooling="clip",
        digits=3,
        least_frames=4,
        tasks=("segment",),
    ),
    *(
        Metric(
            name=f"p{level}",
            label=f"P@{level / 100:g}",
            version=2,
            function=_above(level / 100),
            higher_is_better=True,
            worst=0.0,
            best=1.0,
            convention=f"share of frames with J above {level / 100:g}",
            digits=3,
            tasks=("segment",),
        )
        for level in (50, 60, 70, 80, 90)
    ),
    Metric(
        name="overall_iou",
        label="overall IoU",
        version=2,
        function=_overall_iou,
        weight=_overall_union,
        higher_is_better=True,
        worst=0.0,
        best=1.0,
        convention="sum of all intersections over the sum of all unions, in pixels of all frames of all clips",
        pooling="dataset",
        digits=3,
        tasks=("segment",),
    ),
)
