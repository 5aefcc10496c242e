"""Videos longer than the model's window, window by window: the last K outputs begin the next window's condition."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Frame = NDArray[np.uint8]
Video = NDArray[np.uint8]


class Translate(Protocol):
    """What `translate_long` needs of a pipeline; `VIDiffPipeline` has it."""

    window: int

    def __call__(self, video: Video, instruction: str, **sampling: Any) -> Any:
        """Translate uint8 [t h w 3], t <= window; `.frames` of what comes back has the same shape and type."""
        ...


def prefixed(instruction: str, count: int) -> str:
    """Say in the instruction that the first `count` condition frames are already translated (VIDiff, figure 3)."""
    if count == 0:
        return instruction
    frames = "1 frame" if count == 1 else f"{count} frames"
    return f"Based on the first {frames}, {instruction[:1].lower()}{instruction[1:]}"


def translate_long(
    pipe: Translate, frames: Iterable[Frame], instruction: str, *, prior_frames: int = 2, **sampling: Any
) -> Iterator[Frame]:
    """Translate a video of any length; as many frames come out as go in.

    `frames`: uint8 [h w 3] each, all of one size; they are read as they are needed, so memory does not grow with
    the length. Each window's condition is `prior_frames` (K) translated frames followed by new source frames, and its
    instruction has the prefix for K; the last window may be shorter. `sampling` goes to the pipeline.
    """
    source = iter(frames)
    prior: list[Frame] = []
    keep = min(prior_frames, pipe.window - 1)
    while fresh := list(islice(source, pipe.window - len(prior))):
        condition = np.stack([*prior, *fresh])
        translated = pipe(condition, prefixed(instruction, len(prior)), **sampling).frames
        yield from translated[len(prior) :]
        prior = list(translated[len(translated) - keep :])


def translate_clip(pipe: Translate, clip: Video, instruction: str, **options: Any) -> Video:
    """Translate a clip uint8 [t h w 3] of any length that is in memory; the options are those of `translate_long`."""
    return np.stack(list(translate_long(pipe, clip, instruction, **options)))
