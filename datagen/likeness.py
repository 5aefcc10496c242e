"""Which clips and videos are like each other, by the perceptual hashes of their frames, among very many.

Two clips look alike if at least two hashed frames of each, and three eighths of the fewer, come nearer to some frame of the
other than so many bits of 64: whenever these come, so that a copy may be shifted in time, and all of them straight or all
mirrored. Of two copies that are cut end to end some clips share half their frames, of which not all are hashed in both.
"""

from __future__ import annotations

from collections import Counter
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
_CROWD = 128
"""Frames with equal bits of a band: among more it is worth finding where the other families begin."""
_ROWS, _FEW = 1 << 14, 256
"""Frames compared at a time: as many as the cache holds, and so few that a loop over them would be no slower."""
_NO_FRAMES = np.zeros(0, np.uint64), np.zeros(0, np.int64)
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
    """Numbers of clips, each higher than the last, to be found by a frame that comes near to one of theirs.

    It is asked for many clips at once, for which what was taken in before is sorted; only with what comes later each clip is
    compared by itself.
    """

    def __init__(self, distance: int) -> None:
        self._distance = distance
        self._tables = [_Table(shift) for shift in _BANDS]
        self._later = _NO_FRAMES

    def add(self, number: int, values: Values) -> None:
        """Take a clip in."""
        values = np.unique(values)
        numbers = np.full(len(values), number)
        self._later = np.append(self._later[0], values), np.append(self._later[1], numbers)

    def near_before(self, clips: Sequence[Values]) -> list[list[int]]:
        """Return for each clip the numbers of all that have a frame near to one of its own, straight or mirrored; the lowest
        first. What is added from now on is asked for with `near_later`."""
        for table in self._tables:
            table.add(*self._later)
        self._later = _NO_FRAMES
        counts = [len(values) for values in clips]
        asked = np.concatenate([*clips, _NO_FRAMES[0]])
        asker = np.tile(np.repeat(np.arange(len(clips)), counts), len(_FLIPS))
        asked = np.concatenate([asked ^ flip for flip in _FLIPS])
        errors, many = np.array(_errors(self._distance)), 1 + max(table.highest for table in self._tables)
        codes = (
            asker[one // len(errors)] * many + table.numbers[other]
            for table in self._tables
            for one, other in _near(
                np.repeat(asked, len(errors)),
                table.values,
                *table.range_of((table.keys_of(asked)[:, None] ^ errors).ravel()),
                self._distance,
            )
        )
        found = _distinct(codes)
        ends = np.searchsorted(found, np.arange(1, len(clips)) * many)
        return [(part % many).tolist() for part in np.split(found, ends)]

    def near_later(self, values: Values) -> list[int]:
        """Return the numbers of those added since `near_before` that have a frame near to one of these; the lowest first."""
        asked = np.concatenate([values ^ flip for flip in _FLIPS])
        near = np.bitwise_count(asked[:, None] ^ self._later[0]) < self._distance
        return np.unique(self._later[1][near.any(0)]).tolist()


class _Table:
    """Frames in the order of a band's bits, each with the number of its clip."""

    def __init__(self, shift: int) -> None:
        self._shift = shift
        self.values, self.numbers = _NO_FRAMES
        self.highest = 0
        self._bounds = _bounds(self.numbers)

    def add(self, values: Values, numbers: Array) -> None:
        """Take frames in."""
        keys = self.keys_of(values)
        order = np.argsort(keys, kind="stable")
        places = self._bounds[keys[order] + 1]
        self.values = np.insert(self.values, places, values[order])
        self.numbers = np.insert(self.numbers, places, numbers[order])
        self.highest = int(numbers.max(initial=self.highest))
        self._bounds = self._bounds + _bounds(keys)

    def keys_of(self, values: Values) -> Array:
        """Return the band's bits."""
        return _band(values, self._shift)

    def range_of(self, keys: Array) -> tuple[Array, Array]:
        """Return from where to below where the frames with these bits are."""
        return self._bounds[keys], self._bounds[keys + 1]


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
        """Yield frames near each other of different families, each pair in one order."""
        many = int(families.max(initial=0)) + 1
        for shift in _BANDS:
            keys = _band(self._values, shift)
            order = np.argsort(keys * many + families)
            # what is compared lies side by side in memory
            keys, values, own = keys[order], self._values[order], families[order]
            bounds = _bounds(keys)
            sizes = np.diff(bounds)
            for flip in _FLIPS:
                for error in _errors(self._distance):
                    other_bits = int(_band(flip, shift)) ^ error
                    there = keys ^ other_bits
                    crowd = np.maximum(sizes[keys], sizes[there]) > _CROWD
                    # what lies lower sees it from there; most of one family need not be looked at one by one, though
                    rows = np.flatnonzero(crowd | (there >= keys))
                    there = there[rows]
                    low = bounds[there] if other_bits else rows + 1
                    crowd = np.flatnonzero(crowd[rows])
                    low[crowd] = np.searchsorted(keys * many + own, there[crowd] * many + own[rows[crowd]], "right")
                    for one, other in _near(values[rows] ^ flip, values, low, bounds[there + 1], self._distance):
                        one = rows[one]
                        strange = own[one] != own[other]
                        yield order[one[strange]], order[other[strange]]


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


def _bounds(keys: Array) -> Array:
    """Return before which places in the order of their keys, of 16 bits, those of each key begin, and where the last ends."""
    return np.append(0, np.cumsum(np.bincount(keys, minlength=1 << _BAND)))


def _near(asked: Values, values: Values, low: Array, high: Array, distance: int) -> Iterator[tuple[Array, Array]]:
    """Yield all i and j, from low[i] to below high[i], of which asked[i] and values[j] differ in fewer bits."""
    for start in range(0, len(asked), _ROWS):
        counts = high[start : start + _ROWS] - low[start : start + _ROWS]
        # those with most first, so that the k-th of all that have so many can be compared at once
        order = np.argsort(-counts)
        counts, rows = counts[order], start + order
        mine, places = asked[rows], low[rows]
        left = len(rows) - np.cumsum(np.bincount(np.clip(counts, 0, _ROWS)))
        end = int(np.count_nonzero(left >= _FEW))
        found = [(_NO_FRAMES[1], _NO_FRAMES[1])]
        for k in range(end):
            near = np.flatnonzero(np.bitwise_count(mine[: left[k]] ^ values[places[: left[k]] + k]) < distance)
            if len(near):
                found.append((rows[near], places[near] + k))
        yield np.concatenate([one for one, _ in found]), np.concatenate([other for _, other in found])
        # a few may have many more
        few = rows[: np.count_nonzero(counts > end)]
        for one, other in _expanded(low[few] + end, high[few]):
            near = np.flatnonzero(np.bitwise_count(asked[few[one]] ^ values[other]) < distance)
            yield few[one[near]], other[near]


def _expanded(low: Array, high: Array) -> Iterator[tuple[Array, Array]]:
    """Yield i beside every number from low[i] to below high[i], some hundred thousand at a time."""
    counts = np.maximum(high - low, 0)
    chunks = np.cumsum(counts) // _CHUNK
    for rows in np.split(np.arange(len(low)), np.flatnonzero(np.diff(chunks)) + 1):
        one = np.repeat(rows, counts[rows])
        start = np.repeat(np.cumsum(counts[rows]) - counts[rows], counts[rows])
        yield one, np.arange(len(one)) - start + low[one]
