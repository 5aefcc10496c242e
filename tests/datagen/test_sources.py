"""Every layout by a fixture of its native form, and what all real video has in common."""

import json
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from configs import SourceError, load
from datagen import Recipe, build
from datagen.replay import replay
from datagen.sources import find_source, source_summaries
from datagen.sources.base import Clip, Reject, SourceVideo, Window
from datagen.sources.library import Library
from datagen.synthesize import open_readers
from shards import Dataset, verify, write_video
from tests.conftest import ROOT, moving_clip

RECIPE = ["clip.frames=3", "clip.size=32", "gates.min_motion=0", "gates.max_duplicates=1"]
REAL = ROOT.parent / "shared" / "data" / "paired"


def frames(folder: Path, count: int = 4, seed: int = 0, names: str = "{:05d}.jpg", *, shift: int = 0) -> np.ndarray:
    folder.mkdir(parents=True, exist_ok=True)
    clip = np.clip(moving_clip(seed, frames=count).astype(int) + shift, 0, 255).astype(np.uint8)
    for n, frame in enumerate(clip):
        Image.fromarray(frame).save(folder / names.format(n), quality=95)
    return clip


def masks(folder: Path, count: int = 4, objects: int = 1, every: int = 1) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for n in range(0, count, every):
        numbers = np.zeros((32, 48), np.uint8)
        for k in range(1, objects + 1):
            numbers[4:20, 8 * k + 2 : 8 * k + 9] = k
        image = Image.fromarray(numbers, "P")
        image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
        image.save(folder / f"{n:05d}.png")


def found(spec: str, *settings: str) -> list[SourceVideo]:
    items = list(find_source(spec, "unknown").videos(load(Recipe, "default", [*RECIPE, *settings]), {}))
    assert not [item for item in items if isinstance(item, Reject)], items
    return sorted(items, key=lambda item: item.name)


def read(video: SourceVideo, *settings: str, start: int = 0) -> Clip:
    recipe = load(Recipe, "default", [*RECIPE, *settings])
    with open_readers(recipe) as reader:
        return reader(video, Window(start=start, step=1, frames=recipe.clip.frames))


def test_folders_of_frames_are_videos_wherever_they_lie(tmp_path):
    frames(tmp_path / "a" / "left", names="frame_{}.png")
    frames(tmp_path / "b", seed=1, names="img{:03d}.jpg")
    (tmp_path / "notes.txt").write_text("x")
    videos = found(str(tmp_path))
    assert [(v.id, v.name, v.frames, v.fps) for v in videos] == [("left", "a/left", 4, 25.0), ("b", "b", 4, 25.0)]
    assert [v.sha256 for v in found(f"frames:{tmp_path}")] == [v.sha256 for v in videos]
    assert found(str(tmp_path), "clip.folder_fps=12")[0].fps == 12
    exact = moving_clip(0, frames=4)[:3, :, 8:40]
    assert np.array_equal(read(videos[0]).frames, exact), "png, the middle 32 columns"


def test_pictures_are_clips_of_one_frame(tmp_path):
    for n in range(3):
        frames(tmp_path / "x", count=1, seed=n, names=f"{n:05d}.jpg")
    videos = found(f"images:{tmp_path}", "clip.frames=1")
    assert [(v.id, v.frames) for v in videos] == [("00000", 1), ("00001", 1), ("00002", 1)]
    build(load(Recipe, "default", [*RECIPE, "clip.frames=1"]), tmp_path / "out", sources=[f"images:{tmp_path / 'x'}"])
    assert Dataset(tmp_path / "out").index()["frames"].to_pylist() == [1] * 6


def test_davis_comes_with_masks_official_splits_and_expressions(tmp_path):
    for sequence in ("bear", "cows"):
        frames(tmp_path / "JPEGImages" / "480p" / sequence, seed=len(sequence))
        masks(tmp_path / "Annotations" / "480p" / sequence, objects=2)
    (tmp_path / "ImageSets" / "2017").mkdir(parents=True)
    (tmp_path / "ImageSets" / "2017" / "train.txt").write_text("bear\n")
    (tmp_path / "ImageSets" / "2017" / "val.txt").write_text("cows\n")
    said = {
        "bear": {"expressions": {"0": {"exp": "A brown bear.", "obj_id": "1"}, "1": {"exp": "the cub", "obj_id": "2"}}}
    }
    (tmp_path / "meta_expressions" / "valid").mkdir(parents=True)
    (tmp_path / "meta_expressions" / "valid" / "meta_expressions.json").write_text(json.dumps({"videos": said}))
    bear, cows = found(f"davis:{tmp_path}")
    assert (bear.split, cows.split, bear.fps) == ("train", "test", 24)
    clip = read(bear)
    assert clip.ids is not None
    assert clip.names == {1: ["a brown bear"], 2: ["the cub"]}
    assert np.array_equal(clip.ids[0] == 1, np.pad(np.ones((16, 7), bool), ((4, 12), (2, 23))))
    assert read(cows).names == {}


def test_davis_2016_lists_files_and_ref_davis_has_text_files_of_four_annotators(tmp_path):
    frames(tmp_path / "JPEGImages" / "480p" / "bear")
    masks(tmp_path / "Annotations" / "480p" / "bear")
    (tmp_path / "ImageSets" / "480p").mkdir(parents=True)
    line = "/JPEGImages/480p/bear/00000.jpg /Annotations/480p/bear/00000.png\n"
    (tmp_path / "ImageSets" / "480p" / "val.txt").write_text(line)
    (tmp_path / "davis_text_annotations").mkdir()
    for annotator, text in ((1, "a bear walking"), (2, "The bear.")):
        (tmp_path / "davis_text_annotations" / f"Davis17_annot{annotator}.txt").write_text(f'bear 1 "{text}"\n')
    (bear,) = found(f"davis:{tmp_path}")
    assert bear.split == "test"
    assert read(bear).names == {1: ["a bear walking", "the bear"]}


def test_of_youtube_vos_only_the_annotated_frames_are_used(tmp_path):
    clip = frames(tmp_path / "train" / "JPEGImages" / "003234408d", count=16, names="{:05d}.png")
    masks(tmp_path / "train" / "Annotations" / "003234408d", count=16, every=5)
    meta = {"videos": {"003234408d": {"objects": {"1": {"category": "penguin"}, "2": {"category": "sheep"}}}}}
    (tmp_path / "train" / "meta.json").write_text(json.dumps(meta))
    (video,) = found(f"youtube_vos:{tmp_path}")
    assert (video.frames, video.fps, video.split) == (4, 6.0, "train")
    got = read(video, start=1)
    assert np.array_equal(got.frames, clip[[5, 10, 15]][:, :, 8:40])
    assert got.names == {1: ["the penguin"]}, "the sheep is nowhere to be seen"
    said = {"003234408d": {"expressions": {"0": {"exp": "a penguin on the left", "obj_id": "1"}}, "frames": []}}
    (tmp_path / "meta_expressions" / "train").mkdir(parents=True)
    (tmp_path / "meta_expressions" / "train" / "meta_expressions.json").write_text(json.dumps({"videos": said}))
    assert read(found(f"youtube_vos:{tmp_path}")[0]).names == {1: ["a penguin on the left"]}


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


def test_of_two_blurs_gopro_gives_the_one_in_linear_light(tmp_path):
    sequence = tmp_path / "GOPRO_Large" / "test" / "GOPR0384_11_00"
    for name, shift in (("sharp", 0), ("blur", 20), ("blur_gamma", 40)):
        frames(sequence / name, shift=shift)
    (video,) = found(f"gopro:{tmp_path / 'GOPRO_Large'}")
    assert video.tracks["pair"].endswith("blur_gamma")


def test_a_pair_of_uneven_length_uses_the_frames_that_both_have(tmp_path):
    frames(tmp_path / "train" / "s" / "sharp", count=6)
    frames(tmp_path / "train" / "s" / "blur", count=5)
    assert found(f"gopro:{tmp_path}")[0].frames == 5


def test_a_table_gives_captions_licences_splits_masks_and_pairs(tmp_path):
    write_video(tmp_path / "a.mp4", moving_clip(1, frames=6), fps=25)
    write_video(tmp_path / "b.mp4", moving_clip(2, frames=6), fps=25)
    write_video(tmp_path / "b edited.mp4", 255 - moving_clip(2, frames=6), fps=25)
    masks(tmp_path / "m", count=6)
    rows = [
        {
            "path": "a.mp4",
            "licence": "CC-BY-4.0",
            "split": "valid",
            "caption": "noise",
            "masks": "m",
            "expression": "the box",
        },
        {"path": "b.mp4", "pair": "b edited.mp4", "task": "edit", "instruction": "Invert all colors."},
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "t.csv", index=False)
    pd.DataFrame(rows).to_parquet(tmp_path / "t.parquet")
    pd.DataFrame(rows).to_json(tmp_path / "t.jsonl", lines=True, orient="records")
    a, b = found(str(tmp_path / "t.csv"))
    assert (a.licence, a.split, a.facts["caption"]) == ("CC-BY-4.0", "val", "noise")
    for other in (str(tmp_path / "t.parquet"), str(tmp_path / "t.jsonl")):
        assert [(v.sha256, v.licence, v.split) for v in found(other)] == [
            (v.sha256, v.licence, v.split) for v in (a, b)
        ]
    assert read(a).names == {1: ["the box"]}
    recipe = load(Recipe, "default", [*RECIPE, "tasks={edit: {}}", "clip.per_video=1"])
    build(recipe, tmp_path / "out", sources=[str(tmp_path / "t.csv")])
    dataset = Dataset(tmp_path / "out")
    taken = next(sample for sample in map(dataset.__getitem__, dataset.keys("edit")) if sample.meta.effect == "native")
    assert taken.instruction == "Invert all colors."
    assert np.abs(taken.source.astype(int) + taken.target - 255).mean() < 12
    assert taken.mask is not None
    assert (taken.mask == 255).all()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name\nx\n", "no column of paths; it has name"),
        ("path\n", "no rows"),
        ("path,pair\na.mp4,b.mp4\n", "a pair needs a task; no task named ''"),
        ("path,split\na.mp4,tests\n", "did you mean 'test'"),
        ("path,fps\na.mp4,fast\n", "row 1: fps 'fast' is not a number"),
        ('path\n"a.mp4\n', "cannot be read"),
    ],
)
def test_a_table_that_makes_no_sense_is_one_line(text, words, tmp_path):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(SourceError, match=words):
        found(str(tmp_path / "t.csv"))


def test_shards_of_raw_videos_are_read_in_place_with_their_captions(tmp_path):
    for n in range(3):
        write_video(tmp_path / f"{n:09d}.mp4", moving_clip(n, frames=6), fps=25)
        (tmp_path / f"{n:09d}.txt").write_text(f"caption {n}")
        (tmp_path / f"{n:09d}.json").write_text(
            json.dumps({"caption": f"caption {n}", "license": "CC0", "status": "success"})
        )
    with tarfile.open(tmp_path / "00000.tar", "w") as tar:
        for path in sorted(tmp_path.glob("0000*")):
            if path.suffix != ".tar":
                tar.add(path, path.name)
    videos = found(str(tmp_path / "00000.tar"))
    assert [(v.id, v.licence, v.facts["caption"]) for v in videos] == [
        (f"{n:09d}", "CC0", f"caption {n}") for n in range(3)
    ]
    loose = read(found(str(tmp_path / "000000001.mp4"))[0])
    assert np.array_equal(read(videos[1]).frames, loose.frames)
    recipe = load(Recipe, "default", RECIPE)
    build(recipe, tmp_path / "out", sources=[f"tars:{tmp_path}"], workers=0)
    key = Dataset(tmp_path / "out").keys()[0]
    assert replay(tmp_path / "out", key).faithful
    assert verify(tmp_path / "out", decode=True) == []


def test_official_splits_are_kept_whatever_the_seed(tmp_path):
    for split, sequence in (("train", "a"), ("train", "b"), ("test", "c")):
        frames(tmp_path / "d" / split / sequence / "sharp", seed=ord(sequence))
        frames(tmp_path / "d" / split / sequence / "blur", seed=ord(sequence), shift=30)
    for seed in (0, 1):
        recipe = load(Recipe, "default", [*RECIPE, "tasks={deblur: {}}", f"seed={seed}"])
        build(recipe, tmp_path / f"out{seed}", sources=[f"gopro:{tmp_path / 'd'}"])
        rows = Dataset(tmp_path / f"out{seed}").index().to_pylist()
        assert {row["source_id"]: row["split"] for row in rows} == {"a": "train", "b": "train", "c": "test"}


@pytest.mark.parametrize(("settings", "shape"), [(["clip.size=40x24"], (24, 40)), (["clip.size=24"], (24, 24))])
def test_clips_are_of_the_size_that_is_asked_for(settings, shape, tmp_path):
    frames(tmp_path / "v", names="{}.png")
    for spec in (str(tmp_path), "scenes"):
        assert read(found(spec, *settings, "scenes.count=1")[0], *settings).frames.shape == (3, *shape, 3)


def test_random_crops_differ_from_clip_to_clip_and_stay_what_they_are(tmp_path):
    frames(tmp_path / "v", count=12)
    (video,) = found(str(tmp_path))
    starts = (0, 2, 4, 6, 8)
    at_random = [read(video, "clip.crop=random", "clip.size=24", start=start).frames for start in starts]
    middle = [read(video, "clip.size=24", start=start).frames for start in starts]
    assert sum(not np.array_equal(one, other) for one, other in zip(at_random, middle, strict=True)) >= 3
    assert np.array_equal(at_random[1], read(video, "clip.crop=random", "clip.size=24", start=2).frames)


def test_the_step_follows_from_the_frame_rate_that_is_asked_for(tmp_path):
    write_video(tmp_path / "fast.mp4", moving_clip(1, frames=40), fps=50)
    write_video(tmp_path / "slow.mp4", moving_clip(2, frames=40), fps=24)
    recipe = load(Recipe, "default", [*RECIPE, "clip.fps=25", "clip.per_video=2", "tasks={recolor: {}}"])
    build(recipe, tmp_path / "out", sources=[str(tmp_path)])
    rows = Dataset(tmp_path / "out").index().to_pylist()
    assert {(row["source_id"], row["step"], row["fps"]) for row in rows} == {("fast", 2, 25.0), ("slow", 1, 24.0)}


def test_what_an_annotation_says_is_part_of_what_is_hashed(tmp_path):
    for name, phrase in (("a", "the box"), ("b", "the block")):
        frames(tmp_path / name / "JPEGImages" / "480p" / "x")
        masks(tmp_path / name / "Annotations" / "480p" / "x")
        (tmp_path / name / "meta_expressions" / "train").mkdir(parents=True)
        said = {"videos": {"x": {"expressions": {"0": {"exp": phrase, "obj_id": "1"}}}}}
        (tmp_path / name / "meta_expressions" / "train" / "meta_expressions.json").write_text(json.dumps(said))
    assert found(f"davis:{tmp_path / 'a'}")[0].sha256 != found(f"davis:{tmp_path / 'b'}")[0].sha256


def test_a_folder_that_is_known_by_its_looks_says_how_to_name_it(tmp_path):
    frames(tmp_path / "JPEGImages" / "480p" / "bear")
    with pytest.raises(SourceError, match=r"looks like the layout 'davis'; say --from davis:"):
        found(str(tmp_path))


@pytest.mark.parametrize("layout", [*PAIRS, "davis", "youtube_vos", "frames", "images", "tars"])
def test_a_folder_of_another_layout_says_what_was_missed(layout, tmp_path):
    (tmp_path / "x").mkdir()
    with pytest.raises(SourceError, match=str(tmp_path)):
        found(f"{layout}:{tmp_path}")


def test_a_layout_or_a_path_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(SourceError, match="did you mean 'davis'"):
        find_source(f"davs:{tmp_path}", "")
    with pytest.raises(SourceError, match="no such file or folder"):
        find_source(f"davis:{tmp_path / 'gone'}", "")
    assert isinstance(find_source(f"./{tmp_path.name}", ""), Library)


def test_every_source_has_a_line_of_its_own():
    lines = source_summaries()
    assert {"scenes", "PATH", "davis:PATH", "table:PATH"} <= lines.keys()
    assert len(set(lines.values())) == len(lines)


@pytest.mark.parametrize(
    ("spec", "task", "least"), [("davis:DAVIS", "segment", 3), ("revide:REVIDE_indoor", "dehaze", 2)]
)
def test_real_samples_of_the_layouts_build(spec, task, least, tmp_path):
    layout, _, folder = spec.partition(":")
    if not (REAL / folder).is_dir():
        pytest.skip(f"no real sample of {layout} here")
    recipe = load(Recipe, "default", ["clip.frames=1", "clip.size=64", "clip.per_video=1", f"tasks={{{task}: {{}}}}"])
    build(recipe, tmp_path / "out", sources=[f"{layout}:{REAL / folder}"])
    dataset = Dataset(tmp_path / "out")
    assert len(dataset.keys(task)) >= least
    for key in dataset.keys(task):
        assert replay(tmp_path / "out", key).faithful


def image(path: Path, seed: int, *, shift: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    frame = np.clip(moving_clip(seed, frames=1)[0].astype(int) + shift, 0, 255).astype(np.uint8)
    Image.fromarray(frame).save(path, **({"quality": 95} if path.suffix == ".jpg" else {}))


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
    rows = Dataset(tmp_path / "out").index().to_pylist()
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


def test_editing_pairs_are_listed_by_any_of_the_public_names(tmp_path):
    for name, seed in (("source/a.mp4", 1), ("global/a_ink.mp4", 2), ("source/b.mp4", 3), ("local/b_hat.mp4", 4)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_video(tmp_path / name, moving_clip(seed, frames=6), fps=20)
    ditto = [{"source_path": "source/a.mp4", "instruction": "Make it ink.", "edited_path": "global/a_ink.mp4"}]
    (tmp_path / "metadata").mkdir()
    (tmp_path / "metadata" / "global.json").write_text(json.dumps(ditto))
    (tmp_path / "metadata" / "notes.json").write_text('{"version": 1}')
    rows = [{"original_video": "source/b.mp4", "edited_video": "local/b_hat.mp4", "edit_prompt": "Add a  hat"}]
    pd.DataFrame(rows).to_csv(tmp_path / "local.csv", index=False)
    videos = found(f"edit_pairs:{tmp_path}")
    assert {(v.id, v.facts["instruction"]) for v in videos} == {("a-a_ink", "Make it ink."), ("b-b_hat", "Add a hat")}
    clip = read(next(v for v in videos if v.id == "b-b_hat"))
    assert clip.native is not None
    assert np.abs(clip.native.other.astype(int) - moving_clip(4, frames=6)[:3, :, 8:40]).mean() < 12
    assert found(f"edit_pairs:{tmp_path / 'local.csv'}")[0].id == "b-b_hat"


def test_the_synthetic_pairs_of_insv2v_pass_their_authors_thresholds(tmp_path):
    folder = tmp_path / "0000042"
    for seed in (7, 11):
        for side, shift in ((0, 0), (1, 50)):
            for n in range(4):
                image(folder / "image" / f"{seed}_{side}_{n:04d}.jpg", seed + n, shift=shift)
    good = {"sim_dir": 0.3, "sim_0": 0.3, "sim_1": 0.25, "sim_image": 0.8}
    lines = [{"seed": 7, **good}, {"seed": 11, **good, "sim_dir": 0.1}]
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (folder / "prompt.json").write_text(json.dumps({"input": "a", "edit": "make it brighter", "output": "b"}))
    (video,) = found(f"insv2v:{tmp_path}")
    assert (video.id, video.frames, video.facts["instruction"]) == ("0000042-7", 4, "make it brighter")
    clip = read(video)
    assert clip.native is not None
    assert clip.native.other.mean() > clip.frames.mean() + 20


def test_instruct_pix2pix_lists_its_seeds_in_the_order_of_its_splits(tmp_path):
    listed = []
    for number in range(20):
        folder = tmp_path / f"{number:07d}"
        image(folder / "123_0.jpg", number)
        image(folder / "123_1.jpg", number, shift=40)
        (folder / "prompt.json").write_text(json.dumps({"edit": f"edit {number}", "input": "", "output": ""}))
        listed.append([folder.name, ["123"]])
    videos = found(f"instruct_pix2pix:{tmp_path}", "clip.frames=1")
    assert len(videos) == 20
    (tmp_path / "seeds.json").write_text(json.dumps(listed))
    videos = found(f"instruct_pix2pix:{tmp_path}", "clip.frames=1")
    assert [v.split for v in videos] == ["train"] * 18 + ["val"] + ["test"]
    recipe = load(Recipe, "default", [*RECIPE, "clip.frames=1", "tasks={edit: {}}"])
    build(recipe, tmp_path / "out", sources=[f"instruct_pix2pix:{tmp_path}"])
    assert "edit 3" in Dataset(tmp_path / "out").index()["instruction"].to_pylist()


def test_magicbrush_gives_every_turn_as_a_pair(tmp_path):
    for name, seed in (("input", 1), ("output1", 2), ("output2", 3)):
        image(tmp_path / "dev" / "images" / "242679" / f"242679-{name}.png", seed)
    turns = [
        {
            "input": "242679-input.png",
            "mask": "242679-mask1.png",
            "output": "242679-output1.png",
            "instruction": "add a cat",
        },
        {
            "input": "242679-output1.png",
            "mask": "242679-mask2.png",
            "output": "242679-output2.png",
            "instruction": "remove it",
        },
    ]
    (tmp_path / "dev" / "edit_turns.json").write_text(json.dumps(turns))
    videos = found(f"magicbrush:{tmp_path}", "clip.frames=1")
    assert [(v.id, v.split, v.facts["instruction"]) for v in videos] == [
        ("242679-output1", "val", "add a cat"),
        ("242679-output2", "val", "remove it"),
    ]


@pytest.mark.parametrize("layout", ["hazeworld", "edit_pairs", "insv2v", "instruct_pix2pix", "magicbrush"])
def test_a_folder_of_another_kind_of_pairs_says_what_was_missed(layout, tmp_path):
    (tmp_path / "x").mkdir()
    with pytest.raises(SourceError, match=f"not of the layout {layout}"):
        found(f"{layout}:{tmp_path}")


def test_edits_of_one_clip_are_no_copies_but_stay_in_one_split(tmp_path):
    lists = []
    for n in range(6):
        write_video(tmp_path / f"s{n}.mp4", moving_clip(n, frames=4), fps=20)
        for k in range(3):
            write_video(tmp_path / f"e{n}{k}.mp4", moving_clip(100 + 10 * n + k, frames=4), fps=20)
            lists.append({"source": f"s{n}.mp4", "edited": f"e{n}{k}.mp4", "instruction": f"edit {k}"})
    (tmp_path / "list.json").write_text(json.dumps(lists))
    recipe = load(Recipe, "default", [*RECIPE, "tasks={edit: {}}"])
    manifest = build(recipe, tmp_path / "out", sources=[f"edit_pairs:{tmp_path / 'list.json'}"])
    assert manifest.samples == 18
    splits = {}
    for row in Dataset(tmp_path / "out").index().to_pylist():
        splits.setdefault(row["source_id"].split("-")[0], set()).add(row["split"])
    assert all(len(found_in) == 1 for found_in in splits.values())
    assert set.union(*splits.values()) == {"train", "val", "test"}


def test_pairs_are_found_where_their_archives_put_them(tmp_path):
    for name, seed in (
        ("obj_swap_upload/0001/abc_org.mp4", 1),
        ("obj_swap_upload/0001/abc.mp4", 2),
        ("other/abc.mp4", 3),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        write_video(tmp_path / name, moving_clip(seed, frames=6), fps=20)
    row = {
        "source_video_path": "./obj_swap/0001/abc_org.mp4",
        "target_video_path": "./obj_swap/0001/abc.mp4",
        "instruction": "swap dog to cat",
        "enhanced_instruction": "Replace the dog with a cat.",
    }
    (tmp_path / "updated_data_obj_swap_videos.json").write_text(json.dumps([[row]]))
    (video,) = found(f"edit_pairs:{tmp_path}")
    assert video.facts["instruction"] == "swap dog to cat"
    assert video.locator.endswith("obj_swap_upload/0001/abc_org.mp4")
    assert video.tracks["pair"].endswith("obj_swap_upload/0001/abc.mp4")


def test_one_clean_video_in_two_official_splits_is_refused(tmp_path):
    for part, beta in (("train", "0.005"), ("test", "0.03")):
        frames(tmp_path / part / "gt" / "REDS" / "000")
        frames(tmp_path / part / "hazy" / "REDS" / f"000_200_{beta}", shift=30)
    recipe = load(Recipe, "default", [*RECIPE, "tasks={dehaze: {}}"])
    with pytest.raises(SourceError, match="that would be a leak"):
        build(recipe, tmp_path / "out", sources=[f"hazeworld:{tmp_path}"])


def test_a_frame_that_is_there_twice_shifts_no_mask(tmp_path):
    frames(tmp_path / "JPEGImages" / "480p" / "x", count=5, names="{:05d}.png")
    masks(tmp_path / "Annotations" / "480p" / "x", count=5)
    image(tmp_path / "JPEGImages" / "480p" / "x" / "00002.jpg", 9)
    (video,) = found(f"davis:{tmp_path}")
    assert video.frames == 5
    assert {len(numbers) for numbers in video.facts["numbers"].values()} == {5}
    assert video.facts["numbers"]["masks"] == [0, 1, 2, 3, 4]


def test_masks_of_other_proportions_or_number_are_a_reject(tmp_path):
    write_video(tmp_path / "a.mp4", moving_clip(1, frames=8), fps=25)
    masks(tmp_path / "m", count=8, every=3)
    frames(tmp_path / "v")
    image(tmp_path / "square" / "00000.png", 1)
    for n in range(4):
        Image.new("L", (40, 40)).save(tmp_path / "square" / f"{n:05d}.png")
    pd.DataFrame([{"path": "a.mp4", "masks": "m"}, {"path": "v", "masks": "square"}]).to_csv(
        tmp_path / "t.csv", index=False
    )
    items = list(find_source(str(tmp_path / "t.csv"), "").videos(load(Recipe, "default", RECIPE), {}))
    assert sorted(item.reason for item in items) == [
        "uneven masks: 48x32 and 40x40",
        "uneven masks: 8 frames and 3 masks",
    ]


def test_an_empty_folder_of_the_better_name_hides_no_sequence(tmp_path):
    frames(tmp_path / "train" / "s" / "sharp")
    frames(tmp_path / "train" / "s" / "blur", shift=30)
    (tmp_path / "train" / "s" / "blur_gamma").mkdir()
    assert len(found(f"gopro:{tmp_path}")) == 1


def test_a_video_in_a_tar_may_have_dots_in_its_name(tmp_path):
    write_video(tmp_path / "my.clip.mp4", moving_clip(1, frames=6), fps=25)
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        tar.add(tmp_path / "my.clip.mp4", "my.clip.mp4")
    assert len(found(str(tmp_path / "x.tar"))) == 1


@pytest.mark.parametrize(
    ("layout", "name", "text"),
    [
        ("magicbrush", "edit_turns.json", '[{"input": "a.png"}]'),
        ("instruct_pix2pix", "seeds.json", '["a", "b"]'),
        ("davis", "meta_expressions/valid/meta_expressions.json", "[1]"),
    ],
)
def test_lists_of_another_form_are_one_line(layout, name, text, tmp_path):
    frames(tmp_path / "JPEGImages" / "480p" / "x")
    masks(tmp_path / "Annotations" / "480p" / "x")
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text(text)
    with pytest.raises(SourceError, match=f"its lists are not those of the layout {layout}"):
        found(f"{layout}:{tmp_path}")


def test_another_licence_or_name_makes_the_samples_anew(tmp_path):
    write_video(tmp_path / "a.mp4", moving_clip(1, frames=6), fps=25)
    recipe = load(Recipe, "default", [*RECIPE, "tasks={recolor: {}}"])
    for licence in ("AAA", "BBB"):
        build(recipe, tmp_path / "out", sources=[str(tmp_path / "a.mp4")], licence=licence)
        assert set(Dataset(tmp_path / "out").index()["licence"].to_pylist()) == {licence}
    (tmp_path / "a.mp4").rename(tmp_path / "b.mp4")
    build(recipe, tmp_path / "out", sources=[str(tmp_path / "b.mp4")], licence="BBB")
    assert replay(tmp_path / "out", Dataset(tmp_path / "out").keys()[0]).faithful
