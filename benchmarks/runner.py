"""Running methods on samples: one row each, written at once, and never computed twice."""

from __future__ import annotations

import hashlib
import json
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.methods import Context, Method, methods_for
from benchmarks.methods.base import Restore
from benchmarks.metrics import Metric, get_metrics
from benchmarks.settings import BenchSettings
from benchmarks.suite import Suite
from configs import OutputError
from shards import Sample, encode_preview
from shards.storage import publish, publish_json, remove_temporaries

Row = dict[str, Any]
ROWS = "rows.jsonl"


@dataclass(frozen=True, kw_only=True)
class Job:
    """One method on all samples of one task."""

    task: str
    method: Method
    context: Context
    rows: list[dict[str, Any]]


class Progress:
    """What a run tells about itself; this one is silent."""

    def started(self, jobs: list[Job], reused: int) -> None:
        """All jobs are known; `reused` rows of an earlier run serve again."""

    def scored(self, row: Row) -> None:
        """One row is there, new or reused."""


def run(
    suite: Suite,
    settings: BenchSettings,
    out: Path,
    *,
    model: Path | None = None,
    progress: Progress | None = None,
) -> list[Row]:
    """Score every method that fits on every sample, and return the rows; they are also in `out/rows.parquet`.

    Rows that an earlier run left in `out` serve again where the sample, the method, its weights and the metrics are
    the same. A method that crashes or answers something else than a clip of the input's size gets a row that says so.

    Raises:
        OutputError: `out` cannot be written.
        ConfigError: a method is unknown or lacks its model.
    """
    progress = progress or Progress()
    jobs = list(_jobs(suite, settings, model))
    _prepare(out)
    known = {row["id"]: row for row in read_rows(out) if row["status"] == "ok"}
    wanted = {id(job): [row_id(job, row["key"], suite) for row in job.rows] for job in jobs}
    progress.started(jobs, sum(name in known for names in wanted.values() for name in names))
    rows: list[Row] = []
    for job in jobs:
        for row in _run_job(job, wanted[id(job)], known, suite, out):
            rows.append(row)
            progress.scored(row)
    _publish(out, rows, suite, settings, model)
    return rows


def row_id(job: Job, key: str, suite: Suite) -> str:
    """Return a hash of everything that decides a row."""
    metrics = [(metric.name, metric.version) for metric in get_metrics(job.task)]
    parts = [suite.dataset.manifest.sha256, key, job.method.fingerprint(job.context), metrics]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:24]


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


def preview_path(out: Path, method: str, key: str) -> Path:
    """Return where the clip that a method answered is kept, for people to look at."""
    return out / "clips" / method / f"{key}.mp4"


def _jobs(suite: Suite, settings: BenchSettings, model: Path | None) -> Iterator[Job]:
    for task in suite.tasks:
        context = Context(dataset=suite.dataset, task=task, model=model, seed=settings.seed)
        for method in methods_for(task, settings.methods, model):
            yield Job(task=task, method=method, context=context, rows=suite.rows[task])


def _prepare(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out} is a file; --out must name a folder")
    publish(out / ".writable", "")
    (out / ".writable").unlink()
    remove_temporaries(out)
    # a line that a kill cut short would swallow the next one
    if (out / ROWS).is_file():
        publish(out / ROWS, "".join(json.dumps(row) + "\n" for row in read_rows(out)))


def _run_job(job: Job, ids: list[str], known: dict[str, Row], suite: Suite, out: Path) -> Iterator[Row]:
    restore: Restore | None = None
    for name, index in zip(ids, job.rows, strict=True):
        if name in known and preview_path(out, job.method.name, index["key"]).is_file():
            yield known[name]
            continue
        try:
            if restore is None:
                restore = _warmed(job.method.make(job.context), suite.dataset[index["key"]])
            row = _score(job, restore, suite.dataset[index["key"]], out)
        except Exception as error:  # a method may raise anything: it loses this cell and no other
            row = {"status": "failed", "error": _describe(error)}
        row |= {
            "id": name,
            "task": job.task,
            "method": job.method.name,
            "key": index["key"],
            "source_id": index["source_id"],
        }
        with (out / ROWS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        yield row


def _warmed(restore: Restore, sample: Sample) -> Restore:
    """Call a method once without counting it: its first call may load or compile things."""
    restore(sample.source[:1].copy(), sample.instruction, sample.reference, None)
    return restore


def _score(job: Job, restore: Restore, sample: Sample, out: Path) -> Row:
    started = time.perf_counter()
    answer = restore(sample.source.copy(), sample.instruction, sample.reference, sample.mask)
    seconds = time.perf_counter() - started
    check_answer(answer, sample)
    publish(preview_path(out, job.method.name, sample.key), encode_preview(answer, sample.meta.fps))
    scores = {metric.name: _mean(metric, answer, sample) for metric in get_metrics(job.task)}
    frames = len(sample.source)
    return {"status": "ok", "error": "", "scores": scores, "frames": frames, "seconds_per_frame": seconds / frames}


def check_answer(answer: Any, sample: Sample) -> None:
    """Raise `ValueError` unless `answer` is a uint8 clip of the sample's shape."""
    if not isinstance(answer, np.ndarray):
        raise ValueError(f"answered a {type(answer).__name__}, not an array")
    if np.issubdtype(answer.dtype, np.floating) and not np.isfinite(answer).all():
        raise ValueError("answered values that are not finite numbers")
    if answer.dtype != np.uint8 or answer.shape != sample.source.shape:
        raise ValueError(f"answered {answer.dtype} {list(answer.shape)}, not uint8 {list(sample.source.shape)}")


def _mean(metric: Metric, answer: np.ndarray[Any, Any], sample: Sample) -> float:
    return float(np.mean(metric.function(answer, sample.target)))


def _describe(error: Exception) -> str:
    place = traceback.extract_tb(error.__traceback__)[-1]
    text = " ".join(str(error).split())[:300]
    return f"{type(error).__name__}: {text} ({Path(place.filename).name}:{place.lineno})"


def _publish(out: Path, rows: list[Row], suite: Suite, settings: BenchSettings, model: Path | None) -> None:
    import io

    import pandas as pd

    table = pd.DataFrame([{**{k: v for k, v in row.items() if k != "scores"}, **row.get("scores", {})} for row in rows])
    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False)
    publish(out / "rows.parquet", buffer.getvalue())
    facts = {
        "dataset": str(suite.dataset.root),
        "dataset_sha256": suite.dataset.manifest.sha256,
        "split": suite.split,
        "settings": settings.model_dump(mode="json"),
        "model": str(model) if model else "",
        "machine": machine(),
    }
    publish_json(out / "run.json", facts)


def machine() -> str:
    """Say what the methods ran on."""
    import os
    import platform

    name = platform.processor() or platform.machine()
    return f"{name}, {os.cpu_count()} cores, {platform.system()}"
