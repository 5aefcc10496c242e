"""What is scored: the samples of a dataset's split, evenly spread where only some are wanted."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.settings import BenchSettings, SuiteSettings
from configs import DatasetError, OutputError, SourceError, VIDiffError, counted, load, unknown_name
from datagen.tasks.base import NATIVE
from shards import Dataset
from shards.verification import changed_shards

if TYPE_CHECKING:
    from datagen import Recipe


@dataclass(frozen=True, kw_only=True)
class Suite:
    """A dataset, the tasks of it that are scored, and their samples' index rows."""

    dataset: Dataset
    split: str
    rows: dict[str, list[dict[str, Any]]]
    standard: SuiteSettings | None = None
    """The standard suite that this is, with its protocol and the papers' numbers."""
    not_scored: str = ""
    """Which of the dataset's tasks have no samples in the split, in words."""
    left_out: tuple[str, ...] = ()
    """What of that test set was not there or not usable, a phrase each; its numbers of videos apart."""

    @cached_property
    def continues(self) -> dict[str, str]:
        """The key of the sample that each one goes on from, without a gap, in the same video.

        Their inputs must have been made alike, as pairs that were taken as they are or by the same parameters: clips whose haze
        differs jump apart before any method sees them.
        """
        rows = [row for own in self.rows.values() for row in own]
        ends = {(*_made_as(row), row["start"] + row["frames"] * row["step"]): row["key"] for row in rows}
        places = [((*_made_as(row), row["start"]), row["key"]) for row in rows]
        return {key: ends[place] for place, key in places if place in ends}

    @cached_property
    def continued(self) -> set[str]:
        """The keys of samples that another one goes on from."""
        return set(self.continues.values())

    @property
    def tasks(self) -> list[str]:
        """The tasks, sorted."""
        return sorted(self.rows)

    def has_train_samples(self, task: str) -> bool:
        """Return whether there is something to learn a task from."""
        return len(self.dataset.index(task, "train")) > 0

    def has_references(self, task: str) -> bool:
        """Return whether any sample of a task has a reference picture."""
        return any(map(has_reference, self.rows[task]))


def has_reference(row: Mapping[str, Any]) -> bool:
    """Return whether a sample has a reference picture, by its row of the index."""
    return any(member["name"].startswith("reference.") for member in row["members"])


def named_parts(source_id: str, standard: SuiteSettings | None) -> dict[str, str]:
    """Return what the name of a source says in a standard suite: its `video`, `set` and `part`, as far as it does."""
    found = re.fullmatch(standard.names, source_id) if standard and standard.names else None
    return {name: value for name, value in found.groupdict().items() if value} if found else {}


def lacking(standard: SuiteSettings, rows: Collection[Mapping[str, Any]], limit: int | None) -> Iterator[str]:
    """Yield each number in which what was scored is another than the papers' test set."""
    frames = {row["key"]: row["frames"] for row in rows}
    scored = {
        "videos": len({row["video"] for row in rows}),
        "frames": sum(frames.values()),
        "clips": len(frames),
        "sets": len({row.get("set", "") for row in rows}),
    }
    wanted = {"videos": standard.videos, "frames": standard.frames, "clips": standard.clips, "sets": standard.sets}
    yield from (
        f"{scored[what]} of {count} {what}" for what, count in wanted.items() if count not in (None, scored[what])
    )
    if limit is not None:
        yield f"at most {counted(limit, 'clip')} (limit)"


def damage(dataset: Dataset, tasks: Collection[str], split: str) -> list[str]:
    """Return which shards of what is scored are not those that the manifest names, by their hashes; empty if all are."""
    scored = [shard for shard in dataset.manifest.shards if shard.task in tasks and shard.split == split]
    return changed_shards(dataset.root, scored)


def _made_as(row: dict[str, Any]) -> tuple[Any, ...]:
    """Return what clips have in common that one can be the other's continuation."""
    effect = row["effect"] if row["effect"] == NATIVE else f"{row['effect']} {row['parameters']}"
    return (*(row[name] for name in ("task", "source_id", "source_sha256", "step", "fps", "height", "width")), effect)


def make_suite(folder: Path, tasks: list[str], settings: BenchSettings) -> Suite:
    """Choose the samples to score.

    Raises:
        DatasetError: `folder` is no dataset, or lacks the task or the split.
    """
    dataset = Dataset(folder)
    for task in tasks:
        if task not in dataset.tasks:
            raise DatasetError(f"{folder}: {unknown_name('task', task, dataset.tasks)}")
    rows = {}
    for task in tasks or dataset.tasks:
        found = dataset.index(task, settings.split).to_pylist()
        if found:
            rows[task] = spread(found, settings.limit)
        elif tasks:
            others = sorted(set(dataset.index(task)["split"].to_pylist()))
            raise DatasetError(
                f"{folder} has no {settings.split} samples of {task!r}; of these it has {', '.join(others)}"
            )
    if not rows:
        raise DatasetError(f"{folder} has no {settings.split} split; it has {', '.join(dataset.splits)} (--split)")
    lacking = sorted(set(dataset.tasks) - rows.keys()) if not tasks else []
    said = f"not scored, for there are no {settings.split} samples of them: {', '.join(lacking)}" if lacking else ""
    return Suite(dataset=dataset, split=settings.split, rows=rows, not_scored=said)


def spread(rows: list[dict[str, Any]], limit: int | None) -> list[dict[str, Any]]:
    """Return at most `limit` rows: one of each video, then a second of each, and so on."""
    if limit is None or len(rows) <= limit:
        return rows
    turn: dict[str, int] = {}
    order = []
    for row in rows:
        video = row["clean_sha256"]
        turn[video] = turn.get(video, -1) + 1
        order.append((turn[video], video, row["key"], row))
    chosen = [row for *_, row in sorted(order, key=lambda item: item[:3])[:limit]]
    return sorted(chosen, key=lambda row: row["key"])


SCENES = "scenes"
"""The embedded suite."""
EMBEDDED = "6097e39b416d"
"""Content of the scenes that the recipe `bench` makes as it stands: tables of other content are tables of another suite.
OpenCV rounds by CPU and version, so that some machines make other pictures; wherever it has AVX2 they are these."""


def describe_scenes(folder: Path) -> str:
    """Return which scenes a run is scored on, and whether tables made elsewhere can stand beside it."""
    content = Dataset(folder).manifest.sha256[: len(EMBEDDED)]
    if content == EMBEDDED:
        return f"the embedded suite, content {content}"
    return f"scenes of content {content}, not the embedded suite's {EMBEDDED}: compare with tables of the same content only"


def build_dataset(recipe: Recipe, folder: Path, source: str, workers: int = 0) -> None:
    """Build, or finish, a dataset in a run's own folder.

    Raises:
        OutputError: an earlier run has made another one there.
    """
    from datagen import build

    try:
        build(recipe, folder, sources=[source], workers=workers)
    except VIDiffError as error:
        why, overwrite, _ = str(error).partition("--overwrite")
        if not overwrite:
            raise
        # datagen's remedies are options of its own, which the bench has not
        raise OutputError(
            f"{folder}, which an earlier run made, does not fit: {why.rpartition(';')[0]}; give another --out, or delete that "
            "folder"
        ) from None


def build_scenes(out: Path, settings: BenchSettings, overrides: Sequence[str] = ()) -> Path:
    """Build, or finish, the embedded suite of procedural scenes below `out`, and return its folder.

    Raises:
        OutputError: the folder holds scenes of an earlier version, or of another recipe.
    """
    from datagen import Recipe, build

    folder = out / "scenes"
    try:
        build(load(Recipe, settings.recipe, list(overrides)), folder, sources=["scenes"], workers=0)
    except SourceError:  # there are always scenes: these are others than those of before
        raise OutputError(
            f"{folder} holds scenes of an earlier version; give another --out, or --data {folder} to score on these"
        ) from None
    return folder
