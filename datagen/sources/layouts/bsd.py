"""BSD (Zhong et al. 2020): a beam splitter shows two cameras the same scene, one with a longer exposure."""

from __future__ import annotations

from functools import partial

from datagen.sources.layouts import Layout
from datagen.sources.layouts._pairs import folder_pairs

LAYOUT = Layout(
    summary="BSD: train|valid|test/SEQUENCE/Blur/RGB and Sharp/RGB",
    entries=partial(folder_pairs, degraded=("Blur",), clean=("Sharp",), task="deblur", layout="bsd", fps=15.0),
    marker="*/*/Sharp",
)
