"""How much a translation jumps from window to window, beside how much it changes from frame to frame anyway."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Frame = NDArray[np.uint8]


_EVEN = 1.2
"""Up to here a seam is no more than chance: no advice is given."""


def told_seam(ratio: float, *, blended: bool) -> str:
    """Say in words what `SeamMeter.ratio` means and, where it is a seam, what may lessen it."""
    where = (
        "in every step of the fade from one window of frames to the next"
        if blended
        else "where two windows of frames meet"
    )
    seen = (
        f"{where}, what the model changes jumps by {ratio:.2f} times what it jumps by between other neighbouring frames "
        "(1 would be no seam)"
    )
    if ratio <= _EVEN:
        return seen
    return f"{seen}; if that shows, try a larger --overlap, --carry corrected with more --steps, or --carry nothing --blend"


class SeamMeter:
    """Takes a translation frame by frame, and compares its steps across seams with all others.

    A step is the mean absolute difference between the changes (result minus source) of two neighbouring frames: what moves
    in the source itself does not count. `seams`: places of the frames before which a seam lies (`vidiff.long_video.seam_places`).
    """

    def __init__(self, seams: Iterable[int]) -> None:
        self._seams = frozenset(seams)
        self._last: NDArray[np.int16] | None = None
        self._place = 0
        self._sums = {True: 0.0, False: 0.0}
        self._counts = {True: 0, False: 0}

    def add(self, source: Frame, result: Frame) -> None:
        """Take the next frame, uint8 [h w 3] before and after."""
        change = result.astype(np.int16) - source
        if self._last is not None:
            at_seam = self._place in self._seams
            self._sums[at_seam] += float(np.abs(change - self._last).mean())
            self._counts[at_seam] += 1
        self._last = change
        self._place += 1

    @property
    def ratio(self) -> float | None:
        """Mean step across seams over mean step elsewhere; 1 where no seam can be told, None where there is none to compare.

        Where nothing steps at all it is 1; where only seams step it is infinite.
        """
        if not all(self._counts.values()):
            return None
        seams, elsewhere = (self._sums[kind] / self._counts[kind] for kind in (True, False))
        if elsewhere == 0:
            return 1.0 if seams == 0 else float("inf")
        return seams / elsewhere
