"""Copies of videos, by their hashes alone: which are found, and which of them stays."""

import json

import cv2
import numpy as np
import pytest

import datagen.likeness
from datagen.destination import find_destination
from datagen.duplicates import Seen, find_doubles, find_relatives, leaks
from datagen.hashes import perceptual_hashes
from datagen.joined import Joined
from datagen.ledger import Ledger
from datagen.likeness import bits_apart, hang_together, values_of
from tests.conftest import moving_clip
from tests.datagen.growing import before_a_camera, recipe
from tests.datagen.test_likeness import MIRRORED, values


def is_like(ours, theirs) -> bool:
    return bits_apart(values_of(ours), values_of(theirs), 8) is not None


def seen(sha256, split, *values, start=0, **others):
    return Seen(
        sha256=sha256, group=sha256, start=start, split=split, hashes=[f"{value:016x}" for value in values], **others
    )


def seen_clip(name, clip, split="train", **others):
    hashes = {"hashes": perceptual_hashes(clip).shown, "moving": perceptual_hashes(clip).moving}
    return Seen(sha256=name, group=name, start=0, split=split, **hashes, **others)


def left_out(clips, known=()):
    return {(double.clip.sha256, double.clip.start) for double in doubles_of(clips, known)}


def doubles_of(clips, known=()):
    return find_doubles(clips, find_relatives(clips, 8, known).near, 8, known)


def relatives_of(clips, known=()):
    return find_relatives(clips, 8, known).pairs


def test_hashes_survive_scaling_and_light_and_differ_between_videos():
    clips = [moving_clip(seed, frames=3, height=96, width=96) for seed in range(40)]
    for clip in clips[:10]:
        small = np.stack([cv2.resize(f, (50, 50), interpolation=cv2.INTER_AREA) for f in clip])
        lighter = np.clip(small * 0.9 + 12, 0, 255).astype(np.uint8)
        bits = [
            (int(a, 16) ^ int(b, 16)).bit_count()
            for a, b in zip(perceptual_hashes(clip).shown, perceptual_hashes(lighter).shown, strict=True)
        ]
        assert max(bits) <= 7
    found = [seen_clip(f"{k}", clip) for k, clip in enumerate(clips)]
    assert relatives_of(found) == ()
    assert doubles_of(found) == []


def mirrored(hashes):
    return [f"{int(text, 16) ^ MIRRORED:016x}" for text in hashes]


def test_a_mirrored_picture_has_the_hash_that_the_straight_one_tells():
    clips = [moving_clip(seed, frames=16, height=96, width=96) for seed in range(10)]
    for clip in clips:
        turned = clip[:, :, ::-1]
        assert perceptual_hashes(turned).shown == mirrored(perceptual_hashes(clip).shown)
        assert perceptual_hashes(turned).moving == mirrored(perceptual_hashes(clip).moving)
        lighter = np.clip(turned * 0.9 + 12, 0, 255).astype(np.uint8)
        assert is_like(perceptual_hashes(clip).shown, perceptual_hashes(lighter).shown)
    found = [seen_clip(f"{k}", clip) for k, clip in enumerate(clips)]
    found += [seen_clip(f"{k} mirrored", clip[:, :, ::-1]) for k, clip in enumerate(clips)]
    assert left_out(found) == {(f"{k} mirrored", 0) for k in range(10)}


@pytest.mark.parametrize("change", ["cropped", "cropped and mirrored", "cropped and begun later"])
@pytest.mark.parametrize("kept", [0.88, 0.9, 0.92])
def test_a_copy_that_is_cropped_all_round_hangs_together_with_the_original(kept, change):
    clips = [moving_clip(seed, frames=20, height=200, width=200) for seed in range(12)]
    edge = round(200 * (1 - kept) / 2)
    copies = [clip[:, edge : 200 - edge, edge : 200 - edge] for clip in clips]
    if change == "cropped and mirrored":
        copies = [copy[:, :, ::-1] for copy in copies]
    begin = 3 if change == "cropped and begun later" else 0
    found = [seen_clip(f"{k:02d}", clip[:16]) for k, clip in enumerate(clips)]
    found += [seen_clip(f"{k:02d} copy", copy[begin : begin + 16]) for k, copy in enumerate(copies)]
    assert {frozenset(pair) for pair in relatives_of(found)} == {
        frozenset((f"{k:02d}", f"{k:02d} copy")) for k in range(12)
    }


def as_hashed_once(frame) -> str:
    """The hash of datasets of earlier versions: which of the low frequencies are above their median."""
    gray = cv2.resize(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), (32, 32), interpolation=cv2.INTER_AREA)
    low = cv2.dct(gray.astype(np.float32))[:8, :8].reshape(-1)
    return np.packbits(low > np.median(low[1:])).tobytes().hex()


@pytest.mark.parametrize("frames", [(0, 8, 15), range(0, 16, 2)])
def test_a_clip_of_a_dataset_that_was_built_with_earlier_hashes_is_known_again(frames):
    clips = [moving_clip(seed, frames=16, height=96, width=96) for seed in range(20)]
    once = [[as_hashed_once(clip[k]) for k in frames] for clip in clips]
    for k, clip in enumerate(clips):
        assert [is_like(hashes, perceptual_hashes(clip).shown) for hashes in once] == [k == n for n in range(20)]
        assert is_like(once[k], perceptual_hashes(clip[:, :, ::-1]).shown)


def test_frames_that_show_nothing_have_no_hash_and_are_like_none():
    clip = moving_clip(1, frames=16, height=64, width=64)
    fading = (clip * np.linspace(0, 1, 16)[:, None, None, None]).astype(np.uint8)
    assert (len(perceptual_hashes(clip).shown), len(perceptual_hashes(clip).moving)) == (16, 8)
    assert 4 <= len(perceptual_hashes(fading).moving) < 8
    assert len(perceptual_hashes(fading).shown) == 2 * len(perceptual_hashes(fading).moving)
    assert perceptual_hashes(np.zeros_like(clip)).shown == perceptual_hashes(np.zeros_like(clip)).moving == []
    assert perceptual_hashes(clip[:1]).moving == []
    assert not is_like([], [])


def test_notes_of_copies_as_they_were_written_once_are_read(tmp_path):
    (tmp_path / ".build").mkdir()
    noted = {"videos": {"c": "rejected: x"}, "clips": [["a", 4, "near-duplicate: of b", ["b", 0]]]}
    (tmp_path / ".build" / "excluded.json").write_text(json.dumps(noted))
    found = Ledger(find_destination(tmp_path, workers=0), recipe(), "1").excluded()
    assert found.videos == {"c": "rejected: x"}
    assert found.clips == {("a", 4): "near-duplicate: of b"}
    assert found.alike == {("a", "b")}


@pytest.fixture
def compared(monkeypatch):
    """Counts how often two clips or two videos are compared."""
    counts = {"clips": 0, "videos": 0}

    def counted(name, function):
        def call(*arguments):
            counts[name] += 1
            return function(*arguments)

        return call

    monkeypatch.setattr("datagen.duplicates.bits_apart", counted("clips", bits_apart))
    monkeypatch.setattr(datagen.likeness, "hang_together", counted("videos", hang_together))
    return counts


@pytest.mark.parametrize("moves", ["the same", "something else"])
def test_comparisons_grow_with_the_clips_and_not_with_their_pairs_where_all_look_alike(moves, compared):
    rng, count = np.random.default_rng(0), 400
    view, motion = values(rng), values(rng)

    def near(found):
        return [f"{value ^ 1 << int(bit):016x}" for value, bit in zip(found, rng.integers(0, 64, 8), strict=True)]

    clips = [
        seen_clip_of(f"{k:03d}", near(view), near(motion if moves == "the same" else values(rng))) for k in range(count)
    ]
    relatives = relatives_of(clips)
    assert len(relatives) == count - 1
    assert len(left_out(clips, relatives)) == (count - 1 if moves == "the same" else 0)
    assert compared["videos"] + compared["clips"] < 5 * count


def seen_clip_of(name, hashes, moving):
    return Seen(sha256=name, group=name, start=0, split="train", hashes=hashes, moving=moving)


def test_of_copies_the_clips_with_the_same_moment_go_and_what_one_has_alone_stays_in_its_split():
    rng = np.random.default_rng(0)
    a, b, c, own = (values(rng) for _ in range(4))
    clips = [
        seen("A", "test", *a),
        seen("B", "test", *a, *b),
        seen("B", "test", *c, start=16),
        seen("C", "test", *c),
        seen("C", "test", *own, start=16),
        seen("D", "test", *values(rng)),
    ]
    relatives = relatives_of(clips)
    assert {frozenset(pair) for pair in relatives} == {frozenset("AB"), frozenset("BC")}
    for order in (clips, clips[::-1], [clips[k] for k in rng.permutation(len(clips))]):
        assert left_out(order, relatives) == {("B", 0), ("C", 0)}
        assert relatives_of(order) == relatives
    # what is kept has no copies any more, and which videos hang together stays known
    left = [clip for clip in clips if (clip.sha256, clip.start) not in left_out(clips, relatives)]
    assert relatives_of(left, relatives) == ()
    assert left_out(left, relatives) == set()


def test_of_copies_in_a_split_the_one_with_more_pixels_stays_then_the_first_by_name_unless_another_stands():
    a, b = values(np.random.default_rng(0)), values(np.random.default_rng(1))
    small, large = {"pixels": 77361, "name": "a.mp4"}, {"pixels": 307200, "name": "b.mp4"}
    clips = [
        seen("0", "train", *a, **small),
        seen("1", "train", *a, **large),
        # equally large
        seen("2", "train", *b, pixels=77361, name="d.mp4"),
        seen("3", "train", *b, pixels=77361, name="c.mp4"),
    ]
    assert left_out(clips) == left_out(clips[::-1]) == {("0", 0), ("2", 0)}
    standing = [seen("0", "train", *a, **small, stands=True), *clips[1:]]
    assert left_out(standing) == left_out(standing[::-1]) == {("1", 0), ("2", 0)}
    # what is measured on stays, however small
    assert left_out([seen("0", "test", *a, **small), *clips[1:]]) == {("1", 0), ("2", 0)}


def test_of_copies_with_as_many_pixels_the_one_with_more_bits_a_second_stays_unless_another_stands():
    a = values(np.random.default_rng(0))
    fine, coarse = {"bit_rate": 4.7e6, "pixels": 77361}, {"bit_rate": 6e4, "pixels": 77361}
    for names in ("ab", "ba"):
        clips = [seen("0", "train", *a, **fine, name=names[0]), seen("1", "train", *a, **coarse, name=names[1])]
        assert left_out(clips) == left_out(clips[::-1]) == {("1", 0)}
        standing = [clips[0], seen("1", "train", *a, **coarse, name=names[1], stands=True)]
        assert left_out(standing) == left_out(standing[::-1]) == {("0", 0)}
        smaller = [seen("0", "train", *a, bit_rate=9e9, pixels=100, name=names[0]), clips[1]]
        assert left_out(smaller) == {("0", 0)}


def test_between_splits_that_are_fixed_test_stays_before_val_before_train_and_what_hangs_on_the_others_goes():
    rng = np.random.default_rng(0)
    a, own = values(rng), values(rng)
    clips = [
        seen("A", "train", *a),
        seen("A", "train", *own, start=16),
        seen("B", "val", *a),
        seen("C", "test", *a),
        seen("D", "train", *values(rng)),
    ]
    assert left_out(clips) == {("A", 0), ("B", 0)}
    doubles = doubles_of(clips, [("A", "B"), ("B", "C")])
    found = {(double.clip.sha256, double.clip.start): (double.like.sha256, double.bits) for double in doubles}
    assert found == {("A", 0): ("C", 0), ("A", 16): ("C", None), ("B", 0): ("C", 0)}


def test_what_stands_stays_whatever_comes_later_and_into_which_split():
    rng = np.random.default_rng(2)
    a, b, other = values(rng), values(rng), values(rng)
    old = [seen("A", "train", *a, stands=True), seen("B", "test", *b, stands=True)]
    later = [seen("C", "test", *a), seen("D", "test", *b), seen("D", "test", *other, start=16)]
    assert left_out([*old, *later]) == {("C", 0), ("D", 0)}
    # in one round the one in train gives way
    fresh = [seen("A", "train", *a), seen("B", "test", *b)]
    assert left_out([*fresh, *later]) == {("A", 0), ("D", 0)}
    # a video between what stands in train and in test has nothing that could be in either
    between = [seen("E", "train", *other), seen("E", "train", *values(rng), start=16)]
    assert left_out([*old, *between], [("A", "E"), ("B", "E")]) == {("E", 0), ("E", 16)}


def test_films_that_share_a_title_sequence_lose_that_and_nothing_else():
    rng = np.random.default_rng(1)
    title = values(rng)
    films = [
        seen(f"F{n}", split, *(title if start == 0 else values(rng)), start=start)
        for n, split in enumerate(["train", "train", "val", "test"])
        for start in (0, 16, 32, 48)
    ]
    assert relatives_of(films) == ()
    assert left_out(films) == {("F0", 0), ("F1", 0), ("F2", 0)}


def test_what_one_camera_sees_at_other_times_hangs_together_and_all_of_it_stays():
    clips = [seen_clip(f"{k}", before_a_camera(k)) for k in range(12)]
    clips += [seen_clip(f"other {k}", before_a_camera(k, view=1)) for k in range(3)]
    relatives = relatives_of(clips)
    joined = Joined(relatives)
    assert len({joined.root(clip.group) for clip in clips}) == 2
    assert left_out(clips, relatives) == set()


@pytest.mark.parametrize("change", ["lighter", "mirrored", "smaller"])
def test_a_copy_of_what_a_camera_that_stands_still_saw_is_known_from_its_other_times(change):
    clips = [before_a_camera(k) for k in range(12)]
    copy = np.clip(clips[3].astype(int) + 8, 0, 255).astype(np.uint8)
    if change == "mirrored":
        copy = copy[:, :, ::-1]
    if change == "smaller":
        copy = np.stack([cv2.resize(frame, (64, 64), interpolation=cv2.INTER_AREA) for frame in copy])
    found = doubles_of([*(seen_clip(f"{k:02d}", clip) for k, clip in enumerate(clips)), seen_clip("copy", copy)])
    assert [(double.clip.sha256, double.like.sha256) for double in found] == [("copy", "03")]


def test_a_leak_is_an_equal_clip_of_another_video_in_another_split():
    one = values(np.random.default_rng(0))
    assert leaks([seen("a", "train", *one), seen("a", "train", *one, start=9), seen("b", "train", *one)]) == []
    ((kept, other),) = leaks([seen("a", "train", *one), seen("b", "test", *one)])
    assert (kept.split, other.split) == ("test", "train")
