"""GoPro with the other of its two blurs, the average of the frames as they are stored."""

from __future__ import annotations

from functools import partial

from datagen.sources.layouts import Layout, gopro

LAYOUT = Layout(
    summary="GoPro for scoring: train|test/SEQUENCE/blur (blur_gamma where there is none) and sharp",
    entries=partial(gopro.entries, blurs=("blur", "blur_gamma")),
    reported_on=gopro.LAYOUT.reported_on,
)
