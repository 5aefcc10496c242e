"""Which split each source video belongs to: by its own content, by what its data set says, by what it hangs together with."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence

from configs import SourceError
from datagen.joined import Joined
from datagen.settings import SplitSettings
from datagen.sources.base import SourceVideo

SPLITS = ("train", "val", "test")


def assign_splits(
    videos: Sequence[SourceVideo],
    shares: SplitSettings,
    seed: int,
    known: Mapping[str, str] | None = None,
    alike: Sequence[tuple[str, str]] = (),
    idle: Collection[str] = (),
) -> dict[str, str]:
    """Return a split for the sha256 of every video.

    `known`: where some of them are already, and stay. `alike`: pairs of groups that hang together; one split is drawn for
    all of them, and where one of them stays somewhere, the others go there. `idle`: videos of which no clip is used, which
    fill no split.

    A video's place depends on its own content, so adding videos moves no other one between train and test. Only
    where a wanted split would stay empty the nearest video is taken over, as long as the split it is in keeps one. A video whose
    data set says where it belongs stays there.
    """
    official = {video.sha256: video.split for video in videos if video.split and shares.official}
    given = {**official, **(known or {})}
    given |= _beside(videos, given)
    joined = Joined(alike)
    roots = {video.sha256: joined.root(video.group) for video in videos}
    homes: dict[str, str] = {}
    # what was there before comes before what a data set says, and test before train
    for sha256 in sorted(given, key=lambda sha256: (sha256 not in (known or {}), -SPLITS.index(given[sha256]))):
        if sha256 in roots:
            homes.setdefault(roots[sha256], given[sha256])
    given |= {sha256: homes[root] for sha256, root in roots.items() if sha256 not in given and root in homes}
    places = {sha256: _place(root, seed) for sha256, root in roots.items() if sha256 not in given}
    return {**_drawn(places, shares, {split for sha256, split in given.items() if sha256 not in idle}), **given}


def _beside(videos: Sequence[SourceVideo], given: Mapping[str, str]) -> dict[str, str]:
    """Return the splits of videos that are given by what else shows one of their sides, or is in the same group."""
    first: dict[str, SourceVideo] = {}
    for video in videos:
        if video.sha256 not in given:
            continue
        split, other = given[video.sha256], first.setdefault(video.group, video)
        if given[other.sha256] != split:
            raise SourceError(
                f"{video.name} should be in {split}, and {other.name}, of the same video, pair or group, in "
                f"{given[other.sha256]}: that would be a leak; give all of it one split, leave one out, or set "
                "splits.official=false in a new --out"
            )
    return {video.sha256: given[first[video.group].sha256] for video in videos if video.group in first}


def _drawn(places: Mapping[str, float], shares: SplitSettings, taken: Collection[str]) -> dict[str, str]:
    """Return the splits of videos by their places from 0 to 1. `taken`: splits that have some already."""
    bounds = {"test": (0.0, shares.test), "val": (shares.test, shares.test + shares.val)}
    splits = {}
    for sha256, place in places.items():
        inside = [name for name, (low, high) in bounds.items() if low <= place < high]
        splits[sha256] = inside[0] if inside else "train"
    if shares.train == 0:
        return splits
    if places and "train" not in {*splits.values(), *taken}:
        # without it there would be nothing to learn from
        last = max(places.values())
        splits |= {sha256: "train" for sha256, place in places.items() if place == last}
    for name, (low, high) in bounds.items():
        if high > low and name not in {*splits.values(), *taken}:
            spare = _spare(splits, places, taken)
            nearest = min(spare, key=lambda place: abs(place - low), default=None)
            splits |= {sha256: name for sha256, place in places.items() if place == nearest}
    return splits


def _spare(splits: Mapping[str, str], places: Mapping[str, float], taken: Collection[str]) -> list[float]:
    """Return the places in a split of which one can go elsewhere: train, if that keeps one."""
    for name in SPLITS:
        found = sorted({places[sha256] for sha256, split in splits.items() if split == name})
        if len(found) > (name not in taken):
            return found
    return []


def _place(sha256: str, seed: int) -> float:
    digest = hashlib.blake2b(f"split {seed} {sha256}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
