"""What a run writes and reads: full disks, damaged shards and folders, two runs at once, one that was killed."""

import json
import os
import shutil
import sys
import tarfile
from pathlib import Path

import pytest

from benchmarks.audit import audit
from benchmarks.commands import publish_report, report
from benchmarks.folders import holding, read_rows
from benchmarks.runner import run as run_all
from benchmarks.suite import make_suite
from configs import DatasetError, OutputError
from tests.benchmarks.test_faults import SETTINGS, of_toy, run, shell, write_dataset
from tests.processes import running, wait_for


@pytest.fixture
def suite(toy_dataset):
    return make_suite(toy_dataset, ["dehaze"], SETTINGS)


def test_a_full_disk_ends_the_run_and_is_not_the_method_s_failure(suite, tmp_path, toy_method, monkeypatch):
    def full(path, data):
        raise OutputError(f"cannot write {path}: No space left on device")

    toy_method(lambda clip, *_: clip)
    run(suite, SETTINGS.model_copy(update={"methods": ("identity",)}), tmp_path)
    monkeypatch.setattr("benchmarks.workers.publish", full)
    with pytest.raises(OutputError, match="No space left"):
        run(suite, SETTINGS, tmp_path)
    assert not of_toy(read_rows(tmp_path))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("name", ["rows.jsonl", "costs.jsonl"])
def test_a_line_that_cannot_be_written_ends_the_run_and_names_its_file(suite, tmp_path, toy_method, name):
    toy_method(lambda clip, *_: clip)
    (tmp_path / name).symlink_to("/dev/full")
    with pytest.raises(OutputError, match=rf"cannot write {tmp_path / name}: No space left on device; make room"):
        run(suite, SETTINGS.model_copy(update={"cost_samples": 1}), tmp_path)
    (tmp_path / name).unlink()
    kept = len(read_rows(tmp_path))
    assert kept == (0 if name == "rows.jsonl" else 8)
    assert len(run(suite, SETTINGS, tmp_path)) == 8


def test_a_shard_cut_short_ends_the_run_and_is_not_the_method_s_failure(tmp_path, toy_method):
    root = write_dataset(tmp_path / "dataset")
    shard = root / "dehaze" / "test-000000.tar"
    shard.write_bytes(shard.read_bytes()[:20_000])
    toy_method(lambda clip, *_: clip)
    with pytest.raises(DatasetError, match="cut short"):
        run(make_suite(root, [], SETTINGS), SETTINGS, tmp_path / "out")
    assert not any(row["status"] == "failed" for row in read_rows(tmp_path / "out"))


def flip_a_byte(shard: Path) -> None:
    """Change the middle of the largest member, which stays of its size."""
    with tarfile.open(shard) as tar:
        largest = max(tar, key=lambda info: info.size)
    data = bytearray(shard.read_bytes())
    data[largest.offset_data + largest.size // 2] ^= 1
    shard.write_bytes(data)


def test_a_dataset_whose_scored_shard_was_changed_is_neither_scored_nor_passed_by_verify(tmp_path, toy_method):
    root = write_dataset(tmp_path / "dataset")
    toy_method(lambda clip, *_: clip)
    suite = make_suite(root, [], SETTINGS)
    publish_report(tmp_path / "out", run_all(suite, SETTINGS, tmp_path / "out"), SETTINGS, suite.dataset)
    assert audit(tmp_path / "out").wrong == []
    flip_a_byte(root / "dehaze" / "test-000000.tar")
    with pytest.raises(DatasetError, match=r"test-000000\.tar: changed.*'datagen verify .*dataset' lists the damage"):
        run(make_suite(root, [], SETTINGS), SETTINGS, tmp_path / "new")
    assert not (tmp_path / "new").exists()
    assert ["test-000000.tar: changed" in words for words in audit(tmp_path / "out").wrong] == [True]
    done = shell("run", "--data", root, "--out", tmp_path / "new", "--methods", "identity")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


def test_what_was_changed_in_shards_that_are_not_scored_does_not_stop_a_run(toy_dataset, tmp_path, toy_method):
    root = shutil.copytree(toy_dataset, tmp_path / "dataset")
    for name in ("dehaze/val-000000.tar", "recolor/test-000000.tar"):
        flip_a_byte(root / name)
    toy_method(lambda clip, *_: clip)
    assert len(run(make_suite(root, ["dehaze"], SETTINGS), SETTINGS, tmp_path / "out")) == 8


def test_a_report_is_made_again_from_any_folder(toy_dataset, tmp_path, toy_method, monkeypatch):
    toy_method(lambda clip, *_: clip)
    monkeypatch.chdir(toy_dataset.parent)
    suite = make_suite(Path(toy_dataset.name), ["dehaze"], SETTINGS)
    publish_report(tmp_path, run_all(suite, SETTINGS, tmp_path), SETTINGS, suite.dataset)
    made = (tmp_path / "index.html").read_bytes()
    monkeypatch.chdir("/")
    report(tmp_path)
    assert (tmp_path / "index.html").read_bytes() == made


def test_a_report_refuses_a_dataset_that_was_built_anew_since(tmp_path, toy_method):
    toy_method(lambda clip, *_: clip)
    suite = make_suite(write_dataset(tmp_path / "dataset"), [], SETTINGS)
    run(suite, SETTINGS, tmp_path / "out")
    write_dataset(tmp_path / "dataset", number=20)
    with pytest.raises(DatasetError, match=r"scored content .* holds"):
        report(tmp_path / "out")


@pytest.mark.parametrize("name", ["run.json", "rows.parquet"])
def test_a_damaged_run_is_one_clear_error(suite, tmp_path, toy_method, name):
    toy_method(lambda clip, *_: clip)
    run(suite, SETTINGS, tmp_path)
    (tmp_path / name).write_text("{")
    with pytest.raises(DatasetError, match="damaged"):
        report(tmp_path)


def test_two_runs_at_once_in_one_folder_are_refused_and_so_is_a_report(toy_dataset, tmp_path):
    words = ["run", "--data", toy_dataset, "--out", tmp_path, "--methods", "identity", "--workers", 0]
    assert shell(*words).returncode == 0
    with holding(tmp_path):
        for command in (words, ["report", tmp_path]):
            done = shell(*command)
            assert (done.returncode, done.stderr.count("\n")) == (2, 1)
            assert f"{tmp_path}: another run (process {os.getpid()}) is at work here; wait for it" in done.stderr
    assert shell("report", tmp_path).returncode == 0


def test_a_folder_of_a_run_on_another_dataset_is_refused_before_anything_is_scored(tmp_path, toy_method):
    out = tmp_path / "out"
    words = ["--out", out, "--methods", "identity", "--workers", 0]
    first, second = (write_dataset(tmp_path / name, number) for name, number in (("a", 14), ("b", 20)))
    assert shell("run", "--data", first, *words).returncode == 0
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file() and path.name != ".lock"}
    done = shell("run", "--data", second, *words)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert f"{out} holds a run on another dataset" in done.stderr
    assert "give each dataset an --out of its own" in done.stderr
    assert before == {path: path.read_bytes() for path in before}
    moved = first.rename(tmp_path / "c")
    assert "served again" in shell("run", "--data", moved, *words).stdout


def test_a_folder_that_holds_no_run_is_not_written_to_by_a_report(tmp_path):
    with pytest.raises(DatasetError, match="no finished benchmark run"):
        report(tmp_path)
    assert list(tmp_path.iterdir()) == []


SLOW = """
import sys, time
from pathlib import Path
from benchmarks.methods import METHODS, Method
from benchmarks.runner import run
from benchmarks.settings import BenchSettings
from benchmarks.suite import make_suite

def slow(clip, *_):
    time.sleep(0.2)
    return clip

METHODS["toy"] = Method(name="toy", tasks=("dehaze",), summary="", paper="-", version=1, make=lambda context: slow)
settings = BenchSettings(bootstrap=100, examples=2, methods=("toy",), cost_samples=0)
run(make_suite(Path(sys.argv[1]), ["dehaze"], settings), settings, Path(sys.argv[2]))
"""


def test_a_killed_run_goes_on_where_it_was(suite, toy_dataset, tmp_path, toy_method):
    with running(sys.executable, "-c", SLOW, toy_dataset, tmp_path):
        wait_for(lambda: len(read_rows(tmp_path)) >= 6)
    before = read_rows(tmp_path)
    assert 6 <= len(before) < 8
    assert not (tmp_path / "rows.parquet").exists()
    calls = []
    toy_method(lambda clip, *_: calls.append(1) or clip)
    rows = run(suite, SETTINGS, tmp_path)
    assert rows[: len(before)] == before
    assert len(rows) == 8
    assert len(calls) == 8 - len(before) + 1
    assert all(json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines())
