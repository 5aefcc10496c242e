"""One method on one task: made once, asked sample by sample, each answer checked and scored. Knows no files and no Ray."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.calling import Crash, called, describe
from benchmarks.methods import Context, Method
from benchmarks.methods.base import Answer
from benchmarks.methods.segmentation import painted
from benchmarks.metrics import Metric, NotAvailable, Outcome, get_metrics
from benchmarks.metrics.masks import paint_of
from benchmarks.suspicions import suspicions
from shards import Sample
from shards.sample import Video

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Job:
    """One method on all samples of one task: `rows` are those of the dataset's index."""

    task: str
    method: Method
    context: Context
    rows: list[dict[str, Any]]
    input_scale: float = 1.0
    """Methods see the input at this share of its size, and their answers are enlarged again."""

    weights: Mapping[str, str] = field(default_factory=dict)
    """Where pretrained networks lie, by their names."""
    networks: Mapping[str, str] = field(default_factory=dict)
    """Versions of the networks that its scores need, `MISSING` for those that are not here."""

    @property
    def metrics(self) -> list[Metric]:
        """All metrics of the task."""
        return get_metrics(self.task)

    def seed_of(self, key: str) -> tuple[object, ...]:
        """Return what the method's numbers are drawn from for a sample."""
        return self.context.seed, self.task, key


class Scorer:
    """Makes a job's method when the first sample comes, and turns samples into rows, in three steps that are timed apart."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._answer: Answer | None = None
        self._sample: Sample | None = None
        self._given: Given | None = None

    @property
    def answered(self) -> bool:
        """Whether there is an answer to score."""
        return self._given is not None

    def prepare(self, key: str) -> None:
        """Read a sample, and make the method if that has not been done.

        Raises:
            DatasetError: the sample cannot be read. That is no fault of the method, so it ends the run.
        """
        self._sample = self._job.context.dataset[key]
        if self._answer is None:
            self._answer = _made(self._job, reduced(self._sample, self._job.input_scale))

    def ask(self) -> Row | None:
        """Ask the method about the sample; return the row where that gives no answer."""
        if self._sample is None or self._answer is None:
            raise RuntimeError("ask comes after prepare")
        try:
            self._given = ask(self._job, self._answer, self._sample)
        except NotAvailable as missing:  # what it needs is not here: that is no answer of the method
            return {"status": "invalid", "error": f"n/a ({missing})"}
        except Crash as error:  # it loses this cell and no other
            return {"status": "failed", "error": describe(error)}
        return None

    def score(self) -> tuple[Row, Outcome]:
        """Return what a row says of the answer, and the two."""
        if self._given is None:
            raise RuntimeError("score comes after an answer")
        given, self._given = self._given, None
        started = time.perf_counter()
        outcome = Outcome(given.sample, given.prediction, self._job.weights, given.masks)
        row = scored(self._job.metrics, outcome, ranked=self._job.method.ranked)
        return {
            **row,
            "seconds_per_frame": given.seconds / len(given.prediction),
            "scoring_seconds": time.perf_counter() - started,
        }, outcome


@dataclass(frozen=True)
class Given:
    """An answer to a sample, the masks that it was given as, and the seconds it took."""

    sample: Sample
    prediction: Video
    """uint8 [t h w 3], of the sample's size."""
    masks: NDArray[np.uint8] | None
    seconds: float


def ask(job: Job, answer: Answer, sample: Sample) -> Given:
    """Ask a job's method about a sample, from the numbers that are drawn for that sample.

    Raises:
        ValueError: its answer is none to this sample; and whatever the method raises.
    """
    asked = reduced(sample, job.input_scale)
    seconds, found = called(_timed, answer, asked, seed=job.seed_of(sample.key))
    masks = masks_of(found, asked)
    prediction = found if masks is None else painted(asked.source, masks > 0, paint_of(asked))
    check_answer(prediction, asked, sample)
    # however it lies in memory, and whatever else it is
    prediction = np.ascontiguousarray(prediction)
    return Given(sample, enlarged(prediction, sample.source.shape), masks, seconds)


def _timed(answer: Answer, sample: Sample) -> tuple[float, Any]:
    """Return the seconds an answer took, and the answer."""
    started = time.perf_counter()
    found = answer(sample)
    return time.perf_counter() - started, found


def reduced(sample: Sample, scale: float) -> Sample:
    """Return the sample at a share of its size, bilinear; itself at 1."""
    if scale == 1:
        return sample
    height, width = (round(side * scale) for side in sample.source.shape[1:3])
    clips = [_resized(clip, width, height) for clip in (sample.source, sample.target)]
    mask = None if sample.mask is None else _resized(sample.mask, width, height, cv2.INTER_NEAREST)
    return replace(sample, source=clips[0], target=clips[1], mask=mask)


def enlarged(clip: Video, shape: Sequence[int]) -> Video:
    """Return a clip uint8 [t h w 3] at the size of `shape`, bilinear; itself if it has it."""
    return clip if clip.shape == tuple(shape) else _resized(clip, shape[2], shape[1])


def _resized(clip: Video, width: int, height: int, how: int = cv2.INTER_LINEAR) -> Video:
    return np.stack([cv2.resize(frame, (width, height), interpolation=how) for frame in clip]).astype(
        np.uint8, copy=False
    )


def masks_of(answer: Any, sample: Sample) -> NDArray[np.uint8] | None:
    """Return uint8 [t h w], 0 or 255, if an answer to a segmentation instruction is masks, bool or uint8, and no clip.

    Raises:
        ValueError: they are of another size than the sample.
    """
    if sample.meta.task != "segment" or type(answer) is not np.ndarray or answer.ndim != 3:
        return None
    if answer.dtype not in (np.uint8, np.bool_) or answer.shape != sample.source.shape[:3]:
        wanted = list(sample.source.shape[:3])
        raise ValueError(f"answered masks {answer.dtype} {list(answer.shape)}, not uint8 or bool {wanted}")
    return np.where(answer != 0, np.uint8(255), np.uint8(0))


def check_answer(answer: Any, asked: Sample, sample: Sample) -> None:
    """Raise `ValueError` unless `answer` is a uint8 clip of the shape that was asked about, or of the whole sample's."""
    if not isinstance(answer, np.ndarray) or isinstance(answer, np.ma.MaskedArray):
        raise ValueError(f"answered a {type(answer).__name__}, not an array")
    if np.issubdtype(answer.dtype, np.floating) and not np.isfinite(answer).all():
        raise ValueError("answered values that are not finite numbers")
    shapes = list(dict.fromkeys([asked.source.shape, sample.source.shape]))
    if answer.dtype != np.uint8 or answer.shape not in shapes:
        told = f"{answer.dtype} {list(answer.shape)}{_in_words(answer.shape)}"
        raise ValueError(f"answered {told}, not uint8 {' or '.join(f'{list(s)}{_in_words(s)}' for s in shapes)}")


def _in_words(shape: Sequence[int]) -> str:
    if len(shape) != 4 or shape[3] != 3:
        return ""
    return f" ({shape[0]} frames of {shape[2]} x {shape[1]})"


def _made(job: Job, sample: Sample) -> Answer:
    """Make the method and call it once without counting it: its first call may load or compile things."""
    try:
        answer = called(job.method.answer, job.context, seed=job.seed_of(""))
    except Crash as error:
        return _raises(error)
    # a clip it cannot take is told when that clip is scored
    with contextlib.suppress(*Crash):
        called(answer, sample, seed=job.seed_of(sample.key))
    return answer


def _raises(error: BaseException) -> Answer:
    """Return a method that fails on every clip because it could not be made; making it again would fail again."""

    def answer(sample: Sample) -> Video:
        raise error

    return answer


def scored(metrics: list[Metric], outcome: Outcome, *, ranked: bool) -> Row:
    """Return what a row says of an answer: its scores, or the error of the bench that could not have them.

    `ranked`: False for an oracle, which may know the target.
    """
    scores, weights, unavailable = {}, {}, {}
    shape = outcome.prediction.shape
    for metric in metrics:
        try:
            value = metric.score(outcome) if metric.fits(shape) else None
            if value is None:
                continue
            if not np.isfinite(value):
                raise ValueError(f"the score is {value}")
            scores[metric.name] = value
            if metric.weight is not None:
                weights[metric.name] = metric.weight(outcome)
        except NotAvailable as missing:
            unavailable[metric.name] = str(missing)
        except Exception as error:  # the bench failed, not the method
            return {"status": "invalid", "error": f"{metric.name}: {describe(error)}"}
    return {
        "status": "ok",
        "error": "",
        "scores": scores,
        "weights": weights,
        "unavailable": unavailable,
        "suspicions": suspicions(outcome.sample, outcome.prediction, knows_target=not ranked),
    }
