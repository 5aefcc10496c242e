"""What a model does on a task it was not trained for: one training for each task left out, and one with all."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.methods import Method
from benchmarks.methods.model import vidiff_method
from benchmarks.metrics import headline
from benchmarks.report.boards import Board
from benchmarks.studies.report import Study
from configs import ConfigError, ModelError
from shards import Dataset

ALL = "all tasks"


def train_without(dataset: Dataset, tasks: Sequence[str], out: Path, config: str, minutes: float) -> dict[str, Path]:
    """Train one model without each task, and one with all of them; finished ones are taken as they are.

    Returns the folder of each by the task that it lacks, `ALL` for none.

    Raises:
        ConfigError: fewer than two tasks.
        ModelError: a training failed.
    """
    if len(tasks) < 2:
        raise ConfigError(f"leaving one task out needs two at least; {dataset.root} has {', '.join(tasks)}")
    folders = {}
    for left_out in (ALL, *tasks):
        folder = out / f"without-{left_out}" if left_out != ALL else out / "all"
        mixture = ", ".join(f"{task}: 1" for task in tasks if task != left_out)
        if not (folder / "finished").is_file():
            _train(dataset.root, folder, config, minutes, mixture)
            (folder / "finished").write_text("")
        folders[left_out] = folder
    return folders


def unseen_variants(folders: dict[str, Path]) -> list[Method]:
    """Return the trained models as methods: each that lacks a task on that task alone, the one with all on every task."""
    found = []
    for left_out, folder in folders.items():
        method = vidiff_method(folder, "trained on all" if left_out == ALL else f"never saw {left_out}")
        found.append(method if left_out == ALL else replace(method, tasks=(left_out,)))
    return found


def unseen_study(boards: Sequence[Board]) -> Study:
    """Sum up a run of `unseen_variants`."""
    records = []
    for board in boards:
        first = board.metrics[0]
        means = {
            line.entry.method: line.entry.scores[first.name].mean
            for line in board.lines
            if first.name in line.entry.scores
        }
        never = next((value for name, value in means.items() if name.startswith("never saw")), None)
        records.append(
            {
                "task": board.task,
                "metric": headline(board.task)[0].label,
                "identity": means.get("identity"),
                "never saw it": never,
                "trained on all": means.get("trained on all"),
            }
        )
    return Study(
        name="unseen",
        question="How far does a model come on a task that it was not trained for?",
        records=records,
        words=("All trainings took the same time on the same videos; only the task named was left out.",),
    )


def _train(data: Path, folder: Path, config: str, minutes: float, mixture: str) -> None:
    command = [sys.executable, "-c", "from vidiff.cli import train; train()"]
    options = ["--data", data, "--out", folder, "--config", config, "--minutes", minutes, "--overwrite"]
    done = subprocess.run([*command, *map(str, options), "--set", f"data.tasks={{{mixture}}}"], check=False)
    if done.returncode:
        raise ModelError(f"the training in {folder} failed with exit code {done.returncode}; its own words are above")
