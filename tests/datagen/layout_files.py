"""Frames and masks as layouts have them, and what a source makes of them."""

from pathlib import Path

import numpy as np
from PIL import Image

from configs import load
from datagen import Recipe
from datagen.sources import find_source
from datagen.sources.base import Clip, Reject, SourceVideo, Window
from datagen.synthesize import open_readers
from tests.conftest import ROOT, moving_clip

RECIPE = ["clip.frames=3", "clip.size=32", "gates.min_motion=0", "gates.max_duplicates=1"]


REAL = ROOT.parent / "shared" / "data" / "paired"


def frames(folder: Path, count: int = 4, seed: int = 0, names: str = "{:05d}.jpg", *, shift: int = 0) -> np.ndarray:
    folder.mkdir(parents=True, exist_ok=True)
    clip = np.clip(moving_clip(seed, frames=count).astype(int) + shift, 0, 255).astype(np.uint8)
    for n, frame in enumerate(clip):
        Image.fromarray(frame).save(folder / names.format(n), quality=95)
    return clip


def masks(folder: Path, count: int = 4, objects: int = 1, every: int = 1) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for n in range(0, count, every):
        numbers = np.zeros((32, 48), np.uint8)
        for k in range(1, objects + 1):
            numbers[4:20, 8 * k + 2 : 8 * k + 9] = k
        image = Image.fromarray(numbers, "P")
        image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
        image.save(folder / f"{n:05d}.png")


def found(spec: str, *settings: str) -> list[SourceVideo]:
    items = list(find_source(spec, "unknown").videos(load(Recipe, "default", [*RECIPE, *settings]), {}))
    assert not [item for item in items if isinstance(item, Reject)], items
    return sorted(items, key=lambda item: item.name)


def read(video: SourceVideo, *settings: str, start: int = 0) -> Clip:
    recipe = load(Recipe, "default", [*RECIPE, *settings])
    with open_readers(recipe) as reader:
        return reader(video, Window(start=start, step=1, frames=recipe.clip.frames))


def image(path: Path, seed: int, *, shift: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    frame = np.clip(moving_clip(seed, frames=1)[0].astype(int) + shift, 0, 255).astype(np.uint8)
    Image.fromarray(frame).save(path, **({"quality": 95} if path.suffix == ".jpg" else {}))
