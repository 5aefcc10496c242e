"""Clips that look alike although they come from different videos: perceptual hashes, and which clips to leave out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from shards.sample import Video

_SIDE, _KEPT = 32, 8
_RANK = {"test": 0, "val": 1, "train": 2}
"""Of two clips that look alike the one in train goes: what is measured on stays."""


def perceptual_hashes(video: Video) -> list[str]:
    """Return a 64-bit perceptual hash, in hexadecimal, of the first, the middle and the last frame.

    pHash (Zauner 2010): the 8 x 8 lowest frequencies of the cosine transform of 32 x 32 gray values, each above or below
    their median. Scaling, compression and small changes of light leave most bits alone.
    """
    return [_hash(video[i]) for i in (0, len(video) // 2, len(video) - 1)]


def _hash(frame: NDArray[np.uint8]) -> str:
    gray = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(gray, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    low = cv2.dct(small.astype(np.float32))[:_KEPT, :_KEPT].reshape(-1)
    # the mean of the picture says nothing of what it shows
    above = low > np.median(low[1:])
    return f"{int.from_bytes(np.packbits(above).tobytes(), 'big'):016x}"


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A clip in the dataset: which it is, and what it looks like."""

    sha256: str
    group: str
    """Clips of one group are no copies of each other: of one video, or of pairs with one clean side."""
    start: int
    split: str
    hashes: Sequence[str]
    pair: Sequence[str] = ()
    """Hashes of the other side, where the pair was not made here: one video may have many edits."""

    @property
    def order(self) -> tuple[int, str, int]:
        """The lowest of those that look alike is kept; it depends on the content alone."""
        return _RANK[self.split], self.sha256, self.start


@dataclass(frozen=True, kw_only=True)
class Double:
    """A clip that looks like another one from another video."""

    clip: Seen
    like: Seen
    bits: int
    """In how many bits the nearest of their frames differ."""


def doubles(clips: Iterable[Seen], distance: int) -> Iterator[Double]:
    """Yield every clip of which two frames come nearer than `distance` bits to a kept clip's of another video.

    `distance`: 1 to 8; 1 finds equal hashes alone.
    """
    ordered = sorted(clips, key=lambda clip: clip.order)
    if not ordered:
        return
    hashes = np.array([[int(text, 16) for text in clip.hashes] for clip in ordered], np.uint64).reshape(
        len(ordered), -1
    )
    kept: list[int] = []
    for i, clip in enumerate(ordered):
        near = [
            place
            for place in _near(hashes[i], hashes[kept], distance)
            if _is_copy(clip, ordered[kept[place]], distance)
        ]
        if not near:
            kept.append(i)
            continue
        apart = {place: _apart(clip.hashes, ordered[kept[place]].hashes)[0] for place in near}
        best = min(near, key=lambda place: (apart[place], ordered[kept[place]].order))
        yield Double(clip=clip, like=ordered[kept[best]], bits=apart[best])


def _near(own: NDArray[np.uint64], others: NDArray[np.uint64], distance: int) -> list[int]:
    """Return which of the others [n k] have, for two of the clip's hashes [k], one nearer than `distance` bits."""
    bits = np.bitwise_count(own[None, :, None] ^ others[:, None, :]).min(2)
    second = np.partition(bits, min(1, bits.shape[1] - 1), axis=1)[:, min(1, bits.shape[1] - 1)] if len(bits) else bits
    return [int(place) for place in np.flatnonzero(second < distance)]


def _is_copy(clip: Seen, other: Seen, distance: int) -> bool:
    """Whether a clip that looks like another may not stay: another edit of it may, but not in another split."""
    if other.group == clip.group:
        return False
    edited_alike = not (clip.pair and other.pair) or _apart(clip.pair, other.pair)[1] < distance
    return edited_alike or clip.split != other.split


def _apart(hashes: Sequence[str], others: Sequence[str]) -> list[int]:
    """Return in how many bits each hash differs from the nearest of the others, sorted: clips may be shifted in time."""
    values = [int(text, 16) for text in others]
    return sorted(min((int(text, 16) ^ value).bit_count() for value in values) for text in hashes)


def leaks(clips: Iterable[Seen]) -> list[tuple[Seen, Seen]]:
    """Return pairs of clips with equal hashes, of different videos in different splits."""
    by_hash: Mapping[tuple[str, ...], list[Seen]] = defaultdict(list)
    for clip in sorted(clips, key=lambda clip: clip.order):
        by_hash[tuple(clip.hashes)].append(clip)
    return [
        (group[0], other)
        for group in by_hash.values()
        for other in group[1:]
        if other.split != group[0].split and other.group != group[0].group
    ]
