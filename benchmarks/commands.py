"""What the subcommands of `bench` do, and what they print."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

from benchmarks.folders import check_out, holding, read_rows
from benchmarks.methods import METHODS, Method
from benchmarks.methods.answers import answers_in, coverage
from benchmarks.methods.entrants import named, plugin, predictions
from benchmarks.report import (
    IN_SHORT,
    TEXTS,
    make_boards,
    narrow_table,
    to_terminal,
    write_page,
)
from benchmarks.report.boards import Board
from benchmarks.report.cells import label, part_lines
from benchmarks.report.stored import check_finished, load_run, scored_dataset
from benchmarks.runner import Progress, Run, run
from benchmarks.scoring import Job, Row
from benchmarks.settings import BenchSettings
from benchmarks.suite import SCENES, Suite, build_scenes, describe_scenes, make_suite
from benchmarks.ties import LEAST_VIDEOS
from configs import ConfigError, DatasetError, counted, load
from configs.bars import Bars
from configs.cli import going_on
from shards import Dataset
from shards.storage import publish

out_console = Console(highlight=False, soft_wrap=True, markup=False)
_MOST_FAILURES = 10
err_console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)


def settings(recipe: str, overrides: list[str], given: dict[str, Any]) -> BenchSettings:
    """Load a recipe; options given by name beat it."""
    options = [f"{name}={json.dumps(value)}" for name, value in given.items() if value is not None]
    return load(BenchSettings, recipe, [*overrides, *options])


def entrants(models: Sequence[str], plugins: Sequence[str], folders: Sequence[str]) -> list[Method]:
    """Return the methods that are not the bench's own."""
    found = []
    for text in models:
        from benchmarks.methods.model import vidiff_method

        name, folder = named(text)
        found.append(vidiff_method(Path(folder), name or "vidiff"))
    return [*found, *map(plugin, plugins), *map(predictions, folders)]


def run_bench(
    settings: BenchSettings,
    data: Path | None,
    tasks: list[str],
    out: Path,
    *,
    models: Sequence[str] = (),
    plugins: Sequence[str] = (),
    folders: Sequence[str] = (),
    workers: int | None = 0,
    address: str | None = None,
    standard: str | None = None,
) -> int:
    """Run, print the leaderboards and say where everything is; return 1 if a method failed somewhere."""
    # what is no model, module or folder is told before anything is built or scored
    others = entrants(models, plugins, folders)
    check_out(out)
    count = (os.cpu_count() or 1) if workers is None else workers
    suite = _suite(data, tasks, settings, out, standard, count)
    _tell_coverage(folders, suite)
    with holding(out):
        with going_on("the rows that are finished are kept; run the same command again to go on"), BenchBar() as bar:
            done = run(suite, settings, out, entrants=others, workers=count, address=address, progress=bar)
        if bar.reused:
            out_console.print(f"{bar.reused} of {len(done.rows)} rows were there already and served again")
        publish_report(out, done, settings, suite.dataset)
    _tell_lacking(suite, settings)
    _tell_left_out(out, done.rows)
    failed = tell_failures(done.rows)
    if standard == SCENES:
        from benchmarks.studies.commands import sweep

        # answers from a folder go by keys, which are the same at every level of damage
        others = entrants(models, plugins, [])
        failed = max(sweep(suite.tasks, SCENES, settings, out / "severity", count, others), failed)
        if folders:
            out_console.print(
                f"not in {out / 'severity'}: predictions, whose keys are the same at every level of damage"
            )
    return failed


def _suite(
    data: Path | None, tasks: list[str], settings: BenchSettings, out: Path, standard: str | None, workers: int
) -> Suite:
    """Return what is scored: a standard suite, a dataset, or procedural scenes."""
    if standard == SCENES:
        if data is not None:
            raise ConfigError(f"suite {SCENES} makes its own data; --data belongs to another suite or to none")
    elif standard is not None:
        from benchmarks.suites import build_suite, find_suite

        wanted = find_suite(standard)
        if data is None:
            raise ConfigError(f"suite {standard} needs --data FOLDER, where the data set lies ({wanted.summary})")
        if tasks and tasks != [wanted.task]:
            raise ConfigError(f"suite {standard} is for {wanted.task}, not for {', '.join(tasks)}")
        return build_suite(wanted, data, out, settings, workers)
    if data is None:
        err_console.print("no --data: building procedural scenes to score on")
        data = build_scenes(out, settings)
        out_console.print(f"scored on {describe_scenes(data)}")
    suite = make_suite(data, tasks, settings)
    if suite.not_scored:
        out_console.print(suite.not_scored)
    return suite


def report(folder: Path, data: Path | None = None) -> None:
    """Make tables and page again from `rows.parquet`. `data`: where the dataset lies now.

    Raises:
        DatasetError: no finished run in `folder`, a damaged one, or its dataset is no longer what was scored.
        OutputError: a run is at work there.
    """
    check_finished(folder)
    with holding(folder):
        done = load_run(folder)
        publish_report(folder, done, BenchSettings(**done.facts["settings"]), scored_dataset(folder, done, data))


def verify(place: Path, rows: int, method: str | None, key: str | None, data: Path | None = None) -> int:
    """Check a run, given by its folder or a file there, and say what is wrong with it; return 1 if anything is."""
    from benchmarks.audit import audit

    if not place.exists():
        raise DatasetError(f"{place} is not there; give the folder that 'bench run --out' wrote")
    folder = place if place.is_dir() else place.parent
    bars = _bars(transient=True)
    bar = bars.add_task("checking", total=None)

    def tell(what: str, done: int, total: int | None) -> None:
        bars.update(bar, description=f"checking: {what}", completed=done, total=total)

    with bars:
        found = audit(folder, rows_per_method=rows, method=method, key=key, data=data, tell=tell)
    for words in found.wrong:
        err_console.print(f"wrong: {words}")
    again = f"{found.scored} of {counted(found.rows, 'row')} scored again from kept answers"
    out_console.print(f"{folder}: {again}, {len(found.wrong) or 'nothing'} wrong")
    for words in found.notes:
        out_console.print(words)
    return 1 if found.wrong else 0


def compare(first: Path, second: Path, methods: str | None) -> None:
    """Print the differences between two runs."""
    from benchmarks.compare import compare as differences
    from benchmarks.compare import in_one_alone
    from benchmarks.report.cells import between

    names = tuple(name.strip() for name in methods.split(",")) if methods else None
    if names is not None and len(names) != 2:
        raise ConfigError(f"--methods takes two names with a comma between, not {methods!r}")
    lines = []
    pair = names and (names[0], names[1])
    found = differences(first, second, pair)
    for one in found:
        digits, unit = one.metric.digits, f" ({one.metric.unit})" * bool(one.metric.unit)
        gain = f"{one.gain.mean:+z.{digits}f} {between(one.gain, one.metric)}".rstrip()
        chance = "<0.001" if one.chance < 0.001 else f"{one.chance:.3f}"
        values = [f"{value:.{digits}f}" for value in (one.first, one.second)]
        lines.append([one.task, one.method, one.metric.label + unit, *values, gain, chance, str(one.videos)])
    heads = ("task", "method", "metric", "first", "second", "gain", "p", "videos")
    out_console.print(narrow_table(heads, lines, width=terminal_width()))
    for task, method, own, either in dict.fromkeys((one.task, one.method, one.samples, one.of) for one in found):
        if own < either:
            out_console.print(
                f"{task} {method}: {own} of {either} samples are in both runs, and they alone are compared"
            )
    for which, alone in zip(("first", "second"), in_one_alone(first, second, pair), strict=True):
        if alone:
            out_console.print(f"only in {which}: {', '.join(alone)}")
    for told in dict.fromkeys(told for one in found for told in one.leaks):
        out_console.print(f"! {told}")
    few = f" (none below {LEAST_VIDEOS} videos)" * any(one.gain.low is None for one in found)
    out_console.print(
        f"gain: second minus first, turned so that more is better, with its 95 % interval, paired by video{few}; p: sign flips "
        "over videos, not corrected for the number of lines"
    )


def serve(folder: Path, port: int) -> None:
    """Serve a run's page."""
    from benchmarks.serve import serve as serve_page

    serve_page(folder, port, lambda address: out_console.print(f"{address}   Ctrl-C ends it"))


def publish_report(out: Path, done: Run, settings: BenchSettings, dataset: Dataset) -> None:
    """Write the leaderboard as md, csv, tex, json and index.html, and print the tables."""
    boards = make_boards(done, settings)
    for name, text in TEXTS.items():
        publish(out / name, text(boards))
    page = write_page(out, boards, done, dataset, settings.examples)
    for board in boards:
        out_console.print(to_terminal(board, terminal_width()))
        heads, lines = part_lines(board)
        if lines:
            out_console.print(narrow_table(heads, lines, title=f"{label(board.first)} by part", width=terminal_width()))
        if board.warning:
            out_console.print(board.warning)
        if board.protocol:
            out_console.print(f"protocol: {board.protocol}")
        for remark in board.remarks:
            out_console.print(remark)
        for line in board.lines:
            for note in line.notes:
                out_console.print(f"! {note}")
    _tell_unavailable(boards)
    for sentence in IN_SHORT:
        out_console.print(sentence)
    out_console.print("in full: the page, leaderboard.md and 'bench metrics'")
    out_console.print(f"rows, tables and page: {out}   open {page} in a browser")


def terminal_width() -> int | None:
    """Return how wide a table may be; a file takes lines of any length."""
    return out_console.width if out_console.is_terminal else None


def _tell_unavailable(boards: Sequence[Board]) -> None:
    told = [(board, name, why) for board in boards for name, why in board.unavailable.items()]
    lacking = dict.fromkeys(name for _, name, why in told if "; --set weights." in why)
    if lacking:
        out_console.print(f"n/a for lack of weights: {', '.join(lacking)}; 'bench networks' says of which")
    for board, name, why in told:
        if name not in lacking:
            out_console.print(f"{board.name}: {name} n/a ({why})")


def _tell_lacking(suite: Suite, settings: BenchSettings) -> None:
    if settings.methods:
        return
    weights = settings.weights.model_dump()
    lacking = [one.name for one in METHODS.values() if any(map(one.fits, suite.tasks)) and one.lacks(weights)]
    if lacking:
        out_console.print(f"not run for lack of weights: {', '.join(lacking)}; 'bench networks' says of which")
    bare = [task for task in suite.tasks if not suite.has_train_samples(task)]
    idle = [one.name for one in METHODS.values() if one.learns_here and any(map(one.fits, bare))]
    if idle:
        out_console.print(f"not run for lack of train samples to learn from: {', '.join(idle)}")
    blind = [task for task in suite.tasks if not suite.has_references(task)]
    idle = [one.name for one in METHODS.values() if one.needs_reference and any(map(one.fits, blind))]
    if idle:
        out_console.print(f"not run for lack of reference pictures: {', '.join(idle)}")


def _tell_coverage(folders: Sequence[str], suite: Suite) -> None:
    keys = {task: [row["key"] for row in rows] for task, rows in suite.rows.items()}
    for text in folders:
        for words in coverage(answers_in(Path(named(text)[1])), keys):
            err_console.print(f"{text}: {words}")


def _tell_left_out(out: Path, rows: list[Row]) -> None:
    earlier, tasks = read_rows(out), {row["task"] for row in rows}
    methods = {row["method"] for row in earlier if row["task"] in tasks} - {row["method"] for row in rows}
    for what, names in (("", methods), ("tasks ", {row["task"] for row in earlier} - tasks)):
        if names:
            err_console.print(
                f"not in these tables: {what}{', '.join(sorted(names))}, scored here earlier; run with the same options to see "
                "them"
            )


def tell_failures(rows: list[Row]) -> int:
    """Say what failed, alike ones once; return 1 if anything did."""
    failed = [row for row in rows if row["status"] != "ok"]
    alike: dict[tuple[str, ...], list[str]] = {}
    for row in failed:
        alike.setdefault((row["status"], row["task"], row["method"], row["error"]), []).append(row["key"])
    for (status, task, method, error), keys in list(alike.items())[:_MOST_FAILURES]:
        more = f" and {len(keys) - 1} more" if len(keys) > 1 else ""
        err_console.print(f"{status}: {task} {method} {keys[0]}{more}: {error}")
    if len(alike) > _MOST_FAILURES:
        err_console.print(f"and {len(alike) - _MOST_FAILURES} other failures; all are in the page and in rows.parquet")
    return 1 if failed else 0


def _bars(*, transient: bool = False) -> Bars:
    """Return bars on stderr; `transient`: nothing of them stays, nor is anything of them in a file."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    disable = transient and not err_console.is_terminal
    return Bars(*columns, console=err_console, transient=transient, disable=disable)


class BenchBar(Progress):
    """Shows which method is at work and how long the rest will take."""

    def __init__(self) -> None:
        self.bars = _bars()
        self.bar = self.bars.add_task("scoring", total=None)
        self.times = self.bars.add_task("timing", total=None, visible=False)
        self.reused = 0

    def __enter__(self) -> BenchBar:
        return self

    def __exit__(self, *trouble: object) -> None:
        if self.bars.live.is_started:
            self.bars.stop()

    def started(self, jobs: list[Job], reused: int) -> None:
        """Learn how much there is to do."""
        self.reused = reused
        # not before: an error about a wrong name is one line
        self.bars.start()
        self.bars.update(self.bar, total=sum(len(job.rows) for job in jobs))

    def scored(self, row: Row) -> None:
        """Move on by one row."""
        self.bars.update(self.bar, advance=1, description=f"scoring {row['task']} / {row['method']}")

    def timing(self, jobs: list[Job], done: int) -> None:
        """Say what is timed, in a line of its own: it takes its own time."""
        if done == 0:
            self.bars.reset(self.times, total=len(jobs), visible=bool(jobs))
        for job in jobs[done : done + 1]:
            self.bars.update(self.times, description=f"timing {job.task} / {job.method.name}")
        self.bars.update(self.times, completed=done)
