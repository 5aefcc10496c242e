"""What the page marks, draws and lists, on runs whose rows are made up; marks as in the LaTeX."""

import io
import re

import numpy as np
import pytest
from rich.console import Console

from benchmarks.metrics import METRICS, headline
from benchmarks.report import make_boards, to_latex, to_markdown, to_terminal
from benchmarks.report.cells import leaders
from benchmarks.report.charts import Series, chart
from benchmarks.report.page import _columns, _cost_chart, _extremes, _places, _severity_chart, _table
from benchmarks.runner import Run
from benchmarks.suites import find_suite, suite_names
from tests.benchmarks.test_boards import SETTINGS, board, contest, row
from tests.benchmarks.test_latex import lines_of


def scored(**methods: dict[str, float]) -> list[dict]:
    """Return rows of methods on 8 videos, each with its scores by metric, PSNR a little other on each video."""
    return [
        row(name, v, 0.0, scores={**scores, "psnr": scores["psnr"] + v / 10})
        for name, scores in methods.items()
        for v in range(8)
    ]


def marks_of_page(found) -> dict[tuple[str, str], str]:
    table = _table(found, found.metrics)
    return {
        (line[1]["value"], metric.name): cell["kind"]
        for line in table["lines"]
        for metric, cell in zip(found.metrics, line[2:], strict=False)
    }


def marks_of_latex(found) -> dict[tuple[str, str], str]:
    told = {r"\textbf": "best", r"\underline": "second", None: ""}
    lines = lines_of(to_latex([found]))
    return {
        (name, metric.name): told[(re.search(r"\\textbf|\\underline", cell) or [None])[0]]
        for name, cells in lines.items()
        if name != "method"
        for metric, cell in zip(found.metrics, cells[2:], strict=False)
    }


def test_a_mark_says_that_something_was_done_best():
    found = board(
        scored(
            identity={"psnr": 20, "ssim": 0.5, "temporal_psnr": 30, "warping_error": 0.0},
            a={"psnr": 25, "ssim": 0.5, "temporal_psnr": 32, "warping_error": 0.2},
            b={"psnr": 24, "ssim": 0.5, "temporal_psnr": 29, "warping_error": 0.3},
        )
        + [row("known", v, 99.0, ranked=False) for v in range(8)]
    )
    marks = marks_of_page(found)
    assert marks == marks_of_latex(found)
    wanted = {("a", "psnr"): "best", ("b", "psnr"): "second", ("a", "temporal_psnr"): "best"}
    # not for equal numbers, and not for those that identity has by doing nothing
    assert {which: mark for which, mark in marks.items() if mark} == {**wanted, ("identity", "temporal_psnr"): "second"}
    assert "**" not in to_markdown([found])


def test_a_number_that_only_one_has_and_one_that_differs_behind_the_printed_digits_are_no_best():
    assert set(marks_of_page(board(scored(a={"psnr": 25}))).values()) == {""}
    assert set(marks_of_page(board(scored(a={"psnr": 25}, b={"psnr": 25.001}))).values()) == {""}
    found = board(scored(a={"psnr": 25, "ssim": -0.00001}, b={"psnr": 24, "ssim": 0.00001}))
    assert leaders(found, METRICS["ssim"]) == {}


@pytest.mark.parametrize("rows", [contest(5, 3), contest(8, 5)])
def test_nobody_is_marked_best_where_all_may_be(rows):
    found = board(rows)
    assert len({line.entry.rank for line in found.lines}) == 1
    assert set(marks_of_page(found).values()) == set(marks_of_latex(found).values()) == {""}
    for text in (found.size, to_markdown([found]), to_latex([found])):
        assert "apart: none is marked best" in text


@pytest.mark.parametrize("name", suite_names())
def test_what_ranks_is_marked(name):
    suite = find_suite(name)
    first = METRICS[suite.metrics[0]] if suite.metrics else headline(suite.task)[0]
    assert first.marks_best


def test_identity_is_in_the_chart_of_costs_however_little_it_costs():
    rows = [
        *scored(identity={"psnr": 20}, a={"psnr": 25}),
        *(row("known", v, 99.0, ranked=False) for v in range(8)),
    ]
    took = {"identity": 0.0, "a": 0.1, "known": 1.0}
    costs = {("deblur", name): {"warm_seconds_per_frame": seconds} for name, seconds in took.items()}
    (found,) = make_boards(Run(rows=rows, facts={}, costs=costs), SETTINGS)
    svg = _cost_chart(found, _places(found, Run(rows=rows, facts={})))["svg"]
    assert re.findall(r'start" style="[^"]*">(\w+)</text>', svg) == ["a", "identity"]


def test_the_names_of_thirty_methods_are_all_in_the_chart_and_none_covers_another():
    names = [f"a_name_that_is_as_long_as_names_can_be_{n:02d}" for n in range(30)]
    svg = str(chart([Series(name=name, points=[(1.0, 20.0)]) for name in names], across="s/frame", up="PSNR"))
    width, height = map(float, re.findall(r'viewBox="0 0 (\S+) (\S+)"', svg)[0])
    labels = re.findall(r'<text x="(\S+)" y="(\S+)" text-anchor="start"[^>]*>([^<]*)<', svg)
    assert len({label for *_, label in labels}) == 30
    places = sorted(float(y) for _, y, _ in labels)
    assert np.diff(places).min() >= 11
    assert places[0] >= 11
    assert places[-1] <= height
    # 7 pixels a letter: DejaVu Sans, which is wide
    assert all(float(x) + 7 * len(label) <= width for x, _, label in labels)


@pytest.mark.parametrize("tiles", range(2, 40))
def test_no_clip_of_an_example_stands_alone_in_a_line_where_that_can_be(tiles):
    for columns, fits in zip(_columns(tiles).values(), (7, 4, 2), strict=True):
        assert columns <= fits
        alone = tiles > columns and tiles % columns == 1
        assert not alone or all(tiles % count == 1 for count in range(-(-fits // 2), fits + 1) if count > 1)


@pytest.mark.parametrize(("videos", "bins"), [(5, 0), (8, 0), (9, 3), (12, 4), (40, 5)])
def test_a_bin_of_the_severities_is_no_single_sample(videos, bins):
    rows = [row("identity", v, 20.0 + v) for v in range(videos)]
    drawn = _severity_chart(board(rows), rows, {"identity": 0})
    assert drawn["svg"].count("<circle") == bins
    assert (
        f"{bins} bins of {videos // max(bins, 1)} samples or one more" in drawn.get("words", "0 bins of 0") or not bins
    )


def test_means_with_failed_samples_in_them_are_marked_wherever_they_are_shown():
    rows = scored(identity={"psnr": 20}, a={"psnr": 25})
    rows[-1] |= {"status": "failed", "scores": {}}
    found = board(rows)
    mean = next(f"{line.entry.scores['psnr'].mean:.2f}" for line in found.lines if line.entry.method == "a")
    console = Console(file=io.StringIO(), width=120)
    console.print(to_terminal(found))
    page = [cell["text"] for line in _table(found, found.metrics)["lines"] for cell in line]
    for text in (to_markdown([found]), console.file.getvalue(), page, to_latex([found]).replace(r"$^\dagger$", "†")):
        assert f"{mean}†" in text
        assert "20.35†" not in text
    assert "marked †" in to_markdown([found])


def test_samples_that_a_method_failed_on_are_told_beside_its_worst():
    rows = scored(identity={"psnr": 20}, a={"psnr": 25}, never={"psnr": 0})
    for one in rows:
        if one["method"] == "never" or (one["method"], one["key"]) in {("a", "0"), ("a", "3")}:
            one |= {"status": "failed", "scores": {}}
    found = board(rows)
    assert {one["method"]: (one["best"], one["worst"], one["failed"]) for one in _extremes(found, rows)} == {
        "identity": ("7 (20.70)", "0 (20.00)", ""),
        "a": ("7 (25.70)", "1 (25.10)", "2 failed"),
        "never": ("", "", "8 failed"),
    }
