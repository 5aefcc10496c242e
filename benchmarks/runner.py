"""Running methods on samples: one row each, written at once, and never computed twice."""

from __future__ import annotations

import hashlib
import io
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import costs, kept
from benchmarks.folders import ROWS, check_dataset, check_out, read_rows
from benchmarks.leaks import Leak, find_leaks, has_seen, learnt_from
from benchmarks.methods import METHODS, Context, Method, check_methods, methods_for
from benchmarks.metrics import get_metrics, headline
from benchmarks.metrics.together import get_together
from benchmarks.networks import version
from benchmarks.said import said_of_method, said_of_sample
from benchmarks.scoring import Job, Row
from benchmarks.settings import BenchSettings
from benchmarks.suite import Suite, damage, lacking, spread
from benchmarks.workers import Cell, masks_path, score_here, score_on_ray
from configs import DatasetError
from shards.storage import append_json, publish, publish_json, remove_temporaries, sha256_of

PROTOCOL = 5
"""Raised whenever rows of an earlier version must not stand beside new ones."""


class Progress:
    """What a run tells about itself; this one is silent."""

    def started(self, jobs: list[Job], reused: int) -> None:
        """All jobs are known; `reused` rows of an earlier run serve again."""

    def scored(self, row: Row) -> None:
        """One row is there, new or reused."""

    def timing(self, jobs: list[Job], done: int) -> None:
        """All samples are scored; of the jobs whose cost is measured then, so many are done."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """Everything that a report is made from: rows, what methods cost, and what was run."""

    rows: list[Row]
    facts: dict[str, Any]
    costs: dict[tuple[str, str], Row] = field(default_factory=dict)
    """By task and method."""
    together: dict[tuple[str, str], Row] = field(default_factory=dict)
    """Numbers of all answers together, by task and method and column; a reason in place of one that is not told."""

    @property
    def leaks(self) -> list[Leak]:
        """Who must not be ranked."""
        return find_leaks(self.rows)


def run(
    suite: Suite,
    settings: BenchSettings,
    out: Path,
    *,
    entrants: Sequence[Method] = (),
    workers: int = 0,
    address: str | None = None,
    progress: Progress | None = None,
) -> Run:
    """Score every method that fits on every sample; the rows are also in `out/rows.parquet`.

    `entrants`: methods beside the bench's own, such as a model. `workers`: actors on Ray; 0 scores in this process.
    Rows that an earlier run left in `out` serve again where the sample, the method, its weights and the metrics are
    the same. A method that crashes or answers something else than a clip of the input's size gets a row that says so.

    Raises:
        OutputError: `out` cannot be written, or holds a run on another dataset.
        ConfigError: a method is unknown or fits no task.
        NotAvailable: a method was named whose weights are not here.
        DatasetError: the dataset was changed, or a sample cannot be read or is too small for a metric. That is no fault
            of a method, so it ends the run.
    """
    progress = progress or Progress()
    check_sizes(suite)
    check_methods(settings.methods, suite.tasks, entrants, settings.weights.model_dump())
    check_learners(suite, settings)
    check_dataset(out, suite.dataset)
    check_content(suite)
    jobs = _jobs(suite, settings, entrants)
    _prepare(out)
    found, cells = _plan(jobs, suite, settings, out)
    progress.started(jobs, len(found) - len(cells))
    new = {(cell.job, cell.key) for cell in cells}
    noted = {row["id"]: row for row in read_rows(out)}
    for which, row in found.items():
        if which not in new:
            if row != noted[row["id"]]:  # what is said beside its scores has changed
                append_json(out / ROWS, row)
            progress.scored(row)
    scored = (
        score_on_ray(jobs, cells, settings.limits, workers=workers, address=address)
        if workers and cells
        else score_here(jobs, cells, settings.limits)
    )
    for cell, said in scored:
        row = found[cell.job, cell.key] | said
        found[cell.job, cell.key] = row
        if row["status"] == "failed" and cell.keep is not None:
            # an earlier try, or a worker that was ended a moment too late, may have left an answer
            cell.keep.unlink(missing_ok=True)
        append_json(out / ROWS, row)
        progress.scored(row)
    answered = [
        {key: prediction_path(out, row) for (job, key), row in found.items() if job == place and row["status"] == "ok"}
        for place in range(len(jobs))
    ]
    spent = _measure_costs(jobs, answered, settings, out, workers, progress)
    rows = list(found.values())
    done = Run(
        rows=rows,
        facts=_facts(suite, settings, rows),
        costs=spent,
        together=kept.measure(out, jobs, rows),
    )
    _publish(out, done)
    return done


def _plan(
    jobs: Sequence[Job], suite: Suite, settings: BenchSettings, out: Path
) -> tuple[dict[tuple[int, str], Row], list[Cell]]:
    """Return a row for each job's place and sample's key, and what is still to be scored: of that, a row has its names only."""
    known = {row["id"]: row for row in read_rows(out) if row["status"] == "ok"}
    found: dict[tuple[int, str], Row] = {}
    cells = []
    for place, job in enumerate(jobs):
        answers_kept = {index["key"] for index in spread(job.rows, settings.keep)}
        seen = learnt_from(job.method, suite.dataset, job.task)
        for index in job.rows:
            key = index["key"]
            said = _said(job, row_id(job, key, suite), index, suite, seen)
            scored = known.get(said["id"], {})
            keep = prediction_path(out, said) if key in answers_kept else None
            together = kept.kept_files(out, said, job.networks)
            files = [file for each in together for file in each.files] + ([keep] if keep is not None else [])
            if keep is not None and scored.get("masks_sha256"):
                files.append(masks_path(keep))
            found[place, key] = {**scored, **said}
            if not scored or not all(file.is_file() for file in files):
                found[place, key] = said
                cells.append(Cell(job=place, key=key, keep=keep, fps=index["fps"], together=together))
    return found, cells


def check_content(suite: Suite) -> None:
    """Raise unless the shards that are scored are those that the dataset's manifest names: rows go by its hash.

    Raises:
        DatasetError: one is not.
    """
    root = suite.dataset.root
    found = damage(suite.dataset, suite.tasks, suite.split)
    if found:
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        raise DatasetError(
            f"{root} is not what its manifest says: {found[0]}{more}; 'datagen verify {root}' lists the damage"
        )


def check_sizes(suite: Suite) -> None:
    """Raise unless every sample is large enough for the metrics that head its task's board.

    Raises:
        DatasetError: one is not.
    """
    for task, rows in suite.rows.items():
        for metric in headline(task)[:1] + [metric for metric in headline(task) if metric.name == "ssim"]:
            small = next((row for row in rows if min(row["height"], row["width"]) < metric.least_side), None)
            if small is not None:
                raise DatasetError(
                    f"{suite.dataset.root}: {metric.name} needs frames of {metric.least_side} pixels at least, "
                    f"{small['key']} is {small['width']}x{small['height']}; build it with a larger clip.size"
                )


def check_learners(suite: Suite, settings: BenchSettings) -> None:
    """Raise if a method is wanted by name that has nothing to learn from.

    Raises:
        DatasetError: one is.
    """
    for method in (METHODS[name] for name in settings.methods if name in METHODS):
        tasks = [task for task in suite.tasks if method.fits(task) and not suite.has_train_samples(task)]
        if method.learns_here and tasks:
            raise DatasetError(
                f"{suite.dataset.root} has no train samples of {tasks[0]}, which {method.name} learns from; leave it out of "
                "--methods, or build a train split"
            )


def row_id(job: Job, key: str, suite: Suite) -> str:
    """Return a hash of everything that decides a row."""
    metrics = sorted((metric.name, metric.version) for metric in job.metrics)
    parts = [
        PROTOCOL,
        job.input_scale,
        dict(sorted(job.networks.items())),
        suite.dataset.manifest.sha256,
        key,
        job.method.fingerprint(job.context),
        metrics,
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:24]


def prediction_path(out: Path, row: Row) -> Path:
    """Return where the clip that a row scored is kept, lossless: its name has the row's id, because another version of the
    method, or other weights, answer another clip for the same sample."""
    return out / "predictions" / row["method"] / f"{row['key']}-{row['id'][:8]}.mkv"


def _jobs(suite: Suite, settings: BenchSettings, entrants: Sequence[Method]) -> list[Job]:
    # scores that were not to be had are to be had once their network is here
    weights = settings.weights.model_dump()
    networks = {task: _networks(task, settings) for task in suite.tasks}
    return [
        Job(
            task=task,
            method=method,
            context=Context(dataset=suite.dataset, task=task, seed=settings.seed, weights=weights),
            rows=suite.rows[task],
            input_scale=suite.standard.input_scale if suite.standard else 1.0,
            weights=weights,
            networks=networks[task],
        )
        for task in suite.tasks
        for method in methods_for(
            task,
            settings.methods,
            entrants,
            weights,
            can_learn=suite.has_train_samples(task),
            references=suite.has_references(task),
        )
    ]


def _networks(task: str, settings: BenchSettings) -> dict[str, str]:
    """Return the versions of the networks that a task's scores need."""
    wanted = {name for metric in get_metrics(task) for name in metric.networks}
    wanted |= {name for column in get_together(task) for name in column.networks}
    return {name: version(name, settings.weights.model_dump()) for name in sorted(wanted)}


def _prepare(out: Path) -> None:
    check_out(out)
    publish(out / ".writable", "")
    (out / ".writable").unlink()
    remove_temporaries(out)
    # a line that a kill cut short would swallow the next one
    if (out / ROWS).is_file():
        publish(out / ROWS, "".join(json.dumps(row) + "\n" for row in read_rows(out)))


def _said(job: Job, name: str, index: dict[str, Any], suite: Suite, seen: frozenset[str]) -> Row:
    """Return the part of a row that says what was scored, and by what."""
    return {
        "id": name,
        "protocol": PROTOCOL,
        "method": job.method.name,
        **said_of_sample(index, suite),
        **said_of_method(job.method, job.task),
        "leaked": has_seen(index, seen),
        "metric_versions": ", ".join(f"{metric.name} {metric.version}" for metric in job.metrics),
    }


def _measure_costs(
    jobs: Sequence[Job],
    answered: Sequence[Mapping[str, Path]],
    settings: BenchSettings,
    out: Path,
    workers: int,
    progress: Progress,
) -> dict[tuple[str, str], Row]:
    known, found = costs.read_costs(out), {}
    unknown: list[tuple[str, Job, Row]] = []
    waiting: list[tuple[str, costs.Asked]] = []
    for job, answers in zip(jobs, answered, strict=True):
        if not settings.cost_samples and not job.method.made_elsewhere:
            continue
        keys = costs.timed_keys(job, settings.cost_samples, answers)
        name = costs.cost_id(job, keys, settings.limits, f"{machine()}, {'alone' if workers else 'shared'}")
        if job.method.made_elsewhere or not answers:
            # said, for the time that reading, or failing, took would stand in for it
            unknown.append((name, job, {"warm_seconds_per_frame": None}))
        elif "warm_seconds_per_frame" in known.get(name, {}):
            found[job.task, job.method.name] = known[name]
        else:
            waiting.append((name, (job, {key: answers[key] for key in keys})))
    for name, job, spent in itertools.chain(unknown, _new_costs(waiting, settings, workers, progress)):
        # of what cannot be measured that is noted, so that nobody can take a cost away unseen; the next run tries again
        row = {"id": name, "task": job.task, "method": job.method.name, **spent}
        if row != known.get(name):
            append_json(out / costs.COSTS, row)
        found[job.task, job.method.name] = row
    return found


def _new_costs(
    waiting: list[tuple[str, costs.Asked]], settings: BenchSettings, workers: int, progress: Progress
) -> Iterator[tuple[str, Job, Row]]:
    todo = [asked for _, asked in waiting]
    measured = costs.measure_on_ray(todo, settings.limits) if workers else costs.measure_here(todo, settings.limits)
    jobs = [job for job, _ in todo]
    for done, (name, (job, _)) in enumerate(waiting):
        progress.timing(jobs, done)
        yield name, job, next(measured)
    progress.timing(jobs, len(jobs))


def _facts(suite: Suite, settings: BenchSettings, rows: Sequence[Row]) -> dict[str, Any]:
    short = lacking(suite.standard, rows, settings.limit) if suite.standard else ()
    return {
        "protocol": PROTOCOL,
        "dataset": str(suite.dataset.root.resolve()),
        "dataset_sha256": suite.dataset.manifest.sha256,
        "split": suite.split,
        "settings": settings.model_dump(mode="json"),
        "networks": {name: known for task in suite.tasks for name, known in _networks(task, settings).items()},
        "machine": machine(),
        "suite": suite.standard.model_dump(mode="json") if suite.standard else None,
        "not_scored": suite.not_scored,
        "left_out": [*short, *suite.left_out],
    }


def _publish(out: Path, done: Run) -> None:
    import pandas as pd

    table = pd.DataFrame([flat(row) for row in done.rows])
    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False)
    # rows and facts that belong to different runs must never stand together, whenever this is killed
    (out / "run.json").unlink(missing_ok=True)
    publish(out / "rows.parquet", buffer.getvalue())
    facts = {
        **done.facts,
        "rows_sha256": sha256_of(out / "rows.parquet"),
        "costs": [{"task": task, "method": method, **row} for (task, method), row in sorted(done.costs.items())],
        "together": [{"task": task, "method": method, **row} for (task, method), row in sorted(done.together.items())],
    }
    publish_json(out / "run.json", facts)


def flat(row: Row) -> Row:
    """Return a row as a table has it: a column for each metric."""
    scores, weights = row.get("scores", {}), row.get("weights", {})
    flat = {
        name: value for name, value in row.items() if name not in ("scores", "weights", "unavailable", "suspicions")
    }
    return {
        **flat,
        "suspicions": "; ".join(row.get("suspicions", ())),
        "unavailable": json.dumps(row.get("unavailable", {})),
        **scores,
        **{f"{name}.weight": value for name, value in weights.items()},
    }


def machine() -> str:
    """Say what the methods ran on."""
    import os
    import platform

    name = platform.processor() or platform.machine()
    return f"{name}, {os.cpu_count()} cores, {platform.system()}"
