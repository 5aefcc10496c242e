"""Who has seen the test videos before: such a score is not ranked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from benchmarks.methods import Method
from benchmarks.scoring import Row
from configs import counted
from shards import Dataset
from shards.reader import VIDEO


@dataclass(frozen=True, kw_only=True)
class Leak:
    """A method that learnt from videos it is scored on."""

    task: str
    method: str
    keys: list[str]
    """The samples concerned."""

    @property
    def told(self) -> str:
        """What is said of it, in one line."""
        named = ", ".join(self.keys[:3]) + (f" and {len(self.keys) - 3} more" if len(self.keys) > 3 else "")
        samples = counted(len(self.keys), f"{self.task} sample")
        return f"{self.method} has learnt from the videos of {samples} that it is scored on: {named}"


def learnt_from(method: Method, dataset: Dataset, task: str) -> frozenset[str]:
    """Return the sha256 of the videos that a method has learnt from, as far as that is known (`Dataset.videos`).

    What a method was trained on it says itself (a VIDiff does, in `training_data.json`); what learns from the dataset's own
    train split has seen that. Who has seen a video has seen what the dataset knows as its copies. Empty for a method that does
    not say; the table marks it.
    """
    seen = dataset.videos(task, "train") if method.learns_here else method.trained_on or frozenset()
    return seen.union(*(family for family in dataset.manifest.families if not seen.isdisjoint(family)))


def has_seen(index: Mapping[str, Any], seen: Set[str]) -> bool:
    """Return whether a video of an index row is among these: either side alone, or with what came with it."""
    return not seen.isdisjoint({index[name] for name in VIDEO})


def find_leaks(rows: Sequence[Row]) -> list[Leak]:
    """Return the methods that learnt from a video they are scored on, as their rows say."""
    found: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        if row["leaked"]:
            found.setdefault((row["task"], row["method"]), []).append(row["key"])
    return [Leak(task=task, method=method, keys=keys) for (task, method), keys in found.items()]
