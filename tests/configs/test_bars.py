"""What a file gets of progress bars."""

import io

import pytest
from rich.console import Console

import configs.bars
from configs.bars import Bars


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass when they are told to."""
    now = [0.0]
    monkeypatch.setattr(configs.bars, "monotonic", lambda: now[0])
    return now


def test_a_file_gets_a_line_every_half_minute(clock):
    file = io.StringIO()
    with Bars(console=Console(file=file, width=200)) as bars:
        task = bars.add_task("scoring [dehaze] / clahe", total=94)
        for _ in range(8):
            clock[0] += 10
            bars.advance(task)
        before = file.getvalue()
        bars.update(task, description="timing", completed=94)
    assert before.splitlines() == ["scoring [dehaze] / clahe: 3 of 94", "scoring [dehaze] / clahe: 6 of 94"]
    assert "94/94" in file.getvalue() or "100%" in file.getvalue()


@pytest.mark.parametrize(("total", "words"), [(None, "7"), (1.0, "40 %"), (10, "7 of 10")])
def test_what_is_counted_decides_how_it_is_told(clock, total, words):
    file = io.StringIO()
    with Bars(console=Console(file=file, width=200)) as bars:
        task = bars.add_task("at work", total=total)
        clock[0] += 31
        bars.update(task, completed=0.4 if total == 1 else 7)
        assert file.getvalue() == f"at work: {words}\n"


def test_a_terminal_gets_bars_alone(clock):
    file = io.StringIO()
    with Bars(console=Console(file=file, width=80, force_terminal=True), auto_refresh=False) as bars:
        task = bars.add_task("at work", total=10)
        clock[0] += 100
        bars.advance(task)
        assert "1 of 10" not in file.getvalue()
