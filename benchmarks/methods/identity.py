"""Doing nothing: what every other method has to beat."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.methods.base import Method
from shards.sample import Video


def identity(
    clip: Video, instruction: str, reference: NDArray[np.uint8] | None, mask: NDArray[np.uint8] | None
) -> Video:
    """Return the clip as it is."""
    return clip


IDENTITY = Method(
    name="identity",
    tasks=(),
    summary="returns its input",
    paper="-",
    version=1,
    make=lambda context: identity,
)
