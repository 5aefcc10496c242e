"""What the numbers in the names of frames tell: the rate of those that are taken, and where some are missing."""

from pathlib import Path

import pandas as pd
import pytest

from configs import load
from datagen import Recipe, build
from datagen.plan import video_windows
from datagen.sources import find_source
from datagen.sources.base import Reject, SourceVideo, Window
from datagen.sources.files import gaps, usual_step
from datagen.synthesize import open_readers
from shards import Dataset
from tests.datagen.layout_files import RECIPE, found, frames, masks
from tests.datagen.test_sources_table import table


def leave_out(folder: Path, *numbers: int) -> None:
    for number in numbers:
        next(folder.glob(f"*{number:05d}.*")).unlink()


def windows(video: SourceVideo, *settings: str) -> list[list[int]]:
    recipe = load(Recipe, "default", [*RECIPE, "clip.per_video=1000", "clip.hop=1", *settings])
    return [list(window.indices) for window in video_windows(video, recipe)]


def touched(folder: Path, names: list[str]) -> str:
    folder.mkdir()
    for name in names:
        (folder / name).touch()
    return str(folder)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([f"{n:05d}.png" for n in (0, 1, 2, 5, 6, 9)], [3, 5]),
        ([f"{n:05d}.png" for n in (0, 5, 10, 15, 25, 30, 31)], [4, 6]),
        ([f"cam2_frame-{n}_x2.png" for n in (7, 14, 21, 35)], [3]),
        # milliseconds at 30 a second, one frame dropped
        ([f"{n}.jpg" for n in (0, 33, 67, 100, 167, 200)], [4]),
        (["a.png", "b.png", "d.png"], []),
        (["1.png", "take2_5.png", "9.png"], []),
        # seconds and microseconds
        (["1305.91.png", "1305.95.png", "1306.01.png"], []),
        (["00000.png"], []),
    ],
)
def test_frames_are_missing_where_their_numbers_go_on_by_more_or_less(names, expected, tmp_path):
    assert gaps(touched(tmp_path / "v", names), ()) == expected


def test_of_frames_that_are_taken_the_gaps_are_between_those():
    assert gaps("no/such/video.mp4", (0, 5)) == []


def test_every_fifth_of_the_frames_has_a_fifth_of_their_rate(tmp_path):
    frames(tmp_path / "v", count=21)
    masks(tmp_path / "m", count=21, every=5)
    pd.DataFrame([{"path": "v", "masks": "m", "fps": 25, "expression": "the box"}]).to_csv(tmp_path / "t.csv")
    assert [(video.frames, video.fps) for video in found(str(tmp_path / "t.csv"))] == [(5, 5.0)]
    pd.DataFrame([{"path": "v", "masks": "m", "expression": "the box"}]).to_csv(tmp_path / "t.csv")
    assert found(str(tmp_path / "t.csv"), "clip.folder_fps=10")[0].fps == 2.0


@pytest.mark.parametrize("every", [1, 5])
def test_youtube_vos_is_annotated_six_times_a_second_with_all_its_frames_or_without(every, tmp_path):
    root = tmp_path / "train"
    frames(root / "JPEGImages" / "v", count=16)
    leave_out(root / "JPEGImages" / "v", *(n for n in range(16) if n % every))
    masks(root / "Annotations" / "v", count=16, every=5)
    (video,) = found(f"youtube_vos:{tmp_path}")
    assert (video.frames, video.fps) == (4, 6.0)
    assert usual_step(video.locator) == every


@pytest.mark.parametrize("sides", [("blur",), ("sharp",), ("blur", "sharp")])
def test_no_clip_of_a_pair_reaches_across_frames_that_are_missing(sides, tmp_path):
    sequence = tmp_path / "train" / "s"
    for side, shift in (("sharp", 0), ("blur", 30)):
        frames(sequence / side, count=20, shift=shift)
    for side in sides:
        leave_out(sequence / side, *range(8, 12))
    (video,) = found(f"gopro:{tmp_path}")
    assert video.frames == 16
    assert video.facts["cuts"] == [8]
    assert video.fps == found(f"frames:{sequence / 'sharp'}")[0].fps, "what is missing makes no video slower"
    assert windows(video)
    assert not any(7 in window and 8 in window for window in windows(video))


def test_no_clip_of_a_lone_folder_or_a_masked_one_reaches_across_frames_that_are_missing(tmp_path):
    frames(tmp_path / "JPEGImages" / "480p" / "x", count=12)
    masks(tmp_path / "Annotations" / "480p" / "x", count=12)
    leave_out(tmp_path / "Annotations" / "480p" / "x", 6)
    (masked,) = found(f"davis:{tmp_path}")
    assert (masked.facts["cuts"], masked.fps) == ([6], 24.0)
    leave_out(tmp_path / "JPEGImages" / "480p" / "x", 3, 4)
    (lone,) = found(f"frames:{tmp_path / 'JPEGImages'}")
    assert windows(lone) == [[0, 1, 2], *([n, n + 1, n + 2] for n in range(3, 8))]
    build(load(Recipe, "default", RECIPE), tmp_path / "out", sources=[f"frames:{tmp_path / 'JPEGImages'}"])
    assert set(Dataset(tmp_path / "out").index()["start"].to_pylist()) <= {0, 3, 6}


def test_an_exposure_takes_no_frames_from_across_a_gap(tmp_path):
    frames(tmp_path / "v", count=130)
    leave_out(tmp_path / "v", *range(60, 70))
    table(tmp_path / "t.csv", [{"path": "v", "fps": 240}])
    settings = ["clip.fps=30", "tasks={deblur: {}}"]
    (video,) = found(str(tmp_path / "t.csv"), *settings)
    with open_readers(load(Recipe, "default", [*RECIPE, *settings])) as read:
        before, after = (read(video, Window(start=start, step=8, frames=3)).moments for start in (40, 60))
    assert before is not None
    assert after is not None
    assert (before.first, len(before.frames)) == (6, 60 - 34), "up to the last frame before the gap"
    assert (after.first, len(after.frames)) == (0, 16 + 6 + 1), "from the first frame after it"


def test_frames_with_too_many_gaps_and_single_pictures_say_why_they_give_no_clip(tmp_path):
    frames(tmp_path / "gaps", count=7)
    leave_out(tmp_path / "gaps", 2, 5)
    frames(tmp_path / "one", count=1)
    items = find_source(str(tmp_path), "").videos(load(Recipe, "default", RECIPE), {})
    assert [item.reason for item in items if isinstance(item, Reject)] == [
        "too short: 2 frames of 5 between gaps in their numbers, a clip reaches over 3 (clip.frames, clip.step)",
        "too short: 1 frame, a clip reaches over 3 (clip.frames, clip.step); --set clip.frames=1 takes it as a picture",
    ]
