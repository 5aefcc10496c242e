"""The search for clips and videos that are like each other: exactly what comparing all with all finds."""

import numpy as np
import pytest

import datagen.likeness
from datagen.duplicates import Seen, find_doubles, find_relatives
from datagen.joined import Joined
from datagen.likeness import Lookup, bits_apart, hang_together, join_alike, values_of

MIRRORED = 0x5555555555555555


def values(rng, count=8):
    return [int(value) for value in rng.integers(0, 2**63, count)]


def drawn_videos(rng, videos, clips, distance):
    """Hashes of videos, of which some clips show the same, straight or mirrored, in a part of their frames."""
    pool = [values(rng, 9) for _ in range(15)]

    def frame(shown):
        value = shown if rng.random() < 0.8 else values(rng, 1)[0]
        for bit in rng.integers(0, 64, rng.integers(0, distance // 2 + 1)):
            value ^= 1 << int(bit)
        return value

    def clip():
        shown = pool[rng.integers(15)] if rng.random() < 0.3 else values(rng, 9)
        flip = MIRRORED if rng.random() < 0.3 else 0
        return np.array([frame(value) ^ flip for value in shown[: rng.integers(0, 10)]], np.uint64)

    return [[clip() for _ in range(clips)] for _ in range(videos)]


def like(ours, theirs, distance):
    """Whether three eighths of the frames, and two, of both come near to the other's, all straight or all mirrored."""
    fewer = min(len(ours), len(theirs))
    wanted = max(3 * fewer // 8, min(2, fewer))
    for flip in (0, MIRRORED):
        counts = [
            sum(any((int(a) ^ flip ^ int(b)).bit_count() < distance for b in others) for a in some)
            for some, others in ((ours, theirs), (theirs, ours))
        ]
        if wanted and min(counts) >= wanted:
            return True
    return False


@pytest.fixture(params=["as it is", "all ways"])
def limits(request, monkeypatch):
    """Once with the limits as they are, and once so low that few clips go every way through the search."""
    if request.param == "all ways":
        for name, value in {"_CROWD": 3, "_ROWS": 64, "_FEW": 4, "_CHUNK": 16}.items():
            monkeypatch.setattr(datagen.likeness, name, value)
        monkeypatch.setattr("datagen.duplicates._AT_ONCE", 7)


@pytest.mark.usefixtures("limits")
@pytest.mark.parametrize("distance", [1, 4, 5, 8])
def test_videos_that_hang_together_are_found_exactly_as_comparing_all_with_all_finds_them(distance):
    videos = drawn_videos(np.random.default_rng(distance), 60, 2, distance)
    expected, found = Joined(), Joined()
    for i, ours in enumerate(videos):
        for j, theirs in enumerate(videos[:i]):
            shared = [[like(a, b, distance) for b in theirs] for a in ours]
            most = max(np.any(shared, axis=axis).mean() for axis in (0, 1)) >= 0.5
            assert hang_together(ours, theirs, distance) == most
            if most:
                expected.join(str(i), str(j))
    named = [(str(number), clips) for number, clips in enumerate(videos)]
    pairs, near = join_alike(named, distance, found)
    assert [found.root(name) for name, _ in named] == [expected.root(name) for name, _ in named]
    assert len(pairs) == 60 - len({found.root(name) for name, _ in named})
    assert 5 < len(pairs) < 50
    many = {
        root for root in (found.root(name) for name, _ in named) if [found.root(n) for n, _ in named].count(root) > 1
    }
    assert near == {
        (i, k)
        for i, ours in enumerate(videos)
        for k, clip in enumerate(ours)
        if found.root(str(i)) in many
        or any(like_once(clip, other, distance) for j, theirs in enumerate(videos) if i != j for other in theirs)
    }


@pytest.mark.usefixtures("limits")
@pytest.mark.parametrize("distance", [1, 4, 5, 8])
@pytest.mark.parametrize("at_once", [1, 40, 150])
def test_looking_up_a_clip_finds_every_one_that_has_a_frame_near(at_once, distance):
    clips = [video[0] for video in drawn_videos(np.random.default_rng(distance), 150, 1, distance)]
    lookup = Lookup(distance)
    for start in range(0, 150, at_once):
        batch = clips[start : start + at_once]
        for number, (clip, before) in enumerate(zip(batch, lookup.near_before(batch), strict=True), start):
            expected = [k for k, other in enumerate(clips[:number]) if like_once(clip, other, distance)]
            assert [*before, *lookup.near_later(clip)] == expected
            lookup.add(number, clip)


@pytest.mark.usefixtures("limits")
def test_which_clips_are_left_out_is_found_exactly_as_by_comparing_each_with_all_that_stay():
    rng = np.random.default_rng(5)
    videos, splits = drawn_videos(rng, 80, 2, 8), rng.choice(["train", "val", "test"], 80).tolist()
    clips = [
        Seen(sha256=str(n), group=str(n), start=k, split=split, hashes=[f"{value:016x}" for value in clip])
        for n, (video, split) in enumerate(zip(videos, splits, strict=True))
        for k, clip in enumerate(video)
    ]
    kept: list[Seen] = []
    expected = set()
    for clip in sorted(clips, key=lambda clip: clip.order):
        share = {True: 3 / 4, False: 3 / 8}
        alike = [
            other
            for other in kept
            if other.group != clip.group
            and all(
                bits_apart(values_of(clip.hashes), values_of(other.hashes), 8, wanted) is not None
                for wanted in {3 / 8, share[other.split == clip.split]}
            )
        ]
        if alike:
            expected.add((clip.sha256, clip.start))
        else:
            kept.append(clip)
    assert 10 < len(expected) < 100
    near = find_relatives(clips, 8).near
    assert {(double.clip.sha256, double.clip.start) for double in find_doubles(clips, near, 8)} == expected


def like_once(ours, theirs, distance):
    return any((int(a) ^ flip ^ int(b)).bit_count() < distance for a in ours for b in theirs for flip in (0, MIRRORED))
