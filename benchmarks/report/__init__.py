"""The leaderboard for people: terminal, Markdown, CSV and one page; all from the rows, nothing stored twice."""

from benchmarks.report.page import write_page
from benchmarks.report.tables import Board, make_boards, to_csv, to_markdown, to_terminal

__all__ = ["Board", "make_boards", "to_csv", "to_markdown", "to_terminal", "write_page"]
