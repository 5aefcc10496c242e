"""Ratios of our speed to a floor, each pair measured in the same run. Called by `make bench-speed`."""

from __future__ import annotations

import contextlib
import io
import json
import multiprocessing
import os
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np

from configs import load
from datagen import Recipe
from datagen.destination import Destination
from datagen.plan import Plan, Unit, make_plan
from datagen.sources import find_source
from datagen.sources.base import Clip, SourceVideo, Window
from datagen.synthesize import Read, Watch, build_unit, clip_samples, open_readers, tune_process
from datagen.workers import run_on_ray
from shards import EncodedSample, get_task, write_shard
from shards.codecs import encode_mask, encode_video
from shards.sample import Video

ROOT = Path(__file__).resolve().parent.parent
REPEATS = 9
ROUNDS = 5
RECIPE = ["clip.per_video=6", "tasks={dehaze: {}}"]


def main() -> None:
    """Measure everything, print it, and write reports/bench_speed.json."""
    clips = os.environ.get("VIDIFF_CLIPS", str(ROOT.parent / "shared" / "data" / "clips"))
    if not Path(clips).is_dir():
        sys.exit("error: bench-speed measures real video; set VIDIFF_CLIPS to a folder of clips")
    recipe = load(Recipe, "default", RECIPE)
    plan = make_plan(find_source(clips, "unknown").videos(recipe, {}), recipe)
    results: dict[str, float | str] = {**dehaze_over_floor(plan, recipe), **two_workers_over_one(plan, recipe)}
    for task in ("deblur", "dehaze", "edit", "inpaint", "recolor"):
        results |= task_over_floor(task, clips)
    for task in ("segment", "edit"):
        results |= task_over_floor(task, "scenes")
    results |= {**peak_memory(clips), **bytes_per_second(plan, recipe)}
    path = ROOT / "reports" / "bench_speed.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(results, indent=1) + "\n")
    for name, value in results.items():
        print(f"{name:56} {value}")
    print(f"written to {path}")


def dehaze_over_floor(plan: Plan, recipe: Recipe) -> dict[str, float | str]:
    """Compare building with decoding the same frames and encoding both clips, nothing else."""
    unit = Unit(split="train", number=0, clips=tuple(clip for unit in plan.units for clip in unit.clips))
    pairs = floors_and_builds(unit, recipe, floor, REPEATS)
    clips = len(unit.clips)
    return {
        "clips (16 x 256 x 256, dehaze, jpeg)": clips,
        "floor: decode and encode, ms per clip": round(statistics.median(below for below, _ in pairs) / clips * 1e3, 1),
        "datagen build in one process, ms per clip": round(
            statistics.median(ours for _, ours in pairs) / clips * 1e3, 1
        ),
        "build over floor, median of pairs (goal <= 1.25)": round(
            statistics.median(ours / below for below, ours in pairs), 3
        ),
        "build over floor, least and most": " ".join(
            f"{x:.3f}" for x in sorted(ours / below for below, ours in pairs)[:: REPEATS - 1]
        ),
    }


def task_over_floor(task: str, source: str) -> dict[str, float | str]:
    """Compare building one task with reading the clips and encoding the members. Of scenes rendering is the reading."""
    recipe = load(Recipe, "default", ["clip.per_video=2", f"tasks={{{task}: {{}}}}", "scenes.count=24"])
    plan = make_plan(find_source(source, "unknown").videos(recipe, {}), recipe)
    unit = Unit(split="train", number=0, clips=tuple(clip for unit in plan.units for clip in unit.clips))
    rendered = source == "scenes"
    pairs = floors_and_builds(unit, recipe, rendered_floor if rendered else floor, 3)
    ratio = statistics.median(ours / below for below, ours in pairs)
    where = "scenes" if rendered else "video"
    return {f"{task} on {where}: build over reading and encoding (goal <= 1.3)": round(ratio, 2)}


def floors_and_builds(
    unit: Unit, recipe: Recipe, floor: Callable[[Unit, Recipe, Read], None], repeats: int
) -> list[tuple[float, float]]:
    """Return the seconds of floor and build, `repeats` times.

    Both stay on one core, and the decoder that `build` starts takes the core of its parent, so neither side has more than
    the other. They take turns video by video: what else the machine does slows both.
    """
    tune_process()
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    pairs = []
    with scratch() as folder, open_readers(recipe) as read:
        read(*unit.clips[0])  # starts the decoder, which then serves a worker for all its life
        build_unit(Unit(split="val", number=0, clips=unit.clips[:1]), recipe, folder, read)  # imports what it needs
        for _ in range(repeats):
            pairs.append(floor_and_build(unit, recipe, folder, read, floor))
    os.sched_setaffinity(0, cores)
    return pairs


def floor_and_build(
    unit: Unit, recipe: Recipe, folder: Path, read: Read, floor: Callable[[Unit, Recipe, Read], None]
) -> tuple[float, float]:
    """Build one unit, going through the floor of one video whenever the first clip of another is about to be read.

    Of the last but one, lest what is kept of a scene for its edited twin should serve here.
    """
    floors: dict[str, float] = {}
    names = list(dict.fromkeys(video.sha256 for video, _ in unit.clips))
    others = dict(zip(names, [*names[-2:], *names], strict=False))

    def read_after_floor(video: SourceVideo, window: Window) -> Clip:
        if video.sha256 not in floors:
            same = tuple(clip for clip in unit.clips if clip[0].sha256 == others[video.sha256])
            floors[video.sha256] = timed(lambda: floor(Unit(split=unit.split, number=0, clips=same), recipe, read))
        return read(video, window)

    both = timed(lambda: build_unit(unit, recipe, folder, read_after_floor))
    return sum(floors.values()), both - sum(floors.values())


def rendered_floor(unit: Unit, recipe: Recipe, read: Read) -> None:
    """Render every clip and encode what its sample has."""
    for clip in unit.clips:
        encode_members(read(*clip).frames, recipe)


def encode_members(frames: Video, recipe: Recipe) -> None:
    """Encode a clip twice, and a mask where the task has one."""
    for _ in ("source", "target"):
        encode_video(frames, 25.0, recipe.codec)
    if any("mask" in get_task(task).members for task in recipe.tasks):
        mask = np.zeros(frames.shape[:3], np.uint8)
        mask[:, 64:192, 64:192] = 255
        encode_mask(mask, 25.0)


def peak_memory(clips: str) -> dict[str, float | str]:
    """Build all tasks that video gives in a process of its own; return the most memory that it and its decoders held."""
    results: dict[str, float | str] = {}
    for size, goal in (("256", 600), ("854x480", 1200)):
        script = (
            "import resource, sys; from configs import load; from datagen import Recipe, build;"
            "tasks = '{dehaze: {}, deblur: {}, inpaint: {}, recolor: {}, edit: {}}';"
            f"recipe = load(Recipe, 'default', ['clip.size={size}', 'clip.per_video=2', 'tasks=' + tasks]);"
            "build(recipe, sys.argv[2], sources=[sys.argv[1]]);"
            "print(sum(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) // 1024)"
        )
        with scratch() as folder:
            done = subprocess.run(
                [sys.executable, "-c", script, clips, str(folder / "x")], capture_output=True, text=True, check=True
            )
        results[f"peak memory of one worker at {size}, all video tasks, MB (goal <= {goal})"] = int(
            done.stdout.split()[-1]
        )
    return results


def bytes_per_second(plan: Plan, recipe: Recipe) -> dict[str, float | str]:
    """Compare writing shards (index, hashes, fsync) with a bare tar writer that is given the same members."""
    unit = plan.units[0]
    with scratch() as folder, open_readers(recipe) as read:
        samples = [s for n in range(len(unit.clips)) for s in clip_samples(unit, n, recipe, read, Watch())[0]]
        size = sum(len(data) for sample in samples for data in sample.members.values())
        ours = min(timed(lambda: write_shard(folder / "a.tar", samples)) for _ in range(5))
        bare = min(timed(lambda: bare_tar(folder / "b.tar", samples)) for _ in range(5))
    return {"shard writer, MB/s": round(size / ours / 1e6), "bare tar writer, MB/s": round(size / bare / 1e6)}


def bare_tar(path: Path, samples: list[EncodedSample]) -> None:
    """Write the members with the standard library and nothing else."""
    with tarfile.open(path, "w") as tar:
        for sample in samples:
            for name, data in sample.members.items():
                info = tarfile.TarInfo(f"{sample.key}.{name}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))


def floor(unit: Unit, recipe: Recipe, _read: Read | None = None) -> None:
    """Decode every clip at its size in one pass per file, and encode what its sample has."""
    wanted: dict[str, list[range]] = {}
    for video, window in unit.clips:
        wanted.setdefault(video.locator, []).append(window.indices)
    for path, windows in wanted.items():
        for frames in decoded(path, windows, recipe.clip.width):
            encode_members(frames, recipe)


def decoded(path: str, windows: list[range], size: int) -> Iterator[Video]:
    """Yield the windows of one file, decoded in order with one thread and scaled inside the decoder."""
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
    """Compare one Ray worker with two, from the first unit handed out to the last one back; three times in turn.

    And one process that does nothing but the floor with two of them: what the cores share, nobody can double.
    """
    import logging

    import ray

    # units as long as real ones, and so many that which happens to be the last does not matter
    units = [Unit(split="train", number=i, clips=unit.clips) for i, unit in enumerate(even_units(plan, 4) * ROUNDS)]
    rates: dict[int, list[float]] = {1: [], 2: []}
    bare: dict[int, list[float]] = {1: [], 2: []}
    for workers in (1, 2) * 3:
        bare[workers].append(floors_per_second(units[:4], recipe, workers))
        ray.init(
            address="local", num_cpus=workers, include_dashboard=False, logging_level=logging.ERROR, log_to_driver=False
        )
        with scratch() as folder:
            on_ray(units[:workers], recipe, folder, workers)  # starts the workers
            spent = timed(lambda workers=workers, folder=folder: on_ray(units, recipe, folder, workers))
        ray.shutdown()
        rates[workers].append(sum(len(unit.clips) for unit in units) / spent)
    return {
        "clips/s on 1 Ray worker": round(statistics.median(rates[1]), 1),
        "clips/s on 2 Ray workers": round(statistics.median(rates[2]), 1),
        "2 workers over 1, median of pairs (goal >= 1.8)": round(
            statistics.median(two / one for one, two in zip(*rates.values(), strict=True)), 2
        ),
        "2 processes over 1 that only decode and encode": round(
            statistics.median(two / one for one, two in zip(*bare.values(), strict=True)), 2
        ),
    }


def floors_per_second(units: list[Unit], recipe: Recipe, processes: int) -> float:
    """Return how many clips a second go through the floor where each of some processes goes through all units."""
    start = multiprocessing.Barrier(processes + 1)
    running = [multiprocessing.Process(target=_floors, args=(units, recipe, start)) for _ in range(processes)]
    for process in running:
        process.start()
    start.wait()
    spent = timed(lambda: [process.join() for process in running])
    return processes * sum(len(unit.clips) for unit in units) / spent


def _floors(units: list[Unit], recipe: Recipe, start: Any) -> None:
    tune_process()
    floor(units[0], recipe)
    start.wait()
    for unit in units:
        floor(unit, recipe)


def on_ray(units: list[Unit], recipe: Recipe, folder: Path, workers: int) -> None:
    """Build units and throw the results away."""
    list(run_on_ray(units, recipe, Destination(folder), lambda *_: None, workers=workers))


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
