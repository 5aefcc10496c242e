"""What there is, told at the width of a terminal."""

import io

import pytest
from rich.console import Console

from benchmarks import listings
from benchmarks.settings import BenchSettings

LISTS = {
    "methods": listings.list_methods,
    "metrics": listings.list_metrics,
    "suites": listings.list_suites,
    "networks": lambda: listings.list_networks(BenchSettings()),
}


@pytest.mark.parametrize("width", [60, 80, 200])
@pytest.mark.parametrize("what", LISTS)
def test_headings_that_go_on_are_indented_further_than_the_text_below(what, width, monkeypatch):
    said = io.StringIO()
    monkeypatch.setattr(listings, "_console", Console(file=said, width=width, highlight=False, markup=False))
    LISTS[what]()
    # without the sentence behind the list
    lines = said.getvalue().split("\nothers are")[0].split("\n--set weights")[0].splitlines()
    assert max(map(len, lines)) <= width
    assert not [line for line in lines if line != line.rstrip()]
    heads = [n for n, line in enumerate(lines) if not line.startswith(" ")]
    assert all("  " in lines[n] for n in heads), "each has its name and its facts"
    for n in heads:
        depths = [len(line) - len(line.lstrip()) for line in lines[n + 1 : n + 3]]
        assert depths[0] in (4, 8)
        assert depths[0] == 4 or depths[1] in (4, 8)
