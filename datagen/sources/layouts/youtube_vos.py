"""YouTube-VOS and Ref-YouTube-VOS: every fifth frame annotated, categories, and expressions where they lie beside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from configs import SourceError
from datagen.sources.files import usual_step
from datagen.sources.layouts import Layout
from datagen.sources.layouts._expressions import category_names, load_json, referring_names
from datagen.sources.layouts.frames import DEAD_LINK, visible_folders
from datagen.sources.library import Entry
from shards.picture_folder import pictures_in

_PARTS = {"train": "train", "valid": "val", "test": "test"}
_FPS, _ANNOTATED = 30.0, 5
"""Frames per second, and which of them are annotated: the smaller archives have every fifth frame alone."""


def entries(path: Path) -> Iterator[Entry]:
    """Yield the videos of `train`, `valid` and `test`; only their annotated frames are used.

    One whose masks are not public is a reject: there are none, or only those of the frames in which its objects appear, from
    which a method starts.
    """
    parts = {part: path / part for part in _PARTS if (path / part / "JPEGImages").is_dir()}
    if not parts and (path / "JPEGImages").is_dir():
        parts = {path.name: path}
    if not parts:
        raise SourceError(f"{path} is not of the layout youtube_vos: it has no train/JPEGImages")
    for part, root in parts.items():
        names = category_names(root / "meta.json")
        said = load_json(root / "meta.json").get("videos", {}) if (root / "meta.json").is_file() else {}
        names |= referring_names(root.parent / "meta_expressions" / part / "meta_expressions.json")
        for folder in visible_folders(root / "JPEGImages"):
            masks, there = root / "Annotations" / folder.name, folder.exists()
            problem = _problem(masks, _annotated(folder, said.get(folder.name, {}))) if there else DEAD_LINK
            yield Entry(
                id=folder.name,
                name=folder.relative_to(path).as_posix(),
                main=str(folder.resolve()),
                masks="" if problem else str(masks.resolve()),
                facts={"names": names[folder.name]} if folder.name in names else {},
                split=_PARTS.get(part, ""),
                fps=_FPS / (usual_step(str(folder)) or _ANNOTATED),
                problem=problem,
            )


def _annotated(folder: Path, said: Mapping[str, Any]) -> int:
    """Return of how many frames there are masks, public or not: those that the list has, or else every fifth."""
    listed = {frame for values in said.get("objects", {}).values() for frame in values.get("frames", ())}
    every = _ANNOTATED // (usual_step(str(folder)) or _ANNOTATED)
    return len(listed) or -(-len(pictures_in(folder)) // max(every, 1))


def _problem(masks: Path, annotated: int) -> str:
    found = len(pictures_in(masks)) if masks.is_dir() else 0
    if found < 2:
        return "only its first mask is public" if found else "its masks are not public"
    # an object that comes in later has its own first mask, which leaves out the others
    return f"only its first masks are public: {found} of {annotated}" if found * 2 < annotated else ""


LAYOUT = Layout(
    summary="YouTube-VOS and Ref-YouTube-VOS: annotated frames, masks, categories, expressions",
    entries=entries,
    masks=True,
    marker="train/JPEGImages",
)
