"""Tables of videos: rows that repeat, rows of one video, names that are not unique, masks under --all."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from configs import SourceError, load
from datagen import Recipe, build
from datagen.commands import possible_tasks
from datagen.sources import find_source
from datagen.sources.base import Reject, SourceVideo
from shards import Dataset, write_video
from tests.conftest import moving_clip
from tests.datagen.conftest import command, contents
from tests.datagen.layout_files import frames

RECIPE = ["clip.frames=3", "clip.size=32", "gates.min_motion=0", "gates.max_duplicates=1", "clip.per_video=1"]


def video(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_video(path, moving_clip(seed, frames=4), fps=25)


def mask(folder: Path, left: int) -> None:
    folder.mkdir(parents=True)
    for number in range(4):
        shown = np.zeros((32, 48), np.uint8)
        shown[6:22, left : left + 10] = 255
        Image.fromarray(shown).save(folder / f"{number}.png")


def table(path: Path, rows: list[dict]) -> str:
    pd.DataFrame(rows).to_csv(path, index=False)
    return str(path)


def items(spec: str) -> list[SourceVideo | Reject]:
    return list(find_source(spec, "").videos(load(Recipe, "default", RECIPE), {}))


def test_a_row_that_repeats_another_is_a_reject_that_names_both(tmp_path):
    for n in range(2):
        video(tmp_path / f"{n}.mp4", n)
    rows = [
        {"path": "0.mp4", "split": "train", "licence": "CC0"},
        {"path": "1.mp4", "split": "train"},
        {"path": "0.mp4", "split": "train", "licence": "CC0"},
        {"path": "./0.mp4", "split": "test"},
    ]
    found = items(table(tmp_path / "t.csv", rows))
    assert [item.name for item in found[:2]] == ["0.mp4", "1.mp4"], "in the order of the rows"
    assert [item.reason for item in found[2:]] == [
        "duplicate: line 4 is of the same video as line 2, which counts",
        "duplicate: line 5 is of the same video as line 2, which counts",
    ]
    manifest = build(load(Recipe, "default", RECIPE), tmp_path / "out", sources=[str(tmp_path / "t.csv")])
    assert manifest.sources == 2
    assert Path(tmp_path / "out" / "rejects.jsonl").read_text().count("which counts") == 2


def test_two_objects_of_one_video_are_two_rows_and_no_copies_of_each_other(tmp_path):
    rows = []
    for n in range(4):
        video(tmp_path / f"{n}.mp4", n)
        for side, left in (("left", 10), ("right", 28)):
            mask(tmp_path / f"{n}{side}", left)
            rows.append({"path": f"{n}.mp4", "masks": f"{n}{side}", "expression": f"the box on the {side}"})
    recipe = load(Recipe, "default", [*RECIPE, "tasks={segment: {}}"])
    manifest = build(recipe, tmp_path / "out", sources=[table(tmp_path / "t.csv", rows)])
    assert manifest.samples == 8
    splits: dict[str, set[str]] = {}
    for row in Dataset(tmp_path / "out").index().to_pylist():
        splits.setdefault(row["source_id"], set()).add(row["split"])
    assert sorted(map(len, splits.values())) == [1] * 4


def test_a_row_without_a_group_takes_that_of_another_row_of_its_video(tmp_path):
    video(tmp_path / "0.mp4", 0)
    rows = [{"path": "0.mp4", "caption": "a"}, {"path": "0.mp4", "caption": "b", "group": "film"}]
    assert {item.group for item in items(table(tmp_path / "t.csv", rows))} == {"t.csv film"}


def test_the_videos_of_a_group_are_one_to_statistics(tmp_path):
    rows = [{"path": f"{n}.mp4", "group": "film" if n < 2 else ""} for n in range(4)]
    for seed, row in enumerate(rows):
        video(tmp_path / row["path"], seed)
    spec = table(tmp_path / "t.csv", rows)
    manifest = build(load(Recipe, "default", [*RECIPE, "tasks={recolor: {}}"]), tmp_path / "out", sources=[spec])
    names = {row["clean_sha256"]: row["source_id"] for row in Dataset(tmp_path / "out").index().to_pylist()}
    assert [sorted(names[video] for video in family) for family in manifest.families] == [["0", "1"]]


def test_rows_of_equal_names_in_another_order_give_the_same_dataset(tmp_path):
    rows = [{"path": f"{folder}/x.mp4", "caption": f"in {folder}"} for folder in "abcd"]
    for seed, row in enumerate(rows):
        video(tmp_path / row["path"], seed)
    made = []
    for number, order in enumerate((rows, rows[::-1])):
        spec = table(tmp_path / f"{number}.csv", order)
        assert [item.name for item in items(spec)] == [row["path"] for row in order]
        build(load(Recipe, "default", [*RECIPE, "tasks={recolor: {}}"]), tmp_path / f"out{number}", sources=[spec])
        made.append(contents(tmp_path / f"out{number}"))
    assert made[0].keys() == made[1].keys()
    assert [name for name in made[0] if made[0][name] != made[1][name]] == []
    assert set(Dataset(tmp_path / "out0").index()["source_id"].to_pylist()) == {"x"}


def test_segment_is_one_of_all_tasks_where_a_table_has_masks(tmp_path, capsys):
    video(tmp_path / "0.mp4", 0)
    video(tmp_path / "1.mp4", 1)
    mask(tmp_path / "m", 10)
    bare = table(tmp_path / "bare.csv", [{"path": "0.mp4", "masks": ""}])
    masked = table(
        tmp_path / "masked.csv", [{"path": "0.mp4"}, {"path": "1.mp4", "masks": "m", "expression": "the box"}]
    )
    assert "segment" not in possible_tasks([bare])
    assert "leaving out segment: no source has object masks" in capsys.readouterr().err
    assert "segment" in possible_tasks([bare, masked])
    assert capsys.readouterr().err == ""
    settings = [part for setting in RECIPE for part in ("--set", setting)]
    done = command("build", "--all", "--from", masked, "--out", tmp_path / "out", "--workers", "0", *settings)
    assert done.returncode == 0, done.stderr
    (sample,) = [Dataset(tmp_path / "out")[key] for key in Dataset(tmp_path / "out").keys("segment")]
    assert "the box" in sample.instruction
    assert sample.meta.source_id == "1"


@pytest.mark.parametrize("ending", ["parquet", "jsonl"])
def test_other_kinds_of_table_say_whether_they_have_masks(ending, tmp_path):
    rows = [{"path": "0.mp4", "masks": None}, {"path": "1.mp4", "masks": "m"}]
    frame = pd.DataFrame(rows)
    for name, part in (("all", frame), ("none", frame[:1])):
        file = tmp_path / f"{name}.{ending}"
        part.to_parquet(file) if ending == "parquet" else part.to_json(file, orient="records", lines=True)
    assert find_source(str(tmp_path / f"all.{ending}"), "").masks
    assert not find_source(str(tmp_path / f"none.{ending}"), "").masks


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"captoin": "a dog"}, "column 'captoin' is not used; did you mean 'caption'?"),
        ({"licens": "CC0", "width": 48}, "columns 'licens', 'width' are not used; did you mean 'license' by 'licens'?"),
        ({"caption": "a dog", "captions": "two"}, "column 'captions' is not used"),
        ({f"score {n}": n for n in range(7)}, "'score 4', ... (7 in all) are not used"),
        ({"license": "CC0", "Caption ": "a dog", "Unnamed: 0": 3}, ""),
        ({"fps": 12}, "fps is that of a folder of pictures, not used of 2 video files, which have their own"),
    ],
)
def test_what_a_table_has_that_is_not_used_is_said_once(columns, said, tmp_path, capsys):
    for seed in range(2):
        video(tmp_path / f"{seed}.mp4", seed)
    frames(tmp_path / "2", seed=2)
    spec = table(tmp_path / "t.csv", [{"path": path, **columns} for path in ("0.mp4", "1.mp4", "2")])
    rates = [item.fps for item in items(spec)]
    assert rates == [25, 25, 12 if "fps" in columns else 25]
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == bool(said)
    assert all(line.startswith(f"warning: {spec}: ") and line.endswith(said) for line in lines)
    items(spec)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            b"path,caption\n0.mp4,a dog, a cat\n",
            "line 2: 3 cells, the header has 2; a cell with a comma in it needs quotes",
        ),
        (b"path,caption\n0.mp4,a dog\n1.mp4\n", "line 3: 1 cells, the header has 2"),
        (
            b'path,caption\n0.mp4,"a dog\nand a cat"\n1.mp4,"a\n',
            "line 4: unexpected end of data; are its quotes in pairs",
        ),
        (
            "path,caption\n0.mp4,a\n1.mp4,caf\u00e9\n".encode("latin-1"),
            r"line 3: not UTF-8 \(byte 0xe9\); save the table as",
        ),
        ("path\n0.mp4\n".encode("utf-16"), "line 1: not UTF-8 .*; save the table as UTF-8"),
        (b"path,caption\n\n0.mp4,a\n,b\n", "line 4: no path"),
        (b"path,caption\nnan,a\n", "line 2: no path"),
        (b"path,caption\n0.mp4,a\0b\n", "line 2: caption has a zero byte in it"),
        (b"path,caption,caption\n0.mp4,a,b\n", "two columns are called 'caption'; keep one of them"),
        (b"path;caption\n0.mp4;a\n", "it has path;caption, wanted is 'path'; its columns must be separated by commas"),
        (b"path,caption\n", "the table has no rows"),
        (b"", "the table has no rows"),
    ],
)
def test_a_table_that_is_damaged_is_one_line_that_names_the_line(text, said, tmp_path):
    (tmp_path / "t.csv").write_bytes(text)
    with pytest.raises(SourceError, match=said) as error:
        items(str(tmp_path / "t.csv"))
    assert str(error.value).startswith(f"{tmp_path / 't.csv'}")


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ('{"path": "0.mp4"}\n{"path":\n', "line 2: no JSON object"),
        ('["0.mp4"]\n', r"line 1: no JSON object \(list found\)"),
        ('{"path": "0.mp4"}\n\n{"caption": "x"}\n', "line 3: no path"),
        ('{"path": "0.mp4", "caption": ["a", "b"]}\n', "line 1: caption is a list, it must be text"),
    ],
)
def test_lines_of_json_are_named_too(lines, said, tmp_path):
    (tmp_path / "t.jsonl").write_text(lines)
    with pytest.raises(SourceError, match=said):
        items(str(tmp_path / "t.jsonl"))


def test_captions_come_as_they_were_written_and_nothing_stays_nothing(tmp_path):
    video(tmp_path / "0, 1.mp4", 0)
    for n, row in enumerate(['"he said ""hi"",\r\nand left\u2028"', "12", "3.50", "NaN", "", "None", "007"]):
        (tmp_path / "t.csv").write_text(f'\ufeffpath,caption\r\n"0, 1.mp4",{row}\r\n', newline="")
        (item,) = items(str(tmp_path / "t.csv"))
        expected = ['he said "hi",\r\nand left', "12", "3.50", None, None, None, "007"][n]
        assert item.facts.get("caption") == expected
    frame = pd.DataFrame({"path": ["0, 1.mp4"] * 2, "caption": pd.array([5, None], dtype="Int64")})
    frame.to_parquet(tmp_path / "t.parquet")
    frame.to_json(tmp_path / "t.jsonl", orient="records", lines=True)
    for name in ("t.parquet", "t.jsonl"):
        assert [item.facts.get("caption") for item in items(str(tmp_path / name))] == ["5", None]


def test_paths_are_relative_to_the_table_begin_at_home_or_are_rejects(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    video(tmp_path / "home" / "0.mp4", 0)
    video(tmp_path / "1.mp4", 1)
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "t.csv").write_text("path\n~/0.mp4\n../1.mp4\nhttps://host/2.mp4\n3.mp4\n" + "x" * 300 + ".mp4\n")
    found = items(str(tmp_path / "t" / "t.csv"))
    assert [item.name for item in found[:2]] == ["~/0.mp4", "../1.mp4"]
    assert [item.reason for item in found[2:]] == [
        "a URL: line 4 must name a file; download it first",
        "unreadable: no such file",
        "unreadable: file name too long",
    ]
