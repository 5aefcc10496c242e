"""What lies in the folders of public data sets beside their frames: hidden files, broken links, halves of pairs."""

import json
from pathlib import Path

import pytest

from configs import SourceError, load
from datagen import Recipe, build
from datagen.sources import find_source
from datagen.sources.base import Reject
from tests.datagen.layout_files import RECIPE, found, frames, masks

PLACES = {
    "gopro": ("test/S/blur", "test/S/sharp"),
    "dvd": ("IMG_0003/input", "IMG_0003/GT"),
    "bsd": ("test/070/Blur/RGB", "test/070/Sharp/RGB"),
    "revide": ("Test/hazy/C005", "Test/gt/C005"),
    "hazeworld": ("test/hazy/DAVIS/bear_239_0.005", "test/gt/DAVIS/bear_239_0.005"),
    "davis": ("JPEGImages/480p/bear", "Annotations/480p/bear"),
    "youtube_vos": ("train/JPEGImages/bear", "train/Annotations/bear"),
    "video_completion": ("JPEGImages/bear", "test_masks/bear"),
    "videvo": ("test/input/videvo/Koala", "test/input/videvo/Koala"),
    "frames": ("bear", "bear"),
}
MASKED = ("davis", "youtube_vos", "video_completion")


def lay(layout: str, root: Path, ending: str = "png") -> None:
    first, second = PLACES[layout]
    frames(root / first, names=f"{{:05d}}.{ending}", shift=20 * (first != second))
    if layout in MASKED:
        masks(root / second)
    elif first != second:
        frames(root / second, names=f"{{:05d}}.{ending}")


def listed(spec: str, *settings: str):
    return list(find_source(spec, "unknown").videos(load(Recipe, "default", [*RECIPE, *settings]), {}))


def rejects(spec: str, *settings: str) -> list[Reject]:
    return [item for item in listed(spec, *settings) if isinstance(item, Reject)]


@pytest.mark.parametrize("ending", ["PNG", "JPG"])
@pytest.mark.parametrize("layout", PLACES)
def test_hidden_files_and_large_letters_change_nothing(layout, ending, tmp_path):
    lay(layout, tmp_path, ending)
    for place in PLACES[layout]:
        folder = tmp_path / place
        for name in (".DS_Store", "Thumbs.db", f"._00000.{ending}", "desktop.ini"):
            (folder / name).write_bytes(b"\0")
            (folder.parent / name).write_bytes(b"\0")
        (folder.parent / ".ipynb_checkpoints").mkdir(exist_ok=True)
    (video,) = found(f"{layout}:{tmp_path}")
    assert video.frames == 4


@pytest.mark.parametrize("layout", PLACES)
def test_folders_behind_links_are_read_and_broken_links_are_one_reject(layout, tmp_path):
    lay(layout, tmp_path / "store")
    lay(layout, tmp_path / "set")
    first, second = PLACES[layout]
    # the whole sequence is elsewhere
    for place in {first, second}:
        folder = tmp_path / "set" / place
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()
        folder.symlink_to(tmp_path / "store" / place)
    (video,) = found(f"{layout}:{tmp_path / 'set'}")
    assert video.frames == 4
    # another one is not there any more
    new = (tmp_path / "set" / first).parent / ("gone" if layout != "bsd" else "Gone")
    new.symlink_to(tmp_path / "nowhere")
    if layout == "video_completion":
        (tmp_path / "set" / "test_masks" / "gone").symlink_to(tmp_path / "nowhere")
    (reject,) = rejects(f"{layout}:{tmp_path / 'set'}")
    assert reject.reason == "broken link: what it leads to is not there"
    assert reject.source.lower().endswith("gone")


@pytest.mark.parametrize("layout", ["gopro", "dvd", "bsd", "revide", "hazeworld"])
@pytest.mark.parametrize("side", [0, 1])
def test_half_of_a_pair_is_a_reject(layout, side, tmp_path):
    lay(layout, tmp_path)
    own = PLACES[layout][side]
    new = own.replace("/S/", "/T/").replace("IMG_0003", "IMG_0021").replace("070", "071")
    new = new.replace("C005", "C006").replace("bear", "cows")
    frames(tmp_path / new, seed=5)
    (reject,) = rejects(f"{layout}:{tmp_path}")
    assert reject.source.endswith(new.removeprefix("test/hazy/").removeprefix("test/gt/"))
    assert reject.reason.startswith("unpaired: it has no like below ")


def test_one_side_behind_a_broken_link_is_told_once(tmp_path):
    lay("gopro", tmp_path)
    frames(tmp_path / "test" / "T" / "sharp", seed=5)
    (tmp_path / "test" / "T" / "blur").symlink_to(tmp_path / "nowhere")
    (reject,) = rejects(f"gopro:{tmp_path}")
    assert (reject.source, reject.reason.split(":")[0]) == ("test/T/blur", "broken link")


def test_a_frame_behind_a_broken_link_is_named(tmp_path):
    lay("gopro", tmp_path)
    frames(tmp_path / "test" / "T" / "sharp", seed=5)
    frames(tmp_path / "test" / "T" / "blur", seed=5, shift=9)
    (tmp_path / "test" / "T" / "blur" / "00002.jpg").unlink()
    (tmp_path / "test" / "T" / "blur" / "00002.jpg").symlink_to(tmp_path / "nowhere")
    (reject,) = rejects(f"gopro:{tmp_path}")
    assert reject.reason == "unreadable: 00002.jpg: broken link, what it leads to is not there"


@pytest.mark.parametrize(("blurred", "sharp"), [(6, 5), (5, 6)])
def test_frames_without_their_like_are_left_out_and_listed(blurred, sharp, tmp_path):
    for side, count, shift in (("blur", blurred, 20), ("sharp", sharp, 0)):
        frames(tmp_path / "test" / "S" / side, count=count, shift=shift)
    recipe = load(
        Recipe, "default", [*RECIPE, "tasks={deblur: {}}", "clip.remainder=true", "splits={train: 0, val: 0, test: 1}"]
    )
    manifest = build(recipe, tmp_path / "out", sources=[f"gopro:{tmp_path}"])
    (told,) = map(json.loads, (tmp_path / "out" / "rejects.jsonl").read_text().splitlines())
    assert (told["where"], told["source"]) == ("frames", "test/S/blur")
    assert told["reason"] == f"unpaired frames: 1 of 6 in {'pair' if blurred == 6 else 'main'}"
    assert manifest.sources == 1
    assert build(recipe, tmp_path / "out", sources=[f"gopro:{tmp_path}"]) == manifest


def test_masks_of_every_fifth_frame_leave_no_frame_unpaired(tmp_path):
    frames(tmp_path / "train" / "JPEGImages" / "v", count=11)
    masks(tmp_path / "train" / "Annotations" / "v", count=11, every=5)
    (video,) = found(f"youtube_vos:{tmp_path}")
    assert (video.frames, list(video.lost)) == (3, [])


def test_a_frame_that_both_sides_of_a_pair_lack_is_told(tmp_path):
    for side, shift in (("blur", 20), ("sharp", 0)):
        frames(tmp_path / "test" / "S" / side, count=6, shift=shift)
        (tmp_path / "test" / "S" / side / "00003.jpg").unlink()
    recipe = load(Recipe, "default", [*RECIPE, "tasks={deblur: {}}", "clip.remainder=true"])
    build(recipe, tmp_path / "out", sources=[f"gopro:{tmp_path}"])
    (told,) = map(json.loads, (tmp_path / "out" / "rejects.jsonl").read_text().splitlines())
    assert (told["where"], told["reason"]) == ("frames", "missing frames: before 00004.jpg")


def test_only_the_official_test_split_is_read_where_that_is_wanted(tmp_path):
    for part, seed in (("train", 1), ("test", 2)):
        for side, shift in (("blur", 20), ("sharp", 0)):
            frames(tmp_path / part / f"S{seed}" / side, seed=seed, shift=shift)
    (tmp_path / "train" / "S1" / "blur" / "00000.jpg").write_bytes(b"no picture")
    (video,) = listed(f"gopro:{tmp_path}", "splits.only=test")
    assert video.id == "S2"
    with pytest.raises(SourceError, match=r"of 1 videos found \(S1/blur, ...\) none is in the test split"):
        listed(f"gopro:{tmp_path / 'train'}", "splits.only=test")


def test_davis_without_its_lists_is_split_as_it_is_known_to_be(tmp_path):
    for seed, name in enumerate(("blackswan", "bear")):
        frames(tmp_path / "JPEGImages" / "480p" / name, seed=seed)
        masks(tmp_path / "Annotations" / "480p" / name)
    assert {video.id: video.split for video in found(f"davis:{tmp_path}")} == {"blackswan": "test", "bear": "train"}


def test_a_sequence_that_davis_lists_and_is_not_there_is_a_reject(tmp_path):
    lay("davis", tmp_path)
    (tmp_path / "ImageSets" / "2017").mkdir(parents=True)
    (tmp_path / "ImageSets" / "2017" / "val.txt").write_text("bear\nswan\n")
    (reject,) = rejects(f"davis:{tmp_path}")
    assert (reject.source, reject.reason.split(":")[0]) == ("swan", "missing")


def test_hazeworld_as_it_comes_is_split_by_its_lists(tmp_path):
    """Folders called `val` belong to the test split, as `mapping_info_GT_test.txt` has it; one that is listed is missing."""
    for seed, (own, name) in enumerate((("train", "bear"), ("val", "cows"), ("test-dev", "dogs"))):
        frames(tmp_path / "gt" / "DAVIS" / own / name, seed=seed)
        frames(tmp_path / "hazy" / "DAVIS" / own / f"{name}_200_0.005", seed=seed, shift=20)
    (tmp_path / "gt" / "DAVIS" / "mapping_info_GT_train.txt").write_text("train train bear 4\n")
    (tmp_path / "gt" / "DAVIS" / "mapping_info_GT_test.txt").write_text(
        "val test cows 4\ntest-dev test dogs 4\nval test goat 4\n"
    )
    items = listed(f"hazeworld:{tmp_path}")
    splits = {item.id: item.split for item in items if not isinstance(item, Reject)}
    assert splits == {
        "DAVIS-bear_200_0.005": "train", "DAVIS-cows_200_0.005": "test", "DAVIS-test-dev-dogs_200_0.005": "test",
    }  # fmt: skip
    (reject,) = [item for item in items if isinstance(item, Reject)]
    assert (reject.source, reject.reason.split(":")[0]) == ("DAVIS/goat", "missing")
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "meta_info_GT_test.txt").write_text("DAVIS/cows_200_0.005 4\nDAVIS/cows_200_0.03 4\n")
    assert "DAVIS/cows_200_0.03" in [item.source for item in rejects(f"hazeworld:{tmp_path}")]


def test_links_that_all_lead_nowhere_are_one_line_that_says_so(tmp_path):
    for side in ("hazy", "gt"):
        (tmp_path / "test" / side / "DAVIS").mkdir(parents=True)
        (tmp_path / "test" / side / "DAVIS" / "bear_239_0.005").symlink_to(tmp_path / "nowhere")
    with pytest.raises(SourceError, match=r"2 links lead nowhere, such as bear_239_0\.005$"):
        listed(f"hazeworld:{tmp_path}")
