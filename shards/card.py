"""The dataset card: a README.md that Hugging Face `datasets` reads its schema and splits from."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from configs import counted
from shards.manifest import Manifest, Shard
from shards.storage import publish
from shards.tasks import get_task, task_names

_HF_SPLITS = {"train": "train", "val": "validation", "test": "test"}
_META = {
    "string": (
        "task", "split", "source_id", "source_sha256", "clean_sha256", "licence", "caption", "seed", "effect",
        "parameters", "scores",
    ),
    "int64": ("start", "step", "effect_version"),
    "float64": ("fps",),
}  # fmt: skip


def write_card(
    root: Path, manifest: Manifest, licences: Mapping[str, int], members: Mapping[str, Collection[str]] | None = None
) -> None:
    """Write `root/README.md`. `licences`: how many samples come under which licence. `members`: the optional members
    that samples of a task have, for tasks with others than they declare, and `pair_sha256` where a `meta.json` says it; a sample
    without one reads as null.

    Its front matter fixes the schema: inferred from the first five samples, `datasets` would read a float as an
    int, and would type videos so that they need one particular decoder.
    """
    tasks = sorted({shard.task for shard in manifest.shards})
    front = {
        "pretty_name": "Instruction-driven video pairs",
        "task_categories": ["video-to-video"],
        "tags": ["video", "webdataset", *tasks],
        "configs": [_config(task, manifest.shards) for task in tasks],
        "dataset_info": [
            {
                "config_name": task,
                "features": _features(members[task] if members and task in members else get_task(task).members),
            }
            for task in tasks
        ],
    }
    publish(root / "README.md", f"---\n{yaml.safe_dump(front, sort_keys=False)}---\n{_body(manifest, tasks, licences)}")


def wids_index(root: Path, manifest: Manifest, task: str, split: str) -> dict[str, Any]:
    """Return the index that wids readers take: the shards of one task and split with their sample counts."""
    shards = [shard for shard in manifest.shards if shard.task == task and shard.split == split]
    listed = [{"url": shard.path.split("/")[1], "nsamples": shard.samples} for shard in shards]
    return {"__kind__": "wids-shard-index-v1", "wids_version": 1, "shardlist": listed}


def _config(task: str, shards: Iterable[Shard]) -> dict[str, Any]:
    splits = {shard.split for shard in shards if shard.task == task}
    files = [{"split": _HF_SPLITS[name], "path": f"{task}/{name}-*.tar"} for name in _HF_SPLITS if name in splits]
    return {"config_name": task, "data_files": files}


def _features(members: Collection[str]) -> list[dict[str, Any]]:
    meta = [{"name": name, "dtype": kind} for kind, names in _META.items() for name in names]
    meta += [{"name": "pair_sha256", "dtype": "string"}] if "pair_sha256" in members else []
    features: list[dict[str, Any]] = [
        {"name": "__key__", "dtype": "string"},
        {"name": "__url__", "dtype": "string"},
        {"name": "source.mkv", "dtype": {"video": {"decode": False}}},
        {"name": "target.mkv", "dtype": {"video": {"decode": False}}},
        {"name": "instruction.txt", "dtype": "string"},
        {"name": "meta.json", "struct": meta},
    ]
    if "mask" in members:
        features.append({"name": "mask.mkv", "dtype": {"video": {"decode": False}}})
    if "reference" in members:
        features.append({"name": "reference.png", "dtype": {"image": {"decode": False}}})
    return features


def _body(manifest: Manifest, tasks: list[str], licences: Mapping[str, int]) -> str:
    # a merge may be of tasks that are registered elsewhere
    known = task_names()
    lines = [f"- `{task}`" + (f": {get_task(task).summary}" if task in known else "") for task in tasks]
    terms = [f"- {name or 'unknown'}: {counted(count, 'sample')}" for name, count in sorted(licences.items())]
    counts: dict[tuple[str, str], int] = {}
    for shard in manifest.shards:
        counts[shard.task, shard.split] = counts.get((shard.task, shard.split), 0) + shard.samples
    table = [f"| {task} | {split} | {count} |" for (task, split), count in sorted(counts.items())]
    recipe = yaml.safe_dump(dict(manifest.recipe), sort_keys=False)
    return _TEXT.format(
        samples=counted(manifest.samples, "clip pair"),
        sources=counted(manifest.sources, "source"),
        version=manifest.code_version,
        tasks="\n".join(lines),
        table="\n".join(table),
        licences="\n".join(terms),
        first=tasks[0] if tasks else "",
        recipe=recipe,
        digest=manifest.sha256,
    )


_TEXT = """
# Instruction-driven video pairs

{samples} from {sources}, made by VIDiff datagen {version}. A source is a clean video, whatever
captions, masks or other sides it came with; all its samples are in the same split.

{tasks}

| task | split | samples |
|---|---|---|
{table}

Each sample has `source.mkv`, `target.mkv` (RGB clips), `instruction.txt` and `meta.json` (where it came from, its
caption if it had one, and every parameter that made it).
`<task>/<split>-NNNNNN.parquet` has one row per sample with byte offsets, parameters, gate
scores and the codec's round-trip PSNR; `manifest.json` has every shard with its sha256. The numbers may have gaps, so
list shards by the manifest or a glob (`<task>/train-*.tar`) and not by a range in braces. Split `val` is called
`validation` by Hugging Face `datasets`. Ray Data reads them with `ray.data.read_webdataset(paths, decoder=None)`: what it
decodes by itself has no place for a member that only some samples have.

```python
from datasets import load_dataset
pairs = load_dataset("path/to/this/folder", "{first}", split="train", streaming=True)

from shards import Dataset
dataset = Dataset("path/to/this/folder")
sample = dataset[dataset.keys("{first}", "train")[0]]   # sample.source, sample.target: uint8 [t h w 3]
```

## Licences of the source clips

{licences}

## How it was made

Content hash `{digest}`. Recipe:

```yaml
{recipe}```
"""
