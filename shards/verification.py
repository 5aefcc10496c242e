"""Checking a dataset against its manifest: a cut or changed shard is found, named, and never silently read."""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from configs import VIDiffError
from shards.manifest import Manifest, Shard, load_manifest
from shards.reader import decode_sample
from shards.storage import sha256_of
from shards.tasks import get_task, task_names

Step = Callable[[Shard], None]


def verify(root: Path, *, decode: bool = False, on_shard: Step | None = None) -> list[str]:
    """Return what is wrong with a dataset, a line each; an empty list means that nothing is.

    Every shard is hashed, and its members are compared with its index. `decode` also decodes every sample.

    Raises:
        DatasetError: `root` is no finished dataset at all.
    """
    manifest = load_manifest(root)
    problems = [f"{name}: missing" for name in ("README.md", "rejects.jsonl") if not (root / name).is_file()]
    problems += _strangers(root, manifest)
    seen: dict[str, str] = {}
    for shard in manifest.shards:
        problems += _check_shard(root, shard, seen, decode)
        if on_shard:
            on_shard(shard)
    return problems


def changed_shards(root: Path, shards: Iterable[Shard]) -> list[str]:
    """Return which of a dataset's shards and indexes are not what its manifest says, a line for each shard: by their hashes."""
    return [problem for shard in shards if (problem := _changed(root, shard))]


def _strangers(root: Path, manifest: Manifest) -> Iterator[str]:
    known = {root / name for shard in manifest.shards for name in (shard.path, shard.index)}
    for path in sorted({*root.glob("*/*.tar"), *root.glob("*/*.parquet")} - known):
        yield f"{path.relative_to(root)}: not in the manifest; readers that list the folder would pick it up"


def _check_shard(root: Path, shard: Shard, seen: dict[str, str], decode: bool) -> list[str]:
    if problem := _changed(root, shard):
        return [problem]
    path = root / shard.path
    try:
        rows = pq.read_table(root / shard.index).to_pylist()
        stored = _members(path)
    except (OSError, pa.ArrowInvalid, tarfile.TarError) as error:
        return [f"{shard.path}: cannot be read: {error}"]
    return list(_compare(shard, rows, stored, seen)) + (list(_decode(path, rows)) if decode else [])


def _changed(root: Path, shard: Shard) -> str:
    for name, told in ((shard.path, shard.sha256), (shard.index, shard.index_sha256)):
        if not (root / name).is_file():
            return f"{name}: missing"
        size = (root / name).stat().st_size
        if name == shard.path and size != shard.bytes:
            return f"{name}: {size} bytes, the manifest says {shard.bytes}" + (": cut short" * (size < shard.bytes))
        if sha256_of(root / name) != told:
            return f"{name}: changed (its sha256 is not the manifest's)"
    return ""


def _members(path: Path) -> dict[str, tuple[int, int]]:
    with tarfile.open(path) as tar:
        return {info.name: (info.offset_data, info.size) for info in tar}


def _compare(
    shard: Shard, rows: list[dict[str, Any]], stored: dict[str, tuple[int, int]], seen: dict[str, str]
) -> Iterator[str]:
    if len(rows) != shard.samples:
        yield f"{shard.index}: {len(rows)} rows, the manifest says {shard.samples} samples"
    told = {f"{row['key']}.{m['name']}": (m["offset"], m["size"]) for row in rows for m in row["members"]}
    if told != stored:
        names = sorted(name for name in told.keys() | stored.keys() if told.get(name) != stored.get(name))
        yield f"{shard.path}: members differ from its index: {', '.join(names[:3])}{' ...' if len(names) > 3 else ''}"
    for row in rows:
        if row["key"] in seen:
            yield f"{shard.path}: sample {row['key']} is in {seen[row['key']]} too"
        seen[row["key"]] = shard.path
        yield from _check_members(shard, row)


def _check_members(shard: Shard, row: dict[str, Any]) -> Iterator[str]:
    if shard.task not in task_names():
        return
    wanted = {"mask": "mask.mkv", "reference": "reference.png"}
    names = {member["name"] for member in row["members"]}
    for member in get_task(shard.task).members:
        if wanted[member] not in names:
            yield f"{shard.path}: sample {row['key']} has no {member}"


def _decode(path: Path, rows: list[dict[str, Any]]) -> Iterator[str]:
    data = path.read_bytes()
    for row in rows:
        try:
            members = {m["name"]: data[m["offset"] : m["offset"] + m["size"]] for m in row["members"]}
            sample = decode_sample(row["key"], members)
        except (VIDiffError, ValueError) as error:
            yield f"{path.name}: sample {row['key']}: {error}"
            continue
        if sample.source.shape[:3] != (row["frames"], row["height"], row["width"]):
            yield f"{path.name}: sample {row['key']} is {sample.source.shape[:3]}, not what its index says"
