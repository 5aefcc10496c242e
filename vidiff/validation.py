"""Validation clips: source, output and target side by side, to look at while a model trains."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from shards import Dataset, Sample, write_video
from vidiff.long_video import translate_clip
from vidiff.pipeline import VIDiffPipeline

Video = NDArray[np.uint8]


def pick_samples(dataset: Dataset, tasks: Sequence[str]) -> list[Sample]:
    """Return the first `val` sample of every task, and the first `train` sample of a task that has none."""
    keys = ((dataset.keys(task, "val") or dataset.keys(task, "train"))[0] for task in tasks)
    return [dataset[key] for key in keys]


def validate(pipe: VIDiffPipeline, samples: Sequence[Sample], folder: Path, step: int) -> dict[str, dict[str, float]]:
    """Translate the samples, write `step-NNNNNNNN-<task>.mp4` and `.png`, and return PSNR (dB) by task.

    `source` and `output` are against the target: RGB, 0-255, mean over frames.
    """
    folder.mkdir(parents=True, exist_ok=True)
    scores = {}
    for sample in samples:
        task = sample.meta.task
        generator = torch.Generator().manual_seed(0)
        output = translate_clip(pipe, sample.source, sample.instruction, task=task, generator=generator)
        strip = np.concatenate([sample.source, output, sample.target], axis=2)
        name = folder / f"step-{step:08d}-{task}"
        write_video(name.with_suffix(".mp4"), strip, fps=sample.meta.fps)
        _write_png(name.with_suffix(".png"), strip[len(strip) // 2])
        pairs = (("source", sample.source), ("output", output))
        scores[task] = {side: round(psnr(clip, sample.target), 3) for side, clip in pairs}
    return scores


def psnr(clip: Video, target: Video) -> float:
    """Return the mean over frames of the PSNR (dB, at most 100) of two clips uint8 [t h w 3]."""
    error = ((clip.astype(np.float64) - target) ** 2).mean(axis=(1, 2, 3))
    return float(np.mean(np.minimum(100.0, 10 * np.log10(255**2 / np.maximum(error, 1e-12)))))


def _write_png(path: Path, frame: Video) -> None:
    from PIL import Image

    Image.fromarray(frame).save(path)
