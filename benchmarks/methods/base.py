"""What a method is: made once for a run, then called clip by clip."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.networks import MISSING, version
from shards import Sample, get_task
from shards.sample import Video

if TYPE_CHECKING:
    from shards import Dataset

Answer = Callable[[Sample], Video]
"""Turns a sample into an answer, uint8 [t h w 3]."""


class Restore(Protocol):
    """Turns a source clip into an answer of the same shape."""

    def __call__(
        self, clip: Video, instruction: str, reference: NDArray[np.uint8] | None, mask: NDArray[np.uint8] | None
    ) -> Video:
        """Return uint8 [t h w 3] for `clip` uint8 [t h w 3]; the target is never shown. To a segmentation instruction the
        answer may be masks instead, bool or uint8 [t h w], 0 outside.

        `mask`: uint8 [t h w], 255 where there is something to fill, for tasks whose mask belongs to the question.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Context:
    """What a method may look at while it is made."""

    dataset: Dataset
    """For methods that learn from the train split; the test split is none of their business."""
    task: str
    seed: int
    weights: Mapping[str, str] = field(default_factory=dict)
    """Where pretrained networks lie, by their names, as the recipe has them."""


Given = ParamSpec("Given")


@dataclass(frozen=True)
class Learnt(Generic[Given]):
    """A method with the number of what its networks have learnt, which is known when they are loaded."""

    function: Callable[Given, Video]
    parameters: int

    def __call__(self, *args: Given.args, **kwargs: Given.kwargs) -> Video:
        """Call the method."""
        return self.function(*args, **kwargs)


@dataclass(frozen=True, kw_only=True)
class Method:
    """A method with what a reader of the table wants to know about it."""

    name: str
    tasks: tuple[str, ...]
    """Tasks it fits; empty for all."""
    summary: str
    paper: str
    version: int
    """Raised whenever it gives other answers."""
    make: Callable[[Context], Restore] | None = None
    make_seeing: Callable[[Context], Answer] | None = None
    """In place of `make`, for what must see whole samples: oracles, and answers that were made elsewhere."""
    learns: bool = False
    """Whether it has seen the dataset's train split, or other data of its own."""
    trained_on: frozenset[str] | None = None
    """sha256 of the videos it has learnt from, as `Dataset.videos` names them, as far as it says; None where it does not, or
    learns nothing."""
    tells_all: bool = True
    """Whether `trained_on` is all that it has learnt from."""
    needs_reference: bool = False
    """Whether it does something only where a sample has a reference picture."""
    networks: tuple[str, ...] = ()
    """Of `NETWORKS`: what it cannot be had without."""
    weights: str = ""
    """A hash of what else decides its answers: weights, code, files."""
    parameters: int | None = None
    """How many numbers its networks have learnt; None where it has none."""
    ranked: bool = True
    """False for oracles, which know the target."""
    made_elsewhere: bool = False
    """Whether its answers are only read from files: what that takes is no cost of the method, which nobody knows."""
    remark: str = ""
    """What a reader of its numbers has to know of how its answers came about, after its name."""
    first_mask: bool = False
    """Whether it is given the mask of the first frame where that is a part of the answer: a contest of its own."""

    def fits(self, task: str) -> bool:
        """Return whether it can be run for a task."""
        return not self.tasks or task in self.tasks

    @property
    def learns_here(self) -> bool:
        """Whether it learns from the train split of the dataset that it is scored on."""
        return self.learns and self.trained_on is None and not self.loads

    @property
    def loads(self) -> bool:
        """Whether it loads weights or somebody's code, which may stay in a process: it gets one of its own, then."""
        return bool(self.weights or self.networks)

    @property
    def knows_its_data(self) -> bool:
        """Whether it is known what it has learnt from, if anything."""
        if self.trained_on is not None:
            return self.tells_all
        return not self.loads

    def lacks(self, weights: Mapping[str, str]) -> list[str]:
        """Return the pretrained networks that it cannot be had without and that are not here."""
        return [name for name in self.networks if version(name, weights) == MISSING]

    def answer(self, context: Context) -> Answer:
        """Make the method: load and learn what there is to load and learn; `Learnt` if it then has a number of parameters."""
        if self.make_seeing is not None:
            see = self.make_seeing(context)
            return _with_parameters(see, lambda sample: see(_own_copy(sample)))
        if self.make is None:
            raise TypeError(f"method {self.name!r} has neither make nor make_seeing")
        restore = self.make(context)

        def answer(sample: Sample) -> Video:
            return restore(
                sample.source.copy(), sample.instruction, _copied(sample.reference), self._shown_mask(sample)
            )

        return _with_parameters(restore, answer)

    def fingerprint(self, context: Context) -> dict[str, Any]:
        """Return what, besides the clip, decides its answer: rows with another one are not used again."""
        found: dict[str, Any] = {"method": self.name, "version": self.version, "seed": context.seed}
        if self.learns:
            found["train"] = context.dataset.manifest.sha256
        if self.weights:
            found["weights"] = self.weights
        if self.networks:
            found["networks"] = {name: version(name, context.weights) for name in self.networks}
        return found

    def _shown_mask(self, sample: Sample) -> NDArray[np.uint8] | None:
        if sample.mask is None:
            return None
        if get_task(sample.meta.task).shows_mask:
            return sample.mask.copy()
        if not self.first_mask:
            return None
        first = np.zeros_like(sample.mask)
        first[0] = sample.mask[0]
        return first


def _with_parameters(made: Restore | Answer, answer: Answer) -> Answer:
    return Learnt(answer, made.parameters) if isinstance(made, Learnt) else answer


def _own_copy(sample: Sample) -> Sample:
    mask = None if sample.mask is None else sample.mask.copy()
    return replace(
        sample,
        source=sample.source.copy(),
        target=sample.target.copy(),
        reference=_copied(sample.reference),
        mask=mask,
    )


def _copied(image: NDArray[np.uint8] | None) -> NDArray[np.uint8] | None:
    return None if image is None else image.copy()
