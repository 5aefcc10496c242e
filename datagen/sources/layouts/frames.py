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
    found = sorted(folders_of_pictures(path)) if path.is_dir() else [path]
    if not found:
        raise SourceError(f"no folders of frames in {path}; looked for {' '.join(sorted(EXTENSIONS))}")
    for folder in found:
        name = folder.relative_to(path).as_posix() if folder != path else folder.name
        yield Entry(id=folder.stem if folder.is_file() else folder.name, name=name, main=str(folder.resolve()))


def folders_of_pictures(path: Path) -> Iterator[Path]:
    """Yield the folders that hold pictures themselves, not those whose folders do."""
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
        if any(Path(file).suffix.lower() in EXTENSIONS and not file.startswith(".") for file in files):
            yield Path(root)


LAYOUT = Layout(summary="folders of numbered pictures, each folder a video", entries=entries)
