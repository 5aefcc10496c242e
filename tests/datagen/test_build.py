import contextlib
import json
import os
import pickle
import shutil
import signal
import sys
import time
from pathlib import Path

import cv2
import pytest

from configs import DecoderLostError, OutputError, SourceError, load
from datagen import Recipe, build
from datagen.builder import Progress
from datagen.ledger import load_examined
from datagen.merge import merge
from datagen.plan import make_plan, windows
from datagen.sources import find_source
from datagen.sources.base import Reject
from datagen.sources.layouts.videos import video_files
from datagen.sources.library import Library
from datagen.synthesize import build_unit, open_readers
from datagen.tasks.recolor import Recolor
from shards import Dataset, get_task, verify, write_video
from shards.fence import FencedReader
from tests.conftest import moving_clip
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


def test_another_recipe_needs_overwrite_and_the_difference_is_shown(video_folder, small_recipe, tmp_path):
    out = tmp_path / "x"
    build(small_recipe, out, sources=[str(video_folder)])
    other = load(Recipe, "default", [*SMALL, "clip.frames=5", "codec=lossless"])
    with pytest.raises(OutputError, match=r"clip.frames 4 -> 5; codec 'jpeg' -> 'lossless'.*--overwrite"):
        build(other, out, sources=[str(video_folder)])
    (out / "notes.txt").write_text("mine")
    manifest = build(other, out, sources=[str(video_folder)], overwrite=True)
    assert manifest.recipe["codec"] == "lossless"
    assert (out / "notes.txt").read_text() == "mine"
    assert verify(out) == []


def test_another_task_is_added_cheaply_by_a_merge_and_the_message_says_how(video_folder, small_recipe, tmp_path):
    only = {task: small_recipe.model_copy(update={"tasks": {task: {}}}) for task in ("recolor", "dehaze")}
    build(only["recolor"], tmp_path / "x", sources=[str(video_folder)])
    with pytest.raises(OutputError) as error:
        build(only["dehaze"], tmp_path / "x", sources=[str(video_folder)])
    assert "tasks.dehaze is new; tasks.recolor is gone; give --overwrite" in str(error.value)
    assert "to add dehaze cheaply, build it alone into another folder" in str(error.value)
    assert f"datagen merge {tmp_path / 'x'} OTHER --out BOTH" in str(error.value)
    build(only["dehaze"], tmp_path / "y", sources=[str(video_folder)])
    assert {shard.task for shard in merge([tmp_path / "x", tmp_path / "y"], tmp_path / "both").shards} == only.keys()
    with pytest.raises(OutputError) as error:
        build(only["dehaze"].model_copy(update={"seed": 5}), tmp_path / "x", sources=[str(video_folder)])
    assert "merge" not in str(error.value)


def test_other_sources_need_overwrite_too(video_folder, small_recipe, tmp_path):
    build(small_recipe, tmp_path, sources=[str(video_folder)])
    with pytest.raises(SourceError, match=r"source videos differ: 5 of the 6 .* are not among those given"):
        build(small_recipe, tmp_path, sources=[str(video_folder / "video 1.mp4")])


def test_a_lost_shard_is_made_again_with_the_same_bytes(video_folder, small_recipe, built, tmp_path):
    build(small_recipe, tmp_path, sources=[str(video_folder)])
    next(tmp_path.glob("dehaze/train-*.tar")).unlink()
    build(small_recipe, tmp_path, sources=[str(video_folder)])
    assert contents(tmp_path) == contents(built)


def test_a_second_build_in_the_same_folder_is_refused(tmp_path, small_recipe, video_folder):
    from datagen.ledger import locked

    with locked(tmp_path), pytest.raises(OutputError, match=f"another build .process {os.getpid()}."):
        build(small_recipe, tmp_path, sources=[str(video_folder)])


@pytest.mark.parametrize("trouble", ["at work", "another recipe", "no right to write", "no masks"])
def test_what_is_wrong_without_the_sources_is_told_before_hours_are_spent_on_them(
    trouble, video_folder, small_recipe, built, tmp_path, monkeypatch
):
    from datagen.ledger import locked

    out, settings, held = tmp_path / "a" / "b", small_recipe, contextlib.nullcontext()
    if trouble == "another recipe":
        shutil.copytree(built, out)
        settings, said = settings.model_copy(update={"seed": 9}), "made by another recipe: seed 0 -> 9"
    elif trouble == "at work":
        held, said = locked(out), "another build .* is at work here"
    elif trouble == "no right to write":
        out, said = Path("/proc/a/b"), "cannot write /proc/a/b"
    else:
        settings, said = settings.model_copy(update={"tasks": {"segment": {}}}), "'segment' needs object masks"

    def videos(self, recipe, examined):
        raise AssertionError("the sources were looked at")

    monkeypatch.setattr(Library, "videos", videos)
    with held:
        before = contents(tmp_path)
        with pytest.raises((OutputError, SourceError), match=said):
            build(settings, out, sources=[str(video_folder)])
    assert contents(tmp_path) == before
    assert not list(tmp_path.rglob("lock"))
    assert trouble == "another recipe" or list(tmp_path.iterdir()) == []


def test_a_wrong_path_is_told_before_the_videos_of_the_others_are_read(
    video_folder, small_recipe, tmp_path, monkeypatch
):
    def probe(self, path):
        raise AssertionError("a video was read")

    monkeypatch.setattr(FencedReader, "probe", probe)
    with pytest.raises(SourceError, match="no such file, folder or pattern"):
        build(small_recipe, tmp_path / "x", sources=[str(video_folder), str(tmp_path / "nothing")])


def test_a_build_that_fails_before_it_has_a_clip_leaves_nothing_behind(video_folder, small_recipe, tmp_path):
    for source in (video_folder / "nothing", video_folder / "short.mp4"):
        with pytest.raises(SourceError):
            build(small_recipe, tmp_path / "a" / "b", sources=[str(source)])
        assert list(tmp_path.iterdir()) == []


def test_a_lock_that_its_holder_removes_at_the_end_is_never_held_by_two(tmp_path):
    script = (
        "import sys, pathlib, configs\n"
        "from shards.storage import locked\n"
        "folder, mark = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[1]) / 'inside'\n"
        "held = 0\n"
        "for _ in range(20000):\n"
        "    try:\n"
        "        with locked(folder / 'notes' / 'lock', folder, 'test'):\n"
        "            mark.touch(exist_ok=False)\n"
        "            mark.unlink()\n"
        "            held += 1\n"
        "    except configs.OutputError as error:\n"
        "        assert 'is at work here' in str(error), error\n"
        "    if held == 300:\n"
        "        break\n"
    )
    said, folder = [tmp_path / f"said {n}" for n in range(3)], tmp_path / "x"
    folder.mkdir()
    with contextlib.ExitStack() as stack:
        processes = [stack.enter_context(running(sys.executable, "-c", script, folder, said=file)) for file in said]
        assert [process.wait(60) for process in processes] == [0] * 3
    assert [file.read_text() for file in said] == [""] * 3
    assert not list(tmp_path.rglob("lock"))


def test_a_folder_of_other_things_is_never_built_into(tmp_path, small_recipe):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(OutputError, match=r"thesis\.tex"):
        build(small_recipe, tmp_path, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.skipif(os.getuid() == 0, reason="root may write anywhere")
def test_a_read_only_output_is_one_line(tmp_path, small_recipe):
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="cannot write"):
        build(small_recipe, tmp_path / "x")


def test_no_usable_clip_is_an_error_that_lists_the_reasons(video_folder, small_recipe, tmp_path):
    with pytest.raises(SourceError, match=r"all 3 were rejected .black 3."):
        build(small_recipe, tmp_path / "x", sources=[str(video_folder / "black.mp4")])


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


@pytest.mark.parametrize("text", ["[1]", "not json", '{"name": "an extension"}'])
def test_a_folder_with_somebody_else_s_manifest_is_left_alone(text, video_folder, small_recipe, tmp_path):
    (tmp_path / "manifest.json").write_text(text)
    for overwrite in (False, True):
        with pytest.raises(OutputError, match="not empty and not a dataset"):
            build(small_recipe, tmp_path, sources=[str(video_folder)], overwrite=overwrite)
    assert (tmp_path / "manifest.json").read_text() == text


def test_hdr_and_interlaced_videos_are_left_out_with_a_remedy(video_folder, small_recipe, tmp_path):
    from tests.shards.hard_files import write

    write(tmp_path / "hdr.mp4", pixels="yuv420p10le", matrix=9, transfer=16)
    write(tmp_path / "fields.mp4", options={"x264-params": "tff=1"})
    shutil.copy(video_folder / "video 1.mp4", tmp_path)
    items = find_source(str(tmp_path), "").videos(small_recipe, {})
    reasons = {getattr(item, "source", "video 1.mp4"): getattr(item, "reason", "") for item in items}
    assert reasons.pop("hdr.mp4").startswith("unreadable: transfer smpte2084 (HDR), ")
    assert reasons.pop("fields.mp4").startswith("interlaced: its frames are of two moments each; deinterlace it first")
    assert reasons == {"video 1.mp4": ""}


def test_a_link_to_nothing_is_a_reject_whether_video_or_frame(video_folder, small_recipe, tmp_path):
    shutil.copy(video_folder / "video 1.mp4", tmp_path)
    (tmp_path / "gone.mp4").symlink_to("nowhere/gone.mp4")
    (tmp_path / "round.mp4").symlink_to("round.mp4")
    frames = tmp_path / "frames" / "a"
    frames.mkdir(parents=True)
    for n, frame in enumerate(moving_clip(frames=6, height=54, width=72)):
        cv2.imwrite(str(frames / f"{n}.png"), frame)
    (frames / "3.png").unlink()
    (frames / "3.png").symlink_to("/nowhere/3.png")

    def reasons(source):
        found = find_source(str(source), "").videos(small_recipe, {})
        return {item.source: item.reason for item in found if isinstance(item, Reject)}

    dead = "broken link: what it leads to is not there"
    for source in (tmp_path, tmp_path / "*.mp4"):
        assert reasons(source) == {"gone.mp4": dead, "round.mp4": dead}
    assert reasons(tmp_path / "gone.mp4") == {"gone.mp4": dead}
    assert reasons(tmp_path / "frames") == {"a": "unreadable: 3.png: broken link, what it leads to is not there"}


def test_odd_names_of_files_and_folders(video_folder, small_recipe, tmp_path):
    good = (video_folder / "video 0.mp4").read_bytes()
    folder = tmp_path / "bad [x] 'quote\n\u00fc"
    folder.mkdir()
    for n, name in enumerate(("-rf.mp4", "a\nb.mp4", "[red]c[bold].mp4", "\u96ea " + "x" * 200 + ".MP4")):
        (folder / name).write_bytes((video_folder / f"video {n}.mp4").read_bytes() + name.encode())
    (folder / "cut\nshort.mp4").write_bytes(good[: len(good) // 2])
    with open(os.fsencode(folder) + b"/latin-\xff.mp4", "wb") as file:  # noqa: PTH123
        file.write(good)
    out = tmp_path / "[/out]"
    line = [
        "build",
        "--workers",
        "0",
        "--from",
        folder,
        "--out",
        out,
        "--set",
        "clip.size=48",
        "--set",
        "clip.frames=4",
    ]
    done = command(*line)
    assert done.returncode == 0, done.stderr
    assert f"dataset: {out}" in done.stdout
    rejects = (out / "rejects.jsonl").read_text()
    assert str(tmp_path) not in rejects
    assert "its path is not UTF-8" in rejects
    assert len(rejects.splitlines()) == 2
    assert len(set(Dataset(out).index()["source_id"].to_pylist())) == 4
    for name in ("verify", "info", "view"):
        done = command(name, out)
        assert done.returncode == 0, done.stderr


def test_a_pattern_does_not_run_in_circles_through_links(video_folder, tmp_path):
    (tmp_path / "video.mp4").write_bytes((video_folder / "video 0.mp4").read_bytes())
    for name in ("one", "two"):
        (tmp_path / name).symlink_to(tmp_path)
    started = time.monotonic()
    assert video_files(Path(f"{tmp_path}/**/*.mp4")) == [tmp_path / "video.mp4"]
    assert video_files(Path(str(tmp_path))) == [tmp_path / "video.mp4"]
    assert time.monotonic() - started < 5


def test_overwriting_takes_nothing_that_is_not_the_dataset_s_own(video_folder, small_recipe, tmp_path):
    out, precious = tmp_path / "x", tmp_path / "precious"
    build(small_recipe, out, sources=[str(video_folder)])
    precious.mkdir()
    mine = [
        precious / "train-000000.tar",
        precious / "table.parquet",
        out / "mine" / "backup.tar",
        out / "dehaze" / "a.parquet",
    ]
    for path in mine:
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")
    (out / "edit").symlink_to(precious)
    build(load(Recipe, "default", [*SMALL, "seed=5"]), out, sources=[str(video_folder)], overwrite=True)
    assert [path.read_text() for path in mine] == ["mine"] * 4


def test_files_of_no_use_that_came_later_are_listed_and_nothing_is_built_again(video_folder, small_recipe, tmp_path):
    folder = tmp_path / "videos"
    shutil.copytree(video_folder, folder)
    build(small_recipe, tmp_path / "x", sources=[str(folder)])
    shards = {path: path.stat().st_mtime_ns for path in (tmp_path / "x").glob("*/*.tar")}
    (folder / "late").mkdir()
    (folder / "late" / "broken.mp4").write_text("no video")
    build(small_recipe, tmp_path / "x", sources=[str(folder)])
    assert "late/broken.mp4" in (tmp_path / "x" / "rejects.jsonl").read_text()
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "x").glob("*/*.tar")} == shards
    build(small_recipe, tmp_path / "y", sources=[str(folder)])
    assert contents(tmp_path / "x") == contents(tmp_path / "y")


def test_what_does_not_matter_does_not_show(built, video_folder, small_recipe, tmp_path):
    # a source that is named twice, and tasks in another order
    recipe = load(Recipe, "default", [*SMALL, "tasks={recolor: {}, dehaze: {}}"])
    build(recipe, tmp_path / "x", sources=[str(video_folder), str(video_folder / "video 1.mp4")])
    ours, theirs = contents(tmp_path / "x"), contents(built)
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if ours[name] != theirs[name]] == ["rejects.jsonl"] or ours == theirs


@pytest.mark.parametrize("kind", [ZeroDivisionError, AttributeError, AssertionError, OSError, StopIteration])
def test_an_effect_that_fails_on_one_clip_loses_that_pair_and_says_so(
    kind, video_folder, small_recipe, tmp_path, monkeypatch
):
    make = Recolor.apply

    def apply(self, clip, parameters):
        if clip.video.id == "video 1":
            raise kind("of this clip")
        return make(self, clip, parameters)

    monkeypatch.setattr(Recolor, "apply", apply)
    build(small_recipe, tmp_path, sources=[str(video_folder)])
    rejects = [json.loads(line) for line in (tmp_path / "rejects.jsonl").read_text().splitlines()]
    failed = [reject for reject in rejects if reject["reason"] == f"failed: {kind.__name__}: of this clip"]
    assert {(reject["source"], reject["task"]) for reject in failed} == {("video 1.mp4", "recolor")}
    assert "video 1" in Dataset(tmp_path).index("dehaze")["source_id"].to_pylist()
    assert "video 1" not in Dataset(tmp_path).index("recolor")["source_id"].to_pylist()


def test_a_frame_every_few_minutes_is_a_video_too(tmp_path):
    write_video(tmp_path / "slow.mp4", moving_clip(1, frames=14, height=54, width=72), fps=0.004)
    build(load(Recipe, "default", [*SMALL, "clip.step=3"]), tmp_path / "x", sources=[str(tmp_path / "slow.mp4")])
    assert Dataset(tmp_path / "x").index()["fps"].to_pylist()[0] < 0.01


def test_a_decoder_lost_while_probing_is_replaced_and_never_held_against_the_file(
    built, video_folder, small_recipe, tmp_path, monkeypatch
):
    probe, lost = FencedReader.probe, []

    def dies(times: int):
        def instead(self, path):
            if Path(path).name == "video 1.mp4" and len(lost) < times:
                lost.append(path)
                raise DecoderLostError(f"{path}: the decoder crashed (signal 9)")
            return probe(self, path)

        monkeypatch.setattr(FencedReader, "probe", instead)

    dies(2)
    build(small_recipe, tmp_path / "x", sources=[str(video_folder)])
    assert len(lost) == 2
    assert contents(tmp_path / "x") == contents(built)
    lost.clear()
    dies(99)
    build(small_recipe, tmp_path / "y", sources=[str(video_folder)])
    assert "unreadable: the decoder crashed (signal 9)" in (tmp_path / "y" / "rejects.jsonl").read_text()
    assert not any("crashed" in json.dumps(entry) for entry in load_examined(tmp_path / "y").values())
    assert len(lost) == 3


def test_a_leftover_of_a_killed_worker_is_gone_when_the_dataset_is_done(video_folder, small_recipe, tmp_path):
    (tmp_path / ".build").mkdir()
    folder = tmp_path / "dehaze"

    class Leaves(Progress):
        def unit_done(self, result) -> None:
            (folder / ".train-000000.tar.12345.tmp").write_text("half")

    build(small_recipe, tmp_path, sources=[str(video_folder)], progress=Leaves())
    assert not list(tmp_path.rglob("*.tmp"))


def test_temporary_files_of_others_are_left_alone(video_folder, small_recipe, tmp_path):
    build(small_recipe, tmp_path, sources=[str(video_folder)])
    (tmp_path / ".precious.tmp").write_text("mine")
    (tmp_path / ".folder.tmp").mkdir()
    build(small_recipe, tmp_path, sources=[str(video_folder)])
    assert (tmp_path / ".precious.tmp").read_text() == "mine"


def test_a_dataset_without_its_notes_is_made_anew_or_refused(tmp_path):
    many, few = (load(Recipe, "default", ["clip.size=32", "clip.frames=2", f"scenes.count={n}"]) for n in (60, 6))
    build(many, tmp_path / "x")
    shutil.rmtree(tmp_path / "x" / ".build")
    with pytest.raises(OutputError, match="without the notes of its build"):
        build(few, tmp_path / "x")
    build(few, tmp_path / "x", overwrite=True)
    assert verify(tmp_path / "x") == []
    assert len(list(tmp_path.glob("x/*/train-*.tar"))) == 2
