"""Writing samples as uncompressed tar shards with an index, byte for byte repeatable."""

from __future__ import annotations

import contextlib
import io
import json
import tarfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from shards.codecs import encode_image, encode_mask, encode_measured
from shards.manifest import Shard
from shards.sample import Meta, Sample, Video
from shards.storage import Discard, publish, publishing, sha256_of

_BLOCK = 512
_COPIED = 16 * 2**20
"""Bytes that go into the tar at a time: whole members, where tarfile would take 16 KB."""

INDEX = pa.schema(
    [
        ("key", pa.string()),
        ("task", pa.string()),
        ("split", pa.string()),
        ("shard", pa.string()),
        ("offset", pa.int64()),
        ("bytes", pa.int64()),
        ("members", pa.list_(pa.struct([("name", pa.string()), ("offset", pa.int64()), ("size", pa.int64())]))),
        ("instruction", pa.string()),
        ("frames", pa.int32()),
        ("height", pa.int32()),
        ("width", pa.int32()),
        ("fps", pa.float64()),
        ("start", pa.int64()),
        ("step", pa.int32()),
        ("source_id", pa.string()),
        ("source_sha256", pa.string()),
        ("clean_sha256", pa.string()),
        ("pair_sha256", pa.string()),
        ("licence", pa.string()),
        ("caption", pa.string()),
        ("seed", pa.string()),
        ("effect", pa.string()),
        ("effect_version", pa.int32()),
        ("codec", pa.string()),
        ("psnr_source", pa.float64()),
        ("psnr_target", pa.float64()),
        ("parameters", pa.string()),
        ("scores", pa.string()),
    ]
)
"""Columns of `<split>-NNNNNN.parquet`. `offset` and `bytes` span a sample in its tar, headers included; the offsets of
`members` are those of their data. `psnr_*` (dB, RGB, pooled over the clip) say what the codec cost."""
_LATER = {"caption", "clean_sha256", "pair_sha256"}
"""Columns that earlier versions did not write."""

Said = Callable[[Mapping[str, Any]], Mapping[str, str]]
"""What is known now of a row's sample, by column: `clean_sha256` and `pair_sha256`."""


@dataclass(frozen=True, kw_only=True)
class EncodedSample:
    """A sample as shard members (name after the key -> bytes) with its index row, offsets still missing."""

    key: str
    members: dict[str, bytes]
    row: dict[str, Any]


Known = dict[int, tuple[bytes, float]]
"""Clips already encoded, by the `id` of their array: tasks made from one clip share its target."""


def encode_sample(sample: Sample, codec: str = "jpeg", known: Known | None = None) -> EncodedSample:
    """Encode every member of a sample and measure what the codec costs."""
    known = {} if known is None else known
    fps = sample.meta.fps
    source, psnr_source = _encode_clip(sample.source, fps, codec, known)
    target, psnr_target = _encode_clip(sample.target, fps, codec, known)
    members = {
        "source.mkv": source,
        "target.mkv": target,
        "instruction.txt": sample.instruction.encode(),
        "meta.json": _json(_stored(sample.meta)).encode(),
    }
    if sample.mask is not None:
        members["mask.mkv"] = encode_mask(sample.mask, fps)
    if sample.reference is not None:
        members["reference.png"] = encode_image(sample.reference)
    quality = {"codec": codec, "psnr_source": psnr_source, "psnr_target": psnr_target}
    return EncodedSample(key=sample.key, members=members, row=_row(sample) | quality)


def meta_to_plain(meta: Meta) -> dict[str, Any]:
    """Return `meta` as stored: free-form mappings as JSON text, so that its schema never varies."""
    return vars(meta) | {"parameters": _json(meta.parameters), "scores": _json(meta.scores)}


class ShardWriter:
    """Writes `<root>/<task>/<split>-NNNNNN.tar` and, after it, its `.parquet` index; use it in a `with` block.

    The bytes depend on the samples alone: headers carry no time, owner or mode of the machine. A block that fails
    leaves nothing, and neither does one that added nothing. Afterwards `shard` is the finished shard or None.

    Raises:
        OutputError: the place cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.shard: Shard | None = None
        self._rows: list[dict[str, Any]] = []
        self._open = contextlib.ExitStack()

    def __enter__(self) -> ShardWriter:
        self._file = self._open.enter_context(publishing(self.path))
        self._tar = tarfile.open(fileobj=self._file, mode="w", format=tarfile.USTAR_FORMAT)
        self._tar.copybufsize = _COPIED  # type: ignore[attr-defined]
        return self

    def add(self, sample: EncodedSample) -> None:
        """Append one sample; its members lie next to each other."""
        self._rows.append(_add(self._tar, sample) | {"shard": self.path.name})

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None and not self._rows:
            kind, error = Discard, Discard()
        if error is None:
            self._tar.close()
        with contextlib.suppress(Discard):
            self._open.__exit__(kind, error, trace)
        if error is None:
            self.shard = self._publish_index()

    def _publish_index(self) -> Shard:
        index = self.path.with_suffix(".parquet")
        publish(index, _parquet(self._rows))
        return Shard(
            path=f"{self.path.parent.name}/{self.path.name}",
            samples=len(self._rows),
            bytes=self.path.stat().st_size,
            sha256=sha256_of(self.path),
            index_sha256=sha256_of(index),
        )


def write_shard(path: Path, samples: Iterable[EncodedSample]) -> Shard | None:
    """Write a whole shard at once; None when there are no samples."""
    with ShardWriter(path) as writer:
        for sample in samples:
            writer.add(sample)
    return writer.shard


def completed(table: pa.Table) -> pa.Table:
    """Return an index with the columns that those of earlier datasets lack; what `Meta` says where they are not said."""
    lacking = set(INDEX.names) - set(table.column_names)
    if not lacking or lacking - _LATER:
        return table
    for name in lacking & {"caption", "pair_sha256"}:
        table = table.append_column(name, pa.array([""] * len(table), pa.string()))
    if "clean_sha256" in lacking:
        table = table.append_column("clean_sha256", table["source_sha256"])
    return table.select(INDEX.names)


def is_earlier(index: Path, said: Said) -> bool:
    """Whether an earlier version wrote an index, without some of today's columns, or when an other side was not known."""
    lacking = set(INDEX.names) - set(pq.read_schema(index).names)
    if lacking:
        return lacking <= _LATER
    rows = pq.read_table(index, columns=["source_sha256", "effect", "pair_sha256"]).to_pylist()
    return any(said(row)["pair_sha256"] and not row["pair_sha256"] for row in rows)


def complete_index(root: Path, shard: Shard, said: Said) -> Shard:
    """Give the index of a shard in `root` today's columns and return the shard as it is then; its tar stays."""
    path = root / shard.index
    rows = completed(pq.read_table(path)).to_pylist()
    publish(path, _parquet([{**row, **said(row)} for row in rows]))
    return replace(shard, index_sha256=sha256_of(path))


def _add(tar: tarfile.TarFile, sample: EncodedSample) -> dict[str, Any]:
    start = tar.offset
    placed = []
    for name, data in sample.members.items():
        placed.append({"name": name, "offset": tar.offset + _BLOCK, "size": len(data)})
        info = tarfile.TarInfo(f"{sample.key}.{name}")
        info.size, info.mtime, info.mode = len(data), 0, 0o644
        tar.addfile(info, io.BytesIO(data))
    return sample.row | {"offset": start, "bytes": tar.offset - start, "members": placed}


def _parquet(rows: list[dict[str, Any]]) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=INDEX), buffer, compression="zstd")
    return buffer.getvalue()


def _encode_clip(video: Video, fps: float, codec: str, known: Known) -> tuple[bytes, float]:
    if id(video) not in known:
        known[id(video)] = encode_measured(video, fps, codec)
    return known[id(video)]


def _row(sample: Sample) -> dict[str, Any]:
    frames, height, width = sample.source.shape[:3]
    size = {"frames": frames, "height": height, "width": width}
    return meta_to_plain(sample.meta) | {"key": sample.key, "instruction": sample.instruction} | size


def _stored(meta: Meta) -> dict[str, Any]:
    """Return what `meta.json` says: of another side nothing where there is none, so that what is made here keeps its bytes."""
    return {name: value for name, value in meta_to_plain(meta).items() if value or name != "pair_sha256"}


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False)
