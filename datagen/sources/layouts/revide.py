"""REVIDE (Zhang et al. 2021): real haze indoors, taken twice along the same way of a robot arm."""

from __future__ import annotations

from functools import partial

from datagen.sources.layouts import Layout
from datagen.sources.layouts._pairs import folder_pairs

LAYOUT = Layout(
    summary="REVIDE: Train|Test/hazy/SEQUENCE and gt/SEQUENCE",
    entries=partial(folder_pairs, degraded=("hazy",), clean=("gt",), task="dehaze", layout="revide"),
    marker="*/hazy",
)
