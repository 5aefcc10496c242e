"""BSD (Zhong et al. 2020): a beam splitter shows two cameras the same scene, one with a longer exposure."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from datagen.sources.layouts import Layout
from datagen.sources.layouts._pairs import folder_pairs
from datagen.sources.library import Entry


def entries(path: Path) -> Iterator[Entry]:
    """Yield every `SEQUENCE/Blur/RGB` with its `SEQUENCE/Sharp/RGB`."""
    for entry in folder_pairs(path, ("Blur",), ("Sharp",), task="deblur", layout="bsd", fps=15.0):
        # beside it lies what the sensor gave, one colour a pixel
        if "RAW" not in Path(entry.name).parts:
            yield entry


LAYOUT = Layout(summary="BSD: train|valid|test/SEQUENCE/Blur/RGB and Sharp/RGB", entries=entries, marker="*/*/Sharp")
