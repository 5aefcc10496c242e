"""The parts of a merge: datasets, and the samples that are picked from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from shards import Dataset


@dataclass(frozen=True, kw_only=True)
class Part:
    """One of the datasets that are merged."""

    dataset: Dataset
    weight: float | None

    @property
    def name(self) -> str:
        """Name of its folder."""
        return " ".join(self.dataset.root.resolve().name.split())

    def described(self, rejected: Sequence[Pick], own: Sequence[Pick], picks: Sequence[Pick]) -> dict[str, Any]:
        """Return what the merged dataset's manifest says of it: of its samples those whose video another part rejected, those
        that no other part has, and those picked."""
        manifest = self.dataset.manifest
        return {
            "name": self.name,
            "content_sha256": manifest.sha256,
            "recipe": dict(manifest.recipe),
            "code_version": manifest.code_version,
            "weight": self.weight,
            "rejected_samples": len(rejected),
            "samples": len(picks),
            "own_train_samples": sum(pick.split == "train" for pick in own),
            "train_samples": sum(pick.split == "train" for pick in picks),
        }


@dataclass(frozen=True, kw_only=True)
class Pick:
    """One sample, and the part it is taken from."""

    part: int
    key: str
    task: str
    split: str
    source_sha256: str
    clean_sha256: str
    pair_sha256: str
    start: int
    bytes: int

    @property
    def sides(self) -> int:
        """How many of its sides are known by themselves."""
        return (self.clean_sha256 != self.source_sha256) + bool(self.pair_sha256)

    @property
    def place(self) -> tuple[str, int, str]:
        """What samples of one task and split are ordered by, as a build orders them; never the order of the parts."""
        return self.source_sha256, self.start, self.key


def picks_of(part: int, dataset: Dataset) -> Iterator[Pick]:
    """Yield the samples of a dataset."""
    names = ["key", "task", "split", "source_sha256", "clean_sha256", "pair_sha256", "start", "bytes"]
    for batch in dataset.index().select(names).to_batches(max_chunksize=4096):
        for row in batch.to_pylist():
            yield Pick(part=part, **row)
