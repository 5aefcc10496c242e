"""The leaderboards as terminal, Markdown and CSV tables."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from benchmarks.metrics import Metric, get_metrics
from benchmarks.runner import Row
from benchmarks.settings import BenchSettings
from benchmarks.statistics import Entry, Estimate, leaderboard

CONVENTIONS = (
    "A score is the mean over videos of per-video means; brackets are 95 % intervals from drawing whole videos again.",
    "A sample on which a method failed counts as the metric's worst value. s/frame is warm (one call before it is not counted).",
    "Identity returns its input: a method below it does harm. Methods marked * have learnt: those of the bench "
    "from this dataset's train split, a --model from whatever it was trained on (its card says what).",
)


@dataclass(frozen=True, kw_only=True)
class Board:
    """One task's leaderboard."""

    task: str
    metrics: list[Metric]
    entries: list[Entry]

    @property
    def size(self) -> str:
        """How much it rests on."""
        samples, videos = (max(getattr(entry, name) for entry in self.entries) for name in ("samples", "videos"))
        told = f"{samples} clip{'s' * (samples != 1)} of {videos} video{'s' * (videos != 1)}"
        return f"{told}, ranked by {self.metrics[0].name.upper()}" + (
            "; one video allows no interval" if videos == 1 else ""
        )


def make_boards(rows: list[Row], settings: BenchSettings) -> list[Board]:
    """Compute the leaderboard of every task that has rows."""
    return [
        Board(
            task=task,
            metrics=get_metrics(task),
            entries=leaderboard(rows, task, draws=settings.bootstrap, seed=settings.seed),
        )
        for task in sorted({row["task"] for row in rows})
    ]


def to_terminal(board: Board) -> Table:
    """Return a board as a rich table."""
    # narrow rules: a board of two metrics with their intervals fits into 80 columns
    rules: dict[str, Any] = {"box": SIMPLE_HEAD, "padding": (0, 1, 0, 0), "pad_edge": False, "show_edge": False}
    table = Table(title=f"{board.task}: {board.size}", title_justify="left", **rules)
    for name in header(board):
        table.add_column(name, justify="left" if name == "method" else "right", no_wrap=name != "method")
    for entry in board.entries:
        table.add_row(*cells(board, entry))
    return table


def to_markdown(boards: list[Board]) -> str:
    """Return all boards as one Markdown document, with the conventions below."""
    parts = ["# Leaderboard", *CONVENTIONS]
    for board in boards:
        lines = [header(board), ["---"] * len(header(board)), *(cells(board, entry) for entry in board.entries)]
        parts.append(f"## {board.task} ({board.size})")
        parts.append("\n".join(f"| {' | '.join(line)} |" for line in lines))
    metrics = {metric.name: metric for board in boards for metric in board.metrics}
    parts += [f"- {label(metric)}: {metric.convention}." for metric in metrics.values()]
    return "\n\n".join(parts) + "\n"


def to_csv(boards: list[Board]) -> str:
    """Return all boards as CSV, one line per task, method and metric, with unrounded numbers."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        [
            "task",
            "rank",
            "method",
            "metric",
            "mean",
            "low",
            "high",
            "samples",
            "failures",
            "videos",
            "seconds_per_frame",
        ]
    )
    for board in boards:
        for entry in board.entries:
            for metric in board.metrics:
                score = entry.scores[metric.name]
                cost = entry.seconds_per_frame
                facts = [entry.samples, entry.failures, entry.videos, cost]
                writer.writerow(
                    [board.task, entry.rank, entry.method, metric.name, score.mean, score.low, score.high, *facts]
                )
    return text.getvalue()


def header(board: Board) -> list[str]:
    """Return the names of a board's columns."""
    return ["#", "method", *map(label, board.metrics), "failed", "s/frame"]


def cells(board: Board, entry: Entry) -> list[str]:
    """Return one line of a board as text."""
    from benchmarks.methods import METHODS

    star = "*" if entry.method in METHODS and METHODS[entry.method].learns else ""
    scores = [show(entry.scores[metric.name], metric) for metric in board.metrics]
    cost = "n/a" if entry.seconds_per_frame is None else f"{entry.seconds_per_frame:.3f}"
    return [str(entry.rank), entry.method + star, *scores, f"{entry.failures}/{entry.samples}", cost]


def label(metric: Metric) -> str:
    """Return a metric's name with its unit and direction."""
    arrow = "↑" if metric.higher_is_better else "↓"
    return f"{metric.name.upper()}{f' ({metric.unit})' if metric.unit else ''} {arrow}"


def show(score: Estimate, metric: Metric) -> str:
    """Return a score with its interval."""
    digits = metric.digits
    interval = "" if score.low is None or score.high is None else f" [{score.low:.{digits}f}, {score.high:.{digits}f}]"
    return f"{score.mean:.{digits}f}{interval}"
