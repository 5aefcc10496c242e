"""What is kept of each clip as it is scored, for columns that have one number for all clips together, and that number."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.metrics import NotAvailable, Outcome
from benchmarks.metrics.together import TOGETHER, Array, Together, get_together
from benchmarks.networks import located
from benchmarks.scoring import Job, Row
from shards.storage import publish

KEPT = "kept"
"""The folder of a run that has it."""


class Kept(NamedTuple):
    """What is kept of a clip for a column, and those that share it: the file of its answer and, if there is one, its target."""

    column: str
    files: list[Path]


def kept_files(folder: Path, row: Row, networks: Mapping[str, str]) -> list[Kept]:
    """Return what is kept of a row's clip; nothing for networks that are not here.

    `networks`: their versions by name.
    """
    found = {}
    for column in get_together(row["task"]):
        known = column.version_for(row, networks)
        if known is not None:
            tag = hashlib.sha256(f"{row['dataset']} {known}".encode()).hexdigest()[:8]
            names = [f"{row['id']}-{tag}.npy", f"target-{row['key']}-{tag}.npy"]
            place = folder / KEPT / column.kept_as
            found[column.kept_as] = Kept(column.name, [place / name for name in names[: 1 + column.keeps_targets]])
    return list(found.values())


def keep(outcome: Outcome, wanted: Sequence[Kept]) -> dict[str, str]:
    """Write what is kept of an answer and its target; return the columns that cannot be had, with the reason."""
    unavailable: dict[str, str] = {}
    for name, files in wanted:
        column = TOGETHER[name]
        try:
            # the targets are the same for all methods, and may be there
            arrays = column.look(outcome, answer_only=files[-1].is_file())
            for path, array in zip(files, arrays, strict=False):
                _write(path, array)
        except NotAvailable as missing:
            unavailable |= {one.name: str(missing) for one in TOGETHER.values() if one.kept_as == column.kept_as}
    return unavailable


def measure(folder: Path, jobs: Sequence[Job], rows: Sequence[Row]) -> dict[tuple[str, str], Row]:
    """Return the numbers of each job, by task and method and then column; one that is not told has the reason for a value."""
    found: dict[tuple[str, str], Row] = {}
    for job in jobs:
        own = [row for row in rows if (row["task"], row["method"]) == (job.task, job.method.name)]
        said: Row = {}
        for column in get_together(job.task):
            try:
                for network in column.networks:
                    located(network, job.weights)
                value = value_of(folder, column, own, job.networks)
            except NotAvailable as missing:
                value = str(missing)
            if value is not None:
                said[column.name] = value
        if said:
            # as they will be read back: tables show them in their order
            found[job.task, job.method.name] = dict(sorted(said.items()))
    return found


def value_of(folder: Path, column: Together, rows: Sequence[Row], networks: Mapping[str, str]) -> float | str | None:
    """Return a column's number for a method's rows, or why it is not told; None where there is nothing to measure."""
    told = next((row["unavailable"][column.name] for row in rows if column.name in row.get("unavailable", {})), None)
    if told is not None:
        return str(told)
    own = [_files_of(folder, column, row, networks) for row in rows]
    if column.optional and not any(own):
        return None
    failed = sum(row["status"] != "ok" for row in rows)
    if failed:
        return f"{failed} of {len(rows)} clips have no answer"
    if not all(path.is_file() for files in own for path in files):
        return "what was kept of the clips is gone; run again"
    return column.value(rows, [[np.load(path) for path in files] for files in own])


def _files_of(folder: Path, column: Together, row: Row, networks: Mapping[str, str]) -> list[Path]:
    kept = kept_files(folder, row, networks)
    return next((files for name, files in kept if TOGETHER[name].kept_as == column.kept_as), [])


def _write(path: Path, array: Array) -> None:
    buffer = io.BytesIO()
    np.save(buffer, array)
    publish(path, buffer.getvalue())


def values_of(said: dict[str, Any]) -> dict[str, float]:
    """Return the numbers that are told."""
    return {name: value for name, value in said.items() if isinstance(value, float)}


def reasons_of(said: dict[str, Any]) -> dict[str, str]:
    """Return why the others are not."""
    return {name: value for name, value in said.items() if isinstance(value, str)}
