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


def clips(root: Path, *names: str) -> None:
    for seed, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        write_video(root / name, moving_clip(seed, frames=4), fps=20)


@pytest.mark.parametrize(
    ("listed", "there"),
    [
        # Ditto-1M without the archive of sources: a style has a file of the name
        ("source/00000.mp4", ["videos/local/00000.mp4", "videos/global_style1/00000.mp4"]),
        # Senorita-2M: another group has a source of the name
        ("obj_swap/source/00000.mp4", ["local_style/source/00000.mp4", "obj_swap/target/00000.mp4"]),
        # nobody knows which of the two is meant
        ("source/00000.mp4", ["part1/source/00000.mp4", "part2/source/00000.mp4"]),
        ("obj_swap/00000.mp4", ["obj_swap_more/00000.mp4", "swap_upload/00000.mp4"]),
    ],
)
def test_a_file_that_is_not_there_is_replaced_by_no_other_of_its_name(listed, there, tmp_path):
    clips(tmp_path, "lists/x.mp4", *there)
    (tmp_path / "lists" / "x.mp4").rename(tmp_path / "edited.mp4")
    row = {"source_path": listed, "edited_path": "edited.mp4", "instruction": "Make it snow."}
    (tmp_path / "lists" / "all.json").write_text(json.dumps([row]))
    (reject,) = items(f"edit_pairs:{tmp_path}")
    assert isinstance(reject, Reject)
    assert reject.reason == f"no such file: {listed}"


def test_a_list_beside_its_own_videos_looks_into_no_other_group(tmp_path):
    clips(tmp_path, "obj_swap/target/1.mp4", "local_style/source/1.mp4")
    row = {"source_path": "source/1.mp4", "edited_path": "target/1.mp4", "instruction": "Swap it."}
    (tmp_path / "obj_swap" / "list.json").write_text(json.dumps([row]))
    (reject,) = items(f"edit_pairs:{tmp_path}")
    assert isinstance(reject, Reject)
    assert reject.reason == "no such file: source/1.mp4"


@pytest.mark.parametrize(
    "place",
    ["videos/source/1.mp4", "source/source/1.mp4", "videos/source_upload/1.mp4", "source/part_upload/1.mp4"],
)
def test_a_file_is_found_below_the_folders_that_archives_put_in(place, tmp_path):
    clips(tmp_path, place, "local/1.mp4")
    row = {"source_path": "source/1.mp4", "edited_path": "local/1.mp4", "instruction": "Make it snow."}
    (tmp_path / "training_metadata").mkdir()
    (tmp_path / "training_metadata" / "local.json").write_text(json.dumps([row]))
    (video,) = items(f"edit_pairs:{tmp_path}")
    assert isinstance(video, SourceVideo), video
    assert video.locator == str(tmp_path / place)
