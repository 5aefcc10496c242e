"""Lists of editing pairs: names that repeat, pairs that are listed twice, rows that are no pairs."""

import json
from pathlib import Path

import pytest

from configs import SourceError, load
from datagen import Recipe, build
from datagen.sources import find_source
from datagen.sources.base import Reject, SourceVideo
from shards import write_video
from tests.conftest import moving_clip

RECIPE = ["clip.frames=3", "clip.size=32", "gates.min_motion=0", "gates.max_duplicates=1", "tasks={edit: {}}"]
ROW = {"source": "0001/a.mp4", "edited": "0001/b.mp4", "instruction": "Add snow."}


def part(root: Path, name: str, seed: int, *rows: dict) -> None:
    """A folder of a data set with a list of its own; file names are as in every other one."""
    (root / name / "0001").mkdir(parents=True, exist_ok=True)
    for number, file in enumerate(("a", "b")):
        write_video(root / name / "0001" / f"{file}.mp4", moving_clip(seed + number, frames=4), fps=20)
    (root / name / "list.json").write_text(json.dumps(rows))


def items(spec: str) -> list[SourceVideo | Reject]:
    return list(find_source(spec, "").videos(load(Recipe, "default", RECIPE), {}))


def test_pairs_of_equal_names_in_two_folders_have_ids_of_their_own(tmp_path):
    part(tmp_path / "one", "style", 0, ROW)
    part(tmp_path / "one", "swap", 10, ROW)
    ids = [item.id for item in items(f"edit_pairs:{tmp_path / 'one'}")]
    assert len(set(ids)) == 2
    assert all(name.startswith("a-b-") for name in ids)
    (tmp_path / "one").rename(tmp_path / "moved")
    part(tmp_path / "moved", "add", 20, ROW)
    again = [item.id for item in items(f"edit_pairs:{tmp_path / 'moved'}")]
    assert set(ids) < set(again), "the ids follow neither from the place nor from what else there is"
    build(load(Recipe, "default", RECIPE), tmp_path / "out", sources=[f"edit_pairs:{tmp_path / 'moved'}"])


def test_a_pair_with_two_instructions_is_two_and_one_in_two_lists_is_one(tmp_path):
    part(tmp_path, "style", 0, ROW, {**ROW, "instruction": "Let it snow."}, ROW)
    (tmp_path / "all.jsonl").write_text(json.dumps({**ROW, "source": "style/0001/a.mp4", "edited": "style/0001/b.mp4"}))
    found = items(f"edit_pairs:{tmp_path}")
    assert sorted(item.facts["instruction"] for item in found) == ["Add snow.", "Let it snow."]
    assert len({item.id for item in found}) == 2
    assert len({item.group for item in found}) == 1


def test_names_that_do_not_repeat_stay_as_they_are(tmp_path):
    part(tmp_path, "style", 0, ROW)
    assert [item.id for item in items(f"edit_pairs:{tmp_path}")] == ["a-b"]


def test_lists_with_rows_that_are_no_pairs_are_named(tmp_path):
    part(tmp_path, "style", 0, ROW, {"source": "0001/a.mp4", "edited": "0001/b.mp4", "instruction": ""})
    part(tmp_path, "swap", 10, {"src": "0001/a.mp4", "tgt": "0001/b.mp4"}, {"src": "x"})
    (tmp_path / "notes.json").write_text('{"version": 1}')
    found = items(f"edit_pairs:{tmp_path}")
    assert [item.id for item in found if isinstance(item, SourceVideo)] == ["a-b"]
    what = "rows without a source, an edited video or an instruction"
    assert {item.source: item.reason for item in found if isinstance(item, Reject)} == {
        "style/list.json": f"{what}: 1 of 2; the first is row 2, with source, edited, instruction",
        "swap/list.json": f"{what}: 2 of 2; the first is row 1, with src, tgt",
    }


def test_lists_without_any_pair_are_an_error(tmp_path):
    part(tmp_path, "swap", 10, {"src": "0001/a.mp4"})
    with pytest.raises(SourceError, match="not of the layout edit_pairs"):
        items(f"edit_pairs:{tmp_path}")
