"""The contract: what a task and a sample are, and how they are decoded, written, read, indexed and verified."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shards.card import write_card
    from shards.manifest import Manifest, Shard, load_manifest
    from shards.reader import Dataset, stream
    from shards.sample import Meta, Sample
    from shards.tasks import Task, get_task, register_task, task_names
    from shards.verification import verify
    from shards.video import encode_preview, probe, read_video, stream_video, write_video
    from shards.writer import EncodedSample, ShardWriter, encode_sample, write_shard

# what is imported when it is first asked for: the command lines must answer --help at once
_ROOMS = {
    "card": ("write_card",),
    "manifest": ("Manifest", "Shard", "load_manifest"),
    "reader": ("Dataset", "stream"),
    "sample": ("Meta", "Sample"),
    "tasks": ("Task", "get_task", "register_task", "task_names"),
    "verification": ("verify",),
    "video": ("encode_preview", "probe", "read_video", "stream_video", "write_video"),
    "writer": ("EncodedSample", "ShardWriter", "encode_sample", "write_shard"),
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = [
    "Dataset",
    "EncodedSample",
    "Manifest",
    "Meta",
    "Sample",
    "Shard",
    "ShardWriter",
    "Task",
    "encode_preview",
    "encode_sample",
    "get_task",
    "load_manifest",
    "probe",
    "read_video",
    "register_task",
    "stream",
    "stream_video",
    "task_names",
    "verify",
    "write_card",
    "write_shard",
    "write_video",
]


def __getattr__(name: str) -> Any:
    if name not in _ROOM_OF:
        raise AttributeError(f"module 'shards' has no attribute {name!r}")
    return getattr(import_module(f"shards.{_ROOM_OF[name]}"), name)
