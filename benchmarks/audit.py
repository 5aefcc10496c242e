"""Checking a finished run: its numbers follow from its rows, and its rows from the answers that were kept."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.kept import kept_files, value_of, values_of
from benchmarks.metrics import Outcome, get_metrics
from benchmarks.metrics.together import TOGETHER, Array
from benchmarks.report import make_boards, to_json
from benchmarks.report.stored import load_run
from benchmarks.runner import Run, prediction_path
from benchmarks.scoring import Row
from benchmarks.settings import BenchSettings
from benchmarks.workers import masks_path
from configs import DatasetError
from shards import Dataset
from shards.codecs import decode_video
from shards.storage import sha256_of

_SAME = 1e-9
"""Relative difference that another order of sums may make."""


_WORDS = {"notes", "convention", "unavailable"}
"""What a newer version may say in other words."""


def audit(
    folder: Path, *, rows_per_method: int = 3, method: str | None = None, key: str | None = None
) -> tuple[list[str], int]:
    """Return what is wrong with a finished run, in words, and how many rows were scored again from kept answers.

    The rows are those that were written, of one protocol and one dataset (`load_run`); the tables are computed again from
    them; and for each task and method some rows are scored again from the clips kept in `predictions/`. `method`, `key`: only
    these, and then all of them.

    Raises:
        DatasetError: there is no finished run, its rows were changed, its dataset is gone or another, or nothing matches.
    """
    run = load_run(folder)
    dataset = Dataset(run.facts["dataset"])
    if dataset.manifest.sha256 != run.facts["dataset_sha256"]:
        raise DatasetError(f"{folder} scored another content than {dataset.root} now holds: it cannot be scored again")
    wrong = list(_tables(folder, run))
    chosen = _chosen(folder, run.rows, rows_per_method, method, key)
    if not chosen:
        what = " ".join(word for word in (method, key) if word) or "any row"
        raise DatasetError(
            f"{folder} keeps no answer for {what}; 'bench run' keeps those of `keep` samples of each task"
        )
    for row in chosen:
        wrong += _row(folder, row, dataset, run.facts)
    wrong += _together(folder, run)
    return wrong, len(chosen)


def _tables(folder: Path, run: Run) -> Iterator[str]:
    """Compare the tables that were written with those that follow from the rows."""
    path = folder / "leaderboard.json"
    if not path.is_file():
        yield f"{path} is missing; 'bench report {folder}' writes it again"
        return
    written = json.loads(path.read_text(encoding="utf-8"))
    computed = json.loads(to_json(make_boards(run, BenchSettings(**run.facts["settings"]))))
    for place in _differences(written, computed, "leaderboard"):
        yield f"{path.name} does not follow from the rows: {place}"


def _differences(a: Any, b: Any, place: str) -> Iterator[str]:
    if isinstance(a, dict) and isinstance(b, dict) and a.keys() == b.keys():
        for name in a.keys() - _WORDS:
            yield from _differences(a[name], b[name], f"{place}.{name}")
    elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        for number, (one, other) in enumerate(zip(a, b, strict=True)):
            name = one.get("method", number) if isinstance(one, dict) else number
            yield from _differences(one, other, f"{place}[{name}]")
    elif isinstance(a, float) and isinstance(b, float):
        if not math.isclose(a, b, rel_tol=_SAME, abs_tol=_SAME):
            yield f"{place} is written {a:g}, computed {b:g}"
    elif a != b:
        yield f"{place} differs"


def _together(folder: Path, run: Run) -> Iterator[str]:
    """Compute the numbers of all clips together again from what is kept of each."""
    for (task, method), said in run.together.items():
        own = [row for row in run.rows if (row["task"], row["method"]) == (task, method)]
        for name, value in values_of(said).items():
            found = value_of(folder, TOGETHER[name], own, run.facts["networks"])
            if not isinstance(found, float) or not math.isclose(found, value, rel_tol=1e-6, abs_tol=1e-6):
                yield f"{task} {method}: {name} is written {value:g}, computed again {found}"


def _chosen(folder: Path, rows: Sequence[Row], count: int, method: str | None, key: str | None) -> list[Row]:
    kept = [row for row in rows if row["status"] == "ok" and prediction_path(folder, row).is_file()]
    if method is not None or key is not None:
        return [row for row in kept if method in (None, row["method"]) and key in (None, row["key"])]
    found: dict[tuple[str, str], list[Row]] = {}
    for row in kept:
        found.setdefault((row["task"], row["method"]), []).append(row)
    # spread over the samples, and others for each method
    return [
        own[(number * len(own) // count + shift) % len(own)]
        for shift, own in enumerate(found.values())
        for number in range(min(count, len(own)))
    ]


def _row(folder: Path, row: Row, dataset: Dataset, facts: dict[str, Any]) -> Iterator[str]:
    """Score a row's kept answer again."""
    weights, networks = facts["settings"]["weights"], facts["networks"]
    path = prediction_path(folder, row)
    name = f"{row['task']} {row['method']} {row['key']}"
    if sha256_of(path) != row["kept_sha256"]:
        yield f"{name}: {path.name} is not the answer that was scored"
        return
    masks = None
    if isinstance(row.get("masks_sha256"), str):
        kept = masks_path(path)
        if not kept.is_file() or sha256_of(kept) != row["masks_sha256"]:
            yield f"{name}: {kept.name} is not the masks that were scored"
            return
        masks = decode_video(kept.read_bytes())[..., 0]
    outcome = Outcome(dataset[row["key"]], decode_video(path.read_bytes()), weights, masks)
    for metric in get_metrics(row["task"]):
        if metric.name in row.get("unavailable", {}):
            continue
        found = metric.score(outcome) if metric.fits(outcome.prediction.shape) else None
        written = row["scores"].get(metric.name)
        if (found is None) != (written is None):
            yield f"{name}: {metric.name} is written {written}, scored again {found}"
        elif found is not None and not math.isclose(found, written, rel_tol=_SAME, abs_tol=_SAME):
            yield f"{name}: {metric.name} is written {written:g}, scored again {found:g}"
    for column, files in kept_files(folder, row, networks):
        for what, path, seen in zip(("answer", "target"), files, TOGETHER[column].look(outcome), strict=False):
            if not path.is_file() or not _alike(np.load(path), seen):
                yield f"{name}: {path} is not what {TOGETHER[column].kept_as} has of the {what}"


def _alike(a: Array, b: Array) -> bool:
    return a.shape == b.shape and np.allclose(a, b, rtol=1e-3, atol=1e-4)
