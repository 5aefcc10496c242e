"""Test sets of the video inpainting papers: frames, and the holes that everybody fills (E2FGVI, FuseFormer, ProPainter)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from configs import SourceError
from datagen.sources.layouts import Layout
from datagen.sources.layouts.frames import DEAD_LINK, dead_links, folders_of_pictures
from datagen.sources.library import Entry
from shards.picture_folder import pictures_in

_FRAMES = ("JPEGImages_432_240", "JPEGImages", "frames")
_HOLES = ("test_masks", "masks")


def entries(path: Path) -> Iterator[Entry]:
    """Yield every video of `test_masks/NAME` whose frames lie in `JPEGImages_432_240/NAME` or `JPEGImages/NAME`, which may be
    packed as `JPEGImages/NAME.zip` when they come; unpack them first.

    Frame and hole belong together by their order: the holes of YouTube-VOS are numbered 0, 1, 2 and its frames 0, 5, 10.
    """
    holes = next((path / name for name in _HOLES if (path / name).is_dir()), None)
    frames = next((path / name for name in _FRAMES if (path / name).is_dir()), None)
    if holes is None or frames is None:
        raise SourceError(
            f"{path} is not of the layout video_completion: it needs test_masks/NAME/*.png and JPEGImages/NAME/*.jpg"
        )
    for folder in sorted([*folders_of_pictures(holes), *dead_links(holes)]):
        name = folder.relative_to(holes).as_posix()
        main = frames / name
        count = min(_count(main), _count(folder))
        yield Entry(
            id=name.replace("/", "-"),
            name=name,
            main=str(main.resolve()),
            hole=str(folder.resolve()),
            facts={"numbers": {"main": list(range(count)), "hole": list(range(count))}},
            split="test",
            fps=24.0,
            problem="" if count else _problem(main, folder, frames.name),
        )


def _problem(main: Path, holes: Path, frames: str) -> str:
    if any(folder.is_symlink() and not folder.exists() for folder in (main, holes)):
        return DEAD_LINK
    return f"no frames: {frames} has no folder of that name ({main.name}.zip must be unpacked)"


def _count(folder: Path) -> int:
    return len(pictures_in(folder)) if folder.is_dir() else 0


LAYOUT = Layout(
    summary="video inpainting test sets: JPEGImages/NAME frames and test_masks/NAME holes",
    entries=entries,
    marker="test_masks",
)
