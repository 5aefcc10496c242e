"""A picture of what every method of the bench does, on procedural scenes: docs/images/baselines-TASK.jpg.

Each tile is one method's answer on the middle frame of a test sample; below it the clip's score on the metric that ranks.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.methods import METHODS, Context
from benchmarks.metrics import Outcome, headline
from configs import load
from datagen import Recipe, build
from shards import Dataset, Sample

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
SIZE, COLUMNS, BAR, GAP = 224, 5, 22, 6


def main() -> None:
    """Build scenes, run every method on one sample per task, and write a sheet for each task."""
    with tempfile.TemporaryDirectory() as scratch:
        recipe = load(Recipe, "bench", ["clip.size=224", "scenes.count=60", "tasks.recolor.reference=1"])
        build(recipe, Path(scratch) / "data", sources=["scenes"], workers=0)
        dataset = Dataset(Path(scratch) / "data")
        for task in dataset.tasks:
            path = IMAGES / f"baselines-{task}.jpg"
            cv2.imwrite(str(path), sheet(task, dataset)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])
            print(f"{path.relative_to(ROOT)}: {path.stat().st_size // 1024} KB")


def sheet(task: str, dataset: Dataset) -> NDArray[np.uint8]:
    """Return source, every method's answer and target of each chosen sample as one picture."""
    tiles = []
    for sample in choose(task, dataset):
        own = row_of(task, sample, dataset)
        tiles += [*own, *[np.full_like(own[0], 255)] * (-len(own) % COLUMNS)]
    return np.concatenate([np.concatenate(tiles[row : row + COLUMNS], axis=1) for row in range(0, len(tiles), COLUMNS)])


def row_of(task: str, sample: Sample, dataset: Dataset) -> list[NDArray[np.uint8]]:
    """Return the tiles of one sample."""
    first, middle = headline(task)[0], len(sample.source) // 2
    tiles = []
    if sample.reference is not None:
        tiles.append(tile(cv2.resize(sample.reference, (SIZE, SIZE), interpolation=cv2.INTER_AREA), "reference"))
    for method in (one for one in METHODS.values() if not one.networks):
        if method.fits(task):
            answer = method.answer(Context(dataset=dataset, task=task, seed=0))(sample)
            score = first.score(Outcome(sample, answer))
            name = "source" if method.name == "identity" else method.name
            tiles.append(tile(answer[middle], f"{name}  {score:.{first.digits}f} {first.unit}"))
    return [*tiles, tile(sample.target[middle], "target")]


def choose(task: str, dataset: Dataset) -> list[Sample]:
    """Return test samples with something to do: the one whose input is in the middle of all by the metric that ranks.

    Of blur the strongest, for most clips show little of it; of edits a look, and one with a reference picture.
    """
    samples = [dataset[key] for key in dataset.keys(task, "test")]
    samples = [sample for sample in samples if not np.array_equal(sample.source, sample.target)]
    first = headline(task)[0]
    scored = sorted(samples, key=lambda sample: first.score(Outcome(sample, sample.source)) or 0.0)
    if task == "deblur":
        return scored[:1]
    if task == "edit":
        looks = [
            sample for sample in scored if sample.meta.parameters.get("scope") == "look" and sample.reference is None
        ]
        shown = [sample for sample in scored if sample.reference is not None]
        return [found[len(found) // 2] for found in (looks, shown) if found]
    return [scored[len(scored) // 2]]


def tile(frame: NDArray[np.uint8], words: str) -> NDArray[np.uint8]:
    """Return a frame with its words below and a margin around."""
    bar = np.full((BAR, SIZE, 3), 255, np.uint8)
    cv2.putText(bar, words, (2, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (30, 30, 30), 1, cv2.LINE_AA)
    return np.pad(np.concatenate([frame, bar]), ((GAP, 0), (GAP // 2, GAP // 2), (0, 0)), constant_values=255)


if __name__ == "__main__":
    main()
