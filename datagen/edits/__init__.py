"""Edits: what can be done to a clip, drawn at random, put into words and executed exactly. One file per scope."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datagen.instructions import filled_in
from datagen.sources.base import Clip
from shards.sample import Video

Operation = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """An edit: its program, and the same in words: an imperative without a capital or a full stop."""

    program: Sequence[Operation]
    words: str


@dataclass(frozen=True, kw_only=True)
class Edited:
    """What an edit made: `target` uint8 [t h w 3], `mask` uint8 [t h w] of where it may differ, `reference` [h w 3]."""

    target: Video
    mask: NDArray[np.uint8]
    reference: NDArray[np.uint8] | None = None


@dataclass(frozen=True, kw_only=True)
class Edit:
    """One kind of edit. `apply` executes a program that `draw` drew, or raises `UnsuitableClipError` with the reason why not."""

    draw: Callable[[Clip, np.random.Generator], Drawn]
    apply: Callable[[Clip, Sequence[Operation]], Edited]


def one_of(choices: Sequence[Any], rng: np.random.Generator) -> Any:
    """Draw one of some choices."""
    return choices[int(rng.integers(len(choices)))]


def phrase(wordings: Sequence[str], rng: np.random.Generator, **words: str) -> str:
    """Draw one of the wordings and fill in the words."""
    return filled_in(str(one_of(wordings, rng)), words)
