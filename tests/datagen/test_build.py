import json
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import pytest

import shards.tasks
from configs import ConfigError, DecoderLostError, OutputError, SourceError, load
from datagen import Recipe, build
from datagen.builder import Progress
from datagen.ledger import load_examined
from datagen.plan import make_plan, windows
from datagen.replay import replay
from datagen.sources import find_source
from datagen.sources.layouts.videos import video_files
from datagen.sources.library import Library
from datagen.synthesize import build_unit, open_readers
from datagen.tasks import builder
from datagen.tasks.recolor import Recolor
from shards import Dataset, get_task, verify, write_video
from shards.fence import FencedReader
from tests.conftest import moving_clip
from tests.datagen.conftest import SMALL, command, contents, wait_for


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
    from shards import get_task

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
    recipe = [*SMALL, "scenes.count=40", "clip.frames=8", "clip.size=96"]
    options = [word for value in recipe for word in ("--set", value)]
    line = ["build", "--workers", 0, *options, "--out"]
    out = tmp_path / "killed"
    process = subprocess.Popen([sys.executable, "-m", "datagen", *map(str, [*line, out])], stderr=subprocess.DEVNULL)
    wait_for((out / ".build" / "identity.json").is_file if when == "plan" else lambda: list(out.glob("*/*.tar")))
    process.send_signal(number)
    code = process.wait(timeout=10)
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


def test_a_folder_of_other_things_is_never_built_into(tmp_path, small_recipe):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(OutputError, match=r"thesis\.tex"):
        build(small_recipe, tmp_path, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--task", "dehase"], "did you mean 'dehaze'"),
        (["--set", "clip.sise=3"], "did you mean 'size'"),
        (["--set", "tasks.dehaze.airlihgt=[0,1]"], "did you mean 'airlight'"),
        (["--set", "clip.size=big"], "clip.size"),
        (["--recipe", "defualt"], "did you mean 'default'"),
        (["--from", "/nowhere/at/all"], "no such file, folder or pattern"),
        (["--from", "{folder}/text.mp4"], "no usable clip"),
        (["--from", "{folder}/black.mp4", "--set", "clip.size=48", "--workers", "0"], "black"),
        (["--out", "{folder}/text.mp4"], "is a file"),
        (["--out", "/proc/nothing"], "cannot write"),
        (["--tusk", "dehaze"], "No such option"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(video_folder, tmp_path, arguments, words):
    given = [str(argument).format(folder=video_folder) for argument in arguments]
    done = command(
        "build",
        "--set",
        "clip.frames=4",
        "--set",
        "scenes.count=2",
        *(["--out", tmp_path / "o"] if "--out" not in given else []),
        *given,
    )
    assert done.returncode == 2, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert words in lines[0]
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(os.getuid() == 0, reason="root may write anywhere")
def test_a_read_only_output_is_one_line(tmp_path, small_recipe):
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="cannot write"):
        build(small_recipe, tmp_path / "x")


def test_no_usable_clip_is_an_error_that_lists_the_reasons(video_folder, small_recipe, tmp_path):
    with pytest.raises(SourceError, match=r"all 3 were rejected .black 3."):
        build(small_recipe, tmp_path / "x", sources=[str(video_folder / "black.mp4")])


def test_help_answers_at_once():
    started = time.monotonic()
    assert command("--help").returncode == 0
    loaded = command("build", "--help")
    assert loaded.returncode == 0
    assert time.monotonic() - started < 3
    code = (
        "import sys, datagen.cli; sys.exit(any(m in sys.modules for m in ('torch', 'ray', 'numpy', 'cv2', 'pandas')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


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


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("tasks={dehaze: {transmission: [0.9, 0.1]}}", "must not exceed"),
        ("tasks={dehaze: {transmission: [0, 0]}}", "greater than 0"),
        ("tasks={dehaze: {airlight: [-5, 9]}}", "airlight"),
        ("tasks={inpaint: {kinds: {}}}", "kinds"),
        ("tasks={inpaint: {extent: [0.5, 2]}}", "at most 1"),
        ("tasks={deblur: {exposure: [0, 5]}}", "between 0 and 1 second"),
        ("tasks={recolor: {looks: {gray: -1}}}", "looks"),
        ("scenes.fps=.inf", "fps"),
        ("scenes.fps=0.0004", "fps"),
        ("gates.min_motion=.nan", "min_motion"),
    ],
)
def test_settings_that_make_no_sense_are_named(setting, words, tmp_path):
    done = command("build", "--from", "scenes", "--out", tmp_path / "x", "--set", setting)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("text", ["[1]", "not json", '{"name": "an extension"}'])
def test_a_folder_with_somebody_else_s_manifest_is_left_alone(text, video_folder, small_recipe, tmp_path):
    (tmp_path / "manifest.json").write_text(text)
    for overwrite in (False, True):
        with pytest.raises(OutputError, match="not empty and not a dataset"):
            build(small_recipe, tmp_path, sources=[str(video_folder)], overwrite=overwrite)
    assert (tmp_path / "manifest.json").read_text() == text


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


@pytest.mark.parametrize("option", ["--out", "--from", "--recipe"])
def test_names_that_are_too_long_or_empty_are_one_line(option, video_folder, tmp_path):
    values = {"--out": tmp_path / "x", "--from": video_folder, "--recipe": "default"}
    for value in ("y" * 5000 + (".yaml" if option == "--recipe" else ""), *([] if option == "--out" else [""])):
        line = [part for name, given in (values | {option: value}).items() for part in (name, given)]
        done = command("build", *line, cwd=tmp_path)
        assert done.returncode == 2
        assert done.stderr.startswith("error: ")
        assert done.stderr.count("\n") == 1


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


def test_an_effect_that_fails_on_one_clip_loses_that_pair_and_says_so(
    video_folder, small_recipe, tmp_path, monkeypatch
):
    make = Recolor.apply

    def apply(self, clip, parameters):
        if clip.video.id == "video 1":
            raise ZeroDivisionError("of this clip")
        return make(self, clip, parameters)

    monkeypatch.setattr(Recolor, "apply", apply)
    build(small_recipe, tmp_path, sources=[str(video_folder)])
    rejects = [json.loads(line) for line in (tmp_path / "rejects.jsonl").read_text().splitlines()]
    failed = [reject for reject in rejects if reject["reason"] == "failed: ZeroDivisionError: of this clip"]
    assert {(reject["source"], reject["task"]) for reject in failed} == {("video 1.mp4", "recolor")}
    assert "video 1" in Dataset(tmp_path).index("dehaze")["source_id"].to_pylist()
    assert "video 1" not in Dataset(tmp_path).index("recolor")["source_id"].to_pylist()


def test_a_frame_every_few_minutes_is_a_video_too(tmp_path):
    write_video(tmp_path / "slow.mp4", moving_clip(1, frames=14, height=54, width=72), fps=0.004)
    build(load(Recipe, "default", [*SMALL, "clip.step=3"]), tmp_path / "x", sources=[str(tmp_path / "slow.mp4")])
    assert Dataset(tmp_path / "x").index()["fps"].to_pylist()[0] < 0.01


def test_without_arguments_the_help_is_shown():
    done = command()
    assert done.returncode == 2
    assert "build" in done.stderr
    assert "verify" in done.stderr


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


def test_a_task_that_is_declared_but_cannot_be_built_says_so(monkeypatch):
    monkeypatch.setitem(shards.tasks._REGISTERED, "derain", get_task("dehaze"))
    with pytest.raises(ConfigError, match=r"'derain' is declared but has no builder yet; can be built: deblur, dehaze"):
        builder("derain")


def test_all_means_every_task_that_the_sources_can_give(video_folder, tmp_path):
    line = ["--all", "--workers", "0", *(part for setting in SMALL for part in ("--set", setting))]
    done = command("build", "--from", video_folder, "--out", tmp_path / "video", *line)
    assert done.returncode == 0, done.stderr
    assert "leaving out segment" in done.stderr
    # no blur shows on clips as smooth as these
    assert Dataset(tmp_path / "video").tasks == ["dehaze", "edit", "inpaint", "recolor"]
    assert "no change" in (tmp_path / "video" / "rejects.jsonl").read_text()
    done = command("build", "--from", "scenes", "--out", tmp_path / "scenes", "--set", "scenes.count=8", *line)
    assert done.returncode == 0, done.stderr
    assert Dataset(tmp_path / "scenes").tasks == ["deblur", "dehaze", "edit", "inpaint", "recolor", "segment"]
    assert verify(tmp_path / "scenes", decode=True) == []


def test_instructions_of_ones_own_are_used_beside_the_built_in_ones(tmp_path):
    own = tmp_path / "own.yaml"
    own.write_text("dehaze:\n  train: [Make the air crystal clear.]\n  heldout: [Wipe the mist away.]\n")
    settings = ["scenes.count=120", "clip.frames=2", "clip.size=32"]
    line = [part for setting in settings for part in ("--set", setting)]
    done = command("build", "-t", "dehaze", "--out", tmp_path / "x", "--workers", "0", "--instructions", own, *line)
    assert done.returncode == 0, done.stderr
    said = {(row["instruction"], row["split"]) for row in Dataset(tmp_path / "x").index().to_pylist()}
    assert ("Make the air crystal clear.", "train") in said
    assert {split for text, split in said if text == "Wipe the mist away."} <= {"val", "test"}
    assert len({text for text, _ in said}) > 15
    assert replay(tmp_path / "x", Dataset(tmp_path / "x").keys()[0]).faithful


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("segment: [Mark it.]", r"template 'Mark it\.' must have \{color\} and \{object\}"),
        ("dehaze: ['Do {it}.']", "must have no attributes"),
        ("dehaze: [Remove the haze.]", "is listed twice"),
        ("dehaz: [x]", "did you mean 'dehaze'"),
        ("- x", "wanted is a mapping"),
    ],
)
def test_instructions_that_make_no_sense_are_one_line(text, words, tmp_path):
    (tmp_path / "own.yaml").write_text(text)
    done = command("build", "-t", "dehaze", "--out", tmp_path / "x", "--instructions", tmp_path / "own.yaml")
    assert done.returncode == 2
    assert re.search(words, done.stderr)
    assert done.stderr.count("\n") == 1


def test_size_rate_and_crop_have_options_of_their_own(tmp_path):
    line = ["build", "--size", "96x64", "--fps", "12.5", "--crop", "random", "--print-config"]
    shown = command(*line).stdout
    assert "size: 96x64" in shown
    assert "fps: 12.5" in shown
    assert "crop: random" in shown
    for wrong in (
        ["--size", "9"],
        ["--size", "96x"],
        ["--crop", "left"],
        ["--fps", "0"],
        ["--fps", "5", "--set", "clip.step=2"],
    ):
        assert command("build", *wrong, "--print-config").returncode == 2


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


@pytest.mark.parametrize("size", ["16:9", "0x100", "0256"])
def test_a_size_is_pixels_and_nothing_that_yaml_makes_a_number_of(size, tmp_path):
    done = command("build", "--size", size, "--out", tmp_path / "x")
    assert done.returncode == 2
    assert "must be a number of pixels, or WIDTHxHEIGHT as in 432x240" in done.stderr


def test_a_frame_rate_that_a_video_cannot_give_is_said(tmp_path):
    write_video(tmp_path / "v.mp4", moving_clip(3, frames=40, height=54, width=72), fps=Fraction(30000, 1001))
    options = [word for value in SMALL for word in ("--set", value)]
    done = command("build", "--from", tmp_path / "v.mp4", "--fps", 20, *options, "--out", tmp_path / "x")
    assert (
        "1 source of 1 cannot give 20 frames per second by taking every n-th frame; their clips have 29.97"
        in done.stdout
    )
    done = command("build", "--from", tmp_path / "v.mp4", "--fps", 15, *options, "--out", tmp_path / "y")
    assert "frames per second" not in done.stdout


def test_a_depth_model_that_is_not_there_is_said_before_the_folder_is_touched(video_folder, tmp_path):
    setting = "tasks={dehaze: {depth: 'model:no/such-model'}}"
    done = command("build", "--from", video_folder, "--set", setting, "--out", tmp_path / "x")
    assert done.returncode not in (0, 1)
    assert "no depth model 'no/such-model' here" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "x").exists()
