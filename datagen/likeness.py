"""Which clips are copies of each other, by the perceptual hashes of their frames, among very many.

Two clips look alike if at least two hashed frames of each, and three eighths of the fewer, come nearer to some frame of the
other than so many bits of 64: whenever these come, so that a copy may be shifted in time, and all of them straight or all
mirrored. Of two copies that are cut end to end some clips share half their frames, of which not all are hashed in both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

_MIRRORED = np.uint64(0x5555555555555555)
"""Mirrored, a picture's cosines of odd frequency along a row change sign, and with it nearly all of these bits and no other."""
_BAND = 16
"""Of four bands of 16 bits at least one differs in one bit or none, where all together differ in seven at most."""
_CHUNK = 1 << 18
Array = NDArray[np.int64]


def likes_of(hashes: Sequence[Sequence[str]], groups: Sequence[str], distance: int) -> list[dict[int, int]]:
    """Return for every clip the numbers of those of other groups that look like it, with the bits of their nearest frames.

    `hashes`: of each clip, in hexadecimal. `distance`: 1 to 8; frames are like each other in fewer bits than that.
    """
    likes: list[dict[int, int]] = [{} for _ in hashes]
    owners = np.repeat(np.arange(len(hashes)), [len(texts) for texts in hashes])
    if not len(owners):
        return likes
    rows = [_values(texts) for texts in hashes]
    numbers = np.unique(np.array(groups), return_inverse=True)[1]
    for flip in (np.uint64(0), _MIRRORED):
        for one, other in _candidates(np.concatenate(rows), owners, numbers[owners], flip, distance):
            bits = _compare(rows[one], rows[other] ^ flip, distance)
            if bits is not None:
                likes[one][other] = likes[other][one] = min(bits, likes[one].get(other, bits))
    return likes


def is_like(hashes: Sequence[str], others: Sequence[str], distance: int) -> bool:
    """Whether two clips with these hashes look alike."""
    ours, theirs = _values(hashes), _values(others)
    return any(_compare(ours, theirs ^ flip, distance) is not None for flip in (np.uint64(0), _MIRRORED))


def _values(hashes: Sequence[str]) -> NDArray[np.uint64]:
    return np.array([int(text, 16) for text in hashes], np.uint64)


def _compare(ours: NDArray[np.uint64], theirs: NDArray[np.uint64], distance: int) -> int | None:
    """Return in how many bits the nearest frames of two clips that look alike differ; None for two that do not."""
    fewer = min(len(ours), len(theirs))
    if fewer == 0:
        return None
    bits = np.bitwise_count(ours[:, None] ^ theirs[None])
    alike = min(int((bits.min(axis) < distance).sum()) for axis in (0, 1))
    return int(bits.min()) if alike >= min(max(3 * fewer // 8, 2), fewer) else None


def _candidates(
    values: NDArray[np.uint64], owners: Array, groups: Array, flip: np.uint64, distance: int
) -> Iterator[tuple[int, int]]:
    """Yield the pairs of clips of different groups that have a frame like each other."""
    # a still video has one hash many times
    entries, places = np.unique(np.stack([groups.astype(np.uint64), values]), axis=1, return_inverse=True)
    clips = int(owners[-1]) + 1
    entry, owner = np.divmod(np.unique(places * clips + owners), clips)
    first = np.searchsorted(entry, np.arange(entries.shape[1] + 1))
    ours, theirs = _near(entries[1], entries[0], flip, distance)
    found = [np.zeros(0, np.int64)]
    for place, one in _expanded(first[ours], first[ours + 1]):
        for row, other in _expanded(first[theirs[place]], first[theirs[place] + 1]):
            pair = owner[one[row]], owner[other]
            found.append(np.unique(np.minimum(*pair) * clips + np.maximum(*pair)))
    yield from (divmod(code, clips) for code in np.unique(np.concatenate(found)).tolist())


def _near(
    values: NDArray[np.uint64], groups: NDArray[np.uint64], flip: np.uint64, distance: int
) -> tuple[Array, Array]:
    """Return the pairs of different groups of which the flipped value is nearer than `distance` bits to the other."""
    found = [np.zeros(0, np.int64)]
    for shift in range(0, 64, _BAND):
        keys = ((values >> np.uint64(shift)) & np.uint64(0xFFFF)).astype(np.int64)
        order = np.argsort(keys, kind="stable")
        # what is compared lies side by side in memory
        keys, sorted_values, sorted_groups = keys[order], values[order], groups[order]
        bounds = np.searchsorted(keys, np.arange((1 << _BAND) + 1))
        flipped = keys ^ int((flip >> np.uint64(shift)) & np.uint64(0xFFFF))
        for error in (0, *(1 << bit for bit in range(_BAND if distance > 4 else 0))):
            # every pair would be found from both its ends
            low = np.maximum(bounds[flipped ^ error], np.arange(1, len(keys) + 1))
            high = np.maximum(bounds[(flipped ^ error) + 1], low)
            for one, other in _expanded(low, high):
                near = np.bitwise_count(sorted_values[one] ^ flip ^ sorted_values[other]) < distance
                one, other = one[near], other[near]
                apart = sorted_groups[one] != sorted_groups[other]
                pair = order[one[apart]], order[other[apart]]
                found.append(np.minimum(*pair) * len(keys) + np.maximum(*pair))
    return np.divmod(np.unique(np.concatenate(found)), max(len(values), 1))


def _expanded(low: Array, high: Array) -> Iterator[tuple[Array, Array]]:
    """Yield i beside every number from low[i] to below high[i], some millions at a time."""
    counts = high - low
    chunks = np.cumsum(counts) // _CHUNK
    for rows in np.split(np.arange(len(low)), np.flatnonzero(np.diff(chunks)) + 1):
        one = np.repeat(rows, counts[rows])
        start = np.repeat(np.cumsum(counts[rows]) - counts[rows], counts[rows])
        yield one, np.arange(len(one)) - start + low[one]
