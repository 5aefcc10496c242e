"""Columns with one number for all clips of a method together: what is kept of each clip, and what is made of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.metrics.base import Column, Outcome
from benchmarks.metrics.distances import Features, frechet_distance, kernel_distance
from benchmarks.metrics.local import pasted
from benchmarks.metrics.temporal import coarse_error, error_jumps, seam_excess
from benchmarks.networks import MISSING, located
from shards.sample import Video

Array = NDArray[Any]
Row = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Together(Column, ABC):
    """A column of the table that has one number for all clips of a method."""

    keeps_targets: bool = True
    """Whether something is kept of targets too."""
    optional: bool = False
    """Whether it is left out, without a word, of tables that have nothing for it to measure."""

    @property
    @abstractmethod
    def kept_as(self) -> str:
        """The folder of what is kept of each clip; columns that share it are made of the same."""

    @abstractmethod
    def version_for(self, row: Row, networks: Mapping[str, str]) -> str | None:
        """Return the version of what is kept of a row's clip; None if nothing is."""

    @abstractmethod
    def look(self, outcome: Outcome, *, answer_only: bool = False) -> list[Array]:
        """Return what is kept of an answer and, unless only that is wanted or kept, of its target.

        Raises:
            NotAvailable: a network is not here, or cannot be loaded.
        """

    @abstractmethod
    def value(self, rows: Sequence[Row], kept: Sequence[Sequence[Array]]) -> float | str | None:
        """Return the number, or why it is not told; None where there is nothing to measure.

        `kept`: of each row, what `look` returned; empty where nothing was kept.
        """


@dataclass(frozen=True, kw_only=True)
class Distance(Together):
    """How far all answers are from all targets, as a network sees them."""

    features: Callable[[Video, str], Features]
    function: Callable[[Features, Features], float]
    shown: Callable[[Outcome], Video] = lambda outcome: outcome.prediction
    """What the network gets to see of an answer."""
    least: int
    """Features below which it is not told, for it would say more of their number than of the answers."""
    counted: str
    """What a feature is of: `frames` or `clips`."""

    @property
    def kept_as(self) -> str:
        """Its network, which turns a clip into features."""
        return self.networks[0]

    def version_for(self, row: Row, networks: Mapping[str, str]) -> str | None:
        """Return the network's version; None if it is not here, or the clip is too short for it."""
        known = networks.get(self.kept_as, MISSING)
        return known if known != MISSING and row["frames"] >= self.least_frames else None

    def look(self, outcome: Outcome, *, answer_only: bool = False) -> list[Array]:
        """Return the features of answer and target."""
        place = located(self.kept_as, outcome.weights)
        clips = [self.shown(outcome), outcome.sample.target]
        return [self.features(clip, place) for clip in clips[: 1 if answer_only else 2]]

    def value(self, rows: Sequence[Row], kept: Sequence[Sequence[Array]]) -> float | str | None:
        """Return the distance; it is not told for few clips."""
        answers, targets = ([pair[side] for pair in kept if pair] for side in (0, 1))
        count = sum(map(len, answers))
        if count < self.least:
            return f"needs {self.least} {self.counted}, there are {count}"
        return float(self.function(np.concatenate(answers), np.concatenate(targets)))


@dataclass(frozen=True, kw_only=True)
class Seam(Together):
    """How much further the error jumps from clip to clip of a video than within clips."""

    @property
    def kept_as(self) -> str:
        """The folder of the errors."""
        return "errors"

    def version_for(self, row: Row, networks: Mapping[str, str]) -> str | None:
        """Return its own version; None for a clip that adjoins no other."""
        return str(self.version) if row.get("adjoins") else None

    def look(self, outcome: Outcome, *, answer_only: bool = False) -> list[Array]:
        """Return the answer's error."""
        return [coarse_error(outcome.prediction, outcome.sample.target)]

    def value(self, rows: Sequence[Row], kept: Sequence[Sequence[Array]]) -> float | str | None:
        """Return the mean over videos; None without seams."""
        errors = {row["key"]: pair[0] for row, pair in zip(rows, kept, strict=True) if pair}
        jumps: dict[str, tuple[list[float], list[float]]] = {}
        for row in rows:
            if row["key"] not in errors:
                continue
            across, within = jumps.setdefault(row["video"], ([], []))
            within += error_jumps(errors[row["key"]]).tolist()
            if row["continues"]:
                pair = np.stack([errors[row["continues"]][-1], errors[row["key"]][0]])
                across += error_jumps(pair).tolist()
        found = [seam_excess(*each) for each in jumps.values()]
        known = [each for each in found if each is not None]
        if np.inf in known:
            return "the error of a video jumps between clips only"
        return float(np.mean(known)) if known else None


def _inception(clip: Video, place: str) -> Features:
    from benchmarks.networks.inception import inception_features

    return inception_features(clip, place)


def _i3d(clip: Video, place: str) -> Features:
    from benchmarks.networks.i3d import scripted_features

    return scripted_features(clip, place)


def _i3d_rgb(clip: Video, place: str) -> Features:
    from benchmarks.networks.i3d import mean_features

    return mean_features(clip, place)


_MADE = ("dehaze", "deblur", "inpaint", "recolor", "edit")
_POOLED = "of all answers together and all targets"

TOGETHER: dict[str, Together] = {
    one.name: one
    for one in (
        Distance(
            name="fid",
            label="FID",
            networks=("inception",),
            features=_inception,
            function=frechet_distance,
            higher_is_better=False,
            pooling="dataset",
            least=2048,
            counted="frames",
            convention=f"Heusel et al. 2017 between the frames {_POOLED}; Inception-v3 of the paper at 299 x 299, bilinear, 2048 "
            "features, 8-bit frames; not told for fewer than 2048 frames, whose covariance is singular",
            tasks=_MADE,
        ),
        Distance(
            name="kid",
            label="KID",
            unit="1e-3",
            networks=("inception",),
            features=_inception,
            function=lambda a, b: 1000 * kernel_distance(a, b),
            higher_is_better=False,
            pooling="dataset",
            least=100,
            counted="frames",
            convention=f"Binkowski et al. 2018 between the frames {_POOLED}, features as FID's, kernel (x.y / 2048 + 1)^3, "
            "unbiased over all pairs of frames, so it may fall below 0; not told for fewer than 100 frames",
            digits=3,
            tasks=_MADE,
        ),
        Distance(
            name="fvd",
            label="FVD",
            networks=("i3d",),
            features=_i3d,
            function=frechet_distance,
            higher_is_better=False,
            pooling="dataset",
            least=400,
            counted="clips",
            convention=f"Unterthiner et al. 2018 between the clips {_POOLED}; I3D of StyleGAN-V's TorchScript file at 224 x 224, "
            "its 400 logits; not told for fewer than 400 clips, whose covariance is singular, nor for clips below 10 frames",
            tasks=_MADE,
            least_frames=10,
        ),
        Distance(
            name="vfid",
            label="VFID",
            networks=("i3d_rgb",),
            features=_i3d_rgb,
            function=frechet_distance,
            higher_is_better=False,
            pooling="dataset",
            shown=lambda outcome: pasted(outcome.prediction, outcome.sample.target, outcome.mask),
            least=50,
            counted="clips",
            convention=f"as the inpainting papers: Frechet distance between the clips {_POOLED}, I3D's last block averaged over "
            "time and space, 1024 features, values 0 to 1, at the clip's own size, the target pasted outside the hole; it falls "
            "with the number of clips, so compare equal numbers only; not told for fewer than 50 clips, the papers' own number",
            digits=3,
            tasks=("inpaint",),
        ),
        Seam(
            name="seam",
            keeps_targets=False,
            optional=True,
            label="seam",
            higher_is_better=False,
            marks_best=False,
            pooling="dataset",
            convention="how much further the error jumps from the last frame of a clip to the first of the next than from frame "
            "to frame within clips: mean |e_{t+1} - e_t| of the error e = answer - target over blocks of 16 x 16 pixels, the one "
            "over the other for each video, then the mean over videos; 1 is no seam; of clips that adjoin and whose inputs were "
            "made alike: pairs as they are, or the same parameters",
            tasks=_MADE,
        ),
    )
}
"""By name."""


def get_together(task: str) -> list[Together]:
    """Return those that a task has."""
    return [one for one in TOGETHER.values() if one.is_for(task)]
