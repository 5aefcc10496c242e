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
from benchmarks.report.charts import Series, chart
from benchmarks.runner import Run, prediction_path
from benchmarks.studies.report import Study
from shards import Dataset
from shards.codecs import decode_video
from shards.sample import Video

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


def long_study(run: Run, out: Path, dataset: Dataset, window: int, overlap: int = 2) -> Study:
    """Sum up a run of `long_variants` on clips of several windows, from the answers that were kept."""
    from vidiff.long_video import window_starts

    records, curves = [], []
    for name in dict.fromkeys(row["method"] for row in run.rows):
        rows = [row for row in run.rows if row["method"] == name and row["status"] == "ok"]
        answers = [(dataset[row["key"]], prediction_path(out, row)) for row in rows]
        clips = [(sample, decode_video(path.read_bytes())) for sample, path in answers if path.is_file()]
        if not clips:
            continue
        quality = _mean_curve([psnr(answer, sample.target) for sample, answer in clips])
        seams = [
            seams_of(answer, sample.target, window_starts(len(answer), window, overlap)) for sample, answer in clips
        ]
        known = [value for value in seams if value is not None]
        records.append(
            {
                "method": name,
                "clips": len(clips),
                "PSNR (dB)": float(quality.mean()),
                "PSNR of the first window (dB)": float(quality[:window].mean()),
                "PSNR of the last window (dB)": float(quality[-window:].mean()),
                "drift (dB per 100 frames)": drift(quality),
                "error at seams over elsewhere": float(np.mean(known)) if known else None,
            }
        )
        curves.append(
            Series(
                name=name,
                points=[(float(t), float(value)) for t, value in enumerate(quality)][:: max(len(quality) // 60, 1)],
            )
        )
    return Study(
        name="long",
        question="What do seams between windows cost, and how does quality drift with length?",
        records=records,
        words=(
            f"The model's window is {window} frames, {overlap} in common. Error at seams: how far the "
            "error (answer minus target, over blocks of 16 x 16 pixels) jumps across seams, over how far from frame to frame "
            "elsewhere; 1 is no seam.",
            "Drift: the slope of a straight line through the PSNR of each frame.",
        ),
        charts=[("PSNR over time", chart(curves, across="frame", up="PSNR (dB)"))],
    )


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
