"""What happens to a finished dataset: more sources, sources taken out, copies, and what failed tried again."""

import hashlib
import json
import os
import shutil
from contextlib import nullcontext, suppress

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from configs import DatasetError, SourceError, load
from datagen import Recipe, build
from datagen.builder import take_out
from datagen.destination import find_destination
from datagen.duplicates import Seen, find_doubles, leaks, perceptual_hashes
from datagen.ledger import Ledger
from datagen.likeness import is_like, likes_of
from datagen.stats import collect, write_stats
from datagen.synthesize import open_readers
from datagen.view import write_contact_sheet
from shards import Dataset, verify, write_video
from tests.conftest import moving_clip
from tests.datagen.conftest import command

SMALL = ["clip.frames=4", "clip.size=48", "clip.per_video=3", "tasks={dehaze: {}, recolor: {}}"]


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    for number in range(24):
        write_video(folder / f"v{number:02d}.mp4", moving_clip(100 + number, frames=14, height=54, width=72), fps=25)
    return folder


def recipe(*settings: str) -> Recipe:
    return load(Recipe, "default", [*SMALL, *settings])


def some(videos, folder, numbers):
    folder.mkdir(exist_ok=True)
    for number in numbers:
        shutil.copy(videos / f"v{number:02d}.mp4", folder)
    return folder


def stamps(out):
    return {path.relative_to(out): (path.stat().st_mtime_ns, path.read_bytes()) for path in out.rglob("*.tar")}


def samples(out):
    dataset = Dataset(out)
    return {key: dataset.members(key) for task in dataset.tasks for key in dataset.keys(task)}


def rejects(out):
    return [json.loads(line) for line in (out / "rejects.jsonl").read_text().splitlines()]


def test_more_inputs_touch_no_shard_that_is_there_and_give_the_same_samples_as_a_build_of_all(videos, tmp_path):
    inputs, out = some(videos, tmp_path / "in", range(10)), tmp_path / "out"
    build(recipe(), out, sources=[str(inputs)])
    before, splits = stamps(out), {row["source_id"]: row["split"] for row in Dataset(out).index().to_pylist()}
    some(videos, inputs, range(10, 16))
    manifest = build(recipe(), out, sources=[str(inputs)])
    after = stamps(out)
    assert {path: after[path] for path in before} == before
    assert len(after) > len(before)
    assert manifest.sources == 16
    assert verify(out, decode=True) == []
    for row in Dataset(out).index().to_pylist():
        assert splits.get(row["source_id"], row["split"]) == row["split"]
    build(recipe(), tmp_path / "all", sources=[str(inputs)])
    grown, whole = samples(out), samples(tmp_path / "all")
    assert grown.keys() == whole.keys()
    # a new video may fill a split that stood empty when all were there at once
    same_split = [key for key in grown if Dataset(out)[key].meta.split == Dataset(tmp_path / "all")[key].meta.split]
    assert len(same_split) > 0.7 * len(grown)
    assert all(grown[key] == whole[key] for key in same_split)


def test_growth_that_is_killed_goes_on(videos, tmp_path, monkeypatch):
    inputs, out = some(videos, tmp_path / "in", range(6)), tmp_path / "out"
    build(recipe(), out, sources=[str(inputs)])
    some(videos, inputs, range(6, 12))
    shutil.copytree(out, tmp_path / "other")
    build(recipe(), tmp_path / "other", sources=[str(inputs)])

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("datagen.ledger.Ledger.record", stop)
        with pytest.raises(KeyboardInterrupt):
            build(recipe(), out, sources=[str(inputs)])
    assert not (out / "manifest.json").exists(), "what is not whole has no manifest"
    build(recipe(), out, sources=[str(inputs)])
    assert samples(out) == samples(tmp_path / "other")


def test_more_scenes_are_growth_too(tmp_path):
    few, many = (recipe("clip.size=32", "clip.frames=2", f"scenes.count={count}") for count in (20, 30))
    build(few, tmp_path / "x")
    before = stamps(tmp_path / "x")
    assert build(many, tmp_path / "x").sources == 30
    assert {path: stamps(tmp_path / "x")[path] for path in before} == before
    with pytest.raises(SourceError, match="10 of the 30"):
        build(few, tmp_path / "x")


def test_a_rejected_source_is_gone_only_its_shards_are_made_again_and_it_stays_out(videos, tmp_path):
    out = tmp_path / "out"
    build(recipe(), out, sources=[str(videos)])
    rows = Dataset(out).index().to_pylist()
    touched = {f"{row['task']}/{row['shard']}" for row in rows if row["source_id"] == "v05"}
    before, left = stamps(out), {k: v for k, v in samples(out).items() if Dataset(out)[k].meta.source_id != "v05"}
    take_out(out, ["v05"], reason="a licence withdrawn")
    after = stamps(out)
    assert {str(path) for path in before if before[path] != after.get(path)} == touched
    assert samples(out) == left
    assert verify(out, decode=True) == []
    said = [reject for reject in rejects(out) if reject["source"] == "v05.mp4"]
    assert [(reject["where"], reject["reason"]) for reject in said] == [("excluded", "rejected: a licence withdrawn")]
    build(recipe(), out, sources=[str(videos)])
    assert samples(out) == left


def texts(out):
    """Everything below a folder with its bytes, an index as text."""
    for path in out.rglob("*"):
        if path.suffix == ".parquet":
            yield path, json.dumps(pq.read_table(path).to_pylist(), default=str).encode()
        elif path.is_file():
            yield path, path.read_bytes()


def traces(out, *words):
    return {(path.name, word) for path, content in texts(out) for word in words if word.encode() in content}


def test_a_forgotten_source_leaves_no_trace_and_may_come_again(videos, tmp_path):
    inputs, out = some(videos, tmp_path / "in", range(8)), tmp_path / "out"
    (inputs / "v03.mp4").rename(inputs / "grandmother.mp4")
    copy_of(inputs / "grandmother.mp4", inputs / "a_wedding.mp4")
    build(recipe(), out, sources=[str(inputs)])
    build(recipe(), tmp_path / "before", sources=[str(inputs)])
    write_contact_sheet(out)
    write_stats(collect(out), out / "stats.html")
    (out / "notes.html").write_text("my own")
    known = json.loads((out / ".build" / "sources.json").read_text())
    kept = {row["source_id"] for row in Dataset(out).index().to_pylist()}
    for name in sorted({"grandmother", "a_wedding"}, key=lambda name: name not in kept):
        (sha256,) = (key for key, video in known.items() if video["id"] == name)
        assert {word for _, word in traces(out, name, sha256)} == {name, sha256}
        take_out(out, [sha256[:12]], reason=None)
        assert traces(out, name, sha256, sha256[:12]) == set()
        if name in kept:
            assert not (out / "view.html").exists()
            assert not (out / "stats.html").exists()
            assert {"grandmother", "a_wedding"} - kept <= set(Dataset(out).index()["source_id"].to_pylist())
    assert (out / "notes.html").read_text() == "my own"
    build(recipe(), out, sources=[str(inputs)])
    assert samples(out).keys() == samples(tmp_path / "before").keys()


def test_a_copy_that_is_forgotten_leaves_no_trace_and_what_it_was_a_copy_of_stays(videos, tmp_path):
    inputs, out = some(videos, tmp_path / "in", range(8)), tmp_path / "out"
    copy_of(inputs / "v03.mp4", inputs / "a_wedding.mp4")
    build(recipe(), out, sources=[str(inputs)])
    kept = {row["source_id"] for row in Dataset(out).index().to_pylist()}
    (gone,) = {"v03", "a_wedding"} - kept
    known = json.loads((out / ".build" / "sources.json").read_text())
    (sha256,) = (key for key, video in known.items() if video["id"] == gone)
    before = samples(out)
    done = command("forget", out, "--source", gone, "--workers", 0)
    assert done.returncode == 0, done.stderr
    assert traces(out, gone, sha256) == set()
    assert samples(out) == before


def test_what_is_left_is_counted_and_a_split_that_is_empty_now_is_named(videos, tmp_path):
    inputs, out = some(videos, tmp_path / "in", range(3)), tmp_path / "out"
    options = ["tasks={recolor: {}}", "splits={train: 0.5, val: 0, test: 0.5}"]
    build(recipe(*options), out, sources=[str(inputs)])
    rows = Dataset(out).index("recolor").to_pylist()
    tests = {row["source_id"] for row in rows if row["split"] == "test"}
    trained = sum(row["split"] == "train" for row in rows)
    done = command("reject", out, "--workers", 0, *(word for name in sorted(tests) for word in ("--source", name)))
    assert done.returncode == 0, done.stderr
    assert f"  train: {trained} samples (recolor {trained})\n" in done.stdout
    assert "  test: " not in done.stdout
    assert "no test samples: " in done.stdout


@pytest.mark.parametrize("name", ["forget", "reject"])
def test_pages_that_show_what_was_taken_out_are_removed_and_that_is_said(name, videos, tmp_path):
    inputs, out = some(videos, tmp_path / "in", range(3)), tmp_path / "out"
    build(recipe("tasks={recolor: {}}"), out, sources=[str(inputs)])
    assert command("view", out).returncode == command("gates", out).returncode == 0
    done = command(name, out, "--source", "v01", "--workers", 0)
    for page in ("view", "gates"):
        assert f"{page}.html was out of date and was removed; 'datagen {page} {out}' makes it again\n" in done.stdout
        assert not (out / f"{page}.html").exists()


def test_a_captioned_video_is_forgotten_with_the_file_that_was_its_duplicate(videos, tmp_path):
    inputs, out = some(videos, tmp_path / "clips", range(8)), tmp_path / "out"
    files = sorted(inputs.iterdir())
    (tmp_path / "t.csv").write_text("path,caption\n" + "".join(f"clips/{file.name},at noon\n" for file in files))
    build(recipe(), out, sources=[str(tmp_path / "t.csv"), str(inputs)])
    sha256 = hashlib.sha256(files[3].read_bytes()).hexdigest()
    assert sha256 in (out / "rejects.jsonl").read_text()
    take_out(out, [files[3].stem], reason=None)
    for path in out.rglob("*"):
        if path.is_file() and path.suffix != ".parquet":
            assert sha256.encode() not in path.read_bytes(), path
    assert (out / "rejects.jsonl").read_text().count("of which more is said") == 7


@pytest.mark.parametrize("by", ["file name", "sha256", "path in the table"])
def test_a_captioned_video_is_taken_out_by_its_file_and_stays_out_when_it_comes_alone(by, videos, tmp_path):
    inputs, out = some(videos, tmp_path / "clips", range(8)), tmp_path / "out"
    files = sorted(inputs.iterdir())
    rows = [f"clips/{file.name},{file.stem} at noon" for file in files]
    (tmp_path / "t.csv").write_text("\n".join(["path,caption", *rows]))
    build(recipe(), out, sources=[str(tmp_path / "t.csv")])
    sha256 = hashlib.sha256(files[3].read_bytes()).hexdigest()
    went = files[3].stem
    assert went in Dataset(out).index()["source_id"].to_pylist()
    name = {"file name": files[3].name, "sha256": sha256, "path in the table": f"clips/{files[3].name}"}[by]
    take_out(out, [name], reason="a licence withdrawn")
    assert went not in Dataset(out).index()["source_id"].to_pylist()
    if by == "sha256":
        build(recipe(), out, sources=[str(tmp_path / "t.csv"), str(files[3])])
        assert went not in Dataset(out).index()["source_id"].to_pylist()


@pytest.mark.parametrize("reason", [None, "by hand"])
def test_a_removal_that_is_killed_goes_on_when_it_is_asked_for_again(reason, videos, tmp_path, monkeypatch):
    inputs, out, whole = some(videos, tmp_path / "in", range(8)), tmp_path / "out", tmp_path / "whole"
    for folder in (out, whole):
        build(recipe(), folder, sources=[str(inputs)])
    take_out(whole, ["v03"], reason=reason)
    with monkeypatch.context() as patch:
        patch.setattr("datagen.workers.build_unit", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            take_out(out, ["v03"], reason=reason)
    with pytest.raises(
        DatasetError, match=r"a removal did not finish; first run 'datagen (forget|reject) .*out --source v03' again"
    ):
        take_out(out, ["v04"], reason=reason)
    take_out(out, ["v03"], reason=reason)
    assert samples(out) == samples(whole)
    assert rejects(out) == rejects(whole)
    # and that is the end of it: nothing of this name is there now
    with pytest.raises(DatasetError, match="no source named 'v03'") if reason is None else nullcontext():
        take_out(out, ["v03"], reason=reason)


@pytest.mark.parametrize("reason", [None, "by hand"])
def test_a_removal_that_is_killed_at_any_write_is_finished_before_anything_else_is_built(
    reason, videos, tmp_path, monkeypatch
):
    inputs, start, whole = some(videos, tmp_path / "in", range(3)), tmp_path / "start", tmp_path / "whole"
    one_task = recipe("tasks={recolor: {}}", "clip.per_video=1")
    build(one_task, start, sources=[str(inputs)])
    shutil.copytree(start, whole)
    take_out(whole, ["v01"], reason=reason)
    command = "forget" if reason is None else "reject"
    for write in range(1, 200):
        out = tmp_path / f"killed{write}"
        shutil.copytree(start, out)
        with monkeypatch.context() as patch:
            written = killed_at(write, patch)
            with suppress(KeyboardInterrupt):
                take_out(out, ["v01"], reason=reason)
        if not (out / ".build" / "removal.json").exists():
            # not begun, or finished
            assert samples(out) == samples(start if write == 1 else whole)
        else:
            # the first two are those of the note; the last is that of the new manifest
            if write > 2 and (out / "manifest.json").exists():
                assert samples(out) == samples(whole)
            remedy = rf"a removal did not finish; first run 'datagen {command} {out} --source v01' again"
            with pytest.raises(DatasetError, match=remedy):
                build(one_task, out, sources=[str(inputs)])
            take_out(out, ["v01"], reason=reason and "another reason")
        if written[0] < write:
            break
        if write > 1:
            assert samples(out) == samples(whole)
            assert (out / "rejects.jsonl").read_text() == (whole / "rejects.jsonl").read_text()
            assert "v01" not in Dataset(out).index()["source_id"].to_pylist()
    assert 10 < write < 199


def killed_at(write, patch):
    """Let the process end at one of its writes to disk, before or after the file has its name; count them."""
    real, count = os.fsync, [0]

    def counting(descriptor):
        count[0] += 1
        if count[0] == write:
            raise KeyboardInterrupt
        real(descriptor)

    patch.setattr("os.fsync", counting)
    return count


def test_a_removal_that_is_killed_may_be_dropped_with_the_whole_dataset(videos, tmp_path, monkeypatch):
    inputs, out = some(videos, tmp_path / "in", range(3)), tmp_path / "out"
    build(recipe(), out, sources=[str(inputs)])
    with monkeypatch.context() as patch:
        killed_at(5, patch)
        with pytest.raises(KeyboardInterrupt):
            take_out(out, ["v01"], reason=None)
    build(recipe(), out, sources=[str(inputs)], overwrite=True)
    assert "v01" in Dataset(out).index()["source_id"].to_pylist()


@pytest.mark.parametrize("name", ["plan", "identity", "excluded", "removal", "examined", "units/train-000000"])
def test_a_note_that_is_damaged_is_one_line_or_made_again(name, videos, tmp_path):
    inputs, start, out = some(videos, tmp_path / "in", range(3)), tmp_path / "start", tmp_path / "out"
    one_task = recipe("tasks={recolor: {}}", "clip.per_video=1")
    build(one_task, start, sources=[str(inputs)])
    for text in ("", "[]", "null", "{}"):
        shutil.copytree(start, out)
        (out / ".build" / f"{name}.json").write_text(text)
        if name in ("examined", "units/train-000000"):
            build(one_task, out, sources=[str(inputs)])
        else:
            with pytest.raises(
                DatasetError, match=rf"{name}.json is damaged; run the same 'datagen build' with --overw"
            ):
                build(one_task, out, sources=[str(inputs)])
            build(one_task, out, sources=[str(inputs)], overwrite=True)
        assert samples(out) == samples(start)
        assert verify(out) == []
        shutil.rmtree(out)


def test_what_is_no_source_or_all_there_is_cannot_be_taken_out(videos, tmp_path):
    out = tmp_path / "out"
    build(recipe(), out, sources=[str(videos / "v01.mp4"), str(videos / "v02.mp4")])
    with pytest.raises(DatasetError, match="did you mean 'v01'"):
        take_out(out, ["v011"], reason="x")
    before = stamps(out)
    with pytest.raises(SourceError, match="nothing would be left"):
        take_out(out, ["v01", "v02"], reason="x")
    assert stamps(out) == before


def copy_of(path, out, **changes):
    """Write a video again, smaller and with other compression."""
    from shards import read_video

    frames = np.stack([cv2.resize(f, (64, 48), interpolation=cv2.INTER_AREA) for f in read_video(path)])
    write_video(out, np.clip(frames.astype(int) + changes.get("light", 0), 0, 255).astype(np.uint8), fps=25)


def test_a_copy_of_a_video_is_left_out_whatever_its_size_and_the_rest_is_as_if_it_had_never_been(videos, tmp_path):
    inputs = some(videos, tmp_path / "in", range(12))
    build(recipe(), tmp_path / "clean", sources=[str(inputs)])
    copy_of(videos / "v04.mp4", inputs / "v04 again.mp4", light=6)
    manifest = build(recipe(), tmp_path / "out", sources=[str(inputs)], workers=1)
    assert manifest.rejects["near-duplicate"] == 3
    kept = {row["source_id"] for row in Dataset(tmp_path / "out").index().to_pylist()}
    assert len(kept & {"v04", "v04 again"}) == 1
    assert verify(tmp_path / "out", decode=True) == []
    (reason,) = {r["reason"].split(" at ")[0] for r in rejects(tmp_path / "out") if r["where"] == "excluded"}
    assert reason.startswith("near-duplicate: of v04")
    again = stamps(tmp_path / "out")
    build(recipe(), tmp_path / "out", sources=[str(inputs)])
    assert stamps(tmp_path / "out") == again
    # when the one that was kept goes, its copy comes back
    (went,) = kept & {"v04", "v04 again"}
    take_out(tmp_path / "out", [went], reason="x")
    assert ({"v04", "v04 again"} - {went}) <= set(Dataset(tmp_path / "out").index()["source_id"].to_pylist())


def test_kept_copies_in_two_splits_are_a_leak_and_an_error(videos, tmp_path):
    for split, name in (("train", "a"), ("test", "b")):
        for side in ("sharp", "blur"):
            folder = tmp_path / "in" / split / name / side
            folder.mkdir(parents=True)
            for n, frame in enumerate(moving_clip(1, frames=4, height=48, width=48)):
                cv2.imwrite(str(folder / f"{n}.png"), frame if side == "sharp" else frame // 2)
    (tmp_path / "in" / "train" / "a" / "sharp" / "4.png").write_bytes(
        (tmp_path / "in/train/a/sharp/0.png").read_bytes()
    )
    (tmp_path / "in" / "train" / "a" / "blur" / "4.png").write_bytes((tmp_path / "in/train/a/blur/0.png").read_bytes())
    source, tasks = [f"gopro:{tmp_path / 'in'}"], "tasks={deblur: {}}"
    with pytest.raises(SourceError, match=r"1 clips are in two splits, such as frame 0 of train/a/blur \(train\)"):
        build(recipe(tasks, "gates.copy_bits=0"), tmp_path / "kept", sources=source)
    assert not (tmp_path / "kept" / "manifest.json").exists()
    build(recipe(tasks), tmp_path / "out", sources=source)
    assert {row["split"] for row in Dataset(tmp_path / "out").index().to_pylist()} == {"test"}, "train gives way"


def test_hashes_survive_scaling_and_light_and_differ_between_videos():
    clips = [moving_clip(seed, frames=3, height=96, width=96) for seed in range(40)]
    for clip in clips[:10]:
        small = np.stack([cv2.resize(f, (50, 50), interpolation=cv2.INTER_AREA) for f in clip])
        lighter = np.clip(small * 0.9 + 12, 0, 255).astype(np.uint8)
        bits = [
            (int(a, 16) ^ int(b, 16)).bit_count()
            for a, b in zip(perceptual_hashes(clip), perceptual_hashes(lighter), strict=True)
        ]
        assert max(bits) <= 5
    seen = [
        Seen(sha256=f"{k}", group=f"{k}", start=0, split="train", hashes=perceptual_hashes(clip))
        for k, clip in enumerate(clips)
    ]
    assert find_doubles(seen, 8).doubles == ()


def test_a_mirrored_picture_has_nearly_the_hash_that_the_straight_one_tells():
    for seed in range(10):
        clip = moving_clip(seed, frames=3, height=96, width=96)
        mirrored = np.clip(clip[:, :, ::-1] * 0.9 + 12, 0, 255).astype(np.uint8)
        assert is_like(perceptual_hashes(clip), perceptual_hashes(mirrored), 8)


def test_a_clip_of_a_dataset_that_was_built_with_three_hashes_is_known_again():
    clip = moving_clip(7, frames=16, height=96, width=96)
    once = [perceptual_hashes(clip[[k]])[0] for k in (0, 8, 15)]
    assert is_like(once, perceptual_hashes(clip), 8)
    assert not is_like(once, perceptual_hashes(moving_clip(8, frames=16, height=96, width=96)), 8)


def test_notes_of_copies_as_they_were_written_once_are_read(tmp_path):
    (tmp_path / ".build").mkdir()
    noted = {"videos": {"c": "rejected: x"}, "clips": [["a", 4, "near-duplicate: of b", ["b", 0]]]}
    (tmp_path / ".build" / "excluded.json").write_text(json.dumps(noted))
    found = Ledger(find_destination(tmp_path, workers=0), recipe(), "1").excluded()
    assert found.videos == {"c": "rejected: x"}
    assert found.clips == {("a", 4): "near-duplicate: of b"}
    assert found.alike == {("a", "b")}


def test_frames_that_show_nothing_have_no_hash_and_are_like_none():
    clip = moving_clip(1, frames=16, height=64, width=64)
    fading = (clip * np.linspace(0, 1, 16)[:, None, None, None]).astype(np.uint8)
    assert len(perceptual_hashes(clip)) == 8
    assert 4 <= len(perceptual_hashes(fading)) < 8
    assert perceptual_hashes(np.zeros_like(clip)) == []
    assert not is_like([], [], 8)


@pytest.mark.parametrize("distance", [1, 4, 5, 8])
def test_copies_are_found_exactly_as_comparing_all_with_all_finds_them(distance):
    rng = np.random.default_rng(distance)
    seeds = rng.integers(0, 2**63, 60)
    hashes, groups = [], [f"{k // 3}" for k in range(300)]
    for _ in groups:
        values = []
        for _ in range(rng.integers(0, 10)):
            value = int(seeds[rng.integers(60)]) ^ (0x5555555555555555 if rng.random() < 0.2 else 0)
            for bit in rng.integers(0, 64, rng.integers(0, 9)):
                value ^= 1 << int(bit)
            values.append(f"{value:016x}")
        hashes.append(values)
    likes = likes_of(hashes, groups, distance)
    expected = {
        (i, j) for i in range(300) for j in range(300) if groups[i] != groups[j] and like(hashes, i, j, distance)
    }
    assert {(i, j) for i, others in enumerate(likes) for j in others} == expected
    assert expected


def like(hashes, i, j, distance):
    """Whether three eighths of the frames, and two, of both come near to the other's, all straight or all mirrored."""
    wanted = max(3 * min(len(hashes[i]), len(hashes[j])) // 8, min(2, len(hashes[i]), len(hashes[j])))
    for flip in (0, 0x5555555555555555):
        counts = [
            sum(any((int(a, 16) ^ flip ^ int(b, 16)).bit_count() < distance for b in theirs) for a in ours)
            for ours, theirs in ((hashes[i], hashes[j]), (hashes[j], hashes[i]))
        ]
        if wanted and min(counts) >= wanted:
            return True
    return False


def seen(name, split, *values, start=0):
    return Seen(sha256=name, group=name, start=start, split=split, hashes=[f"{value:016x}" for value in values])


def test_videos_with_copies_of_each_other_are_kept_in_one_split_whole():
    rng = np.random.default_rng(0)
    a, b, c, d, own = ([int(v) for v in rng.integers(0, 2**63, 8)] for _ in range(5))
    clips = [
        seen("A", "test", *a),
        seen("B", "train", *a[4:], *b[:4]),
        seen("B", "train", *b, start=16),
        seen("C", "val", *b),
        seen("C", "val", *c, start=16),
        seen("C2", "val", *c),
        seen("D", "train", *d),
        seen("D", "train", *own, start=16),
        seen("E", "train", *d),
    ]
    for order in (clips, clips[::-1], [clips[k] for k in rng.permutation(len(clips))]):
        found = find_doubles(order, 8).doubles
        told = {(each.clip.sha256, each.clip.start): (each.like.sha256, each.bits) for each in found}
        assert told == {
            ("B", 0): ("A", 0),
            ("B", 16): ("C", 0),
            ("C", 0): ("B", 0),
            ("C", 16): ("A", None),
            ("C2", 0): ("A", None),
            ("E", 0): ("D", 0),
        }
    # what is kept has no copies any more, and which videos hang together stays known
    alike = find_doubles(clips, 8).alike
    left = [clip for clip in clips if (clip.sha256, clip.start) not in told]
    assert find_doubles(left, 8, alike) == find_doubles([], 8)
    more = seen("D", "test", *own).hashes
    later = find_doubles([*left, Seen(sha256="F", group="F", start=0, split="test", hashes=more)], 8, alike)
    assert {each.clip.sha256 for each in later.doubles} == {"D"}


def test_films_that_share_a_title_sequence_lose_that_and_nothing_else():
    rng = np.random.default_rng(1)
    title = [int(v) for v in rng.integers(0, 2**63, 8)]
    films = [
        seen(f"F{n}", split, *(title if start == 0 else [int(v) for v in rng.integers(0, 2**63, 8)]), start=start)
        for n, split in enumerate(["train", "train", "val", "test"])
        for start in (0, 16, 32, 48)
    ]
    found = find_doubles(films, 8)
    assert {(each.clip.sha256, each.clip.start) for each in found.doubles} == {("F0", 0), ("F1", 0), ("F2", 0)}
    assert found.alike == ()


@pytest.fixture(scope="module")
def shifted(tmp_path_factory):
    """Videos of 40 frames, and copies of some that lack the first frames, written anew."""
    folder = tmp_path_factory.mktemp("shifted")
    for number in range(10):
        frames = moving_clip(300 + number, frames=40, height=54, width=72)
        write_video(folder / f"v{number}.mp4", frames, fps=25)
        if number < 5:
            frames = frames[:, :, ::-1] if number == 4 else frames
            write_video(
                folder / f"v{number} late.mp4", np.clip(frames[3 + 2 * number :] + 4.0, 0, 255).astype(np.uint8), fps=25
            )
    return folder


SHIFTED = ["clip.frames=16", "clip.hop=8", "tasks={recolor: {}}", "splits={train: 0.6, val: 0.1, test: 0.3}"]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_copy_that_begins_later_is_in_no_other_split_and_the_bytes_do_not_depend_on_the_order(
    seed, shifted, tmp_path
):
    files, settings = sorted(map(str, shifted.iterdir())), recipe(*SHIFTED, f"seed={seed}")
    build(settings, tmp_path / "a", sources=files)
    build(settings, tmp_path / "b", sources=files[::-1], workers=2 if seed == 1 else 0)
    splits = {}
    for row in Dataset(tmp_path / "a").index().to_pylist():
        splits.setdefault(row["source_id"].split()[0], set()).add(row["split"])
    assert set(map(len, splits.values())) == {1}
    assert splits.keys() == {f"v{number}" for number in range(10)}
    assert stamps_of(tmp_path / "a") == stamps_of(tmp_path / "b")
    # taken out, the copy that was kept gives way to what was left out for its sake
    kept = {row["source_id"] for row in Dataset(tmp_path / "a").index().to_pylist()}
    gone = next(name for name in ("v0", "v0 late") if name in kept)
    take_out(tmp_path / "a", [gone], reason="x")
    build(settings, tmp_path / "c", sources=[file for file in files if not file.endswith(f"/{gone}.mp4")])
    after = {row["source_id"]: row["split"] for row in Dataset(tmp_path / "a").index().to_pylist()}
    assert after.keys() == {row["source_id"] for row in Dataset(tmp_path / "c").index().to_pylist()}


def stamps_of(out):
    return {
        path.relative_to(out): path.read_bytes()
        for path in out.rglob("*")
        if path.is_file() and ".build" not in str(path)
    }


def test_a_leak_is_an_equal_clip_of_another_video_in_another_split():
    def clip(sha256, split, start=0):
        return Seen(sha256=sha256, group=sha256, start=start, split=split, hashes=("1", "2", "3"))

    assert leaks([clip("a", "train"), clip("a", "train", 9), clip("b", "train")]) == []
    ((kept, other),) = leaks([clip("a", "train"), clip("b", "test")])
    assert (kept.split, other.split) == ("test", "train")


def test_what_failed_is_tried_again_only_when_asked(videos, tmp_path, monkeypatch):
    from configs import DecoderLostError

    inputs, out = some(videos, tmp_path / "in", range(4)), tmp_path / "out"
    real = open_readers

    def failing(settings):
        from contextlib import contextmanager

        @contextmanager
        def opened():
            with real(settings) as read:

                def broken(video, window):
                    if video.id == "v02" and window.start == 4:
                        raise DecoderLostError(f"{video.locator}: it hung")
                    return read(video, window)

                yield broken

        return opened()

    with monkeypatch.context() as patch:
        patch.setattr("datagen.workers.open_readers", failing)
        build(recipe(), out, sources=[str(inputs)])
    assert [reject["reason"] for reject in rejects(out)] == ["undecodable: v02.mp4: it hung"]
    build(recipe(), out, sources=[str(inputs)])
    assert len(rejects(out)) == 1
    build(recipe(), out, sources=[str(inputs)], retry_failed=True)
    assert rejects(out) == []
    build(recipe(), tmp_path / "clean", sources=[str(inputs)])
    assert samples(out) == samples(tmp_path / "clean")


def test_a_file_that_was_unreadable_and_is_mended_comes_in(videos, tmp_path):
    inputs, out = some(videos, tmp_path / "in", range(4)), tmp_path / "out"
    whole = (inputs / "v03.mp4").read_bytes()
    (inputs / "v03.mp4").write_bytes(whole[:500])
    assert build(recipe(), out, sources=[str(inputs)]).sources == 3
    (inputs / "v03.mp4").write_bytes(whole)
    assert build(recipe(), out, sources=[str(inputs)]).sources == 4
    assert rejects(out) == []
