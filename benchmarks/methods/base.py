"""What a method is: made once for a run, then called clip by clip."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from shards.sample import Video

if TYPE_CHECKING:
    from shards import Dataset


class Restore(Protocol):
    """Turns a source clip into an answer of the same shape."""

    def __call__(
        self, clip: Video, instruction: str, reference: NDArray[np.uint8] | None, mask: NDArray[np.uint8] | None
    ) -> Video:
        """Return uint8 [t h w 3] for `clip` uint8 [t h w 3]; the target is never shown."""
        ...


@dataclass(frozen=True, kw_only=True)
class Context:
    """What a method may look at while it is made."""

    dataset: Dataset
    """For methods that learn from the train split; the test split is none of their business."""
    task: str
    model: Path | None
    seed: int


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
    make: Callable[[Context], Restore]
    learns: bool = False
    """Whether it has seen the train split."""
    needs_model: bool = False
    """Whether it runs only where `--model` is given."""

    def fits(self, task: str, model: Path | None) -> bool:
        """Return whether it can be run for a task."""
        return (not self.tasks or task in self.tasks) and (model is not None or not self.needs_model)

    def fingerprint(self, context: Context) -> dict[str, Any]:
        """Return what, besides the clip, decides its answer: rows with another one are not used again."""
        found: dict[str, Any] = {"method": self.name, "version": self.version, "seed": context.seed}
        if self.learns:
            found["train"] = context.dataset.manifest.sha256
        if self.needs_model and context.model is not None:
            found["weights"] = weights_digest(context.model)
        return found


def weights_digest(folder: Path) -> str:
    """Return a hash of all weights and settings in a model folder."""
    import hashlib

    from shards.storage import sha256_of

    # a training run keeps its pipeline in model/, beside checkpoints that do not matter here
    folder = folder / "model" if (folder / "model").is_dir() else folder
    files = sorted(path for path in folder.rglob("*") if path.suffix in (".safetensors", ".json"))
    lines = [f"{path.relative_to(folder)} {sha256_of(path)}" for path in files]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
