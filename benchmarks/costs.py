"""What a method costs: seconds per frame cold and warm, peak memory; alone, after everything else is done."""

from __future__ import annotations

import contextlib
import hashlib
import json
import resource
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from benchmarks.calling import Crash, called, limit_memory, limit_threads
from benchmarks.methods.base import Learnt
from benchmarks.scoring import Job, Row, reduced, timed
from benchmarks.settings import LimitSettings
from benchmarks.suite import has_reference, spread
from shards.cluster import ray_cluster

COSTS = "costs.jsonl"


def cost_id(job: Job, keys: list[str], limits: LimitSettings, machine: str) -> str:
    """Return a hash of everything that decides a cost."""
    parts = [job.task, job.method.fingerprint(job.context), keys, limits.threads, machine]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:24]


def timed_keys(job: Job, count: int, answered: Collection[str]) -> list[str]:
    """Return the samples that a job is timed on: of those that its method `answered`, ones on which it does something."""
    rows = [row for row in job.rows if row["key"] in answered]
    shown = [row for row in rows if has_reference(row)] if job.method.needs_reference else []
    return [row["key"] for row in spread(shown or rows, count)]


def measure_here(jobs: list[tuple[Job, list[str]]], limits: LimitSettings) -> Iterator[Row]:
    """Yield the cost of each job in this process: warm only, and without its memory, for others have used it, too."""
    limit_threads(limits.threads)
    for job, keys in jobs:
        yield _measure(job, keys, alone=False)


def measure_on_ray(jobs: list[tuple[Job, list[str]]], limits: LimitSettings) -> Iterator[Row]:
    """Yield the cost of one job after another, in processes that have the machine to themselves, as far as we use it.

    Empty for a method that cannot answer; its rows say why.
    """
    if not jobs:
        return
    import ray

    with ray_cluster(1, threads=limits.threads):
        measure = {
            # the others leave next to nothing behind
            True: ray.remote(num_cpus=1, max_calls=1, max_retries=0)(_measure_alone),
            False: ray.remote(num_cpus=1, max_retries=0)(_measure_alone),
        }
        for job, keys in jobs:
            task = measure[job.method.loads].remote(job, keys, limits)
            try:
                yield ray.get(task, timeout=limits.sample_seconds * (len(keys) + 2))
            except ray.exceptions.GetTimeoutError:
                ray.cancel(task, force=True)
                yield {}
            except ray.exceptions.RayError:
                yield {}


def _measure_alone(job: Job, keys: list[str], limits: LimitSettings) -> Row:
    limit_threads(limits.threads)
    limit_memory(limits.worker_bytes)
    return _measure(job, keys, alone=True)


def _measure(job: Job, keys: list[str], *, alone: bool) -> Row:
    samples = [reduced(job.context.dataset[key], job.input_scale) for key in keys]
    before = _reset_peak()
    started = time.perf_counter()
    try:
        answer = called(job.method.answer, job.context)
        called(answer, samples[0])
        cold = time.perf_counter() - started
        warm = sum(called(timed, answer, sample)[0] for sample in samples)
    except Crash:
        return {}
    found: dict[str, Any] = {"warm_seconds_per_frame": warm / sum(len(sample.source) for sample in samples)}
    if isinstance(answer, Learnt):
        found["parameters"] = answer.parameters
    if alone:
        # in a process that others have used, much is loaded already
        found["cold_seconds_per_frame"] = cold / len(samples[0].source)
        found["peak_bytes"] = max(_peak_bytes() - before, 0)
        found["peak_gpu_bytes"] = _peak_gpu_bytes()
    return found


def _reset_peak() -> int:
    """Let the most memory held begin anew with what is held now, where the kernel can; return it in bytes."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _peak_bytes()


def _peak_bytes() -> int:
    """Return the most memory this process has held, in bytes."""
    status = Path("/proc/self/status")
    if not status.is_file():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def _peak_gpu_bytes() -> int:
    import sys

    if "torch" not in sys.modules or not sys.modules["torch"].cuda.is_available():
        return 0
    return int(sys.modules["torch"].cuda.max_memory_allocated())


def read_costs(out: Path) -> dict[str, Row]:
    """Return the costs measured so far, by their id."""
    found = {}
    path = out / COSTS
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        with contextlib.suppress(ValueError, KeyError):
            row = json.loads(line)
            found[row["id"]] = row
    return found
