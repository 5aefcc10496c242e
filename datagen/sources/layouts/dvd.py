"""DVD, "Deep Video Deblurring for Hand-held Cameras" (Su et al. 2017)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from datagen.sources.layouts import Layout
from datagen.sources.layouts._pairs import folder_pairs
from datagen.sources.library import Entry

_TEST = frozenset(
    [
        "720p_240fps_2",
        "IMG_0003",
        "IMG_0021",
        "IMG_0030",
        "IMG_0031",
        "IMG_0032",
        "IMG_0033",
        "IMG_0037",
        "IMG_0039",
        "IMG_0049",
    ]
)
"""The ten sequences that results are reported on; the download keeps all 71 in one folder."""


def entries(path: Path) -> Iterator[Entry]:
    """Yield every `SEQUENCE/input` with its `SEQUENCE/GT`; the papers' ten are the test split wherever they lie."""
    for entry in folder_pairs(path, ("input",), ("GT",), task="deblur", layout="dvd"):
        # the id has the folders above in it, too: quantitative_datasets-IMG_0003
        sequence = Path(entry.main).parent.name
        yield replace(entry, split=entry.split or ("test" if sequence in _TEST else "train"))


LAYOUT = Layout(summary="DVD: SEQUENCE/input and GT", entries=entries, marker="*/GT", reported_on=_TEST)
