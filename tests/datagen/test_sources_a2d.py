"""A2D Sentences by a fixture of its native form: few frames of a video have masks, in HDF5 files."""

import builtins
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from configs import MissingExtraError, SourceError, VideoError, load
from datagen import Recipe, build
from datagen.sources import find_source
from datagen.sources.base import Clip, Reject, SourceVideo, Window
from datagen.sources.layouts import a2d
from datagen.synthesize import open_readers
from shards import Dataset, read_video, write_video
from shards.instances import InstanceReader
from tests.conftest import moving_clip
from tests.datagen.layout_files import DOG, MAN, a2d_sentences, annotation

RECIPE = ["clip.size=32", "gates.min_motion=0", "gates.max_duplicates=1"]


@pytest.fixture
def folder(tmp_path) -> Path:
    return a2d_sentences(tmp_path)


def items(folder: Path, *settings: str) -> list[SourceVideo | Reject]:
    return list(find_source(f"a2d:{folder}", "").videos(load(Recipe, "default", [*RECIPE, *settings]), {}))


def read(video: SourceVideo, *settings: str, start: int = 0) -> Clip:
    recipe = load(Recipe, "default", [*RECIPE, *settings])
    with open_readers(recipe) as reader:
        return reader(video, Window(start=start, step=1, frames=recipe.clip.frames))


def test_of_a2d_the_annotated_frames_are_used_with_their_masks_and_sentences(folder):
    video = next(item for item in items(folder, "clip.frames=2") if isinstance(item, SourceVideo))
    assert (video.id, video.split, video.frames) == ("_0djE279Srg", "test", 4)
    assert video.fps == pytest.approx(25 * 3 / 16), "frames 3, 9, 15 and 19 are what there is"
    clip = read(video, "clip.frames=2", start=1)
    every = read_video(folder / "Release" / "clips320H" / "_0djE279Srg.mp4", size=(32, 32), crop=(0.5, 0.5))
    assert np.array_equal(clip.frames, every[[8, 14]]), "00009.h5 is of the ninth frame"
    assert clip.ids is not None
    assert np.array_equal(clip.ids[0], (MAN + 3 * DOG)[:, 8:40])
    assert clip.names == {1: ["man in blue is running"], 3: ["a dog, jumping high"]}
    last = read(video, "clip.frames=1", start=3)
    assert last.names == {3: ["a dog, jumping high"]}, "the man is out of sight"


def test_videos_of_a2d_without_sentence_or_mask_are_rejects_with_a_reason(folder):
    rejects = {item.source: item.reason for item in items(folder, "clip.frames=1") if isinstance(item, Reject)}
    assert rejects == {
        "unsaid.mp4": "no sentence for it in A2D Sentences",
        "bare.mp4": "no masks for it in A2D Sentences",
    }


def test_segmentation_pairs_are_built_from_a2d(folder, tmp_path):
    recipe = load(Recipe, "default", [*RECIPE, "clip.frames=1", "clip.per_video=4", "tasks={segment: {}}"])
    build(recipe, tmp_path / "out", sources=[f"a2d:{folder}"])
    dataset = Dataset(tmp_path / "out")
    samples = [dataset[key] for key in dataset.keys("segment")]
    assert len(samples) == 4
    for sample in samples:
        shown = MAN if "man in blue" in sample.instruction else DOG
        assert np.array_equal(sample.mask[0] > 0, shown[:, 8:40] > 0)


def test_masks_of_a2d_that_are_damaged_or_of_another_frame_are_one_line(folder):
    masks = folder / "text_annotations" / "a2d_annotation_with_instances" / "_0djE279Srg"
    annotation(masks / "00030.h5", [0], [MAN])
    (found,) = (item for item in items(folder, "clip.frames=1") if item.source == "_0djE279Srg.mp4")
    assert found.reason == "uneven main: frame 29 is wanted, it has 20"
    (masks / "00003.h5").write_bytes(b"no HDF5")
    (found,) = (item for item in items(folder, "clip.frames=1") if item.source == "_0djE279Srg.mp4")
    assert found.reason.startswith("unreadable: 00003.h5: no masks of objects (instance, reMask), or damaged")


def test_masks_and_objects_of_different_number_are_an_error(tmp_path):
    annotation(tmp_path / "x" / "00001.h5", [1, 2, 3], [MAN, DOG])
    with pytest.raises(VideoError, match=r"3 objects and masks of \[2, 48, 32\]"):
        InstanceReader(tmp_path / "x")


def test_a_table_may_name_such_masks_too(tmp_path):
    write_video(tmp_path / "a.mp4", moving_clip(frames=2), fps=25)
    for frame in (1, 2):
        annotation(tmp_path / "m" / f"{frame}.h5", [0], [DOG])
    pd.DataFrame([{"path": "a.mp4", "masks": "m", "expression": "the dog"}]).to_csv(tmp_path / "t.csv", index=False)
    pd.DataFrame([{"path": "m"}]).to_csv(tmp_path / "wrong.csv", index=False)
    recipe = load(Recipe, "default", [*RECIPE, "clip.frames=2"])
    (video,) = find_source(str(tmp_path / "t.csv"), "").videos(recipe, {})
    clip = read(video, "clip.frames=2")
    assert np.array_equal(clip.ids, np.stack([DOG, DOG])[:, :, 8:40])
    (wrong,) = find_source(str(tmp_path / "wrong.csv"), "").videos(recipe, {})
    assert wrong.reason == "unreadable: main is a folder of object masks, it must be a video or pictures"


def test_without_h5py_one_line_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "Release").mkdir()
    (tmp_path / "Release" / "videoset.csv").write_text("x,1,0,1,32,48,20,3,0\n")
    (tmp_path / "a2d_annotation.txt").write_text("video_id,instance_id,query\n")
    monkeypatch.setattr(a2d, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match="pip install h5py"):
        items(tmp_path)
    (tmp_path / "a2d_annotation.txt").unlink()
    with pytest.raises(SourceError, match=r"not of the layout a2d: it needs Release/videoset.csv"):
        items(tmp_path)


def test_a_reader_without_h5py_says_so(tmp_path, monkeypatch):
    (tmp_path / "00001.h5").write_bytes(b"x")
    real = builtins.__import__

    def without(name, *rest):
        if name == "h5py":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(VideoError, match="reading it needs h5py"):
        InstanceReader(tmp_path)
