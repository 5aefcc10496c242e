"""What the sets with object masks say of them: videos without public masks, categories, phrases."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from configs import SourceError, load
from datagen import Recipe, build
from datagen.sources import find_source
from datagen.sources.base import Reject, SourceVideo
from datagen.sources.layouts._expressions import as_phrase
from tests.conftest import moving_clip
from tests.datagen.layout_files import frames
from tests.datagen.layout_files import masks as annotations

RECIPE = ["clip.frames=3", "clip.size=32", "gates.min_motion=0", "gates.max_duplicates=1"]


def sequence(root: Path, name: str, *, masks: int, below: str = "") -> None:
    (root / "JPEGImages" / below / name).mkdir(parents=True)
    for number, frame in enumerate(moving_clip(frames=4)):
        Image.fromarray(frame).save(root / "JPEGImages" / below / name / f"{number:05d}.jpg")
    for number in range(masks):
        (root / "Annotations" / below / name).mkdir(parents=True, exist_ok=True)
        shown = np.zeros((32, 48), np.uint8)
        shown[4:20, 10:20], shown[4:20, 24:34] = 1, 2
        Image.fromarray(shown).save(root / "Annotations" / below / name / f"{number:05d}.png")


def items(spec: str) -> list[SourceVideo | Reject]:
    return list(find_source(spec, "").videos(load(Recipe, "default", RECIPE), {}))


def test_videos_of_youtube_vos_without_public_masks_are_rejects(tmp_path):
    for name, masks in (("shown", 4), ("first", 1), ("hidden", 0)):
        sequence(tmp_path / "valid", name, masks=masks)
    found = items(f"youtube_vos:{tmp_path}")
    assert [video.id for video in found if isinstance(video, SourceVideo)] == ["shown"]
    assert {item.source: item.reason for item in found if isinstance(item, Reject)} == {
        "valid/JPEGImages/first": "only its first mask is public",
        "valid/JPEGImages/hidden": "its masks are not public",
    }


@pytest.mark.parametrize(("listed", "every"), [(True, 5), (False, 5), (False, 1)])
def test_masks_of_objects_as_they_appear_are_not_those_of_a_whole_video(listed, every, tmp_path):
    root = tmp_path / "valid"
    for name, spacing in (("whole", 5), ("appearing", 30)):
        frames(root / "JPEGImages" / name, count=60)
        for number in range(60):
            if number % every:
                (root / "JPEGImages" / name / f"{number:05d}.jpg").unlink()
        annotations(root / "Annotations" / name, count=60, every=spacing)
    if listed:
        numbers = [f"{n:05d}" for n in range(0, 60, 5)]
        objects = {"1": {"category": "others", "frames": numbers}, "2": {"category": "others", "frames": numbers[6:]}}
        said = {name: {"objects": objects} for name in ("whole", "appearing")}
        (root / "meta.json").write_text(json.dumps({"videos": said}))
    appearing, whole = items(f"youtube_vos:{tmp_path}")
    assert isinstance(appearing, Reject)
    assert appearing.reason == "only its first masks are public: 2 of 12"
    assert isinstance(whole, SourceVideo)
    assert (whole.frames, whole.fps) == (12, 6.0)


def test_where_no_expression_names_an_object_segment_says_so(tmp_path):
    sequence(tmp_path, "bear", masks=4, below="480p")
    recipe = load(Recipe, "default", [*RECIPE, "tasks={segment: {}, recolor: {}}", "clip.per_video=1"])
    build(recipe, tmp_path / "out", sources=[f"davis:{tmp_path}"])
    rejects = [json.loads(line) for line in (tmp_path / "out" / "rejects.jsonl").read_text().splitlines()]
    assert [reject["reason"] for reject in rejects if reject["task"] == "segment"] == [
        "nothing to refer to: the source names no object (no expressions)"
    ]


def test_when_no_mask_is_public_the_build_says_why(tmp_path):
    sequence(tmp_path / "test", "x", masks=1)
    with pytest.raises(SourceError, match=r"no usable clip: .*only its first mask is public"):
        build(load(Recipe, "default", RECIPE), tmp_path / "out", sources=[f"youtube_vos:{tmp_path}"])


def test_a_sequence_of_davis_without_masks_is_a_reject(tmp_path):
    sequence(tmp_path, "bear", masks=4, below="480p")
    sequence(tmp_path, "cows", masks=0, below="480p")
    bear, cows = items(f"davis:{tmp_path}")
    assert isinstance(bear, SourceVideo)
    assert isinstance(cows, Reject)
    assert cows.reason == "no masks: Annotations has no folder of that name"


def test_the_category_others_is_no_name(tmp_path):
    sequence(tmp_path / "train", "x", masks=4)
    said = {"x": {"objects": {"1": {"category": "others"}, "2": {"category": "giant_panda"}}}}
    (tmp_path / "train" / "meta.json").write_text(json.dumps({"videos": said}))
    (video,) = items(f"youtube_vos:{tmp_path}")
    assert video.facts["names"] == {"2": ["the giant panda"]}


@pytest.mark.parametrize(
    ("said", "phrase"),
    [
        ("A brown bear.", "a brown bear"),
        ("the man, on the left,", "the man, on the left"),
        ("which dog is it?!", "which dog is it"),
        ("a cat;", "a cat"),
        ("a cat: ", "a cat"),
        ('"A brown bear."', "a brown bear"),
        ("'a cat'.", "a cat"),
        ('a cat."', "a cat"),
        ("a cat'", "a cat"),
        ('a man with a "Go" sign', 'a man with a "Go" sign'),
        ('a sign saying "Go".', 'a sign saying "Go"'),
        ("the dog's toy'", "the dog's toy"),
        ("TV set", "TV set"),
        ("...", ""),
    ],
)
def test_an_expression_fits_into_a_sentence(said, phrase):
    assert as_phrase(said) == phrase
