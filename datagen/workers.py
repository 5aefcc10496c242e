"""Where units run: in this process, or on Ray. Only plans and results travel, never frames."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from configs import VIDiffError
from datagen.plan import Unit
from datagen.settings import Recipe
from datagen.sources.base import Reject
from datagen.synthesize import Read, UnitResult, build_unit, open_readers, tune_process

_RETRIES = 2
"""How often Ray runs a unit again whose worker died."""
_POLL_SECONDS = 0.5
_WORKER_ENV = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

OnTick = Callable[[int, int], None]
"""Called with how many clips are done and how many samples were kept, over all units at work or finished here."""


class UnitError(VIDiffError):
    """A unit could not be built although it was tried several times; the others were."""

    exit_code = 1


def run_here(units: list[Unit], recipe: Recipe, out: Path, on_tick: OnTick) -> Iterator[UnitResult]:
    """Build units one after another in this process."""
    tune_process()
    clips = kept = 0

    def tick(samples: int, rejects: list[Reject]) -> None:
        nonlocal clips, kept
        clips, kept = clips + 1, kept + samples
        on_tick(clips, kept)

    with open_readers(recipe) as read:
        for unit in units:
            yield build_unit(unit, recipe, out, read, tick)


def run_on_ray(
    units: list[Unit], recipe: Recipe, out: Path, on_tick: OnTick, *, workers: int, address: str | None = None
) -> Iterator[UnitResult]:
    """Build units on Ray, `workers` at a time, and yield their results as they come.

    Starts a local Ray of `workers` CPUs unless `address` names a running cluster (which must see `out`).

    Raises:
        UnitError: a unit failed; it is raised after all the others are done.
        VIDiffError: what a worker raised, such as a disk that is full.
    """
    import ray

    failures: list[str] = []
    with _ray(workers, address):
        remote = ray.remote(num_cpus=1, max_retries=_RETRIES)(_build_on_worker)
        progress = out / ".build" / "progress"
        shutil.rmtree(progress, ignore_errors=True)
        progress.mkdir(parents=True)
        waiting = list(reversed(units))
        running: dict[Any, Unit] = {}
        while waiting or running:
            while waiting and len(running) < 2 * workers:
                unit = waiting.pop()
                running[remote.remote(unit, recipe, str(out))] = unit
            ready, _ = ray.wait(list(running), timeout=_POLL_SECONDS)
            on_tick(*_read_progress(progress))
            for reference in ready:
                unit = running.pop(reference)
                try:
                    yield ray.get(reference)
                except ray.exceptions.RayTaskError as error:
                    if isinstance(error.cause, VIDiffError):
                        raise error.cause from None
                    failures.append(f"{unit.name} ({type(error.cause).__name__}: {error.cause})")
                except ray.exceptions.RayError as error:
                    failures.append(f"{unit.name} (its worker died {_RETRIES + 1} times: {type(error).__name__})")
    if failures:
        raise UnitError(
            f"{len(failures)} of {len(units)} units failed: {'; '.join(failures)}; run the same command to try them again"
        )


def _build_on_worker(unit: Unit, recipe: Recipe, out: str) -> UnitResult:
    tune_process()
    note = Path(out) / ".build" / "progress" / unit.name
    clips = kept = 0

    def tick(samples: int, rejects: list[Reject]) -> None:
        nonlocal clips, kept
        clips, kept = clips + 1, kept + samples
        note.write_text(f"{clips} {kept}")

    return build_unit(unit, recipe, Path(out), _worker_readers(recipe), tick)


_open: tuple[str, contextlib.ExitStack, Read] | None = None


def _worker_readers(recipe: Recipe) -> Read:
    """Return this worker's readers: they stay open from unit to unit, for their decoders take a while to start."""
    global _open
    if _open is None or _open[0] != recipe.digest():
        if _open is not None:
            _open[1].close()
        stack = contextlib.ExitStack()
        _open = recipe.digest(), stack, stack.enter_context(open_readers(recipe))
    return _open[2]


def _read_progress(folder: Path) -> tuple[int, int]:
    clips = kept = 0
    for note in folder.iterdir():
        # a note that is being written at this moment is empty
        parts = note.read_text().split()
        if len(parts) == 2:
            clips, kept = clips + int(parts[0]), kept + int(parts[1])
    return clips, kept


@contextlib.contextmanager
def _ray(workers: int, address: str | None) -> Iterator[None]:
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray

    started_here = not ray.is_initialized()
    if started_here:
        options: dict[str, Any] = {"address": address} if address else {"num_cpus": workers, "include_dashboard": False}
        environment = {"env_vars": _WORKER_ENV}
        terminate = signal.getsignal(signal.SIGTERM)
        try:
            ray.init(logging_level=logging.ERROR, log_to_driver=False, runtime_env=environment, **options)
        except SystemExit:
            # that handler again, while Ray was starting
            ray.shutdown()
            raise KeyboardInterrupt from None
        # Ray puts a handler of its own in the place of ours, which ends the process with exit code 15
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        if started_here:
            ray.shutdown()
