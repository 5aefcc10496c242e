"""The leaderboards as LaTeX for booktabs, with everything that the Markdown says beside the numbers."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from benchmarks.metrics import Column
from benchmarks.report.boards import CONVENTIONS, ORACLE, Board, Line, conventions_of
from benchmarks.report.cells import between, header, label, leaders, part_lines, reported_cells, show_mean, told_cost

_HEAD = r"""% Needs \usepackage{booktabs} and \usepackage{graphicx}; \input it where the tables shall stand.
% Best of each column bold, second underlined, of those with a rank; equal numbers share. No marks where all are equal,
% in columns that doing nothing can win, or on boards that tell no two methods apart. Brackets: 95 % intervals.
\providecommand{\benchscore}[2]{\begin{tabular}[t]{@{}r@{}}#1\\[-3pt]{\scriptsize #2}\end{tabular}}"""
_SIGNS = {
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
    **{sign: rf"\{sign}" for sign in "&%$#_{}"},
    # in the fonts that LaTeX starts with these are other signs
    **{"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': "''"},
    **{"↑": r"$\uparrow$", "↓": r"$\downarrow$", "±": r"$\pm$", "×": r"$\times$", "→": r"$\to$", "≤": r"$\le$", "≥": r"$\ge$"},
    **{"–": "--", "—": "---", "’": "'", "°": r"$^\circ$", "†": r"$^\dagger$", "\n": " ", "\t": " ", "\u200b": "{}"},
    **{"α": r"$\alpha$", "β": r"$\beta$", "γ": r"$\gamma$", "λ": r"$\lambda$", "μ": r"$\mu$", "µ": r"$\mu$", "σ": r"$\sigma$"},
    **{"ß": r"\ss{}", "ø": r"\o{}", "Ø": r"\O{}", "ł": r"\l{}", "Ł": r"\L{}", "æ": r"\ae{}", "Æ": r"\AE{}", "œ": r"\oe{}"},
}  # fmt: skip
_ACCENTS = {
    **{"\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0304": "=", "\u0306": "u", "\u0307": ".", "\u0308": '"'},
    **{"\u030a": "r", "\u030b": "H", "\u030c": "v", "\u0323": "d", "\u0327": "c"},
}  # fmt: skip


def to_latex(boards: Sequence[Board]) -> str:
    """Return all boards as LaTeX tables, with notes under each and the conventions behind them."""
    shown = {one.name for board in boards for one in board.metrics}
    measured = [(label(one), told) for one, told in conventions_of(boards) if one.name in shown]
    told = [*map(escaped, CONVENTIONS), *(rf"\textbf{{{escaped(name)}}}: {escaped(how)}." for name, how in measured)]
    small = [r"{\footnotesize\raggedright", *(rf"\noindent {words}\par" for words in told), "}"]
    return "\n".join([_HEAD, *map(_table, boards), *small, ""])


def escaped(text: str) -> str:
    r"""Return a text for LaTeX with its first fonts and any engine; a letter that these lack reads `U+4E2D`."""
    # two hyphens would be a dash
    return "".join(_SIGNS.get(sign) or _letter(sign) for sign in text.replace("--", "-\u200b-"))


def _letter(sign: str) -> str:
    if " " <= sign <= "~":
        return sign
    base, *accents = list(unicodedata.normalize("NFD", sign))
    if "A" <= base.upper() <= "Z" and len(accents) == 1 and accents[0] in _ACCENTS:
        # an i loses its dot under an accent
        return rf"\{_ACCENTS[accents[0]]}{{{base}}}".replace("{i}", r"{\i}")
    return f"U+{ord(sign):04X}"


def _table(board: Board) -> str:
    best = {one.name: leaders(board, one) for one in board.metrics}
    groups = [[line for line in board.lines if (line.mark == ORACLE) == known] for known in (False, True)]
    body = [[_row(_cells(board, line, best)) for line in group] for group in groups]
    body.append([_row(list(map(escaped, cells))) for cells in reported_cells(board)])
    columns = f"rl{'r' * (len(header(board)) - 2)}"
    caption = [f"{board.name}: {board.size}.", *([f"{board.warning}."] if board.warning else [])]
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escaped(' '.join(caption))}}}",
        *_tabular(columns, list(map(escaped, header(board))), [rows for rows in body if rows]),
    ]
    by_part, own = part_lines(board)
    if own:
        rows = [_row(list(map(escaped, cells))) for cells in own]
        lines += [rf"\par\medskip {escaped(label(board.first))} by part:\par\smallskip"]
        lines += _tabular(f"l{'r' * (len(by_part) - 1)}", list(map(escaped, by_part)), [rows])
    notes = _notes(board)
    if notes:
        lines += [r"\par\smallskip\begin{minipage}{\linewidth}\footnotesize\raggedright", *notes, r"\end{minipage}"]
    return "\n".join([*lines, r"\end{table}", ""])


def _notes(board: Board) -> list[str]:
    """Return what stands under a table: its protocol, what could not be had, and remarks on samples and methods."""
    told = [f"Protocol: {board.protocol}."] if board.protocol else []
    told += board.remarks
    told += [f"{name}: n/a ({why})" for name, why in board.unavailable.items()]
    told += [note for line in board.lines for note in line.notes]
    return [rf"{escaped(words)}\par" for words in told]


def _tabular(columns: str, heads: Sequence[str], groups: Sequence[Sequence[str]]) -> list[str]:
    """Return a table, made smaller where it is wider than the text, with a rule between groups of rows."""
    lines = [r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%", rf"\begin{{tabular}}{{{columns}}}"]
    lines += [r"\toprule", _row(heads)]
    for rows in groups:
        lines += [r"\midrule", *rows]
    return [*lines, r"\bottomrule", r"\end{tabular}}"]


def _row(cells: Sequence[str]) -> str:
    # a bracket or a star at the start of a line would belong to the end of the line before
    first = "{}" * cells[0].startswith(("[", "*"))
    return f"{first}{' & '.join(cells)} " + r"\\"


def _cells(board: Board, line: Line, best: dict[str, dict[str, int]]) -> list[str]:
    entry = line.entry
    scores = [_score(line, metric, best[metric.name]) for metric in board.metrics]
    failed = f"{entry.failures}/{entry.samples}"
    return [line.rank.replace("-", "--") if entry.rank else "-", escaped(line.name), *scores, failed, told_cost(line)]


def _score(line: Line, metric: Column, best: dict[str, int]) -> str:
    score = line.entry.scores.get(metric.name)
    if score is None:
        return "n/a"
    text = escaped(show_mean(line, metric))
    place = best.get(line.entry.method)
    text = rf"\textbf{{{text}}}" if place == 1 else rf"\underline{{{text}}}" if place == 2 else text
    return rf"\benchscore{{{text}}}{{{between(score, metric)}}}" if between(score, metric) else text
