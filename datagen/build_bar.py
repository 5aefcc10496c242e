"""What a build shows while it is at work."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from configs import counted
from configs.bars import Bars
from datagen.builder import Progress
from datagen.plan import Plan
from datagen.rejects import in_short, unit_of
from datagen.sources.base import Reject, SourceVideo
from datagen.synthesize import UnitResult


class BuildBar(Progress):
    """Shows a build's progress: clips, clips per second, time left, samples, and what is left out."""

    def __init__(self, console: Console) -> None:
        self.bars = _NotedBars(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=console,
        )
        self.looking = self.bars.add_task("examining sources", total=None, rate="")
        self.building: TaskID | None = None
        self.clips = self.before = self.made = 0
        self.samples = self.earlier = self.finished = 0
        self.started = time.monotonic()
        self.left_out: Counter[str] = Counter()
        self.pages: list[str] = []
        self.taken_out: dict[str, bool] = {}

    def __enter__(self) -> BuildBar:
        return self

    def __exit__(self, *trouble: object) -> None:
        if self.bars.live.is_started:
            self.bars.stop()

    def examined(self, item: SourceVideo | Reject) -> None:
        """Count one source video."""
        # not before: an error about a wrong path is one line
        self._show()
        if isinstance(item, Reject):
            self.left_out[unit_of(vars(item))] += 1
        self.bars.note = self._note()
        self.bars.advance(self.looking)

    def planned(self, plan: Plan, finished: Sequence[UnitResult]) -> None:
        """Start the bar of the clips if any is to be built, and count anew: the plan has all rejects, and copies leave it."""
        done = {result.unit for result in finished}
        self.made += self.clips
        self.before = sum(len(unit.clips) for unit in plan.units if unit.name in done)
        self.clips, self.started = 0, time.monotonic()
        self.left_out = Counter(unit_of(vars(reject)) for reject in plan.rejects)
        self.samples = self.earlier = self.finished = 0
        for result in finished:
            self._count(result)
        self.samples = self.earlier = self.finished
        self.bars.note = self._note()
        if self.before == plan.clips:
            # a bar that is full from the start would say that something was at work
            if self.building is None:
                self.bars.update(self.looking, visible=False)
            return
        self._show()
        self.bars.remove_task(self.looking if self.building is None else self.building)
        what = "building clips" if self.building is None else "without copies"
        self.building = self.bars.add_task(what, total=plan.clips, completed=self.before, rate="")

    def at_work(self, clips: int, kept: int) -> None:
        """Move the bar of the clips."""
        self.clips, self.samples = max(clips, self.clips), max(self.earlier + kept, self.samples)
        self._move()

    def unit_done(self, result: UnitResult) -> None:
        """Count what came of a unit, all of it: what is at work tells of itself now and then."""
        self._count(result)
        self.samples = max(self.finished, self.samples)
        self._move()

    def taking_out(self, names: Mapping[str, bool]) -> None:
        """Remember what is taken out."""
        self.taken_out = dict(names)

    def page_removed(self, name: str) -> None:
        """Keep the name for the end."""
        self.pages.append(name)

    def _show(self) -> None:
        if not self.bars.live.is_started:
            self.bars.start()

    def _count(self, result: UnitResult) -> None:
        self.finished += sum(shard.samples for shard in result.shards)
        self.left_out.update(unit_of(vars(reject)) for reject in result.rejects)

    def _move(self) -> None:
        if self.building is None:
            return
        rate = self.clips / max(time.monotonic() - self.started, 1e-9)
        self.bars.note = self._note()
        self.bars.update(self.building, completed=self.before + self.clips, rate=f"{rate:.1f} clips/s")

    def _note(self) -> str:
        left_out = in_short(self.left_out)
        told = [counted(self.samples, "sample")] * (self.samples > 0 or self.building is not None)
        return ", ".join([*told, f"left out: {left_out}"] if left_out else told)


class _NotedBars(Bars):
    """Bars with a line below, for which there is no room beside them in 80 columns."""

    note = ""

    def get_renderables(self) -> Iterator[RenderableType]:
        """Yield the bars, then the line."""
        yield from super().get_renderables()
        yield Text(self.note)
