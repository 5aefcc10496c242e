"""The plan of a build: which clips there are, and which shard each goes into, whatever order they were found in."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from configs import SourceError
from datagen.joined import Joined
from datagen.settings import ClipSettings, Recipe
from datagen.sources.base import Reject, SourceVideo, Window
from datagen.splits import SPLITS, assign_splits
from datagen.tasks.deblur import frames_around

_UNITS_PER_SPLIT = 16
"""A split is cut into up to so many shards for the sake of parallel work, even where they stay small ..."""
_UNIT_CLIPS = 16
"""... but a shard has at least so many clips if there are as many."""
_SHOWN = 3
"""Videos that an error names."""


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

    @property
    def digest(self) -> str:
        """Short hash of which clips it has: shards made of others are out of date."""
        lines = [
            f"{video.sha256} {video.id} {video.licence} {video.fps} {window.start} {window.step} {window.frames}"
            for video, window in self.clips
        ]
        return hashlib.blake2b("\n".join(lines).encode(), digest_size=8).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Assigned:
    """A unit as an earlier run planned it, by the contents of its videos; a plan that grows leaves it as it is."""

    split: str
    number: int
    clips: tuple[tuple[str, Window], ...]

    def without(self, videos: Collection[str]) -> Assigned:
        """Return the unit without some videos, as if they had never been."""
        return replace(self, clips=tuple(clip for clip in self.clips if clip[0] not in videos))


@dataclass(frozen=True, kw_only=True)
class Excluded:
    """What was taken out after it was planned: whole videos, by sha256, and clips, by sha256 and first frame.

    Each with the reason; `alike` are pairs of videos, by sha256, that have copies of each other's clips.
    """

    videos: Mapping[str, str] = field(default_factory=dict)
    clips: Mapping[tuple[str, int], str] = field(default_factory=dict)
    alike: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All units of a build, and what was turned away before any decoding."""

    units: tuple[Unit, ...]
    rejects: tuple[Reject, ...]
    videos: tuple[SourceVideo, ...]
    assigned: tuple[Assigned, ...]
    """The units with nothing taken out."""

    @property
    def splits(self) -> dict[str, str]:
        """The split of each video, by sha256."""
        return {sha256: unit.split for unit in self.assigned for sha256, _ in unit.clips}

    @property
    def clips(self) -> int:
        """How many clips the units have together."""
        return sum(len(unit.clips) for unit in self.units)

    @property
    def inputs(self) -> str:
        """Digest of the sources: equal for equal content, wherever it lies and in whatever order it was listed."""
        lines = [f"{video.kind} {video.id} {video.sha256} {video.licence} {video.split}" for video in self.videos]
        return hashlib.blake2b("\n".join(lines).encode(), digest_size=8).hexdigest()


def make_plan(
    found: Iterable[SourceVideo | Reject],
    recipe: Recipe,
    *,
    before: Sequence[Assigned] = (),
    excluded: Excluded | None = None,
    settled: Mapping[str, Sequence[int]] | None = None,
    names: Mapping[str, str] | None = None,
) -> Plan:
    """Sort, de-duplicate, split and cut the videos into units.

    `before`: the units of an earlier plan, which stay as they are; videos that are new come into new ones. `settled`: videos
    that stay in their split whatever turns up (by default all of `before`), and the first frames of those of their clips
    that are in the dataset. The others leave their unit for a new one where they belong with what is in another split.
    `names`: what the videos of the earlier plan are called, by sha256, for an error.

    Raises:
        SourceError: no video gives even one clip, or one of an earlier plan is not there any more.
    """
    excluded = excluded or Excluded()
    everything = list(found)
    rejects = [item for item in everything if isinstance(item, Reject)]
    planned = {sha256: unit.split for unit in before for sha256, _ in unit.clips}
    videos, doubles = _unique(item for item in everything if isinstance(item, SourceVideo))
    videos, bare = _without_bare(videos, planned)
    videos, again = _without_taken_out(videos, excluded, planned)
    rejects += [*doubles, *bare, *again]
    if not videos:
        raise SourceError(f"no usable clip: {_first_reasons(rejects)}")
    rejects += [
        Reject(
            where="frames",
            source=video.name,
            sha256=video.sha256,
            split=video.split,
            reason=reason,
        )
        for video in videos
        for reason in video.lost
    ]
    videos = _grouped(videos)
    _check_all_there(planned, videos, excluded, names or {})
    by_sha256 = {video.sha256: video for video in videos}
    known = {sha256: split for sha256, split in planned.items() if settled is None or sha256 in settled}
    idle = {sha256 for sha256 in known if settled is not None and not settled[sha256]}
    splits = assign_splits(videos, recipe.splits, recipe.seed, known, alike_groups(excluded, by_sha256), idle)
    moved = {sha256 for sha256, split in planned.items() if splits.get(sha256, split) != split}
    assigned = [unit.without(moved) for unit in before]
    for split in SPLITS:
        new = [
            video
            for video in videos
            if splits[video.sha256] == split and (video.sha256 not in planned or video.sha256 in moved)
        ]
        assigned += _assigned(
            split, new, recipe, first=1 + max((u.number for u in before if u.split == split), default=-1)
        )
    assigned.sort(key=lambda unit: (SPLITS.index(unit.split), unit.number))
    return Plan(
        units=tuple(_unit(unit, by_sha256, excluded) for unit in assigned),
        rejects=tuple(_in_order([*rejects, *_taken_out(excluded, by_sha256)])),
        videos=tuple(videos),
        assigned=tuple(assigned),
    )


def alike_groups(excluded: Excluded, videos: Mapping[str, SourceVideo]) -> list[tuple[str, str]]:
    """Return the groups of the pairs of videos that have copies of each other's clips."""
    pairs = sorted(pair for pair in excluded.alike if videos.keys() >= set(pair))
    return [(videos[one].group, videos[other].group) for one, other in pairs]


def joined_videos(excluded: Excluded, videos: Sequence[SourceVideo]) -> Joined:
    """Return which clean videos, by their sha256, belong in one split: of one group or pair, or with copies of each other."""
    by_sha256 = {video.sha256: video for video in videos}
    joined = Joined(alike_groups(excluded, by_sha256))
    for video in videos:
        joined.join(video.content, video.group)
    return joined


def _unit(assigned: Assigned, videos: Mapping[str, SourceVideo], excluded: Excluded) -> Unit:
    clips = [
        (videos[sha256], window)
        for sha256, window in assigned.clips
        if sha256 not in excluded.videos and (sha256, window.start) not in excluded.clips
    ]
    return Unit(split=assigned.split, number=assigned.number, clips=tuple(clips))


def _taken_out(excluded: Excluded, videos: Mapping[str, SourceVideo]) -> Iterator[Reject]:
    for sha256, reason in excluded.videos.items():
        if sha256 in videos:
            yield Reject(where="excluded", source=videos[sha256].name, sha256=sha256, reason=reason)
    for (sha256, start), reason in excluded.clips.items():
        if sha256 in videos and sha256 not in excluded.videos:
            yield Reject(where="excluded", source=videos[sha256].name, sha256=sha256, start=start, reason=reason)


def _in_order(rejects: Iterable[Reject]) -> list[Reject]:
    return sorted(rejects, key=lambda reject: (reject.source, reject.start, reject.reason, reject.sha256))


def _check_all_there(
    known: Mapping[str, str], videos: Sequence[SourceVideo], excluded: Excluded, names: Mapping[str, str]
) -> None:
    gone = known.keys() - {video.sha256 for video in videos} - excluded.videos.keys()
    if gone:
        given = {video.name: video.kind for video in videos}
        if all(given.get(names.get(one, "")) == "scenes" for one in gone):
            raise SourceError(
                f"the {len(gone)} scenes that this dataset was made from were drawn by an earlier version of datagen, and this "
                "one draws others under the same numbers; give --overwrite to make all anew, or build more into another --out "
                "and merge the two (datagen merge)"
            )
        told = sorted(f"{name}{' (changed)' * (name in given)}" for name in (names.get(one, one[:12]) for one in gone))
        more = f" and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
        raise SourceError(
            f"the source videos differ: {len(gone)} of the {len(known)} that this dataset was made from are not among those "
            f"given ({', '.join(told[:_SHOWN])}{more}); name them too, take them out with 'datagen reject', give --overwrite to "
            "start again, or choose another --out"
        )


def windows(
    frames: int, clip: ClipSettings, *, fps: float = 25.0, cuts: Sequence[int] = (), around: int = 0
) -> Iterator[Window]:
    """Yield the windows of a video of `frames` frames, at most `clip.per_video`, evenly spread.

    `cuts`: the first frames of new shots; no window reaches over one. `around`: so many frames of a shot are left before and
    after its windows, if it is long enough for one then.
    """
    step, span = clip.step_at(fps), clip.span_at(fps)
    hop = clip.hop or clip.frames * step
    found = []
    for first, end in pairwise((0, *cuts, frames)):
        if end - first - 2 * around >= span:
            first, end = first + around, end - around
        starts = range(first, end - span + 1, hop)
        found += [Window(start=start, step=step, frames=clip.frames) for start in starts]
        begin = starts[-1] + clip.frames * step if starts else first
        if clip.remainder and begin < end:
            found.append(Window(start=begin, step=step, frames=-(-(end - begin) // step)))
    count = min(len(found), clip.per_video)
    for i in range(count):
        yield found[i * len(found) // count]


def video_windows(video: SourceVideo, recipe: Recipe) -> Iterator[Window]:
    """Yield the windows of a source video."""
    cuts, around = video.facts.get("cuts", ()), frames_around(video, recipe)
    return windows(video.frames, recipe.clip, fps=video.fps, cuts=cuts, around=around)


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
            rejects.append(
                Reject(where="source", source=video.name, sha256=video.sha256, split=video.split, reason=reason)
            )
        else:
            kept[video.sha256] = video
    return list(kept.values()), rejects


def _without_bare(videos: Sequence[SourceVideo], known: Collection[str]) -> tuple[list[SourceVideo], list[Reject]]:
    """Leave out videos that are given once more with a caption or masks; what is `known`, in a dataset already, stays."""
    told = {
        video.clean_sha256: video.name
        for video in reversed(videos)
        if video.clean_sha256 and "pair" not in video.tracks
    }
    bare = {video.sha256: video for video in videos if video.sha256 in told and video.sha256 not in known}
    splits = {sha256: video.split for sha256, video in bare.items()}
    kept = [
        replace(video, split=video.split or splits.get(video.content, ""))
        for video in videos
        if video.sha256 not in bare
    ]
    rejects = [
        Reject(
            where="source",
            source=video.name,
            sha256=sha256,
            reason=f"duplicate: the same content as {told[sha256]}, of which more is said",
        )
        for sha256, video in bare.items()
    ]
    return kept, rejects


def _without_taken_out(
    videos: Sequence[SourceVideo], excluded: Excluded, known: Collection[str]
) -> tuple[list[SourceVideo], list[Reject]]:
    """Leave out what shows a video that was taken out, with other words, masks or another side beside it than then."""
    there = {*excluded.videos, *known}
    again = {
        video.sha256: excluded.videos[side]
        for video in videos
        for side in (video.pair_sha256, video.content)
        if side in excluded.videos and video.sha256 not in there
    }
    rejects = [
        Reject(where="excluded", source=video.name, sha256=video.sha256, reason=again[video.sha256])
        for video in videos
        if video.sha256 in again
    ]
    return [video for video in videos if video.sha256 not in again], rejects


def _grouped(videos: Sequence[SourceVideo]) -> list[SourceVideo]:
    """Give all that hangs together one group: what has one content, what shows another's other side, what is in a group with
    that. It is the first of its groups by name, or else the first of its clean sides; not of all sides, so that what hangs
    together with nothing else keeps its own split."""
    joined = Joined((f"video {video.content}", f"group {video.group_name}") for video in videos if video.group_name)
    for video in videos:
        if video.pair_sha256:
            joined.join(f"video {video.content}", f"video {video.pair_sha256}")
    groups = sorted((f"group {video.group_name}", video.group_name) for video in videos if video.group_name)
    names: dict[str, str] = {}
    for node, name in [*groups, *sorted((f"video {video.content}", video.content) for video in videos)]:
        names.setdefault(joined.root(node), name)
    own = [names[joined.root(f"video {video.content}")] for video in videos]
    return [replace(video, group_name=name * (name != video.content)) for video, name in zip(videos, own, strict=True)]


def _assigned(split: str, videos: Sequence[SourceVideo], recipe: Recipe, *, first: int) -> Iterator[Assigned]:
    clips = [(video.sha256, window) for video in videos for window in video_windows(video, recipe)]
    size = _clips_per_unit(videos, len(clips), recipe)
    for number, start in enumerate(range(0, len(clips), size), start=first):
        yield Assigned(split=split, number=number, clips=tuple(clips[start : start + size]))


def _clips_per_unit(videos: Sequence[SourceVideo], clips: int, recipe: Recipe) -> int:
    """Return how many clips a shard gets: a matter of sizes and counts, never of the number of workers."""
    bits_per_pixel = {"jpeg": 2.5, "lossless": 12.0, "compact": 0.7}[recipe.codec]
    pixels = max((math.prod(recipe.clip.size_of(video.width, video.height)) for video in videos), default=1)
    pair = 2 * recipe.clip.frames * pixels * bits_per_pixel / 8
    by_size = max(int(recipe.shard_megabytes * 2**20 / pair), 1)
    return min(by_size, clips_for_parallelism(clips))


def clips_for_parallelism(clips: int) -> int:
    """Return how many of a split's clips go into a shard at most, so that there is work for several readers."""
    return max(math.ceil(clips / _UNITS_PER_SPLIT), _UNIT_CLIPS)


def _first_reasons(rejects: list[Reject]) -> str:
    if not rejects:
        return "the sources are empty"
    shown = "; ".join(f"{reject.source}: {reject.reason}" for reject in rejects[:3])
    return shown + (f"; and {len(rejects) - 3} more" if len(rejects) > 3 else "")
