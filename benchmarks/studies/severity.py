"""How methods fare as the damage grows: the same scenes, damaged at several strengths."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.metrics import Metric, headline
from benchmarks.report.boards import mark_of
from benchmarks.report.cells import label
from benchmarks.report.charts import Series, chart
from benchmarks.runner import Run
from benchmarks.scoring import Row
from benchmarks.settings import BenchSettings
from benchmarks.statistics import Estimate, leaderboard
from benchmarks.studies.report import Study
from benchmarks.suite import build_dataset
from benchmarks.ties import LEAST_VIDEOS
from configs import counted, load
from datagen import Recipe
from shards import Dataset
from shards.codecs import encode_image
from shards.pages import data_url


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """What grows, in words with its unit, and by which settings of datagen."""

    across: str
    setting: Callable[[float], str]
    levels: tuple[float, ...]
    words: tuple[str, ...] = ()
    """What makes its numbers believable."""


_MOTION = Sweep(
    across="distance between frames (frames of the scene)",
    setting=lambda step: f"clip.step={step:.0f}",
    levels=(1, 2, 4),
)

SWEEPS: dict[str, Sweep] = {
    "dehaze": Sweep(
        across="haze (1 - transmission of the median pixel)",
        setting=lambda haze: f"tasks.dehaze.transmission=[{1 - haze:.3f},{1 - haze:.3f}]",
        levels=(0.2, 0.35, 0.5, 0.65, 0.8),
        words=(
            "Light is mixed as it is, not as it is stored: through haze of 0.2 before an airlight of 0.85 black is stored as 114 "
            "of 255, and what is farther than the median pixel has more haze. So the input's PSNR is low at little haze already.",
        ),
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
_SHOWN = 240
"""Pixels across of a picture on the page."""
_FIXED = {
    # no limit of its own: what the axis says is what the median pixel has, and the far ones may vanish
    "dehaze": ["tasks.dehaze.faintest=1e-6"],
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
    build_dataset(load(Recipe, settings.recipe, [*overrides, *splits]), folder, source)
    return Dataset(folder)


def level_pictures(task: str, datasets: Mapping[float, Dataset]) -> list[tuple[str, str]]:
    """Return the middle frame of one sample without damage and at every level, as captions and URLs.

    None of motion, which stills do not show, nor where no sample is at all levels.
    """
    keys = set.intersection(*(set(dataset.keys(task, "test")) for dataset in datasets.values()))
    if SWEEPS[task] is _MOTION or not keys:
        return []
    samples = {level: dataset[min(keys)] for level, dataset in datasets.items()}
    clips = {"target": next(iter(samples.values())).target}
    clips |= {f"input at {level:g}": sample.source for level, sample in samples.items()}
    return [
        (caption, data_url(encode_image(_small(clip[len(clip) // 2])), "image/png")) for caption, clip in clips.items()
    ]


def _small(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a frame of at most `_SHOWN` pixels across."""
    height, width = frame.shape[:2]
    if width <= _SHOWN:
        return frame
    size = (_SHOWN, round(height * _SHOWN / width))
    return cv2.resize(frame, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def severity_study(
    task: str, runs: dict[float, Run], settings: BenchSettings, pictures: Sequence[tuple[str, str]] = ()
) -> Study:
    """Sum up one run per level, over the videos that every level has a sample of; `pictures` as in `level_pictures`."""
    first, sweep = headline(task)[0], SWEEPS[task]
    videos = set.intersection(*({row["video"] for row in run.rows} for run in runs.values()))
    rows = {row["method"]: row for run in runs.values() for row in run.rows}
    names = {method: _told_name(row) for method, row in rows.items()}
    scores = {
        level: _means([row for row in run.rows if row["video"] in videos], first, settings)
        for level, run in runs.items()
    }
    curves = {method: {level: own[method] for level, own in scores.items() if method in own} for method in names}
    return Study(
        name=f"severity of {task}",
        question=f"{first.label} as {sweep.across} grows, on the same {len(videos)} videos at every level.",
        records=[
            {"method": names[method], **{f"{level:g}": own.get(level) for level in runs}}
            for method, own in curves.items()
        ],
        words=(
            f"{first.label}: {first.in_full()}. A failure counts as the worst value.",
            *sweep.words,
            _intervals(len(videos)),
            *_marks(rows.values()),
            *_notes(runs),
            *_turns(curves.get("identity", {}), first, sweep),
            *_stays(runs, videos, first, sweep),
        ),
        charts=[
            (
                task,
                chart(
                    [
                        Series(
                            name=names[method],
                            points=[(x, one.mean) for x, one in own.items()],
                            ends=[one.ends for one in own.values()],
                        )
                        for method, own in curves.items()
                        if rows[method]["ranked"]
                    ],
                    across=sweep.across,
                    up=label(first),
                ),
            )
        ],
        pictures=pictures,
    )


def _intervals(videos: int) -> str:
    if videos < LEAST_VIDEOS:
        few = f"{counted(videos, 'video')}, fewer than {LEAST_VIDEOS}"
        return f"No intervals, for there are {few}: other videos may give other curves, in another order."
    return (
        "Lines in the chart, and brackets in page and study.md: 95 % intervals from drawing whole videos again. Methods whose "
        "intervals overlap may differ all the same, for they answer the same videos."
    )


def _told_name(row: Row) -> str:
    """Return a method's name with what it is given more than others, and its mark."""
    return f"{row['method']}{row['board'].removeprefix(row['task'])} {mark_of(row)}".rstrip()


def _marks(rows: Iterable[Row]) -> list[str]:
    """Return what the marks mean that a study has."""
    told = {
        "(o)": "(o): knows the target, and is not in the chart",
        "*": "*: has learnt",
        "?": "?: has learnt from nobody knows what",
    }
    found = {mark_of(row) for row in rows}
    return ["; ".join(words for mark, words in told.items() if mark in found) + "."] if found - {""} else []


def _notes(runs: dict[float, Run]) -> list[str]:
    """Return who failed, how often at which level, and who had seen the videos."""
    found = []
    for method in dict.fromkeys(row["method"] for run in runs.values() for row in run.rows):
        own = {level: [row["status"] for row in run.rows if row["method"] == method] for level, run in runs.items()}
        for what, words in (("failed", f"{method} failed"), ("invalid", f"the bench itself failed with {method}")):
            counts = [f"{all_.count(what)} of {len(all_)} at {level:g}" for level, all_ in own.items() if what in all_]
            found += [f"{words} on samples: {', '.join(counts)}."] if counts else []
    return found + [f"{told}." for told in dict.fromkeys(leak.told for run in runs.values() for leak in run.leaks)]


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


def _stays(runs: dict[float, Run], videos: set[str], metric: Metric, sweep: Sweep) -> list[str]:
    """Return a warning where more damage was asked for and the input is the same: an effect may have a limit of its own."""
    if sweep is _MOTION:
        return []
    inputs = {
        level: {
            row["key"]: row["scores"][metric.name]
            for row in run.rows
            if row["method"] == "identity" and row["video"] in videos and metric.name in row["scores"]
        }
        for level, run in runs.items()
    }
    same = {(a, b): len(inputs[a].items() & inputs[b].items()) for a, b in pairwise(inputs)}
    told = [f"at {a:g} and {b:g} on {n} of {counted(len(inputs[a]), 'sample')}" for (a, b), n in same.items() if n]
    if not told:
        return []
    return [
        f"The input is the same {', '.join(told)}: damage is at datagen's limit there, and curves are flatter for it."
    ]
