"""Copies of videos in builds: where they go, and what never moves for their sake."""

import shutil
import tarfile

import cv2
import numpy as np
import pytest

from configs import SourceError
from datagen import build
from datagen.builder import take_out
from datagen.ledger import Ledger
from shards import Dataset, verify, write_video
from tests.conftest import moving_clip
from tests.datagen.conftest import contents
from tests.datagen.growing import before_a_camera, copy_of, recipe, rejects, samples, some, splits, stamps


def test_a_copy_of_a_video_is_left_out_whatever_its_size_and_the_rest_is_as_if_it_had_never_been(videos, tmp_path):
    inputs = some(videos, tmp_path / "in", range(12))
    build(recipe(), tmp_path / "clean", sources=[str(inputs)])
    copy_of(videos / "v04.mp4", inputs / "v04 again.mp4", light=6)
    manifest = build(recipe(), tmp_path / "out", sources=[str(inputs)], workers=1)
    assert manifest.rejects["near-duplicate"] == 3
    kept = splits(tmp_path / "out").keys()
    assert len(kept & {"v04", "v04 again"}) == 1
    assert verify(tmp_path / "out", decode=True) == []
    (reason,) = {r["reason"].split(" at ")[0] for r in rejects(tmp_path / "out") if r["where"] == "excluded"}
    assert reason.startswith("near-duplicate: of v04")
    again = stamps(tmp_path / "out")
    build(recipe(), tmp_path / "out", sources=[str(inputs)])
    assert stamps(tmp_path / "out") == again
    # when the one that was kept goes, its copy comes back, where the other was
    (went,) = kept & {"v04", "v04 again"}
    place = splits(tmp_path / "out")[went]
    take_out(tmp_path / "out", [went], reason="x")
    (copy,) = {"v04", "v04 again"} - {went}
    assert splits(tmp_path / "out")[copy] == place


@pytest.mark.parametrize("coarse", ["a.mp4", "z.mp4"])
@pytest.mark.parametrize("fine", ["file", "folder", "tar"])
def test_of_equally_large_copies_the_one_stays_of_which_compression_left_more(coarse, fine, tmp_path):
    frames, folder = moving_clip(7, frames=14, height=96, width=96), tmp_path / "in"
    write_video(folder / coarse, frames, fps=25, crf=34)
    path = folder / "m.mp4"
    if fine == "folder":
        (folder / "m").mkdir()
        for number, frame in enumerate(frames):
            cv2.imwrite(str(folder / "m" / f"{number:03d}.png"), frame[..., ::-1])
    else:
        # that it is shorter, and so no larger in all, does not matter
        write_video(path, frames[:8], fps=25, crf=10)
    if fine == "tar":
        with tarfile.open(folder / "m.tar", "w") as file:
            file.add(path, "m.mp4")
        path.unlink()
    sources = [str(folder / name) for name in (coarse, {"file": "m.mp4", "folder": "m", "tar": "m.tar"}[fine])]
    build(recipe("clip.per_video=1", "tasks={recolor: {}}"), tmp_path / "out", sources=sources)
    assert {row["source_id"].split("/")[-1] for row in Dataset(tmp_path / "out").index().to_pylist()} == {"m"}


def test_kept_copies_in_two_splits_are_a_leak_and_an_error(tmp_path):
    for split, name in (("train", "a"), ("test", "b")):
        for side in ("sharp", "blur"):
            folder = tmp_path / "in" / split / name / side
            folder.mkdir(parents=True)
            for n, frame in enumerate(moving_clip(1, frames=4, height=48, width=48)):
                cv2.imwrite(str(folder / f"{n}.png"), frame if side == "sharp" else frame // 2)
    for side in ("sharp", "blur"):
        folder = tmp_path / "in" / "train" / "a" / side
        shutil.copy(folder / "0.png", folder / "4.png")
    source, tasks = [f"gopro:{tmp_path / 'in'}"], "tasks={deblur: {}}"
    with pytest.raises(SourceError, match=r"1 clips are in two splits, such as frame 0 of train/a/blur \(train\)"):
        build(recipe(tasks, "gates.copy_bits=0"), tmp_path / "kept", sources=source)
    assert not (tmp_path / "kept" / "manifest.json").exists()
    build(recipe(tasks), tmp_path / "out", sources=source)
    assert set(splits(tmp_path / "out").values()) == {"test"}, "train gives way"


@pytest.fixture(scope="module")
def shifted(tmp_path_factory):
    """Videos of 40 frames, and copies of some that lack the first frames, written anew."""
    folder = tmp_path_factory.mktemp("shifted")
    for number in range(10):
        write_video(folder / f"v{number}.mp4", moving_clip(300 + number, frames=40, height=54, width=72), fps=25)
        if number < 5:
            late = folder / f"v{number} late.mp4"
            copy_of(folder / f"v{number}.mp4", late, light=4, begin=3 + 2 * number, mirrored=number == 4)
    return folder


SHIFTED = ["clip.frames=16", "clip.hop=8", "tasks={recolor: {}}", "splits={train: 0.6, val: 0.1, test: 0.3}"]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_copy_that_begins_later_shares_a_split_drawn_once_and_the_bytes_do_not_depend_on_the_order(
    seed, shifted, tmp_path
):
    files, settings = sorted(map(str, shifted.iterdir())), recipe(*SHIFTED, f"seed={seed}")
    build(settings, tmp_path / "a", sources=files)
    build(settings, tmp_path / "b", sources=files[::-1], workers=2 if seed == 1 else 0)
    found = {}
    for name, split in splits(tmp_path / "a").items():
        found.setdefault(name.split()[0], set()).add(split)
    assert set(map(len, found.values())) == {1}
    assert found.keys() == {f"v{number}" for number in range(10)}
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert not any("its video has copies" in reject["reason"] for reject in rejects(tmp_path / "a"))
    # taken out, the copy that was kept gives way to what was left out for its sake
    before = splits(tmp_path / "a")
    gone = next(name for name in ("v0", "v0 late") if name in before)
    take_out(tmp_path / "a", [gone], reason="x")
    after = splits(tmp_path / "a")
    assert {"v0", "v0 late"} - {gone} <= after.keys()
    assert after["v0 late" if gone == "v0" else "v0"] == before[gone]
    assert {name: after[name] for name in before.keys() - {gone}} == {
        name: split for name, split in before.items() if name != gone
    }


@pytest.mark.parametrize("step", ["note_plan", "exclude", "record"])
def test_a_build_with_copies_that_is_killed_at_any_note_goes_on_to_the_same_bytes(step, shifted, tmp_path, monkeypatch):
    settings, whole = recipe(*SHIFTED, "seed=3"), tmp_path / "whole"
    build(settings, whole, sources=[str(shifted)])
    method, kills = getattr(Ledger, step), 0

    def killed(self, *arguments):
        nonlocal kills
        method(self, *arguments)
        kills += 1
        if kills % 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, step, killed)
        for _ in range(20):
            try:
                build(settings, tmp_path / "out", sources=[str(shifted)])
                break
            except KeyboardInterrupt:
                continue
    assert kills
    assert contents(tmp_path / "out") == contents(whole)


@pytest.mark.parametrize("place", ["train", "val", "test"])
def test_a_copy_that_comes_later_joins_the_split_of_what_is_there_and_moves_nothing(place, videos, tmp_path):
    inputs, out = some(videos, tmp_path / "in", range(12)), tmp_path / "out"
    settings = recipe("tasks={recolor: {}}", "splits={train: 0.5, val: 0.25, test: 0.25}")
    build(settings, out, sources=[str(inputs)])
    before, kept = splits(out), samples(out)
    name = min(name for name, split in before.items() if split == place)
    for number in range(8):
        # each another file, with a draw of its own
        copy_of(videos / f"{name}.mp4", inputs / f"copy {number}.mp4", light=number, begin=number // 4)
    some(videos, inputs, [20])
    build(settings, out, sources=[str(inputs)])
    after = splits(out)
    assert {name: after[name] for name in before} == before
    assert {key: members for key, members in samples(out).items() if key in kept} == kept
    assert {split for video, split in after.items() if video.startswith("copy")} <= {place}
    assert "v20" in after
    assert verify(out) == []
    # and what was taken out for their sake comes into no other split
    take_out(out, [name], reason="x")
    assert {split for video, split in splits(out).items() if video.startswith("copy")} == {place}


def test_a_clip_that_is_read_at_last_does_not_replace_what_came_meanwhile(videos, tmp_path, monkeypatch):
    from configs import DecoderLostError
    from datagen.synthesize import open_readers

    inputs, out = some(videos, tmp_path / "in", range(6)), tmp_path / "out"
    settings = recipe("tasks={recolor: {}}", "splits={train: 0.5, val: 0, test: 0.5}")

    def failing(name):
        from contextlib import contextmanager

        @contextmanager
        def opened(settings):
            with open_readers(settings) as read:

                def broken(video, window):
                    if video.id == name:
                        raise DecoderLostError(f"{video.locator}: it hung")
                    return read(video, window)

                yield broken

        return opened

    with monkeypatch.context() as patch:
        patch.setattr("datagen.workers.open_readers", failing("v02"))
        build(settings, out, sources=[str(inputs)])
        for number in range(4):
            copy_of(videos / "v02.mp4", inputs / f"copy {number}.mp4", light=2 * number)
        build(settings, out, sources=[str(inputs)])
    before = splits(out)
    build(settings, out, sources=[str(inputs)], retry_failed=True)
    after = splits(out)
    assert {name: after[name] for name in before} == before
    assert len({split for video, split in after.items() if video.startswith("copy") or video == "v02"}) == 1


def test_a_dataset_whose_notes_do_not_say_what_stands_grows_without_moving_it(videos, tmp_path):
    inputs, out = some(videos, tmp_path / "in", range(6)), tmp_path / "out"
    settings = recipe("tasks={recolor: {}}", "splits={train: 0.5, val: 0.25, test: 0.25}")
    build(settings, out, sources=[str(inputs)])
    before = splits(out)
    (out / ".build" / "standing.json").unlink()
    for name in before:
        copy_of(videos / f"{name}.mp4", inputs / f"copy of {name}.mp4", light=5)
    build(settings, out, sources=[str(inputs)])
    assert {name: split for name, split in splits(out).items() if name in before} == before


def test_videos_of_one_camera_are_in_one_split_and_lose_no_clip(tmp_path):
    (tmp_path / "in").mkdir()
    for k in range(8):
        write_video(tmp_path / "in" / f"street {k}.mp4", before_a_camera(k, frames=16, size=64), fps=25, crf=14)
        write_video(tmp_path / "in" / f"v{k}.mp4", moving_clip(k, frames=16, height=64, width=64), fps=25)
    settings = recipe("tasks={recolor: {}}", "clip.frames=16", "splits={train: 0.5, val: 0.25, test: 0.25}")
    manifest = build(settings, tmp_path / "out", sources=[str(tmp_path / "in")])
    found = splits(tmp_path / "out")
    assert len(found) == 16, manifest.rejects
    assert len({split for name, split in found.items() if name.startswith("street")}) == 1
    assert set(found.values()) == {"train", "val", "test"}
    # and one video to statistics
    names = {row["clean_sha256"]: row["source_id"] for row in Dataset(tmp_path / "out").index().to_pylist()}
    (family,) = manifest.families
    assert sorted(names[video] for video in family) == [f"street {k}" for k in range(8)]


@pytest.mark.parametrize("order", [1, -1])
def test_a_small_copy_does_not_displace_the_original(order, tmp_path):
    (tmp_path / "in").mkdir()
    for number in range(4):
        clip = moving_clip(300 + number, frames=20, height=96, width=128)
        write_video(tmp_path / "in" / f"v{number}.mp4", clip, fps=25)
        small = np.stack([cv2.resize(frame, (96, 72), interpolation=cv2.INTER_AREA) for frame in clip])
        write_video(tmp_path / "in" / f"a copy of v{number}.mp4", small, fps=25)
    files = sorted(map(str, (tmp_path / "in").iterdir()))[::order]
    build(recipe("clip.frames=16", "tasks={recolor: {}}"), tmp_path / "out", sources=files)
    assert splits(tmp_path / "out").keys() == {f"v{number}" for number in range(4)}
