"""Folders of numbered pictures, each a video."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from configs import SourceError
from datagen.sources.layouts import Layout
from datagen.sources.library import Entry
from shards.picture_folder import EXTENSIONS


def entries(path: Path) -> Iterator[Entry]:
    """Yield every folder at or below `path` that holds pictures."""
    found = sorted([*folders_of_pictures(path), *dead_links(path)]) if path.is_dir() else [path]
    if not any(folder.exists() for folder in found):
        raise SourceError(f"no folders of frames in {path}; looked for {' '.join(sorted(EXTENSIONS))}")
    for folder in found:
        name = folder.relative_to(path).as_posix() if folder != path else folder.name
        yield Entry(
            id=folder.stem if folder.is_file() else folder.name,
            name=name,
            main=str(folder.resolve()),
            problem="" if folder.exists() else DEAD_LINK,
        )


DEAD_LINK = "broken link: what it leads to is not there"
"""Why a sequence behind such a link is a reject."""


def folders_of_pictures(path: Path) -> Iterator[Path]:
    """Yield the folders that hold pictures themselves, not those whose folders do."""
    for root, files in _walked(path):
        if any(Path(file).suffix.lower() in EXTENSIONS and not file.startswith(".") for file in files):
            yield root


def dead_links(path: Path) -> list[Path]:
    """Return the links below a folder that may have been meant for folders, and lead nowhere."""
    found = [root / file for root, files in _walked(path) for file in files if not Path(file).suffix[1:].isalpha()]
    return sorted(link for link in found if link.is_symlink() and not link.exists() and not link.name.startswith("."))


def visible_files(path: Path) -> list[Path]:
    """Return all that lies below a folder, in order, but for what has a name that begins with a dot."""
    return [file for file in sorted(path.rglob("*")) if not file.name.startswith(".")]


def visible_folders(path: Path) -> Iterator[Path]:
    """Yield the folders in a folder in their order, and links that lead nowhere; none whose name begins with a dot."""
    for folder in sorted(path.iterdir()):
        dead = folder.is_symlink() and not folder.exists()
        if (folder.is_dir() or dead) and not folder.name.startswith("."):
            yield folder


def _walked(path: Path) -> Iterator[tuple[Path, list[str]]]:
    """Yield every folder once, with the names of its files."""
    seen: set[str] = set()
    for root, folders, files in os.walk(path, followlinks=True):
        # links are how large sets are split; one that leads upwards would never end
        above = os.path.realpath(root)
        folders[:] = [
            f for f in folders if not f.startswith(".") and not above.startswith(os.path.realpath(f"{root}/{f}") + "/")
        ]
        if above in seen:
            folders.clear()
            continue
        seen.add(above)
        yield Path(root), files


LAYOUT = Layout(summary="folders of numbered pictures, each folder a video", entries=entries)
