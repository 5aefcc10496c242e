"""The plan of a build: which clips there are, and which shard each goes into, whatever order they were found in."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from configs import SourceError
from datagen.settings import ClipSettings, Recipe, SplitSettings
from datagen.sources.base import Reject, SourceVideo, Window

SPLITS = ("train", "val", "test")
_UNITS_PER_SPLIT = 16
"""A split is cut into up to so many shards for the sake of parallel work, even where they stay small ..."""
_UNIT_CLIPS = 16
"""... but a shard has at least so many clips if there are as many."""


@dataclass(frozen=True, kw_only=True)
class Unit:
    """The work of one process at a time: some clips of one split, for every task; gives one shard per task."""

    split: str
    number: int
    clips: tuple[tuple[SourceVideo, Window], ...]

    @property
    def name(self) -> str:
        """Name of its shards without their ending."""
        return f"{self.split}-{self.number:06d}"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All units of a build, and what was turned away before any decoding."""

    units: tuple[Unit, ...]
    rejects: tuple[Reject, ...]
    videos: tuple[SourceVideo, ...]

    @property
    def clips(self) -> int:
        """How many clips the units have together."""
        return sum(len(unit.clips) for unit in self.units)

    @property
    def inputs(self) -> str:
        """Digest of the sources: equal for equal content, wherever it lies and in whatever order it was listed."""
        lines = [f"{video.kind} {video.id} {video.sha256} {video.licence} {video.split}" for video in self.videos]
        return hashlib.blake2b("\n".join(lines).encode(), digest_size=8).hexdigest()


def make_plan(found: Iterable[SourceVideo | Reject], recipe: Recipe) -> Plan:
    """Sort, de-duplicate, split and cut the videos into units.

    Raises:
        SourceError: no video gives even one clip.
    """
    everything = list(found)
    rejects = [item for item in everything if isinstance(item, Reject)]
    videos, doubles = _unique(item for item in everything if isinstance(item, SourceVideo))
    rejects += doubles
    if not videos:
        raise SourceError(f"no usable clip: {_first_reasons(rejects)}")
    splits = assign_splits(videos, recipe.splits, recipe.seed)
    units = [
        unit for split in SPLITS for unit in _units(split, [v for v in videos if splits[v.sha256] == split], recipe)
    ]
    ordered = sorted(rejects, key=lambda reject: (reject.source, reject.reason, reject.sha256))
    return Plan(units=tuple(units), rejects=tuple(ordered), videos=tuple(videos))


def assign_splits(videos: list[SourceVideo], shares: SplitSettings, seed: int) -> dict[str, str]:
    """Return a split for the sha256 of every video.

    A video's place depends on its own content, so adding videos moves no other one between train and test. Only
    where a wanted split would stay empty the nearest video is taken over, as long as train keeps one. A video whose
    data set says where it belongs stays there.
    """
    given = {video.sha256: video.split for video in videos if video.split}
    places = {video.sha256: _place(video.sha256, seed) for video in videos if not video.split}
    bounds = {"test": (0.0, shares.test), "val": (shares.test, shares.test + shares.val)}
    splits = {}
    for sha256, place in places.items():
        inside = [name for name, (low, high) in bounds.items() if low <= place < high]
        splits[sha256] = inside[0] if inside else "train"
    if shares.train == 0:
        return {**splits, **given}
    for name, (low, high) in bounds.items():
        spare = [sha256 for sha256, split in splits.items() if split == "train"]
        taken = name in splits.values() or name in given.values()
        if high > low and not taken and len(spare) > 1:
            splits[min(spare, key=lambda sha256: abs(places[sha256] - low))] = name
    return {**splits, **given}


def windows(frames: int, clip: ClipSettings, *, fps: float = 25.0, cuts: Sequence[int] = ()) -> Iterator[Window]:
    """Yield the windows of a video of `frames` frames, at most `clip.per_video`, evenly spread.

    `cuts`: the first frames of new shots; no window reaches over one.
    """
    step, span = clip.step_at(fps), clip.span_at(fps)
    starts = [
        start
        for first, end in pairwise((0, *cuts, frames))
        for start in range(first, end - span + 1, clip.hop or clip.frames * step)
    ]
    count = min(len(starts), clip.per_video)
    for i in range(count):
        yield Window(start=starts[i * len(starts) // count], step=step, frames=clip.frames)


def video_windows(video: SourceVideo, clip: ClipSettings) -> Iterator[Window]:
    """Yield the windows of a source video."""
    return windows(video.frames, clip, fps=video.fps, cuts=video.facts.get("cuts", ()))


def _unique(videos: Iterable[SourceVideo]) -> tuple[list[SourceVideo], list[Reject]]:
    kept: dict[str, SourceVideo] = {}
    rejects = []
    # by name within equal content, so that the one which is kept does not depend on the order of listing
    for video in sorted(videos, key=lambda video: (video.sha256, len(video.name), video.name, video.locator)):
        if video.sha256 in kept and kept[video.sha256].locator == video.locator:
            # named twice, as by a folder and a pattern that overlap
            continue
        if video.sha256 in kept:
            reason = f"duplicate: the same content as {kept[video.sha256].name}"
            rejects.append(Reject(where="source", source=video.name, sha256=video.sha256, reason=reason))
        else:
            kept[video.sha256] = video
    return list(kept.values()), rejects


def _units(split: str, videos: list[SourceVideo], recipe: Recipe) -> Iterator[Unit]:
    clips = [(video, window) for video in videos for window in video_windows(video, recipe.clip)]
    size = _clips_per_unit(len(clips), recipe)
    for number, start in enumerate(range(0, len(clips), size)):
        yield Unit(split=split, number=number, clips=tuple(clips[start : start + size]))


def _clips_per_unit(clips: int, recipe: Recipe) -> int:
    """Return how many clips a shard gets: a matter of sizes and counts, never of the number of workers."""
    bits_per_pixel = {"jpeg": 2.5, "lossless": 12.0, "compact": 0.7}[recipe.codec]
    pair = 2 * recipe.clip.frames * recipe.clip.width * recipe.clip.height * bits_per_pixel / 8
    by_size = max(int(recipe.shard_megabytes * 2**20 / pair), 1)
    for_parallelism = max(math.ceil(clips / _UNITS_PER_SPLIT), _UNIT_CLIPS)
    return min(by_size, for_parallelism)


def _place(sha256: str, seed: int) -> float:
    digest = hashlib.blake2b(f"split {seed} {sha256}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def _first_reasons(rejects: list[Reject]) -> str:
    if not rejects:
        return "the sources are empty"
    shown = "; ".join(f"{reject.source}: {reject.reason}" for reject in rejects[:3])
    return shown + (f"; and {len(rejects) - 3} more" if len(rejects) > 3 else "")
