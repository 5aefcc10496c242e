"""A table of videos: CSV or parquet, a row each, with captions, licences, masks or the other side of a pair."""

from __future__ import annotations

import json
import sys
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
    columns = _columns(path, list(rows[0]) if rows else [])
    _tell_unused(path, list(rows[0]), columns)
    values = [{field: _text(row[column]) for field, column in columns.items()} for row in rows]
    found = [_entry(path, number, row) for number, row in enumerate(values, start=1)]
    rated = [entry for entry in found if entry.fps and Path(entry.main).suffix.lower() in EXTENSIONS]
    if rated:
        _tell(
            f"{path}: fps is that of a folder of pictures, not used of {len(rated)} video files, which have their own"
        )
    groups = {entry.main: entry.group for entry in reversed(found) if entry.group}
    first: dict[str, int] = {}
    for number, entry in enumerate(found, start=1):
        same = first.setdefault(json.dumps([entry.tracks, entry.task, dict(entry.facts)], sort_keys=True), number)
        if same != number:
            yield replace(entry, problem=f"duplicate: row {number} is of the same video as row {same}, which counts")
        else:
            yield replace(entry, group=entry.group or groups.get(entry.main, ""))


def has_masks(path: Path) -> bool:
    """Whether a table has masks for any of its videos."""
    rows = _rows(path)
    column = _columns(path, list(rows[0])).get("masks")
    return column is not None and any(_text(row[column]) for row in rows)


def _entry(table: Path, number: int, values: dict[str, str]) -> Entry:
    where = f"{table}, row {number}"
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
    )


def _rows(path: Path) -> list[dict[str, Any]]:
    import pandas as pd

    try:
        if path.suffix.lower() == ".parquet":
            frame = pd.read_parquet(path)
        elif path.suffix.lower() in (".jsonl", ".json"):
            frame = pd.read_json(path, lines=path.suffix.lower() == ".jsonl", dtype=False)
        else:
            frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise SourceError(f"{path}: cannot be read as a table ({' '.join(str(error).split())[:120]})") from None
    if frame.empty:
        raise SourceError(f"{path}: the table has no rows")
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def _columns(path: Path, found: list[str]) -> dict[str, str]:
    by_name = {str(column).strip().lower(): column for column in reversed(found)}
    columns = {
        field: by_name[name]
        for field, names in _NAMES.items()
        if (name := next((n for n in names if n in by_name), None)) is not None
    }
    if "path" not in columns:
        raise SourceError(f"{path}: no column of paths; it has {', '.join(map(str, found))}, wanted is 'path'")
    return columns


def _tell_unused(path: Path, found: Sequence[str], columns: dict[str, str]) -> None:
    """Say which columns have no meaning here, and what was probably meant."""
    # what pandas calls the column of an index
    unused = [name for name in found if name not in columns.values() and not name.startswith("Unnamed: ")]
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


def _text(value: Any) -> str:
    # NaN, the emptiness of parquet, is the one value that differs from itself
    return "" if value is None or value != value else str(value).strip()


def _absolute(table: Path, path: str) -> str:
    return str((table.parent / path).resolve()) if path else ""


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
