import base64
import io
import re
import subprocess
import sys
from types import SimpleNamespace

import av
import numpy as np
import pandas as pd
import pytest

from benchmarks.commands import BenchBar, publish_report, report
from benchmarks.costs import timed_keys
from benchmarks.folders import ROWS, read_rows
from benchmarks.methods import METHODS
from benchmarks.methods.base import Method
from benchmarks.metrics import get_metrics
from benchmarks.report.stored import stored_rows
from benchmarks.runner import run as run_all
from benchmarks.settings import BenchSettings
from benchmarks.statistics import Entry, leaderboard
from benchmarks.suite import make_suite
from shards import Dataset

SETTINGS = BenchSettings(bootstrap=200, examples=2, cost_samples=0)


def run(*args, **options) -> list[dict]:
    return run_all(*args, **options).rows


def entries(rows: list[dict]) -> dict[str, Entry]:
    ranking = leaderboard(rows, get_metrics("dehaze"), draws=200, permutations=1000, seed=0)
    return {entry.method: entry for entry in ranking.entries}


def toy(name: str, answer) -> Method:
    return Method(name=name, tasks=("dehaze",), summary="", paper="-", version=1, make=lambda context: answer)


@pytest.fixture
def suite(toy_dataset):
    return make_suite(toy_dataset, [], SETTINGS)


@pytest.fixture
def add_method(monkeypatch):
    def add(name: str, answer) -> None:
        monkeypatch.setitem(METHODS, name, toy(name, answer))

    return add


def crash_on(key_part: str, suite):
    """A method that fails on the one clip whose pixels are those of the sample named."""
    bad = next(suite.dataset[row["key"]].source for row in suite.rows["dehaze"] if key_part in row["key"])

    def restore(clip, instruction, reference, mask):
        if clip.shape == bad.shape and np.array_equal(clip, bad):
            raise ZeroDivisionError("no such luck")
        return clip

    return restore


def test_a_crashing_method_loses_that_cell_and_no_other(suite, add_method, tmp_path):
    add_method("fragile", crash_on("0015", suite))
    rows = run(suite, SETTINGS, tmp_path)
    failed = [row for row in rows if row["status"] != "ok"]
    assert [(row["method"], row["key"]) for row in failed] == [("fragile", "dehaze-test-0015")]
    assert "ZeroDivisionError: no such luck" in failed[0]["error"]
    entry = entries([row for row in rows if row["task"] == "dehaze"])["fragile"]
    assert (entry.samples, entry.failures, entry.coverage) == (4, 1, 0.75)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda c, *_: c[:, :-1], "answered uint8"),
        (lambda c, *_: c[:-1] if len(c) > 1 else c, "answered uint8"),
        (lambda c, *_: np.full(c.shape, np.nan), "not finite"),
        (lambda c, *_: c / 255.0, "answered float64"),
        (lambda c, *_: None, "a NoneType"),
    ],
)
def test_an_answer_that_is_no_clip_of_the_right_kind_is_a_failure(suite, add_method, tmp_path, answer, words):
    add_method("odd", answer)
    rows = [row for row in run(suite, SETTINGS, tmp_path) if row["task"] == "dehaze"]
    assert all(row["status"] == "failed" and words in row["error"] for row in rows if row["method"] == "odd")
    assert entries(rows)["odd"].scores["psnr"].mean == 0


def test_a_method_cannot_change_the_clip_that_others_see(suite, add_method, tmp_path):
    def vandal(clip, *_):
        clip[:] = 0
        return clip

    add_method("a_vandal", vandal)
    alone = [
        row["scores"]
        for row in run(
            make_suite(suite.dataset.root, [], SETTINGS),
            BenchSettings(methods=("identity",), cost_samples=0),
            tmp_path / "a",
        )
    ]
    beside = [row["scores"] for row in run(suite, SETTINGS, tmp_path / "b") if row["method"] == "identity"]
    assert alone == beside


def test_a_second_run_computes_nothing_and_gives_the_same_rows(suite, add_method, tmp_path):
    calls = []
    add_method("counted", lambda clip, *_: calls.append(1) or clip)
    first = run(suite, SETTINGS, tmp_path)
    count = len(calls)
    assert run(suite, SETTINGS, tmp_path) == first
    assert len(calls) == count > 0


def test_what_needs_a_picture_is_timed_where_there_is_one():
    rows = [{"key": f"k{n}", "clean_sha256": f"v{n}", "members": [{"name": "source.mkv"}]} for n in range(6)]
    answered = {row["key"] for row in rows}
    rows[4]["members"].append({"name": "reference.png"})
    for name, keys in (("levin", ["k4"]), ("mean_chroma", ["k0", "k1"])):
        assert timed_keys(SimpleNamespace(method=METHODS[name], rows=rows), 2, answered) == keys
    assert timed_keys(SimpleNamespace(method=METHODS["levin"], rows=rows[:3]), 2, answered) == ["k0", "k1"]
    assert timed_keys(SimpleNamespace(method=METHODS["identity"], rows=rows), 2, answered - {"k0"}) == ["k1", "k2"]


def test_costs_are_counted_apart_from_what_is_scored(toy_dataset, tmp_path):
    told = []

    class Watched(BenchBar):
        def timing(self, jobs, done):
            super().timing(jobs, done)
            scoring, timing = self.bars.tasks
            assert scoring.finished
            assert scoring.description.startswith("scoring")
            told.append((timing.description, timing.completed, timing.total))

    settings = SETTINGS.model_copy(update={"methods": ("identity", "clahe"), "limit": 1, "cost_samples": 1})
    for _ in range(2):
        with Watched() as bar:
            run(make_suite(toy_dataset, ["dehaze"], settings), settings, tmp_path, progress=bar)
            assert bar.bars.tasks[bar.times].visible == (not bar.reused)
    first, second = sorted(words for words, done, _ in told[:2])
    assert {first, second} == {"timing dehaze / clahe", "timing dehaze / identity"}
    # once they are known there is nothing to count
    assert [(done, count) for _, done, count in told] == [(0, 2), (1, 2), (2, 2), (0, 0)]


def test_a_method_is_timed_on_what_it_answers_and_not_at_all_where_that_is_nothing(suite, add_method, tmp_path):
    shy, key = crash_on("0014", suite), suite.rows["dehaze"][0]["key"]
    assert "0014" in key
    calls = []

    def never(*_):
        calls.append(1)
        raise RuntimeError("no")

    add_method("shy", shy)
    add_method("never", never)
    settings = SETTINGS.model_copy(update={"methods": ("shy", "never")})
    suite = make_suite(suite.dataset.root, ["dehaze"], settings)
    run_all(suite, settings, tmp_path)
    asked = len(calls)
    done = run_all(suite, settings.model_copy(update={"cost_samples": 1}), tmp_path / "timed")
    assert len(calls) == 2 * asked
    assert done.costs["dehaze", "shy"]["warm_seconds_per_frame"] > 0
    assert done.costs["dehaze", "never"]["warm_seconds_per_frame"] is None


def test_a_killed_run_loses_at_most_the_line_it_was_writing(suite, tmp_path):
    first = run(suite, SETTINGS, tmp_path)
    text = (tmp_path / ROWS).read_text()
    (tmp_path / ROWS).write_text(text[: len(text) * 2 // 3])
    kept = len(read_rows(tmp_path))
    assert 0 < kept < len(first)
    again = run(suite, SETTINGS, tmp_path)
    times = {"seconds_per_frame", "scoring_seconds"}
    drop_time = [{k: v for k, v in row.items() if k not in times} for row in first]
    assert [{k: v for k, v in row.items() if k not in times} for row in again] == drop_time


def test_rows_of_another_version_of_a_method_do_not_serve_again(suite, monkeypatch, tmp_path):
    calls = []
    for version in (1, 2):
        method = Method(
            name="v",
            tasks=("dehaze",),
            summary="",
            paper="-",
            version=version,
            make=lambda c: lambda clip, *_: calls.append(1) or clip,
        )
        monkeypatch.setitem(METHODS, "v", method)
        run(suite, SETTINGS, tmp_path)
    assert len(calls) == 2 * (4 + 1)


def test_the_tables_are_derived_from_the_rows(suite, tmp_path):
    done = run_all(suite, SETTINGS, tmp_path)
    rows = done.rows
    publish_report(tmp_path, done, SETTINGS, suite.dataset)
    table = pd.read_parquet(tmp_path / "rows.parquet")
    expected = table.groupby(["task", "method", "source_id"])["psnr"].mean().groupby(["task", "method"]).mean()
    printed = pd.read_csv(tmp_path / "leaderboard.csv").query("metric == 'psnr'").set_index(["task", "method"])["mean"]
    assert printed.sort_index().to_dict() == pytest.approx(expected.sort_index().to_dict())
    markdown = (tmp_path / "leaderboard.md").read_text()
    for (_, method), value in expected.items():
        assert re.search(rf"\| {method}( \*| \(o\))? \| {value:.2f}", markdown)
    before = markdown, (tmp_path / "leaderboard.csv").read_text()
    assert stored_rows(tmp_path)[0]["scores"] == rows[0]["scores"]
    report(tmp_path)
    assert before == ((tmp_path / "leaderboard.md").read_text(), (tmp_path / "leaderboard.csv").read_text())


def test_the_page_holds_everything_and_every_clip_plays(suite, tmp_path):
    settings = SETTINGS.model_copy(update={"methods": ("dark_channel", "mean_chroma")})
    publish_report(tmp_path, run_all(suite, settings, tmp_path), settings, suite.dataset)
    page = (tmp_path / "index.html").read_text()
    assert all(link.startswith(("data:", "#")) for link in re.findall(r"""(?:src|href)=["']([^"']*)""", page))
    clips = re.findall(r"data:video/mp4;base64,([^\"]+)", page)
    # two tasks, two samples each, of which source, answer and target are shown
    assert len(clips) == 2 * 2 * 3
    for clip in clips:
        with av.open(io.BytesIO(base64.b64decode(clip))) as container:
            assert len(list(container.decode(video=0))) == 4


def test_a_limit_takes_turns_between_videos(toy_dataset):
    suite = make_suite(toy_dataset, ["dehaze"], BenchSettings(limit=2))
    assert len({row["source_id"] for row in suite.rows["dehaze"]}) == 2


def bench(*arguments: object) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_the_command_prints_boards_and_conventions(toy_dataset, tmp_path):
    done = bench("run", "--all", "--data", toy_dataset, "--out", tmp_path / "o", "--methods", "identity")
    assert done.returncode == 0, done.stderr
    assert "dehaze: 4 clips of 2 videos" in done.stdout
    assert "a method below it does harm" in done.stdout
    assert "no crop" in (tmp_path / "o" / "leaderboard.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--data", "/nowhere"], "not a dataset folder"),
        (["--data", "{data}", "--task", "dehase"], "did you mean 'dehaze'"),
        (["--data", "{data}", "--methods", "dark_chanel"], "did you mean 'dark_channel'"),
        (["--data", "{data}", "--model", "/nowhere"], "/nowhere"),
        (["--data", "{data}", "--split", "tset"], "has no tset"),
        (["--data", "{data}", "--set", "botstrap=3"], "did you mean 'bootstrap'"),
        (["--data", "{data}", "--out", "{data}/manifest.json"], "is a file"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(toy_dataset, tmp_path, arguments, words):
    given = [argument.format(data=toy_dataset) for argument in arguments]
    done = bench("run", *given, *(["--out", tmp_path / "o"] if "--out" not in given else []))
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert done.returncode == 2, done.stderr
    assert len(lines) == 1
    assert words in lines[0]


def test_without_data_scenes_are_built_and_scored(tmp_path):
    (tmp_path / "r.yaml").write_text("extends: bench\nclip: {frames: 2, size: 48}\nscenes: {count: 4}\n")
    line = ["--set", f"recipe={tmp_path}/r.yaml", "--methods", "dark_channel,telea", "--workers", 0]
    done = bench("run", "--out", tmp_path / "o", *line)
    assert done.returncode == 0, done.stderr
    assert set(Dataset(tmp_path / "o" / "scenes").tasks) > {"dehaze", "recolor", "segment"}
    assert "dark_channel" in done.stdout
