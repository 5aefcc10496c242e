"""Frames that are too large to be translated at once: tile by tile, faded into each other where they overlap."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidiff.long_video import Translate, Video

Box = tuple[slice, slice]


class TiledPipe:
    """A pipeline that translates tiles of `tile` x `tile` pixels, which overlap by `border`; what `translate_long` takes.

    A tile sees nothing beyond its edge, so this is for restoring, where what is far away does not matter, more than for
    editing.
    """

    def __init__(self, pipe: Translate, tile: int, *, border: int = 32) -> None:
        self.pipe, self.tile, self.border = pipe, tile, min(border, tile // 2)
        self.window = pipe.window

    def __call__(self, video: Video, instruction: str, *, previous: TiledOverlap | None = None, **sampling: Any) -> Any:
        """Translate uint8 [t h w 3]; `.frames` has the same shape, and `.overlap` is that of all tiles."""
        boxes = list(tiles(video.shape[1], video.shape[2], self.tile, self.border))
        total = np.zeros(video.shape, np.float32)
        weights = np.zeros((*video.shape[1:3], 1), np.float32)
        overlaps = []
        for number, (rows, columns) in enumerate(boxes):
            part = np.ascontiguousarray(video[:, rows, columns])
            given = {} if previous is None else {"previous": previous.tiles[number]}
            result = self.pipe(part, instruction, **given, **sampling)
            weight = _ramps(part.shape[1], part.shape[2], self.border)
            total[:, rows, columns] += weight * result.frames
            weights[rows, columns] += weight
            overlaps.append(getattr(result, "overlap", None))
        return SimpleNamespace(frames=np.rint(total / weights).astype(np.uint8), overlap=TiledOverlap(overlaps))


@dataclass(frozen=True, eq=False)
class TiledOverlap:
    """What each tile leaves for the next window."""

    tiles: Sequence[Any]

    def last(self, count: int) -> TiledOverlap:
        """Return the last `count` frames."""
        return TiledOverlap([tile.last(count) for tile in self.tiles])


def tiles(height: int, width: int, tile: int, border: int) -> Iterator[Box]:
    """Yield the places of tiles that cover a frame, all of one size, neighbours with at least `border` pixels in common."""
    yield from product(_spans(height, tile, border), _spans(width, tile, border))


def _spans(length: int, tile: int, border: int) -> list[slice]:
    if length <= tile:
        return [slice(0, length)]
    count = -(-(length - border) // (tile - border))
    starts = [round(place * (length - tile) / (count - 1)) for place in range(count)]
    return [slice(start, start + tile) for start in starts]


def _ramps(height: int, width: int, border: int) -> NDArray[np.float32]:
    """Return weights [h w 1] that fall towards the edges over `border` pixels, and are nowhere 0."""
    sides = [np.minimum(np.arange(1, n + 1), np.arange(n, 0, -1)).clip(max=border + 1) for n in (height, width)]
    weights: NDArray[np.float32] = np.multiply.outer(*sides).astype(np.float32)[..., None]
    return weights
