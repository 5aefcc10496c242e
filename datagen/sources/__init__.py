"""Where clean clips come from."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from configs import SourceError

if TYPE_CHECKING:
    from datagen.settings import Recipe
    from datagen.sources.base import Reader, Source

SOURCES = {
    "scenes": "procedural 2.5D scenes with exact depth, masks and flow; no files needed",
    "PATH": "a video file, a folder of them, or a glob pattern",
}


KINDS_WITH_MASKS = frozenset(["scenes"])
"""Kinds of source videos whose clips have object masks."""


def find_source(spec: str, licence: str) -> Source:
    """Return the source that `--from SPEC` names: `scenes`, or else a path."""
    if not spec.strip():
        raise SourceError("--from is empty; give 'scenes', or a video file, a folder or a glob pattern")
    if spec == "scenes":
        from datagen.sources.rendered import Scenes

        return Scenes()
    from datagen.sources.videos import Videos

    return Videos(spec, licence)


def open_reader(kind: str, recipe: Recipe) -> AbstractContextManager[Reader]:
    """Open the reader for source videos of a kind."""
    if kind == "scenes":
        from datagen.sources.rendered import Scenes

        return Scenes.reader(recipe)
    from datagen.sources.videos import Videos

    return Videos.reader(recipe)
