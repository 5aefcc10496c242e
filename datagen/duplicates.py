"""Clips that look alike although they come from different videos: which videos hang together, and which clips to leave out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from datagen.joined import Joined
from datagen.likeness import Lookup, Values, bits_apart, join_alike, values_of

_RANK = {"test": 0, "val": 1, "train": 2}
"""Of two clips that look alike the one in train goes: what is measured on stays."""
_SAME, _MOVING = 3 / 4, 1 / 2
"""Shares of the frames that must be near for a clip to be the same as one in its own split: as they look, and what moves in
them. Of real clips (crf 33, half the size, mirrored) half of the frames move within 7 bits of the copy's unless hardly
anything does; other moments before one camera are 8 to 30 bits off."""

_AT_ONCE = 128
"""Clips that are looked up together; those among them are compared one by one."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A clip in the dataset: which it is, and what it looks like."""

    sha256: str
    group: str
    """Clips of one group are no copies of each other: of one video, or of pairs with one clean side."""
    start: int
    split: str
    hashes: Sequence[str]
    moving: Sequence[str] = ()
    """Hashes of what moves, frame by frame; none where the clip has one frame."""
    pair: Sequence[str] = ()
    """Hashes of the other side, where the pair was not made here: one video may have many edits."""
    stands: bool = False
    """Whether it was in the dataset when that was last finished: then it stays."""
    pixels: int = 0
    """Of a frame of its video, as the file has it."""
    bit_rate: float = 0.0
    """Of its video's files, in bits for each second."""
    name: str = ""
    """Of its video."""

    @property
    def order(self) -> tuple[bool, int, int, float, str, str, int]:
        """The lowest of those that look alike is kept: a copy mostly has fewer pixels than what it was made of, or of as many
        less is left. Where the videos are listed has no say in it."""
        kept = (-self.pixels, -self.bit_rate)
        return not self.stands, _RANK[self.split], *kept, self.name, self.sha256, self.start


@dataclass(frozen=True, kw_only=True)
class Double:
    """A clip to leave out: a copy of another video's, or of a video that has copies in another split."""

    clip: Seen
    like: Seen
    bits: int | None
    """In how many bits the nearest of their frames differ; None where only other clips of their videos look alike."""


@dataclass(frozen=True, kw_only=True)
class Relatives:
    """What look like each other among very many clips."""

    pairs: tuple[tuple[str, str], ...]
    """Videos, by sha256, that hang together and belong in one split; no more pairs than it takes to know which do, by way
    of others too."""
    near: frozenset[tuple[str, int]]
    """Clips, by sha256 and first frame, of which a frame is like another video's: all that can be copies."""


def find_relatives(clips: Iterable[Seen], distance: int, known: Sequence[tuple[str, str]] = ()) -> Relatives:
    """Return which videos hang together: copies of each other, or seen by one camera that stands still.

    Of two that do one has half of its clips or more in the other. `distance` is in bits. `known`: pairs of groups that are
    known to be such.
    """
    groups: dict[str, list[Seen]] = defaultdict(list)
    for clip in sorted(clips, key=lambda clip: (clip.sha256, clip.start)):
        groups[clip.group].append(clip)
    videos = [(name, [values_of(clip.hashes) for clip in found]) for name, found in groups.items()]
    pairs, near = join_alike(videos, distance, Joined(known))
    found = list(groups.values())
    return Relatives(
        pairs=tuple((found[one][0].sha256, found[other][0].sha256) for one, other in pairs),
        near=frozenset((found[video][clip].sha256, found[video][clip].start) for video, clip in near),
    )


def find_doubles(
    clips: Iterable[Seen], near: Collection[tuple[str, int]], distance: int, known: Sequence[tuple[str, str]] = ()
) -> list[Double]:
    """Return the clips to leave out; never one that stands, and else test stays before val before train.

    Between splits those go that look like one that stays, and those of a video that hangs together with one whose place in
    another split is fixed. Within a split only those that are the same as one that stays: the one with more pixels does, or of
    as many the one with more bits for each second. `near`: as of `find_relatives`. `known`: pairs of groups that hang together.
    """
    joined = Joined(known)
    kept = _Kept(distance)
    doubles = []
    asked = sorted((clip for clip in clips if (clip.sha256, clip.start) in near), key=lambda clip: clip.order)
    for start in range(0, len(asked), _AT_ONCE):
        batch = asked[start : start + _AT_ONCE]
        kept.look_up([clip for clip in batch if not clip.stands])
        for clip in batch:
            double = None if clip.stands else kept.double(clip, joined.root(clip.group))
            if double is None:
                kept.add(clip, joined.root(clip.group))
            else:
                doubles.append(double)
    return doubles


class _Kept:
    """The clips that stay, to be asked for one that makes another superfluous."""

    def __init__(self, distance: int) -> None:
        self._distance = distance
        self._clips: list[Seen] = []
        self._hashes: list[Values] = []
        self._lookups: dict[tuple[str, str], Lookup] = defaultdict(lambda: Lookup(distance))
        self._before: dict[tuple[str, str, int], list[int]] = {}
        self._homes: dict[str, dict[str, Seen]] = defaultdict(dict)

    def add(self, clip: Seen, family: str) -> None:
        """Keep a clip."""
        number, hashes = len(self._clips), values_of(clip.hashes)
        self._clips.append(clip)
        self._hashes.append(hashes)
        self._lookups[clip.split, "looks"].add(number, hashes)
        kind, fine = _looked_for(clip, clip.split)
        self._lookups[clip.split, kind].add(number, fine)
        self._homes[family].setdefault(clip.split, clip)

    def look_up(self, clips: Sequence[Seen]) -> None:
        """Find what the clips that are asked for next are near to, of those that are kept by now."""
        asked: dict[tuple[str, str], list[tuple[Seen, Values]]] = defaultdict(list)
        for clip in clips:
            for split in _RANK:
                kind, values = _looked_for(clip, split)
                asked[split, kind].append((clip, values))
        self._before = {
            (split, clip.sha256, clip.start): numbers
            for (split, kind), asking in asked.items()
            for (clip, _), numbers in zip(
                asking, self._lookups[split, kind].near_before([values for _, values in asking]), strict=True
            )
        }

    def double(self, clip: Seen, family: str) -> Double | None:
        """Return what speaks against a clip, if anything does."""
        hashes = values_of(clip.hashes)
        for split in _RANK:
            kind, values = _looked_for(clip, split)
            before = self._before[split, clip.sha256, clip.start]
            for number in (*before, *self._lookups[split, kind].near_later(values)):
                other = self._clips[number]
                bits = bits_apart(hashes, self._hashes[number], self._distance) if other.group != clip.group else None
                if bits is not None and (split != clip.split or self._is_same(clip, other)):
                    return Double(clip=clip, like=other, bits=bits)
        away = [seen for split, seen in self._homes[family].items() if split != clip.split]
        return Double(clip=clip, like=away[0], bits=None) if away else None

    def _is_same(self, clip: Seen, other: Seen) -> bool:
        """Whether two clips show the same moment, and are not two edits of one, which may both stay in a split."""
        sides = [(clip.hashes, other.hashes, _SAME), (clip.moving, other.moving, _MOVING)]
        # of pairs that exist the other sides count, too
        sides += [(clip.pair, other.pair, _SAME)] if clip.pair and other.pair else []
        return all(
            bits_apart(values_of(ours), values_of(theirs), self._distance, share) is not None
            for ours, theirs, share in sides
            if ours and theirs
        )


def _looked_for(clip: Seen, split: str) -> tuple[str, Values]:
    """Return by what a clip is looked up among those of a split: in its own, where many may look alike, by what moves."""
    if split != clip.split:
        return "looks", values_of(clip.hashes)
    # where nothing moves, there is only the picture to go by
    return ("moves", values_of(clip.moving)) if clip.moving else ("same", values_of(clip.hashes))


def leaks(clips: Iterable[Seen]) -> list[tuple[Seen, Seen]]:
    """Return pairs of clips with equal hashes, of different videos in different splits."""
    by_hash: Mapping[tuple[str, ...], list[Seen]] = defaultdict(list)
    for clip in sorted(clips, key=lambda clip: clip.order):
        if clip.hashes:
            by_hash[tuple(clip.hashes)].append(clip)
    return [
        (group[0], other)
        for group in by_hash.values()
        for other in group[1:]
        if other.split != group[0].split and other.group != group[0].group
    ]
