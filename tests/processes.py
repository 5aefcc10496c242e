"""Processes and threads beside a test: each comes to an end, whatever becomes of the test, and none waits for a reader."""

import contextlib
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

SECONDS = 60


@contextlib.contextmanager
def running(*words: object, said: Path | None = None) -> Iterator[subprocess.Popen]:
    """Run a command as long as the block takes: behind it, it is gone with all that it started. What it says goes to `said`.

    A pipe would stop it as soon as it is full.
    """
    with contextlib.ExitStack() as stack:
        out = stack.enter_context(said.open("w")) if said else subprocess.DEVNULL
        process = subprocess.Popen(list(map(str, words)), stdout=out, stderr=out)
        stack.callback(_end, process)
        yield process


def _end(process: subprocess.Popen) -> None:
    family = []
    with contextlib.suppress(psutil.NoSuchProcess):
        family = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    for one in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()
    process.wait(SECONDS)


@contextlib.contextmanager
def meanwhile(work: Callable[[], object]) -> Iterator[None]:
    """Do something in a thread beside the block, and see to it that it came to an end."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    yield
    thread.join(SECONDS)
    assert not thread.is_alive(), "what was to happen meanwhile did not"


def holds_in_a_fork(check: Callable[[], bool]) -> bool:
    """Return what a check says in a fork of this process, which never comes back to pytest; False if it raises."""
    child = os.fork()
    if child == 0:
        holds = False
        try:
            holds = check()
        finally:
            os._exit(0 if holds else 1)
    try:
        return psutil.Process(child).wait(SECONDS) == 0
    except psutil.TimeoutExpired:
        os.kill(child, 9)
        os.waitpid(child, 0)
        raise


def wait_for(condition: Callable[[], object], seconds: float = SECONDS) -> None:
    """Return as soon as something holds; fail after so many seconds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)
