"""Where the arithmetic runs, and what makes it fast there."""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

# malloc.h: M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD
_TRIM, _TOP_PAD, _MMAP = -1, -2, -3


def choose_device() -> torch.device:
    """Return the GPU when there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@contextmanager
def cpu_threads(count: int) -> Iterator[None]:
    """Let torch use so many CPU threads inside the block; 0 changes nothing."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def keep_freed_memory() -> None:
    """Let glibc keep large freed blocks instead of handing their pages back and asking for new ones.

    A training step frees and takes the same blocks again. At the tiny size a step took .70 s instead of 1.01 s with it
    (measured once, on a shared machine); wider networks gained little. Elsewhere than on glibc it does nothing.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP, 1 << 30)
        mallopt(_TRIM, (1 << 31) - 1)
        mallopt(_TOP_PAD, 64 << 20)


def threads_that_pay_off(most: int, *, seconds: Callable[[int], float] | None = None) -> int:
    """Return `most` where that many threads are faster than one right now, else 1.

    All of them are faster on an idle machine. Where something else takes a core, every operation waits for the thread
    that was put aside, and a training step takes ten times as long as with one thread (measured on 2 cores: 9.3 s
    against 0.75 s). The trial costs some milliseconds; `seconds` measures it with a number of threads.
    """
    measure = seconds or _trial_seconds
    return most if most > 1 and measure(most) < measure(1) else 1


def _trial_seconds(threads: int) -> float:
    """Time some dozens of short parallel operations, as a small network has."""
    torch.set_num_threads(threads)
    values = torch.rand(1 << 18)
    started = time.perf_counter()
    for _ in range(40):
        values.exp()
    return time.perf_counter() - started
