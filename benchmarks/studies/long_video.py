"""What happens to a video many windows long: seams between windows, and drift with time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.methods import Context, Method
from benchmarks.methods.base import Restore
from benchmarks.methods.model import loaded, vidiff_method
from benchmarks.metrics import psnr
from benchmarks.metrics.temporal import coarse_error, error_jumps, seam_excess
from benchmarks.report import make_boards
from benchmarks.report.charts import Series, chart
from benchmarks.runner import Run, prediction_path
from benchmarks.scoring import Row
from benchmarks.settings import BenchSettings
from benchmarks.statistics import Estimate, mean_over_videos
from benchmarks.studies.report import Study
from benchmarks.studies.variants import of_model
from benchmarks.ties import LEAST_VIDEOS
from shards import Dataset
from shards.codecs import decode_video
from shards.sample import Video
from vidiff.long_video import seam_places

WAYS: dict[str, dict[str, Any]] = {
    "translated": {"carry": "translated"},
    "translated, blended": {"carry": "translated", "blend": True},
    "corrected": {"carry": "corrected"},
    "nothing": {"carry": "nothing"},
}
"""How a window learns of the one before it; see `vidiff.translate_long`."""


def long_variants(model: Path) -> list[Method]:
    """Return the model with each way of joining windows."""
    method = vidiff_method(model)
    return [
        replace(
            method,
            name=name.replace(", ", "+"),
            summary=f"windows joined: {name}",
            make=partial(_make, model, options),
            weights=f"{method.weights} {options}",
        )
        for name, options in WAYS.items()
    ]


def long_study(
    run: Run, out: Path, dataset: Dataset, settings: BenchSettings, *, window: int, overlap: int = 2
) -> Study:
    """Sum up a run of `long_variants` on clips of several windows, from the answers that were kept."""
    records, curves = [], []
    for name in dict.fromkeys(row["method"] for row in run.rows):
        rows = [row for row in run.rows if row["method"] == name]
        good = [row for row in rows if row["status"] == "ok"]
        looks = [_look(row, out, dataset, window, overlap) for row in good]

        def over_videos(name: str, looks: list[Look] = looks) -> Estimate | None:
            known = [(video, look[name], 1.0) for video, look in looks if look.get(name) is not None]
            return mean_over_videos(known, draws=settings.bootstrap, seed=settings.seed) if known else None

        records.append(
            {
                "method": name,
                "failed": f"{len(rows) - len(good)}/{len(rows)}",
                **{each: over_videos(each) for each in COLUMNS},
            }
        )
        curve = _mean_curve([look["curve"] for _, look in looks]) if looks else np.zeros(0)
        points = [(float(t), float(value)) for t, value in enumerate(curve)]
        curves.append(Series(name=name, points=points[:: max(len(curve) // 60, 1)]))
    return Study(
        name="long",
        question="What do seams between windows cost, and how does quality drift with length?",
        records=records,
        words=(
            f"The model's window is {window} frames, {overlap} in common. Error at seams: how far the error (answer minus "
            "target, over blocks of 16 x 16 pixels) jumps across seams, over how far from frame to frame elsewhere; 1 is no "
            f"seam. Where windows are blended a seam is all {overlap + 1} steps of the fade, and its jump the mean of theirs.",
            "Drift: the slope of a straight line through the PSNR of each frame. What is to be seen changes with time, too: "
            "read it beside identity's.",
            of_model(make_boards(run, settings)),
            "Means over videos, of the clips that were answered; brackets: 95 % intervals from drawing whole videos again, none "
            f"below {LEAST_VIDEOS} videos.",
        ),
        charts=[("PSNR over time", chart(curves, across="frame", up="PSNR (dB)"))],
    )


COLUMNS = (
    "PSNR (dB)",
    "PSNR of the first window (dB)",
    "PSNR of the last window (dB)",
    "drift (dB per 100 frames)",
    "error at seams over elsewhere",
)
Look = tuple[str, dict[str, Any]]
"""A clip's video, and its numbers by the names of `COLUMNS`, with the PSNR of each frame as `curve`."""


def _look(row: Row, out: Path, dataset: Dataset, window: int, overlap: int) -> Look:
    target = dataset[row["key"]].target
    answer = decode_video(prediction_path(out, row).read_bytes())
    quality = psnr(answer, target)
    blend = WAYS.get(row["method"].replace("+", ", "), {}).get("blend", False)
    parts = (quality, quality[:window], quality[-window:])
    numbers = (*(float(part.mean()) for part in parts), drift(quality))
    seams = seams_of(answer, target, seam_places(len(answer), window, overlap, blend=blend))
    return row["video"], {**dict(zip(COLUMNS, (*numbers, seams), strict=True)), "curve": quality}


def seams_of(answer: Video, target: Video, seams: Sequence[int]) -> float | None:
    """Return how much further the error of uint8 [t h w 3] jumps across seams than elsewhere; None without either.

    `seams`: places of the frames before which a seam lies.
    """
    jumps = error_jumps(coarse_error(answer, target))
    at = np.isin(np.arange(1, len(answer)), seams)
    return seam_excess(jumps[at].tolist(), jumps[~at].tolist())


def drift(quality: NDArray[np.float64]) -> float:
    """Return the slope of values [t] over time, per 100 frames."""
    return float(np.polyfit(np.arange(len(quality)), quality, 1)[0] * 100) if len(quality) > 1 else 0.0


def _mean_curve(curves: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return the mean over clips frame by frame, as far as the shortest goes."""
    length = min(len(curve) for curve in curves)
    mean: NDArray[np.float64] = np.mean([curve[:length] for curve in curves], axis=0)
    return mean


def _make(model: Path, options: dict[str, Any], context: Context) -> Restore:
    import torch

    from vidiff import translate_clip

    pipe = loaded(model)

    def restore(
        clip: Video, instruction: str, reference: NDArray[np.uint8] | None, mask: NDArray[np.uint8] | None
    ) -> Video:
        generator = torch.Generator().manual_seed(context.seed)
        return translate_clip(pipe, clip, instruction, task=context.task, generator=generator, **options)

    return restore
