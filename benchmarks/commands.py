"""What the subcommands of `bench` do, and what they print."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.table import Table

from benchmarks.methods import METHODS
from benchmarks.methods.model import loaded
from benchmarks.metrics import METRICS
from benchmarks.report import make_boards, to_csv, to_markdown, to_terminal, write_page
from benchmarks.report.tables import CONVENTIONS
from benchmarks.runner import Job, Progress, Row, read_rows, run
from benchmarks.settings import BenchSettings
from benchmarks.suite import build_scenes, make_suite
from configs import DatasetError, load
from shards import Dataset
from shards.storage import publish

out_console = Console(highlight=False, soft_wrap=True, markup=False)
err_console = Console(stderr=True, highlight=False, markup=False)


def settings(recipe: str, overrides: list[str], given: dict[str, Any]) -> BenchSettings:
    """Load a recipe; options given by name beat it."""
    options = [f"{name}={json.dumps(value)}" for name, value in given.items() if value is not None]
    return load(BenchSettings, recipe, [*overrides, *options])


def run_bench(settings: BenchSettings, data: Path | None, tasks: list[str], model: Path | None, out: Path) -> int:
    """Run, print the leaderboards and say where everything is; return 1 if a method failed somewhere."""
    if model is not None:
        # a folder that is no model is told before anything is built or scored
        loaded(model)
    if data is None:
        err_console.print("no --data: building procedural scenes to score on")
        data = build_scenes(out, settings)
    suite = make_suite(data, tasks, settings)
    with BenchBar() as bar:
        rows = run(suite, settings, out, model=model, progress=bar)
    if bar.reused:
        out_console.print(f"{bar.reused} of {len(rows)} rows were there already and served again")
    publish_report(out, rows, settings, suite.dataset)
    out_console.print(CONVENTIONS[-1])
    scored = {row["method"] for row in rows}
    left_out = sorted({row["method"] for row in read_rows(out)} - scored)
    if left_out:
        names = ", ".join(left_out)
        err_console.print(
            f"not in these tables: {names}, scored here earlier; run with the same --model or --methods to see it"
        )
    failed = [row for row in rows if row["status"] != "ok"]
    for row in failed[:10]:
        err_console.print(f"failed: {row['task']} {row['method']} {row['key']}: {row['error']}")
    return 1 if failed else 0


def report(folder: Path) -> None:
    """Make tables and page again from `rows.parquet`.

    Raises:
        DatasetError: no finished run in `folder`, a damaged one, or its dataset is no longer what was scored.
    """
    if not (folder / "run.json").is_file() or not (folder / "rows.parquet").is_file():
        raise DatasetError(
            f"{folder} holds no finished benchmark run (no rows.parquet); 'bench run --out {folder}' makes one"
        )
    try:
        facts = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        root, scored, settings = facts["dataset"], facts["dataset_sha256"], BenchSettings(**facts["settings"])
        rows = stored_rows(folder)
    except (ValueError, KeyError, TypeError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DatasetError(
            f"the run in {folder} is damaged ({reason}); 'bench run --out {folder}' makes it again"
        ) from None
    dataset = Dataset(root)
    if dataset.manifest.sha256 != scored:
        found = dataset.manifest.sha256[:12]
        raise DatasetError(
            f"{folder} scored content {scored[:12]}, but {root} now holds {found}; 'bench run' scores it anew"
        )
    publish_report(folder, rows, settings, dataset)


def stored_rows(folder: Path) -> list[Row]:
    """Return the rows of `rows.parquet` as the runner made them."""
    rows = []
    for values in pd.read_parquet(folder / "rows.parquet").to_dict("records"):
        row: Row = {str(name): value for name, value in values.items() if name not in METRICS}
        row["scores"] = {name: values[name] for name in METRICS if name in values and pd.notna(values[name])}
        rows.append(row)
    return rows


def publish_report(out: Path, rows: list[Row], settings: BenchSettings, dataset: Dataset) -> None:
    """Write leaderboard.md, leaderboard.csv and index.html, and print the tables."""
    boards = make_boards(rows, settings)
    publish(out / "leaderboard.md", to_markdown(boards))
    publish(out / "leaderboard.csv", to_csv(boards))
    page = write_page(out, boards, rows, dataset, settings.examples)
    for board in boards:
        out_console.print(to_terminal(board))
    for metric in {metric.name: metric for board in boards for metric in board.metrics}.values():
        out_console.print(f"{metric.name.upper()}: {metric.convention}")
    out_console.print(f"rows, tables and page: {out}   open {page} in a browser")


class BenchBar(Progress):
    """Shows which method is at work and how long the rest will take."""

    def __init__(self) -> None:
        self.bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=err_console,
        )
        self.bar = self.bars.add_task("scoring", total=None)
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


def list_methods() -> None:
    """Print all methods."""
    table = Table("method", "tasks", "what it does", "paper")
    for method in METHODS.values():
        table.add_row(method.name, ", ".join(method.tasks) or "all", method.summary, method.paper)
    out_console.print(table)


def list_metrics() -> None:
    """Print all metrics."""
    table = Table("metric", "unit", "better", "version", "convention")
    for metric in METRICS.values():
        better = "higher" if metric.higher_is_better else "lower"
        table.add_row(metric.name, metric.unit, better, str(metric.version), metric.convention)
    out_console.print(table)
