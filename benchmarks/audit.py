"""Checking a finished run: its numbers follow from its rows, and its rows from the answers that were kept."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.audit_texts import SAME, check_texts
from benchmarks.costs import COSTS, read_costs
from benchmarks.folders import ROWS, read_rows
from benchmarks.kept import kept_files, value_of, values_of
from benchmarks.leaks import has_seen, learnt_from
from benchmarks.methods import METHODS
from benchmarks.metrics import Outcome, get_metrics
from benchmarks.metrics.together import TOGETHER, Array, get_together
from benchmarks.networks import MISSING
from benchmarks.report.boards import suite_of
from benchmarks.report.stored import load_run, scored_dataset
from benchmarks.runner import Run, flat, prediction_path
from benchmarks.said import said_of_method, said_of_sample
from benchmarks.scoring import Row, scored
from benchmarks.settings import BenchSettings
from benchmarks.suite import Suite, damage, has_reference, make_suite, spread
from benchmarks.suspicions import suspicions
from benchmarks.workers import masks_path
from configs import ConfigError, DatasetError, counted, unknown_name
from shards import Dataset
from shards.codecs import decode_video
from shards.storage import sha256_of

_WORDS = {"summary", "paper", "remark"}
"""What a newer version may say in other words."""
_NEWER = {"clean"}
"""What rows of earlier versions do not say."""
Tell = Callable[[str, int, int | None], object]
"""Takes what is being checked, how much of it is done, and of how much if that is known."""


@dataclass(frozen=True, kw_only=True)
class Audit:
    """What was found out about a finished run."""

    rows: int
    """How many it has."""
    scored: int = 0
    """How many of them were scored again from kept answers."""
    wrong: list[str]
    """What is not as the run says, in words."""
    notes: list[str]
    """What no check can tell, in words."""


def audit(
    folder: Path,
    *,
    rows_per_method: int = 3,
    method: str | None = None,
    key: str | None = None,
    data: Path | None = None,
    tell: Tell = lambda what, done, total: None,
) -> Audit:
    """Return what is wrong with a finished run, and what cannot be known of it.

    The rows are those that were written, of one protocol and one dataset (`load_run`), of the samples that the settings choose,
    and say of samples and of the bench's own methods what these are; the tables in every form are computed again from them;
    and for each task and method some rows, others each time, are scored again from the clips kept in `predictions/`, if the
    dataset is still the one that was scored.
    `method`, `key`: only these, and then all of them. `data`: where the dataset lies now.

    Raises:
        ConfigError: the run has no such method.
        DatasetError: there is no finished run, its rows were changed, its dataset is gone or another, or nothing matches.
    """
    tell("rows", 0, None)
    run = load_run(folder)
    dataset = scored_dataset(folder, run, data)
    names = list(dict.fromkeys(row["method"] for row in run.rows))
    if method is not None and method not in names:
        raise ConfigError(f"{folder}: {unknown_name('method', method, names)}")
    notes = [*_unkept(folder, run), *_invalid(run)]
    wrong = [*_noted(folder, run), *_costs(folder, run)]
    suite = make_suite(dataset.root, sorted({row["task"] for row in run.rows}), BenchSettings(**run.facts["settings"]))
    changed = damage(dataset, suite.tasks, suite.split)
    if changed:
        # nothing can be scored again on other samples
        wrong += [f"{dataset.root}: {words}; 'datagen verify' says what to do" for words in changed]
        return Audit(rows=len(run.rows), wrong=wrong, notes=notes)
    wrong += _coverage(folder, run, suite)
    suite = _scored(run, suite)
    wrong += [*_said(run, suite), *_lacking(folder, run, suite)]
    tell("tables and page", 0, None)
    wrong += check_texts(folder, run, dataset)
    chosen = _chosen(folder, run.rows, rows_per_method, method, key)
    if not chosen:
        what = " ".join(word for word in (method, key) if word) or "any row"
        raise DatasetError(
            f"{folder} keeps no answer for {what}; 'bench run' keeps those of `keep` samples of each task"
        )
    for done, row in enumerate(chosen):
        tell(f"scoring again {row['task']} / {row['method']}", done, len(chosen))
        wrong += _row(folder, row, dataset, run.facts)
    tell("all clips together", len(chosen), len(chosen))
    wrong += [*_not_invalid(folder, run, dataset), *_together(folder, run)]
    return Audit(rows=len(run.rows), scored=len(chosen), wrong=wrong, notes=notes)


def _unkept(folder: Path, run: Run) -> Iterator[str]:
    """Say how many answers are not kept: nobody can score these again."""
    count = sum(row["status"] == "ok" and not prediction_path(folder, row).is_file() for row in run.rows)
    if count:
        yield (
            f"{counted(count, 'row')} of {len(run.rows)} have no kept answer (keep={run.facts['settings']['keep']} of each task "
            f"and method), so that nothing but {ROWS} vouches for their scores"
        )


def _invalid(run: Run) -> Iterator[str]:
    """Name the methods with rows that the bench could not score; why it could not, nobody can check."""
    own: dict[tuple[str, str], list[Row]] = {}
    for row in run.rows:
        own.setdefault((row["task"], row["method"]), []).append(row)
    for (task, method), rows in own.items():
        found = [row for row in rows if row["status"] == "invalid"]
        if found:
            yield (
                f"{task} {method}: {len(found)} of {counted(len(rows), 'row')} invalid, the bench itself is said to have failed "
                f"there (first: {found[0]['error']}), which cannot be checked; for these the method has neither scores nor "
                "rank, and 'bench run' with the same options scores them anew"
            )


def _not_invalid(folder: Path, run: Run, dataset: Dataset) -> Iterator[str]:
    """Name the rows that are said to be invalid and have scores, or an answer that the bench can score."""
    for row in run.rows:
        if row["status"] != "invalid":
            continue
        name = f"{row['task']} {row['method']} {row['key']}: the bench is said to have failed on it ({row['error']})"
        if row["scores"]:
            yield f"{name}, and it has scores"
        path = prediction_path(folder, row)
        if not path.is_file() or (_has_masks(row) and not masks_path(path).is_file()):
            continue
        outcome = _outcome(path, row, dataset, run.facts)
        if scored(get_metrics(row["task"]), outcome, ranked=row["ranked"])["status"] == "ok":
            yield f"{name}, and its kept answer can be scored; 'bench run' with the same options does"


def _noted(folder: Path, run: Run) -> Iterator[str]:
    """Compare the rows with what was noted of each as it was scored, field by field, and with the answers that were kept."""
    noted = {row["id"]: flat(row) for row in read_rows(folder)}
    lacking = sum(row["id"] not in noted for row in run.rows)
    if lacking:
        yield f"{ROWS} lacks {lacking} of the {len(run.rows)} rows of rows.parquet; 'bench run' scores them again"
    for row in run.rows:
        ours, theirs = flat(row), noted.get(row["id"], flat(row))
        others = [name for name in ours | theirs if not _is_same(ours.get(name), theirs.get(name))]
        name = f"{row['task']} {row['method']} {row['key']}"
        if others:
            yield f"{ROWS}: {name} has another {', '.join(others)} than rows.parquet"
        if row["status"] == "failed" and prediction_path(folder, row).is_file():
            yield f"{name}: it is said to have failed ({row['error']}), and its answer was kept"


def _coverage(folder: Path, run: Run, suite: Suite) -> Iterator[str]:
    """Compare which samples were scored with those that the settings choose."""
    for task, own in suite.rows.items():
        wanted = {index["key"] for index in own}
        # a study of image instructions scores the samples that have a picture
        pictured = {index["key"] for index in own if has_reference(index)}
        found = {row["key"] for row in run.rows if row["task"] == task}
        if found not in (wanted, pictured):
            yield (
                f"{task}: {len(found)} samples were scored, of which {len(found & wanted)} are among the {len(wanted)} that "
                f"{folder / 'run.json'} says were chosen"
            )


def _scored(run: Run, suite: Suite) -> Suite:
    """Return what was scored of a suite, as that which it was."""
    keys = {row["key"] for row in run.rows}
    rows = {task: [index for index in own if index["key"] in keys] for task, own in suite.rows.items()}
    return replace(suite, rows=rows, standard=suite_of(run))


def _lacking(folder: Path, run: Run, suite: Suite) -> Iterator[str]:
    """Name the methods whose answers are gone although the settings, or their rows, say that they are kept: nobody can score
    these again."""
    keep = run.facts["settings"]["keep"]
    keys = {index["key"] for own in suite.rows.values() for index in spread(own, keep)}
    # a row says that its answer was kept, whatever `keep` says now
    wanted = [row for row in run.rows if row["status"] == "ok" and (row["key"] in keys or _is_kept(row))]
    gone = Counter((row["task"], row["method"]) for row in wanted if not prediction_path(folder, row).is_file())
    for (task, method), count in gone.items():
        yield f"{task} {method}: {count} of the answers that are kept are not there; 'bench run' with the same options makes them"


def _said(run: Run, suite: Suite) -> Iterator[str]:
    """Compare what rows say beside their scores with what the dataset's index says, and what the bench's own methods are."""
    indexes = {index["key"]: index for own in suite.rows.values() for index in own}
    seen = {
        (task, name): learnt_from(METHODS[name], suite.dataset, task)
        for task, name in {(row["task"], row["method"]) for row in run.rows}
        if name in METHODS
    }
    for row in run.rows:
        index, method = indexes.get(row["key"]), METHODS.get(row["method"])
        if index is None:
            continue
        said = said_of_sample(index, suite)
        if method is not None and method.version == row["method_version"]:
            said |= said_of_method(method, row["task"])
            said["leaked"] = has_seen(index, seen[row["task"], row["method"]])
        known = {name: value for name, value in said.items() if name in row or name not in _NEWER}
        others = [name for name, value in known.items() if name not in _WORDS and row[name] != value]
        if others:
            yield f"{row['task']} {row['method']} {row['key']}: another {', '.join(others)} than its sample and its method have"
        if method is None and not row["ranked"]:
            yield f"{row['task']} {row['method']} {row['key']}: it is no method of the bench, and all others have a rank"


def _is_same(a: Any, b: Any) -> bool:
    """Whether two fields of rows are equal; what a table fills its gaps with is no value."""
    a, b = (None if value != value else value for value in (a, b))
    return a == b or (isinstance(a, float) and isinstance(b, float) and _is_close(a, b))


def _is_close(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=SAME, abs_tol=SAME)


def _costs(folder: Path, run: Run) -> Iterator[str]:
    """Compare what methods cost with what was noted as it was measured."""
    measured = read_costs(folder)
    wanted = {(row["task"], row["method"]) for row in run.rows} if run.facts["settings"]["cost_samples"] else set()
    for task, method in sorted(wanted | run.costs.keys()):
        said = run.costs.get((task, method), {})
        noted = measured.get(said.get("id", ""))
        if noted is None:
            yield f"run.json and {COSTS} do not have one cost of {task} {method}; 'bench run' with the same options puts it there"
        elif others := [name for name in said | noted if said.get(name) != noted.get(name)]:
            yield f"{COSTS}: {task} {method} has another {', '.join(others)} than run.json"


def _together(folder: Path, run: Run) -> Iterator[str]:
    """Compute the numbers of all clips together again from what is kept of each."""
    networks = run.facts["networks"]
    for task, method in dict.fromkeys((row["task"], row["method"]) for row in run.rows):
        own = [row for row in run.rows if (row["task"], row["method"]) == (task, method)]
        said = values_of(run.together.get((task, method), {}))
        for column in get_together(task):
            if any(networks.get(name, MISSING) == MISSING for name in column.networks):
                continue
            value, found = said.get(column.name), value_of(folder, column, own, networks)
            told = found if isinstance(found, float) else None
            if (value is None) != (told is None) or not math.isclose(value or 0, told or 0, rel_tol=1e-6, abs_tol=1e-6):
                yield f"{task} {method}: {column.name} is written {value}, computed again {found}"


def _chosen(folder: Path, rows: Sequence[Row], count: int, method: str | None, key: str | None) -> list[Row]:
    kept = [row for row in rows if row["status"] == "ok" and prediction_path(folder, row).is_file()]
    if method is not None or key is not None:
        return [row for row in kept if method in (None, row["method"]) and key in (None, row["key"])]
    found: dict[tuple[str, str], list[Row]] = {}
    for row in kept:
        found.setdefault((row["task"], row["method"]), []).append(row)
    # others each time: who makes a number up must not know which ones are looked at
    rng = np.random.default_rng()
    return [own[place] for own in found.values() for place in rng.permutation(len(own))[:count]]


def _row(folder: Path, row: Row, dataset: Dataset, facts: dict[str, Any]) -> Iterator[str]:
    """Score a row's kept answer again."""
    networks = facts["networks"]
    path = prediction_path(folder, row)
    name = f"{row['task']} {row['method']} {row['key']}"
    if sha256_of(path) != row["kept_sha256"]:
        yield f"{name}: {path.name} is not the answer that was scored"
        return
    if _has_masks(row):
        kept = masks_path(path)
        if not kept.is_file() or sha256_of(kept) != row["masks_sha256"]:
            yield f"{name}: {kept.name} is not the masks that were scored"
            return
    outcome = _outcome(path, row, dataset, facts)
    for metric in get_metrics(row["task"]):
        missing = any(networks.get(network, MISSING) == MISSING for network in metric.networks)
        if metric.networks and (missing or metric.name in row.get("unavailable", {})):
            continue
        found = metric.score(outcome) if metric.fits(outcome.prediction.shape) else None
        written = row["scores"].get(metric.name)
        if (found is None) != (written is None):
            yield f"{name}: {metric.name} is written {written}, scored again {found}"
        elif found is not None and not _is_close(found, written):
            yield f"{name}: {metric.name} is written {written:g}, scored again {found:g}"
        if found is not None and metric.weight is not None:
            counts, weight = row["weights"].get(metric.name, math.nan), metric.weight(outcome)
            if not _is_close(counts, weight):
                yield f"{name}: {metric.name} is written to count {counts:g}, computed again {weight:g}"
    odd = suspicions(outcome.sample, outcome.prediction, knows_target=not row["ranked"])
    if odd != row["suspicions"]:
        told, found_odd = ("; ".join(words) or "nothing" for words in (row["suspicions"], odd))
        yield f"{name}: what is odd about it is written as {told}, found again {found_odd}"
    for column, files in kept_files(folder, row, networks):
        for what, path, seen in zip(("answer", "target"), files, TOGETHER[column].look(outcome), strict=False):
            if not path.is_file() or not _alike(np.load(path), seen):
                yield f"{name}: {path} is not what {TOGETHER[column].kept_as} has of the {what}"


def _is_kept(row: Row) -> bool:
    return isinstance(row.get("kept_sha256"), str)


def _has_masks(row: Row) -> bool:
    return isinstance(row.get("masks_sha256"), str)


def _outcome(path: Path, row: Row, dataset: Dataset, facts: dict[str, Any]) -> Outcome:
    """Return a row's sample with the answer that is kept at `path`."""
    masks = decode_video(masks_path(path).read_bytes())[..., 0] if _has_masks(row) else None
    return Outcome(dataset[row["key"]], decode_video(path.read_bytes()), facts["settings"]["weights"], masks)


def _alike(a: Array, b: Array) -> bool:
    return a.shape == b.shape and np.allclose(a, b, rtol=1e-3, atol=1e-4)
