"""Where units run: in this process, or on Ray. Only plans and results travel, never frames."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from configs import VIDiffError
from datagen.clip_depth import check_depth
from datagen.destination import NOTES, Destination
from datagen.plan import Unit
from datagen.settings import Recipe
from datagen.sources import open_reader
from datagen.synthesize import CRASHES, Read, UnitResult, Watch, build_unit, open_readers, tune_process
from shards.cluster import ray_cluster

_UNIT_TRIES = 3
"""How often a unit is begun whose worker dies outside any clip."""
_MOST_CRASHES = 8
"""A unit with so many clips and pairs that kill their workers is given up: the fault is not in single clips."""
_POLL_SECONDS = 0.5

OnTick = Callable[[int, int], None]
"""Called with how many clips are done and how many samples were kept, over all units at work or finished here."""
Avoid = dict[tuple[int, str], str]


class UnitError(VIDiffError):
    """A unit could not be built although it was tried several times; the others were."""

    exit_code = 1


def run_here(units: list[Unit], recipe: Recipe, place: Destination, on_tick: OnTick) -> Iterator[UnitResult]:
    """Build units one after another in this process."""
    tune_process()
    watch = _Counter(on_tick)
    with open_readers(recipe) as read:
        for unit in units:
            result = build_unit(unit, recipe, place.folder, read, watch)
            place.settle(result)
            yield result


class _Counter(Watch):
    def __init__(self, on_tick: OnTick) -> None:
        self._on_tick = on_tick
        self._clips = self._kept = 0

    def made(self, samples: int) -> None:
        self._clips, self._kept = self._clips + 1, self._kept + samples
        self._on_tick(self._clips, self._kept)


def run_on_ray(
    units: list[Unit],
    recipe: Recipe,
    place: Destination,
    on_tick: OnTick,
    *,
    workers: int,
    address: str | None = None,
) -> Iterator[UnitResult]:
    """Build units on Ray, `workers` at a time, and yield their results as they come.

    Starts a local Ray of `workers` CPUs unless `address`, or RAY_ADDRESS as Ray has it, names a running cluster (which must
    see the folder of `place`).
    A unit whose worker died is begun again; a pair that was being made both times is left out then, and rejected.

    Raises:
        UnitError: a unit failed; it is raised after all the others are done.
        VIDiffError: what a worker raised, such as a disk that is full.
    """
    import ray

    failures: list[str] = []
    with ray_cluster(workers, address):
        # that a worker died is our business: Ray would run the same clips again, and die of them again
        remote = ray.remote(num_cpus=1, max_retries=0)(_build_on_worker)
        progress = place.folder / NOTES / "progress"
        shutil.rmtree(progress, ignore_errors=True)
        progress.mkdir(parents=True)
        deaths = _Deaths(progress, _seconds_of(recipe, {video.kind for unit in units for video, _ in unit.clips}))
        waiting = list(reversed(units))
        running: dict[Any, Unit] = {}
        while waiting or running:
            while waiting and len(running) < 2 * workers:
                unit = waiting.pop()
                running[remote.remote(unit, recipe, place, deaths.avoid(unit))] = unit
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
                    refusal = deaths.count(unit)
                    if refusal:
                        failures.append(f"{unit.name} ({refusal}, the last time with {type(error).__name__})")
                    else:
                        waiting.append(unit)
    if failures:
        raise UnitError(
            f"{len(failures)} of {len(units)} units failed: {'; '.join(failures)}; run the same command to try them again"
        )


class _Deaths:
    """Counts which clips workers died of, by the notes that they left."""

    def __init__(self, progress: Path, seconds: float) -> None:
        self._progress = progress
        self._reason = (
            f"crashed: its worker died {CRASHES} times, of it or because it took over {seconds:g} s or all memory "
            "(limits.clip_seconds, limits.worker_bytes)"
        )
        self._counts: Counter[tuple[str, int, str]] = Counter()

    def avoid(self, unit: Unit) -> Avoid:
        """Return what of a unit is not to be tried again, with the reason."""
        return {
            (clip, task): self._reason
            for (name, clip, task), times in self._counts.items()
            if name == unit.name and 0 <= clip < len(unit.clips) and times >= CRASHES
        }

    def count(self, unit: Unit) -> str | None:
        """Note that the worker of a unit died; return a reason to give it up, or None."""
        path = self._progress / unit.name
        clip, task = _WorkerWatch.place_in(path)
        path.unlink(missing_ok=True)
        self._counts[unit.name, clip, task] += 1
        if len(self.avoid(unit)) >= _MOST_CRASHES:
            return f"its worker died of {_MOST_CRASHES} of its clips, {CRASHES} times each"
        if not 0 <= clip < len(unit.clips) and self._counts[unit.name, clip, task] >= _UNIT_TRIES:
            return f"its worker died {_UNIT_TRIES} times"
        return None


class _WorkerWatch(Watch):
    """Keeps a note of what the worker is at, which outlives it, and a clock that ends it."""

    def __init__(self, path: Path, seconds: float, avoid: Avoid) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.avoid = avoid
        self._path, self._seconds = path, seconds
        self._clips = self._kept = 0

    def at(self, clip: int, task: str = "") -> None:
        # the kernel ends the process: whatever hangs may hold Python's lock, so that no thread of ours would run
        if task == "":
            signal.setitimer(signal.ITIMER_REAL, self._seconds)
        self._note(clip, task)

    def made(self, samples: int) -> None:
        if _holds_much():
            # the clips after it would go without; its note says that it was this one
            os._exit(1)
        self._clips, self._kept = self._clips + 1, self._kept + samples
        self.stop()

    def stop(self) -> None:
        """Stop the clock: what comes next is no clip."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        self._note(-1, "")

    def _note(self, clip: int, task: str) -> None:
        self._path.write_text(f"{self._clips} {self._kept} {clip} {task}")

    @staticmethod
    def place_in(path: Path) -> tuple[int, str]:
        """Return the clip and the task that a worker was at, (-1, "") for none."""
        parts = path.read_text().split(" ") if path.is_file() else []
        return (int(parts[2]), parts[3]) if len(parts) == 4 else (-1, "")


def _build_on_worker(unit: Unit, recipe: Recipe, place: Destination, avoid: Avoid) -> UnitResult:
    tune_process()
    kinds = {video.kind for video, _ in unit.clips}
    _limit_memory(recipe.limits.worker_bytes, lambda: _load_models(recipe, kinds))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    watch = _WorkerWatch(place.folder / NOTES / "progress" / unit.name, _seconds_of(recipe, kinds), avoid)
    try:
        result = build_unit(unit, recipe, place.folder, _worker_readers(recipe), watch)
    except (SystemExit, KeyboardInterrupt, MemoryError):
        # no matter for the next clip: the process goes, and its note says what it was at
        os._exit(1)
    except BaseException:
        watch.stop()
        raise
    watch.stop()
    place.settle(result)
    return result


def _load_models(recipe: Recipe, kinds: Iterable[str]) -> None:
    """Load the weights that units are made with; they stay in the worker's memory, and no clip is to blame for them."""
    check_depth(recipe.depth)
    for kind in kinds:
        with open_reader(kind, recipe):
            pass


def _seconds_of(recipe: Recipe, kinds: Iterable[str]) -> float:
    """Return how long one clip may take; of a generated one all candidates are made before one is chosen."""
    return recipe.limits.clip_seconds * (recipe.engine.candidates if "generated" in kinds else 1)


def _limit_memory(more: int, load: Callable[[], None]) -> None:
    """Let this process take so many bytes more than it has after `load()`; then its own MemoryError comes, not a kill."""
    global _memory
    if not Path("/proc/self/statm").exists():
        load()
        return
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    before = _data_bytes()
    load()
    _memory = before if _memory is None else _memory
    _memory += max(_data_bytes() - before, 0)
    wanted = _memory + more
    resource.setrlimit(resource.RLIMIT_DATA, (wanted if most < 0 else min(wanted, most), most))


def _holds_much() -> bool:
    """Whether over half of what this process may take is taken between two clips."""
    limit, _ = resource.getrlimit(resource.RLIMIT_DATA)
    if _memory is None or limit < 0:
        return False
    if _data_bytes() - _memory <= (limit - _memory) / 2:
        return False
    # freed memory is kept for the next clip, and is not held
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    return _data_bytes() - _memory > (limit - _memory) / 2


def _data_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()


_memory: int | None = None
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
        parts = note.read_text().split(" ")
        if len(parts) == 4:
            clips, kept = clips + int(parts[0]), kept + int(parts[1])
    return clips, kept
