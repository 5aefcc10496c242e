"""A table of videos: CSV or parquet, a row each, with captions, licences, masks or the other side of a pair."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from configs import SourceError, unknown_name
from datagen.sources.layouts import Layout
from datagen.sources.library import Entry
from shards import task_names
from shards.video import EXTENSIONS

_NAMES = {
    "path": ("path", "video", "video_path", "videopath", "file", "file_name", "filename", "source_path"),
    "id": ("id", "video_id", "videoid", "key"),
    "caption": ("caption", "text", "prompt"),
    "licence": ("licence", "license"),
    "split": ("split",),
    "fps": ("fps",),
    "masks": ("masks", "mask", "mask_path"),
    "depth": ("depth", "depth_path"),
    "depth_scale": ("depth_scale",),
    "group": ("group", "source_video"),
    "pair": ("pair", "edited", "edited_path", "degraded"),
    "task": ("task",),
    "instruction": ("instruction", "edit_instruction"),
    "before": ("before", "source_caption", "source_prompt"),
    "after": ("after", "target_caption", "target_prompt", "edited_caption"),
    "expression": ("expression", "object"),
}
"""What a column may be called."""
_SHOWN = 5
_WORDS = ("caption", "instruction", "before", "after")
_EMPTY = {"", "nan", "none", "null", "<na>", "#n/a", "n/a"}
"""What programs write where there is nothing."""
_SPLITS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


def entries(path: Path) -> Iterator[Entry]:
    """Yield a video for every row; paths are relative to the table's folder.

    Columns: `path`, and any of `id caption licence split group fps masks expression depth depth_scale pair task
    instruction before after`. `pair` needs `task`; `before` and `after` are captions of its sides. `expression` names the one
    object that `masks` shows. `fps` is that of a folder of pictures; files have their own. `depth` needs `depth_scale`, metres
    per unit. Videos of one `group` come into one split, and so do rows of one video; a row that says the same as one before it
    is a reject. What a table has that is not used is said once on stderr.

    Raises:
        SourceError: the table cannot be read, has no column of paths, or a row makes no sense.
    """
    rows = _rows(path)
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    columns = _columns(path, names)
    _tell_unused(path, names, columns)
    found = {place: _entry(path, place, _values(f"{path}, {place}", row, columns)) for place, row in rows.items()}
    rated = [entry for entry in found.values() if entry.fps and Path(entry.main).suffix.lower() in EXTENSIONS]
    if rated:
        _tell(
            f"{path}: fps is that of a folder of pictures, not used of {len(rated)} video files, which have their own"
        )
    groups = {entry.main: entry.group for entry in reversed(found.values()) if entry.group}
    first: dict[str, str] = {}
    for place, entry in found.items():
        same = first.setdefault(json.dumps([entry.tracks, entry.task, dict(entry.facts)], sort_keys=True), place)
        if same != place:
            yield replace(entry, problem=f"duplicate: {place} is of the same video as {same}, which counts")
        else:
            yield replace(entry, group=entry.group or groups.get(entry.main, ""))


def has_masks(path: Path) -> bool:
    """Whether a table has masks for any of its videos."""
    rows = _rows(path)
    column = _columns(path, list(dict.fromkeys(name for row in rows.values() for name in row))).get("masks")
    return column is not None and any(_text(row.get(column)) for row in rows.values())


def _entry(table: Path, place: str, values: dict[str, str]) -> Entry:
    where = f"{table}, {place}"
    if not values["path"]:
        raise SourceError(f"{where}: no path")
    pair, task, split = values.get("pair", ""), values.get("task", ""), values.get("split", "").lower()
    if pair and task not in task_names():
        raise SourceError(f"{where}: a pair needs a task; {unknown_name('task', task, task_names())}")
    if split and split not in _SPLITS:
        raise SourceError(f"{where}: {unknown_name('split', split, _SPLITS)}")
    facts: dict[str, Any] = {name: values[name] for name in _WORDS if values.get(name)}
    if values.get("expression"):
        facts["names"] = {"1": [values["expression"]]}
    if values.get("depth"):
        facts["depth_scale"] = _number(where, "depth_scale", values.get("depth_scale", ""))
        if not 0 < facts["depth_scale"] < float("inf"):
            raise SourceError(f"{where}: depth needs depth_scale, metres per unit: 1 for metres, 0.001 for millimetres")
    main = _absolute(table, values["path"])
    return Entry(
        id=values.get("id") or Path(values["path"]).stem,
        name=values["path"],
        main=main,
        pair=_absolute(table, pair),
        task=task if pair else "",
        masks=_absolute(table, values.get("masks", "")),
        depth=_absolute(table, values.get("depth", "")),
        facts=facts,
        split=_SPLITS.get(split, ""),
        fps=_number(where, "fps", values.get("fps", "")),
        licence=values.get("licence", ""),
        group=f"{table.name} {values['group']}" if values.get("group") else "",
        problem=f"a URL: {place} must name a file; download it first" if "://" in values["path"] else "",
    )


def _rows(path: Path) -> dict[str, dict[str, Any]]:
    """Return the rows by where they are, `line 3` or `row 2`; the header of a CSV is its line 1.

    Raises:
        SourceError: it cannot be read; of a text file the line is named.
    """
    kind = path.suffix.lower()
    read = {".parquet": _parquet_rows, ".jsonl": _json_lines, ".json": _json_rows}.get(kind, csv_rows)
    try:
        rows = read(path)
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise SourceError(
            f"{path}, line {line}: not UTF-8 (byte 0x{error.object[error.start]:02x}); save the table as UTF-8"
        ) from None
    except (OSError, ValueError) as error:
        raise SourceError(f"{path}: cannot be read as a table ({' '.join(str(error).split())[:120]})") from None
    if not rows:
        raise SourceError(f"{path}: the table has no rows")
    return rows


def csv_rows(path: Path) -> dict[str, dict[str, Any]]:
    """Return the rows of a CSV by where they are, `line 3`.

    Raises:
        SourceError: a row has other cells than the header, which would shift what follows in it.
        ValueError: it is not UTF-8.
    """
    # at once, so that whatever is no text is found with its place
    text = path.read_bytes().decode("utf-8-sig")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: dict[str, dict[str, Any]] = {}
    header: list[str] = []
    place = "line 1"
    try:
        for cells in reader:
            if cells and not header:
                header = _header(path, cells)
            elif cells and len(cells) != len(header):
                raise SourceError(
                    f"{path}, {place}: {len(cells)} cells, the header has {len(header)}; a cell with a comma in it needs "
                    "quotes around it, and an empty one its comma"
                )
            elif cells:
                rows[place] = dict(zip(header, cells, strict=True))
            place = f"line {reader.line_num + 1}"
    except csv.Error as error:
        raise SourceError(f"{path}, {place}: {error}; are its quotes in pairs?") from None
    return rows


def _header(path: Path, cells: list[str]) -> list[str]:
    known = {alias for aliases in _NAMES.values() for alias in aliases}
    doubled = [name for name, count in Counter(cells).items() if count > 1 and name.strip().lower() in known]
    if doubled:
        raise SourceError(f"{path}: two columns are called {doubled[0]!r}; keep one of them")
    return cells


def _json_lines(path: Path) -> dict[str, dict[str, Any]]:
    rows = {}
    for number, line in enumerate(path.read_bytes().decode("utf-8-sig").split("\n"), start=1):
        if line.strip():
            try:
                rows[f"line {number}"] = _object(json.loads(line))
            except ValueError as error:
                raise SourceError(f"{path}, line {number}: no JSON object ({error})") from None
    return rows


def _json_rows(path: Path) -> dict[str, dict[str, Any]]:
    values = json.loads(path.read_bytes().decode("utf-8-sig"))
    listed = values if isinstance(values, list) else [values]
    return {f"row {number}": _object(row) for number, row in enumerate(listed, start=1)}


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{type(value).__name__} found")
    return value


def _parquet_rows(path: Path) -> dict[str, dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        listed = pq.read_table(path).to_pylist()
    except pa.ArrowException as error:
        raise ValueError(str(error)) from None
    return {f"row {number}": row for number, row in enumerate(listed, start=1)}


def _columns(path: Path, found: list[str]) -> dict[str, str]:
    by_name = {str(column).strip().lower(): column for column in reversed(found)}
    columns = {
        field: by_name[name]
        for field, names in _NAMES.items()
        if (name := next((n for n in names if n in by_name), None)) is not None
    }
    if "path" not in columns:
        other = "; its columns must be separated by commas" if len(found) == 1 and set(found[0]) & set(";\t|") else ""
        raise SourceError(f"{path}: no column of paths; it has {', '.join(found)}, wanted is 'path'{other}")
    return columns


def _tell_unused(path: Path, found: Sequence[str], columns: dict[str, str]) -> None:
    """Say which columns have no meaning here, and what was probably meant."""
    # what pandas makes of the column of an index
    index = ("Unnamed: ", "__index_level_")
    unused = [name for name in found if name and name not in columns.values() and not name.startswith(index)]
    if not unused:
        return
    shown = ", ".join(map(repr, unused[:_SHOWN])) + (f", ... ({len(unused)} in all)" if len(unused) > _SHOWN else "")
    hints = {name: close for name in unused if (close := _meant(name, _NAMES.keys() - columns.keys()))}
    meant = [f"{close!r}" if len(unused) == 1 else f"{close!r} by {name!r}" for name, close in hints.items()]
    what = f"column {shown} is" if len(unused) == 1 else f"columns {shown} are"
    _tell(f"{path}: {what} not used" + (f"; did you mean {', '.join(meant)}?" if meant else ""))


def _meant(name: str, fields: Collection[str]) -> str:
    names = sorted(alias for field in fields for alias in _NAMES[field])
    return next(iter(get_close_matches(name.strip().lower(), names, n=1, cutoff=0.75)), "")


@cache
def _tell(warning: str) -> None:
    # a table is read more than once
    print(f"warning: {warning}", file=sys.stderr)


def _values(where: str, row: dict[str, Any], columns: dict[str, str]) -> dict[str, str]:
    for field, column in columns.items():
        if isinstance(row.get(column), list | dict):
            raise SourceError(f"{where}: {field} is a {type(row[column]).__name__}, it must be text")
        if "\0" in str(row.get(column)):
            raise SourceError(f"{where}: {field} has a zero byte in it")
    return {field: _text(row.get(column)) for field, column in columns.items()}


def _text(value: Any) -> str:
    text = value.decode(errors="backslashreplace") if isinstance(value, bytes) else str(value)
    return "" if text.strip().lower() in _EMPTY else text.strip()


def _absolute(table: Path, path: str) -> str:
    if not path:
        return ""
    # the shell's sign for the home folder, which no shell sees here
    file = Path(path).expanduser() if path.startswith("~/") else Path(path)
    return str((table.parent / file).resolve())


def _number(where: str, what: str, text: str) -> float:
    try:
        return float(text) if text else 0.0
    except ValueError:
        raise SourceError(f"{where}: {what} {text!r} is not a number") from None


LAYOUT = Layout(
    summary="a .csv, .parquet or .jsonl of paths with captions, licences, masks, depth or pairs, fps of folders",
    entries=entries,
    masks=has_masks,
)
