"""Degraded and clean video that somebody else paired, taken as it is."""

import numpy as np
import pytest

from configs import SourceError, load
from datagen import Recipe, build
from datagen.replay import replay
from shards import Dataset
from tests.conftest import moving_clip
from tests.datagen.layout_files import RECIPE, found, frames, read

PAIRS = {
    "gopro": ("train/GOPR0372_07_00/blur", "train/GOPR0372_07_00/sharp", "deblur", "GOPR0372_07_00", "train"),
    "dvd": ("IMG_0003/input", "IMG_0003/GT", "deblur", "IMG_0003", "test"),
    "bsd": ("valid/070/Blur/RGB", "valid/070/Sharp/RGB", "deblur", "070", "val"),
    "revide": ("Test/hazy/C005", "Test/gt/C005", "dehaze", "C005", "test"),
}


@pytest.mark.parametrize("layout", PAIRS)
def test_a_pair_that_exists_is_taken_as_it_is(layout, tmp_path):
    degraded, clean, task, name, split = PAIRS[layout]
    frames(tmp_path / "data" / clean, names="{:06d}.png")
    bad = frames(tmp_path / "data" / degraded, names="{:06d}.png", shift=40)
    (video,) = found(f"{layout}:{tmp_path / 'data'}")
    assert (video.id, video.split, video.facts["task"]) == (name, split, task)
    clip = read(video)
    assert np.array_equal(clip.frames, moving_clip(frames=4)[:3, :, 8:40])
    assert clip.native is not None
    assert np.array_equal(clip.native.other, bad[:3, :, 8:40])
    recipe = load(Recipe, "default", [*RECIPE, f"tasks={{{task}: {{}}, recolor: {{}}}}", "codec=lossless"])
    build(recipe, tmp_path / "out", sources=[f"{layout}:{tmp_path / 'data'}"])
    dataset = Dataset(tmp_path / "out")
    (key,) = dataset.keys(task)
    sample = dataset[key]
    assert sample.meta.effect == "native"
    assert np.array_equal(sample.source, bad[:3, :, 8:40])
    assert np.array_equal(sample.target, dataset[dataset.keys("recolor")[0]].target)
    assert (sample.meta.split, sample.meta.parameters) == (split, {})
    again = replay(tmp_path / "out", key)
    assert again.faithful
    assert "taken as it is" in again.summary()


@pytest.mark.parametrize("below", ["", "quantitative_datasets", "DeepVideoDeblurring_Dataset/quantitative_datasets"])
def test_the_test_sequences_of_dvd_are_known_from_whichever_folder_above_them(below, tmp_path):
    for seed, name in enumerate(("720p_240fps_2", "IMG_0001")):
        for side, shift in (("GT", 0), ("input", 30)):
            frames(tmp_path / below / name / side, seed=seed, shift=shift)
    splits = {video.name.split("/")[-2]: video.split for video in found(f"dvd:{tmp_path}")}
    assert splits == {"720p_240fps_2": "test", "IMG_0001": "train"}
    (alone,) = found(f"dvd:{tmp_path / below / '720p_240fps_2'}")
    assert alone.split == "test"


def test_the_raw_pictures_of_bsd_are_no_videos(tmp_path):
    for kind in ("RGB", "RAW"):
        for side, shift in (("Sharp", 0), ("Blur", 20)):
            frames(tmp_path / "BSD_1ms8ms" / "test" / "003" / side / kind, names="{:08d}.png", shift=shift)
    (video,) = found(f"bsd:{tmp_path}")
    assert (video.id, video.split) == ("BSD_1ms8ms-003", "test")
    assert video.locator.endswith("Sharp/RGB")


def test_of_two_blurs_gopro_gives_the_one_in_linear_light(tmp_path):
    sequence = tmp_path / "GOPRO_Large" / "test" / "GOPR0384_11_00"
    for name, shift in (("sharp", 0), ("blur", 20), ("blur_gamma", 40)):
        frames(sequence / name, shift=shift)
    (video,) = found(f"gopro:{tmp_path / 'GOPRO_Large'}")
    assert video.tracks["pair"].endswith("blur_gamma")


def test_the_frame_rate_of_gopro_follows_from_how_many_frames_were_averaged(tmp_path):
    for seed, name in enumerate(("GOPR0372_07_00", "GOPR0384_11_05", "mine")):
        for side, shift in (("sharp", 0), ("blur", 20)):
            frames(tmp_path / "train" / name / side, seed=seed, shift=shift)
    rates = {video.id: video.fps for video in found(f"gopro:{tmp_path}", "clip.folder_fps=20")}
    assert rates == {"GOPR0372_07_00": 240 / 7, "GOPR0384_11_05": 240 / 11, "mine": 20.0}


def test_a_pair_of_uneven_length_uses_the_frames_that_both_have(tmp_path):
    frames(tmp_path / "train" / "s" / "sharp", count=6)
    frames(tmp_path / "train" / "s" / "blur", count=5)
    assert found(f"gopro:{tmp_path}")[0].frames == 5


@pytest.mark.parametrize("layout", [*PAIRS, "davis", "youtube_vos", "frames", "images", "tars"])
def test_a_folder_of_another_layout_says_what_was_missed(layout, tmp_path):
    (tmp_path / "x").mkdir()
    with pytest.raises(SourceError, match=str(tmp_path)):
        found(f"{layout}:{tmp_path}")


def test_the_four_hazes_of_one_hazeworld_video_share_its_clean_side_and_its_split(tmp_path):
    for number, name in enumerate(("bear", "cows", "dogs")):
        frames(tmp_path / "gt" / "DAVIS" / "train" / name, seed=number)
        for beta in ("0.005", "0.01", "0.02", "0.03"):
            hazy = tmp_path / "hazy" / "DAVIS" / "train" / f"{name}_23{number}_{beta}"
            frames(hazy, seed=number, shift=round(2000 * float(beta)))
    videos = found(f"hazeworld:{tmp_path}")
    assert len(videos) == 12
    bear = next(v for v in videos if v.facts["haze"] == {"airlight": 230, "beta": 0.005})
    assert (bear.id, bear.split, bear.facts["task"]) == ("DAVIS-bear_230_0.005", "train", "dehaze")
    assert len({v.clean_sha256 for v in videos}) == 3
    assert len({v.sha256 for v in videos}) == 12
    recipe = load(Recipe, "default", [*RECIPE, "tasks={dehaze: {}}", "splits.official=false", "clip.per_video=1"])
    manifest = build(recipe, tmp_path / "out", sources=[f"hazeworld:{tmp_path}"])
    assert manifest.samples == 12, "four strengths of haze are no copies of each other"
    dataset = Dataset(tmp_path / "out")
    for sample in map(dataset.__getitem__, dataset.keys()):
        _, airlight, beta = sample.meta.source_id.split("_")
        assert sample.meta.parameters == {"haze": {"airlight": int(airlight), "beta": float(beta)}}
    rows = dataset.index().to_pylist()
    splits = {}
    for row in rows:
        splits.setdefault(row["source_id"].split("_")[0], set()).add(row["split"])
    assert all(len(found_in) == 1 for found_in in splits.values())
    assert len(set.union(*splits.values())) > 1


def test_hazeworld_as_its_links_split_it(tmp_path):
    frames(tmp_path / "gt" / "REDS" / "train" / "000")
    frames(tmp_path / "hazy" / "REDS" / "train" / "000_192_0.005", shift=30)
    for side, name in (("gt", "000"), ("hazy", "000_192_0.005")):
        (tmp_path / "test" / side / "REDS").mkdir(parents=True)
        (tmp_path / "test" / side / "REDS" / "000_192_0.005").symlink_to(tmp_path / side / "REDS" / "train" / name)
    (tmp_path / "test" / "gt" / "upwards").symlink_to(tmp_path)
    (video,) = found(f"hazeworld:{tmp_path}")
    assert (video.split, video.facts["haze"]["beta"]) == ("test", 0.005)


def test_one_clean_video_in_two_official_splits_is_refused(tmp_path):
    for part, beta in (("train", "0.005"), ("test", "0.03")):
        frames(tmp_path / part / "gt" / "REDS" / "000")
        frames(tmp_path / part / "hazy" / "REDS" / f"000_200_{beta}", shift=30)
    recipe = load(Recipe, "default", [*RECIPE, "tasks={dehaze: {}}"])
    with pytest.raises(SourceError, match="that would be a leak"):
        build(recipe, tmp_path / "out", sources=[f"hazeworld:{tmp_path}"])
