"""Clips that look alike although they come from different videos: perceptual hashes, and which clips to leave out."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from datagen.joined import Joined
from datagen.likeness import is_like, likes_of
from shards.sample import Video

_SIDE, _KEPT = 32, 8
_EVERY, _SHORT = 2, 8
"""Every second frame is hashed: one frame further on a fast picture still has over half of its hashes within 8 bits, four
frames further on none. Of clips of up to 8 frames every frame is."""
_FLAT = 2.0
"""Grey levels of standard deviation: a frame with less shows nothing, and all black frames are alike."""
_MOST = 0.5
"""Share of a video's clips that must be copies of another's for the two to be kept in one split whole."""
_RANK = {"test": 0, "val": 1, "train": 2}
"""Of two clips that look alike the one in train goes: what is measured on stays."""


def perceptual_hashes(video: Video) -> list[str]:
    """Return a 64-bit perceptual hash, in hexadecimal, of every second frame that shows something.

    pHash (Zauner 2010): the 8 x 8 lowest frequencies of the cosine transform of 32 x 32 gray values, each above or below
    their median. Scaling, compression and small changes of light leave most bits alone.
    """
    every = _EVERY if len(video) > _SHORT else 1
    low = np.stack([_low_frequencies(frame) for frame in video[::every]])
    # the mean of the picture says nothing of what it shows
    rest = low[:, 1:]
    shown = np.sqrt(np.square(rest).sum(1)) / _SIDE >= _FLAT
    above = low > np.median(rest, axis=1, keepdims=True)
    return [row.tobytes().hex() for row in np.packbits(above[shown], axis=1)]


def _low_frequencies(frame: NDArray[np.uint8]) -> NDArray[np.float32]:
    gray = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(gray, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    return cv2.dct(small.astype(np.float32))[:_KEPT, :_KEPT].reshape(-1)


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
    """A clip to leave out: a copy of another video's, or of a video that has copies in another split."""

    clip: Seen
    like: Seen
    bits: int | None
    """In how many bits the nearest of their frames differ; None where only other clips of their videos look alike."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """What to leave out for the sake of copies, and which videos have some of each other."""

    doubles: tuple[Double, ...]
    alike: tuple[tuple[str, str], ...]
    """Pairs of sha256, no more than it takes to know which videos hang together."""


def find_doubles(clips: Iterable[Seen], distance: int, known: Iterable[tuple[str, str]] = ()) -> Found:
    """Return every clip that is a copy of a kept one of another video, or whose video has copies in a better split.

    What a copy is, `datagen.likeness` says; `distance` is in bits. Videos of which one has half of its clips or more in the
    other, or both in a third, are kept in one split: test before val before train. `known`: pairs of groups that are known
    to be such.
    """
    ordered = sorted(clips, key=lambda clip: clip.order)
    likes = likes_of([clip.hashes for clip in ordered], [clip.group for clip in ordered], distance)
    joined = Joined(known)
    mostly = _mostly_alike(ordered, likes)
    alike = [
        (ordered[j].sha256, clip.sha256)
        for i, clip in enumerate(ordered)
        for j in sorted(likes[i])
        if (clip.group, ordered[j].group) in mostly and joined.join(ordered[j].group, clip.group)
    ]
    first: dict[str, Seen] = {}
    for clip in ordered:
        first.setdefault(joined.root(clip.group), clip)
    doubles: list[Double] = []
    kept: set[int] = set()
    for i, clip in enumerate(ordered):
        best = first[joined.root(clip.group)]
        if clip.split == best.split:
            near = {j: bits for j, bits in likes[i].items() if j in kept and _is_same_edit(clip, ordered[j], distance)}
        else:
            near = {j: bits for j, bits in likes[i].items() if ordered[j].split != clip.split}
        if near:
            # one that stays, if there is one
            j = min(near, key=lambda j: (_RANK[ordered[j].split], near[j], j))
            doubles.append(Double(clip=clip, like=ordered[j], bits=near[j]))
        elif clip.split != best.split:
            doubles.append(Double(clip=clip, like=best, bits=None))
        else:
            kept.add(i)
    return Found(doubles=tuple(doubles), alike=tuple(alike))


def _mostly_alike(clips: Sequence[Seen], likes: Sequence[Mapping[int, int]]) -> set[tuple[str, str]]:
    """Return the pairs of videos of which one has most of its clips in the other. A title that many films begin with is not."""
    count = Counter(clip.group for clip in clips)
    shared: dict[tuple[str, str], int] = Counter(
        (clip.group, other) for clip, own in zip(clips, likes, strict=True) for other in {clips[j].group for j in own}
    )
    found = {pair for pair, times in shared.items() if times >= _MOST * count[pair[0]]}
    return found | {(other, one) for one, other in found}


def _is_same_edit(clip: Seen, other: Seen, distance: int) -> bool:
    """Whether two clips that look alike are not two edits of one, which may both stay in a split."""
    return not (clip.pair and other.pair) or is_like(clip.pair, other.pair, distance)


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
