"""Windows of videos, read with all their tracks at once by decoders that can be killed."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from configs import DecoderLostError
from datagen.settings import NATIVE, ClipSettings, Recipe
from datagen.sources.base import EXACT, Clip, Moments, Native, SourceVideo, Window
from datagen.sources.depth_track import metric_depth
from shards.fence import FencedReader
from shards.pictures import MIDDLE, Place
from shards.video import Limits

A = TypeVar("A")
DECODE_TRIES = 3
_OF_PAIR = ("before", "after", "haze")
"""Facts that are stored as the parameters of a pair which was not made here."""
_SEEN = 0.002
"""Share of the picture that an object must cover, in half of the frames, to be referred to."""


class TrackReader:
    """Reads windows of all tracks of a video, scaled inside the decoder."""

    def __init__(self, recipe: Recipe, stack: ExitStack) -> None:
        self._recipe, self._stack = recipe, stack
        self._fences: dict[str, FencedReader] = {}

    def read(self, video: SourceVideo, window: Window) -> Clip:
        """Return the clip."""
        clip = self._recipe.clip
        size, crop = clip.size_of(video.width, video.height), crop_place(clip, self._recipe.seed, video, window)
        wanted = {track: _numbers(video, track, window) for track in ("main", *video.tracks)}
        frames = with_new_decoders(
            lambda: self._fence("main").read(video.locator, wanted["main"], size=size, crop=crop)
        )
        ids, native = None, None
        if "masks" in video.tracks:
            ids = with_new_decoders(
                lambda: self._fence("masks").read_labels(video.tracks["masks"], wanted["masks"], size=size, crop=crop)
            )
            # 255 marks what the annotators left open
            ids[ids == 255] = 0
        hole = None
        if "hole" in video.tracks:
            marked = with_new_decoders(
                lambda: self._fence("hole").read_labels(video.tracks["hole"], wanted["hole"], size=size, crop=crop)
            )
            hole = np.where(marked > 0, np.uint8(255), np.uint8(0))
        if "pair" in video.tracks:
            other = with_new_decoders(
                lambda: self._fence("pair").read(video.tracks["pair"], wanted["pair"], size=size, crop=crop)
            )
            facts = video.facts
            native = Native(
                task=facts["task"],
                other=other,
                instruction=facts.get("instruction", ""),
                parameters={name: facts[name] for name in _OF_PAIR if facts.get(name)},
            )
        depth, note = self._depth(video, wanted, size, crop) if "depth" in video.tracks else (None, EXACT)
        moments = self._moments(video, window, size, crop)
        names = {} if ids is None else _named(video, ids)
        return Clip(
            video=video,
            window=window,
            frames=frames,
            depth=depth,
            depth_unit="" if depth is None else "metre",
            depth_note=note,
            ids=ids,
            names=names,
            hole=hole,
            native=native,
            moments=moments,
        )

    def _depth(
        self, video: SourceVideo, wanted: Mapping[str, list[int]], size: tuple[int, int], crop: Place | None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        stored = with_new_decoders(
            lambda: self._fence("depth").read_depth(video.tracks["depth"], wanted["depth"], size=size, crop=crop)
        )
        return metric_depth(stored, video.facts["depth_scale"], sky=video.facts.get("depth_sky", math.inf))

    def _moments(self, video: SourceVideo, window: Window, size: tuple[int, int], crop: Place | None) -> Moments | None:
        from datagen.tasks.deblur import frames_around  # which stands upon the sources

        reach = frames_around(video, self._recipe)
        if not reach:
            return None
        shots = pairwise((0, *video.facts.get("cuts", ()), video.frames))
        begin, end = next((begin, end) for begin, end in shots if begin <= window.start < end)
        # an exposure takes nothing from before a cut, or from after one
        first, last = max(window.start - reach, begin), min(window.indices[-1] + reach, end - 1)
        wanted = _numbers(video, "main", Window(start=first, step=1, frames=last - first + 1))
        frames = with_new_decoders(lambda: self._fence("main").read(video.locator, wanted, size=size, crop=crop))
        return Moments(frames=frames, first=window.start - first)

    def _fence(self, track: str) -> FencedReader:
        """Return the decoder of a track: each keeps its file open, so they do not share one."""
        if track not in self._fences:
            fence = FencedReader(limits=limits_of(self._recipe), seconds=self._recipe.limits.decode_seconds)
            self._fences[track] = self._stack.enter_context(fence)
        return self._fences[track]


def crop_place(clip: ClipSettings, seed: int, video: SourceVideo, window: Window) -> Place | None:
    """Return where a window is cropped: nowhere, in the middle, or somewhere that follows from what it is."""
    if clip.crop == "stretch" or clip.size == NATIVE:
        return None
    if clip.crop == "middle":
        return MIDDLE
    text = f"crop {seed} {video.sha256} {window.start} {window.step}"
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    x, y = (int.from_bytes(digest[part : part + 4], "big") / 2**32 for part in (0, 4))
    return x, y


def with_new_decoders(ask: Callable[[], A]) -> A:
    """Return what `ask()` does; a decoder that is lost over it is replaced, up to `DECODE_TRIES` in all."""
    for _ in range(1, DECODE_TRIES):
        with suppress(DecoderLostError):
            return ask()
    return ask()


def limits_of(recipe: Recipe) -> Limits:
    """Return how much a file may ask of a decoder."""
    settings = recipe.limits
    return Limits(
        pixels=settings.max_pixels,
        frames=settings.max_frames,
        file_bytes=settings.max_bytes,
        seconds=settings.max_seconds,
    )


def _named(video: SourceVideo, ids: NDArray[np.uint8]) -> dict[int, Sequence[str]]:
    """Return the phrases of objects that are seen in at least half of the clip: the crop may have lost the others. What a
    source is listed for is asked for in any case."""
    names = video.facts.get("names", {})
    least = 0.0 if "expression" in video.facts else _SEEN
    shares = {number: (ids == int(number)).mean((1, 2)) for number in names}
    return {int(number): names[number] for number, share in sorted(shares.items()) if (share >= least).mean() >= 0.5}


def _numbers(video: SourceVideo, track: str, window: Window) -> list[int]:
    numbers = video.facts.get("numbers", {}).get(track)
    return [numbers[place] for place in window.indices] if numbers else list(window.indices)
