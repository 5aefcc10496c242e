"""From rows to a table: means over videos, and intervals that draw whole videos again."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from benchmarks.metrics import Metric
from benchmarks.scoring import Row
from benchmarks.ties import LEAST_VIDEOS, LEVEL, Array, least_difference, tie_groups


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean over videos with its 95 % interval (None where there are too few videos to tell)."""

    mean: float
    low: float | None = None
    high: float | None = None

    @property
    def ends(self) -> tuple[float, float] | None:
        """The interval, if there is one."""
        return None if self.low is None or self.high is None else (self.low, self.high)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One method's line in a task's table."""

    method: str
    rank: tuple[int, int] | None
    """First and last place that it may have, given what can be told apart; None if it is not ranked."""
    scores: dict[str, Estimate]
    gain: Estimate | None
    """By how much it is better than identity on the metric that ranks; its interval is paired, video by video."""
    samples: int
    failures: int
    invalid: int
    """Samples on which the bench itself failed, so that the method has no score there."""
    videos: int
    suspicions: dict[str, int] = field(default_factory=dict)

    @property
    def coverage(self) -> float:
        """Share of the samples it gave an answer for."""
        return 1 - self.failures / self.samples


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """The entries of a task, best first, and the smallest difference that its videos can show."""

    entries: list[Entry]
    least_difference: float | None
    """On the metric that ranks: what two methods must differ by, to be told apart 4 times out of 5; None where no difference
    that the metric can have is large enough, because so many methods are too many for so few videos."""


@dataclass(frozen=True)
class VideoScores:
    """One method's scores of one metric, summed up by video: `sums` / `counts` is a video's mean."""

    sums: Array
    counts: Array
    pooled: bool
    """Whether all videos are pooled, instead of their means being averaged."""

    def mean(self, drawn: NDArray[np.int64]) -> Array:
        """Return the mean over videos for each row of places [draws videos]."""
        if self.pooled:
            pooled: Array = self.sums[drawn].sum(axis=-1) / self.counts[drawn].sum(axis=-1)
            return pooled
        averaged: Array = self.of_videos[drawn].mean(axis=-1)
        return averaged

    @property
    def whole(self) -> float:
        """The mean over all videos."""
        return float(self.mean(np.arange(len(self.sums))[None])[0])

    @property
    def of_videos(self) -> Array:
        """The mean of each video."""
        return self.sums / self.counts

    @property
    def merits(self) -> Array:
        """What each video adds to the mean: their mean is `mean` of all videos."""
        return self.sums / self.counts.mean() if self.pooled else self.of_videos


def leaderboard(
    rows: Sequence[Row],
    metrics: Sequence[Metric],
    *,
    draws: int,
    permutations: int,
    seed: int,
    unranked: Sequence[str] = (),
    shares: Mapping[str, float] | None = None,
) -> Ranking:
    """Return the methods of `rows`, which are those of one task, best first by the first metric.

    `shares`: what each sample counts, by its key, where a mean is not one over videos of their means; see `shares`.
    `unranked`: methods that stand in the table without a rank. A failed sample counts as the metric's worst value. A metric
    that no sample has a value for is left out; a method with samples that the bench could not score has no rank.
    """
    by_method = {
        name: [row for row in rows if row["method"] == name] for name in dict.fromkeys(r["method"] for r in rows)
    }
    tables = {metric.name: video_scores(by_method, metric, shares) for metric in metrics}
    places = _draws(next(iter(tables[metrics[0].name].values()), None), draws, seed)
    first = metrics[0]
    sign = 1 if first.higher_is_better else -1
    entries = [
        _entry(name, own, {metric: table[name] for metric, table in tables.items() if name in table}, places)
        for name, own in by_method.items()
    ]
    contest = {
        entry.method: sign * tables[first.name][entry.method].merits
        for entry in entries
        if entry.method in tables[first.name] and not entry.invalid and entry.method not in unranked
    }
    ranks = tie_groups(contest, permutations=permutations, seed=seed)
    gains = _gains(tables[first.name], sign, places)
    entries = [
        Entry(**{**vars(entry), "rank": ranks.get(entry.method), "gain": gains.get(entry.method)}) for entry in entries
    ]
    worst = -math.inf

    def merit(entry: Entry) -> float:
        return sign * entry.scores[first.name].mean if first.name in entry.scores else worst

    least = least_difference(list(contest.values()), permutations=permutations)
    return Ranking(
        entries=sorted(entries, key=merit, reverse=True),
        least_difference=None if least is None or least > first.range else least,
    )


def shares(rows: Sequence[Row], average: str) -> dict[str, float] | None:
    """Return what each sample counts, by its key, under another mean than that over videos (None for that one).

    `average`: `frames` for the mean over all frames of all videos; `clips` for that over clips; `sets` for that over sets of
    the means over their sources' means.
    """
    samples = {row["key"]: row for row in rows}.values()
    if average == "videos":
        return None
    if average == "frames":
        return {row["key"]: float(row["frames"]) for row in samples}
    if average == "clips":
        return {row["key"]: 1.0 for row in samples}
    frames: dict[str, int] = {}
    sources: dict[str, set[str]] = {}
    for row in samples:
        frames[row["source"]] = frames.get(row["source"], 0) + row["frames"]
        sources.setdefault(row["set"], set()).add(row["source"])
    return {row["key"]: row["frames"] / frames[row["source"]] / len(sources[row["set"]]) for row in samples}


def video_scores(
    by_method: dict[str, list[Row]], metric: Metric, shares: Mapping[str, float] | None
) -> dict[str, VideoScores]:
    """Return each method's scores by video, over the samples that have something to measure.

    `shares`: as for `leaderboard`. A failed sample counts as the metric's worst value; a method with a sample that the bench
    could not score is left out.
    """
    if metric.over_videos:
        shares = None
    # a failed sample weighs what it weighs at least with others: for a union of masks, the true mask
    scored: dict[str, float] = {}
    for row in itertools.chain.from_iterable(by_method.values()):
        if metric.name in row.get("scores", {}):
            weight = _weight(row, metric, shares)
            scored[row["key"]] = min(weight, scored.get(row["key"], math.inf))
    found = {}
    for name, own in by_method.items():
        values = list(_values(own, metric, scored, shares))
        if values and not any(row["status"] == "invalid" for row in own):
            found[name] = _by_video(values, pooled=metric.weight is not None or shares is not None)
    return found


def mean_over_videos(values: Iterable[tuple[str, float, float]], *, draws: int, seed: int) -> Estimate:
    """Return the mean over videos of their means, with its interval, from (video, value, weight within the video) of clips."""
    table = _by_video(list(values), pooled=False)
    if not np.isfinite(table.sums).all():
        return Estimate(mean=table.whole)
    return _summed_up(table, _draws(table, draws, seed))


def interval(means: Array, count: int) -> tuple[float, float] | tuple[None, None]:
    """Return the 95 % interval from bootstrapped means [draws] of `count` videos.

    Percentiles, widened as Hesterberg (The American Statistician, 2015) does so that they cover as often as Student's
    interval for few videos: at Phi(-sqrt(n / (n - 1)) t). None for fewer than 6 videos.
    """
    from scipy.stats import norm, t

    if count < LEAST_VIDEOS:
        return None, None
    tail = norm.cdf(-math.sqrt(count / (count - 1)) * t.ppf(0.5 + LEVEL / 2, count - 1))
    low, high = np.percentile(means, [100 * tail, 100 * (1 - tail)])
    return float(low), float(high)


def _draws(scores: VideoScores | None, draws: int, seed: int) -> NDArray[np.int64]:
    """Return which videos each bootstrap draw takes: the same for all methods, which makes their differences paired."""
    count = 1 if scores is None else len(scores.sums)
    return np.random.default_rng(seed).integers(count, size=(draws, count))


def _values(
    rows: list[Row], metric: Metric, scored: dict[str, float], shares: Mapping[str, float] | None
) -> Iterator[tuple[str, float, float]]:
    """Yield video, score and weight of each sample that has something to measure."""
    for row in rows:
        if row["key"] in scored and row["status"] != "invalid":
            if row["status"] == "failed":
                yield row["video"], metric.worst, scored[row["key"]]
            elif metric.name in row["scores"]:
                yield row["video"], row["scores"][metric.name], _weight(row, metric, shares)


def _weight(row: Row, metric: Metric, shares: Mapping[str, float] | None) -> float:
    """Return what a clip counts: its frames, so that a video's mean is that over its frames however it was cut into clips."""
    if metric.weight is not None:
        return float(row["weights"][metric.name])
    return float(row["frames"] if shares is None else shares[row["key"]])


def _by_video(values: list[tuple[str, float, float]], *, pooled: bool) -> VideoScores:
    videos, scores, weights = zip(*values, strict=True)
    names, places = np.unique(videos, return_inverse=True)
    weight = np.asarray(weights, np.float64)
    sums, counts = np.zeros(len(names)), np.zeros(len(names))
    np.add.at(sums, places, np.asarray(scores, np.float64) * weight)
    np.add.at(counts, places, weight)
    return VideoScores(sums, counts, pooled=pooled)


def _estimate(means: Array, whole: float, count: int) -> Estimate:
    low, high = interval(means, count)
    return Estimate(mean=whole, low=low, high=high)


def _entry(method: str, rows: list[Row], tables: dict[str, VideoScores], places: NDArray[np.int64]) -> Entry:
    odd = [word for row in rows if row["status"] == "ok" for word in row.get("suspicions", ())]
    return Entry(
        method=method,
        rank=None,
        scores={name: _summed_up(table, places) for name, table in tables.items()},
        gain=None,
        samples=len(rows),
        failures=sum(row["status"] == "failed" for row in rows),
        invalid=sum(row["status"] == "invalid" for row in rows),
        videos=len({row["video"] for row in rows}),
        suspicions={word: odd.count(word) for word in dict.fromkeys(odd)},
    )


def _summed_up(table: VideoScores, places: NDArray[np.int64]) -> Estimate:
    count = len(table.sums)
    if places.shape[1] != count:
        # a metric that not every video has a value for
        places = _draws(table, len(places), count)
    return _estimate(table.mean(places), table.whole, count)


def _gains(tables: dict[str, VideoScores], sign: int, places: NDArray[np.int64]) -> dict[str, Estimate]:
    if "identity" not in tables:
        return {}
    base = tables["identity"].merits
    found = {}
    for name, table in tables.items():
        if name != "identity" and len(table.sums) == len(base):
            gain = sign * (table.merits - base)
            found[name] = _estimate(gain[places].mean(axis=1), float(gain.mean()), len(gain))
    return found
