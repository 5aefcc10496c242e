"""What goes wrong around a method, and must neither be hidden nor be blamed on it."""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from benchmarks.metrics import METRICS, Outcome, get_metrics
from benchmarks.report import make_boards, to_terminal
from benchmarks.report.page import pick
from benchmarks.runner import prediction_path
from benchmarks.runner import run as run_all
from benchmarks.settings import BenchSettings
from benchmarks.statistics import leaderboard
from benchmarks.suite import make_suite, spread
from configs import DatasetError
from shards import Manifest, encode_sample, read_video, write_card, write_shard
from tests.conftest import make_sample

SETTINGS = BenchSettings(bootstrap=100, examples=2, methods=("toy",), cost_samples=0)


def run(*args, **options) -> list[dict]:
    return run_all(*args, **options).rows


@pytest.fixture
def suite(toy_dataset):
    return make_suite(toy_dataset, ["dehaze"], SETTINGS)


def of_toy(rows: list[dict]) -> list[dict]:
    return [row for row in rows if row["method"] == "toy"]


def write_dataset(root: Path, number: int = 14) -> Path:
    encoded = [encode_sample(make_sample("dehaze", "test", n)) for n in range(number, number + 2)]
    shard = write_shard(root / "dehaze" / "test-000000.tar", encoded)
    manifest = Manifest(recipe={"seed": 0}, recipe_digest="0", code_version="0", shards=(shard,), sources=1)
    write_card(root, manifest, {"CC0-1.0": 2})
    manifest.save(root)
    return root


def test_the_clip_that_is_kept_is_the_one_that_was_scored(suite, tmp_path, toy_method):
    for version, value in ((1, 10), (2, 240), (1, 10)):
        toy_method(lambda clip, *_, value=value: np.full_like(clip, value), version=version)
        first = of_toy(run(suite, SETTINGS, tmp_path))[0]
        assert (read_video(prediction_path(tmp_path, first)) == value).all()


def test_a_method_that_needs_several_frames_is_not_lost_to_the_warm_up(suite, tmp_path, toy_method):
    def needs_two(clip, *_):
        if len(clip) < 2:
            raise ValueError("at least two frames")
        return clip

    toy_method(needs_two)
    assert {row["status"] for row in run(suite, SETTINGS, tmp_path)} == {"ok"}


def test_a_method_that_cannot_be_made_is_tried_once_and_fails_its_cells(suite, tmp_path, toy_method):
    attempts = []

    def make(context):
        attempts.append(1)
        raise MemoryError("weights of 80 GB")

    toy_method(make=make)
    rows = run(suite, SETTINGS, tmp_path)
    assert [row["status"] for row in of_toy(rows)] == ["failed"] * 4
    assert all("weights of 80 GB" in row["error"] for row in of_toy(rows))
    assert len(attempts) == 1
    assert {row["status"] for row in rows if row["method"] == "identity"} == {"ok"}


def test_a_method_that_leaves_the_program_fails_its_cells(suite, tmp_path, toy_method):
    toy_method(lambda clip, *_: sys.exit("no licence"))
    rows = run(suite, SETTINGS, tmp_path)
    assert [row["status"] for row in of_toy(rows)] == ["failed"] * 4
    assert all("SystemExit: no licence" in row["error"] for row in of_toy(rows))
    assert {row["status"] for row in rows if row["method"] == "identity"} == {"ok"}


class Strange(BaseException):
    """Neither an Exception nor one of Python's own."""


class Unreadable(Exception):
    """Its message fails, too."""

    def __str__(self) -> str:
        raise TypeError("no words")


@pytest.mark.parametrize("error", [Strange("x"), Unreadable()])
def test_whatever_a_method_raises_is_its_own_failure(suite, tmp_path, toy_method, error):
    def restore(clip, instruction, reference, mask):
        raise error

    toy_method(restore)
    assert {row["status"] for row in of_toy(run(suite, SETTINGS, tmp_path))} == {"failed"}


def test_a_masked_array_is_no_clip(suite, tmp_path, toy_method):
    toy_method(lambda clip, *_: np.ma.masked_less(clip, 3))
    rows = of_toy(run(suite, SETTINGS, tmp_path))
    assert {row["status"] for row in rows} == {"failed"}
    assert "MaskedArray" in rows[0]["error"]


def test_frames_too_small_for_a_metric_are_no_method_s_failure(suite, tmp_path, toy_method, monkeypatch):
    toy_method(lambda clip, *_: clip)
    monkeypatch.setitem(METRICS, "ssim", replace(METRICS["ssim"], least_side=33))
    with pytest.raises(DatasetError, match=r"ssim needs frames of 33 pixels at least.*is 48x32.*larger clip.size"):
        run(suite, SETTINGS, tmp_path)


def test_a_failed_row_is_tried_again_and_the_good_ones_are_not(suite, tmp_path, toy_method):
    broken, calls = [True], []

    def flaky(clip, *_):
        calls.append(1)
        if broken[0] and len(calls) > 3:
            raise OSError("no luck")
        return clip

    toy_method(flaky)
    assert sum(row["status"] == "failed" for row in run(suite, SETTINGS, tmp_path)) == 2
    broken[0], calls[:] = False, []
    assert {row["status"] for row in run(suite, SETTINGS, tmp_path)} == {"ok"}
    assert len(calls) == 3  # the two that failed, and one to warm up


@pytest.mark.parametrize("task", ["dehaze", "inpaint", "recolor", "segment", "edit"])
def test_no_answer_scores_below_what_a_failure_counts_or_beyond_the_best(task):
    rng = np.random.default_rng(1)
    shape = (5, 180, 180)
    texture = rng.integers(0, 2, (*shape, 1), dtype=np.uint8).repeat(3, axis=3) * np.uint8(255)
    mask = np.zeros(shape, np.uint8)
    mask[:, 40:90, 40:90] = 255
    sample = make_sample(task, "test", 0)
    parameters = {"airlight": [[1.0, 1.0, 1.0]] * 5, "rgb": [240, 128, 22]}
    meta = replace(sample.meta, parameters=parameters)
    sample = replace(sample, source=texture, target=np.roll(texture, 1, axis=2), mask=mask, meta=meta)
    noise = rng.integers(0, 256, texture.shape, dtype=np.uint8)
    for answer in (np.uint8(255) - texture, texture, noise, sample.target):
        for metric in get_metrics(task):
            if metric.networks:  # not here; their tests are in test_networks.py and test_clip_scores.py
                continue
            score = metric.score(Outcome(sample, answer))
            assert score is not None, metric.name
            low, high = sorted((metric.worst, metric.best))
            assert low <= score <= high, metric.name
            assert metric.higher_is_better == (metric.best > metric.worst), metric.name


def test_two_videos_of_one_name_are_two_videos(suite, tmp_path, toy_method):
    toy_method(lambda clip, *_: clip)
    rows = [row | {"source_id": "clip"} for row in run(suite, SETTINGS, tmp_path)]
    entry = leaderboard(rows, get_metrics("dehaze"), draws=100, permutations=1000, seed=0).entries[0]
    assert entry.videos == 2
    named_alike = [{"key": f"{v}{n}", "source_id": "clip", "clean_sha256": v} for v in "ab" for n in range(3)]
    assert [row["key"] for row in spread(named_alike, 2)] == ["a0", "b0"]


def test_several_edits_of_one_video_are_one_video(suite, tmp_path, toy_method):
    toy_method(lambda clip, *_: clip)
    edits = [
        row | {"source_sha256": f"edit {n}", "clean_sha256": "alone"} for n, row in enumerate(suite.rows["dehaze"])
    ]
    rows = run(replace(suite, rows={"dehaze": edits}), SETTINGS, tmp_path)
    entry = leaderboard(rows, get_metrics("dehaze"), draws=100, permutations=1000, seed=0).entries[0]
    assert (entry.samples, entry.videos) == (4, 1)
    assert len({row["source"] for row in rows}) == 4
    # a few samples are spread over videos, not over edits
    other = edits[0] | {"clean_sha256": "another", "key": "z"}
    assert [row["key"] for row in spread([*edits, other], 2)] == [edits[0]["key"], "z"]


def test_a_row_says_which_versions_and_which_data_it_rests_on(suite, tmp_path, toy_method):
    toy_method(lambda clip, *_: clip, version=7)
    run(suite, SETTINGS, tmp_path)
    table = pd.read_parquet(tmp_path / "rows.parquet").query("method == 'toy'")
    assert set(table["method_version"]) == {7}
    versions = ", ".join(f"{metric.name} {metric.version}" for metric in get_metrics("dehaze"))
    assert set(table["metric_versions"]) == {versions}
    assert set(table["dataset"]) == {suite.dataset.manifest.sha256}


def test_few_samples_are_called_best_before_they_are_called_middle(suite, tmp_path, toy_method):
    toy_method(lambda clip, *_: clip // 2)
    limited = SETTINGS.model_copy(update={"limit": 2})
    done = run_all(make_suite(suite.dataset.root, ["dehaze"], limited), limited, tmp_path)
    (board,), rows = make_boards(done, limited), done.rows
    assert [why.split()[0] for _, why in pick(board, rows, 4)] == ["best", "worst"]
    assert len({key for key, _ in pick(board, [row | {"status": "failed"} for row in rows], 4)}) == 2


def test_a_board_fits_into_a_terminal_of_80_columns(suite, tmp_path, toy_method):
    toy_method(lambda clip, *_: clip // 2)
    (board,) = make_boards(run_all(suite, SETTINGS, tmp_path), SETTINGS)
    console = Console(width=80, record=True, file=(tmp_path / "shown").open("w"))
    console.print(to_terminal(board))
    console.file.close()
    shown = console.export_text()
    assert "…" not in shown
    for line in board.lines:
        assert re.search(rf"{line.entry.method} +{line.entry.scores['psnr'].mean:.2f} .*0/4", shown)


def shell(*words: object) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "benchmarks", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--methods", "dark_chanel"], "did you mean 'dark_channel'"),
        (["--methods", "vidiff"], "needs --model"),
        (["--task", "recolor", "--methods", "dark_channel"], "is for dehaze"),
    ],
)
def test_a_wrong_method_is_one_line_and_nothing_else(toy_dataset, tmp_path, options, words):
    done = shell("run", "--data", toy_dataset, "--out", tmp_path / "o", *options)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert words in done.stderr


def test_method_names_may_have_blanks_around_their_commas(toy_dataset, tmp_path):
    done = shell("run", "--data", toy_dataset, "--out", tmp_path, "--methods", "identity, dark_channel", "--limit", 1)
    assert done.returncode == 0, done.stderr


def test_a_failure_ends_in_exit_code_1_and_is_named(toy_dataset, tmp_path, toy_method, capsys):
    from benchmarks.commands import run_bench

    def crashes(*_):
        raise RuntimeError("no luck today")

    toy_method(crashes)
    assert run_bench(SETTINGS, toy_dataset, ["dehaze"], tmp_path) == 1
    told = capsys.readouterr()
    assert "no luck today" in told.err
    assert "4/4" in told.out


def test_who_never_answers_has_no_speed(suite, tmp_path, toy_method):
    toy_method(lambda clip, *_: clip[:-1])
    settings = SETTINGS.model_copy(update={"cost_samples": 1})
    done = run_all(suite, settings, tmp_path)
    assert ("dehaze", "toy") in done.costs
    (board,) = make_boards(done, settings)
    speeds = {line.entry.method: line.seconds_per_frame for line in board.lines}
    assert speeds.pop("toy") is None
    assert None not in speeds.values()
