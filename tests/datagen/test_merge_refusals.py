"""What is not merged, and where nothing is merged into: leaks, damage, unfinished builds, wrong use."""

import shutil
import subprocess
import sys

import pytest

from configs import DatasetError, OutputError, load
from datagen import Recipe, build
from datagen.builder import take_out
from datagen.ledger import locked
from datagen.merge import merge
from shards import read_video, verify, write_video
from tests.datagen.conftest import SMALL, made, table


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


def test_one_key_with_other_bytes_is_refused(parts, tmp_path):
    other = made(tmp_path / "c", "scenes.count=12", "splits={train: 0.7, val: 0.15, test: 0.15}", "codec=lossless")
    with pytest.raises(DatasetError, match=r"with other bytes \(source.mkv, target.mkv\); leave one of them out"):
        merge([parts[0], other], tmp_path / "out")


def test_a_merge_has_the_folder_for_itself_from_before_it_looks_at_the_parts(parts, tmp_path):
    (tmp_path / "part").mkdir()
    with locked(tmp_path / "out"), pytest.raises(OutputError, match="is at work here; wait for it"):
        merge([parts[0], tmp_path / "part"], tmp_path / "out")
    with pytest.raises(DatasetError, match="not a finished dataset"):
        merge([parts[0], tmp_path / "part"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


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
