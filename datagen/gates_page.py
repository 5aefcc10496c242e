"""What the gates saw: every score of kept and rejected clips beside its thresholds, and the rejects by kind."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from configs import ConfigError
from datagen.rejects import broken_score, kind_of, read_rejects
from shards import Dataset, Manifest
from shards.pages import write_html

_TEMPLATE = Path(__file__).parent / "templates" / "gates.html"
_ROWS = 4096
_PAIR = "pair_"
"""Begins the names of scores that belong to a pair; all others belong to its clip, whatever is made of it."""
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
        """Whether a clip with this score is turned away."""
        return value < self.value if self.setting.startswith("min_") else value > self.value


@dataclass(kw_only=True)
class Gate:
    """One score: its values, and who was turned away for it."""

    thresholds: list[Threshold]
    kept: list[float] = field(default_factory=list)
    rejected: list[float] = field(default_factory=list)
    """Of what was turned away for this score, as far as it is known."""
    others: list[float] = field(default_factory=list)
    """Of what was turned away for another reason, as far as it is known."""
    kinds: Counter[str] = field(default_factory=Counter)
    """How many were turned away for this score, by the word that the rejects use."""


@dataclass(kw_only=True)
class Kind:
    """Rejects of one kind."""

    count: int = 0
    places: Counter[str] = field(default_factory=Counter)
    """Where they were turned away, with the task if it was for one task alone."""
    examples: list[dict[str, Any]] = field(default_factory=list)


@dataclass(kw_only=True)
class Gates:
    """What is known of a dataset's gates."""

    name: str
    manifest: Manifest
    thresholds: list[Threshold]
    gates: dict[tuple[str, str], Gate] = field(default_factory=dict)
    """By score and task; the task is empty for all tasks together, and named for the scores of pairs only."""
    kinds: dict[str, Kind] = field(default_factory=dict)
    clips: int = 0
    """How many different clips gave a sample."""
    unknown: int = 0
    """How many were turned away by a gate and only the score that did it was noted."""

    def gate(self, score: str, task: str = "") -> Gate:
        """Return the gate of a score, new if need be."""
        if (score, task) not in self.gates:
            fitting = [limit for limit in self.thresholds if limit.score == score and _judges(task)]
            self.gates[score, task] = Gate(thresholds=fitting)
        return self.gates[score, task]


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
    seen: set[tuple[Any, ...]] = set()
    names = ["source_sha256", "start", "step", "frames", "task", "scores"]
    for batch in dataset.index().select(names).to_batches(max_chunksize=_ROWS):
        for row in batch.to_pylist():
            _count_kept(found, row, seen)
    found.clips = len(seen)
    for reject in read_rejects(folder):
        _count_kind(found, reject)
        _count_rejected(found, reject)
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


def _judges(task: str) -> bool:
    """Whether pairs of a task must meet the thresholds of pairs; those of no task in particular must."""
    from datagen.tasks import builder, builder_names

    return task not in builder_names() or builder(task).changes


def _count_kept(found: Gates, row: Mapping[str, Any], seen: set[tuple[Any, ...]]) -> None:
    clip = tuple(row[name] for name in ("source_sha256", "start", "step", "frames"))
    numbers = {name: v for name, v in json.loads(row["scores"]).items() if isinstance(v, int | float)}
    for score, value in numbers.items():
        if score.startswith(_PAIR):
            found.gate(score).kept.append(value)
            found.gate(score, row["task"]).kept.append(value)
        elif clip not in seen:
            found.gate(score).kept.append(value)
    seen.add(clip)


def _count_kind(found: Gates, reject: Mapping[str, Any]) -> None:
    kind = found.kinds.setdefault(kind_of(reject), Kind())
    kind.count += 1
    kind.places[f"{reject['where']}, {reject['task']}" if reject["task"] else reject["where"]] += 1
    if len(kind.examples) < _EXAMPLES and all(reject["source"] != known["source"] for known in kind.examples):
        kind.examples.append(dict(reject))


def _count_rejected(found: Gates, reject: Mapping[str, Any]) -> None:
    """Count a reject's scores: a clip's where it was turned away as a whole, a pair's where the pair was."""
    given = reject.get("scores")
    scores = {n: float(v) for n, v in given.items() if isinstance(v, int | float)} if isinstance(given, dict) else {}
    if reject["where"] == "task":
        for limit in found.thresholds:
            if limit.task == reject["task"] and limit.score in scores and limit.breaks(scores[limit.score]):
                _turn_away(found.gate(limit.score), reject, scores[limit.score])
        return
    if reject["where"] not in ("gate", "pair"):
        return
    broken = broken_score(reject)
    found.unknown += not scores
    for score, value in (scores or dict([broken] if broken else [])).items():
        if score.startswith(_PAIR) != (reject["where"] == "pair"):
            continue
        for task in {"", reject["task"] if score.startswith(_PAIR) else ""}:
            if broken and broken[0] == score:
                _turn_away(found.gate(score, task), reject, value)
            else:
                found.gate(score, task).others.append(value)


def _turn_away(gate: Gate, reject: Mapping[str, Any], value: float) -> None:
    gate.rejected.append(value)
    gate.kinds[kind_of(reject)] += 1


def write_gates(found: Gates, page: Path) -> Path:
    """Write the page and return its path.

    Raises:
        OutputError: `page` cannot be written.
    """
    from datagen.charts import short

    tasks_of = Counter(score for score, task in found.gates if task)
    kinds = sorted(found.kinds.items(), key=lambda item: (-item[1].count, item[0]))
    write_html(
        page,
        _TEMPLATE,
        name=found.name,
        manifest=found.manifest,
        clips=f"{found.clips:,}",
        samples=f"{found.manifest.samples:,}",
        unknown=f"{found.unknown:,}" if found.unknown else "",
        charts=[
            _chart(score, task, gate)
            for (score, task), gate in sorted(found.gates.items())
            # a pair's score of a single task is that of all tasks
            if not task or tasks_of[score] > 1
        ],
        rejects=f"{sum(kind.count for kind in found.kinds.values()):,}",
        kinds=[
            {
                "name": short(name, _LONGEST_TEXT),
                "count": kind.count,
                "places": short("; ".join(f"{place} {n:,}" for place, n in kind.places.most_common()), _LONGEST_TEXT),
                "examples": [_example(reject) for reject in kind.examples],
            }
            for name, kind in kinds[:_KINDS]
        ],
        more=max(len(kinds) - _KINDS, 0),
    )
    return page


def _chart(score: str, task: str, gate: Gate) -> dict[str, Any]:
    from datagen.charts import Line, Series, histogram

    series = [
        Series(name="kept", values=gate.kept),
        Series(name="turned away for it", values=gate.rejected, style="rejected"),
        Series(name="turned away for another reason", values=gate.others, style="other"),
    ]
    lines = [Line(value=limit.value, label=limit.label) for limit in gate.thresholds]
    return {
        "name": f"{score} of {task}" if task else score,
        "chart": histogram(series, lines),
        "note": _figures(gate),
    }


def _figures(gate: Gate) -> str:
    """Say range and percentiles of what was kept, and how many were turned away."""
    from datagen.charts import figures

    kept = f"kept {len(gate.kept):,}: {figures(gate.kept)}" if gate.kept else "nothing kept"
    kinds = ", ".join(f"{kind} {count:,}" for kind, count in gate.kinds.most_common())
    return f"{kept}; turned away {gate.kinds.total():,}" + (f" ({kinds})" if kinds else "")


def _example(reject: Mapping[str, Any]) -> str:
    from datagen.charts import short

    place = f", frame {reject['start']}" if reject["start"] not in (-1, None) else ""
    return short(f"{reject['source']}{place}: {reject['reason']}", _LONGEST_TEXT)


def summary(found: Gates) -> Iterator[str]:
    """Say the most important of every gate in one line, then count the rejects."""
    for (score, task), gate in sorted(found.gates.items()):
        if not task:
            limits = ", ".join(limit.label for limit in gate.thresholds) or "no threshold"
            yield f"{score}: {limits}; {_figures(gate)}"
    kinds = sorted(found.kinds.items(), key=lambda item: (-item[1].count, item[0]))
    shown = ", ".join(f"{name} {kind.count:,}" for name, kind in kinds[:8])
    more = f" and {len(kinds) - 8} more kinds" if len(kinds) > 8 else ""
    yield f"rejects: {shown or 'none'}{more}"
