"""How fast scores are made: against scikit-image, against the reference way of J&F, and the runner against its methods.

Called by `make bench-speed`. Each pair is measured in the same run, in turns; ratios are medians.
"""

from __future__ import annotations

import json
import math
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from skimage.morphology import disk

from benchmarks.methods import METHODS, Method
from benchmarks.metrics import psnr, ssim
from benchmarks.metrics.masks import boundary_accuracy, region_similarity
from benchmarks.runner import Progress, run
from benchmarks.scoring import Row
from benchmarks.settings import BenchSettings
from benchmarks.suite import make_suite
from configs import load
from datagen import Recipe, build
from shards.sample import Video

ROOT = Path(__file__).resolve().parent.parent
ROUNDS = 5
OWN_SECONDS = 0.5


def main() -> None:
    """Measure everything, print it, and write reports/bench_scores.json."""
    cv2.setNumThreads(1)
    results = {**fidelity_over_scikit_image(), **masks_over_reference(), **runner_over_methods()}
    path = ROOT / "reports" / "bench_scores.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(results, indent=1) + "\n")
    for name, value in results.items():
        print(f"{name:72} {value}")
    print(f"written to {path}")


def fidelity_over_scikit_image() -> dict[str, float]:
    """Compare PSNR and SSIM on 16 x 480 x 854 with scikit-image's, frame by frame."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (16, 30, 54, 3), dtype=np.uint8)
    target = np.stack([cv2.resize(frame, (854, 480), interpolation=cv2.INTER_CUBIC) for frame in coarse])
    prediction = np.clip(target + rng.normal(0, 8, target.shape), 0, 255).astype(np.uint8)

    def theirs() -> list[tuple[float, float]]:
        options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
        return [
            (peak_signal_noise_ratio(b, a, data_range=255), structural_similarity(b, a, channel_axis=-1, **options))
            for a, b in zip(prediction, target, strict=True)
        ]

    def ours() -> list[tuple[float, float]]:
        return list(zip(psnr(prediction, target), ssim(prediction, target), strict=True))

    gap = float(np.abs(np.array(ours()) - np.array(theirs())).max())
    assert gap < 1e-6, gap
    return {
        "PSNR + SSIM, 16 x 480 x 854, scikit-image over ours (goal >= 5)": ratio(theirs, ours),
        "PSNR + SSIM, largest difference of a value": gap,
    }


def masks_over_reference() -> dict[str, float]:
    """Compare J and F on 16 masks of 480 x 854 with the way the DAVIS evaluation computes them: of one object, as there are
    in referring segmentation, and of blobs all over the frame, which no frame of it has."""
    rng = np.random.default_rng(1)
    noise = [cv2.GaussianBlur(rng.normal(size=(480, 854)), (0, 0), 25) for _ in range(16)]
    blobs = np.stack([np.where(plane > 0.005, np.uint8(255), np.uint8(0)) for plane in noise])
    y, x = np.ogrid[:480, :854]
    near = (x - 400) ** 2 + (y - 260) ** 2 < 110**2
    return {**_masks("one object", np.where(near, blobs, np.uint8(0))), **_masks("blobs all over", blobs)}


def _masks(name: str, target: NDArray[np.uint8]) -> dict[str, float]:
    prediction = np.roll(target, 5, axis=2)

    def theirs() -> list[tuple[float, float]]:
        return [(plain_j(a > 0, b > 0), plain_f(a > 0, b > 0)) for a, b in zip(prediction, target, strict=True)]

    def ours() -> list[tuple[float, float]]:
        return list(zip(region_similarity(prediction, target), boundary_accuracy(prediction, target), strict=True))

    gap = float(np.abs(np.array(ours()) - np.array(theirs())).max())
    assert gap < 1e-9, gap
    return {
        f"J&F, 16 x 480 x 854, {name}, reference way over ours (goal >= 5)": ratio(theirs, ours),
        f"J&F, {name}, largest difference of a value": gap,
    }


def runner_over_methods() -> dict[str, float]:
    """Compare the time of a run on one worker with the time that its method and its metrics took."""

    def patient(clip: Video, *_: object) -> Video:
        time.sleep(OWN_SECONDS)
        return clip

    def make(context: object) -> Callable[..., Video]:
        return patient

    METHODS["patient"] = Method(name="patient", tasks=(), summary="waits", paper="-", version=1, make=make)
    settings = BenchSettings(methods=("patient",), cost_samples=0, bootstrap=100)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        recipe = load(Recipe, "bench", ["tasks={dehaze: {}}", "splits.train=0", "splits.test=1"])
        build(recipe, folder / "data", sources=["scenes"], workers=0)
        suite = make_suite(folder / "data", [], settings)
        watch = _Watch()
        run(suite, settings, folder / "out", workers=1, progress=watch)
    own, scoring, wall = (sum(values) for values in zip(*watch.spent, strict=True))
    return {
        "runner: wall over its methods' and metrics' time, one worker (goal <= 1.05)": round(wall / (own + scoring), 3),
        "runner: metrics' share of the methods' time (0.5 s per clip of 8 x 128 x 128)": round(scoring / own, 3),
    }


class _Watch(Progress):
    """Notes when rows come; the first of a method pays for starting."""

    def __init__(self) -> None:
        self.spent: list[tuple[float, float, float]] = []
        self._last = 0.0

    def scored(self, row: Row) -> None:
        """Note what a row took, from the one before it."""
        now = time.perf_counter()
        if row["method"] == "patient":
            if self._last:
                self.spent.append((row["seconds_per_frame"] * row["frames"], row["scoring_seconds"], now - self._last))
            self._last = now


def ratio(theirs: Callable[[], object], ours: Callable[[], object]) -> float:
    """Return how often ours fits into theirs, the median over rounds in turns."""
    return round(statistics.median(timed(theirs) / timed(ours) for _ in range(ROUNDS)), 1)


def timed(work: Callable[[], object]) -> float:
    """Return seconds."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def plain_j(found: NDArray[np.bool_], true: NDArray[np.bool_]) -> float:
    """Return region similarity as the DAVIS evaluation writes it."""
    union = np.sum(found | true)
    return 1.0 if np.isclose(union, 0) else float(np.sum(found & true) / union)


def plain_f(found: NDArray[np.bool_], true: NDArray[np.bool_]) -> float:
    """Return boundary accuracy as the DAVIS evaluation writes it: boundaries widened by a disk."""
    radius = math.ceil(0.008 * float(np.linalg.norm(found.shape)))
    edges = [plain_boundary(mask) for mask in (found, true)]
    wide = [cv2.dilate(edge.astype(np.uint8), disk(radius)) for edge in edges]
    precision = np.sum(edges[0] * wide[1]) / np.sum(edges[0])
    share = np.sum(edges[1] * wide[0]) / np.sum(edges[1])
    return float(2 * precision * share / (precision + share))


def plain_boundary(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the boundary map of a mask."""
    right, below, across = np.zeros_like(mask), np.zeros_like(mask), np.zeros_like(mask)
    right[:, :-1], below[:-1], across[:-1, :-1] = mask[:, 1:], mask[1:], mask[1:, 1:]
    edge = (mask ^ right) | (mask ^ below) | (mask ^ across)
    edge[-1], edge[:, -1] = mask[-1] ^ right[-1], mask[:, -1] ^ below[:, -1]
    edge[-1, -1] = False
    return edge


if __name__ == "__main__":
    main()
