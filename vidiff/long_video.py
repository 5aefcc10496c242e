"""Videos longer than the model's window, window by window, each begun with frames of the one before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from configs import ModelError, unknown_name

Frame = NDArray[np.uint8]
Video = NDArray[np.uint8]
Carry = Literal["translated", "corrected", "nothing"]


class Translate(Protocol):
    """What `translate_long` needs of a pipeline; `VIDiffPipeline` has it."""

    window: int

    def __call__(self, video: Video, instruction: str, **sampling: Any) -> Any:
        """Translate uint8 [t h w 3], t <= window; `.frames` of what comes back has the same shape and type.

        With `carry="corrected"` it is given `previous`, the end of `.overlap` of what came back before.
        """
        ...


def prefixed(instruction: str, count: int) -> str:
    """Say in the instruction that the first `count` condition frames are already translated (VIDiff, figure 3).

    An empty one, beside a picture that says it all, stays the empty one that training drops texts to.
    """
    if count == 0 or not instruction:
        return instruction
    frames = "1 frame" if count == 1 else f"{count} frames"
    return f"Based on the first {frames}, {instruction[:1].lower()}{instruction[1:]}"


def translate_long(
    pipe: Translate,
    frames: Iterable[Frame],
    instruction: str,
    *,
    overlap: int = 2,
    carry: str = "translated",
    blend: bool = False,
    **sampling: Any,
) -> Iterator[Frame]:
    """Translate a video of any length; as many frames come out as go in.

    `frames`: uint8 [h w 3] each, all of one size; they are read as they are needed, so memory does not grow with
    the length. Neighbouring windows have `overlap` frames in common (K; the last window may be shorter). `carry` says what of
    them the second one is told: `translated` shows the first one's results in the place of the source, and a prefix of the
    instruction says so (VIDiff, figure 3); `corrected` shows the source and holds the second one to the first one's latents
    (`vidiff.correction`); `nothing` shows the source. What the second one makes of them is thrown away, or with `blend`
    faded into. `sampling` goes to the pipeline.

    Raises:
        ModelError: no such `carry`.
    """
    if carry not in get_args(Carry):
        raise ModelError(unknown_name("carry", carry, get_args(Carry)))
    source = iter(frames)
    keep = min(overlap, pipe.window - 1)
    shown: list[Frame] = []  # the frames in common, as the next window sees them
    made: list[Frame] = []  # and what became of them
    held: list[Frame] = []  # the same, blended, where they are not given away before that
    while fresh := list(islice(source, pipe.window - len(shown))):
        condition = np.stack([*shown, *fresh])
        result = pipe(
            condition, prefixed(instruction, len(shown)) if carry == "translated" else instruction, **sampling
        )
        again, new = list(result.frames[: len(made)]), list(result.frames[len(made) :])
        ready = [*faded(held, again), *new] if blend else new
        held = _last(ready, keep) if blend else []
        yield from ready[: len(ready) - len(held)]
        made = _last([*made, *new], keep)
        shown = made if carry == "translated" else _last(list(condition), keep)
        if carry == "corrected" and keep:
            sampling["previous"] = result.overlap.last(keep)
    yield from held


def _last(frames: list[Frame], count: int) -> list[Frame]:
    return frames[max(0, len(frames) - count) :]


def faded(before: Sequence[Frame], after: Sequence[Frame]) -> Iterator[Frame]:
    """Yield frames that turn from one list into the other, uint8 [h w 3] each; neither is there alone."""
    for place, (first, second) in enumerate(zip(before, after, strict=True), start=1):
        share = place / (len(before) + 1)
        yield np.rint((1 - share) * first + share * second.astype(np.float32)).astype(np.uint8)


def seam_places(frames: int, window: int, overlap: int, *, blend: bool = False) -> list[int]:
    """Return the places of the frames before which a step goes from one window to the next.

    It is one step for each window, to the first frame of its own. `blend` spreads what steps there over every step from the
    last frame that the window before has alone to the first that the next one has alone: one more than `overlap`.
    """
    keep = min(overlap, window - 1)
    starts = range(window, frames, window - keep)
    return sorted({place for start in starts for place in range(start - keep * blend, start + 1)})


def translate_clip(pipe: Translate, clip: Video, instruction: str, **options: Any) -> Video:
    """Translate a clip uint8 [t h w 3] of any length that is in memory; the options are those of `translate_long`."""
    return np.stack(list(translate_long(pipe, clip, instruction, **options)))
