"""One video given in several ways: alone, with a caption, with masks, as the clean side of a pair."""

import hashlib
from pathlib import Path

import pytest

from configs import load
from datagen import Recipe
from datagen.plan import make_plan
from datagen.sources import find_source
from datagen.sources.base import Reject, SourceVideo
from datagen.splits import assign_splits
from tests.datagen.layout_files import RECIPE, found, frames, masks
from tests.datagen.test_sources_table import table, video


def recipe(*settings: str) -> Recipe:
    return load(Recipe, "default", [*RECIPE, "splits.test=0.3", "splits.val=0.3", "splits.train=0.4", *settings])


def items(*specs: str) -> list[SourceVideo | Reject]:
    return [item for spec in specs for item in find_source(spec, "unknown").videos(recipe(), {})]


def splits(*specs: str) -> dict[str, str]:
    plan = make_plan(items(*specs), recipe())
    places = assign_splits(plan.videos, recipe().splits, 0)
    return {video.content: places[video.sha256] for video in plan.videos}


@pytest.fixture
def captioned(tmp_path) -> str:
    for seed in range(12):
        video(tmp_path / "clips" / f"{seed}.mp4", seed)
    rows = [{"path": f"clips/{seed}.mp4", "caption": f"number {seed}"} for seed in range(12)]
    return table(tmp_path / "t.csv", rows)


def test_the_split_of_a_video_is_that_of_its_file_whatever_is_said_of_it(captioned, tmp_path):
    alone = splits(str(tmp_path / "clips"))
    twice = [{"path": f"clips/{n}.mp4", "caption": said} for n in range(12) for said in ("a", "b")]
    assert splits(captioned) == alone
    assert splits(table(tmp_path / "twice.csv", twice)) == alone
    assert set(alone) == {hashlib.sha256(file.read_bytes()).hexdigest() for file in (tmp_path / "clips").iterdir()}
    assert set(alone.values()) == {"train", "val", "test"}


def test_a_folder_of_frames_has_the_split_that_it_has_with_masks_and_as_the_clean_side_of_a_pair(tmp_path):
    frames(tmp_path / "v")
    frames(tmp_path / "hazy", shift=30)
    masks(tmp_path / "m")
    rows = [
        {"path": "v", "masks": "m", "expression": "the box"},
        {"path": "v", "pair": "hazy", "task": "dehaze"},
        {"path": "v", "caption": "a box"},
    ]
    (alone,) = found(f"frames:{tmp_path / 'v'}")
    told = found(table(tmp_path / "t.csv", rows))
    assert alone.group == alone.sha256
    assert {video.group for video in told} == {alone.group}
    assert len({video.sha256 for video in (alone, *told)}) == 4


def test_a_file_given_plainly_beside_its_caption_is_a_duplicate_of_it(captioned, tmp_path):
    for order in ((captioned, str(tmp_path / "clips")), (str(tmp_path / "clips"), captioned)):
        plan = make_plan(items(*order), recipe())
        assert all(video.facts["caption"] for video in plan.videos)
        assert len(plan.videos) == 12
        assert {reject.reason for reject in plan.rejects if reject.source == "3.mp4"} == {
            "duplicate: the same content as clips/3.mp4, of which more is said"
        }


def test_a_file_that_is_in_a_dataset_already_stays_when_its_caption_comes_later_and_both_have_one_split(
    captioned, tmp_path
):
    plain = make_plan(items(str(tmp_path / "clips")), recipe())
    grown = make_plan(items(str(tmp_path / "clips"), captioned), recipe(), before=plain.assigned)
    assert len(grown.videos) == 24
    where = {clip[0]: unit.split for unit in grown.assigned for clip in unit.clips}
    pairs: dict[str, set[str]] = {}
    for item in grown.videos:
        pairs.setdefault(item.content, set()).add(where[item.sha256])
    assert [len(found_in) for found_in in pairs.values()] == [1] * 12


def test_the_official_split_of_a_file_is_that_of_its_caption_too(captioned, tmp_path):
    rows = [{"path": f"clips/{n}.mp4", "split": "test"} for n in range(6)]
    plan = make_plan(items(captioned, table(tmp_path / "official.csv", rows)), recipe())
    found_in = {Path(video.name).stem: video.split for video in plan.videos}
    assert {name for name, split in found_in.items() if split == "test"} == set("012345")


def test_the_group_of_a_video_holds_wherever_else_it_is_given(captioned, tmp_path):
    grouped = table(tmp_path / "g.csv", [{"path": f"clips/{n}.mp4", "group": "film", "caption": "x"} for n in range(6)])
    plan = make_plan(items(captioned, grouped), recipe())
    groups = {(Path(video.name).stem, video.facts["caption"]): video.group for video in plan.videos}
    assert {groups[f"{n}", said] for n in range(6) for said in ("x", f"number {n}")} == {"g.csv film"}
    assert len({group for group in groups.values() if group != "g.csv film"}) == 6


def test_a_video_that_is_listed_as_a_part_of_two_films_keeps_both_in_one_split(captioned, tmp_path):
    rows = [
        {"path": f"clips/{n}.mp4", "caption": said, "group": f"film {said} {n // 2}"}
        for said in ("a", "b")
        for n in range(12)
        # film b 5 has no clip in common with any other
        if (said, n) != ("a", 10) and (said, n) != ("a", 11)
    ]
    plan = make_plan(items(table(tmp_path / "films.csv", rows)), recipe())
    places = {clip[0].sha256: unit.split for unit in plan.units for clip in unit.clips}
    found: dict[str, set[str]] = {}
    for item in plan.videos:
        found.setdefault(item.content, set()).add(places[item.sha256])
    assert [len(found_in) for found_in in found.values()] == [1] * 12
    assert {video.group for video in plan.videos} == {
        f"films.csv film {film}" for film in ("a 0", "a 1", "a 2", "a 3", "a 4", "b 5")
    }
