"""Calling a method's code, so that what it does to its process ends with the call."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import resource
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np

Made = TypeVar("Made")
Crash = (Exception, SystemExit)
"""What a method may do to itself alone; Ctrl-C and SIGTERM end the run."""
_STOPPING = (signal.SIGINT, signal.SIGTERM)


def called(function: Callable[..., Made], *given: Any, seed: Any = 0) -> Made:
    """Call a method's code. What it raises is an `Exception` or `SystemExit` then, whatever it was; but for Ctrl-C.

    `seed`: what the generators of numbers that all code shares begin from, so that an answer does not depend on who was
    asked before. The working folder, threads, warnings, standard output and the like are as they were afterwards.
    """
    told: list[int] = []
    try:
        with _undisturbed(), _listening(told):
            _sow(seed)
            return function(*given)
    except Crash:
        raise
    except BaseException as error:
        # a method can raise what Ctrl-C does
        if told:
            raise
        raise RuntimeError(describe(error)) from error


def describe(error: BaseException) -> str:
    """Return an error in one line, with the place where it was raised."""
    try:
        words = " ".join(str(error).split())[:300]
    except Exception as worse:  # its own message fails
        words = f"its message cannot be read ({type(worse).__name__})"
    text = f"{type(error).__name__}: {words}"
    trace = traceback.extract_tb(error.__traceback__)
    return f"{text} ({Path(trace[-1].filename).name}:{trace[-1].lineno})" if trace else text


def limit_threads(threads: int) -> None:
    """Let OpenCV, and torch if it is there, use so many threads in this process."""
    cv2.setNumThreads(threads)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)


def limit_memory(most: int) -> None:
    """Let this process take so many bytes; more is a MemoryError of its own, not the end of other processes."""
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (most if hard < 0 else min(most, hard), hard))


def _sow(seed: Any) -> None:
    number = int.from_bytes(hashlib.blake2b(repr(seed).encode(), digest_size=4).digest())
    random.seed(number)
    np.random.seed(number)
    cv2.setRNGSeed(number >> 1)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(number)


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Put back what a method may change of its process."""
    threads = cv2.getNumThreads()
    with contextlib.ExitStack() as stack:
        stack.callback(limit_threads, threads)
        with contextlib.suppress(OSError):  # a folder that is not to be read
            stack.callback(os.fchdir, _held(stack, os.open(".", os.O_RDONLY)))
        for number in (1, 2):
            with contextlib.suppress(OSError):  # closed already
                stack.callback(os.dup2, _held(stack, os.dup(number)), number)
        # an alarm of the method's would end the process later, or ring in the place of ours
        stack.callback(_wind, time.monotonic(), *signal.getitimer(signal.ITIMER_REAL))
        out: Any = _Unclosed(sys.stdout)
        err: Any = _Unclosed(sys.stderr)
        stack.enter_context(contextlib.redirect_stdout(out))
        stack.enter_context(contextlib.redirect_stderr(err))
        stack.enter_context(np.errstate())
        stack.enter_context(warnings.catch_warnings())
        yield


def _wind(then: float, left: float, every: float) -> None:
    """Set the alarm to what it would be by now; none where there was none `then`."""
    signal.setitimer(signal.ITIMER_REAL, max(left - (time.monotonic() - then), 0.001) if left else 0, every)


def _held(stack: contextlib.ExitStack, descriptor: int) -> int:
    stack.callback(os.close, descriptor)
    return descriptor


class _Unclosed:
    """A stream that stays open when a method closes it."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def close(self) -> None:
        """Stay open."""


@contextlib.contextmanager
def _listening(told: list[int]) -> Iterator[None]:
    """Note the signals that end a run while a method is at work, and let them end it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: handler for number in _STOPPING if callable(handler := signal.getsignal(number))}

    def note(number: int, frame: Any) -> None:
        told.append(number)
        before[signal.Signals(number)](number, frame)

    try:
        for number in before:
            signal.signal(number, note)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
