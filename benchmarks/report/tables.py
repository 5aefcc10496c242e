"""The leaderboards as terminal, Markdown, CSV and JSON; `TEXTS` is what lies in a run's folder."""

from __future__ import annotations

import csv
import io
import json
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import JustifyMethod
from rich.table import Table

from benchmarks.metrics import Column
from benchmarks.report.boards import CONVENTIONS, Board, Line, conventions_of
from benchmarks.report.cells import header, label, part_lines, reported_cells, show, told_cost
from benchmarks.report.latex import to_latex


def to_terminal(board: Board, width: int | None = None) -> Table:
    """Return a board as a rich table; intervals of the first metric alone, and none where `width` has no room for them."""
    first, heads = board.metrics[0], header(board)

    def lines(*, intervals: bool) -> list[list[str]]:
        wanted = [(one, intervals and one is first) for one in board.metrics]
        own = [_around(line, [show(line, one, bracket=bracket) for one, bracket in wanted]) for line in board.lines]
        return own + reported_cells(board)

    found = lines(intervals=True)
    if width is not None and _width(_leasts(heads, found)) > width:
        found = lines(intervals=False)
    return narrow_table(heads, found, title=f"{board.name}: {board.size}", width=width)


def narrow_table(
    heads: Sequence[str], lines: Sequence[Sequence[str]], *, title: str | None = None, width: int | None = None
) -> Table:
    """Return a rich table whose values are never broken, and its heads where it is wider than `width`; numbers stand to the
    right."""
    leasts = _leasts(heads, lines)
    shown = list(heads)
    if width is not None and _width([max(len(head), least) for head, least in zip(heads, leasts, strict=True)]) > width:
        # rich would break those columns that are widest, not those that can be
        shown = ["\n".join(textwrap.wrap(head, least)) for head, least in zip(heads, leasts, strict=True)]
    rules: dict[str, Any] = {"box": SIMPLE_HEAD, "padding": (0, 1, 0, 0), "pad_edge": False, "show_edge": False}
    table = Table(title=title, title_justify="left", **rules)
    for head, words, least in zip(shown, heads, leasts, strict=True):
        justify: JustifyMethod = "left" if words in ("method", "task", "metric") else "right"
        table.add_column(head, justify=justify, min_width=least)
    for line in lines:
        table.add_row(*line)
    return table


def _leasts(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> list[int]:
    """Return how narrow each column can be."""
    return [
        max(len(word) for word in (*head.split(" "), *(line[place] for line in lines)))
        for place, head in enumerate(heads)
    ]


def _width(columns: Sequence[int]) -> int:
    return sum(columns) + 2 * (len(columns) - 1)


def to_markdown(boards: Sequence[Board]) -> str:
    """Return all boards as one Markdown document, with the conventions below."""
    parts = ["# Leaderboard", *CONVENTIONS]
    parts += [f"Tasks {told}." for told in dict.fromkeys(board.not_scored for board in boards) if told]
    for board in boards:
        lines = [header(board), ["---"] * len(header(board)), *(cells(board, line) for line in board.lines)]
        lines += reported_cells(board)
        parts.append(f"## {board.name} ({board.size})")
        parts += [f"**{board.warning}.**"] if board.warning else []
        parts.append("\n".join(f"| {' | '.join(line)} |" for line in lines))
        by_part, own = part_lines(board)
        if own:
            rule = ["---"] * len(by_part)
            parts.append(f"{label(board.first)} by part:")
            parts.append("\n".join(f"| {' | '.join(cells)} |" for cells in [by_part, rule, *own]))
        parts += [f"Protocol: {board.protocol}."] if board.protocol else []
        parts += [f"- {remark}" for remark in board.remarks]
        parts += [f"- {name}: n/a ({why})" for name, why in board.unavailable.items()]
        parts += [f"- {note}" for line in board.lines for note in line.notes]
    parts += [f"- {label(metric)}: {told}." for metric, told in conventions_of(boards)]
    return "\n\n".join(parts) + "\n"


def to_csv(boards: Sequence[Board]) -> str:
    """Return all boards as CSV, one line per board, method and metric, with unrounded numbers."""
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    for board in boards:
        for line in board.lines:
            for metric in [*board.metrics, *board.more]:
                # who has no number at all stands there, too
                if metric.name in line.entry.scores or metric is board.metrics[0]:
                    writer.writerow(_record(board, line, metric))
    return text.getvalue()


def to_json(boards: Sequence[Board]) -> str:
    """Return all boards as JSON: what the CSV says, with conventions, notes and costs."""
    return json.dumps([_as_json(board) for board in boards], indent=1, ensure_ascii=False) + "\n"


TEXTS: dict[str, Callable[[Sequence[Board]], str]] = {
    "leaderboard.md": to_markdown,
    "leaderboard.csv": to_csv,
    "leaderboard.tex": to_latex,
    "leaderboard.json": to_json,
}
"""What a run's folder has beside its page."""


def cells(board: Board, line: Line) -> list[str]:
    """Return one line of a board as text."""
    return _around(line, [show(line, metric) for metric in board.metrics])


def _around(line: Line, scores: list[str]) -> list[str]:
    entry = line.entry
    return [line.rank, line.name, *scores, f"{entry.failures}/{entry.samples}", told_cost(line)]


_COLUMNS = (
    "board", "task", "rank_first", "rank_last", "method", "mark", "metric", "mean", "low", "high", "samples",
    "failures", "invalid", "videos", "warm_seconds_per_frame", "cold_seconds_per_frame", "peak_bytes", "peak_gpu_bytes",
    "parameters", "warning",
)  # fmt: skip


def _record(board: Board, line: Line, metric: Column) -> dict[str, Any]:
    entry, score = line.entry, line.entry.scores.get(metric.name)
    # two numbers: a spreadsheet takes 1-3 for a day in January
    first, last = entry.rank or (None, None)
    return {
        **{"board": board.name, "task": board.task, "rank_first": first, "rank_last": last},
        **{"method": entry.method, "mark": line.mark},
        **{"metric": metric.name, **(vars(score) if score else {})},
        **{"samples": entry.samples, "failures": entry.failures, "invalid": entry.invalid, "videos": entry.videos},
        **{name: line.cost.get(name) for name in _COLUMNS if name in line.cost},
        "parameters": line.parameters,
        "warning": board.warning,
    }


def _as_json(board: Board) -> dict[str, Any]:
    return {
        "board": board.name,
        "task": board.task,
        "samples": board.samples,
        "videos": board.videos,
        "ranked_by": board.metrics[0].name,
        "least_difference": board.least_difference,
        "unavailable": board.unavailable,
        "protocol": board.protocol,
        "notes": board.remarks,
        "left_out": board.left_out,
        "parts": board.parts,
        # in the order in which a run that is read back has them
        "reported": [_sorted(row.model_dump(mode="json")) for row in board.reported],
        "metrics": {metric.name: _metric_as_json(metric, board.average) for metric in [*board.metrics, *board.more]},
        "methods": [
            {
                "method": line.entry.method,
                "rank": line.entry.rank,
                "mark": line.mark,
                "scores": {name: vars(score) for name, score in line.entry.scores.items()},
                "gain_over_identity": vars(line.entry.gain) if line.entry.gain else None,
                "samples": line.entry.samples,
                "failures": line.entry.failures,
                "invalid": line.entry.invalid,
                "coverage": line.entry.coverage,
                # in one order, whether they were measured now or are read back
                "cost": {name: line.cost[name] for name in sorted(line.cost.keys() - {"id", "task", "method"})},
                "parameters": line.parameters,
                "notes": line.notes,
            }
            for line in board.lines
        ],
    }


def _metric_as_json(metric: Column, average: str) -> dict[str, Any]:
    return {
        "unit": metric.unit,
        "higher_is_better": metric.higher_is_better,
        "version": metric.version,
        "convention": metric.in_full(average),
    }


def _sorted(values: dict[str, Any]) -> dict[str, Any]:
    return {name: _sorted(value) if isinstance(value, dict) else value for name, value in sorted(values.items())}
