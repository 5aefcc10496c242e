"""What a dataset holds, in numbers: counts, sizes, effect parameters, codec losses and words."""

from __future__ import annotations

import json
import re
import string
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from configs import counted
from datagen.quantities import flat
from datagen.splits import SPLITS
from shards import Dataset, Manifest, Task, get_task, task_names

_COLUMNS = (
    "task", "split", "bytes", "instruction", "frames", "height", "width", "fps",
    "source_id", "clean_sha256", "licence", "caption", "psnr_source", "psnr_target", "parameters",
)  # fmt: skip
_ROWS = 2048
"""Rows that are unpacked at a time: the parameters of a dataset are larger than what is counted of them."""
_WORD = re.compile(r"[^\W\d_]+(?:['\N{RIGHT SINGLE QUOTATION MARK}][^\W\d_]+)*")
FILLERS = (
    "a", "all", "an", "and", "as", "at", "be", "by", "for", "from", "in", "is", "it",
    "of", "on", "so", "that", "the", "this", "to", "what", "with",
)  # fmt: skip
"""Words that are not counted: they are in every instruction and say nothing about it."""
GROUPS = ("shared", "train only", "held out", "no template")


@dataclass(kw_only=True)
class Cell:
    """What one task has in one split."""

    samples: int = 0
    bytes: int = 0
    """In the shards, headers included."""
    frames: int = 0
    seconds: float = 0.0
    sources: set[str] = field(default_factory=set)


@dataclass(kw_only=True)
class TaskStats:
    """What is known of one task's samples. Nested parameters are named with dots: `depth.far`."""

    numbers: dict[str, list[float]] = field(default_factory=dict)
    """Every numeric parameter, one value a sample: of a list (per frame) the mean, of points their extent."""
    categories: dict[str, Counter[str]] = field(default_factory=dict)
    """Every other parameter, with how often each value occurs."""
    psnr_source: list[float] = field(default_factory=list)
    psnr_target: list[float] = field(default_factory=list)
    instructions: Counter[str] = field(default_factory=Counter)
    words: Counter[str] = field(default_factory=Counter)
    templates: dict[str, Counter[str]] = field(default_factory=dict)
    """By split, how many samples have an instruction of each of `GROUPS`; empty for a task that is not declared."""


@dataclass(kw_only=True)
class Stats:
    """What is known of a dataset."""

    name: str
    manifest: Manifest
    cells: dict[tuple[str, str], Cell] = field(default_factory=dict)
    """By task and split."""
    tasks: dict[str, TaskStats] = field(default_factory=dict)
    sources: Counter[str] = field(default_factory=Counter)
    """Samples of each source, by the sha256 of the clean video; `names` has what it is called, by one of its names."""
    names: dict[str, str] = field(default_factory=dict)
    licences: Counter[str] = field(default_factory=Counter)
    captioned: int = 0
    """How many samples have a caption."""
    frames: Counter[int] = field(default_factory=Counter)
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    """By width and height in pixels."""
    rates: Counter[float] = field(default_factory=Counter)
    """By frames per second."""
    seconds: list[float] = field(default_factory=list)
    bytes: list[float] = field(default_factory=list)

    @property
    def samples(self) -> int:
        """How many samples there are."""
        return sum(cell.samples for cell in self.cells.values())


def collect(folder: Path) -> Stats:
    """Count a dataset's index.

    Raises:
        DatasetError: `folder` is no finished dataset.
    """
    dataset = Dataset(folder)
    stats = Stats(name=folder.resolve().name, manifest=dataset.manifest)
    templates = {task: Templates(task, dataset.manifest.recipe) for task in dataset.tasks}
    for batch in dataset.index().select(list(_COLUMNS)).to_batches(max_chunksize=_ROWS):
        for row in batch.to_pylist():
            _count_row(stats, row)
            group = templates[row["task"]].group(row["instruction"])
            stats.tasks[row["task"]].templates.setdefault(row["split"], Counter())[group] += 1
    for task, found in stats.tasks.items():
        for text, count in found.instructions.items():
            found.words.update({word: n * count for word, n in Counter(words_of(text)).items()})
        if task not in task_names():
            found.templates.clear()
    return stats


def _count_row(stats: Stats, row: Mapping[str, Any]) -> None:
    seconds = row["frames"] / row["fps"] if row["fps"] else 0.0
    cell = stats.cells.setdefault((row["task"], row["split"]), Cell())
    cell.samples += 1
    cell.bytes += row["bytes"]
    cell.frames += row["frames"]
    cell.seconds += seconds
    cell.sources.add(row["clean_sha256"])
    stats.sources[row["clean_sha256"]] += 1
    stats.names.setdefault(row["clean_sha256"], row["source_id"])
    stats.licences[row["licence"] or "unknown"] += 1
    stats.captioned += bool(row["caption"])
    stats.frames[row["frames"]] += 1
    stats.sizes[row["width"], row["height"]] += 1
    stats.rates[row["fps"]] += 1
    stats.seconds.append(seconds)
    stats.bytes.append(row["bytes"])
    task = stats.tasks.setdefault(row["task"], TaskStats())
    task.psnr_source.append(row["psnr_source"])
    task.psnr_target.append(row["psnr_target"])
    task.instructions[row["instruction"]] += 1
    for name, value in flat(json.loads(row["parameters"])):
        if name.rpartition(".")[2] == "seed":
            # it is no quantity
            continue
        if isinstance(value, float):
            task.numbers.setdefault(name, []).append(value)
        else:
            task.categories.setdefault(name, Counter())[value] += 1


def words_of(text: str) -> list[str]:
    """Return the words of an instruction in small letters, without those that say nothing."""
    return [word for word in _WORD.findall(text.lower()) if word not in FILLERS]


class Templates:
    """Tells from an instruction which kind of template it was made of.

    `recipe`: its own templates count, too; those of a merged dataset's parts likewise.
    """

    def __init__(self, task: str, recipe: Mapping[str, Any]) -> None:
        texts = [*_declared(get_task(task)), *_own(task, recipe)] if task in task_names() else []
        # the more fixed words a template has, the likelier an instruction that fits was made of it
        longest = sorted(set(texts), key=lambda item: (-len(re.sub(r"\{.*?\}", "", item[0])), item))
        self._patterns = [(_pattern(text), group) for text, group in longest]
        self._known: dict[str, str] = {}

    def group(self, instruction: str) -> str:
        """Return one of `GROUPS`."""
        if instruction not in self._known:
            fitting = (group for pattern, group in self._patterns if pattern.fullmatch(instruction))
            self._known[instruction] = next(fitting, GROUPS[-1])
        return self._known[instruction]


def _declared(task: Task) -> Iterator[tuple[str, str]]:
    for group, texts in zip(
        GROUPS, (task.shared_templates, task.train_templates, task.heldout_templates), strict=False
    ):
        yield from ((text, group) for text in texts)
    for family in task.families.values():
        yield from _declared(family)


def _own(task: str, recipe: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for part in recipe.get("merged", ()):
        yield from _own(task, part["recipe"])
    given = recipe.get("instructions", {}).get(task, {})
    for group, name in zip(GROUPS, ("shared", "train", "heldout"), strict=False):
        yield from ((text, group) for text in given.get(name, ()))


def _pattern(template: str) -> re.Pattern[str]:
    parts = []
    for fixed, attribute, _, _ in string.Formatter().parse(template):
        # `a {colour}` becomes `an orange`
        parts.append(re.sub(r"\ba\\ $", r"an?\\ ", re.escape(fixed)) + (".+" if attribute else ""))
    return re.compile("".join(parts), re.DOTALL)


def rounded(rates: Mapping[float, int]) -> Counter[float]:
    """Return how many clips have each frame rate, to two places."""
    found: Counter[float] = Counter()
    for rate, count in rates.items():
        found[round(rate, 2) or rate] += count
    return found


def duration(seconds: float) -> str:
    """Say a time in the unit that suits it."""
    unit, size = next(((u, n) for u, n in (("h", 3600), ("min", 60)) if seconds >= 2 * n), ("s", 1))
    return f"{seconds / size:,.1f} {unit}"


def ordered(cells: Mapping[tuple[str, str], Cell]) -> list[tuple[tuple[str, str], Cell]]:
    """Return the cells by task, splits in the order of `SPLITS`."""
    return sorted(cells.items(), key=lambda item: (item[0][0], place_of(item[0][1])))


def place_of(split: str) -> tuple[int, str]:
    """Return what sorts splits."""
    return (SPLITS.index(split) if split in SPLITS else len(SPLITS)), split


def summary(stats: Stats) -> Iterator[str]:
    """Say the most important of it in a few lines."""
    size = sum(stats.bytes) / 2**20
    yield (
        f"{counted(stats.samples, 'sample')} of {counted(len(stats.sources), 'source')}, {size:,.1f} MB, "
        f"{duration(sum(stats.seconds))} of clips"
    )
    for task, found in sorted(stats.tasks.items()):
        splits = ", ".join(f"{split} {cell.samples:,}" for (name, split), cell in ordered(stats.cells) if name == task)
        source, target = (sum(values) / len(values) for values in (found.psnr_source, found.psnr_target))
        texts = counted(len(found.instructions), "different instruction")
        yield f"{task}: {splits}; {texts}; PSNR after the codec: source {source:.1f}, target {target:.1f} dB"
    for what, counts in (
        ("frames", {str(n): count for n, count in stats.frames.items()}),
        ("pixels", {f"{w} x {h}": count for (w, h), count in stats.sizes.items()}),
        ("frames per second", {f"{rate:g}": count for rate, count in rounded(stats.rates).items()}),
        ("licences", stats.licences),
    ):
        yield f"{what}: {_most(counts)}"
    if stats.captioned:
        yield f"with a caption: {counted(stats.captioned, 'sample')}"


def _most(counts: Mapping[str, int], limit: int = 3) -> str:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    if len(ordered) == 1:
        return f"{ordered[0][0]} (all)"
    more = f" and {len(ordered) - limit:,} more" if len(ordered) > limit else ""
    return ", ".join(f"{name} ({count:,})" for name, count in ordered[:limit]) + more
