"""What a method costs: seconds per frame cold and warm, peak memory; alone, after everything else is done. And whether it
answers then as it has answered before."""

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
from benchmarks.scoring import Job, Row, ask
from benchmarks.settings import LimitSettings
from benchmarks.suite import has_reference, spread
from benchmarks.suspicions import apart
from shards.cluster import ray_cluster
from shards.codecs import decode_video

COSTS = "costs.jsonl"
_ROUNDING = 0.5
"""Grey levels, root mean square, that threads and graphics cards may put between two answers to one question."""
Asked = tuple[Job, dict[str, Path]]
"""A job with the samples that it is timed on, and where the answers are that it was scored for, if these are kept."""


def cost_id(job: Job, keys: list[str], limits: LimitSettings, machine: str) -> str:
    """Return a hash of everything that decides a cost."""
    parts = [job.task, job.method.fingerprint(job.context), keys, limits.threads, machine]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:24]


def timed_keys(job: Job, count: int, answered: Collection[str]) -> list[str]:
    """Return the samples that a job is timed on: of those that its method `answered`, ones on which it does something."""
    rows = [row for row in job.rows if row["key"] in answered]
    shown = [row for row in rows if has_reference(row)] if job.method.needs_reference else []
    return [row["key"] for row in spread(shown or rows, count)]


def measure_here(jobs: list[Asked], limits: LimitSettings) -> Iterator[Row]:
    """Yield the cost of each job in this process: warm only, and without its memory, for others have used it, too."""
    limit_threads(limits.threads)
    for job, kept in jobs:
        yield _measure(job, kept, alone=False)


def measure_on_ray(jobs: list[Asked], limits: LimitSettings) -> Iterator[Row]:
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
        for job, kept in jobs:
            task = measure[job.method.loads].remote(job, kept, limits)
            try:
                yield ray.get(task, timeout=limits.sample_seconds * (len(kept) + 2))
            except ray.exceptions.GetTimeoutError:
                ray.cancel(task, force=True)
                yield {}
            except ray.exceptions.RayError:
                yield {}


def _measure_alone(job: Job, kept: dict[str, Path], limits: LimitSettings) -> Row:
    limit_threads(limits.threads)
    limit_memory(limits.worker_bytes)
    return _measure(job, kept, alone=True)


def _measure(job: Job, kept: dict[str, Path], *, alone: bool) -> Row:
    # from the last: who goes by what was asked before answers otherwise than in the order in which all were scored
    samples = [job.context.dataset[key] for key in reversed(kept)]
    # room for the answers, so that it does not count as the method's
    answers = [sample.source.copy() for sample in samples]
    before = _reset_peak()
    started = time.perf_counter()
    try:
        answer = called(job.method.answer, job.context, seed=job.seed_of(""))
        cold = time.perf_counter() - started + ask(job, answer, samples[0]).seconds
        warm = 0.0
        for sample, room in zip(samples, answers, strict=True):
            given = ask(job, answer, sample)
            warm += given.seconds
            room[...] = given.prediction
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
    compared = [(path, room) for path, room in zip(reversed(kept.values()), answers, strict=True) if path.is_file()]
    if compared:
        found["asked_again"] = len(compared)
        found["answered_otherwise"] = sum(
            apart(decode_video(path.read_bytes()), room) > _ROUNDING for path, room in compared
        )
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
