"""Frames and masks as layouts have them, and what a source makes of them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from configs import load
from datagen import Recipe
from datagen.sources import find_source
from datagen.sources.base import Clip, Reject, SourceVideo, Window
from datagen.synthesize import open_readers
from shards import write_video
from tests.conftest import ROOT, moving_clip

RECIPE = ["clip.frames=3", "clip.size=32", "gates.min_motion=0", "gates.max_duplicates=1"]


MAN, DOG = np.zeros((2, 32, 48), np.uint8)
MAN[4:20, 10:17] = 1
DOG[20:30, 20:38] = 1
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


def annotation(file: Path, numbers: list[int], masks: list[np.ndarray]) -> None:
    """One object's masks lack the axis of objects, and all are the other way round: MATLAB wrote them."""
    h5py = pytest.importorskip("h5py", reason="A2D's masks are HDF5 files, and h5py is not installed")
    file.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(file, "w") as content:
        stored = np.stack(masks).transpose(0, 2, 1)
        content["reMask"] = stored[0] if len(masks) == 1 else stored
        content["instance"] = np.array(numbers, np.float64)


def a2d_sentences(root: Path) -> Path:
    """Three videos: one for testing with sentences for two actors, one with none, one whose masks are gone."""
    (root / "Release" / "clips320H").mkdir(parents=True)
    texts = root / "text_annotations"
    for seed, name in enumerate(("_0djE279Srg", "unsaid", "bare")):
        write_video(root / "Release" / "clips320H" / f"{name}.mp4", moving_clip(seed, frames=20), fps=25)
    rows = ["_0djE279Srg,16,0:01,0:05,32,48,20,3,1", "unsaid,79,0:01,0:02,32,48,20,3,0", "bare,79,1,2,32,48,20,3,0"]
    (root / "Release" / "videoset.csv").write_text("\n".join(rows) + "\n")
    for frame in (3, 9, 15):
        annotation(texts / "a2d_annotation_with_instances" / "_0djE279Srg" / f"{frame:05d}.h5", [0, 2], [MAN, DOG])
    annotation(texts / "a2d_annotation_with_instances" / "_0djE279Srg" / "00019.h5", [2], [DOG])
    said = [
        "video_id,instance_id,query",
        "_0djE279Srg,0,Man in blue is running",
        '_0djE279Srg,2,"a dog, jumping high."',
        "_0djE279Srg,1 (copy),a mistake",
        "bare,1,a cat",
    ]
    (texts / "a2d_annotation.txt").write_text("\n".join(said) + "\n")
    return root
