import json
import pickle
import shutil
import signal
import sys
import time

import pytest

from configs import load
from datagen import Recipe, build
from datagen.builder import Progress
from datagen.ledger import load_examined
from datagen.plan import make_plan, windows
from datagen.sources import find_source
from datagen.sources.library import Library
from datagen.synthesize import build_unit, open_readers
from shards import Dataset, get_task, verify
from tests.datagen.conftest import SMALL, command, contents
from tests.processes import running, wait_for


def test_every_good_video_is_in_and_every_bad_one_is_listed_with_its_reason(built):
    dataset = Dataset(built)
    assert set(dataset.index()["source_id"].to_pylist()) == {f"video {n}" for n in range(5)}
    rejects = [json.loads(line) for line in (built / "rejects.jsonl").read_text().splitlines()]
    reasons = {reject["source"]: reject["reason"] for reject in rejects}
    assert reasons["copy of 3.mp4"] == "duplicate: the same content as video 3.mp4"
    for name, reason in {"short.mp4": "too short", "tiny.mp4": "too small", "black.mp4": "black"}.items():
        assert reasons[name].startswith(reason)
    for name in ("cut.mp4", "empty.mp4", "text.mp4"):
        assert reasons[name].startswith("unreadable")
    assert verify(built, decode=True) == []


def test_a_video_is_in_one_split_only(built):
    rows = Dataset(built).index().to_pylist()
    splits = {}
    for row in rows:
        assert splits.setdefault(row["source_sha256"], row["split"]) == row["split"]
    assert set(splits.values()) == {"train", "val", "test"}


def test_heldout_templates_never_appear_in_train(built):

    for row in Dataset(built).index().to_pylist():
        assert row["instruction"] in get_task(row["task"]).templates(row["split"])


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_on_ray_and_another_order_of_inputs_give_the_same_bytes(
    built, video_folder, small_recipe, tmp_path, workers
):
    inputs = sorted(map(str, video_folder.glob("*.mp4")), reverse=True)
    build(small_recipe, tmp_path / "x", sources=inputs, workers=workers)
    assert contents(tmp_path / "x") == contents(built)


def test_a_second_run_changes_nothing_and_is_quick(built, video_folder, small_recipe):
    before = {path: path.stat().st_mtime_ns for path in built.rglob("*.tar")}
    started = time.monotonic()
    build(small_recipe, built, sources=[str(video_folder)])
    assert time.monotonic() - started < 5
    assert {path: path.stat().st_mtime_ns for path in built.rglob("*.tar")} == before


@pytest.mark.parametrize(
    ("number", "when"), [(signal.SIGKILL, "plan"), (signal.SIGKILL, "first shard"), (signal.SIGTERM, "first shard")]
)
def test_a_killed_build_resumes_to_the_same_bytes(tmp_path, number, when):
    recipe = [*SMALL, "scenes.count=90", "clip.frames=8", "clip.size=96"]
    options = [word for value in recipe for word in ("--set", value)]
    line = ["build", "--workers", 0, *options, "--out"]
    out = tmp_path / "killed"
    with running(sys.executable, "-m", "datagen", *line, out) as process:
        wait_for((out / ".build" / "identity.json").is_file if when == "plan" else lambda: list(out.glob("*/*.tar")))
        process.send_signal(number)
        code = process.wait(10)
    assert code == (-9 if number == signal.SIGKILL else 130)
    assert not (out / "manifest.json").exists()
    survivors = {path: path.stat().st_mtime_ns for path in out.glob("*/*.tar")}
    done = {path.stem for path in (out / ".build" / "units").glob("*.json")}
    assert command(*line, out).returncode == 0
    for path, changed in survivors.items():
        assert path.stem not in done or path.stat().st_mtime_ns == changed
    build(load(Recipe, "default", recipe), tmp_path / "whole")
    assert contents(out) == contents(tmp_path / "whole")
    assert not list(out.rglob("*.tmp"))


def test_what_was_found_out_about_files_survives_a_stop_while_planning(
    built, video_folder, small_recipe, tmp_path, monkeypatch
):
    class Stops(Progress):
        def examined(self, item) -> None:
            if len(load_examined(tmp_path / "x")) >= 3:
                raise KeyboardInterrupt

    monkeypatch.setattr("datagen.builder._SAVE_SECONDS", -1.0)
    with pytest.raises(KeyboardInterrupt):
        build(small_recipe, tmp_path / "x", sources=[str(video_folder)], progress=Stops())
    known = load_examined(tmp_path / "x")
    looked_at = []
    examine = Library._examine
    monkeypatch.setattr(
        Library, "_examine", lambda self, entry, *rest: looked_at.append(entry.name) or examine(self, entry, *rest)
    )
    build(small_recipe, tmp_path / "x", sources=[str(video_folder)])
    assert len(looked_at) == 12 - len(known) < 10
    assert contents(tmp_path / "x") == contents(built)


@pytest.mark.parametrize("name", ["README.md", "rejects.jsonl"])
def test_what_lies_beside_the_shards_comes_back_when_it_is_lost(name, built, video_folder, small_recipe, tmp_path):
    out = tmp_path / "x"
    shutil.copytree(built, out)
    (out / name).unlink()
    assert verify(out) == [f"{name}: missing"]
    build(small_recipe, out, sources=[str(video_folder)])
    assert contents(out) == contents(built)


def test_only_plans_and_results_would_cross_the_object_store(video_folder, small_recipe, tmp_path):
    plan = make_plan(find_source(str(video_folder), "unknown").videos(small_recipe, {}), small_recipe)
    unit = max(plan.units, key=lambda unit: len(unit.clips))
    with open_readers(small_recipe) as read:
        result = build_unit(unit, small_recipe, tmp_path, read)
    pixels = len(unit.clips) * 4 * 48 * 48 * 3
    assert len(pickle.dumps((unit, small_recipe, result))) < min(pixels, 20_000)


def test_a_lost_shard_is_made_again_with_the_same_bytes(video_folder, small_recipe, built, tmp_path):
    build(small_recipe, tmp_path, sources=[str(video_folder)])
    next(tmp_path.glob("dehaze/train-*.tar")).unlink()
    build(small_recipe, tmp_path, sources=[str(video_folder)])
    assert contents(tmp_path) == contents(built)


@pytest.mark.parametrize(
    ("frames", "step", "cuts", "found"),
    [
        (10, 1, (), [(0, 4), (4, 4), (8, 2)]),
        (8, 1, (), [(0, 4), (4, 4)]),
        (3, 1, (), [(0, 3)]),
        (11, 2, (), [(0, 4), (8, 2)]),
        (9, 1, (5,), [(0, 4), (4, 1), (5, 4)]),
    ],
)
def test_what_is_left_at_an_end_is_a_shorter_clip_where_it_is_wanted(frames, step, cuts, found):
    clip = load(Recipe, "default", ["clip.frames=4", f"clip.step={step}", "clip.remainder=true"]).clip
    assert [(window.start, window.frames) for window in windows(frames, clip, cuts=cuts)] == found


@pytest.mark.parametrize(
    ("frames", "step", "hop", "starts"),
    [(16, 1, None, [0]), (32, 1, None, [0, 16]), (33, 2, None, [0]), (20, 1, 2, [0, 2, 4]), (15, 1, None, [])],
)
def test_windows_lie_end_to_end_unless_a_hop_is_given(frames, step, hop, starts):
    from datagen.settings import ClipSettings

    clip = ClipSettings(frames=16, step=step, hop=hop)
    found = list(windows(frames, clip))
    assert [window.start for window in found] == starts
    assert all(window.indices[-1] < frames and len(window.indices) == 16 for window in found)


def test_what_does_not_matter_does_not_show(built, video_folder, small_recipe, tmp_path):
    # a source that is named twice, and tasks in another order
    recipe = load(Recipe, "default", [*SMALL, "tasks={recolor: {}, dehaze: {}}"])
    build(recipe, tmp_path / "x", sources=[str(video_folder), str(video_folder / "video 1.mp4")])
    ours, theirs = contents(tmp_path / "x"), contents(built)
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if ours[name] != theirs[name]] == ["rejects.jsonl"] or ours == theirs
