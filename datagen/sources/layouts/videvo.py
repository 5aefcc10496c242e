"""Videvo, 100 clean videos by Lai et al. (ECCV 2018), "Learning Blind Video Temporal Consistency", for recoloring."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from configs import SourceError
from datagen.sources.layouts import Layout
from datagen.sources.layouts.frames import DEAD_LINK, dead_links, folders_of_pictures
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
_FOLDERS = ("train/input/videvo", "test/input/videvo", "input/videvo")
_RESULTS = "processed"
"""Folder of what others made of the videos, under the same names."""


def entries(path: Path) -> Iterator[Entry]:
    """Yield the videos of `train|test/input/videvo/NAME`, as they come, also one folder deeper, or else of every `NAME`.

    The papers' twenty are the test split wherever they lie; where none of them is there, the videos of `test/input/videvo`.

    Raises:
        SourceError: there are no folders of frames, or nothing tells which are for testing.
    """
    found = [folder for root in _roots(path) for folder in sorted([*folders_of_pictures(root), *dead_links(root)])]
    found = [folder for folder in found if _RESULTS not in folder.relative_to(path).parts]
    if not any(folder.exists() for folder in found):
        raise SourceError(
            f"{path} is not of the layout videvo: it needs test/input/videvo/NAME/00000.jpg, or NAME/00000.jpg"
        )
    official = any(folder.name in _TEST for folder in found)
    if not official and not any(_side(folder) for folder in found):
        raise SourceError(
            f"{path} has none of the papers' twenty test videos of videvo, which are {', '.join(sorted(_TEST))}: name its "
            "folders so, or put them into test/input/videvo; frames:PATH takes videos of any name"
        )
    for folder in found:
        yield Entry(
            id=folder.name,
            name=folder.relative_to(path).as_posix(),
            main=str(folder.resolve()),
            split="test" if folder.name in _TEST or (not official and _side(folder) == "test") else "train",
            problem="" if folder.exists() else DEAD_LINK,
        )


def _side(folder: Path) -> str:
    """Return which of `train|test/input/videvo` a video lies in, or nothing."""
    above = folder.parent.resolve().parts
    sides = [above[at] for at in range(len(above) - 2) if above[at + 1 : at + 3] == ("input", "videvo")]
    return sides[-1] if sides and sides[-1] in ("train", "test") else ""


def _roots(path: Path) -> list[Path]:
    """List the folders whose folders are the videos."""
    for folder in (path, *sorted(path.glob("*/"))):
        if roots := [folder / name for name in _FOLDERS if (folder / name).is_dir()]:
            return roots
    return [path / "videvo" if (path / "videvo").is_dir() else path]


LAYOUT = Layout(
    summary="Videvo: train|test/input/videvo/NAME, frames of clean videos with the papers' split",
    entries=entries,
    marker="*/input/videvo",
    reported_on=_TEST,
)
