"""The folder of a run: what it may hold already, and that one process at a time writes there."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

from benchmarks.costs import COSTS
from benchmarks.scoring import Row
from configs import OutputError
from shards import Dataset
from shards.storage import locked

ROWS = "rows.jsonl"
_LOCK = ".lock"
_OF_A_RUN = {ROWS, "rows.parquet", "run.json", COSTS, "predictions"}
_BUILT_FIRST = {"scenes", "data", "runs"}
"""Datasets of suites and models of studies, which lie in a run's folder before it has rows."""


def check_out(out: Path) -> None:
    """Raise unless `out` is a folder for a run: one of an earlier run, an empty one, or none yet.

    Raises:
        OutputError: it is a file, a dataset, or holds something else.
    """
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out} is a file; --out must name a folder")
    names = {path.name for path in out.iterdir() if not path.name.startswith(".")} if out.is_dir() else set()
    if names - _BUILT_FIRST and not names & _OF_A_RUN:
        what = "a dataset" if "manifest.json" in names else "not empty and no run of the bench"
        raise OutputError(f"{out} is {what}; give --out a folder of its own")


def check_dataset(out: Path, dataset: Dataset) -> None:
    """Raise unless what was scored in `out` earlier, if anything, was of this dataset.

    Raises:
        OutputError: it was of another, whose tables would be lost.
    """
    held, content = {row["dataset"] for row in read_rows(out)}, dataset.manifest.sha256
    if held and content not in held:
        raise OutputError(
            f"{out} holds a run on another dataset (content {', '.join(name[:12] for name in sorted(held))}, and "
            f"{dataset.root} has {content[:12]}); give each dataset an --out of its own"
        )


def read_rows(out: Path) -> list[Row]:
    """Return the rows written so far; a last line cut short by a kill is left out."""
    path = out / ROWS
    if not path.is_file():
        return []
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return rows


@contextlib.contextmanager
def holding(out: Path) -> Iterator[None]:
    """Hold a run's folder for this process, from its first row to its page.

    Raises:
        OutputError: another run holds it, or it cannot be written or is no folder for a run.
    """
    check_out(out)
    with locked(out / _LOCK, out, "run"):
        yield
