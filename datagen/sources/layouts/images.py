"""Pictures, each a clip of one frame: for training on images first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from configs import SourceError
from datagen.sources.layouts import Layout
from datagen.sources.layouts.frames import folders_of_pictures
from datagen.sources.library import Entry
from shards.picture_folder import EXTENSIONS, pictures_in


def entries(path: Path) -> Iterator[Entry]:
    """Yield every picture at or below `path`."""
    folders = sorted(folders_of_pictures(path)) if path.is_dir() else []
    files = [file for folder in folders for file in pictures_in(folder)] or ([path] if path.is_file() else [])
    if not files:
        raise SourceError(f"no pictures in {path}; looked for {' '.join(sorted(EXTENSIONS))}")
    for file in files:
        name = file.relative_to(path).as_posix() if file != path else file.name
        yield Entry(id=file.stem, name=name, main=str(file.resolve()))


LAYOUT = Layout(summary="pictures, each a clip of one frame (with --set clip.frames=1)", entries=entries)
