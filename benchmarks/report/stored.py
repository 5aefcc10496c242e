"""Runs as they lie in a folder, read back and checked."""

from __future__ import annotations

import json
import math
from collections.abc import Hashable, Mapping
from pathlib import Path

import pandas as pd

from benchmarks.metrics import METRICS
from benchmarks.runner import PROTOCOL, Run
from benchmarks.scoring import Row
from configs import DatasetError
from shards import Dataset
from shards.storage import sha256_of


def load_run(folder: Path) -> Run:
    """Return the run that `bench run` left in a folder.

    Raises:
        DatasetError: no finished run there, a damaged or changed one, or rows that do not belong together.
    """
    check_finished(folder)
    try:
        facts = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        check_protocol({facts["protocol"]}, folder)
        costs = {(row["task"], row["method"]): row for row in facts["costs"]}
        together = {(row.pop("task"), row.pop("method")): row for row in facts["together"]}
        sha256 = facts["rows_sha256"]
        rows = stored_rows(folder)
    except (ValueError, KeyError, TypeError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DatasetError(
            f"the run in {folder} is damaged ({reason}); 'bench run --out {folder}' makes it again"
        ) from None
    if sha256_of(folder / "rows.parquet") != sha256:
        raise DatasetError(
            f"{folder}/rows.parquet is not what 'bench run' wrote: it was changed; 'bench run --out {folder}' makes it again"
        )
    check_together(rows, folder)
    return Run(rows=rows, facts=facts, costs=costs, together=together)


def check_finished(folder: Path) -> None:
    """Raise unless a run in a folder was finished.

    Raises:
        DatasetError: there is none.
    """
    if not (folder / "run.json").is_file() or not (folder / "rows.parquet").is_file():
        raise DatasetError(
            f"{folder} holds no finished benchmark run (no rows.parquet); 'bench run --out {folder}' makes one"
        )


def scored_dataset(folder: Path, run: Run, data: Path | None = None) -> Dataset:
    """Return the dataset that a run scored, from `data` or from where it was.

    Raises:
        DatasetError: it is not there, or has other content.
    """
    root, scored = data or Path(run.facts["dataset"]), run.facts["dataset_sha256"]
    if data is None and not root.exists():
        raise DatasetError(f"{folder} scored {root}, which is not there any more; --data FOLDER says where it is now")
    dataset = Dataset(root)
    if dataset.manifest.sha256 != scored:
        raise DatasetError(
            f"{folder} scored content {scored[:12]}, and {root} holds {dataset.manifest.sha256[:12]}; 'bench run' scores it "
            "anew, and --data FOLDER names another place"
        )
    return dataset


def stored_rows(folder: Path) -> list[Row]:
    """Return the rows of `rows.parquet` as the runner made them."""
    rows = []
    for values in pd.read_parquet(folder / "rows.parquet").to_dict("records"):
        weights = {f"{name}.weight" for name in METRICS}
        row: Row = {str(name): value for name, value in values.items() if name not in METRICS and name not in weights}
        row["scores"] = _of_metrics(values, "")
        row["weights"] = _of_metrics(values, ".weight")
        row["unavailable"] = json.loads(row["unavailable"])
        row["suspicions"] = [word for word in str(row["suspicions"]).split("; ") if word]
        rows.append(row)
    return rows


def check_protocol(protocols: set[int], folder: Path) -> None:
    """Raise unless all protocols are this version's.

    Raises:
        DatasetError: they are not.
    """
    if protocols != {PROTOCOL}:
        found = ", ".join(map(str, sorted(protocols)))
        raise DatasetError(
            f"{folder} has rows of protocol {found}, this version scores by {PROTOCOL}: they must not stand side by side; "
            f"'bench run --out {folder}' makes them again"
        )


def check_together(rows: list[Row], folder: Path) -> None:
    """Raise unless all rows follow one protocol, score one dataset, and no method has a sample twice or lacks one.

    Raises:
        DatasetError: they do not.
    """
    check_protocol({row["protocol"] for row in rows}, folder)
    if any("leaked" not in row for row in rows):
        raise DatasetError(
            f"the rows in {folder} do not say who had seen their videos, as an earlier version left them; "
            f"'bench run --out {folder}' with the same options adds it, and scores nothing anew"
        )
    for what, name in (("dataset", "dataset"), ("task", "metric_versions")):
        for task in {row["task"] for row in rows}:
            if len({row[name] for row in rows if row["task"] == task}) > 1:
                raise DatasetError(f"{folder} mixes rows of more than one {name.replace('_', ' ')} in {what} {task}")
    for task in {row["task"] for row in rows}:
        keys = {
            name: sorted(r["key"] for r in rows if r["task"] == task and r["method"] == name)
            for name in _names(rows, task)
        }
        if len({tuple(own) for own in keys.values()}) > 1 or any(len(set(own)) < len(own) for own in keys.values()):
            raise DatasetError(f"{folder}: the methods of {task} were not scored on the same samples, each once")


def _names(rows: list[Row], task: str) -> list[str]:
    return list(dict.fromkeys(row["method"] for row in rows if row["task"] == task))


def _of_metrics(values: Mapping[Hashable, object], ending: str) -> dict[str, float]:
    found = {}
    for name in METRICS:
        value = values.get(name + ending)
        if isinstance(value, float) and math.isfinite(value):
            found[name] = value
    return found
