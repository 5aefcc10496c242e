"""Two runs side by side: what became better, by how much, and whether that is more than chance."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.leaks import find_leaks
from benchmarks.metrics import METRICS, Metric, headline
from benchmarks.report.boards import standard_of
from benchmarks.report.stored import load_run
from benchmarks.runner import Run
from benchmarks.scoring import Row
from benchmarks.statistics import Estimate, interval, shares, video_scores
from benchmarks.ties import sign_flip
from configs import ConfigError, DatasetError, unknown_name

_DRAWS = 5000
_FLIPS = 10_000


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One method and metric in two runs, over the samples that both scored; means are those of the leaderboards."""

    task: str
    method: str
    metric: Metric
    first: float
    second: float
    gain: Estimate
    """Second minus first, turned so that more is better; its interval is paired by video."""
    chance: float
    """Of a mean difference at least as large if there were none (sign flips over videos; not corrected)."""
    samples: int
    of: int
    """How many samples either run scored."""
    videos: int
    leaks: tuple[str, ...]
    """What is said of either run's method if it had learnt from videos that it was scored on."""


def compare(first: Path, second: Path, methods: tuple[str, str] | None = None) -> list[Difference]:
    """Return the differences between two finished runs, for every task and method that both have.

    `methods`: one of the first run and one of the second, to be compared although their names differ.

    Raises:
        ConfigError: a run has no method of that name.
        DatasetError: a run is not finished or was changed, they scored different datasets or versions of the metrics, take
            different means, or have nothing in common.
    """
    done = [load_run(folder) for folder in (first, second)]
    runs = [run.rows for run in done]
    if runs[0][0]["dataset"] != runs[1][0]["dataset"]:
        datasets = " and ".join(rows[0]["dataset"][:12] for rows in runs)
        raise DatasetError(f"{first} and {second} scored different datasets ({datasets}): they cannot be compared")
    for folder, rows, name in zip((first, second), runs, methods or (), strict=False):
        if name not in _names(rows):
            raise ConfigError(f"{folder}: {unknown_name('method', name, _names(rows))}")
    pairs = [methods] if methods else [(name, name) for name in _names(runs[0]) if name in _names(runs[1])]
    tasks = [task for task in dict.fromkeys(row["task"] for row in runs[0]) if task in {row["task"] for row in runs[1]}]
    found = [difference for task in tasks for difference in _differences(done, task, pairs)]
    if not found:
        raise DatasetError(f"{first} and {second} have no method and sample in common")
    return found


def in_one_alone(first: Path, second: Path, methods: tuple[str, str] | None = None) -> tuple[list[str], list[str]]:
    """Return what only the first of two finished runs has, and what only the second: tasks, and methods of tasks of both.

    `methods`: as in `compare`; no others are looked at.
    """
    pairs = [
        {
            (row["task"], "" if wanted else row["method"])
            for row in load_run(folder).rows
            if wanted in (None, row["method"])
        }
        for folder, wanted in zip((first, second), methods or (None, None), strict=True)
    ]
    return _beyond(*pairs), _beyond(*reversed(pairs))


def _beyond(own: Set[tuple[str, str]], other: Set[tuple[str, str]]) -> list[str]:
    tasks = {task for task, _ in other}
    lacking: dict[str, list[str]] = {}
    for task, method in sorted(own - other):
        if task in tasks:
            lacking.setdefault(method, []).append(task)
    alone = sorted({f"task {task}" for task, _ in own if task not in tasks})
    return alone + [f"{method} ({', '.join(of)})" for method, of in sorted(lacking.items())]


def _names(rows: list[Row]) -> list[str]:
    return list(dict.fromkeys(row["method"] for row in rows))


def _differences(done: Sequence[Run], task: str, pairs: Sequence[tuple[str, str]]) -> list[Difference]:
    runs = [[row for row in run.rows if row["task"] == task] for run in done]
    standards = [standard_of(run, task) for run in done]
    averages = [standard.average if standard else "videos" for standard in standards]
    if averages[0] != averages[1]:
        raise DatasetError(
            f"{task}: one run's mean is over {averages[0]}, the other's over {averages[1]}, as their suites say: they cannot "
            "be compared; score both with one --suite"
        )
    wanted = [METRICS[name] for name in (standards[0].metrics if standards[0] else ()) if name in METRICS]
    found = [_difference(runs, pair, metric, averages[0]) for pair in pairs for metric in wanted or headline(task)]
    return [difference for difference in found if difference is not None]


def _difference(runs: list[list[Row]], pair: tuple[str, str], metric: Metric, average: str) -> Difference | None:
    scored = [_scored(rows, name, metric) for rows, name in zip(runs, pair, strict=True)]
    keys = scored[0].keys() & scored[1].keys()
    if any(scored[0][key]["video"] != scored[1][key]["video"] for key in keys):
        raise DatasetError(
            f"{runs[0][0]['task']}: the runs tell videos apart in two ways, as their suites say: they cannot be compared; score "
            "both with one --suite"
        )
    rows = {side: [own[key] for key in sorted(keys)] for side, own in zip(("first", "second"), scored, strict=True)}
    # what anybody has a value for has something to measure, whoever failed on it
    everybody = [row for run in runs for row in run if row["key"] in keys]
    tables = video_scores({**rows, "everybody": everybody}, metric, shares(everybody, average))
    if not tables.keys() >= rows.keys():
        return None
    before, after = tables["first"], tables["second"]
    sign = 1 if metric.higher_is_better else -1
    gains = sign * (after.merits - before.merits)
    drawn = gains[np.random.default_rng(0).integers(len(gains), size=(_DRAWS, len(gains)))].mean(axis=1)
    low, high = interval(drawn, len(gains))
    return Difference(
        task=runs[0][0]["task"],
        method=pair[0] if pair[0] == pair[1] else f"{pair[0]} -> {pair[1]}",
        metric=metric,
        first=before.whole,
        second=after.whole,
        gain=Estimate(mean=float(gains.mean()), low=low, high=high),
        chance=sign_flip(gains, permutations=_FLIPS, seed=0),
        samples=len(keys),
        of=len(scored[0].keys() | scored[1].keys()),
        videos=len(gains),
        leaks=tuple(dict.fromkeys(leak.told for own in rows.values() for leak in find_leaks(own))),
    )


def _scored(rows: list[Row], method: str, metric: Metric) -> dict[str, Row]:
    """Return a method's rows by their samples' keys: those with a value, and failures."""
    own = [row for row in rows if row["method"] == method and row["status"] != "invalid"]
    versions = f"{metric.name} {METRICS[metric.name].version}"
    if any(versions not in row["metric_versions"].split(", ") for row in own):
        raise DatasetError(
            f"{method}'s rows of {own[0]['task']} have another version of {metric.name} than this program"
        )
    return {row["key"]: row for row in own if row["status"] == "failed" or metric.name in row["scores"]}
