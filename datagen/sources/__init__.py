"""Where clean clips, and pairs that exist already, come from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from configs import SourceError, meant_path, unknown_name

if TYPE_CHECKING:
    from datagen.settings import Recipe
    from datagen.sources.base import Reader, Source
    from datagen.sources.layouts import Layout
    from datagen.sources.library import Entry

READERS = {
    "files": ("datagen.sources.library", "Library"),
    "generated": ("datagen.sources.generated", "Generated"),
    "scenes": ("datagen.sources.rendered", "Scenes"),
}
"""Where the class is that reads source videos of a kind."""


def source_summaries() -> dict[str, str]:
    """Return what `--from` can name, with one line each."""
    from datagen.sources.layouts import layout, layout_names

    listed = {
        "scenes": "procedural 2.5D scenes with exact depth, masks and flow; no files needed",
        "PATH": "a video file, a folder of videos or of frames, a glob pattern, a table (.csv, .parquet, .jsonl), a .tar",
    }
    listed |= {f"{name}:PATH": layout(name).summary for name in layout_names()}
    return listed | {
        "generated:PATH": "a .jsonl of captions before and after an edit: pairs that a diffusion model makes (engine.model)"
    }


def find_source(spec: str, licence: str) -> Source:
    """Return the source that `--from SPEC` names: `scenes`, `NAME:PATH` for a layout, or else a path.

    `licence` counts where the data set itself does not say.

    Raises:
        SourceError: no such path or layout.
    """
    from datagen.sources.layouts import layout, layout_names
    from datagen.sources.library import Library

    if not spec.strip():
        raise SourceError("--from is empty; give 'scenes', or a video file, a folder or a glob pattern")
    if spec == "scenes":
        from datagen.sources.rendered import Scenes

        return Scenes()
    name, colon, path = spec.partition(":")
    if not colon or Path(spec).exists() or "/" in name:
        name, path = layout_for(spec), spec
    elif name not in (names := [*layout_names(), "generated"]):
        raise SourceError(f"{unknown_name('layout', name, names)}; a path with a colon is written ./{spec}")
    elif not Path(path).exists():
        raise SourceError(f"no such file or folder: {path!r} (in --from {spec}){meant_path(path)}")
    if name == "generated":
        from datagen.sources.generated import Generated

        return Generated(Path(path), licence)
    chosen = layout(name)
    if licence == "unknown" and chosen.licence:
        licence = chosen.licence
    masks = chosen.masks if isinstance(chosen.masks, bool) else partial(chosen.masks, Path(path))
    return Library(partial(_listed, chosen, name, Path(path)), licence, masks=masks)


def any_masks(sources: Iterable[Source]) -> bool:
    """Whether one of the sources comes with object masks.

    Raises:
        SourceError: one is no source at all; that is told before what it has not.
    """
    from datagen.sources.library import Library

    found = list(sources)
    if any(source.masks for source in found):
        return True
    for source in found:
        if isinstance(source, Library):
            next(iter(source.entries()), None)
    return False


def _listed(chosen: Layout, name: str, path: Path) -> Iterator[Entry]:
    """Yield what a layout lists; annotations of another form than it knows are one line, too."""
    try:
        yield from chosen.entries(path)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise SourceError(
            f"{path}: its lists are not those of the layout {name} ({type(error).__name__}: {' '.join(str(error).split())[:100]})"
        ) from None


def layout_for(path: str) -> str:
    """Return the name of the layout that a path is read by when none is named."""
    endings = {".csv": "table", ".parquet": "table", ".jsonl": "table", ".tar": "tars"}
    return endings.get(Path(path).suffix.lower(), "videos")


def open_reader(kind: str, recipe: Recipe) -> AbstractContextManager[Reader]:
    """Open the reader for source videos of a kind."""
    module, name = READERS[kind]
    opened: AbstractContextManager[Reader] = getattr(import_module(module), name).reader(recipe)
    return opened
