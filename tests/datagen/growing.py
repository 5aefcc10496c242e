"""Datasets of small videos that grow: what their tests have in common."""

import json
import shutil

import cv2
import numpy as np

from configs import load
from datagen import Recipe
from shards import Dataset, read_video, write_video
from tests.datagen.conftest import SMALL


def recipe(*settings: str) -> Recipe:
    return load(Recipe, "default", [*SMALL, "tasks={dehaze: {}, recolor: {}}", *settings])


def some(videos, folder, numbers):
    folder.mkdir(exist_ok=True)
    for number in numbers:
        shutil.copy(videos / f"v{number:02d}.mp4", folder)
    return folder


def copy_of(path, out, *, light=0, begin=0, mirrored=False):
    """Write a video again, smaller and with other compression."""
    frames = np.stack([cv2.resize(f, (64, 48), interpolation=cv2.INTER_AREA) for f in read_video(path)[begin:]])
    frames = frames[:, :, ::-1] if mirrored else frames
    write_video(out, np.clip(frames.astype(int) + light, 0, 255).astype(np.uint8), fps=25)


def stamps(out):
    return {path.relative_to(out): (path.stat().st_mtime_ns, path.read_bytes()) for path in out.rglob("*.tar")}


def samples(out):
    dataset = Dataset(out)
    return {key: dataset.members(key) for task in dataset.tasks for key in dataset.keys(task)}


def splits(out):
    """The split of every source that has samples, by its id."""
    return {row["source_id"]: row["split"] for row in Dataset(out).index().to_pylist()}


def rejects(out):
    return [json.loads(line) for line in (out / "rejects.jsonl").read_text().splitlines()]
