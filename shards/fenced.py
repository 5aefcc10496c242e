"""The child process behind `FencedReader`: answers requests on stdin until it ends, with frames in a shared file."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from configs import DecodeLimitError, VideoError, VIDiffError
from shards.arrays import ArrayReader, is_arrays
from shards.containers import Limits
from shards.fence import encode_message
from shards.instances import InstanceReader, is_instances
from shards.memory import keep_freed_buffers
from shards.picture_folder import PictureReader, is_pictures
from shards.sample import Video
from shards.video import VideoReader, probe

Answer = tuple[dict[str, Any], Video | None]
Reader = VideoReader | PictureReader | ArrayReader | InstanceReader
_PR_SET_PDEATHSIG = 1


class Calls:
    """What may be asked; keeps the last file open, since windows of one file tend to follow one another."""

    def __init__(self, limits: Limits, backend: str) -> None:
        self._limits, self._backend = limits, backend
        self._reader: Reader | None = None
        self._opened: tuple[str, int, int] | None = None

    def probe(self, request: Mapping[str, Any]) -> Answer:
        """Answer with the fields of `VideoInfo`."""
        path = request["path"]
        reader = _other_reader(path, self._limits)
        return asdict(reader.info if reader else probe(path, self._limits)), None

    def read(self, request: Mapping[str, Any]) -> Answer:
        """Answer with frames."""
        reader = self._open(request["path"])
        if isinstance(reader, ArrayReader | InstanceReader):
            raise VideoError(f"{request['path']}: an array, not a video")
        clip = reader.read(request["indices"], **_size_and_crop(request))
        return {"shape": clip.shape}, clip

    def read_labels(self, request: Mapping[str, Any]) -> Answer:
        """Answer with object numbers."""
        reader = self._open(request["path"])
        if isinstance(reader, ArrayReader):
            raise VideoError(f"{request['path']}: an array; masks are pictures or videos")
        labels = reader.read_labels(request["indices"], **_size_and_crop(request))
        return {"shape": labels.shape}, labels

    def read_depth(self, request: Mapping[str, Any]) -> Answer:
        """Answer with the bytes of float32 numbers."""
        reader = self._open(request["path"])
        if isinstance(reader, VideoReader | InstanceReader):
            raise VideoError(f"{request['path']}: it holds no depth; pictures of 16 bits, .npy and .npz do")
        depth = reader.read_depth(request["indices"], **_size_and_crop(request)).view(np.uint8)
        return {"shape": depth.shape}, depth

    def _open(self, path: str) -> Reader:
        with contextlib.suppress(OSError):
            status = Path(path).stat()
            version = (str(Path(path).absolute()), status.st_size, status.st_mtime_ns)
            if self._reader is not None and self._opened == version:
                return self._reader
            self._close()
            self._reader, self._opened = self._new(path), version
            return self._reader
        # a file that is not there has an error of its own
        return self._new(path)

    def _new(self, path: str) -> Reader:
        return _other_reader(path, self._limits) or VideoReader(path, backend=self._backend, limits=self._limits)

    def _close(self) -> None:
        if self._reader is not None:
            self._reader.close()
        self._reader = self._opened = None


def _other_reader(path: str, limits: Limits) -> PictureReader | ArrayReader | InstanceReader | None:
    """Return the reader of what is no video file."""
    if is_arrays(Path(path)):
        return ArrayReader(path, limits=limits)
    if is_instances(Path(path)):
        return InstanceReader(path, limits=limits)
    return PictureReader(path, limits=limits) if is_pictures(Path(path)) else None


def _size_and_crop(request: Mapping[str, Any]) -> dict[str, Any]:
    return {name: request[name] and tuple(request[name]) for name in ("size", "crop")}


def serve(make_calls: Callable[[Limits, str], Any] = Calls) -> None:
    """Answer requests until stdin ends. The first message holds the settings."""
    requests = sys.stdin.buffer
    # whatever a decoding library prints must not get between the answers
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    settings = _next_request(requests)
    if settings is None:
        return
    _die_with_parent()
    keep_freed_buffers()
    resource.setrlimit(resource.RLIMIT_AS, (settings["memory"], settings["memory"]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    calls = make_calls(Limits(**settings["limits"]), settings["backend"])
    answers.write(encode_message({}))
    while (request := _next_request(requests)) is not None:
        answer, clip = _answer(calls, request)
        if clip is not None:
            _store(settings["frames"], clip)
        answers.write(encode_message(answer))


def _answer(calls: Any, request: dict[str, Any]) -> Answer:
    try:
        os.chdir(request["folder"])
        answer: Answer = getattr(calls, request["call"])(request)
    except VIDiffError as error:
        return _error(error)
    except MemoryError:
        return _error(DecodeLimitError(f"{request['path']}: decoding needs more memory than is allowed"))
    except OSError as error:
        return _error(VideoError(f"{request['path']}: {(error.strerror or str(error)).lower()}"))
    except Exception as error:
        return _error(VideoError(f"{request['path']}: the decoder failed ({type(error).__name__}: {error})"))
    return answer


def _error(error: VIDiffError) -> Answer:
    return {"error": type(error).__name__, "message": str(error).replace("\n", " ")}, None


def _next_request(requests: BinaryIO) -> dict[str, Any] | None:
    length = requests.read(4)
    if len(length) < 4:
        return None
    request: dict[str, Any] = json.loads(requests.read(int.from_bytes(length, "big")))
    return request


def _store(file: int, clip: Video) -> None:
    left, place = clip.reshape(-1).data, 0
    while left:
        place += os.pwrite(file, left, place)
        left = clip.reshape(-1).data[place:]


def _die_with_parent() -> None:
    # a decoder that hangs never reads the end of stdin
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    serve()
