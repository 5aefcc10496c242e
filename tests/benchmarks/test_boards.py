"""What a table says beside its numbers, and a comparison beside tables, on runs whose rows are made up."""

import io
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

import benchmarks.compare
from benchmarks.metrics import METRICS
from benchmarks.report import TEXTS, make_boards, to_json, to_markdown, to_terminal
from benchmarks.report.page import _places
from benchmarks.runner import Run
from benchmarks.settings import BenchSettings
from benchmarks.suites import find_suite
from configs import DatasetError

SETTINGS = BenchSettings(bootstrap=100, permutations=1000)


def row(method: str, video: int, psnr: float, **more) -> dict:
    return {
        "task": "deblur",
        "board": "deblur",
        "method": method,
        "ranked": True,
        "learns": False,
        "leaked": False,
        "parameters": 0,
        "key": f"{video}",
        "video": f"v{video:02}",
        "status": "ok",
        "scores": {"psnr": psnr},
        "dataset": "d",
        "metric_versions": ", ".join(f"{metric.name} {metric.version}" for metric in METRICS.values()),
        "weights": {},
        "frames": 8,
        "seconds_per_frame": 0.1,
        **more,
    }


def board(rows: list[dict], settings: BenchSettings = SETTINGS, **facts):
    (found,) = make_boards(Run(rows=rows, facts=facts), settings)
    return found


def contest(videos: int, methods: int) -> list[dict]:
    # no two pairs of methods differ by the same on all videos
    return [row(f"m{n}", v, 20 + n + (7 * v * (n + 1) % 5) / 10) for n in range(methods) for v in range(videos)]


def test_a_table_says_when_its_videos_are_too_few_for_its_methods():
    assert "8 clips of 8 videos" in board(contest(8, 5)).size
    assert board(contest(8, 5)).size.endswith("; 8 videos cannot tell 5 methods apart: none is marked best")
    assert "; can tell apart methods that differ by " in board(contest(8, 3)).size
    assert board(contest(5, 3)).size.endswith("; below 6 videos nothing can be told apart: none is marked best")
    assert board(contest(8, 1)).size.endswith("ranked by PSNR")


def test_a_table_that_finds_large_differences_does_not_say_that_its_videos_find_none():
    rows = [row(name, v, 20 + v * n % 5) for n, name in enumerate(("a", "b"), start=1) for v in range(8)]
    told = board(rows).size
    assert re.search(
        r"; can tell apart methods that differ by \S+ dB or more; these 2 are not told apart: none is", told
    )


def test_a_difference_that_no_two_methods_can_have_is_not_promised():
    # 0 or 1 by turns: below seven videos of such spread, J&F would have to differ by more than it can
    rows = [
        row(name, v, 0, task="segment", board="segment", scores={"jf": float((v + n) % 3 == 0)})
        for n, name in enumerate(("a", "b"))
        for v in range(7)
    ]
    found = board(rows)
    assert found.least_difference is None
    assert found.size.endswith("ranked by J&F; 7 videos cannot tell 2 methods apart: none is marked best")


def equal(*names: str, videos: int = 8) -> list[dict]:
    return [row(name, v, 20 + 7 * v % 5 / 3) for name in names for v in range(videos)]


def test_methods_with_equal_answers_share_a_rank_and_no_difference_is_promised():
    found = board(equal("a", "b"))
    assert [line.rank for line in found.lines] == ["1-2", "1-2"]
    assert found.least_difference is None
    assert found.size.endswith("; 8 videos cannot tell 2 methods apart: none is marked best")
    # beside one that is better, on every video by another amount
    rows = equal("a", "b") + [row("c", v, 30 + v) for v in range(8)]
    found = board(rows)
    assert {line.entry.method: line.rank for line in found.lines} == {"c": "1", "a": "2-3", "b": "2-3"}
    # by the same amount on every video: they are told apart, but not how large a difference must be
    found = board(equal("a") + [{**one, "scores": {"psnr": one["scores"]["psnr"] + 0.1}} for one in equal("b")])
    assert {line.entry.method: line.rank for line in found.lines} == {"a": "2", "b": "1"}
    assert found.least_difference is None
    assert found.size.endswith("ranked by PSNR")


@pytest.mark.parametrize(
    "told", [{"status": "failed", "scores": {}}, {"status": "invalid", "scores": {}}, {"scores": {}}]
)
def test_a_board_that_nobody_has_a_number_on_is_a_board_in_every_form(told):
    rows = [{**one, **told} for one in equal("a", "b")]
    found = board(rows)
    assert [line.rank for line in found.lines] == ["-", "-"]
    assert found.least_difference is None
    for text in TEXTS.values():
        assert text([found])
    assert "| - | a | n/a |" in to_markdown([found])
    assert pd.read_csv(io.StringIO(TEXTS["leaderboard.csv"]([found])))["method"].tolist() == ["a", "b"]


def test_a_method_alone_is_first_and_one_without_a_number_has_no_rank():
    assert [line.rank for line in board(equal("a")).lines] == ["1"]
    found = board(equal("a") + [{**one, "scores": {}} for one in equal("b")])
    assert {line.entry.method: line.rank for line in found.lines} == {"a": "1", "b": "-"}


def test_equal_runs_are_compared_without_a_difference(monkeypatch, capsys):
    from benchmarks.commands import compare as print_differences

    error = {"scores": {"psnr": 20.0, "warping_error": 0.5}}
    runs = {name: Run(rows=[{**one, **error} for one in equal("a")], facts={}) for name in ("before", "after")}
    monkeypatch.setattr(benchmarks.compare, "load_run", lambda folder: runs[folder.name])
    print_differences(Path("before"), Path("after"), None)
    told = capsys.readouterr().out
    assert "+0.00 [0.00, 0.00]  1.000" in told
    assert "-0.0" not in told


def test_a_table_loses_its_intervals_before_it_is_wider_than_the_terminal():
    name = "method_with_a_name_of_28_sign"
    scores = {"psnr": 20.0, "ssim": 0.5, "temporal_psnr": 20.0, "warping_error": 1.0}
    found = board([row(name, v, 0.0, scores={**scores, "psnr": 20.0 + v}) for v in range(8)])

    def lines(width, table):
        console = Console(width=width, file=io.StringIO())
        console.print(table)
        return console.file.getvalue().splitlines()

    wide, narrow = (lines(width, to_terminal(found, width)) for width in (120, 80))
    assert any(f"{name}  23.50 [" in line for line in wide)
    assert any(f"{name}  " in line and "23.50" in line and "0/8" in line for line in narrow)
    assert not any("[" in line for line in narrow)
    assert max(map(len, narrow)) <= 80
    assert "[" in "".join(lines(120, to_terminal(found)))


def test_the_terminal_has_the_units_of_the_markdown():
    found = board([row("m", v, 0.0, scores={"psnr": 20.0 + v, "warping_error": 0.05}) for v in range(3)])
    heads = [" ".join(str(column.header).split()) for column in to_terminal(found).columns]
    assert "E_warp (1e-2) ↓" in heads
    assert f"| {' | '.join(heads)} |" in to_markdown([found])


def test_ranks_are_numbers_in_the_csv():
    table = pd.read_csv(io.StringIO(TEXTS["leaderboard.csv"]([board(equal("a", "b"))])))
    assert table.groupby("method")[["rank_first", "rank_last"]].first().loc["a"].tolist() == [1, 2]
    numbers = ["rank_first", "rank_last", "mean", "low", "high", "samples", "failures", "invalid", "videos"]
    assert all(table[name].dtype.kind in "fi" for name in numbers)


def of_suite(average: str) -> dict:
    standard = find_suite("gopro").model_copy(update={"average": average, "videos": None})
    return {"suite": standard.model_dump(mode="json")}


def uneven(level: float) -> list[dict]:
    """Return rows of two methods on 8 videos in 2 sets, each cut into 32 frames and 3; one clip has failed."""
    rng = np.random.default_rng(0)
    rows = [
        row(method, v, level + rng.normal(0, 5), key=f"{v}-{clip}", frames=frames, source=f"v{v}", set="ab"[v > 5])
        for method in ("m", "identity")
        for v in range(8)
        for clip, frames in enumerate((32 + v, 3))
    ]
    rows[3] |= {"status": "failed", "scores": {}}
    return rows


@pytest.mark.parametrize("average", ["videos", "frames", "clips", "sets"])
def test_a_comparison_says_the_means_of_the_tables_however_clips_were_cut(average, monkeypatch):
    runs = {
        name: Run(rows=uneven(level), facts=of_suite(average)) for name, level in (("before", 25.0), ("after", 27.0))
    }
    monkeypatch.setattr(benchmarks.compare, "load_run", lambda folder: runs[folder.name])
    found = {one.method: one for one in benchmarks.compare.compare(Path("before"), Path("after"))}
    for method in ("m", "identity"):
        tables = [
            {line.entry.method: line.entry for line in board(run.rows, **run.facts).lines} for run in runs.values()
        ]
        means = [table[method].scores["psnr"].mean for table in tables]
        assert [found[method].first, found[method].second] == pytest.approx(means)
        assert found[method].gain.mean == pytest.approx(means[1] - means[0])
        assert (found[method].samples, found[method].videos) == (16, 8)


def test_means_over_frames_and_over_clips_are_not_compared(monkeypatch):
    runs = {average: Run(rows=uneven(25.0), facts=of_suite(average)) for average in ("frames", "clips")}
    monkeypatch.setattr(benchmarks.compare, "load_run", lambda folder: runs[folder.name])
    with pytest.raises(DatasetError, match="one run's mean is over frames, the other's over clips"):
        benchmarks.compare.compare(Path("frames"), Path("clips"))


def test_runs_that_take_other_clips_for_one_video_are_not_compared(monkeypatch):
    rows = uneven(25.0)
    named = [row | {"video": f"named {7 - int(row['video'][1:])}"} for row in rows]
    runs = {"a": Run(rows=rows, facts={"suite": None}), "b": Run(rows=named, facts={"suite": None})}
    monkeypatch.setattr(benchmarks.compare, "load_run", lambda folder: runs[folder.name])
    with pytest.raises(DatasetError, match="tell videos apart in two ways"):
        benchmarks.compare.compare(Path("a"), Path("b"))


def gopro_rows(videos: int, frames: int) -> list[dict]:
    return [row("identity", v, 25.0, frames=frames) for v in range(videos)]


@pytest.mark.parametrize(
    ("rows", "limit", "words"),
    [
        (gopro_rows(11, 101), None, None),
        (gopro_rows(11, 1), None, "NOT THE WHOLE TEST SET: 11 of 1111 frames, while"),
        (gopro_rows(2, 101), None, "NOT THE WHOLE TEST SET: 2 of 11 videos, 202 of 1111 frames, while"),
        (gopro_rows(11, 1), 11, "NOT THE WHOLE TEST SET: 11 of 1111 frames, at most 11 clips (limit), while"),
        (
            gopro_rows(1, 1),
            1,
            "NOT THE WHOLE TEST SET: 1 of 11 videos, 1 of 1111 frames, at most 1 clip (limit), while",
        ),
    ],
)
def test_a_part_of_a_test_set_is_said_with_the_number_that_is_short(rows, limit, words):
    facts = {"suite": find_suite("gopro").model_dump(mode="json")}
    told = board(rows, SETTINGS.model_copy(update={"limit": limit}), **facts).warning
    assert words in told if words else "NOT THE WHOLE" not in told


def test_a_limit_is_said_where_a_test_set_has_no_numbers():
    facts = {"suite": find_suite("bsd").model_copy(update={"videos": None}).model_dump(mode="json")}
    told = board(gopro_rows(11, 1), SETTINGS.model_copy(update={"limit": 11}), **facts).warning
    assert told == "NOT THE WHOLE TEST SET: at most 11 clips (limit)", "nothing is reported that could be compared"
    assert not board(gopro_rows(11, 1), **facts).warning


def test_a_convention_says_the_mean_that_its_table_takes():
    metric = METRICS["psnr"]
    assert board(uneven(25.0)).average == "videos"
    assert metric.in_full().endswith(
        "mean over the clip's frames, then the mean over a video's clips by their frames, then over videos"
    )
    for average in ("frames", "clips", "sets"):
        found = board(uneven(25.0), **of_suite(average))
        assert metric.in_full(found.average) in to_markdown([found])
        assert metric.in_full() not in to_markdown([found])
    assert METRICS["warping_error_pasted"].in_full("frames").endswith("then over videos")
    assert METRICS["overall_iou"].in_full("clips").endswith("one value for all clips together")


@pytest.mark.parametrize(("videos", "failed", "told"), [(12, 0, False), (12, 2, True), (12, 6, False), (5, 2, False)])
def test_a_method_whose_mean_rests_on_a_few_failures_is_marked(videos, failed, told):
    rows = contest(videos, 2)
    for number in range(failed):
        rows[number] |= {"status": "failed", "scores": {}}
    notes = {line.entry.method: line.notes for line in board(rows).lines}
    words = f"m0 failed on {failed} of {videos} videos, and a failure counts as the worst value: its interval and rank rest on"
    assert any(note.startswith(words) for note in notes["m0"]) == told
    assert notes["m1"] == ()


def test_what_papers_report_is_written_in_the_order_in_which_a_run_is_read_back():
    reported = find_suite("ref-davis17").reported
    assert list(reported[0].scores) == ["jf", "j", "f"]
    (written,) = json.loads(to_json([replace(board(contest(8, 2)), reported=reported)]))
    assert [list(row["scores"]) for row in written["reported"]] == [["f", "j", "jf"]] * len(reported)


def test_a_method_has_one_colour_on_all_boards():
    rows = [
        *contest(8, 3),
        *(one | {"task": "dehaze", "board": "dehaze"} for one in contest(8, 5) if one["method"] in ("m1", "m4")),
    ]
    run = Run(rows=rows, facts={})
    first, second = (_places(board, run) for board in make_boards(run, SETTINGS))
    assert first["m1"] == second["m1"]
    assert len(set(first.values())) == len(first) >= 3
    assert len(set(second.values())) == len(second)
