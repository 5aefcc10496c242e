"""Which clips and videos are like each other, by the perceptual hashes of their frames, among very many.

Two clips look alike if at least two hashed frames of each, and three eighths of the fewer, come nearer to some frame of the
other than so many bits of 64: whenever these come, so that a copy may be shifted in time, and all of them straight or all
mirrored. Of two copies that are cut end to end some clips share half their frames, of which not all are hashed in both.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datagen.joined import Joined

Values = NDArray[np.uint64]
Array = NDArray[np.int64]
_MIRRORED = np.uint64(0x5555555555555555)
"""Mirrored, a picture's cosines of odd frequency along a row change sign: these bits, and no others."""
_FLIPS = (np.uint64(0), _MIRRORED)
_BAND = 16
"""Of four bands of 16 bits at least one differs in one bit or none, where all together differ in seven at most."""
_BANDS = range(0, 64, _BAND)
_CHUNK = 1 << 18
ALIKE = 3 / 8
"""Share of the frames that must be near for two clips to look alike."""
_CROWD = 32
_REFUSALS = 8
"""How often a video is compared with neighbours in vain before all it has in common is counted."""
_MOST = 0.5
"""Share of a video's clips that must look like some of another's for the two to hang together."""


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


def join_alike(
    videos: Sequence[tuple[str, Sequence[Values]]], distance: int, joined: Joined
) -> tuple[list[tuple[int, int]], set[tuple[int, int]]]:
    """Join the names of videos that hang together; return the numbers of those pairs that were not joined before, and
    those (video, clip) of all clips with a frame near to another video's.

    `videos`: a name, and the hashes of each of its clips. Two hang together if half of the clips of one, or more, look
    like some of the other. Of pairs that hang together already through others no more is asked.
    """
    frames = _Frames(videos, distance)
    pairs: list[tuple[int, int]] = []

    def ask(one: int, other: int) -> bool:
        names = videos[one][0], videos[other][0]
        if joined.root(names[0]) == joined.root(names[1]):
            return True
        found = hang_together(videos[one][1], videos[other][1], distance)
        if found:
            joined.join(*names)
            pairs.append((one, other))
        return found

    # what follows each other in some order joins what is many times alike, without asking all for all
    refused: Counter[int] = Counter()
    for one, other in frames.neighbours():
        if max(refused[one], refused[other]) < _REFUSALS and not ask(one, other):
            refused.update((one, other))
    numbers = {name: number for number, (name, _) in enumerate(videos)}
    candidates, near = frames.near([numbers.setdefault(joined.root(name), len(numbers)) for name in list(numbers)])
    for one, other in candidates:
        ask(one, other)
    roots = [joined.root(name) for name, _ in videos]
    sizes = Counter(roots)
    return pairs, near | {place for place in frames.places if sizes[roots[place[0]]] > 1}


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

    def __init__(self, videos: Sequence[tuple[str, Sequence[Values]]], distance: int) -> None:
        self._distance = distance
        clips = [np.unique(values) for _, found in videos for values in found]
        self.places = [(number, k) for number, (_, found) in enumerate(videos) for k in range(len(found))]
        self._values = np.concatenate([np.zeros(0, np.uint64), *clips])
        self._clip = np.repeat(np.arange(len(clips)), [len(values) for values in clips])
        self._count = np.array([len(found) for _, found in videos], np.int64)
        self._video_of = np.repeat(np.arange(len(videos)), self._count)
        self._video = self._video_of[self._clip]

    def neighbours(self) -> Iterator[tuple[int, int]]:
        """Yield pairs of videos with frames near each other that follow each other in the order of some band's bits."""
        for shift in _BANDS:
            order = np.argsort(_band(self._values, shift), kind="stable")
            near = np.bitwise_count(self._values[order[1:]] ^ self._values[order[:-1]]) < self._distance
            pairs = np.sort(np.stack([self._video[order[1:]], self._video[order[:-1]]], axis=1)[near], axis=1)
            yield from ((one, other) for one, other in np.unique(pairs, axis=0).tolist() if one != other)

    def near(self, families: Sequence[int]) -> tuple[list[tuple[int, int]], set[tuple[int, int]]]:
        """Return the pairs of videos, of different families, of which one has frames near the other's in half of its clips
        or more, and all (video, clip) with a frame near another family's."""
        videos = max(len(families), 1)
        codes = (
            self._clip[ours] * videos + self._video[theirs]
            for one, other in self._pairs(np.array(families, np.int64)[self._video])
            for ours, theirs in ((one, other), (other, one))
        )
        distinct = _distinct(codes)
        clip, other = distinct // videos, distinct % videos
        sides, counts = np.unique(self._video_of[clip] * videos + other, return_counts=True)
        ours, theirs = sides // videos, sides % videos
        enough = counts >= _MOST * self._count[ours]
        pairs = zip(ours[enough].tolist(), theirs[enough].tolist(), strict=True)
        return list(pairs), {self.places[number] for number in np.unique(clip).tolist()}

    def _pairs(self, families: Array) -> Iterator[tuple[Array, Array]]:
        """Yield frames near each other, of which the first has the lower family."""
        many = int(families.max(initial=0)) + 1
        for shift in _BANDS:
            keys = _band(self._values, shift)
            order = np.argsort(keys * many + families)
            # what is compared lies side by side in memory
            keys, values, own = keys[order], self._values[order], families[order]
            bounds = np.searchsorted(keys, np.arange((1 << _BAND) + 1))
            for flip in _FLIPS:
                for error in _errors(self._distance):
                    there = keys ^ int(_band(flip, shift)) ^ error
                    low, high = bounds[there], bounds[there + 1]
                    # most of one family need not be looked at one by one
                    crowd = np.flatnonzero(high - low > _CROWD)
                    low[crowd] = np.searchsorted(keys * many + own, there[crowd] * many + own[crowd], "right")
                    for one, other in _expanded(low, high):
                        near = np.bitwise_count(values[one] ^ flip ^ values[other]) < self._distance
                        one, other = one[near], other[near]
                        lower = own[one] < own[other]
                        yield order[one[lower]], order[other[lower]]


def _distinct(parts: Iterable[Array]) -> Array:
    """Return all different numbers, sorted, without holding all that repeat."""
    found, held, many = [np.zeros(0, np.int64)], 0, _CHUNK
    for part in parts:
        found.append(np.unique(part))
        held += len(found[-1])
        if held > many:
            found = [np.unique(np.concatenate(found))]
            held, many = 0, max(2 * len(found[0]), _CHUNK)
    return np.unique(np.concatenate(found))


def _band(values: Any, shift: int) -> Any:
    return (values >> np.uint64(shift) & np.uint64(0xFFFF)).astype(np.int64)


def _expanded(low: Array, high: Array) -> Iterator[tuple[Array, Array]]:
    """Yield i beside every number from low[i] to below high[i], some hundred thousand at a time."""
    counts = np.maximum(high - low, 0)
    chunks = np.cumsum(counts) // _CHUNK
    for rows in np.split(np.arange(len(low)), np.flatnonzero(np.diff(chunks)) + 1):
        one = np.repeat(rows, counts[rows])
        start = np.repeat(np.cumsum(counts[rows]) - counts[rows], counts[rows])
        yield one, np.arange(len(one)) - start + low[one]
