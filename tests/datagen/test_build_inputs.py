"""Odd videos among the sources of a build: names, links, files of no use, decoders that die."""

import json
import os
import shutil
import time
from pathlib import Path

import cv2
import pytest

from configs import DecoderLostError, load
from datagen import Recipe, build
from datagen.ledger import load_examined
from datagen.sources import find_source
from datagen.sources.base import Reject
from datagen.sources.layouts.videos import video_files
from datagen.tasks.recolor import Recolor
from shards import Dataset, write_video
from shards.fence import FencedReader
from tests.conftest import moving_clip
from tests.datagen.conftest import SMALL, command, contents


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
