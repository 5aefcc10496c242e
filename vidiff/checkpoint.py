"""Checkpoints: everything a run needs to go on exactly where it was, as safetensors and JSON."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from configs import ModelError, OutputError

_PREFIX = "step-"


@dataclass(frozen=True, kw_only=True)
class Position:
    """Where a run stands. Data order, crops, noise and drops are functions of (seed, step): there is no other state."""

    step: int
    """Optimizer steps taken."""
    seconds: float
    """Wall-clock time of the loop so far."""
    loss: float
    """Smoothed training loss."""


@dataclass(kw_only=True)
class TrainState:
    """What changes while training: the trained parameters by name, their average, and the optimizer."""

    parameters: dict[str, Tensor]
    average: dict[str, Tensor]
    optimizer: torch.optim.Optimizer


def save_checkpoint(folder: Path, state: TrainState, position: Position, *, keep: int) -> Path:
    """Write `folder/step-NNNNNNNN` under another name, sync it, rename it, and delete all but the newest `keep`.

    Raises:
        OutputError: the folder cannot be written.
    """
    final = folder / f"{_PREFIX}{position.step:08d}"
    partial = folder / f".{final.name}.partial"
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        tensors, groups = _optimizer_to_plain(state.optimizer)
        _save(state.parameters, partial / "weights.safetensors")
        _save(state.average, partial / "average.safetensors")
        _save(tensors, partial / "optimizer.safetensors")
        (partial / "state.json").write_text(json.dumps({"position": asdict(position), "groups": groups}, indent=1))
        publish_folder(partial, final)
    except OSError as error:
        raise OutputError(f"cannot write the checkpoint {final}: {error.strerror or error}") from None
    for old in checkpoints(folder)[:-keep]:
        shutil.rmtree(old)
    return final


def load_checkpoint(path: Path, state: TrainState) -> Position:
    """Put a checkpoint's values into `state`, in place.

    Raises:
        ModelError: the checkpoint is damaged, or of another network.
    """
    try:
        described = json.loads((path / "state.json").read_text(encoding="utf-8"))
        for name, tensors in (("weights", state.parameters), ("average", state.average)):
            _copy_into(tensors, load_file(path / f"{name}.safetensors"))
        tensors = load_file(path / "optimizer.safetensors")
        state.optimizer.load_state_dict(_optimizer_from_plain(tensors, described["groups"]))
        return Position(**described["position"])
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise ModelError(
            f"the checkpoint {path} does not fit or is damaged: {' '.join(str(error).split())[:200]}"
        ) from None
    except Exception as error:
        if type(error).__module__.startswith("safetensors"):
            raise ModelError(f"the checkpoint {path} is damaged: {error}") from None
        raise


def checkpoints(folder: Path) -> list[Path]:
    """List the finished checkpoints in a folder, oldest first."""
    return sorted(folder.glob(f"{_PREFIX}*"))


def publish_folder(partial: Path, final: Path) -> None:
    """Sync the files of `partial` to disk, then give it its final name in place of what was there."""
    for file in (path for path in partial.rglob("*") if path.is_file()):
        with file.open("rb") as handle:
            os.fsync(handle.fileno())
    shutil.rmtree(final, ignore_errors=True)
    partial.rename(final)
    handle_of_parent = os.open(final.parent, os.O_RDONLY)
    try:
        os.fsync(handle_of_parent)
    finally:
        os.close(handle_of_parent)


def _save(tensors: dict[str, Tensor], path: Path) -> None:
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, path)


def _copy_into(tensors: dict[str, Tensor], values: dict[str, Tensor]) -> None:
    if tensors.keys() != values.keys():
        odd = sorted(tensors.keys() ^ values.keys())
        raise ValueError(f"{len(odd)} tensors differ, the first is {odd[0]}")
    with torch.no_grad():
        for name, tensor in tensors.items():
            tensor.copy_(values[name])


def _optimizer_to_plain(optimizer: torch.optim.Optimizer) -> tuple[dict[str, Tensor], list[dict[str, Any]]]:
    described = optimizer.state_dict()
    tensors = {
        f"{number}.{name}": value for number, values in described["state"].items() for name, value in values.items()
    }
    return tensors, described["param_groups"]


def _optimizer_from_plain(tensors: dict[str, Tensor], groups: list[dict[str, Any]]) -> dict[str, Any]:
    state: dict[int, dict[str, Tensor]] = {}
    for full_name, value in tensors.items():
        number, name = full_name.split(".", 1)
        state.setdefault(int(number), {})[name] = value
    return {"state": state, "param_groups": groups}
