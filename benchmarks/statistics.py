"""From rows to a table: means over videos, intervals that draw whole videos again, ranks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.metrics import Metric, get_metrics
from benchmarks.runner import Row


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean over videos with its 95 % interval (None where one video gives no idea of the spread)."""

    mean: float
    low: float | None
    high: float | None


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One method's line in a task's table."""

    method: str
    rank: int
    scores: dict[str, Estimate]
    samples: int
    failures: int
    videos: int
    seconds_per_frame: float | None

    @property
    def coverage(self) -> float:
        """Share of the samples it gave an answer for."""
        return 1 - self.failures / self.samples


def leaderboard(rows: list[Row], task: str, *, draws: int, seed: int) -> list[Entry]:
    """Return a task's methods, best first by its first metric."""
    metrics = get_metrics(task)
    of_task = [row for row in rows if row["task"] == task]
    names = list(dict.fromkeys(row["method"] for row in of_task))
    entries = [_entry([row for row in of_task if row["method"] == name], metrics, draws, seed) for name in names]
    first = metrics[0]
    ordered = sorted(entries, key=lambda entry: entry.scores[first.name].mean, reverse=first.higher_is_better)
    return [Entry(**{**vars(entry), "rank": place}) for place, entry in enumerate(ordered, start=1)]


def estimate(values: NDArray[np.float64], videos: list[str], *, draws: int, seed: int) -> Estimate:
    """Return the mean over videos of per-video means, with a percentile bootstrap over videos.

    Clips of one video are alike; drawing clips again instead of videos would make intervals too narrow.
    """
    means = video_means(values, videos)
    if len(means) < 2:
        return Estimate(mean=float(means.mean()), low=None, high=None)
    rng = np.random.default_rng(seed)
    again = means[rng.integers(len(means), size=(draws, len(means)))].mean(axis=1)
    low, high = np.percentile(again, [2.5, 97.5])
    return Estimate(mean=float(means.mean()), low=float(low), high=float(high))


def video_means(values: NDArray[np.float64], videos: list[str]) -> NDArray[np.float64]:
    """Return one mean per video, in the order of the videos' names."""
    names, places = np.unique(videos, return_inverse=True)
    return np.bincount(places, weights=values) / np.bincount(places, minlength=len(names))


def _entry(rows: list[Row], metrics: list[Metric], draws: int, seed: int) -> Entry:
    videos = [row["video"] for row in rows]
    good = [row for row in rows if row["status"] == "ok"]
    scores = {}
    for metric in metrics:
        values = np.array([row["scores"][metric.name] if row["status"] == "ok" else metric.worst for row in rows])
        scores[metric.name] = estimate(values, videos, draws=draws, seed=seed)
    return Entry(
        method=rows[0]["method"],
        rank=0,
        scores=scores,
        samples=len(rows),
        failures=len(rows) - len(good),
        videos=len(set(videos)),
        seconds_per_frame=float(np.mean([row["seconds_per_frame"] for row in good])) if good else None,
    )
