"""The leaderboards as terminal, Markdown, CSV, LaTeX and JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from benchmarks.metrics import Column
from benchmarks.report.boards import (
    CONVENTIONS,
    ORACLE,
    Board,
    Line,
    arrow,
    conventions_of,
    label,
    part_lines,
    reported_cells,
    seconds_in_words,
    show,
)


def to_terminal(board: Board) -> Table:
    """Return a board as a rich table; intervals of the first metric alone, so that it fits into 80 columns."""
    first, *others = board.metrics
    heads = ("#", "method", label(first), *(f"{one.label} {arrow(one)}" for one in others), "failed", "s/frame")
    lines = [
        _around(line, [show(line.entry.scores.get(one.name), one, bracket=one is first) for one in board.metrics])
        for line in board.lines
    ]
    lines += reported_cells(board)
    return narrow_table(heads, lines, title=f"{board.name}: {board.size}")


def narrow_table(heads: Sequence[str], lines: Sequence[Sequence[str]], *, title: str | None = None) -> Table:
    """Return a rich table whose heads may be broken and whose values may not; numbers stand to the right."""
    rules: dict[str, Any] = {"box": SIMPLE_HEAD, "padding": (0, 1, 0, 0), "pad_edge": False, "show_edge": False}
    table = Table(title=title, title_justify="left", **rules)
    for place, head in enumerate(heads):
        width = max(len(word) for word in (*head.split(" "), *(line[place] for line in lines)))
        words = head in ("method", "task", "metric")
        table.add_column(head, justify="left" if words else "right", min_width=width)
    for line in lines:
        table.add_row(*line)
    return table


def to_markdown(boards: Sequence[Board]) -> str:
    """Return all boards as one Markdown document, with the conventions below."""
    parts = ["# Leaderboard", *CONVENTIONS]
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
                if metric.name in line.entry.scores:
                    writer.writerow(_record(board, line, metric))
    return text.getvalue()


def to_json(boards: Sequence[Board]) -> str:
    """Return all boards as JSON: what the CSV says, with conventions, notes and costs."""
    return json.dumps([_as_json(board) for board in boards], indent=1, ensure_ascii=False) + "\n"


def to_latex(boards: Sequence[Board]) -> str:
    """Return all boards as LaTeX tables for booktabs: the best of each column bold, the second underlined; oracles apart."""
    return "\n".join(_latex(board) for board in boards)


TEXTS: dict[str, Callable[[Sequence[Board]], str]] = {
    "leaderboard.md": to_markdown,
    "leaderboard.csv": to_csv,
    "leaderboard.tex": to_latex,
    "leaderboard.json": to_json,
}
"""What a run's folder has beside its page."""


def header(board: Board) -> list[str]:
    """Return the names of a board's columns."""
    return ["#", "method", *map(label, board.metrics), "failed", "s/frame"]


def cells(board: Board, line: Line) -> list[str]:
    """Return one line of a board as text."""
    return _around(line, [show(line.entry.scores.get(metric.name), metric) for metric in board.metrics])


def _around(line: Line, scores: list[str]) -> list[str]:
    entry, cost = line.entry, line.seconds_per_frame
    seconds = "n/a" if cost is None else seconds_in_words(cost)
    return [line.rank, line.name, *scores, f"{entry.failures}/{entry.samples}", seconds]


_COLUMNS = (
    "board", "task", "rank", "method", "mark", "metric", "mean", "low", "high", "samples", "failures", "invalid", "videos",
    "warm_seconds_per_frame", "cold_seconds_per_frame", "peak_bytes", "peak_gpu_bytes", "parameters", "warning",
)  # fmt: skip


def _record(board: Board, line: Line, metric: Column) -> dict[str, Any]:
    entry, score = line.entry, line.entry.scores[metric.name]
    return {
        **{"board": board.name, "task": board.task, "rank": line.rank, "method": entry.method, "mark": line.mark},
        **{"metric": metric.name, "mean": score.mean, "low": score.low, "high": score.high},
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
        "left_out": board.left_out,
        "parts": board.parts,
        "reported": [row.model_dump(mode="json") for row in board.reported],
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


def _latex(board: Board) -> str:
    ranked = [line for line in board.lines if line.entry.rank is not None]
    heads = [
        _escaped(label(metric)).replace("↑", r"$\uparrow$").replace("↓", r"$\downarrow$") for metric in board.metrics
    ]
    lines = [
        r"\begin{table}",
        rf"\caption{{{_escaped(board.name)}: {_escaped(board.size)}{_escaped(f'. {board.warning}' * bool(board.warning))}}}",
        rf"\begin{{tabular}}{{l{'r' * len(heads)}r}}",
        r"\toprule",
        " & ".join(["Method", *heads, "s/frame"]) + r" \\",
        r"\midrule",
        *(_latex_line(board, line, ranked) for line in board.lines if line.mark != ORACLE),
    ]
    oracles = [line for line in board.lines if line.mark == ORACLE]
    lines += [r"\midrule", *(_latex_line(board, line, []) for line in oracles)] if oracles else []
    lines += [r"\midrule", *(_latex_reported(row) for row in reported_cells(board))] if board.reported else []
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}", ""])


def _latex_reported(row: list[str]) -> str:
    _, name, *scores, _failed, cost = row
    return " & ".join([_escaped(name), *scores, cost]) + r" \\"


def _latex_line(board: Board, line: Line, ranked: list[Line]) -> str:
    cost = line.seconds_per_frame
    values = [_latex_value(line, metric, ranked) for metric in board.metrics]
    name = _escaped(line.name)
    return " & ".join([name, *values, "n/a" if cost is None else seconds_in_words(cost)]) + r" \\"


def _latex_value(line: Line, metric: Column, ranked: list[Line]) -> str:
    if metric.name not in line.entry.scores:
        return "n/a"
    text = f"{line.entry.scores[metric.name].mean:.{metric.digits}f}"
    # as printed: equal numbers are equally good
    shown = {
        f"{other.entry.scores[metric.name].mean:.{metric.digits}f}"
        for other in ranked
        if metric.name in other.entry.scores
    }
    order = sorted(shown, key=float, reverse=metric.higher_is_better)
    if text in order[:1] and line in ranked:
        return rf"\textbf{{{text}}}"
    return rf"\underline{{{text}}}" if text in order[1:2] and line in ranked else text


def _escaped(text: str) -> str:
    for sign in "\\&%$#_{}":
        text = text.replace(sign, f"\\{sign}" if sign != "\\" else r"\textbackslash ")
    return text
