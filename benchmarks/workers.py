"""Where samples are scored: in this process, or by actors on Ray, one sample in flight each."""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.calling import limit_memory, limit_threads
from benchmarks.kept import Kept, keep
from benchmarks.scoring import Job, Row, Scorer
from benchmarks.settings import LimitSettings
from configs import ConfigError, VIDiffError
from shards.cluster import ray_cluster
from shards.codecs import encode_video
from shards.sample import Video
from shards.storage import publish

_POLL_SECONDS = 0.2
_START_SECONDS = 300.0
_STEPS = ("prepare", "ask", "score")
"""Of a sample: the first two are the method's, each with its limit of time; the last is the bench's own."""
_TRIES = 2
"""How often a sample is given to a worker before its death is the method's failure."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One sample for one job: `keep` says where the answer is to be written, if it is, and `together` what is
    kept of it for columns that have one number for all clips."""

    job: int
    key: str
    keep: Path | None
    fps: float
    together: list[Kept] = field(default_factory=list)


def score_here(jobs: list[Job], cells: list[Cell], limits: LimitSettings) -> Iterator[tuple[Cell, Row]]:
    """Score in this process, one after another; the limits of time and memory hold on Ray alone."""
    limit_threads(limits.threads)
    place, scorer = -1, None
    for cell in cells:
        if cell.job != place or scorer is None:
            place, scorer = cell.job, Scorer(jobs[cell.job])
        scorer.prepare(cell.key)
        yield cell, scorer.ask() or _score(scorer, cell)


def score_on_ray(
    jobs: list[Job], cells: list[Cell], limits: LimitSettings, *, workers: int, address: str | None = None
) -> Iterator[tuple[Cell, Row]]:
    """Score on `workers` actors of one CPU each, and yield as rows come; order is not kept.

    An actor that dies, or takes longer than the limit, loses the sample it was at: tried once more after a death, failed
    after that. Nothing else is lost.
    """
    import ray

    with ray_cluster(workers, address, threads=limits.threads):
        # a job is sent once, however many workers and samples there are
        references = [ray.put(job) for job in jobs]
        alone = frozenset(place for place, job in enumerate(jobs) if job.method.loads)
        # one that no CPU is there for would never start
        cores = max(int(ray.cluster_resources().get("CPU", 1)), 1)
        crew = [_Worker(references, limits, alone) for _ in range(min(workers, cores, len(cells)))]
        for worker in crew:
            worker.start()
        queue = deque(cells)
        deaths: dict[tuple[int, str], int] = {}
        while queue or any(worker.cell for worker in crew):
            for worker in crew:
                if worker.cell is None and queue:
                    worker.give(_next_for(worker, queue))
            ray.wait([worker.running for worker in crew if worker.cell], timeout=_POLL_SECONDS)
            for worker in crew:
                if worker.cell is None:
                    continue
                cell, row = worker.cell, worker.take()
                if row is None:
                    continue
                died = row.pop("died", False)
                if died:
                    deaths[cell.job, cell.key] = deaths.get((cell.job, cell.key), 0) + 1
                again = died and deaths[cell.job, cell.key] < _TRIES
                if again:
                    queue.appendleft(cell)
                if queue:
                    # it works on while the row is written and shown
                    worker.give(_next_for(worker, queue))
                if not again:
                    yield cell, row


def _next_for(worker: _Worker, queue: deque[Cell]) -> Cell:
    """Take the next sample of the job that the worker has made already, else the next one at all."""
    for place, cell in enumerate(queue):
        if cell.job == worker.job:
            del queue[place]
            return cell
    return queue.popleft()


@dataclass
class _Worker:
    """An actor, and what it is at."""

    references: list[Any]
    limits: LimitSettings
    alone: frozenset[int]
    """Jobs whose process does no other after them."""
    cell: Cell | None = None
    job: int = -1
    ahead: list[Any] = field(default_factory=list)
    """What it will answer: the row's steps from the one it is at, all asked for at once, so that it never waits for us."""
    since: float = 0.0
    actor: Any = field(default=None)
    started: Any = None

    def start(self) -> None:
        """Begin to start a process."""
        import ray

        self.actor = ray.remote(num_cpus=1, max_restarts=0, max_task_retries=0)(_Actor).remote(self.limits)
        self.started = self.actor.ready.remote()

    def give(self, cell: Cell) -> None:
        import ray

        if self.actor is not None and self.job in self.alone and cell.job != self.job:
            ray.kill(self.actor)
            self.actor = None
        if self.actor is None:
            self.start()
        # how long a process takes to start is not the method's
        try:
            ray.get(self.started, timeout=_START_SECONDS)
        except ray.exceptions.GetTimeoutError:
            raise ConfigError(
                f"a worker process was not started within {_START_SECONDS:g} s: Ray has no CPU to give; wait until others need "
                "fewer, or ask for fewer --workers; rows that are there are kept"
            ) from None
        self.cell, self.job, self.since = cell, cell.job, time.monotonic()
        # a job in a list is not fetched for the actor before it asks for it
        prepared = self.actor.prepare.remote(cell, [self.references[cell.job]])
        self.ahead = [prepared, self.actor.ask.remote(), self.actor.score.remote(cell)]

    @property
    def running(self) -> Any:
        """What it answers next."""
        return self.ahead[0]

    @property
    def step(self) -> str:
        """Of `_STEPS`, what it is at."""
        return _STEPS[-len(self.ahead)]

    def take(self) -> Row | None:
        """Return the row if it is there, or if it will never be."""
        import ray

        ready, _ = ray.wait([self.running], timeout=0)
        scoring = self.step == "score"
        if not ready:
            late = not scoring and time.monotonic() - self.since > self.limits.sample_seconds
            return self._too_late() if late else None
        try:
            row: Row | None = ray.get(self.running)
        except ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, VIDiffError):
                raise error.cause from None
            raise
        except ray.exceptions.RayError:
            self.actor, self.cell, self.job = None, None, -1
            why = f"its process died {_TRIES} times (it crashed, or all memory was gone)"
            if scoring:
                return {"status": "invalid", "error": f"{why} while its answer was scored", "died": True}
            return {"status": "failed", "error": why, "died": True}
        self.since = time.monotonic()
        del self.ahead[0]
        if row is not None:
            self.cell = None
        return row

    def _too_late(self) -> Row:
        import ray

        what = " to be made and to answer for the first time" if self.step == "prepare" else ""
        ray.kill(self.actor)
        self.actor, self.cell, self.job = None, None, -1
        return {
            "status": "failed",
            "error": f"took over {self.limits.sample_seconds:g} s{what} (limits.sample_seconds)",
        }


class _Actor:
    """Scores samples in a process of its own; keeps the method of the last one."""

    def __init__(self, limits: LimitSettings) -> None:
        limit_threads(limits.threads)
        limit_memory(limits.worker_bytes)
        self._scorer: Scorer | None = None
        self._job = -1

    def ready(self) -> bool:
        """Answer as soon as the process is there."""
        return True

    def prepare(self, cell: Cell, job: list[Any]) -> None:
        """Read the sample, and make the method if the last one was another."""
        import ray

        if self._scorer is None or cell.job != self._job:
            self._scorer, self._job = Scorer(ray.get(job[0])), cell.job
        self._scorer.prepare(cell.key)

    def ask(self) -> Row | None:
        """Ask the method; return the row if that is all there will be."""
        return self._made.ask()

    def score(self, cell: Cell) -> Row | None:
        """Return the row of the answer, if there was one."""
        return _score(self._made, cell) if self._made.answered else None

    @property
    def _made(self) -> Scorer:
        if self._scorer is None:
            raise RuntimeError("a sample is prepared first")
        return self._scorer


def _score(scorer: Scorer, cell: Cell) -> Row:
    row, outcome = scorer.score()
    if row["status"] == "ok":
        row["unavailable"] |= keep(outcome, cell.together)
    if cell.keep is not None:
        row["kept_sha256"] = _keep(outcome.prediction, cell.keep, cell.fps)
        if outcome.given is not None:
            masks = np.repeat(outcome.given[..., None], 3, axis=3)
            row["masks_sha256"] = _keep(masks, masks_path(cell.keep), cell.fps)
    return row


def masks_path(kept: Path) -> Path:
    """Return where the masks lie that were answered, beside the clip that they were painted into."""
    return kept.with_suffix(".masks.mkv")


def _keep(prediction: Video, place: Path, fps: float) -> str:
    data = encode_video(prediction, fps, "lossless")
    publish(place, data)
    return hashlib.sha256(data).hexdigest()
