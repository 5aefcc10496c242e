"""What a model has learnt from: a list of videos that goes with its weights, so that a benchmark can find leaks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from configs import ModelError
from shards import Dataset
from shards.storage import publish_json

NAME = "training_data.json"


@dataclass(frozen=True, kw_only=True)
class Learnt:
    """What is known of it."""

    sources: frozenset[str]
    """sha256 of every video, as it was given and of each side alone; lists of earlier versions have less."""
    complete: bool
    """Whether these are all: of weights from elsewhere nobody knows what they have learnt from."""
    dataset: str = ""
    """Content of the dataset that it was trained on last."""
    tasks: tuple[str, ...] = ()
    """Of that dataset."""

    def save(self, folder: Path) -> None:
        """Write it into a folder that holds a model, or a model's answers."""
        publish_json(folder / NAME, {**asdict(self), "sources": sorted(self.sources)})


def learnt_from(dataset: Dataset, tasks: Sequence[str], base: str = "") -> Learnt:
    """Return what a training on a dataset's train split learns from; what its base has learnt from counts, too."""
    before = learnt_by(Path(base)) if base else Learnt(sources=frozenset(), complete=True)
    return Learnt(
        sources=before.sources.union(*(dataset.videos(task, "train") for task in tasks)),
        complete=before.complete,
        dataset=dataset.manifest.sha256,
        tasks=tuple(tasks),
    )


def learnt_by(folder: Path) -> Learnt:
    """Return what is known of the model of a training run, of a saved pipeline, or of answers: nothing where nobody says.

    Raises:
        ModelError: the list is damaged.
    """
    run = folder / "model"
    path = (run if run.is_dir() else folder) / NAME
    if not path.is_file():
        return Learnt(sources=frozenset(), complete=False)
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return Learnt(
            sources=frozenset(values["sources"]),
            complete=values.get("complete") is True,
            dataset=values.get("dataset", ""),
            tasks=tuple(values.get("tasks", ())),
        )
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise ModelError(
            f"{path}, which lists the videos that a model has learnt from, is damaged ({error!r})"
        ) from None
