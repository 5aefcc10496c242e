"""The LaTeX tables: that they compile whatever things are called, and say what the Markdown says."""

import re
import shutil
import subprocess

import pytest

from benchmarks.report import to_latex, to_markdown
from benchmarks.report.latex import escaped
from benchmarks.suites import find_suite
from tests.benchmarks.test_boards import SETTINGS, board, row

TEX = shutil.which("pdflatex")
NASTY = ["50%_#1 & {x} ~ ^ \\", "<b>|\"q\"|</b>", "[ours]*--é ü Å ñ ł", "*中文 β→γ ±1 🙂", "A-B_c"]  # fmt: skip


def many() -> list[dict]:
    """Return rows of methods of all kinds on 8 videos: ranked, equal, failing, unscored, leaking, knowing the target."""
    rows = []
    for v in range(8):
        rows += [row(name, v, 24 + n + (v * (n + 3) % 5) / 10) for n, name in enumerate(NASTY)]
        rows += [row(name, v, 20.0 + v) for name in ("twin", "identity")]
        rows += [row("known", v, 99.0, ranked=False), row("learnt_it", v, 40.0 + v, learns=True, leaked=v == 0)]
        rows += [row("never", v, 0.0, status="failed", scores={}), row("unscored", v, 0.0, status="invalid", scores={})]
    for one in rows:
        one.setdefault("knows_its_data", True)
    return rows


def suite(parts: str = "") -> dict:
    standard = find_suite("gopro").model_copy(update={"parts": parts})
    return {"suite": standard.model_dump(mode="json")}


def told(latex: str) -> str:
    """Return the text of LaTeX with its signs turned back."""
    text = re.sub(r"\\benchscore\{(.*?)\}\{(.*?)\}(?= )", r"\1 \2", latex)
    text = re.sub(r"\\(?:textbf|underline)\{(.*?)\}", r"\1", text)
    return (
        text.replace(r"$^\dagger$", "†")
        .replace("{}", "")
        .replace(r"\_", "_")
        .replace(r"\%", "%")
        .replace(r"\#", "#")
        .replace(r"\&", "&")
    )


def lines_of(latex: str) -> dict[str, list[str]]:
    cells = [line.removesuffix(r" \\").split(" & ") for line in latex.splitlines() if line.endswith(r"\\")]
    return {one[1].removesuffix(" (o)").removesuffix(" *").replace(r"\_", "_"): one for one in cells}


def test_best_is_bold_second_is_underlined_equal_ones_share_and_only_who_has_a_rank():
    rows = [row(name, v, level + v) for v in range(8) for name, level in (("a", 30), ("b", 30), ("c", 25), ("d", 20))]
    rows += [row("known", v, 99.0, ranked=False) for v in range(8)]
    lines = lines_of(to_latex([board(rows)]))
    marks = {name: re.findall(r"\\(textbf|underline)", cells[2]) for name, cells in lines.items() if name != "method"}
    assert marks == {"a": ["textbf"], "b": ["textbf"], "c": ["underline"], "d": [], "known": []}
    assert [lines[name][0] for name in ("a", "b", "c", "d", "known")] == ["1--2", "1--2", "3", "4", "-"]


def test_latex_says_ranks_failures_notes_protocol_and_conventions_as_the_markdown_does():
    found = board(many(), SETTINGS.model_copy(update={"limit": 8}), **suite())
    latex, markdown = to_latex([found]), to_markdown([found])
    lines = lines_of(latex)
    assert lines["never"][-2:] == ["8/8", "n/a"]
    assert lines["learnt_it"][0] == lines["unscored"][0] == lines["known"][0] == "-"
    assert lines["twin"][0] == lines["identity"][0] == "1--8"
    plain = told(latex)
    for words in (
        "NOT THE WHOLE TEST SET: 8 of 11 videos",
        "the bench itself failed on 8 samples of unscored: no rank",
        "learnt_it",
        "A sample on which a method failed counts as the metric's worst value.",
        "Methods share ranks where the videos cannot tell them apart",
    ):
        assert words in plain
        assert words in markdown
    for note in (note for line in found.lines for note in line.notes):
        assert note in plain
    assert "- & VRT (reported, not comparable) & 34.81" in latex
    # every number with its interval
    for line in found.lines:
        for score in line.entry.scores.values():
            mean = f"{score.mean:.2f}" + "†" * (line.entry.failures > 0)
            assert f"{mean} [{score.low:.2f}, {score.high:.2f}]" in plain


def test_signs_that_latex_takes_for_its_own_are_escaped():
    assert escaped("a_b 5% #1 & {x}") == r"a\_b 5\% \#1 \& \{x\}"
    assert escaped("~^\\") == r"\textasciitilde{}\textasciicircum{}\textbackslash{}"
    assert escaped("a--b") == "a-{}-b"
    assert escaped("é ï 中") == "\\'{e} \\\"{\\i} U+4E2D"
    assert all(ord(sign) < 128 for sign in escaped("".join(NASTY)))


@pytest.mark.skipif(TEX is None, reason="no pdflatex is installed")
@pytest.mark.parametrize("facts", [{}, suite(), suite(parts="part")])
def test_the_tables_compile_with_booktabs_whatever_methods_are_called(facts, tmp_path):
    rows = [{**one, "part": f"{one['key']}_%"} for one in many()]
    alone = [row("only_one", v, 20.0) for v in range(3)]
    nobody = [row("never", v, 0.0, status="failed", scores={}) for v in range(7)]
    boards = [board(rows, **facts), board(alone), board(nobody)]
    (tmp_path / "t.tex").write_text(to_latex(boards), encoding="utf-8")
    packages = r"\usepackage{booktabs}\usepackage{graphicx}"
    (tmp_path / "d.tex").write_text(
        rf"\documentclass{{article}}{packages}\begin{{document}}\input{{t}}\end{{document}}"
    )
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "d.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=120, check=False)
    log = done.stdout.decode(errors="replace")
    assert done.returncode == 0, log[-2000:]
    assert "Missing character" not in (tmp_path / "d.log").read_text(errors="replace")
    # a table wider than the text is made smaller
    assert not re.search(r"Overfull \\hbox \((\d{2,})", log)
