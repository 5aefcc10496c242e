"""One file per layout of a data set on disk: each lists the videos it finds below a folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from datagen.sources.library import Entry


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What `--from NAME:PATH` reads: a module `layouts/NAME.py` with one of these as `LAYOUT`.

    `entries` lists the videos below a path and raises `SourceError` where the path is not of this layout. `masks`: whether
    they have object masks; a function where that depends on the path. `marker`: a pattern that matches something in such
    a folder and in few others, for a hint. `of_videos`: whether its files are videos, which a PATH alone would take
    without what stands beside them. `licence`: that of the data set. `reported_on`: names of the sequences that papers report
    results on, where they are known.
    """

    summary: str
    entries: Callable[[Path], Iterator[Entry]]
    masks: bool | Callable[[Path], bool] = False
    marker: str = ""
    of_videos: bool = False
    licence: str = ""
    reported_on: frozenset[str] = frozenset()


def layout_names() -> list[str]:
    """List the layouts, sorted."""
    return sorted(module.name for module in iter_modules(__path__) if not module.name.startswith("_"))


@cache
def layout(name: str) -> Layout:
    """Return the layout called `name`, one of `layout_names()`."""
    found: Layout = import_module(f"datagen.sources.layouts.{name}").LAYOUT
    return found
