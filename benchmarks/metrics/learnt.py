"""Metrics that pretrained networks see with."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from benchmarks.metrics import clip_scores
from benchmarks.metrics.base import RESTORED, Metric, Outcome, Values
from benchmarks.networks import located


def _looks(network: str) -> Callable[[Outcome], Values]:
    def score(outcome: Outcome) -> Values:
        place = located(network, outcome.weights)
        from benchmarks.networks import pictures

        distance = {"alexnet": pictures.lpips, "vgg16": pictures.dists}[network]
        return distance(outcome.prediction, outcome.sample.target, place)

    return score


def _clip_text(outcome: Outcome) -> Values:
    return [] if outcome.captions is None else clip_scores.text_likeness(outcome.seen, _read(outcome)[1:])


def _clip_direction(outcome: Outcome) -> Values:
    return [] if outcome.captions is None else clip_scores.direction(outcome.seen, outcome.asked, _read(outcome))


def _read(outcome: Outcome) -> NDArray[np.float64]:
    place = located("clip", outcome.weights)
    from benchmarks.networks.clip import text_features

    return text_features(outcome.captions or (), place)


def _pickscore(outcome: Outcome) -> Values:
    if outcome.captions is None:
        return []
    place = located("pickscore", outcome.weights)
    from benchmarks.networks.clip import image_features, temperature, text_features

    frames, words = image_features(outcome.prediction, place), text_features(outcome.captions[1:], place)
    return temperature(place) / 100 * clip_scores.text_likeness(frames, words)


METRICS = (
    Metric(
        name="lpips",
        label="LPIPS",
        function=_looks("alexnet"),
        networks=("alexnet",),
        higher_is_better=False,
        worst=1.0,
        best=0.0,
        convention="Zhang et al. 2018, AlexNet, version 0.1, RGB from -1 to 1, at the clip's own size",
        digits=4,
        least_side=32,
        tasks=(*RESTORED, "edit"),
    ),
    Metric(
        name="dists",
        label="DISTS",
        function=_looks("vgg16"),
        networks=("vgg16",),
        higher_is_better=False,
        worst=1.0,
        best=0.0,
        convention="Ding et al. 2020, VGG-16, RGB from 0 to 1, at the clip's own size",
        digits=4,
        least_side=32,
        tasks=(*RESTORED, "edit"),
    ),
    Metric(
        name="clip_consistency",
        label="CLIP all pairs",
        function=lambda outcome: clip_scores.consistency_of_all(outcome.seen),
        networks=("clip",),
        higher_is_better=True,
        marks_best=False,
        worst=-100.0,
        best=100.0,
        convention="100 x mean cosine of CLIP's image embeddings over all pairs of frames (TGVE)",
        pooling="clip",
        least_frames=2,
        tasks=("edit",),
    ),
    Metric(
        name="clip_neighbours",
        label="CLIP adjacent",
        function=lambda outcome: clip_scores.consistency_of_neighbours(outcome.seen),
        networks=("clip",),
        higher_is_better=True,
        marks_best=False,
        worst=-100.0,
        best=100.0,
        convention="100 x cosine of CLIP's image embeddings of a frame and the next one (V2VBench)",
        pooling="steps",
        least_frames=2,
        tasks=("edit",),
    ),
    Metric(
        name="clip_target",
        label="CLIP target",
        function=lambda outcome: clip_scores.likeness(outcome.seen, outcome.wanted),
        networks=("clip",),
        higher_is_better=True,
        worst=-100.0,
        best=100.0,
        convention="100 x cosine of CLIP's image embeddings of a frame and the target's",
        tasks=("edit",),
    ),
    Metric(
        name="clip_text",
        label="CLIP text",
        function=_clip_text,
        networks=("clip",),
        higher_is_better=True,
        worst=-100.0,
        best=100.0,
        convention="100 x cosine of CLIP's embeddings of a frame and of the caption after the edit (TGVE); samples whose "
        "data set has no captions before and after are left out",
        tasks=("edit",),
    ),
    Metric(
        name="clip_direction",
        label="CLIP direction",
        function=_clip_direction,
        networks=("clip",),
        higher_is_better=True,
        worst=-100.0,
        best=100.0,
        convention="100 x cosine between the change of CLIP's embedding from the source's frame to the answer's and from the "
        "caption before to that after (Gal et al. 2021); 0 for an unchanged frame; samples whose data set has no captions "
        "before and after are left out",
        tasks=("edit",),
    ),
    Metric(
        name="pickscore",
        label="PickScore",
        function=_pickscore,
        networks=("pickscore",),
        higher_is_better=True,
        worst=-100.0,
        best=100.0,
        convention="Kirstain et al. 2023: the cosine of its embeddings of a frame and of the caption after the edit, times "
        "its temperature; samples whose data set has no captions before and after are left out",
        tasks=("edit",),
    ),
)
