"""What stands in the cells of a leaderboard, whatever its form: scores, marks, costs, and what papers reported."""

from __future__ import annotations

from benchmarks.metrics import METRICS, Column
from benchmarks.report.boards import FAILED, Board, Line
from benchmarks.statistics import Estimate

LEAST_SECONDS = 1e-4
"""What is told of a cost at least: below that a clock tells nothing."""


def part_lines(board: Board) -> tuple[list[str], list[list[str]]]:
    """Return head and lines of the table by parts, methods in the board's order; no lines where a suite has no parts."""
    names = [line.entry.method for line in board.lines if board.parts]
    lines = [
        [name, *(f"{own[name]:.{board.first.digits}f}" if name in own else "n/a" for own in board.parts.values())]
        for name in names
    ]
    return ["method", *board.parts], lines


def reported_cells(board: Board) -> list[list[str]]:
    """Return the papers' rows as the table has them: no rank, no interval, nothing where they give no number."""
    found, mark = [], "reported, not comparable" if board.left_out else "reported"
    for row in board.reported:
        scores = [f"{row.scores[m.name]:.{m.digits}f}" if m.name in row.scores else "" for m in board.metrics]
        found.append(["-", f"{row.method} ({mark})", *scores, "", ""])
    return found


def show(line: Line, metric: Column, *, bracket: bool = True) -> str:
    """Return a line's score, with its interval if there is one and it is wanted."""
    score = line.entry.scores.get(metric.name)
    if score is None:
        return "n/a"
    mean = show_mean(line, metric)
    return f"{mean} {between(score, metric)}".rstrip() if bracket else mean


def show_mean(line: Line, metric: Column) -> str:
    """Return a score that a line has, marked where failed samples stand in it as the worst value."""
    # what is told of all answers together goes by those that there are
    mark = FAILED if line.entry.failures and metric.name in METRICS else ""
    return f"{line.entry.scores[metric.name].mean:.{metric.digits}f}{mark}"


def between(score: Estimate, metric: Column) -> str:
    """Return a score's interval, empty if there is none."""
    if score.low is None or score.high is None:
        return ""
    return f"[{score.low:z.{metric.digits}f}, {score.high:z.{metric.digits}f}]"


def header(board: Board) -> list[str]:
    """Return the names of a board's columns."""
    return ["#", "method", *map(label, board.metrics), "failed", "s/frame"]


def leaders(board: Board, metric: Column) -> dict[str, int]:
    """Return 1 for each method that has a metric's best number and 2 for each that has the second, of those with a rank.

    Numbers are those that are printed: equal ones are equally good, and where all are equal none is best. Nobody has it in a
    column that doing nothing can win (`marks_best`), nor on a board that tells no two methods apart.
    """
    if not (metric.marks_best and board.tells_apart):
        return {}
    shown = {
        line.entry.method: f"{line.entry.scores[metric.name].mean:z.{metric.digits}f}"
        for line in board.ranked
        if metric.name in line.entry.scores
    }
    order = sorted(set(shown.values()), key=float, reverse=metric.higher_is_better)
    return {method: order.index(text) + 1 for method, text in shown.items() if text in order[:2] and len(order) > 1}


def told_cost(line: Line) -> str:
    """Return the warm seconds per frame as tables have them."""
    cost = line.seconds_per_frame
    return "n/a" if cost is None else seconds_in_words(cost)


def seconds_in_words(seconds: float) -> str:
    """Return seconds with two digits that mean something, from tenths of milliseconds to minutes."""
    return f"{seconds:.0f}" if seconds >= 10 else f"{max(seconds, LEAST_SECONDS):.2g}"


def label(metric: Column) -> str:
    """Return a metric's name with its unit and direction."""
    return f"{metric.label}{f' ({metric.unit})' if metric.unit else ''} {arrow(metric)}"


def arrow(metric: Column) -> str:
    """Return where better values lie."""
    return "↑" if metric.higher_is_better else "↓"
