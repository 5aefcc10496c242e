"""What a source of clean clips is: it lists its videos, and reads windows of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from shards.sample import Video

if TYPE_CHECKING:
    from datagen.scenes import Scene
    from datagen.settings import Recipe


@dataclass(frozen=True, kw_only=True)
class SourceVideo:
    """One video (or scene) that clips can be cut from. What it is called and contains decides the dataset's bytes;
    `locator`, where to find it on this machine, does not."""

    kind: str
    """Name of the source that can read it, a key of `datagen.sources.READERS`."""
    id: str
    sha256: str
    """Of the file's content; of the description for a scene."""
    licence: str
    frames: int
    fps: float
    locator: str
    name: str
    """What rejects call it: the path of its file below the folder that was named; for a scene its id."""
    width: int = 0
    """Pixels of its frames as shown; 0 where they are drawn as large as the recipe says."""
    height: int = 0
    bytes: int = 0
    """Of its file, or of all its frames' files; 0 where there are none, or an earlier version looked at them."""
    split: str = ""
    """`train`, `val` or `test` where its data set says which; else its sha256 decides."""
    tracks: Mapping[str, str] = field(default_factory=dict)
    """Where on this machine `masks`, `pair`, `hole` and `depth` are."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What its data set says of it; see `datagen.sources.library.Entry.facts`. Part of what is hashed."""
    clean_sha256: str = ""
    """Of the clean video alone, where there is more than that in `sha256`: its other side, its masks, what is said of it. All
    that is made of one clean video belongs to the same split."""
    pair_sha256: str = ""
    """Of its other side alone, as if that were a clean video, where it comes with one."""
    lost: Sequence[str] = ()
    """What it lacks of its frames, a reason each: they are missing, or have no like on another track and are left out."""
    group_name: str = ""
    """Of what it is a part, where its data set says."""

    @property
    def content(self) -> str:
        """The sha256 of the clean video alone, however it was given."""
        return self.clean_sha256 or self.sha256

    @property
    def group(self) -> str:
        """What stays together in one split, and is no copy of itself."""
        return self.group_name or self.content

    @property
    def bit_rate(self) -> float:
        """Bits of its files for each second of it."""
        return 8 * self.bytes * self.fps / self.frames

    @property
    def has_masks(self) -> bool:
        """Whether its clips come with object masks."""
        return self.kind == "scenes" or "masks" in self.tracks


@dataclass(frozen=True, kw_only=True)
class Window:
    """`frames` frames of a source video, `step` apart, from frame `start` on."""

    start: int
    step: int
    frames: int

    @property
    def indices(self) -> range:
        """The frames' numbers in the source video."""
        return range(self.start, self.start + (self.frames - 1) * self.step + 1, self.step)


@dataclass(frozen=True, kw_only=True, eq=False)
class Native:
    """The other side of a pair that somebody else made: taken as it is, for its task.

    `other`: uint8 [t h w 3]. `instruction`: in the data set's own words, or nothing. `parameters`: what is known of how
    it was made, as JSON values. `scores`: what is known of how good it is, under names that begin with `pair_`.
    """

    task: str
    other: Video
    instruction: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    scores: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class Moments:
    """What a high-speed camera saw: `frames` uint8 [n h w 3]; frame 0 of the clip is number `first` of them."""

    frames: Video
    first: int


EXACT: Mapping[str, Any] = {"kind": "exact"}
"""What is recorded of a depth that is part of the description a scene was rendered from."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Clip:
    """A clean clip and what its source knows about it.

    `frames`: uint8 [t h w 3]. `depth`: float32 [t h w] in `depth_unit`, or None; `depth_note`: what is recorded of where it
    is from; `depth_from`: what a clip without takes in its place, as recipes name it. `ids`: uint8 [t h w], the number of
    the object each pixel belongs to (0: none), or None. `names`: phrases that fit one object and no other, by its
    number in `ids`; `absent`: phrases that fit none. `hole`: what its data set wants to have inpainted,
    uint8 [t h w], 0 or 255, or None. `native`: the other side of a pair that exists already. `moments`: all frames of a
    high-rate video from before the clip's first to after its last, for true long exposures. `scene`: the description
    that `frames` were rendered from.
    """

    video: SourceVideo
    window: Window
    frames: Video
    depth: NDArray[np.float32] | None = None
    depth_unit: str = ""
    depth_note: Mapping[str, Any] = field(default_factory=lambda: EXACT)
    depth_from: str = "prior"
    ids: NDArray[np.uint8] | None = None
    names: Mapping[int, Sequence[str]] = field(default_factory=dict)
    absent: Sequence[str] = ()
    hole: NDArray[np.uint8] | None = None
    native: Native | None = None
    moments: Moments | None = None
    scene: Scene | None = None

    @property
    def fps(self) -> float:
        """Frames per second of the clip itself."""
        return self.video.fps / self.window.step


@dataclass(frozen=True, kw_only=True)
class Reject:
    """A video, clip or pair that did not make it into the dataset, and why."""

    where: str
    """`source`, `decode`, `gate`, `task` or `pair`; `frames`: a video lost some of them; `excluded` was taken out later, by
    hand or as a copy."""
    source: str
    reason: str
    """What kind of trouble, then a colon and the details."""
    sha256: str = ""
    start: int = -1
    task: str = ""
    split: str = ""
    """That of its video, where it is known."""
    tries: int = 1
    scores: Mapping[str, Any] = field(default_factory=dict)
    """What the gates saw of it, if it came so far."""

    @property
    def kind(self) -> str:
        """The reason without its details, to count by."""
        return self.reason.split(":")[0]


Examined = dict[str, dict[str, Any]]
"""What earlier runs found in a file, by its path, size, time and the settings that mattered: hashing and probing
thousands of videos takes longer than finding out that nothing is left to do."""


class Reader(Protocol):
    """Reads windows; opened once per shard and used in order."""

    def read(self, video: SourceVideo, window: Window) -> Clip:
        """Return the clip, in the recipe's size; `VideoError` when that cannot be done."""
        ...


class Source(Protocol):
    """One thing that `--from` can name."""

    kind: str
    """That of its videos, a key of `datagen.sources.READERS`."""

    @property
    def masks(self) -> bool:
        """Whether its videos come with object masks."""
        ...

    def videos(self, recipe: Recipe, examined: Examined) -> Iterator[SourceVideo | Reject]:
        """Yield every video, in any order; unusable ones as rejects. May look up and note files in `examined`."""
        ...

    def reader(self, recipe: Recipe) -> AbstractContextManager[Reader]:
        """Open a reader for videos of this kind."""
        ...
