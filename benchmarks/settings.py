"""What a benchmark recipe can say."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from configs import Settings


class BenchSettings(Settings):
    """How methods are run and their scores summed up."""

    kind: ClassVar[str] = "bench"

    split: str = "test"
    """Split of the dataset that is scored: `train`, `val` or `test`."""
    methods: tuple[str, ...] = ()
    """Methods to run; empty for all that fit a task."""
    limit: int | None = Field(None, ge=1)
    """At most so many samples of each task, spread evenly over its videos."""
    seed: int = 0
    """For methods that draw random numbers, and for the bootstrap."""
    bootstrap: int = Field(2000, ge=100)
    """How many times the videos are drawn again for an interval."""
    examples: int = Field(4, ge=0)
    """How many samples of each task the page shows."""
    recipe: str = "bench"
    """The datagen recipe that is built from procedural scenes where no dataset is given."""
