"""What the gates saw: every score of kept and rejected clips beside its thresholds, and what was left out, by kind."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from configs import ConfigError, counted
from datagen.rejects import broken_score, in_lines, in_short, in_words, kind_of, read_rejects, unit_of
from datagen.remedies import REMEDIES, in_remedies
from shards import Dataset, Manifest
from shards.pages import write_html

_TEMPLATE = Path(__file__).parent / "templates" / "gates.html"
_ROWS = 4096
_PAIR = "pair_"
"""Begins the names of scores that belong to a pair; all others belong to its clip, whatever is made of it."""
_TITLES = {"duplicates": "repeated frames"}
"""What people read in the place of a score's name that other things are called by, too: a reject `duplicate` is a whole file."""
_KINDS, _EXAMPLES = 40, 3
_LONGEST_TEXT = 200


@dataclass(frozen=True, kw_only=True, order=True)
class Threshold:
    """A limit that a recipe sets to a score: `setting` begins with `min_` or `max_`."""

    setting: str
    value: float
    task: str = ""
    """Where only one task's clips must meet it."""
    part: str = ""
    """Of a merged dataset, the part whose recipe says so."""

    @property
    def score(self) -> str:
        """The score that must not be below or above the value."""
        return self.setting[4:]

    @property
    def label(self) -> str:
        """What a chart calls it."""
        from datagen.charts import number_text

        name = f"{self.task}.{self.setting}" if self.task else self.setting
        return f"{name} {number_text(self.value)}" + (f" ({self.part})" if self.part else "")

    def breaks(self, value: float) -> bool:
        """Whether a clip with this score is left out."""
        return value < self.value if self.setting.startswith("min_") else value > self.value


@dataclass(kw_only=True)
class Gate:
    """One score: its values, and who was left out for it."""

    thresholds: list[Threshold]
    kept: list[float] = field(default_factory=list)
    rejected: list[float] = field(default_factory=list)
    """Of what was left out for this score, as far as it is known."""
    others: list[float] = field(default_factory=list)
    """Of what was left out for another reason, as far as it is known."""
    kinds: Counter[str] = field(default_factory=Counter)
    """How many were left out for this score, by the word that the rejects use."""

    @property
    def own(self) -> bool:
        """Whether a task has set a limit of its own here."""
        return any(limit.task for limit in self.thresholds)


@dataclass(kw_only=True)
class Kind:
    """Rejects of one kind."""

    count: int = 0
    units: Counter[tuple[str, str]] = field(default_factory=Counter)
    """What was left out, videos, clips or pairs, and of these the task."""
    examples: list[dict[str, Any]] = field(default_factory=list)


@dataclass(kw_only=True)
class Gates:
    """What is known of a dataset's gates."""

    name: str
    manifest: Manifest
    thresholds: list[Threshold]
    gates: dict[tuple[str, str], Gate] = field(default_factory=dict)
    """By score and task. The task is empty for all clips, or pairs, together; it is named for the scores of its pairs, and
    of the clips of a task that has a limit of its own."""
    kinds: dict[str, Kind] = field(default_factory=dict)
    clips: int = 0
    """How many different clips gave a sample."""
    unknown: int = 0
    """How many were left out by a gate and only the score that did it was noted."""
    left_out: Counter[str] = field(default_factory=Counter)
    """How many videos, clips and pairs were left out."""
    lines: list[str] = field(default_factory=list)
    """The same with their reasons, as a build says it."""

    def gate(self, score: str, task: str = "") -> Gate:
        """Return the gate of a score, new if need be."""
        if (score, task) not in self.gates:
            fitting = [limit for limit in self.thresholds if limit.score == score and _judges(limit, task)]
            self.gates[score, task] = Gate(thresholds=fitting)
        return self.gates[score, task]

    def of(self, score: str, task: str, *, new: bool) -> Iterator[Gate]:
        """Yield the gates that count the score of a task's pair. `new`: no other pair of its clip has been counted."""
        own = any((limit.score, limit.task) == (score, task) for limit in self.thresholds)
        pair = score.startswith(_PAIR)
        if pair or new:
            yield self.gate(score)
        if task and (pair or own):
            yield self.gate(score, task)


def collect(folder: Path) -> Gates:
    """Read the scores of a dataset's samples and rejects.

    Raises:
        DatasetError: `folder` is no finished dataset, or its rejects are damaged.
    """
    dataset = Dataset(folder)
    found = Gates(
        name=folder.resolve().name, manifest=dataset.manifest, thresholds=sorted(set(_thresholds(dataset.manifest)))
    )
    for limit in found.thresholds:
        if not limit.task:
            found.gate(limit.score)
    clips: set[tuple[Any, ...]] = set()
    names = ["source_sha256", "start", "step", "frames", "task", "scores"]
    for batch in dataset.index().select(names).to_batches(max_chunksize=_ROWS):
        for row in batch.to_pylist():
            _count_kept(found, row, clips)
    found.clips = len(clips)
    counted_clips = {clip[:2] for clip in clips}
    rejects = list(read_rejects(folder))
    for reject in rejects:
        _count_kind(found, reject)
        _count_rejected(found, reject, counted_clips)
    found.left_out = Counter(map(unit_of, rejects))
    found.lines = list(in_lines(rejects))
    return found


def _thresholds(manifest: Manifest) -> Iterator[Threshold]:
    recipes = list(_recipes(manifest.recipe))
    limits = [set(_limits(recipe)) for _, recipe in recipes]
    for (part, _), own in zip(recipes, limits, strict=True):
        for setting, task, value in own:
            everywhere = all((setting, task, value) in others for others in limits)
            yield Threshold(setting=setting, task=task, value=value, part="" if everywhere else part)


def _recipes(recipe: Mapping[str, Any], part: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the recipe, or of a merged dataset those of its parts, with the part's name."""
    if "merged" not in recipe:
        yield part, recipe
    for inner in recipe.get("merged", ()):
        yield from _recipes(inner["recipe"], inner["name"])


def _limits(recipe: Mapping[str, Any]) -> Iterator[tuple[str, str, float]]:
    """Yield setting, task and value of every threshold: those of all clips, and tasks' own options of that form."""
    engine = recipe.get("engine", {})
    groups = [
        ("", recipe.get("gates", {})),
        ("", engine if engine.get("clip") else {}),
        *((task, _options(task, given)) for task, given in recipe.get("tasks", {}).items()),
    ]
    for task, settings in groups:
        for setting, value in settings.items():
            if setting.startswith(("min_", "max_")) and isinstance(value, int | float):
                yield setting, task, float(value)


def _options(task: str, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a task's options with their defaults; only what is given where this version knows the task no longer."""
    from datagen.tasks import builder

    try:
        return builder(task).options(given).model_dump()
    except ConfigError:
        return given


def _judges(limit: Threshold, task: str) -> bool:
    """Whether a task's pairs, or all clips and pairs together where none is named, must meet a threshold."""
    from datagen.tasks import builder, builder_names

    if limit.task or not task:
        return limit.task == task
    return limit.score.startswith(_PAIR) and (task not in builder_names() or builder(task).changes)


def _numbers(scores: Any) -> dict[str, float]:
    """Return the scores that are numbers; none where there are no scores."""
    given = scores if isinstance(scores, dict) else {}
    return {name: float(v) for name, v in given.items() if isinstance(v, int | float)}


def _count_kept(found: Gates, row: Mapping[str, Any], clips: set[tuple[Any, ...]]) -> None:
    clip = tuple(row[name] for name in ("source_sha256", "start", "step", "frames"))
    for score, value in _numbers(json.loads(row["scores"])).items():
        for gate in found.of(score, row["task"], new=clip not in clips):
            gate.kept.append(value)
    clips.add(clip)


def _count_kind(found: Gates, reject: Mapping[str, Any]) -> None:
    kind = found.kinds.setdefault(kind_of(reject), Kind())
    kind.count += 1
    kind.units[unit_of(reject), reject["task"]] += 1
    if len(kind.examples) < _EXAMPLES and all(reject["source"] != known["source"] for known in kind.examples):
        kind.examples.append(dict(reject))


def _count_rejected(found: Gates, reject: Mapping[str, Any], clips: set[tuple[Any, ...]]) -> None:
    """Count a reject's scores, those of its clip where no sample and no other reject of it has been counted."""
    broken = broken_score(reject)
    scores = _numbers(reject.get("scores")) or dict([broken] if broken else [])
    found.unknown += reject["where"] in ("gate", "pair") and not _numbers(reject.get("scores"))
    clip = (reject["sha256"], reject["start"])
    for score, value in scores.items():
        for gate in found.of(score, reject["task"], new=clip not in clips):
            if score == broken[0] if broken else any(limit.task and limit.breaks(value) for limit in gate.thresholds):
                gate.rejected.append(value)
                gate.kinds[kind_of(reject)] += 1
            else:
                gate.others.append(value)
    if scores:
        clips.add(clip)


def write_gates(found: Gates, page: Path) -> Path:
    """Write the page and return its path.

    Raises:
        OutputError: `page` cannot be written.
    """
    from datagen.charts import short

    kinds = sorted(found.kinds.items(), key=lambda item: (-item[1].count, item[0]))
    write_html(
        page,
        _TEMPLATE,
        name=found.name,
        manifest=found.manifest,
        clips=counted(found.clips, "clip"),
        samples=counted(found.manifest.samples, "sample"),
        unknown=counted(found.unknown, "reject") if found.unknown else "",
        charts=[_chart(score, task, gate) for score, task, gate in _shown(found)],
        left_out=in_short(found.left_out) or "nothing",
        kinds=[
            {
                "name": short(name, _LONGEST_TEXT),
                "count": kind.count,
                "units": short(", ".join(in_words(n, *unit) for unit, n in kind.units.most_common()), _LONGEST_TEXT),
                "remedy": REMEDIES.get(name, ""),
                "examples": [_example(reject) for reject in kind.examples],
            }
            for name, kind in kinds[:_KINDS]
        ],
        more=counted(len(kinds) - _KINDS, "more kind") if len(kinds) > _KINDS else "",
    )
    return page


def _shown(found: Gates, *, every: bool = True) -> Iterator[tuple[str, str, Gate]]:
    """Yield score, task and gate in order. `every`: pairs of each task apart, too, where there are several."""
    tasks = Counter(score for score, task in found.gates if task)
    for (score, task), gate in sorted(found.gates.items()):
        if not task or gate.own or (every and tasks[score] > 1):
            yield score, task, gate


def _chart(score: str, task: str, gate: Gate) -> dict[str, Any]:
    from datagen.charts import Line, Series, histogram

    series = [
        Series(name="kept", values=gate.kept),
        Series(name="left out for it", values=gate.rejected, style="rejected"),
        Series(name="left out for another reason", values=gate.others, style="other"),
    ]
    lines = [Line(value=limit.value, label=limit.label) for limit in gate.thresholds]
    return {
        "name": _name(score, task),
        "chart": histogram(series, lines),
        "note": _figures(gate),
    }


def _name(score: str, task: str) -> str:
    shown = _TITLES.get(score, score)
    return f"{shown} of {task}" if task else shown


def _figures(gate: Gate) -> str:
    """Say range and percentiles of what was kept, and how many were left out."""
    from datagen.charts import figures

    kept = f"kept {len(gate.kept):,}: {figures(gate.kept)}" if gate.kept else "nothing kept"
    kinds = ", ".join(f"{kind} {count:,}" for kind, count in gate.kinds.most_common())
    return f"{kept}; left out {gate.kinds.total():,}" + (f" ({kinds})" if kinds else "")


def _example(reject: Mapping[str, Any]) -> str:
    from datagen.charts import short

    place = f", frame {reject['start']}" if reject["start"] not in (-1, None) else ""
    return short(f"{reject['source']}{place}: {reject['reason']}", _LONGEST_TEXT)


def summary(found: Gates) -> Iterator[str]:
    """Say the most important of every gate in one line, then what was left out, and what helps."""
    apart = {score for (score, _), gate in found.gates.items() if gate.own}
    for score, task, gate in _shown(found, every=False):
        if score in apart and not gate.thresholds:
            continue
        limits = ", ".join(limit.label for limit in gate.thresholds) or "no threshold"
        yield f"{_name(score, task)}: {limits}; {_figures(gate)}"
    yield from found.lines or ["nothing left out"]
    yield from in_remedies(found.kinds)
