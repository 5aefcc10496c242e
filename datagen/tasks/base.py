"""What a task builder is: it draws the parameters of one clip, and applies given parameters to it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from configs import Settings
from configs.loader import check
from datagen.sources.base import Clip
from shards import get_task
from shards.sample import Video

Parameters = Mapping[str, Any]
"""Everything an effect needs besides the clip, as JSON values; lists are per frame."""


class UnsuitableClipError(Exception):
    """A task cannot make its pair of this clip, though of others it can: the clip is a reject with this message as its reason.

    The message begins with what kind of trouble it is, then a colon and the details: `no edit: the camera moves`.
    """


@dataclass(frozen=True, kw_only=True)
class Pair:
    """What a builder makes of one clip: uint8 [t h w 3] twice, and the optional members."""

    source: Video
    target: Video
    mask: NDArray[np.uint8] | None = None
    reference: NDArray[np.uint8] | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    """What the instruction template leaves open."""
    instruction: str = ""
    """In its own words; else one is made from a template."""
    family: str = ""
    """Which of the task's families of templates the instruction is taken from; by default its own."""


NATIVE = "native"
"""Name of the effect where a pair was taken as it is."""
O = TypeVar("O", bound=Settings)  # noqa: E741
K = TypeVar("K", bound=str)


class Builder(ABC, Generic[O]):
    """Base of the task builders. A builder's file in `datagen/tasks/` has the name of its task.

    Drawing and applying are apart so that a sample can be made again from the parameters it recorded.
    """

    name: ClassVar[str]
    """The task, as declared in `configs/tasks/<name>.yaml`."""
    effect: ClassVar[str]
    version: ClassVar[int]
    """Raised whenever the same parameters give other pixels, or the same clip and seed other parameters."""
    Options: type[O]
    made: ClassVar[Literal["source", "target"]] = "source"
    """Which side of the pair the effect makes; the other is the clean clip."""
    needs_masks: ClassVar[bool] = False
    """Whether it takes a clip with object masks (`Clip.ids`)."""
    changes: ClassVar[bool] = True
    """Whether a pair whose clips hardly differ is of no use."""

    units: ClassVar[Mapping[str, str]] = {}
    """Units of the parameters, by dotted name, for those who chart them."""

    def options(self, values: Mapping[str, Any]) -> O:
        """Check the task's options; `ConfigError` names a wrong one."""
        return check(self.Options, values, where=f"tasks.{self.name}")

    def refuse(self, clip: Clip, scores: Mapping[str, Any], options: O) -> str | None:
        """Say why a clip that passed the gates is of no use for this task, or None."""
        return None

    def take(self, clip: Clip) -> Pair:
        """Return the pair that the clip's data set has for this task."""
        if clip.native is None:
            raise ValueError(f"{clip.video.id} has no pair of its own")
        sides = (clip.frames, clip.native.other)
        source, target = sides if self.made == "target" else sides[::-1]
        mask = None
        if "mask" in get_task(self.name).members:
            # every sample of a task has the same members; where nobody says what may differ, all may
            shown = np.ones(clip.frames.shape[:3], bool) if clip.ids is None else clip.ids > 0
            mask = np.where(shown, np.uint8(255), np.uint8(0))
        return Pair(source=source, target=target, mask=mask, instruction=clip.native.instruction)

    @abstractmethod
    def draw(self, clip: Clip, options: O, rng: np.random.Generator) -> dict[str, Any]:
        """Draw the parameters of one clip.

        Raises:
            UnsuitableClipError: none fit it.
        """

    @abstractmethod
    def apply(self, clip: Clip, parameters: Parameters) -> Pair:
        """Make the pair that `parameters` describe; the same arguments give the same pixels."""


def pick(shares: Mapping[K, float], rng: np.random.Generator) -> K:
    """Draw one of the names, each as often as its share says; in whichever order a recipe lists them."""
    names = sorted(shares)
    weights = np.array([shares[name] for name in names], float)
    return names[int(rng.choice(len(names), p=weights / weights.sum()))]
