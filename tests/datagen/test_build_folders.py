"""Which folders a build takes, refuses and cleans, and what it says before it reads a video."""

import contextlib
import os
import shutil
import sys
from pathlib import Path

import pytest

from configs import OutputError, SourceError, load
from datagen import Recipe, build
from datagen.builder import Progress
from datagen.merge import merge
from datagen.sources.library import Library
from shards import verify
from shards.fence import FencedReader
from tests.datagen.conftest import SMALL, contents
from tests.processes import running


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
    with pytest.raises(SourceError, match=r"no usable clip: 3 clips left out: black 3; "):
        build(small_recipe, tmp_path / "x", sources=[str(video_folder / "black.mp4")])


@pytest.mark.parametrize("text", ["[1]", "not json", '{"name": "an extension"}'])
def test_a_folder_with_somebody_else_s_manifest_is_left_alone(text, video_folder, small_recipe, tmp_path):
    (tmp_path / "manifest.json").write_text(text)
    for overwrite in (False, True):
        with pytest.raises(OutputError, match="not empty and not a dataset"):
            build(small_recipe, tmp_path, sources=[str(video_folder)], overwrite=overwrite)
    assert (tmp_path / "manifest.json").read_text() == text


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
