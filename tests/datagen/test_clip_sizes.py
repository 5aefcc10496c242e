"""Clips in the size of their videos, and clips of whole pictures stretched to one size."""

import cv2
import numpy as np
import pytest
from PIL import Image

from configs import ConfigError, load
from datagen import Recipe, build, gates_page, stats, stats_page
from datagen.replay import replay
from datagen.sources import find_source
from datagen.sources.base import Reject
from datagen.view import write_contact_sheet
from shards import Dataset, verify
from shards.codecs import CODECS
from tests.conftest import moving_clip

SIZES = {"even": (32, 48), "odd": (31, 45), "tall": (61, 33)}


def of_size(height: int, width: int, count: int = 4, seed: int = 0) -> np.ndarray:
    return np.stack(
        [
            cv2.resize(frame, (width, height), interpolation=cv2.INTER_LINEAR)
            for frame in moving_clip(seed, frames=count)
        ]
    )


def save(folder, clip, names: str = "{:05d}.png") -> None:
    folder.mkdir(parents=True)
    for number, frame in enumerate(clip):
        Image.fromarray(frame).save(folder / names.format(number))


@pytest.fixture
def mixed(tmp_path):
    """Three folders of frames of three sizes, two of them odd."""
    clips = {}
    for seed, (name, (height, width)) in enumerate(SIZES.items()):
        clips[name] = of_size(height, width, seed=seed)
        save(tmp_path / "v" / name, clips[name])
    return tmp_path / "v", clips


def recipe(*settings: str, tasks: str = "recolor: {}, dehaze: {}, inpaint: {}") -> Recipe:
    open_gates = ("gates.min_motion=0", "gates.max_duplicates=1", "gates.copy_bits=0")
    return load(Recipe, "default", [f"tasks={{{tasks}}}", "clip.frames=4", "clip.size=native", *open_gates, *settings])


@pytest.mark.parametrize("codec", CODECS)
def test_native_clips_keep_the_size_of_their_videos_whatever_it_is(mixed, codec, tmp_path):
    folder, clips = mixed
    out = tmp_path / "out"
    manifest = build(recipe(f"codec={codec}"), out, sources=[str(folder)])
    assert manifest.samples == 9
    dataset = Dataset(out)
    for row in dataset.index().to_pylist():
        sample = dataset[row["key"]]
        target = clips[row["source_id"]]
        assert (row["height"], row["width"]) == target.shape[1:3]
        assert sample.source.shape == sample.target.shape == target.shape
        if codec == "lossless":
            assert np.array_equal(sample.target, target)
        if row["task"] == "inpaint":
            assert sample.mask.shape == target.shape[:3]
    assert replay(out, dataset.keys("recolor")[0]).faithful
    assert not verify(out, decode=True)
    write_contact_sheet(out, tmp_path / "view.html")
    stats_page.write_stats(stats.collect(out), tmp_path / "stats.html")
    gates_page.write_gates(gates_page.collect(out), tmp_path / "gates.html")


def test_the_bytes_of_native_clips_do_not_depend_on_the_order_of_their_videos(mixed, tmp_path):
    folder, _ = mixed
    names = [str(folder / name) for name in SIZES]
    first = build(recipe(), tmp_path / "a", sources=names)
    second = build(recipe(), tmp_path / "b", sources=names[::-1])
    assert first.sha256 == second.sha256


def test_a_video_file_in_its_own_size_has_the_pixels_that_were_written(tmp_path):
    from shards.codecs import encode_video

    clip = of_size(31, 45)
    (tmp_path / "v.mkv").write_bytes(encode_video(clip, 25.0, "lossless"))
    build(recipe("codec=lossless", tasks="recolor: {}"), tmp_path / "out", sources=[str(tmp_path / "v.mkv")])
    dataset = Dataset(tmp_path / "out")
    assert np.array_equal(dataset[dataset.keys()[0]].target, clip)


def test_pictures_of_several_sizes_in_one_folder_are_no_native_clip(tmp_path):
    save(tmp_path / "v" / "good", of_size(32, 48))
    save(tmp_path / "v" / "bad", of_size(32, 48, seed=1))
    Image.fromarray(of_size(16, 24)[0]).save(tmp_path / "v" / "bad" / "00002.png")
    build(recipe(tasks="recolor: {}"), tmp_path / "out", sources=[str(tmp_path / "v")])
    told = (tmp_path / "out" / "rejects.jsonl").read_text()
    assert "00002.png: 24x16 pixels, the first picture has 48x32" in told
    assert told.count("\n") == 1


def test_a_pair_whose_sides_differ_in_size_is_no_native_pair(tmp_path):
    for name, size in (("one", (16, 24)), ("two", (32, 48))):
        save(tmp_path / "test" / name / "sharp", of_size(32, 48, seed=len(name)))
        save(tmp_path / "test" / name / "blur", of_size(*size, seed=len(name)))
    (reject,) = [item for item in _found(f"gopro:{tmp_path}", recipe()) if isinstance(item, Reject)]
    assert reject.reason == "uneven pair: 48x32 and 24x16"


def _found(spec, settings):
    return list(find_source(spec, "unknown").videos(settings, {}))


def test_what_is_too_small_for_a_clip_is_no_native_clip(tmp_path):
    save(tmp_path / "v" / "tiny", of_size(8, 48))
    (reject,) = _found(str(tmp_path / "v"), recipe())
    assert reject.reason == "too small: 48x8, a clip's sides are 16 at least"


def test_scenes_have_no_size_of_their_own():
    with pytest.raises(ConfigError, match=r"clip\.size is 'native'.*give pixels"):
        _found("scenes", recipe())


@pytest.mark.parametrize("size", ["432 x 240", "nativ", "8"])
def test_other_words_for_a_size_are_told_what_is_allowed(size):
    with pytest.raises(ConfigError, match=r"clip\.size"):
        load(Recipe, "default", [f"clip.size={size}"])


def test_stretched_frames_and_holes_lie_where_those_of_the_native_files_do(tmp_path):
    """Against cv2.resize of whole frames and whole holes, whose proportions differ from each other's and from the clip's."""
    clip = of_size(60, 120, count=3)
    holes = np.zeros((3, 40, 60), np.uint8)
    for number, hole in enumerate(holes):
        hole[2:9, 1 + 3 * number : 12 + 3 * number] = 255
        hole[30:40, 50:60] = 255
    save(tmp_path / "set" / "JPEGImages" / "bear", clip)
    save(tmp_path / "set" / "test_masks" / "bear", holes)
    settings = recipe(
        "clip.frames=3", "clip.size=72x40", "clip.crop=stretch", "codec=lossless",
        tasks="inpaint: {grow_given: 0, noise: 0}",
    )  # fmt: skip
    build(settings, tmp_path / "out", sources=[f"video_completion:{tmp_path / 'set'}"])
    dataset = Dataset(tmp_path / "out")
    sample = dataset[dataset.keys("inpaint")[0]]
    for number in range(3):
        frame = cv2.resize(clip[number], (72, 40), interpolation=cv2.INTER_AREA)
        # as the papers do; it is also cv2's INTER_NEAREST_EXACT
        hole = np.asarray(Image.fromarray(holes[number]).resize((72, 40), Image.Resampling.NEAREST))
        assert np.array_equal(hole, cv2.resize(holes[number], (72, 40), interpolation=cv2.INTER_NEAREST_EXACT))
        assert np.array_equal(sample.target[number], frame)
        assert np.array_equal(sample.mask[number], hole)
        assert np.array_equal(sample.source[number][hole == 0], frame[hole == 0])
    assert sample.mask.mean() == pytest.approx(holes.mean(), rel=0.1), "the hole at the border is still there"


def test_a_stretched_video_file_is_all_of_its_frames(tmp_path):
    from shards.codecs import encode_video

    clip = of_size(60, 120)
    (tmp_path / "v.mkv").write_bytes(encode_video(clip, 25.0, "lossless"))
    settings = recipe("clip.size=32", "clip.crop=stretch", "codec=lossless", tasks="recolor: {}")
    build(settings, tmp_path / "out", sources=[str(tmp_path / "v.mkv")])
    dataset = Dataset(tmp_path / "out")
    target = dataset[dataset.keys()[0]].target
    whole = np.stack([cv2.resize(frame, (32, 32), interpolation=cv2.INTER_AREA) for frame in clip])
    assert np.abs(target.astype(int) - whole).mean() < 1
