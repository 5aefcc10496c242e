import numpy as np
import pytest

from configs import load
from datagen import Recipe, build
from datagen.shots import find_cuts, unexplained
from datagen.sources import find_source
from shards import Dataset, read_video, write_video
from tests.conftest import moving_clip


def joined(lengths, size=(72, 96)) -> np.ndarray:
    shots = [moving_clip(50 + k, frames=length, height=size[0], width=size[1]) for k, length in enumerate(lengths)]
    return np.concatenate(shots)


@pytest.mark.parametrize("lengths", [[40], [20, 33, 17], [5, 300, 12, 250]])
def test_cuts_are_the_first_frames_of_new_shots(lengths):
    video = joined(lengths)
    assert find_cuts(lambda part: video[part], len(video)) == list(np.cumsum(lengths)[:-1])


def test_a_flash_and_a_fast_pan_are_no_cuts():
    wide = moving_clip(3, frames=1, height=72, width=900)[0]
    video = np.stack([wide[:, 20 * t : 20 * t + 96] for t in range(40)])
    assert find_cuts(lambda part: video[part], 40) == []
    flash = moving_clip(4, frames=40, height=72, width=96)
    flash[20] = 255
    assert len(find_cuts(lambda part: flash[part], 40)) <= 1


@pytest.mark.parametrize("size", [(1, 1), (3, 64), (64, 3), (8, 8), (12, 12), (36, 64)])
def test_unrelated_frames_of_any_size_are_not_explained(size):
    frames = np.random.default_rng(0).uniform(0, 255, (2, *size)).astype(np.float32)
    assert unexplained(*frames) > 0.6 * np.abs(frames[1] - frames[0]).mean() > 0


def test_real_clips_one_after_the_other_are_cut_where_they_meet(clips):
    parts = [read_video(path, range(40), size=(64, 36)) for path in clips[:10]]
    video = np.concatenate(parts)
    assert find_cuts(lambda part: video[part], len(video)) == list(range(40, 40 * len(parts), 40))


def test_no_clip_of_a_long_video_reaches_over_a_cut_and_none_is_lost_to_one(tmp_path):
    lengths = [37, 50, 23]
    write_video(tmp_path / "film.mp4", joined(lengths), fps=25)
    settings = ["clip.frames=8", "clip.size=64", "gates.min_motion=0", "tasks={recolor: {}}"]
    recipe = load(Recipe, "default", [*settings, "clip.shots_over=1"])
    (video,) = find_source(str(tmp_path), "unknown").videos(recipe, {})
    assert video.facts["cuts"] == [37, 87]
    manifest = build(recipe, tmp_path / "out", sources=[str(tmp_path)])
    starts = sorted(Dataset(tmp_path / "out").index()["start"].to_pylist())
    assert starts == [*range(0, 30, 8), *range(37, 80, 8), 87, 95]
    assert "cut" not in manifest.rejects
    # a short one is left to the gate
    manifest = build(load(Recipe, "default", settings), tmp_path / "short", sources=[str(tmp_path / "film.mp4")])
    assert manifest.rejects["cut"] == 2
