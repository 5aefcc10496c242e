"""Every form of the report says the same, and what compares and shows runs does so."""

import json
import re
import subprocess
import sys
import threading
import urllib.request
from dataclasses import replace

import pandas as pd
import pytest

from benchmarks.audit import audit
from benchmarks.commands import publish_report
from benchmarks.compare import compare
from benchmarks.report import TEXTS, make_boards
from benchmarks.report.stored import load_run
from benchmarks.runner import run
from benchmarks.serve import serve
from benchmarks.settings import BenchSettings
from benchmarks.suite import make_suite
from configs import ConfigError, DatasetError, OutputError
from shards import Manifest, encode_sample, write_shard
from tests.benchmarks.conftest import REPORTED as SETTINGS
from tests.benchmarks.test_audit import rewrite_everywhere
from tests.conftest import make_sample


def test_all_tables_say_the_same(finished):
    boards = json.loads((finished[0] / "leaderboard.json").read_text())
    table = pd.read_csv(finished[0] / "leaderboard.csv")
    markdown, latex = ((finished[0] / f"leaderboard.{ending}").read_text() for ending in ("md", "tex"))
    rows = pd.read_parquet(finished[0] / "rows.parquet")
    for entry in boards[0]["methods"]:
        name, mean = entry["method"], entry["scores"]["psnr"]["mean"]
        expected = rows[rows["method"] == name].groupby("video")["psnr"].mean().mean()
        assert mean == pytest.approx(expected)
        assert table.query("method == @name and metric == 'psnr'")["mean"].item() == pytest.approx(mean)
        assert re.search(rf"\| {name}( \(o\))? \| {mean:.2f}", markdown)
        tex_name = name.replace("_", r"\_")
        assert re.search(rf"{re.escape(tex_name)}.* & .*{mean:.2f}", latex)


def test_tables_are_the_same_bytes_in_whatever_order_costs_were_measured(finished):
    done = load_run(finished[0])
    measured = {"warm_seconds_per_frame": 1.0, "cold_seconds_per_frame": 2.0, "peak_bytes": 3, "id": "x"}
    for text in TEXTS.values():
        texts = set()
        for names in (list(measured), sorted(measured), sorted(measured, reverse=True)):
            cost = {name: measured[name] for name in names}
            texts.add(text(make_boards(replace(done, costs={("dehaze", "good"): cost}), SETTINGS)))
        assert len(texts) == 1


def test_a_run_takes_no_folder_of_something_else(toy_dataset, folder, tmp_path):
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "a.mp4").write_bytes(b"x")
    suite = make_suite(toy_dataset, ["dehaze"], SETTINGS)
    for place, words in ((tmp_path / "videos", "not empty and no run of the bench"), (toy_dataset, "is a dataset")):
        before = sorted(place.rglob("*"))
        with pytest.raises(OutputError, match=words):
            run(suite, BenchSettings(methods=("clahe",)), place)
        assert sorted(place.rglob("*")) == before


def test_two_runs_are_compared_video_by_video(finished):
    found = {(one.method, one.metric.name): one for one in compare(*finished)}
    same = found["clahe", "psnr"]
    assert (same.gain.mean, same.chance, same.samples, same.videos) == (0, 1, 4, 2)
    changed = found["good", "psnr"]
    assert changed.gain.mean == pytest.approx(changed.second - changed.first)
    assert changed.gain.mean != 0
    back = {(one.method, one.metric.name): one for one in compare(finished[1], finished[0])}
    assert back["good", "psnr"].gain.mean == pytest.approx(-changed.gain.mean)
    crossed = compare(finished[0], finished[1], ("clahe", "good"))
    assert {one.method for one in crossed} == {"clahe -> good"}


def test_a_comparison_names_who_had_seen_the_videos(finished, folder, capsys):
    from benchmarks.commands import compare as print_differences

    rewrite_everywhere(folder, lambda row: {**row, "leaked": row["method"] == "good"})
    capsys.readouterr()
    print_differences(folder, finished[1], None)
    assert "! good has learnt from the videos of 4 dehaze samples" in capsys.readouterr().out.replace("\n", " ")


def test_a_comparison_says_on_how_many_samples_it_rests(finished, toy_dataset, tmp_path, capsys):
    from benchmarks.commands import compare as print_differences

    print_differences(*finished, None)
    assert "samples are in both runs" not in capsys.readouterr().out
    fewer = SETTINGS.model_copy(update={"methods": ("clahe",), "limit": 3, "cost_samples": 0})
    run(make_suite(toy_dataset, ["dehaze"], fewer), fewer, tmp_path)
    print_differences(finished[0], tmp_path, None)
    told = capsys.readouterr().out
    assert "dehaze clahe: 3 of 4 samples are in both runs, and they alone are compared" in told


def test_a_comparison_says_what_only_one_of_the_runs_has(finished, toy_dataset, tmp_path, capsys):
    from benchmarks.commands import compare as print_differences

    print_differences(*finished, None)
    assert "only in" not in capsys.readouterr().out
    fewer = SETTINGS.model_copy(update={"methods": ("clahe", "dark_channel"), "cost_samples": 0})
    run(make_suite(toy_dataset, [], fewer), fewer, tmp_path)
    for names, here, there in (
        (None, "known_haze (dehaze)", "task recolor, dark_channel (dehaze)"),
        ("good,dark_channel", "", ""),
        ("identity,identity", "", "task recolor"),
    ):
        print_differences(finished[0], tmp_path, names)
        told = [line for line in capsys.readouterr().out.splitlines() if line.startswith("only in")]
        said = (("first", here if not here else f"good (dehaze), {here}"), ("second", there))
        assert told == [f"only in {which}: {what}" for which, what in said if what]


def test_a_method_that_a_run_lacks_is_not_compared(finished):
    with pytest.raises(ConfigError, match="no method named 'goood'; did you mean 'good'"):
        compare(*finished, methods=("good", "goood"))


def test_the_page_is_served_to_this_machine_alone(finished):
    ready, address = threading.Event(), []
    thread = threading.Thread(
        target=serve, args=(finished[0], 0, lambda place: (address.append(place), ready.set())), daemon=True
    )
    thread.start()
    assert ready.wait(10)
    assert address[0].startswith("http://127.0.0.1:")
    with urllib.request.urlopen(address[0], timeout=30) as answer:
        assert b"Leaderboard" in answer.read()
    port = int(address[0].rstrip("/").rsplit(":", 1)[1])
    with pytest.raises(OutputError, match="try --port 0"):
        serve(finished[0], port, print)


def test_without_a_page_nothing_is_served(tmp_path):
    with pytest.raises(DatasetError, match=r"has no index\.html"):
        serve(tmp_path, 0, print)


def bench(*words: object) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "benchmarks", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_the_commands_say_it_in_lines_and_exit_codes(finished, folder):
    done = bench("verify", folder, "--method", "clahe")
    assert (done.returncode, done.stdout.count("nothing wrong")) == (0, 1), done.stderr
    (folder / "leaderboard.json").unlink()
    done = bench("verify", folder / "run.json", "--rows", 1, "--method", "clahe")
    assert done.returncode == 1
    assert "leaderboard.json is missing" in done.stderr
    assert bench("verify", folder.parent).returncode == 2
    assert "exit code 1 if not, 2 if" in " ".join(bench("verify", "--help").stdout.split())
    done = bench("compare", *finished, "--methods", "clahe,good")
    assert "clahe -> good" in done.stdout
    done = bench("compare", *finished, "--methods", "clahe")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


def test_tasks_without_samples_in_the_split_are_said_by_every_report(tmp_path):
    root, shards = tmp_path / "dataset", []
    for task, split in (("dehaze", "test"), ("recolor", "train")):
        shards.append(write_shard(root / task / f"{split}-000000.tar", [encode_sample(make_sample(task, split, 0))]))
    Manifest(recipe={}, recipe_digest="0", code_version="0", shards=tuple(shards), sources=1).save(root)
    settings = SETTINGS.model_copy(update={"methods": ("identity",)})
    suite = make_suite(root, [], settings)
    publish_report(tmp_path / "run", run(suite, settings, tmp_path / "run"), settings, suite.dataset)
    said = "not scored, for there are no test samples of them: recolor"
    assert suite.not_scored == said
    assert f"Tasks {said}." in (tmp_path / "run" / "leaderboard.md").read_text()
    assert f"Tasks {said}." in (tmp_path / "run" / "index.html").read_text()
    assert "(1 clip of 1 video, " in (tmp_path / "run" / "leaderboard.md").read_text()
    assert audit(tmp_path / "run").wrong == []
    assert make_suite(root, ["dehaze"], settings).not_scored == ""
