"""How methods fare as the damage grows: the same scenes, damaged at several strengths."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from benchmarks.metrics import Metric, headline
from benchmarks.report.charts import Series, chart
from benchmarks.runner import Run
from benchmarks.scoring import Row
from benchmarks.settings import BenchSettings
from benchmarks.statistics import video_scores
from benchmarks.studies.report import Study
from configs import load
from datagen import Recipe, build
from shards import Dataset


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """What grows, in words with its unit, and by which settings of datagen."""

    across: str
    setting: Callable[[float], str]
    levels: tuple[float, ...]


_MOTION = Sweep(across="frames apart", setting=lambda step: f"clip.step={step:.0f}", levels=(1, 2, 4))

SWEEPS: dict[str, Sweep] = {
    "dehaze": Sweep(
        across="haze (1 - transmission of the median pixel)",
        setting=lambda haze: f"tasks.dehaze.transmission=[{1 - haze:.3f},{1 - haze:.3f}]",
        levels=(0.2, 0.35, 0.5, 0.65, 0.8),
    ),
    "deblur": Sweep(
        across="exposure (seconds)",
        setting=lambda seconds: f"tasks.deblur.exposure=[{seconds},{seconds}]",
        levels=(0.01, 0.02, 0.04, 0.08, 0.12),
    ),
    "inpaint": Sweep(
        across="size of the hole (share of the picture's side)",
        setting=lambda side: f"tasks.inpaint.extent=[{side},{side}]",
        levels=(0.15, 0.25, 0.35, 0.5, 0.65),
    ),
    "recolor": _MOTION,
    "segment": _MOTION,
    "edit": _MOTION,
}
"""By task. Where a task has no damage to grow, motion does: the same clips with frames farther apart."""
_ALL_BLURS = ["gates.max_pair_psnr=1000", "gates.min_pair_changed=0"]
_FIXED = {
    "deblur": ["tasks.deblur.kinds={motion: 1}", *_ALL_BLURS],
    # colours that are known at one moment, and have to be carried to the others
    "recolor": ["tasks.recolor.reference=1"],
}


def build_level(task: str, level: float, folder: Path, settings: BenchSettings, source: str) -> Dataset:
    """Build the samples of one level, all in the test split, or finish them."""
    sweep = SWEEPS[task]
    overrides = [f"tasks={{{task}: {{}}}}", sweep.setting(level), *_FIXED.get(task, [])]
    splits = ["splits.official=false", "splits.train=0", "splits.val=0", "splits.test=1"]
    if sweep is _MOTION:
        # long enough for frames as far apart as they will be: the same scenes at every level
        frames = load(Recipe, settings.recipe).clip.frames
        overrides += [f"scenes.frames={round((frames - 1) * max(sweep.levels)) + 1}", "clip.per_video=1"]
    build(load(Recipe, settings.recipe, [*overrides, *splits]), folder, sources=[source], workers=0)
    return Dataset(folder)


def severity_study(task: str, runs: dict[float, Run]) -> Study:
    """Sum up one run per level, over the videos that every level has a sample of."""
    first = headline(task)[0]
    videos = set.intersection(*({row["video"] for row in run.rows} for run in runs.values()))
    means = {level: _means(run, videos, first) for level, run in runs.items()}
    records, series = [], []
    for method in dict.fromkeys(name for found in means.values() for name in found):
        points = [(level, found[method]) for level, found in means.items() if method in found]
        records.append({"method": method, **{f"{place:g}": value for place, value in points}})
        series.append(Series(name=method, points=points))
    columns = dict.fromkeys(name for record in records for name in record)
    return Study(
        name=f"severity of {task}",
        question=f"{first.label} as {SWEEPS[task].across} grows, on the same {len(videos)} videos at every level.",
        records=[{**columns, **record} for record in records],
        words=(f"{first.label}: {first.in_full()}. Means over videos; a failure counts as the worst value.",),
        charts=[(task, chart(series, across=SWEEPS[task].across, up=first.label))],
    )


def _means(run: Run, videos: Collection[str], metric: Metric) -> dict[str, float]:
    """Return each method's mean over these videos, as its leaderboard takes it; oracles are left out."""
    own: dict[str, list[Row]] = {}
    for row in run.rows:
        if row["ranked"] and row["video"] in videos:
            own.setdefault(row["method"], []).append(row)
    return {name: scores.whole for name, scores in video_scores(own, metric, None).items()}
