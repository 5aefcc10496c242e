"""Running methods on samples: one row each, written at once, and never computed twice."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.methods import Context, Method, check_methods, methods_for
from benchmarks.methods.base import Restore
from benchmarks.metrics import Metric, get_metrics
from benchmarks.settings import BenchSettings
from benchmarks.suite import Suite
from configs import DatasetError, OutputError
from shards import Sample, encode_preview
from shards.sample import Video
from shards.storage import publish, publish_json, remove_temporaries

Row = dict[str, Any]
ROWS = "rows.jsonl"
Crash = (Exception, SystemExit)
"""What a method may do to itself alone; Ctrl-C and SIGTERM end the run."""


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
        ConfigError: a method is unknown, lacks its model or fits no task.
        DatasetError: a sample cannot be read, or is too small for a metric. That is no fault of a method, so it ends
            the run.
    """
    progress = progress or Progress()
    check_sizes(suite)
    check_methods(settings.methods, suite.tasks, model)
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


def check_sizes(suite: Suite) -> None:
    """Raise unless every sample is large enough for its task's metrics.

    Raises:
        DatasetError: one is not.
    """
    for task, rows in suite.rows.items():
        for metric in get_metrics(task):
            small = next((row for row in rows if min(row["height"], row["width"]) < metric.least_side), None)
            if small is not None:
                raise DatasetError(
                    f"{suite.dataset.root}: {metric.name} needs frames of {metric.least_side} pixels at least, "
                    f"{small['key']} is {small['width']}x{small['height']}; build it with a larger clip.size"
                )


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


def preview_path(out: Path, row: Row) -> Path:
    """Return where the clip that a row scored is kept, for people to look at: its name has the row's id, because
    another version of the method, or other weights, answer another clip for the same sample."""
    return out / "clips" / row["method"] / f"{row['key']}-{row['id'][:8]}.mp4"


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
        row = _identity(job, name, index, suite)
        if name in known and preview_path(out, row).is_file():
            yield known[name]
            continue
        sample = suite.dataset[index["key"]]
        if restore is None:
            restore = _made(job, sample)
        row |= _score(job, restore, sample, preview_path(out, row))
        with (out / ROWS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        yield row


def _identity(job: Job, name: str, index: dict[str, Any], suite: Suite) -> Row:
    """Return the part of a row that says what was scored, and by what."""
    return {
        "id": name,
        "task": job.task,
        "method": job.method.name,
        "key": index["key"],
        "source_id": index["source_id"],
        # names of videos may repeat from folder to folder, contents do not
        "video": index["source_sha256"],
        "dataset": suite.dataset.manifest.sha256,
        "method_version": job.method.version,
        "metric_versions": ", ".join(f"{metric.name} {metric.version}" for metric in get_metrics(job.task)),
    }


def _made(job: Job, sample: Sample) -> Restore:
    """Make the method and call it once without counting it: its first call may load or compile things."""
    try:
        restore = job.method.make(job.context)
    except Crash as error:
        return _raises(error)
    # a clip it cannot take is told when that clip is scored
    with contextlib.suppress(*Crash):
        _answer(restore, sample)
    return restore


def _raises(error: BaseException) -> Restore:
    """Return a method that fails on every clip because it could not be made; making it again would fail again."""

    def restore(clip: Video, instruction: str, reference: Any, mask: Any) -> Video:
        raise error

    return restore


def _answer(restore: Restore, sample: Sample) -> Video:
    return restore(sample.source.copy(), sample.instruction, sample.reference, sample.mask)


def _score(job: Job, restore: Restore, sample: Sample, preview: Path) -> Row:
    try:
        started = time.perf_counter()
        answer = _answer(restore, sample)
        seconds = time.perf_counter() - started
        check_answer(answer, sample)
        scores = {metric.name: _mean(metric, answer, sample) for metric in get_metrics(job.task)}
    except Crash as error:  # it loses this cell and no other
        return {"status": "failed", "error": _describe(error)}
    publish(preview, encode_preview(answer, sample.meta.fps))
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


def _describe(error: BaseException) -> str:
    place = traceback.extract_tb(error.__traceback__)[-1]
    text = " ".join(str(error).split())[:300]
    return f"{type(error).__name__}: {text} ({Path(place.filename).name}:{place.lineno})"


def _publish(out: Path, rows: list[Row], suite: Suite, settings: BenchSettings, model: Path | None) -> None:
    import io

    import pandas as pd

    table = pd.DataFrame([{**{k: v for k, v in row.items() if k != "scores"}, **row.get("scores", {})} for row in rows])
    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False)
    # rows and facts that belong to different runs must never stand together, whenever this is killed
    (out / "run.json").unlink(missing_ok=True)
    publish(out / "rows.parquet", buffer.getvalue())
    facts = {
        "dataset": str(suite.dataset.root.resolve()),
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
