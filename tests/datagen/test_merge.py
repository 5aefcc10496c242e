import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

import datagen.merge
import shards.tasks
from configs import ConfigError, DatasetError, OutputError, load
from datagen import Recipe, build
from datagen.builder import take_out
from datagen.commands import merge_datasets, show_info
from datagen.ledger import locked
from datagen.merge import Pick, cut, merge
from datagen.replay import replay
from datagen.view import write_contact_sheet
from shards import Dataset, load_manifest, read_video, stream, verify, write_video
from tests.conftest import moving_clip
from tests.datagen.conftest import SMALL


def made(out: Path, *settings: str, sources=("scenes",)) -> Path:
    build(load(Recipe, "default", [*SMALL, *settings]), out, sources=list(map(str, sources)))
    return out


def table(*roots: Path) -> pd.DataFrame:
    """The index by way of pandas alone."""
    return pd.concat([pd.read_parquet(path) for root in roots for path in sorted(root.glob("*/*.parquet"))])


def shards_of(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.glob("[a-z]*/*")}


@pytest.fixture(scope="module")
def halves(tmp_path_factory) -> list[Path]:
    """Two folders of four videos each."""
    folders = [tmp_path_factory.mktemp("half") for _ in range(2)]
    for number in range(8):
        frames = moving_clip(number, frames=14, height=54, width=64)
        write_video(folders[number % 2] / f"video {number}.mp4", frames, fps=25)
    (folders[0] / "text.mp4").write_text("this is not a video")
    return folders


@pytest.fixture(scope="module")
def parts(tmp_path_factory) -> list[Path]:
    """Two datasets of scenes, the second with one task and no val split, and one of a dozen samples more."""
    root = tmp_path_factory.mktemp("parts")
    return [
        made(root / "a", "scenes.count=12", "splits={train: 0.7, val: 0.15, test: 0.15}"),
        made(
            root / "b <script>",
            "scenes.count=9",
            "seed=1",
            "tasks={dehaze: {}}",
            "splits={train: 0.7, val: 0, test: 0.3}",
            "gates.min_motion=0.5",
        ),
    ]


@pytest.fixture(scope="module")
def merged(parts, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("merged") / "both"
    merge(parts, out)
    return out


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


def test_a_video_in_different_splits_is_a_leak(halves, tmp_path):
    folders = [made(tmp_path / f"seed-{seed}", f"seed={seed}", sources=halves) for seed in (0, 7)]
    places = table(*folders).groupby("source_sha256")["split"].nunique()
    leaks = sorted(places[places > 1].index)
    assert len(leaks) > 3
    with pytest.raises(DatasetError) as error:
        merge(folders, tmp_path / "out")
    message = str(error.value)
    assert message.startswith(f"LEAK: {len(leaks)} source videos are in different splits")
    assert [sha256[:12] in message for sha256 in leaks] == [True] * 3 + [False] * (len(leaks) - 3)
    assert f"and {len(leaks) - 3} more; equal seeds and splits are not enough" in message
    assert "build both from the same --from, or say each video's split in a table's 'split' column" in message
    assert not (tmp_path / "out").exists()


def test_a_sample_that_both_have_is_kept_once(parts, merged, tmp_path):
    manifest = merge([merged, parts[0]], tmp_path / "out")
    assert shards_of(tmp_path / "out") == shards_of(merged)
    assert [part["samples"] for part in manifest.parts] == [len(table(merged)), 0]


def test_what_counts_for_another_part_is_said(parts, merged, tmp_path, capsys):
    both, a = len(table(merged)), len(table(parts[0]))
    for weights in ([], [1, 0]):
        merge_datasets([merged, parts[0]], tmp_path / f"out{len(weights)}", weights, 0)
        told = capsys.readouterr().out.splitlines()[1:3]
        assert [line.split(": ")[0] for line in told] == ["  both", "  a"]
        assert f"{both} samples, " in told[0]
        assert "another" not in told[0]
        assert told[1].endswith(f"; {a} of its {a} are in another part, too, and count there")


def test_one_key_with_other_bytes_is_refused(parts, tmp_path):
    other = made(tmp_path / "c", "scenes.count=12", "splits={train: 0.7, val: 0.15, test: 0.15}", "codec=lossless")
    with pytest.raises(DatasetError, match=r"with other bytes \(source.mkv, target.mkv\); leave one of them out"):
        merge([parts[0], other], tmp_path / "out")


def by_part(roots: list[Path], out: Path, split: str) -> list[pd.DataFrame]:
    kept = table(out)
    kept = kept[kept["split"] == split]
    return [kept[kept["key"].isin(table(root)["key"])] for root in roots]


@pytest.mark.parametrize("weights", [[0.7, 0.3], [0.3, 0.7], [1, 1], [0, 1], [99, 1]])
def test_weights_are_the_shares_of_the_train_split_as_large_as_possible(parts, weights, tmp_path):
    merge(parts, tmp_path / "out", weights=weights)
    had = [(table(root)["split"] == "train").sum() for root in parts]
    kept = [len(rows) for rows in by_part(parts, tmp_path / "out", "train")]
    whole = min(n / w for n, w in zip(had, weights, strict=True) if w)
    for count, weight in zip(kept, weights, strict=True):
        assert whole * weight - 1 < count <= whole * weight + 1e-9
    assert any(count == n for count, n, weight in zip(kept, had, weights, strict=True) if weight)
    rows, out = table(*parts), table(tmp_path / "out")
    assert set(rows[rows["split"] != "train"]["key"]) == set(out[out["split"] != "train"]["key"])
    assert verify(tmp_path / "out") == []


def test_a_share_is_drawn_evenly_from_the_videos_and_by_the_seed(halves, tmp_path):
    everything = "splits={train: 1, val: 0, test: 0}"
    folders = [made(tmp_path / name, everything, sources=[half]) for name, half in zip("ab", halves, strict=True)]
    chosen = {}
    for name, seed, weight in (("1", 0, 0.5), ("again", 0, 0.5), ("fewer", 0, 0.25), ("2", 1, 0.5)):
        merge(folders, tmp_path / name, weights=[weight, 1], seed=seed)
        rows = by_part(folders, tmp_path / name, "train")[0]
        counts = rows.groupby("source_sha256").size()
        assert len(counts) == 4
        assert counts.max() - counts.min() <= 1
        chosen[name] = set(rows["key"])
    assert chosen["1"] == chosen["again"]
    assert shards_of(tmp_path / "1") == shards_of(tmp_path / "again")
    assert chosen["fewer"] < chosen["1"]
    assert chosen["1"] != chosen["2"]


def test_a_weight_for_a_dataset_without_train_samples_is_refused(parts, tmp_path):
    tests_only = made(tmp_path / "t", "scenes.count=2", "seed=4", "splits={train: 0, val: 0, test: 1}")
    with pytest.raises(DatasetError, match=r"no train samples .* give it the weight 0"):
        merge([parts[0], tests_only], tmp_path / "out", weights=[0.5, 0.5])
    merge([parts[0], tests_only], tmp_path / "out", weights=[1, 0])
    assert len(table(tmp_path / "out")) == len(table(parts[0], tests_only))


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ([0, 1], []),
        (
            [999, 1],
            [
                "train has {a} of {both} samples, because a has only {a} for its share of 99.9 %; in whole samples b <script> is "
                "0.0 % of it in place of 0.1 %"
            ],
        ),
        (
            [2, 5],
            [
                "train has {less} of {both} samples, because b <script> has only {b} for its share of 71.4 %; in whole samples a "
                "is 25.0 % of it in place of 28.6 %, b <script> is 75.0 % of it in place of 71.4 %"
            ],
        ),
    ],
)
def test_what_the_weights_leave_out_and_which_share_is_missed_is_said(parts, weights, words, tmp_path, capsys):
    merge_datasets(parts, tmp_path / "out", weights, 0)
    a, b = ((table(root)["split"] == "train").sum() for root in parts)
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith("train has")]
    assert told == [line.format(a=a, b=b, both=a + b, less=b + b // 3) for line in words]


def test_a_merge_has_the_folder_for_itself_from_before_it_looks_at_the_parts(parts, tmp_path):
    (tmp_path / "part").mkdir()
    with locked(tmp_path / "out"), pytest.raises(OutputError, match="is at work here; wait for it"):
        merge([parts[0], tmp_path / "part"], tmp_path / "out")
    with pytest.raises(DatasetError, match="not a finished dataset"):
        merge([parts[0], tmp_path / "part"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


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


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ([1], "1 weights for 2 datasets; give --weight once for each"),
        ([-1, 2], "must be 0 or more"),
        ([0, 0], "one of them more"),
        ([float("nan"), 1], "must be 0 or more"),
    ],
)
def test_weights_that_make_no_sense_are_named(parts, weights, words, tmp_path):
    with pytest.raises(ConfigError, match=words):
        merge(parts, tmp_path / "out", weights=weights)


def test_only_an_empty_folder_is_merged_into(parts, merged, tmp_path):
    (tmp_path / "mine.txt").write_text("x")
    for out in (tmp_path, merged, parts[0]):
        before = sorted(out.iterdir())
        with pytest.raises(OutputError, match="is not empty"):
            merge(parts, out)
        assert sorted(out.iterdir()) == before
    with pytest.raises(OutputError, match="is a file"):
        merge(parts, tmp_path / "mine.txt")
    (tmp_path / "empty").mkdir()
    merge(parts, tmp_path / "empty")


def test_an_unfinished_build_is_neither_merged_nor_merged_into(parts, tmp_path):
    shutil.copytree(parts[0], tmp_path / "x")
    (tmp_path / "x" / "manifest.json").unlink()
    with pytest.raises(DatasetError, match="run the same 'datagen build' again"):
        merge([tmp_path / "x", parts[1]], tmp_path / "out")
    with pytest.raises(OutputError, match="is not empty"):
        merge(parts, tmp_path / "x")


def test_damage_is_not_merged_under_a_new_sha256(parts, tmp_path):
    shutil.copytree(parts[0], tmp_path / "x")
    path = next((tmp_path / "x").glob("dehaze/train-*.tar"))
    data = bytearray(path.read_bytes())
    data[5000] ^= 1
    path.write_bytes(data)
    with pytest.raises(DatasetError, match=r"is not sound: dehaze/train-000000.tar: changed"):
        merge([tmp_path / "x", parts[1]], tmp_path / "out")


def test_a_build_does_not_replace_a_merged_dataset_unless_told_to(merged, parts, tmp_path):
    shutil.copytree(merged, tmp_path / "x")
    with pytest.raises(OutputError, match=rf"it was merged of {parts[0].name}, {parts[1].name}; give --overwrite"):
        made(tmp_path / "x", "scenes.count=2")
    build(load(Recipe, "default", [*SMALL, "scenes.count=2"]), tmp_path / "x", overwrite=True)
    assert verify(tmp_path / "x") == []


def test_wrong_use_is_one_line_and_exit_code_2(parts, tmp_path):
    for line in (
        [parts[0]],
        [parts[0], tmp_path / "nothing"],
        [*parts, "--weight", "1"],
        [parts[0], parts[0] / "dehaze"],
    ):
        arguments = [sys.executable, "-m", "datagen", "merge", *map(str, line), "--out", str(tmp_path / "out")]
        done = subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=120)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("error: ")
        assert done.stderr.count("\n") == 1


def test_the_same_video_in_another_file_and_another_split_is_a_leak(halves, tmp_path):
    videos = sorted(halves[0].glob("video*.mp4"))
    everything = {"train": "splits={train: 1, val: 0, test: 0}", "test": "splits={train: 0, val: 0, test: 1}"}
    for split, setting in everything.items():
        folder = tmp_path / f"in {split}"
        folder.mkdir()
        for number, path in enumerate(videos[:3] if split == "train" else videos[2:]):
            if split == "train":
                shutil.copy(path, folder)
            else:
                # another file of the same pictures: begun later, other compression
                write_video(folder / f"other {number}.mp4", read_video(path)[2:], fps=25, crf=30)
        made(tmp_path / split, setting, "gates.min_sharpness=0", sources=[folder])
    with pytest.raises(
        DatasetError, match=r"LEAK: \d clips look like some in another split: frame \d+ of video 4 in train"
    ):
        merge([tmp_path / "train", tmp_path / "test"], tmp_path / "both")
    take_out(tmp_path / "train", ["video 4"], reason="in the test set of the other")
    merge([tmp_path / "train", tmp_path / "test"], tmp_path / "both")


def test_a_source_is_taken_out_of_the_parts_not_of_what_was_merged(parts, tmp_path):
    merge(parts[:2], tmp_path / "m")
    with pytest.raises(DatasetError, match="was merged: take the sources out of its parts, and merge these again"):
        take_out(tmp_path / "m", ["scene-000001"], reason="x")
