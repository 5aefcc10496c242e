"""How methods fare as the damage grows: the same scenes, damaged at several strengths."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from benchmarks.metrics import Metric, headline
from benchmarks.report.cells import label
from benchmarks.report.charts import Series, chart
from benchmarks.runner import Run
from benchmarks.scoring import Row
from benchmarks.settings import BenchSettings
from benchmarks.statistics import Estimate, leaderboard
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


def severity_study(task: str, runs: dict[float, Run], settings: BenchSettings) -> Study:
    """Sum up one run per level, over the videos that every level has a sample of."""
    first, sweep = headline(task)[0], SWEEPS[task]
    videos = set.intersection(*({row["video"] for row in run.rows} for run in runs.values()))
    methods = list(dict.fromkeys(row["method"] for run in runs.values() for row in run.rows if row["ranked"]))
    scores = {
        level: _means([row for row in run.rows if row["video"] in videos], first, settings)
        for level, run in runs.items()
    }
    curves = {name: {level: own[name] for level, own in scores.items() if name in own} for name in methods}
    return Study(
        name=f"severity of {task}",
        question=f"{first.label} as {sweep.across} grows, on the same {len(videos)} videos at every level.",
        records=[{"method": name, **{f"{level:g}": curves[name].get(level) for level in runs}} for name in methods],
        words=(
            f"{first.label}: {first.in_full()}. A failure counts as the worst value. Brackets: 95 % intervals from drawing whole "
            "videos again.",
            *_turns(curves.get("identity", {}), first, sweep),
        ),
        charts=[
            (
                task,
                chart(
                    [
                        Series(name=name, points=[(x, one.mean) for x, one in own.items()])
                        for name, own in curves.items()
                    ],
                    across=sweep.across,
                    up=label(first),
                ),
            )
        ],
    )


def _means(rows: Sequence[Row], metric: Metric, settings: BenchSettings) -> dict[str, Estimate]:
    """Return each method's mean as its leaderboard has it."""
    found = leaderboard(
        rows, [metric], draws=settings.bootstrap, permutations=settings.permutations, seed=settings.seed
    )
    return {one.method: one.scores[metric.name] for one in found.entries if metric.name in one.scores}


def _turns(inputs: dict[float, Estimate], metric: Metric, sweep: Sweep) -> list[str]:
    """Return a warning where the input itself is better at more damage: something else than the damage differs there."""
    sign = 1 if metric.higher_is_better else -1
    turns = [(a, b) for a, b in pairwise(inputs) if sign * (inputs[b].mean - inputs[a].mean) > 0]
    if sweep is _MOTION or not turns:
        return []
    told = ", ".join(f"{a:g} to {b:g}" for a, b in turns)
    return [
        f"The input itself becomes better by {metric.label} from {told}: there the curves show more than the damage."
    ]
