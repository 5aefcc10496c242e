"""GoPro (Nah et al. 2017): sharp frames, and the averages of 7 to 13 of them at 240 a second."""

from __future__ import annotations

from functools import partial

from datagen.sources.layouts import Layout
from datagen.sources.layouts._pairs import folder_pairs

LAYOUT = Layout(
    summary="GoPro: train|test/SEQUENCE/blur_gamma or blur, and sharp",
    # blur_gamma is the average in linear light, as METHOD has it; the smaller download has it as `blur`
    entries=partial(folder_pairs, degraded=("blur_gamma", "blur"), clean=("sharp",), task="deblur", layout="gopro"),
    marker="*/*/sharp",
)
