"""Ratios of our speed to a floor, each pair measured in the same run. Called by `make bench-speed`."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import av

from configs import load
from datagen import Recipe
from datagen.plan import Plan, Unit, make_plan
from datagen.sources import find_source
from datagen.synthesize import build_unit, open_readers, tune_process
from datagen.workers import run_on_ray
from shards.codecs import encode_video

ROOT = Path(__file__).resolve().parent.parent
REPEATS = 9
ROUNDS = 4
RECIPE = ["clip.per_video=6", "tasks={dehaze: {}}"]


def main() -> None:
    """Measure everything, print it, and write reports/bench_speed.json."""
    clips = os.environ.get("VIDIFF_CLIPS", str(ROOT.parent / "shared" / "data" / "clips"))
    if not Path(clips).is_dir():
        sys.exit("error: bench-speed measures real video; set VIDIFF_CLIPS to a folder of clips")
    recipe = load(Recipe, "default", RECIPE)
    plan = make_plan(find_source(clips, "unknown").videos(recipe, {}), recipe)
    results = {**dehaze_over_floor(plan, recipe), **two_workers_over_one(plan, recipe)}
    path = ROOT / "reports" / "bench_speed.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(results, indent=1) + "\n")
    for name, value in results.items():
        print(f"{name:56} {value}")
    print(f"written to {path}")


def dehaze_over_floor(plan: Plan, recipe: Recipe) -> dict[str, float]:
    """Compare building with decoding the same frames and encoding both clips, nothing else; both on one core.

    The decoder that `build` starts takes the core of its parent, so neither side has more than the other.
    """
    tune_process()
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    unit = Unit(split="train", number=0, clips=tuple(clip for unit in plan.units for clip in unit.clips))
    floors, builds = [], []
    with scratch() as folder:
        for _ in range(REPEATS):
            floors.append(timed(lambda: floor(unit, recipe)))
            with open_readers(recipe) as read:
                read(*unit.clips[0])  # starts the decoder, which then serves a worker for all its life
                builds.append(timed(lambda read=read: build_unit(unit, recipe, folder, read)))
    os.sched_setaffinity(0, cores)
    clips = len(unit.clips)
    ratios = [build / floor for build, floor in zip(builds, floors, strict=True)]
    return {
        "clips (16 x 256 x 256, dehaze, jpeg)": clips,
        "floor: decode and encode, ms per clip": round(min(floors) / clips * 1e3, 1),
        "datagen build in one process, ms per clip": round(min(builds) / clips * 1e3, 1),
        "build over floor, median of pairs (goal <= 1.25)": round(statistics.median(ratios), 3),
        "build over floor, best of each": round(min(builds) / min(floors), 3),
    }


def floor(unit: Unit, recipe: Recipe) -> None:
    """Decode every clip at its size in one pass per file, and encode it twice."""
    wanted: dict[str, list[range]] = {}
    for video, window in unit.clips:
        wanted.setdefault(video.locator, []).append(window.indices)
    for path, windows in wanted.items():
        for frames in decoded(path, windows, recipe.clip.size):
            for _ in ("source", "target"):
                encode_video(frames, 25.0, recipe.codec)


def decoded(path: str, windows: list[range], size: int) -> Iterator[object]:
    """Yield the windows of one file, decoded in order with one thread and scaled inside the decoder."""
    import numpy as np

    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        factor = size / min(stream.width, stream.height)
        width, height = round(stream.width * factor), round(stream.height * factor)
        frames = enumerate(container.decode(stream))
        for window in windows:
            kept = []
            for number, frame in frames:
                if number in window:
                    kept.append(frame.to_ndarray(format="rgb24", width=width, height=height, interpolation="AREA"))
                if number >= window[-1]:
                    break
            left, top = (width - size) // 2, (height - size) // 2
            yield np.stack(kept)[:, top : top + size, left : left + size].copy()


def two_workers_over_one(plan: Plan, recipe: Recipe) -> dict[str, float]:
    """Compare one Ray worker with two, from the first unit handed out to the last one back."""
    import logging

    import ray

    # long enough that which unit happens to be the last does not matter
    units = [Unit(split="train", number=i, clips=unit.clips) for i, unit in enumerate(even_units(plan, 8) * ROUNDS)]
    rates = {}
    for workers in (1, 2):
        ray.init(num_cpus=workers, include_dashboard=False, logging_level=logging.ERROR, log_to_driver=False)
        with scratch() as folder:
            on_ray(units[:workers], recipe, folder, workers)  # starts the workers
            started = time.perf_counter()
            on_ray(units, recipe, folder, workers)
            spent = time.perf_counter() - started
        ray.shutdown()
        rates[workers] = sum(len(unit.clips) for unit in units) / spent
    return {
        "clips/s on 1 Ray worker": round(rates[1], 1),
        "clips/s on 2 Ray workers": round(rates[2], 1),
        "2 workers over 1 (goal >= 1.7)": round(rates[2] / rates[1], 2),
    }


def on_ray(units: list[Unit], recipe: Recipe, folder: Path, workers: int) -> None:
    """Build units and throw the results away."""
    list(run_on_ray(units, recipe, folder, lambda *_: None, workers=workers))


def even_units(plan: Plan, count: int) -> list[Unit]:
    """Deal a plan's clips out to `count` units of equal length."""
    clips = [clip for unit in plan.units for clip in unit.clips]
    size = len(clips) // count
    return [Unit(split="train", number=i, clips=tuple(clips[i * size : (i + 1) * size])) for i in range(count)]


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """Give a folder that is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="vidiff-speed-"))
    (folder / ".build").mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def timed(work: object) -> float:
    """Return the seconds that `work()` takes."""
    started = time.perf_counter()
    work()  # type: ignore[operator]
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
