"""Progress bars that a file gets something of as well."""

from __future__ import annotations

from time import monotonic
from typing import Any

from rich.progress import Progress, TaskID
from rich.text import Text

_PATIENCE = 30.0
"""Seconds between two lines in a file."""


class Bars(Progress):
    """Bars on a terminal; in a file, which gets them only once all is done, a line every half minute of what is being done."""

    def __init__(self, *columns: Any, **options: Any) -> None:
        super().__init__(*columns, **options)
        self._last = monotonic()

    def advance(self, task_id: TaskID, advance: float = 1) -> None:
        """Move a bar."""
        super().advance(task_id, advance)
        self._tell(task_id)

    def update(self, task_id: TaskID, **changes: Any) -> None:
        """Change a bar."""
        super().update(task_id, **changes)
        self._tell(task_id)

    def _tell(self, task_id: TaskID) -> None:
        now = monotonic()
        if self.console.is_terminal or self.disable or not self.live.is_started or now - self._last < _PATIENCE:
            return
        self._last = now
        task = self._tasks[task_id]
        done = f"{task.completed:.0f}" if task.total is None else f"{task.completed:.0f} of {task.total:.0f}"
        # what is counted in parts of 1 has no number worth telling
        done = f"{task.percentage:.0f} %" if task.total == 1 else done
        self.console.print(Text(f"{task.description}: {done}"))
