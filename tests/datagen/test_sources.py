"""Every layout by a fixture of its native form, and what all real video has in common."""

import json
import tarfile

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from configs import SourceError, load
from datagen import Recipe, build
from datagen.replay import replay
from datagen.sources import find_source, source_summaries
from datagen.sources.library import Library
from shards import Dataset, verify, write_video
from tests.conftest import moving_clip
from tests.datagen.layout_files import REAL, RECIPE, found, frames, image, masks, read


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


def test_videvo_has_the_papers_split_wherever_its_videos_lie(tmp_path):
    whole = tmp_path / "data"
    for number, name in enumerate(("test/input/videvo/Koala", "train/input/videvo/Beach", "test/input/DAVIS/bear")):
        frames(whole / name, seed=number, names="{:05d}.jpg")
    frames(whole / "test" / "processed" / "colorization" / "videvo" / "Koala", seed=9, names="{:05d}.jpg")
    assert {v.id: v.split for v in found(f"videvo:{whole}")} == {"Beach": "train", "Koala": "test"}
    assert [(v.id, v.split) for v in found(f"videvo:{whole / 'test' / 'input' / 'videvo'}")] == [("Koala", "test")]
    (tmp_path / "above").mkdir()
    (tmp_path / "above" / "videvo").symlink_to(whole)
    for folder in (tmp_path / "above", whole / "test", whole / "test" / "input"):
        found_in = [v.id for v in found(f"videvo:{folder}")]
        assert sorted(found_in) == (["Beach", "Koala"] if folder.name == "above" else ["Koala"])
    assert [v.name for v in found(f"videvo:{tmp_path / 'above'}")] == [
        "videvo/test/input/videvo/Koala",
        "videvo/train/input/videvo/Beach",
    ]
    with pytest.raises(SourceError, match="looks like the layout 'videvo'"):
        found(str(whole))
    (tmp_path / "nothing").mkdir()
    with pytest.raises(SourceError, match="not of the layout videvo"):
        found(f"videvo:{tmp_path / 'nothing'}")


def test_videvo_under_other_names_is_split_by_its_folders_or_told_the_names(tmp_path):
    for number, name in enumerate(("test/input/videvo/mine", "train/input/videvo/yours")):
        frames(tmp_path / "sides" / name, seed=number)
    assert {v.id: v.split for v in found(f"videvo:{tmp_path / 'sides'}")} == {"mine": "test", "yours": "train"}
    alone = tmp_path / "sides" / "train" / "input" / "videvo"
    assert [v.split for v in found(f"videvo:{alone}")] == ["train"]
    frames(tmp_path / "flat" / "mine", seed=2)
    with pytest.raises(
        SourceError, match=r"AircraftTakingOff1, .*YogaHut2: name its folders so, .* test/input/videvo; "
    ):
        found(f"videvo:{tmp_path / 'flat'}")


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
        ("path,fps\na.mp4,fast\n", "line 2: fps 'fast' is not a number"),
        ('path\n"a.mp4\n', "are its quotes in pairs"),
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


@pytest.mark.parametrize(
    ("layout", "files"),
    [
        ("nemo_curator", ["clips/a.mp4", "metas/v0/a.json"]),
        ("insv2v", ["swans/prompt.json", "swans/image/7_0_0.jpg", "swans/image/7_1_0.jpg"]),
        ("magicbrush", ["edit_turns.json", "images/1/1-input.png"]),
        ("instruct_pix2pix", ["seeds.json", "000/7_0.jpg"]),
    ],
)
def test_layouts_that_a_bare_path_would_take_for_something_else_are_known_by_their_looks(layout, files, tmp_path):
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(SourceError, match=f"looks like the layout '{layout}'"):
        found(str(tmp_path))


def test_videos_in_a_folder_with_a_telling_name_are_just_videos(tmp_path):
    (tmp_path / "hazy").mkdir()
    write_video(tmp_path / "hazy" / "a.mp4", moving_clip(0, frames=6, height=64, width=64), fps=25)
    assert len(found(str(tmp_path))) == 1


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


def test_another_licence_or_name_makes_the_samples_anew(tmp_path):
    write_video(tmp_path / "a.mp4", moving_clip(1, frames=6), fps=25)
    recipe = load(Recipe, "default", [*RECIPE, "tasks={recolor: {}}"])
    for licence in ("AAA", "BBB"):
        build(recipe, tmp_path / "out", sources=[str(tmp_path / "a.mp4")], licence=licence)
        assert set(Dataset(tmp_path / "out").index()["licence"].to_pylist()) == {licence}
    (tmp_path / "a.mp4").rename(tmp_path / "b.mp4")
    build(recipe, tmp_path / "out", sources=[str(tmp_path / "b.mp4")], licence="BBB")
    assert replay(tmp_path / "out", Dataset(tmp_path / "out").keys()[0]).faithful


@pytest.mark.parametrize(
    ("folder", "named"),
    [
        ("quantitative_datasets/IMG_0003/GT", "dvd:{}/quantitative_datasets"),
        ("IMG_0003/GT", "dvd:{}"),
        ("GOPR0372_07_00/sharp", "gopro:{}"),
        ("GoPro/train/GOPR0372_07_00/sharp", "gopro:{}/GoPro"),
        ("BSD/BSD_3ms24ms/train/000/Sharp/RGB", "bsd:{}/BSD/BSD_3ms24ms"),
        ("DAVIS/JPEGImages/480p/bear", "davis:{}/DAVIS"),
        ("HazeWorld/train/hazy/a_1_0.5", "hazeworld:{0}/HazeWorld/train or --from revide:{0}/HazeWorld"),
    ],
)
def test_a_known_data_set_is_named_from_above_and_from_within(folder, named, tmp_path):
    frames(tmp_path / folder)
    with pytest.raises(SourceError) as error:
        list(find_source(str(tmp_path), "").entries())
    assert f"say --from {named.format(tmp_path)}, or --from frames:{tmp_path} to take each" in str(error.value)
    assert [entry.name for entry in find_source(f"frames:{tmp_path}", "").entries()] == [folder]
