"""What is measured: pure functions of clips, and a table that gives each its direction, version and convention."""

from benchmarks.metrics.base import Column, Metric, Outcome
from benchmarks.metrics.fidelity import psnr, ssim
from benchmarks.metrics.table import METRICS, get_metrics, headline
from benchmarks.networks import NotAvailable

__all__ = ["METRICS", "Column", "Metric", "NotAvailable", "Outcome", "get_metrics", "headline", "psnr", "ssim"]
