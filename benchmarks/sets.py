"""Distances between all answers of a method and all targets: what networks see is kept as each sample is scored, and
compared when all are there."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.metrics import NotAvailable, Outcome
from benchmarks.metrics.distances import DISTANCES, Distance, Features, get_distances
from benchmarks.networks import MISSING, located
from benchmarks.scoring import Job, Row
from shards.storage import publish

FEATURES = "features"
"""The folder of a run that has them."""


Seen = list[tuple[str, Path, Path]]
"""Of each network that looks at a sample: a distance that wants it, and the files of what it sees in answer and target."""


def seen_paths(folder: Path, row: Row, networks: Mapping[str, str]) -> Seen:
    """Return where what networks see of a row's sample is kept; nothing for those that are not here.

    `networks`: their versions by name.
    """
    found = {}
    for distance in get_distances(row["task"]):
        known = networks.get(distance.network, MISSING)
        if known != MISSING and row["frames"] >= distance.least_frames:
            tag = hashlib.sha256(f"{row['dataset']} {known}".encode()).hexdigest()[:8]
            place = folder / FEATURES / distance.network
            found[distance.network] = (
                distance.name,
                place / f"{row['id']}.npy",
                place / f"target-{row['key']}-{tag}.npy",
            )
    return list(found.values())


def keep_features(outcome: Outcome, wanted: Seen) -> dict[str, str]:
    """Write what networks see in an answer and in its target; return the distances that cannot be had, with the reason."""
    unavailable: dict[str, str] = {}
    for name, answer, target in wanted:
        distance = DISTANCES[name]
        try:
            # the targets are the same for all methods, and may be there
            seen = look(distance, outcome, answer_only=target.is_file())
            for path, features in zip((answer, target), seen, strict=False):
                _write(path, features)
        except NotAvailable as missing:
            unavailable |= {one.name: str(missing) for one in DISTANCES.values() if one.network == distance.network}
    return unavailable


def measure(folder: Path, jobs: Sequence[Job], rows: Sequence[Row]) -> dict[tuple[str, str], Row]:
    """Return the distances of each job, by task and method; a distance that is not told has the reason for a value."""
    found: dict[tuple[str, str], Row] = {}
    for job in jobs:
        own = [row for row in rows if (row["task"], row["method"]) == (job.task, job.method.name)]
        said: Row = {}
        for distance in get_distances(job.task):
            try:
                located(distance.network, job.weights)
                said[distance.name] = distance_of(folder, distance, own, job.networks)
            except NotAvailable as missing:
                said[distance.name] = str(missing)
        if said:
            found[job.task, job.method.name] = said
    return found


def distance_of(folder: Path, distance: Distance, rows: Sequence[Row], networks: Mapping[str, str]) -> float | str:
    """Return the distance between the answers and the targets of a method's rows, or why it is not told."""
    told = next(
        (row["unavailable"][distance.name] for row in rows if distance.name in row.get("unavailable", {})), None
    )
    if told is not None:
        return str(told)
    failed = sum(row["status"] != "ok" for row in rows)
    if failed:
        return f"{failed} of {len(rows)} clips have no answer"
    seen = [pair for row in rows for name, *pair in seen_paths(folder, row, networks) if _sees(name, distance)]
    if not all(path.is_file() for pair in seen for path in pair):
        return "what the network saw is gone; run again"
    answers, targets = ([np.load(pair[side]) for pair in seen] for side in (0, 1))
    count = sum(map(len, answers))
    if count < distance.least:
        return f"needs {distance.least} {distance.counted}, there are {count}"
    return float(distance.function(np.concatenate(answers), np.concatenate(targets)))


def _sees(name: str, distance: Distance) -> bool:
    return DISTANCES[name].network == distance.network


def look(distance: Distance, outcome: Outcome, *, answer_only: bool = False) -> list[Features]:
    """Return what a distance's network sees in an answer, and in its target unless only the answer is wanted.

    Raises:
        NotAvailable: it is not here, or cannot be loaded.
    """
    place = located(distance.network, outcome.weights)
    clips = [distance.shown(outcome), outcome.sample.target]
    return [distance.features(clip, place) for clip in clips[: 1 if answer_only else 2]]


def _write(path: Path, features: Features) -> None:
    buffer = io.BytesIO()
    np.save(buffer, features)
    publish(path, buffer.getvalue())


def values_of(said: dict[str, Any]) -> dict[str, float]:
    """Return the distances that are told."""
    return {name: value for name, value in said.items() if isinstance(value, float)}


def reasons_of(said: dict[str, Any]) -> dict[str, str]:
    """Return why the others are not."""
    return {name: value for name, value in said.items() if isinstance(value, str)}
