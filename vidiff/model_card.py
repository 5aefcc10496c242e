"""What is saved with a model: the README, and the list of videos it has learnt from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from shards import Dataset
from vidiff.checkpoint import Position
from vidiff.data import mixture
from vidiff.settings import TrainSettings

_CARD = """---
library_name: diffusers
pipeline_tag: video-to-video
tags: [vidiff, video, diffusion]
---
# VIDiff, trained for {steps} steps

Translates a video as an instruction says. Tasks it has seen: {tasks}. Trained for {minutes:.1f} minutes
(smoothed loss {loss:.4f}) on clips of {window} frames at {size} px, dataset `{dataset}`.

```python
from vidiff import VIDiffPipeline
pipe = VIDiffPipeline.from_pretrained("path/of/this/folder")
frames = pipe(clip, "Remove the haze.").frames  # clip: uint8 [t h w 3], t <= {window}
```

The weights are averages over the run. What it was not trained on, it does not know: a few minutes of training on a few
videos give a model for those tasks and similar scenes, not a general editor.

## Recipe
```yaml
{recipe}```
"""


TRAINING_DATA = "training_data.json"


def training_data(settings: TrainSettings, dataset: Dataset) -> dict[str, Any]:
    """Return what a benchmark needs to find leaks: the dataset, and the sha256 of every source video that was trained on.

    What a base was trained on counts, where its folder says so; `complete` is false where it does not.
    """
    tasks = list(mixture(dataset, settings.data))
    sources = {sha256 for task in tasks for sha256 in dataset.index(task, "train")["source_sha256"].to_pylist()}
    nothing: dict[str, Any] = {"sources": [], "complete": True}
    before = _learnt_before(Path(settings.base)) if settings.base else nothing
    sources |= set(before["sources"])
    return {
        "dataset": dataset.manifest.sha256,
        "tasks": tasks,
        "complete": before["complete"],
        "sources": sorted(sources),
    }


def _learnt_before(base: Path) -> dict[str, Any]:
    for place in (base / TRAINING_DATA, base / "model" / TRAINING_DATA):
        if place.is_file():
            learnt: dict[str, Any] = json.loads(place.read_text(encoding="utf-8"))
            return learnt
    return {"sources": [], "complete": False}


def model_card(settings: TrainSettings, dataset: Dataset, position: Position) -> str:
    """Return the card as Markdown."""
    return _CARD.format(
        steps=position.step,
        tasks=", ".join(mixture(dataset, settings.data)),
        minutes=position.seconds / 60,
        loss=position.loss,
        window=settings.model.window,
        size=settings.model.size,
        dataset=dataset.manifest.sha256[:12],
        recipe=settings.to_yaml(),
    )
