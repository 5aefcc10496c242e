"""Datasets of small videos that grow: what their tests have in common."""

import json
import os
import shutil
from dataclasses import replace

import cv2
import numpy as np
import pyarrow.parquet as pq

from configs import load
from datagen import Recipe
from shards import Dataset, EncodedSample, load_manifest, read_video, write_shard, write_video
from shards.storage import sha256_of
from tests.conftest import moving_clip
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


def with_recipe(out, change):
    """Leave a dataset with another recipe in its manifest and its notes, as `change` makes it of the one there is."""
    manifest, note = load_manifest(out), out / ".build" / "identity.json"
    replace(manifest, recipe=change(dict(manifest.recipe)), recipe_digest="0").save(out)
    if note.is_file():
        identity = json.loads(note.read_text())
        note.write_text(json.dumps({**identity, "recipe": change(identity["recipe"])}))


def without_later_settings(recipe):
    """A recipe as it was before some of the settings were there."""
    splits = {name: value for name, value in recipe["splits"].items() if name != "only"}
    return {name: value for name, value in recipe.items() if name != "engine"} | {"splits": splits}


def as_before(root, unsaid=("clean_sha256", "pair_sha256")):
    """Leave a dataset, with its notes if it has some, as it was made before the sides' sha256 were recorded."""
    manifest, dataset = load_manifest(root), Dataset(root)
    shards = []
    for shard in manifest.shards:
        rows = pq.read_table(root / shard.index).to_pylist()
        samples = [
            EncodedSample(key=row["key"], members=_less(dataset.members(row["key"]), unsaid), row=row) for row in rows
        ]
        written = write_shard(root / shard.path, samples)
        pq.write_table(pq.read_table(root / shard.index).drop_columns(list(unsaid)), root / shard.index)
        shards.append(replace(written, index_sha256=sha256_of(root / shard.index)))
    replace(manifest, shards=tuple(shards)).save(root)
    known = {shard.path: vars(shard) for shard in shards}
    for note in root.glob(".build/units/*.json"):
        unit = json.loads(note.read_text())
        unit["result"]["shards"] = [known[shard["path"]] for shard in unit["result"]["shards"]]
        note.write_text(json.dumps(unit))
    for name in ("sources", "examined"):
        note = root / ".build" / f"{name}.json"
        items = json.loads(note.read_text()) if note.is_file() else {}
        if "pair_sha256" in unsaid and items:
            # marks end with the version of the verdicts
            items = {key.removesuffix(" 2") + " 1" * key.endswith(" 2"): item for key, item in items.items()}
            note.write_text(json.dumps({key: _without(item, ("pair_sha256",)) for key, item in items.items()}))
    return root


def _without(values, names):
    return {name: value for name, value in values.items() if name not in names}


def _less(members, unsaid):
    meta = _without(json.loads(members["meta.json"]), unsaid)
    return {**members, "meta.json": json.dumps(meta, sort_keys=True, ensure_ascii=False).encode()}


def killed_at(write, patch):
    """Let the process end at one of its writes to disk, before or after the file has its name; count them."""
    real, count = os.fsync, [0]

    def counting(descriptor):
        count[0] += 1
        if count[0] == write:
            raise KeyboardInterrupt
        real(descriptor)

    patch.setattr("os.fsync", counting)
    return count


def before_a_camera(seed: int, *, frames: int = 16, size: int = 96, view: int = 0) -> np.ndarray:
    """Return uint8 [t h w 3]: what one camera sees that stands still, and a few things that go their ways before it."""
    still, rng = moving_clip(1000 + view, frames=1, height=size, width=size)[0], np.random.default_rng(seed)
    clip = np.repeat(still[None], frames, axis=0)
    for _ in range(3):
        (x, y), (dx, dy) = rng.integers(0, size, 2), rng.integers(1, 4, 2) * rng.choice([-1, 1], 2)
        for t in range(frames):
            place = (int(x + dx * t) % size, int(y + dy * t) % size)
            cv2.circle(clip[t], place, size // 16, [int(v) for v in rng.integers(0, 256, 3)], -1)
    return np.clip(clip + rng.normal(0, 1.5, clip.shape), 0, 255).astype(np.uint8)
