"""What a model does on a task it was not trained for: one training for each task left out, and one with all."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.methods import Method
from benchmarks.methods.model import vidiff_method, weights_digest
from benchmarks.report.boards import Board
from benchmarks.report.cells import label
from benchmarks.studies.report import Study
from benchmarks.ties import LEAST_VIDEOS
from configs import ConfigError, ModelError, load
from shards import Dataset
from shards.storage import locked, publish_json
from vidiff import TrainSettings

ALL = "all tasks"


def train_without(
    dataset: Dataset, tasks: Sequence[str], out: Path, config: str, minutes: float, tell: Callable[[str], None]
) -> dict[str, Path]:
    """Train one model on all tasks, and then one without each, for as many steps as the first one took in its `minutes`.

    Tasks weigh alike. A finished training of the same settings on the same data is taken as it is; `tell` hears of that, and of
    what another one differs in. Returns the folder of each by the task that it lacks, `ALL` for none.

    Raises:
        ConfigError: fewer than two tasks, or the recipe is wrong.
        ModelError: a training failed.
        OutputError: another study trains there.
    """
    if len(tasks) < 2:
        raise ConfigError(f"leaving one task out needs two at least; {dataset.root} has {', '.join(tasks)}")
    folders = {left_out: out / (f"without-{left_out}" if left_out != ALL else "all") for left_out in (ALL, *tasks)}
    limit = [f"minutes={minutes}", "steps=null"]
    with locked(out / ".lock", out, "study"):
        for left_out, folder in folders.items():
            mixture = ", ".join(f"{task}: 1" for task in tasks if task != left_out)
            _train(dataset, folder, config, [f"data.tasks={{{mixture}}}", *limit], tell)
            limit = [f"steps={_finished(folders[ALL])['steps']}", "minutes=null"]
    return folders


def unseen_variants(folders: dict[str, Path]) -> list[Method]:
    """Return the trained models as methods: each that lacks a task on that task alone, the one with all on every task."""
    found = []
    for left_out, folder in folders.items():
        method = vidiff_method(folder, "trained on all" if left_out == ALL else f"never saw {left_out}")
        found.append(method if left_out == ALL else replace(method, tasks=(left_out,)))
    return found


def unseen_study(boards: Sequence[Board], folders: dict[str, Path]) -> Study:
    """Sum up a run of `unseen_variants` of what was trained in these folders."""
    noted = _finished(folders[ALL])
    before = " All went on from one model: a task that it knew was not unseen." if noted["of"]["base"] else ""
    records = []
    for board in boards:
        first = board.first
        scores = {line.entry.method: line.entry.scores.get(first.name) for line in board.lines}
        records.append(
            {
                "task": board.task,
                "metric": label(first),
                "identity": scores.get("identity"),
                "never saw it": scores.get(f"never saw {board.task}"),
                "trained on all": scores.get("trained on all"),
            }
        )
    return Study(
        name="unseen",
        question="How far does a model come on a task that it was not trained for?",
        records=records,
        words=(
            f"All trainings are of one recipe and took {noted['steps']} steps each, in which tasks weigh alike: the model on all "
            "tasks saw fewer clips of each. One that never saw a task had no clip of it and none of its instructions."
            + before,
            "Means over videos; brackets: 95 % intervals from drawing whole videos again, none below "
            f"{LEAST_VIDEOS} videos. The leaderboard beside this page has ties.",
        ),
    )


def _train(dataset: Dataset, folder: Path, config: str, overrides: Sequence[str], tell: Callable[[str], None]) -> None:
    settings = load(TrainSettings, config, overrides)
    base = weights_digest(Path(settings.base)) if settings.base else ""
    wanted = {**settings.model_dump(mode="json"), "dataset": dataset.manifest.sha256, "base": base}
    found = _finished(folder)
    if found.get("of") == wanted and (folder / "model").is_dir():
        tell(f"reused: {folder}, trained on the same data with the same settings")
        return
    if found:
        of = found.get("of", {})
        changed = [name for name in wanted if of.get(name) != wanted[name]]
        tell(f"trained anew: {folder} is of another {', '.join(changed) or 'version'}")
    _note_of(folder).unlink(missing_ok=True)
    # as earlier versions left it: a training takes no folder with other things
    (folder / "finished").unlink(missing_ok=True)
    command = [sys.executable, "-c", "from vidiff.cli import train; train()"]
    options = ["--data", dataset.root, "--out", folder, "--config", config, "--overwrite"]
    options += [word for override in overrides for word in ("--set", override)]
    done = subprocess.run([*command, *map(str, options)], check=False)
    if done.returncode:
        raise ModelError(f"the training in {folder} failed with exit code {done.returncode}; its own words are above")
    # the last thing that a training notes is what it looked at, and when
    log = (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()
    publish_json(_note_of(folder), {"of": wanted, "steps": json.loads(log[-1])["step"]})


def _note_of(folder: Path) -> Path:
    """Return the file that says what a finished training was of, and how many steps it took."""
    return folder.with_name(f"{folder.name}.json")


def _finished(folder: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(_note_of(folder).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found
