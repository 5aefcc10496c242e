"""Videvo, 100 clean videos by Lai et al. (ECCV 2018), "Learning Blind Video Temporal Consistency", for recoloring."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from configs import SourceError
from datagen.sources.layouts import Layout
from datagen.sources.layouts.frames import folders_of_pictures
from datagen.sources.library import Entry

_TEST = frozenset(
    [
        "AircraftTakingOff1",
        "CoupleRidingMotorbike",
        "Cycling",
        "Ducks",
        "FarmingLandscape",
        "FatherAndChild2",
        "Festival",
        "Freeway2",
        "Koala",
        "Madagascar",
        "MenRidingMotorbike",
        "PalmTrees",
        "PoliceCar",
        "SilverCat",
        "SkateboarderTableJump",
        "Surfing",
        "TimeSquareTraffic",
        "Vineyard",
        "Waterfall2",
        "YogaHut2",
    ]
)
"""The twenty videos that results are reported on."""
_FOLDERS = ("train/input/videvo", "test/input/videvo", "input/videvo", "videvo", ".")


def entries(path: Path) -> Iterator[Entry]:
    """Yield the videos of `train|test/input/videvo/NAME`, as they come, or of `NAME` right below the path.

    The papers' twenty are the test split wherever they lie.

    Raises:
        SourceError: there are no folders of frames.
    """
    roots = [path / name for name in _FOLDERS if (path / name).is_dir()]
    # beside the videos lie what others made of them, in folders of the same names
    roots = [root for root in roots if root != path] or roots
    found = [folder for root in roots for folder in sorted(folders_of_pictures(root))]
    if not found:
        raise SourceError(
            f"{path} is not of the layout videvo: it needs test/input/videvo/NAME/00000.jpg, or NAME/00000.jpg"
        )
    for folder in found:
        yield Entry(
            id=folder.name,
            name=folder.relative_to(path).as_posix(),
            main=str(folder.resolve()),
            split="test" if folder.name in _TEST else "train",
        )


LAYOUT = Layout(
    summary="Videvo: train|test/input/videvo/NAME, frames of clean videos with the papers' split",
    entries=entries,
    marker="*/input/videvo",
)
