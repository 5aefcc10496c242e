"""What a training run shows while it goes, and how Ctrl-C reaches it."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn

from configs.bars import Bars


@contextmanager
def deferred_interrupt() -> Iterator[Callable[[], bool]]:
    """Yield a function that says whether Ctrl-C was pressed (or SIGTERM came); a second one interrupts at once."""
    pressed: list[int] = []

    def remember(signum: int, frame: FrameType | None) -> None:
        if pressed:
            raise KeyboardInterrupt
        pressed.append(signum)

    before = {number: signal.signal(number, remember) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(pressed)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def progress_bar(console: Console) -> Iterator[Callable[[float, str], None]]:
    """Yield a function that takes how much is done (0 to 1) and a text, and draws both with the time that is left."""
    columns = (BarColumn(), TaskProgressColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
    with Bars(*columns, console=console) as bar:
        task = bar.add_task("starting", total=1.0)
        yield lambda done, text: bar.update(task, completed=min(1.0, done), description=text)
