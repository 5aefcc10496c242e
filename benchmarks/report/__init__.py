"""The leaderboard for people: terminal, Markdown, CSV, LaTeX, JSON and one page; all from the rows, nothing stored twice."""

from benchmarks.report.boards import IN_SHORT, Board, make_boards
from benchmarks.report.latex import to_latex
from benchmarks.report.page import PAGE, page_text, write_page
from benchmarks.report.tables import (
    TEXTS,
    narrow_table,
    to_csv,
    to_json,
    to_markdown,
    to_terminal,
)

__all__ = [
    "IN_SHORT",
    "PAGE",
    "TEXTS",
    "Board",
    "make_boards",
    "narrow_table",
    "page_text",
    "to_csv",
    "to_json",
    "to_latex",
    "to_markdown",
    "to_terminal",
    "write_page",
]
