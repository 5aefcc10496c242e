"""The README's picture of the six tasks, on procedural scenes: docs/images/tasks.jpg.

Each column is one sample: its source above, its target below, both at the middle of the clip, and the instruction under them.
"""

from __future__ import annotations

import tempfile
import textwrap
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot as plt

from benchmarks.metrics import Outcome, headline
from configs import load
from datagen import Recipe, build
from shards import Dataset, Sample

ROOT = Path(__file__).resolve().parent.parent
SCENES, SIZE, FRAMES = 40, 256, 8
COLUMN, LETTERS = 2.0, 27
"""Inches, and how many letters a line of that width has."""
_PART = 0.3
"""An edit that changes less of the picture than this is one of an object, not a look."""


def main() -> None:
    """Build scenes of all tasks and draw one sample of each."""
    mpl.use("agg")
    with tempfile.TemporaryDirectory() as scratch:
        tasks = ", ".join(f"{task}: {{}}" for task in SHOWN)
        settings = [f"scenes.count={SCENES}", f"clip.size={SIZE}", f"clip.frames={FRAMES}", f"tasks={{{tasks}}}"]
        build(load(Recipe, "default", settings), Path(scratch) / "data", sources=["scenes"])
        dataset = Dataset(Path(scratch) / "data")
        path = ROOT / "docs" / "images" / "tasks.jpg"
        draw({task: choose(task, dataset) for task in SHOWN}, path)
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size // 1024} KB")


def input_score(sample: Sample) -> float:
    """Return what the metric that ranks says of the input: the less, the more there is to do."""
    return headline(sample.meta.task)[0].score(Outcome(sample, sample.source)) or 0.0


def mask_share(sample: Sample) -> float:
    """Return the share of the pixels under the mask."""
    return float((sample.mask > 0).mean()) if sample.mask is not None else 0.0


SHOWN: dict[str, Callable[[list[Sample]], Sample]] = {
    "dehaze": lambda samples: middle(samples, input_score),
    "deblur": lambda samples: min(samples, key=input_score),
    "inpaint": lambda samples: max(samples, key=mask_share),
    "recolor": lambda samples: min(samples, key=input_score),
    "segment": lambda samples: max(samples, key=mask_share),
    "edit": lambda samples: max((each for each in samples if mask_share(each) < _PART), key=mask_share),
}
"""How each task's sample is chosen: one that shows at a glance what is asked."""


def middle(samples: list[Sample], key: Callable[[Sample], float]) -> Sample:
    """Return the sample in the middle by `key`."""
    return sorted(samples, key=key)[len(samples) // 2]


def choose(task: str, dataset: Dataset) -> Sample:
    """Return the train sample of a task that is shown."""
    return SHOWN[task]([dataset[key] for key in dataset.keys(task, "train")])


def draw(samples: dict[str, Sample], path: Path) -> None:
    """Write the picture."""
    figure, axes = plt.subplots(2, len(samples), figsize=(COLUMN * len(samples), 2 * COLUMN + 1.1), dpi=100)
    for column, (task, sample) in enumerate(samples.items()):
        for row, video in enumerate((sample.source, sample.target)):
            axes[row, column].imshow(video[len(video) // 2])
            axes[row, column].set_axis_off()
        axes[0, column].set_title(task, loc="left", fontweight="bold", fontsize=11)
        words = "\n".join(textwrap.wrap(sample.instruction, LETTERS))
        axes[1, column].text(0, -0.04, words, transform=axes[1, column].transAxes, va="top", fontsize=9)
    figure.subplots_adjust(left=0.005, right=0.995, top=0.945, bottom=0.175, wspace=0.03, hspace=0.03)
    figure.savefig(path, pil_kwargs={"quality": 88})
    plt.close(figure)


if __name__ == "__main__":
    main()
