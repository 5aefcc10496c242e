"""Scoring every method on every task of a dataset, and tables that can be derived again from the rows they rest on."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.methods import Method
    from benchmarks.metrics import Metric, psnr, ssim
    from benchmarks.runner import Run, run
    from benchmarks.settings import BenchSettings

_ROOM_OF = {
    "BenchSettings": "settings",
    "Method": "methods",
    "Metric": "metrics",
    "Run": "runner",
    "psnr": "metrics",
    "run": "runner",
    "ssim": "metrics",
}

__all__ = ["BenchSettings", "Method", "Metric", "Run", "psnr", "run", "ssim"]


def __getattr__(name: str) -> Any:
    if name not in _ROOM_OF:
        raise AttributeError(f"module 'benchmarks' has no attribute {name!r}")
    return getattr(import_module(f"benchmarks.{_ROOM_OF[name]}"), name)
