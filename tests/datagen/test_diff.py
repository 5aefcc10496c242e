import json
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from configs import DatasetError, load
from datagen import Recipe, build
from datagen.commands import diff_datasets
from datagen.diff import compare
from datagen.merge import merge
from datagen.tasks.dehaze import Dehaze
from shards import Dataset
from tests.datagen.conftest import SMALL
from tests.datagen.growing import with_recipe, without_later_settings

IDENTITY = ["task", "source_sha256", "start", "step", "frames"]


def made(out: Path, *settings: str, sources=("scenes",)) -> Path:
    build(load(Recipe, "default", [*SMALL, "scenes.count=6", *settings]), out, sources=sources)
    return out


def table(root: Path) -> pd.DataFrame:
    """The index by way of pandas alone."""
    return pd.concat([pd.read_parquet(path) for path in sorted(root.glob("*/*.parquet"))])


def causes(groups) -> dict[str, int]:
    return {group.cause: len(group.keys) for group in groups}


@pytest.fixture(scope="module")
def scenes(tmp_path_factory) -> Path:
    return made(tmp_path_factory.mktemp("diff") / "a")


@pytest.fixture(scope="module")
def videos(tmp_path_factory, video_folder) -> Path:
    return made(tmp_path_factory.mktemp("diff") / "v", sources=[str(video_folder)])


@pytest.fixture(scope="module")
def flipped(scenes, tmp_path_factory) -> tuple[Path, str]:
    """A copy with one bit of one target changed, and that sample's key."""
    copy = tmp_path_factory.mktemp("diff") / "flipped"
    shutil.copytree(scenes, copy)
    dataset = Dataset(copy)
    row = dataset.row(dataset.keys("recolor", "train")[1])
    place = next(member for member in row["members"] if member["name"] == "target.mkv")
    path = copy / "recolor" / row["shard"]
    data = bytearray(path.read_bytes())
    data[place["offset"] + place["size"] // 2] ^= 1
    path.write_bytes(data)
    return copy, row["key"]


def test_a_dataset_equals_its_copy(scenes, tmp_path):
    shutil.copytree(scenes, tmp_path / "copy")
    found = compare(scenes, tmp_path / "copy")
    assert found.equal
    assert found.same == len(table(scenes))


def test_settings_that_came_later_are_no_difference(scenes, tmp_path):
    old = shutil.copytree(scenes, tmp_path / "old")
    with_recipe(old, without_later_settings)
    assert compare(old, scenes).equal
    merge([old, old], tmp_path / "x" / "old")
    merge([scenes, scenes], tmp_path / "y" / "old")
    assert not [phrase for phrase in compare(tmp_path / "x" / "old", tmp_path / "y" / "old").made if "recipe" in phrase]


def test_one_flipped_bit_is_found_and_nothing_else(scenes, flipped):
    copy, key = flipped
    found = compare(scenes, copy)
    assert found.members == {"target.mkv": 1}
    assert (found.changed, found.same) == (1, len(table(scenes)) - 1)
    [group] = found.causes
    assert group.keys == ((key, key),)
    assert "nothing that is recorded" in group.cause


@pytest.mark.parametrize(("all_keys", "as_json"), [(False, False), (True, True)])
def test_exit_code_is_that_of_diff(scenes, flipped, all_keys, as_json, capsys):
    assert diff_datasets(scenes, scenes, all_keys, as_json) == 0
    assert diff_datasets(scenes, flipped[0], all_keys, as_json) == 1
    assert flipped[1] in capsys.readouterr().out


def test_the_command_returns_it_too(scenes, flipped):
    line = [sys.executable, "-m", "datagen", "diff", scenes, flipped[0], "--json"]
    done = subprocess.run(list(map(str, line)), capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (1, "")
    assert json.loads(done.stdout) == json.loads(json.dumps(compare(scenes, flipped[0]).to_plain()))


def test_another_codec_changes_the_clips_and_the_cause_says_so(scenes, tmp_path):
    found = compare(scenes, made(tmp_path / "b", "codec=lossless"))
    assert found.made == ("codec 'jpeg' -> 'lossless'",)
    assert causes(found.causes) == {"codec jpeg -> lossless": len(table(scenes))}
    assert found.members == {"source.mkv": found.changed, "target.mkv": found.changed}


def test_changed_parameters_are_named(scenes, tmp_path):
    other = made(tmp_path / "b", "tasks={dehaze: {transmission: [0.3, 0.31]}, recolor: {}}")
    found = compare(scenes, other)
    both = table(scenes).merge(table(other), on=IDENTITY)
    changed = both[both["parameters_x"] != both["parameters_y"]]
    assert set(changed["task"]) == {"dehaze"}
    [group] = [group for group in found.causes if group.cause == "parameters of dehaze"]
    assert {keys[0] for keys in group.keys} == set(changed["key_x"])
    told = {name.split(".")[0] for name in group.names}
    pairs = [
        (json.loads(a), json.loads(b)) for a, b in zip(changed["parameters_x"], changed["parameters_y"], strict=True)
    ]
    assert told == {name for a, b in pairs for name in a if a[name] != b[name]}
    assert group.names["beta"] == sum(a["beta"] != b["beta"] for a, b in pairs)
    assert any(phrase.startswith("tasks.dehaze.transmission") for phrase in found.made)


def test_another_seed_is_a_change_of_the_same_samples(videos, video_folder, tmp_path):
    other = made(tmp_path / "b", "seed=7", sources=[str(video_folder)])
    found = compare(videos, other)
    both = table(videos).merge(table(other), on=IDENTITY)
    assert "seed 0 -> 7" in found.made
    assert found.changed == len(both)
    assert not found.only_a
    counts = causes(found.causes)
    assert counts["seed"] == len(both)
    assert counts["instruction"] == (both["instruction_x"] != both["instruction_y"]).sum()
    moved = both[both["split_x"] != both["split_y"]].groupby(["split_x", "split_y"]).size()
    assert len(moved)
    assert {cause: n for cause, n in counts.items() if cause.startswith("split")} == {
        f"split {a} -> {b}": n for (a, b), n in moved.items()
    }


def test_a_gate_that_turned_clips_away_is_named_with_its_threshold(scenes, tmp_path):
    motion = table(scenes)["scores"].map(lambda text: json.loads(text)["motion"])
    limit = float(motion.median())
    found = compare(scenes, made(tmp_path / "b", f"gates.min_motion={limit}"))
    assert causes(found.only_a) == {
        f"turned away there: still (gates.min_motion 0.02 -> {limit})": (motion < limit).sum()
    }
    assert found.same == (motion >= limit).sum()
    assert not found.only_b


def test_other_windows_of_the_same_videos_are_other_samples(videos, video_folder, tmp_path):
    """One of the videos is there twice; that its second file was left out explains nothing."""
    other = made(tmp_path / "b", "clip.frames=5", sources=[str(video_folder)])
    found = compare(videos, other)
    reason = "other clips are cut from its source there"
    assert causes(found.only_a) == {reason: len(table(videos))}
    assert causes(found.only_b) == {reason: len(table(other))}


def test_a_task_that_is_not_there_and_a_source_that_is_not_there(scenes, videos, tmp_path):
    rows = table(scenes)
    found = compare(scenes, made(tmp_path / "b", "tasks={dehaze: {}}"))
    assert causes(found.only_a) == {"there is no recolor there": (rows["task"] == "recolor").sum()}
    found = compare(scenes, videos)
    assert causes(found.only_a) == {"its source is not there": len(rows)}
    assert "the source videos differ" in found.made


def test_another_version_of_an_effect_is_named(scenes, tmp_path, monkeypatch):
    version = Dehaze.version
    monkeypatch.setattr(Dehaze, "version", version + 1)
    found = compare(scenes, made(tmp_path / "b"))
    assert found.effects == (f"dehaze: haze {version} -> haze {version + 1}",)
    assert causes(found.causes) == {
        f"effect version {version} -> {version + 1}": (table(scenes)["task"] == "dehaze").sum()
    }
    assert list(found.members) == ["meta.json"]


def test_five_keys_of_a_group_are_shown_unless_all_are_wanted(scenes, tmp_path, capsys):
    other = made(tmp_path / "b", "codec=lossless")
    keys = Dataset(scenes).keys()
    diff_datasets(scenes, other, False, False)
    shown = capsys.readouterr().out
    assert sum(key in shown for key in keys) == 5
    assert f"and {len(keys) - 5} more" in shown
    diff_datasets(scenes, other, True, False)
    shown = capsys.readouterr().out
    assert all(key in shown for key in keys)


def test_what_is_no_dataset_is_an_error_not_a_difference(scenes, tmp_path):
    with pytest.raises(DatasetError, match="there is nothing"):
        compare(scenes, tmp_path / "nothing")
