"""What is measured: each metric is a pure function of two clips with its direction, version and convention."""

from benchmarks.metrics.base import METRICS, Metric, get_metrics
from benchmarks.metrics.fidelity import psnr, ssim

__all__ = ["METRICS", "Metric", "get_metrics", "psnr", "ssim"]
