"""Two runs side by side: what became better, by how much, and whether that is more than chance."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.metrics import METRICS, Metric, headline
from benchmarks.report.stored import load_run
from benchmarks.scoring import Row
from benchmarks.statistics import Estimate, interval, sign_flip
from configs import ConfigError, DatasetError, unknown_name

_DRAWS = 5000
_FLIPS = 10_000


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One method and metric in two runs, over the samples that both scored."""

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
    videos: int


def compare(first: Path, second: Path, methods: tuple[str, str] | None = None) -> list[Difference]:
    """Return the differences between two finished runs, for every task and method that both have.

    `methods`: one of the first run and one of the second, to be compared although their names differ.

    Raises:
        ConfigError: a run has no method of that name.
        DatasetError: a run is not finished or was changed, they scored different datasets or versions of the metrics, or
            have nothing in common.
    """
    runs = [load_run(folder).rows for folder in (first, second)]
    if runs[0][0]["dataset"] != runs[1][0]["dataset"]:
        datasets = " and ".join(rows[0]["dataset"][:12] for rows in runs)
        raise DatasetError(f"{first} and {second} scored different datasets ({datasets}): they cannot be compared")
    for folder, rows, name in zip((first, second), runs, methods or (), strict=False):
        if name not in _names(rows):
            raise ConfigError(f"{folder}: {unknown_name('method', name, _names(rows))}")
    pairs = [methods] if methods else [(name, name) for name in _names(runs[0]) if name in _names(runs[1])]
    tasks = [task for task in dict.fromkeys(row["task"] for row in runs[0]) if task in {row["task"] for row in runs[1]}]
    found = [
        difference
        for task in tasks
        for pair in pairs
        for metric in headline(task)
        if (difference := _difference(runs, task, pair, metric)) is not None
    ]
    if not found:
        raise DatasetError(f"{first} and {second} have no method and sample in common")
    return found


def _names(rows: list[Row]) -> list[str]:
    return list(dict.fromkeys(row["method"] for row in rows))


def _difference(runs: list[list[Row]], task: str, pair: tuple[str, str], metric: Metric) -> Difference | None:
    scores = [_scores(rows, task, name, metric) for rows, name in zip(runs, pair, strict=True)]
    keys = sorted(scores[0].keys() & scores[1].keys())
    if not keys:
        return None
    videos, places = np.unique([scores[0][key][0] for key in keys], return_inverse=True)
    counts = np.bincount(places)
    means = [np.bincount(places, weights=[own[key][1] for key in keys]) / counts for own in scores]
    sign = 1 if metric.higher_is_better else -1
    gains = sign * (means[1] - means[0])
    drawn = gains[np.random.default_rng(0).integers(len(gains), size=(_DRAWS, len(gains)))].mean(axis=1)
    low, high = interval(drawn, len(gains))
    return Difference(
        task=task,
        method=pair[0] if pair[0] == pair[1] else f"{pair[0]} -> {pair[1]}",
        metric=metric,
        first=float(means[0].mean()),
        second=float(means[1].mean()),
        gain=Estimate(mean=float(gains.mean()), low=low, high=high),
        chance=sign_flip(gains, permutations=_FLIPS, seed=0),
        samples=len(keys),
        videos=len(videos),
    )


def _scores(rows: list[Row], task: str, method: str, metric: Metric) -> dict[str, tuple[str, float]]:
    """Return video and score of each sample by its key; a failure counts as the worst."""
    own = [row for row in rows if row["task"] == task and row["method"] == method and row["status"] != "invalid"]
    versions = f"{metric.name} {METRICS[metric.name].version}"
    if any(versions not in row["metric_versions"].split(", ") for row in own):
        raise DatasetError(f"{method}'s rows of {task} have another version of {metric.name} than this program")
    return {
        row["key"]: (row["video"], metric.worst if row["status"] == "failed" else row["scores"][metric.name])
        for row in own
        if row["status"] == "failed" or metric.name in row["scores"]
    }
