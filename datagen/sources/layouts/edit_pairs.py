"""Editing pairs that a list names: Ditto-1M, Senorita-2M and whatever else has source, edit and words."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from configs import SourceError
from datagen.sources.layouts import Layout
from datagen.sources.layouts._expressions import load_json
from datagen.sources.layouts.frames import visible_files
from datagen.sources.layouts.table import csv_rows
from datagen.sources.library import Entry
from shards.video import EXTENSIONS

_SOURCE = (
    "source_path",
    "source",
    "source_video",
    "source_video_path",
    "original",
    "original_video",
    "input",
    "vace_video",
)
_EDITED = (
    "edited_path",
    "edited",
    "edited_video",
    "target_video_path",
    "target_video",
    "target_path",
    "target",
    "output",
    "video",
)
_WORDS = ("instruction", "edit_prompt", "edit_instruction", "enhanced_instruction", "edit", "prompt")
_LISTS = ("edits", "data", "videos", "items")
_INSERTED = "_upload"
"""How a folder ends that Senorita's archives put in, or put in place of the one listed."""


def entries(path: Path) -> Iterator[Entry]:
    """Yield the pairs of a JSON, JSON-lines or CSV list, or of all such lists below a folder.

    A list has an object for each pair with a source, an edited video and an instruction, by the names that the public
    sets use; paths are relative to the list's folder or to one above it. A pair that several lists have is one. A list
    with rows that lack any of the three is a reject beside the pairs of the others.

    Raises:
        SourceError: a list cannot be read, or none has a pair.
    """
    lists = (
        [file for file in visible_files(path) if file.suffix in (".json", ".jsonl", ".csv")]
        if path.is_dir()
        else [path]
    )
    found: dict[tuple[str, str, str], Entry] = {}
    unusable: list[Entry] = []
    for file in lists:
        rows = list(_rows(file))
        pairs = {number: entry for number, row in enumerate(rows, start=1) if (entry := _pair(path, file, number, row))}
        for entry in pairs.values():
            found.setdefault((entry.main, entry.pair, entry.facts["instruction"]), entry)
        lacking = [number for number in range(1, len(rows) + 1) if number not in pairs]
        if lacking:
            unusable.append(_unusable(path, file, rows, lacking))
    if not found:
        raise SourceError(
            f"{path} is not of the layout edit_pairs: no .json, .jsonl or .csv in it lists sources ({', '.join(_SOURCE)}), "
            f"edits ({', '.join(_EDITED)}) and instructions ({', '.join(_WORDS)})"
        )
    yield from _told_apart(list(found.values()), path if path.is_dir() else path.parent)
    yield from unusable


def _pair(root: Path, file: Path, number: int, row: Mapping[str, Any]) -> Entry | None:
    source, edited, words = (_first(row, names) for names in (_SOURCE, _EDITED, _WORDS))
    if not (source and edited and words):
        return None
    main, pair = (_located(file, name, root) for name in (source, edited))
    gone = [name for name, place in ((source, main), (edited, pair)) if not place.exists()]
    return Entry(
        id=f"{Path(source).stem}-{Path(edited).stem}",
        name=f"{edited} ({file.name}, {number})",
        main=str(main),
        pair=str(pair),
        task="edit",
        facts={"instruction": " ".join(words.split())},
        problem=f"no such file: {' and '.join(gone)}" if gone else "",
    )


def _unusable(root: Path, file: Path, rows: Sequence[Mapping[str, Any]], lacking: Sequence[int]) -> Entry:
    """Return the reject of a list in which some rows, or all, are no pairs."""
    first = rows[lacking[0] - 1]
    said = f"with {', '.join(map(str, first))}" if first else "which is no JSON object, or an empty one"
    return Entry(
        id=file.stem,
        name=file.relative_to(root).as_posix() if root.is_dir() else file.name,
        main=str(file.resolve()),
        problem=f"rows without a source, an edited video or an instruction: {len(lacking)} of {len(rows)}; "
        f"the first is row {lacking[0]}, {said}"[:300],
    )


def _told_apart(entries: Sequence[Entry], root: Path) -> Iterator[Entry]:
    """Yield the pairs; where file names repeat, with ids that follow from where the files lie and what is said."""
    times = Counter(entry.id for entry in entries)
    for entry in entries:
        if times[entry.id] > 1:
            places = [Path(os.path.relpath(file, root.resolve())).as_posix() for file in (entry.main, entry.pair)]
            said = "\n".join([*places, entry.facts["instruction"]]).encode("utf-8", "backslashreplace")
            yield replace(entry, id=f"{entry.id}-{hashlib.blake2b(said, digest_size=4).hexdigest()}")
        else:
            yield entry


def _rows(file: Path) -> Iterator[Mapping[str, Any]]:
    if file.suffix == ".json":
        values = load_json(file)
        lists = [values[name] for name in _LISTS if isinstance(values, dict) and isinstance(values.get(name), list)]
        yield from _flat(lists[0] if lists else values)
        return
    try:
        if file.suffix == ".csv":
            yield from csv_rows(file).values()
        else:
            yield from map(_object, filter(str.strip, file.read_text(encoding="utf-8-sig").split("\n")))
    except (ValueError, OSError) as error:
        raise SourceError(f"{file}: cannot be read ({' '.join(str(error).split())[:120]})") from None


def _object(line: str) -> Mapping[str, Any]:
    """Return the object on a line; an empty one where there is none, which is no pair."""
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {}


def _flat(values: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the objects of a list, and of the lists in it."""
    for value in values if isinstance(values, list) else []:
        if isinstance(value, dict):
            yield value
        else:
            yield from _flat(value)


def _first(row: Mapping[str, Any], names: tuple[str, ...]) -> str:
    return next((row[name] for name in names if isinstance(row.get(name), str) and row[name]), "")


def _located(file: Path, name: str, root: Path) -> Path:
    """Return where a file is: below the list's folder, or below a folder above it, up to the one that was named.

    Archives put folders in between that the lists do not know of (`videos`, `obj_swap_upload`, `source/source`). Then a file
    elsewhere counts whose path ends as the list says, but for such folders, if it is the only one of the list's group: below
    the nearest folder that has both the list and videos. One of the same name elsewhere is another video. Where there is none
    the path is that which was expected, and nothing lies there.
    """
    top = root if root.is_dir() else root.parent
    folders = [folder for folder in file.parents if folder == top or top in folder.parents]
    found = next((folder / name for folder in folders if (folder / name).exists()), None)
    if found is None:
        group = next((folder for folder in folders if _has_videos(top, folder)), top)
        alike = [path for path in _by_name(top).get(Path(name).name, []) if group in path.parents]
        fitting = [path for path in alike if _ends_as(path.relative_to(top).parts, Path(name).parts)]
        found = fitting[0] if len(fitting) == 1 else file.parent / name
    return found.resolve()


def _ends_as(found: Sequence[str], listed: Sequence[str]) -> bool:
    """Whether a path ends as a listed one does, but for folders that archives put in."""
    wanted = _plain(listed)
    without = [part for part in found if not part.endswith(_INSERTED)]
    return any(parts[-len(wanted) :] == wanted for parts in (_plain(found), _plain(without)))


def _plain(parts: Sequence[str]) -> list[str]:
    """Return a path's parts as before it was packed: `obj_swap_upload` is `obj_swap`, and `source/source` is `source`."""
    names = [part.removesuffix(_INSERTED) for part in parts]
    return [name for place, name in enumerate(names) if place == 0 or name != names[place - 1]]


@cache
def _has_videos(top: Path, folder: Path) -> bool:
    return any(folder in path.parents for paths in _by_name(top).values() for path in paths)


@cache
def _by_name(top: Path) -> dict[str, list[Path]]:
    files: dict[str, list[Path]] = {}
    for path in visible_files(top):
        if path.suffix.lower() in EXTENSIONS:
            files.setdefault(path.name, []).append(path)
    return files


LAYOUT = Layout(
    summary="editing pairs by a .json, .jsonl or .csv list (Ditto-1M, Senorita-2M and others)", entries=entries
)
