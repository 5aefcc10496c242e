"""What a metric is, and what it gets to see: an answer beside everything that is known about its sample."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from benchmarks.metrics.temporal import Motion, estimate_motion
from benchmarks.networks import located
from shards import Sample
from shards.sample import Video

Values = NDArray[np.float64] | Sequence[float] | float
RESTORED = ("dehaze", "deblur", "inpaint", "recolor")
"""Tasks whose answer has one right look, pixel by pixel."""

POOLINGS = {
    "frames": "mean over the clip's frames",
    "steps": "mean over the clip's steps from frame to frame",
    "clip": "one value per clip",
    "dataset": "one value for all clips together",
}
AVERAGES = {
    "videos": "then the mean over a video's clips by their frames, then over videos",
    "frames": "then the mean over all clips by their frames",
    "clips": "then the mean over all clips, which count alike",
    "sets": "then the mean over a video's clips by their frames, then over a set's videos, then over sets",
}
"""How clips become a row of the table, by the `average` of a suite; everywhere else it is that over videos."""


@dataclass(frozen=True)
class Outcome:
    """A method's answer to a sample, and what several metrics need of the two, computed once."""

    sample: Sample
    prediction: Video
    """uint8 [t h w 3], of the source's shape."""
    weights: Mapping[str, str] = field(default_factory=dict)
    """Where pretrained networks lie, by their names, as the recipe has them."""
    given: NDArray[np.uint8] | None = None
    """uint8 [t h w], 0 or 255: masks that the method answered itself; None where it answered a clip."""

    @cached_property
    def motion(self) -> Motion:
        """The target's motion."""
        return estimate_motion(self.sample.target)

    @cached_property
    def masks(self) -> NDArray[np.uint8]:
        """What the answer to a segmentation instruction is painted over, or its masks themselves: uint8 [t h w], 0 or 255."""
        if self.given is not None:
            return self.given
        from benchmarks.metrics.masks import paint_of, painted_mask

        return painted_mask(self.sample.source, self.prediction, paint_of(self.sample))

    @cached_property
    def regions(self) -> NDArray[np.float64]:
        """J of each frame."""
        from benchmarks.metrics.masks import region_similarity

        return region_similarity(self.masks, self.mask)

    @cached_property
    def boundaries(self) -> NDArray[np.float64]:
        """F of each frame."""
        from benchmarks.metrics.masks import boundary_accuracy

        return boundary_accuracy(self.masks, self.mask)

    @cached_property
    def seen(self) -> NDArray[np.float64]:
        """What CLIP sees in the answer's frames: float64 [t d]."""
        return self._seen_by_clip(self.prediction)

    @cached_property
    def wanted(self) -> NDArray[np.float64]:
        """What CLIP sees in the target's frames."""
        return self._seen_by_clip(self.sample.target)

    @cached_property
    def asked(self) -> NDArray[np.float64]:
        """What CLIP sees in the source's frames."""
        return self._seen_by_clip(self.sample.source)

    @cached_property
    def captions(self) -> tuple[str, str] | None:
        """What is to be seen before and after the edit, in words, where the sample's data set says both."""
        before, after = (str(self.sample.meta.parameters.get(side) or "") for side in ("before", "after"))
        return (before, after) if before and after else None

    def _seen_by_clip(self, video: Video) -> NDArray[np.float64]:
        place = located("clip", self.weights)
        # not before there is one: it loads much
        from benchmarks.networks.clip import image_features

        return image_features(video, place)

    @property
    def mask(self) -> NDArray[np.uint8]:
        """The sample's mask, uint8 [t h w]; all zero where it has none."""
        mask = self.sample.mask
        return np.zeros(self.prediction.shape[:3], np.uint8) if mask is None else mask


@dataclass(frozen=True, kw_only=True)
class Column:
    """What a reader of the table knows of the numbers in one of its columns."""

    name: str
    label: str
    """As it heads a column."""
    unit: str = ""
    higher_is_better: bool
    marks_best: bool = True
    """Whether reports mark its best numbers; not where who does or finds nothing can have them."""
    version: int = 1
    convention: str
    """Channels, range, crop, pooling: everything another program must do alike to get the same number."""
    pooling: str = "frames"
    """Of `POOLINGS`: what its values stand for."""
    over_videos: bool = False
    """Whether its mean is over videos whatever that of the suite is."""
    digits: int = 2
    least_frames: int = 1
    tasks: tuple[str, ...] = ()
    """Tasks it is for; empty for all."""
    networks: tuple[str, ...] = ()
    """Of `NETWORKS`: what it cannot be had without."""

    def in_full(self, average: str = "videos") -> str:
        """Return the convention with its pooling, under a suite's `average`."""
        told = f"{self.convention}; {POOLINGS[self.pooling]}"
        if self.pooling == "dataset":
            return told
        return f"{told}, {AVERAGES['videos' if self.over_videos else average]}"

    def is_for(self, task: str) -> bool:
        """Return whether it is one of a task's columns."""
        return not self.tasks or task in self.tasks


@dataclass(frozen=True, kw_only=True)
class Metric(Column):
    """A pure function of an outcome. It gives one value per frame (or per step, or one for the clip), whose mean is the
    clip's score; none at all where the sample itself has nothing to measure, such as no mask."""

    function: Callable[[Outcome], Values]
    worst: float
    """What a clip scores on which the method failed."""
    best: float
    """What no answer can outdo."""
    least_side: int = 1
    """Pixels that a frame must have in each direction."""
    weight: Callable[[Outcome], float] | None = None
    """Where clips do not count alike: the board shows the weighted mean over all clips instead of that over videos."""

    @property
    def range(self) -> float:
        """By how much two methods can differ."""
        return abs(self.best - self.worst)

    def score(self, outcome: Outcome) -> float | None:
        """Return the clip's score, or None where there is nothing to measure."""
        values = np.asarray(self.function(outcome), np.float64)
        return float(values.mean()) if values.size else None

    def fits(self, sample_shape: Sequence[int]) -> bool:
        """Return whether a clip [t h w ...] is long and large enough."""
        frames, height, width = sample_shape[:3]
        return frames >= self.least_frames and min(height, width) >= self.least_side
