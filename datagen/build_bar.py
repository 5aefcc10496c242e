"""What a build shows while it is at work."""

from __future__ import annotations

import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from datagen.builder import Progress
from datagen.plan import Plan
from datagen.sources.base import Reject, SourceVideo
from datagen.synthesize import UnitResult


class BuildBar(Progress):
    """Shows a build's progress: clips, clips per second, time left, samples kept, rejects by reason."""

    def __init__(self, console: Console) -> None:
        self.bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
        )
        self.looking = self.bars.add_task("examining sources", total=None, rate="", note="")
        self.building: TaskID | None = None
        self.clips = self.before = self.made = 0
        self.started = time.monotonic()
        self.rejects = 0
        self.pages: list[str] = []

    def __enter__(self) -> BuildBar:
        return self

    def __exit__(self, *trouble: object) -> None:
        if self.bars.live.is_started:
            self.bars.stop()

    def examined(self, item: SourceVideo | Reject) -> None:
        """Count one source video."""
        # not before: an error about a wrong path is one line
        self._show()
        self._reject([item] if isinstance(item, Reject) else [])
        self.bars.advance(self.looking)

    def planned(self, plan: Plan, done: int) -> None:
        """Start the bar of the clips."""
        self._show()
        self.made += self.clips
        self.before, self.clips, self.started = done, 0, time.monotonic()
        self.bars.remove_task(self.looking if self.building is None else self.building)
        what = "building clips" if self.building is None else "without copies"
        self.building = self.bars.add_task(what, total=plan.clips, completed=done, rate="", note=self._note(0))

    def at_work(self, clips: int, kept: int) -> None:
        """Move the bar of the clips."""
        if self.building is None:
            return
        self.clips = max(clips, self.clips)
        rate = self.clips / max(time.monotonic() - self.started, 1e-9)
        self.bars.update(
            self.building,
            completed=self.before + self.clips,
            rate=f"{rate:.1f} clips/s",
            note=self._note(kept),
        )

    def unit_done(self, result: UnitResult) -> None:
        """Count a unit's rejects."""
        self._reject(result.rejects)

    def page_removed(self, name: str) -> None:
        """Keep the name for the end."""
        self.pages.append(name)

    def _show(self) -> None:
        if not self.bars.live.is_started:
            self.bars.start()

    def _reject(self, rejects: list[Reject] | tuple[Reject, ...]) -> None:
        self.rejects += len(rejects)

    def _note(self, kept: int) -> str:
        return f"kept {kept}" + (f", rejected {self.rejects}" if self.rejects else "")
