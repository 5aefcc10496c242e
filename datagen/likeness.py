"""Which clips and videos are like each other, by the perceptual hashes of their frames, among very many.

Two clips look alike if at least two hashed frames of each, and three eighths of the fewer, come nearer to some frame of the
other than so many bits of 64: whenever these come, so that a copy may be shifted in time, and all of them straight or all
mirrored. Of two copies that are cut end to end some clips share half their frames, of which not all are hashed in both.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.uint64]
Array = NDArray[np.int64]
_MIRRORED = np.uint64(0x5555555555555555)
"""Mirrored, a picture's cosines of odd frequency along a row change sign, and with it nearly all of these bits and no other."""
_FLIPS = (np.uint64(0), _MIRRORED)
_BAND = 16
"""Of four bands of 16 bits at least one differs in one bit or none, where all together differ in seven at most."""
_BANDS = range(0, 64, _BAND)
_CHUNK = 1 << 18
ALIKE = 3 / 8
"""Share of the frames that must be near for two clips to look alike."""
_MOST = 0.5
"""Share of a video's clips that must look like some of another's for the two to hang together."""


class Joined:
    """Which names hang together by pairs, directly or through others."""

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self._parents: dict[str, str] = {}
        for pair in pairs:
            self.join(*pair)

    def root(self, name: str) -> str:
        """Return the one name that stands for all that hang together with this one."""
        while (parent := self._parents.get(name, name)) != name:
            # shorter for the next time
            self._parents[name] = self._parents.get(parent, parent)
            name = parent
        return name

    def join(self, name: str, other: str) -> bool:
        """Join two names; False where they were."""
        first, second = sorted((self.root(name), self.root(other)))
        self._parents[second] = first
        return first != second


def values_of(hashes: Sequence[str]) -> Values:
    """Return hashes in hexadecimal as numbers."""
    return np.array([int(text, 16) for text in hashes], np.uint64)


def bits_apart(ours: Values, theirs: Values, distance: int, share: float = ALIKE) -> int | None:
    """Return in how many bits the nearest frames of two clips differ; None where fewer than `share` of them are near.

    `distance`: 1 to 8; frames are near each other in fewer bits than that.
    """
    found = [bits for flip in _FLIPS if (bits := _compare(ours, theirs ^ flip, distance, share)) is not None]
    return min(found, default=None)


def _compare(ours: Values, theirs: Values, distance: int, share: float) -> int | None:
    fewer = min(len(ours), len(theirs))
    if fewer == 0:
        return None
    bits = np.bitwise_count(ours[:, None] ^ theirs[None])
    alike = min(int((bits.min(axis) < distance).sum()) for axis in (0, 1))
    return int(bits.min()) if alike >= min(max(int(share * fewer), 2), fewer) else None


class Lookup:
    """Numbers of clips, to be found by a frame that comes near to one of theirs."""

    def __init__(self, distance: int) -> None:
        self._distance = distance
        self._places: dict[int, dict[int, list[int]]] = defaultdict(dict)

    def add(self, number: int, values: Values) -> None:
        """Take a clip in."""
        for value in set(values.tolist()):
            for key in _keys(value):
                self._places[key].setdefault(value, []).append(number)

    def near(self, values: Values) -> list[int]:
        """Return the numbers of the clips that have a frame near to one of these, straight or mirrored; the lowest first."""
        found: set[int] = set()
        for value in {value ^ int(flip) for value in values.tolist() for flip in _FLIPS} if self._places else ():
            for place in (key ^ error for key in _keys(value) for error in _errors(self._distance)):
                for other, numbers in self._places.get(place, {}).items():
                    if (value ^ other).bit_count() < self._distance:
                        found.update(numbers)
        return sorted(found)


def _keys(value: int) -> Iterator[int]:
    for shift in _BANDS:
        yield shift << _BAND | value >> shift & 0xFFFF


def _errors(distance: int) -> list[int]:
    return [0, *(1 << bit for bit in range(_BAND if distance > 4 else 0))]


def join_alike(videos: Sequence[tuple[str, Sequence[Values]]], distance: int, joined: Joined) -> list[tuple[int, int]]:
    """Join the names of videos that hang together, and return the numbers of those pairs that were not joined before.

    `videos`: a name, and the hashes of each of its clips. Two hang together if half of the clips of one, or more, look
    like some of the other. Of pairs that hang together already through others no more is asked.
    """
    frames = _Frames(videos)
    pairs, asked = [], set()
    # those that stand side by side in some order join what is many times alike, without asking all for all
    for stage in (frames.neighbours, frames.near):
        for pair in stage(distance, [joined.root(name) for name, _ in videos]):
            one, other = sorted(pair)
            names = videos[one][0], videos[other][0]
            if (one, other) in asked or joined.root(names[0]) == joined.root(names[1]):
                continue
            asked.add((one, other))
            if hang_together(videos[one][1], videos[other][1], distance):
                joined.join(*names)
                pairs.append((one, other))
    return pairs


def hang_together(ours: Sequence[Values], theirs: Sequence[Values], distance: int) -> bool:
    """Whether half of the clips of one of two videos, or more, look like some of the other's."""
    sides = [[values for values in side if len(values)] for side in (ours, theirs)]
    if not all(sides):
        return False
    one, other = (np.concatenate(side) for side in sides)
    counts = [np.array([len(values) for values in side]) for side in sides]
    starts = [np.cumsum(count) - count for count in counts]
    fewer = np.minimum(counts[0][:, None], counts[1][None])
    wanted = np.minimum(np.maximum((ALIKE * fewer).astype(int), 2), fewer)
    alike = np.zeros(fewer.shape, bool)
    for flip in _FLIPS:
        near = np.bitwise_count(one[:, None] ^ flip ^ other[None]) < distance
        ones = np.add.reduceat(np.logical_or.reduceat(near, starts[1], axis=1), starts[0], axis=0, dtype=int)
        others = np.add.reduceat(np.logical_or.reduceat(near, starts[0], axis=0), starts[1], axis=1, dtype=int)
        alike |= np.minimum(ones, others) >= wanted
    return bool(alike.any(1).sum() >= _MOST * len(ours) or alike.any(0).sum() >= _MOST * len(theirs))


class _Frames:
    """All frames of all videos, each with the numbers of its clip and its video."""

    def __init__(self, videos: Sequence[tuple[str, Sequence[Values]]]) -> None:
        clips = [(number, np.unique(values)) for number, (_, found) in enumerate(videos) for values in found]
        self.values = np.concatenate([values for _, values in clips]) if clips else np.zeros(0, np.uint64)
        self.clip = np.repeat(np.arange(len(clips)), [len(values) for _, values in clips])
        self.video_of_clip = np.array([number for number, _ in clips], np.int64)
        self.video = self.video_of_clip[self.clip] if clips else self.clip
        self.clips = np.array([len(found) for _, found in videos], np.int64)

    def neighbours(self, distance: int, roots: Sequence[str]) -> Iterator[tuple[int, int]]:
        """Yield pairs of videos with frames near each other that follow each other in the order of some band's bits."""
        for shift in _BANDS:
            order = np.argsort(self.values >> np.uint64(shift) & np.uint64(0xFFFF), kind="stable")
            near = np.bitwise_count(self.values[order[1:]] ^ self.values[order[:-1]]) < distance
            video = self.video[order]
            pairs = np.stack([video[:-1], video[1:]], axis=1)[near & (video[:-1] != video[1:])]
            yield from map(tuple, np.unique(np.sort(pairs, axis=1), axis=0).tolist())

    def near(self, distance: int, roots: Sequence[str]) -> Iterator[tuple[int, int]]:
        """Yield pairs of videos of different roots of which one has frames near the other's in half of its clips."""
        videos = len(self.clips)
        apart = np.unique(np.array(roots), return_inverse=True)[1][self.video] if videos else self.video
        found = [np.zeros(0, np.int64)]
        for one, other in self._pairs(distance, apart):
            codes = [self.clip[a] * videos + self.video[b] for a, b in ((one, other), (other, one))]
            found.append(np.unique(np.concatenate(codes)))
        clip, other = np.divmod(np.unique(np.concatenate(found)), max(videos, 1))
        codes, counts = np.unique(self.video_of_clip[clip] * videos + other, return_counts=True)
        ours, theirs = np.divmod(codes, max(videos, 1))
        enough = counts >= _MOST * self.clips[ours]
        yield from zip(ours[enough].tolist(), theirs[enough].tolist(), strict=True)

    def _pairs(self, distance: int, apart: Array) -> Iterator[tuple[Array, Array]]:
        """Yield pairs of frames near each other, of which the first has the lower number in `apart`."""
        many = int(apart.max(initial=0)) + 1
        for shift in _BANDS:
            keys = (self.values >> np.uint64(shift) & np.uint64(0xFFFF)).astype(np.int64)
            order = np.argsort(keys * many + apart)
            places = (keys * many + apart)[order]
            for flip in _FLIPS:
                flipped = keys ^ int(flip >> np.uint64(shift) & np.uint64(0xFFFF))
                for error in _errors(distance):
                    first = (flipped ^ error) * many
                    low, high = np.searchsorted(places, first + apart, "right"), np.searchsorted(places, first + many)
                    for one, place in _expanded(low, high):
                        other = order[place]
                        near = np.bitwise_count(self.values[one] ^ flip ^ self.values[other]) < distance
                        yield one[near], other[near]


def _expanded(low: Array, high: Array) -> Iterator[tuple[Array, Array]]:
    """Yield i beside every number from low[i] to below high[i], some hundred thousand at a time."""
    counts = high - low
    chunks = np.cumsum(counts) // _CHUNK
    for rows in np.split(np.arange(len(low)), np.flatnonzero(np.diff(chunks)) + 1):
        one = np.repeat(rows, counts[rows])
        start = np.repeat(np.cumsum(counts[rows]) - counts[rows], counts[rows])
        yield one, np.arange(len(one)) - start + low[one]
