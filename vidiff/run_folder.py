"""The folder of a training run: whose it is, its log, its checkpoints and its model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from configs import ConfigError, DatasetError, OutputError, check
from shards import load_manifest
from shards.storage import append_json
from vidiff.checkpoint import checkpoints, publish_folder
from vidiff.pipeline import VIDiffPipeline
from vidiff.settings import TrainSettings
from vidiff.training_data import Learnt

# what may change between the parts of one run without making it another run
_FREE = {"steps", "minutes", "log_every", "validate_every", "checkpoint_every", "keep_checkpoints", "data.workers"}
_OURS = ("checkpoints", "model", "validation", "log.jsonl", "run.json")


class RunFolder:
    """`run.json` (settings, dataset), `log.jsonl`, `checkpoints/`, `validation/`, and `model/`, which is a pipeline."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.checkpoints = root / "checkpoints"
        self.validation = root / "validation"
        self.model = root / "model"
        self._identity = root / "run.json"
        self._log = root / "log.jsonl"

    def open(self, settings: TrainSettings, dataset: str, data: Path, *, resume: bool, overwrite: bool) -> Path | None:
        """Make the folder, or check that it is this run's; return the checkpoint to go on from, if any.

        `dataset`: the sha256 of its content; `data`: its folder.

        Raises:
            OutputError: it holds something else or another recipe's run, it holds this run and neither `resume` nor
                `overwrite` is given, or there is nothing to resume.
        """
        wanted = {"settings": settings.model_dump(mode="json"), "dataset": dataset}
        if overwrite:
            self._clear()
        found = self._read_identity()
        if found is not None:
            self._refuse_other(found, wanted)
        latest = next(reversed(checkpoints(self.checkpoints)), None)
        if resume and latest is None:
            raise OutputError(f"nothing to resume: {self.root} has no checkpoint; leave out --resume to start")
        if latest is not None and not resume:
            raise OutputError(
                f"{self.root} holds this run at {latest.name}: --resume goes on, --overwrite starts again"
            )
        self._write_identity(wanted | {"data": str(data.absolute())})
        return latest

    def recorded(self) -> dict[str, Any] | None:
        """Return the settings of the run that is here, as plain values; None where there is none.

        Raises:
            OutputError: it holds something else.
        """
        found = self._read_identity()
        return found and dict(found["settings"])

    def data(self) -> Path | None:
        """Return the folder of the dataset that the run here was trained on; None where there is no run.

        Raises:
            OutputError: it was not noted, is gone, or holds something else by now.
        """
        found = self._read_identity()
        if found is None:
            return None
        data = Path(found.get("data", ""))
        trouble = (
            "it does not say where its dataset lies" if not found.get("data") else _trouble(data, found["dataset"])
        )
        if trouble:
            raise OutputError(f"{self._identity}: {trouble}; give --data with the dataset that the run began with")
        return data

    def looked_at(self, step: int) -> bool:
        """Whether the model of this step is here, and its validation clips are in the log."""
        rows = self._log.read_text(encoding="utf-8").splitlines() if self._log.is_file() else []
        return self.model.is_dir() and any("psnr" in row and row["step"] == step for row in map(json.loads, rows))

    def log(self, row: Mapping[str, Any]) -> None:
        """Append one line to `log.jsonl`."""
        append_json(self._log, row)

    def cut_log(self, step: int) -> None:
        """Drop the lines after `step`; the run goes on from there and writes them again."""
        if self._log.is_file():
            lines = self._log.read_text(encoding="utf-8").splitlines()
            kept = [line for line in lines if line.endswith("}") and json.loads(line)["step"] <= step]
            self._log.write_text("".join(line + "\n" for line in kept), encoding="utf-8")

    def publish_model(self, pipe: VIDiffPipeline, card: str, learnt: Learnt) -> None:
        """Write `model/` under another name, sync and rename it; weights are safetensors."""
        partial = self.root / ".model.partial"
        try:
            shutil.rmtree(partial, ignore_errors=True)
            pipe.save_pretrained(partial, safe_serialization=True)
            (partial / "README.md").write_text(card, encoding="utf-8")
            learnt.save(partial)
            publish_folder(partial, self.model)
        except OSError as error:
            raise OutputError(f"cannot write the model to {self.model}: {error.strerror or error}") from None

    def _clear(self) -> None:
        if self.root.is_dir() and any(self.root.iterdir()) and not self._identity.is_file():
            raise OutputError(f"{self.root} holds other things than a training run; choose another folder")
        for name in _OURS:
            path = self.root / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def _read_identity(self) -> dict[str, Any] | None:
        if self.root.exists() and not self.root.is_dir():
            raise OutputError(f"{self.root} is a file; give a folder for the run")
        if not self._identity.is_file():
            if self.root.is_dir() and any(self.root.iterdir()):
                raise OutputError(f"{self.root} holds other things than a training run; choose another folder")
            return None
        try:
            found: dict[str, Any] = json.loads(self._identity.read_text(encoding="utf-8"))
            _ = found["settings"], found["dataset"]
        except (ValueError, KeyError, TypeError):
            raise OutputError(f"{self._identity} is damaged; --overwrite starts the run again") from None
        return found

    def _refuse_other(self, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
        old, new = (_flat(_completed(side["settings"])) | {"dataset": side["dataset"][:12]} for side in (found, wanted))
        changed = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key) and key not in _FREE)
        if changed:
            difference = "; ".join(f"{key} was {old.get(key)}, is {new.get(key)}" for key in changed[:5])
            more = f" and {len(changed) - 5} more" if len(changed) > 5 else ""
            remedy = "the --data it began with" if changed == ["dataset"] else "no --config, --set or --task"
            raise OutputError(
                f"{self.root} holds a run of another recipe ({difference}{more}); --resume with {remedy} goes on with it, "
                "--overwrite replaces it"
            )

    def _write_identity(self, identity: Mapping[str, Any]) -> None:
        partial = self.root / ".run.json.partial"
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            partial.write_text(json.dumps(identity, indent=1), encoding="utf-8")
            partial.replace(self._identity)
        except OSError as error:
            raise OutputError(f"cannot write to {self.root}: {error.strerror}") from None


def _trouble(data: Path, dataset: str) -> str:
    """Say why a folder is not the dataset with this sha256; nothing where it is."""
    try:
        same = load_manifest(data).sha256 == dataset
    except DatasetError as error:
        return f"of its dataset: {error}"
    return "" if same else f"its dataset, {data}, has other content now"


def _completed(settings: dict[str, Any]) -> dict[str, Any]:
    """Return a run's settings with those that have come since, at their defaults; as they are where one of them is gone."""
    try:
        return check(TrainSettings, settings, where="run.json").model_dump(mode="json")
    except ConfigError:
        return settings


def _flat(values: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{before}{key}"
        flat |= _flat(value, f"{name}.") if isinstance(value, dict) else {name: value}
    return flat
