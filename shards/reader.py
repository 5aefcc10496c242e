"""Reading a finished dataset: any sample by key in one seek, or a task's shards as a stream."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from configs import DatasetError, unknown_name
from shards.codecs import decode_image, decode_mask, decode_video
from shards.manifest import load_manifest
from shards.sample import Meta, Sample
from shards.writer import INDEX, completed

VIDEO = ("source_sha256", "clean_sha256", "pair_sha256")
"""Columns of the index that name a sample's videos; the last is empty where there is no other side."""
_SHOWN_KEYS = 3


class Dataset:
    """A dataset folder that `datagen build` finished.

    Raises:
        DatasetError: the folder is no dataset, or misses an index its manifest names.
    """

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)
        self.manifest = load_manifest(self.root)
        tables = [self._read_index(shard.index, shard.task) for shard in self.manifest.shards]
        if not tables:
            raise DatasetError(f"{self.root} has no shards; build it again")
        self._table = pa.concat_tables(tables).sort_by([(name, "ascending") for name in ("task", "split", "key")])

    @property
    def tasks(self) -> list[str]:
        """Names of the tasks it has samples of, sorted."""
        return sorted({shard.task for shard in self.manifest.shards if shard.samples})

    @property
    def splits(self) -> list[str]:
        """Names of the splits it has samples in, sorted."""
        return sorted({shard.split for shard in self.manifest.shards if shard.samples})

    def index(self, task: str | None = None, split: str | None = None) -> pa.Table:
        """Return one row per sample (columns: `shards.writer.INDEX`), sorted by task, split and key.

        Raises:
            DatasetError: it has no such task.
        """
        if task is not None and task not in self.tasks:
            raise DatasetError(f"{self.root}: {unknown_name('task', task, self.tasks)}")
        table = self._table
        for column, wanted in (("task", task), ("split", split)):
            if wanted is not None:
                table = table.filter(pc.equal(table[column], wanted))
        return table

    def keys(self, task: str | None = None, split: str | None = None) -> list[str]:
        """Return the sample keys of a task and a split, in the order of `index`."""
        found: list[str] = self.index(task, split)["key"].to_pylist()
        return found

    def videos(self, task: str | None = None, split: str | None = None) -> frozenset[str]:
        """Return the sha256 of every video that the samples show: as it was given, and that of each side alone.

        Whoever has learnt from one of these has seen the video, whatever else came with it there.
        """
        table = self.index(task, split)
        return frozenset(sha256 for name in VIDEO for sha256 in table[name].unique().to_pylist() if sha256)

    def row(self, key: str) -> dict[str, Any]:
        """Return one sample's index row."""
        if key not in self._positions:
            raise DatasetError(f"{self.root}: {unknown_name('sample', key, self._positions, shown=_SHOWN_KEYS)}")
        found: dict[str, Any] = self._table.slice(self._positions[key], 1).to_pylist()[0]
        return found

    def members(self, key: str) -> dict[str, bytes]:
        """Return the undecoded members of one sample, by the name after its key.

        Raises:
            DatasetError: no such sample, or its shard is shorter than the index says.
        """
        row = self.row(key)
        path = self.root / row["task"] / row["shard"]
        try:
            with path.open("rb") as file:
                file.seek(row["offset"])
                data = file.read(row["bytes"])
        except OSError as error:
            raise DatasetError(f"cannot read shard {path}: {error.strerror}") from None
        if len(data) < row["bytes"]:
            raise DatasetError(f"shard {path} is cut short; 'datagen verify {self.root}' lists the damage")
        start = row["offset"]
        return {m["name"]: data[m["offset"] - start : m["offset"] - start + m["size"]] for m in row["members"]}

    def __getitem__(self, key: str) -> Sample:
        return decode_sample(key, self.members(key))

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def __iter__(self) -> Iterator[Sample]:
        return (self[key] for key in self.keys())

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {key: position for position, key in enumerate(self._table["key"].to_pylist())}

    def _read_index(self, name: str, task: str) -> pa.Table:
        try:
            table = completed(pq.read_table(self.root / name))
            if not table.schema.equals(INDEX) or table["key"].null_count:
                raise pa.ArrowInvalid(
                    f"it has other columns than an index; 'datagen verify {self.root}' lists the damage"
                )
            return table
        except (OSError, pa.ArrowInvalid) as error:
            reason = str(error).splitlines()[0]
            raise DatasetError(f"the index {self.root / name} of task {task} cannot be read: {reason}") from None


def stream(root: Path | str, task: str, split: str) -> Iterator[Sample]:
    """Yield a task's samples shard by shard in stored order, through webdataset and with our own decoders.

    webdataset's `.decode()` would run code found in pickled members; it is never called.
    """
    import webdataset

    dataset = Dataset(root)
    urls = [
        str(dataset.root / s.path) for s in dataset.manifest.shards if s.task == task and s.split == split and s.samples
    ]
    if not urls:
        raise DatasetError(f"{dataset.root} has no {split} samples of {task!r}; tasks: {', '.join(dataset.tasks)}")
    for item in webdataset.WebDataset(urls, shardshuffle=False, nodesplitter=webdataset.single_node_only):
        yield decode_sample(item["__key__"], item)


def decode_sample(key: str, members: Mapping[str, Any]) -> Sample:
    """Make a `Sample` of its undecoded members; names it does not know are left alone."""
    missing = [name for name in ("source.mkv", "target.mkv", "instruction.txt", "meta.json") if name not in members]
    if missing:
        raise DatasetError(f"sample {key} lacks {', '.join(missing)}")
    return Sample(
        key=key,
        source=decode_video(members["source.mkv"]),
        target=decode_video(members["target.mkv"]),
        instruction=bytes(members["instruction.txt"]).decode(),
        meta=meta_from_plain(json.loads(bytes(members["meta.json"]))),
        mask=decode_mask(members["mask.mkv"]) if "mask.mkv" in members else None,
        reference=decode_image(members["reference.png"]) if "reference.png" in members else None,
    )


def differing_members(a: Mapping[str, bytes], b: Mapping[str, bytes]) -> list[str]:
    """Return the names of the undecoded members in which two samples differ, sorted.

    What an earlier version did not record yet is no difference between two `meta.json`.
    """
    return sorted(name for name in a.keys() | b.keys() if not _says_the_same(name, a.get(name), b.get(name)))


def _says_the_same(name: str, a: bytes | None, b: bytes | None) -> bool:
    if a == b or name != "meta.json" or a is None or b is None:
        return a == b
    try:
        one, other = json.loads(a), json.loads(b)
        return all(one[field] == other[field] for field in one.keys() & other.keys())
    except (ValueError, AttributeError):
        return False


def meta_from_plain(values: Mapping[str, Any]) -> Meta:
    """Undo `shards.writer.meta_to_plain`."""
    loose = {name: json.loads(values[name]) for name in ("parameters", "scores")}
    return Meta(**{**values, **loose})
