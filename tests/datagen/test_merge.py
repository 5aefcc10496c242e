"""What a merge gives: the bytes, rows and notes of its parts in one sound dataset."""

import json
import shutil
from collections import Counter

import pyarrow.parquet as pq
import pytest

import datagen.merge
import shards.tasks
from configs import DatasetError
from datagen.commands import merge_datasets, show_info
from datagen.merge import cut, merge
from datagen.parts import Pick
from datagen.replay import replay
from datagen.view import write_contact_sheet
from shards import Dataset, load_manifest, stream, verify, write_video
from tests.conftest import moving_clip
from tests.datagen.conftest import made, shards_of, table


def test_merging_two_halves_gives_the_bytes_of_building_the_whole(halves, tmp_path):
    everything = "splits={train: 1, val: 0, test: 0}"
    folders = [made(tmp_path / name, everything, sources=[half]) for name, half in zip("ab", halves, strict=True)]
    whole = made(tmp_path / "whole", everything, sources=halves)
    for order in (folders, folders[::-1]):
        out = tmp_path / f"{order[0].name} first"
        merge(order, out)
        assert shards_of(out) == shards_of(whole)
        assert load_manifest(out).sha256 == load_manifest(whole).sha256
        assert load_manifest(out).sources == 8
        assert load_manifest(out).rejects == {"unreadable": 1}
        assert not (out / ".build").exists()


def test_every_member_is_copied_byte_for_byte_and_every_row_kept(parts, merged):
    both = Dataset(merged)
    placed = {"shard", "offset", "bytes", "members"}
    for part in map(Dataset, parts):
        for sample in part:
            key = sample.key
            assert both.members(key) == part.members(key)
            ours, theirs = both.row(key), part.row(key)
            assert {n: v for n, v in ours.items() if n not in placed} == {
                n: v for n, v in theirs.items() if n not in placed
            }
    assert sorted(both.keys()) == sorted(table(*parts)["key"])


def test_the_result_is_a_sound_dataset_that_every_command_takes(merged, parts, tmp_path, capsys):
    assert verify(merged, decode=True) == []
    show_info(merged)
    assert f"merged from {parts[0].name}" in capsys.readouterr().out
    page = write_contact_sheet(merged, tmp_path / "view.html", limit=4).read_text()
    assert page.count("<article") == 4
    assert len(list(stream(merged, "dehaze", "train"))) == len(table(merged).query("task=='dehaze' and split=='train'"))
    with pytest.raises(DatasetError, match=r"merged dataset; replay .* in the part it came from, one of: a \(content"):
        replay(merged, Dataset(merged).keys()[0])


def test_the_index_points_at_the_bytes(merged):
    for path in merged.glob("*/*.parquet"):
        data = path.with_suffix(".tar").read_bytes()
        for row in pq.read_table(path).to_pylist():
            text = next(m for m in row["members"] if m["name"] == "instruction.txt")
            assert data[text["offset"] : text["offset"] + text["size"]].decode() == row["instruction"]
            assert data[row["offset"] :].startswith(row["key"].encode())
            assert row["shard"] == path.with_suffix(".tar").name


def test_webdataset_and_hugging_face_datasets_read_it(merged, tmp_path):
    import datasets
    import webdataset

    rows = table(merged)
    for task, count in rows[rows["split"] == "train"].groupby("task").size().items():
        urls = sorted(map(str, merged.glob(f"{task}/train-*.tar")))
        assert len(list(webdataset.WebDataset(urls, shardshuffle=False))) == count
        pairs = datasets.load_dataset(str(merged), task, split="train", cache_dir=str(tmp_path))
        assert len(pairs) == count
        members = Dataset(merged).members(pairs[0]["__key__"])
        assert pairs[0]["source.mkv"]["bytes"] == members["source.mkv"]
        assert pairs[0]["meta.json"] == json.loads(members["meta.json"])


def test_the_manifest_says_what_it_was_merged_of(parts, merged):
    manifest = load_manifest(merged)
    for part, said in zip(parts, manifest.parts, strict=True):
        own = load_manifest(part)
        assert said["name"] == part.name
        assert said["content_sha256"] == own.sha256
        assert said["recipe"] == own.recipe
        assert said["code_version"] == own.code_version
        assert said["samples"] == own.samples
    rows = table(*parts)
    assert manifest.sources == rows["source_sha256"].nunique()
    assert (merged / "rejects.jsonl").read_text() == "".join((part / "rejects.jsonl").read_text() for part in parts)
    assert manifest.rejects == dict(Counter(load_manifest(parts[0]).rejects) + Counter(load_manifest(parts[1]).rejects))
    assert f"CC0-1.0: {len(rows)} samples" in (merged / "README.md").read_text()


def test_what_several_parts_turned_away_for_one_reason_is_counted_once(halves, tmp_path):
    shutil.copytree(halves[0], tmp_path / "in")
    write_video(
        tmp_path / "in" / "still.mp4", moving_clip(50, frames=1, height=54, width=64).repeat(14, axis=0), fps=25
    )
    everything = "splits={train: 1, val: 0, test: 0}"
    parts = [
        made(tmp_path / task, everything, f"tasks={{{task}: {{}}}}", sources=[tmp_path / "in"])
        for task in ("dehaze", "recolor")
    ]
    own = load_manifest(parts[0]).rejects
    assert {"unreadable", "still"} <= own.keys()
    assert merge(parts, tmp_path / "out").rejects == own
    assert (tmp_path / "out" / "rejects.jsonl").read_bytes() == (parts[0] / "rejects.jsonl").read_bytes()


def test_members_that_only_one_part_has_are_declared(parts, tmp_path):
    import datasets

    options = "tasks={recolor: {reference: 1.0}}"
    other = made(tmp_path / "c", "scenes.count=4", "seed=2", "splits={train: 1, val: 0, test: 0}", options)
    assert all("reference.png" in Dataset(other).members(key) for key in table(other)["key"])
    merge([parts[0], other], tmp_path / "out")
    pairs = datasets.load_dataset(str(tmp_path / "out"), "recolor", split="train", cache_dir=str(tmp_path / "cache"))
    found = {row["__key__"]: row["reference.png"] for row in pairs}
    assert {key for key, reference in found.items() if reference} == set(table(other)["key"])
    assert len(found) == len(table(tmp_path / "out").query("task == 'recolor' and split == 'train'"))


def test_a_merged_dataset_can_be_merged_again(merged, tmp_path):
    third = made(tmp_path / "c", "scenes.count=3", "seed=2")
    merge([merged, third], tmp_path / "out")
    assert verify(tmp_path / "out") == []
    assert len(table(tmp_path / "out")) == len(table(merged, third))


def test_a_sample_that_both_have_is_kept_once(parts, merged, tmp_path):
    manifest = merge([merged, parts[0]], tmp_path / "out")
    assert shards_of(tmp_path / "out") == shards_of(merged)
    assert [part["samples"] for part in manifest.parts] == [len(table(merged)), 0]


def test_copies_in_two_parts_are_one_video_to_statistics(tmp_path):
    everything = "splits={train: 1, val: 0, test: 0}"
    for side in "ab":
        for seed in range(2):
            write_video(
                tmp_path / side / f"{seed}.mp4",
                moving_clip(seed, frames=16, height=64, width=64),
                fps=25,
                crf=18 if side == "a" else 26,
            )
    write_video(tmp_path / "b" / "own.mp4", moving_clip(9, frames=16, height=64, width=64), fps=25)
    parts = [made(tmp_path / f"{side} made", everything, sources=[tmp_path / side]) for side in "ab"]
    manifest = merge(parts, tmp_path / "out")
    names = {row["clean_sha256"]: row["source_id"] for row in Dataset(tmp_path / "out").index().to_pylist()}
    assert sorted(sorted(names[video] for video in family) for family in manifest.families) == [["0", "0"], ["1", "1"]]
    assert merge([tmp_path / "out", parts[0]], tmp_path / "again").families == manifest.families


def test_what_counts_for_another_part_is_said(parts, merged, tmp_path, capsys):
    both, a = len(table(merged)), len(table(parts[0]))
    for weights in ([], [1, 0]):
        merge_datasets([merged, parts[0]], tmp_path / f"out{len(weights)}", weights, 0)
        told = capsys.readouterr().out.splitlines()[1:3]
        assert [line.split(": ")[0] for line in told] == ["  both", "  a"]
        assert f"{both} samples, " in told[0]
        assert "another" not in told[0]
        assert told[1].endswith(f"; {a} of its {a} are in another part, too, and count there")


def test_clips_of_other_codecs_sizes_lengths_and_rates_are_merged_and_keep_what_they_have(parts, tmp_path):
    settings = ("codec=lossless", "clip.size=64", "clip.frames=6", "scenes.fps=10")
    other = made(tmp_path / "c", "scenes.count=4", "seed=3", "tasks={recolor: {}}", *settings)
    merge([parts[0], other], tmp_path / "out")
    assert verify(tmp_path / "out", decode=True) == []
    rows = {row["key"]: row for row in Dataset(tmp_path / "out").index().to_pylist()}
    for part in (parts[0], other):
        for row in Dataset(part).index().to_pylist():
            kept = ("codec", "height", "width", "frames", "fps", "psnr_target")
            assert [rows[row["key"]][name] for name in kept] == [row[name] for name in kept]


def test_a_task_that_is_not_registered_here_is_merged_all_the_same(parts, tmp_path, monkeypatch):
    known = shards.tasks._declared()
    monkeypatch.setattr(shards.tasks, "_declared", lambda: {k: v for k, v in known.items() if k != "dehaze"})
    merge(parts, tmp_path / "out")
    assert verify(tmp_path / "out") == []
    assert shards_of(tmp_path / "out").keys() >= {"dehaze/train-000000.tar", "recolor/train-000000.tar"}
    assert "\n- `dehaze`\n- `recolor`: " in (tmp_path / "out" / "README.md").read_text()


def test_a_killed_merge_leaves_no_dataset_and_is_made_anew(parts, merged, tmp_path, monkeypatch):
    out, write, written = tmp_path / "out", datagen.merge.write_shard, []

    def killed(path, samples):
        if len(written) == 2:
            (path.parent / f".{path.name}.1.tmp").write_text("half")
            raise KeyboardInterrupt
        written.append(path)
        return write(path, samples)

    monkeypatch.setattr(datagen.merge, "write_shard", killed)
    with pytest.raises(KeyboardInterrupt):
        merge(parts, out)
    monkeypatch.undo()
    with pytest.raises(DatasetError, match="run the same 'datagen merge' again"):
        Dataset(out)
    merge(parts, out)
    assert shards_of(out) == shards_of(merged)
    assert {path.name for path in out.iterdir()} == {path.name for path in merged.iterdir()}


def picks(*sizes: int) -> list[Pick]:
    return [
        Pick(
            part=0,
            key=str(n),
            task="x",
            split="train",
            source_sha256="",
            clean_sha256="",
            pair_sha256="",
            start=n,
            bytes=size,
        )
        for n, size in enumerate(sizes)
    ]


def test_shards_keep_below_the_limit_and_lose_nothing():
    found = list(cut(picks(*[30_000] * 5, 200_000, *[30_000] * 4), 110_000))
    assert [len(chunk) for chunk in found] == [3, 2, 1, 3, 1]
    assert [int(pick.key) for chunk in found for pick in chunk] == list(range(10))
    # small ones are spread for the sake of parallel readers, as a build does it
    assert [len(chunk) for chunk in cut(picks(*[1] * 40), 10**9)] == [16, 16, 8]


def test_no_shard_is_larger_than_the_recipes_say(tmp_path):
    one = [
        "clip.size=128",
        "scenes.count=9",
        "shard_megabytes=1",
        "tasks={dehaze: {}}",
        "splits={train: 1, val: 0, test: 0}",
    ]
    folders = [made(tmp_path / str(seed), *one, f"seed={seed}") for seed in (0, 1)]
    manifest = merge(folders, tmp_path / "out")
    assert len(manifest.shards) > 1
    assert all(shard.bytes <= 2**20 for shard in manifest.shards)
