"""The table of all metrics, and which of them head a task's leaderboard."""

from __future__ import annotations

from benchmarks.metrics import learnt, pixels, segmentation
from benchmarks.metrics.base import Metric

METRICS: dict[str, Metric] = {
    metric.name: metric for metric in (*pixels.METRICS, *segmentation.METRICS, *learnt.METRICS)
}

_HEADLINES: dict[str, tuple[str, ...]] = {
    "dehaze": ("psnr", "ssim", "ciede2000", "warping_error"),
    "deblur": ("psnr", "ssim", "temporal_psnr", "warping_error"),
    "inpaint": ("psnr_hole", "psnr_pasted", "psnr_outside", "warping_error"),
    "recolor": ("psnr", "ciede2000", "colourfulness", "cdc"),
    "segment": ("jf", "j", "f", "j_decay"),
    "edit": ("psnr", "change", "psnr_outside", "unchanged"),
}
_DEFAULT = ("psnr", "ssim", "temporal_psnr", "warping_error")


def get_metrics(task: str) -> list[Metric]:
    """Return all metrics of a task, those that head its leaderboard first; the very first ranks."""
    first = headline(task)
    return [*first, *(metric for metric in METRICS.values() if metric not in first and metric.is_for(task))]


def headline(task: str) -> list[Metric]:
    """Return the metrics that head a task's leaderboard, the one that ranks first."""
    return [METRICS[name] for name in _HEADLINES.get(task, _DEFAULT)]
