"""Reading video in a child process that may hang, crash or run out of memory without taking anything with it."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import numpy as np
from numpy.typing import NDArray

import configs
from configs import DecoderLostError
from shards.containers import Limits
from shards.pictures import Place
from shards.probing import VideoInfo
from shards.sample import Video

CHILD = (sys.executable, "-P", "-m", "shards.fenced")
_KEPT_BYTES = 64 << 20
"""The shared file of frames may stay this large between two requests."""
_START_SECONDS = 60.0


class FencedReader:
    """`probe`, `read_video` and `read_labels` in a child process, with a time limit for each request.

    The child starts with the first request, and again after it was lost; it dies with its parent. It keeps the last
    file open, so that windows read one after another never decode a frame twice. A context manager, for one thread;
    after a fork the new process gets a child of its own.

    `seconds`: limit of one request, the child's start apart. `memory`: address space of the child in bytes, the second
    line of defence behind `limits`. `backend`: PyAV by default, since decord conceals damage. `command`: what is
    started; it must answer as `shards.fenced` does.
    """

    def __init__(
        self,
        *,
        seconds: float = 60.0,
        memory: int = 8 * 2**30,
        limits: Limits | None = None,
        backend: str = "pyav",
        command: Sequence[str] = CHILD,
    ) -> None:
        self._seconds = seconds
        self._settings = {"memory": memory, "limits": asdict(limits or Limits()), "backend": backend}
        self._command = list(command)
        self._child: _Child | None = None
        self._parents_child: _Child | None = None
        self._owner = os.getpid()

    def probe(self, path: Path | str) -> VideoInfo:
        """Answer as `shards.probe` does.

        Raises:
            VideoError: as `shards.probe`.
            DecodeLimitError: as `shards.probe`, or it took too much memory.
            DecoderLostError: the decoder crashed, or took too long.
        """
        return VideoInfo(**self._ask(path, "probe")[0])

    def read(
        self,
        path: Path | str,
        indices: Sequence[int] | None = None,
        *,
        size: tuple[int, int] | None = None,
        crop: Place | None = None,
    ) -> Video:
        """Return frames as `shards.read_video` does, uint8 [t h w 3]; raises as `probe`.

        `path` may also be a picture, or a folder whose pictures are the frames.
        """
        numbers = None if indices is None else [int(index) for index in indices]
        return self._ask(path, "read", indices=numbers, size=size, crop=crop)[1]

    def read_labels(
        self,
        path: Path | str,
        indices: Sequence[int] | None = None,
        *,
        size: tuple[int, int] | None = None,
        crop: Place | None = None,
    ) -> NDArray[np.uint8]:
        """Return the object numbers in an annotation's frames, uint8 [t h w]; raises as `probe`."""
        numbers = None if indices is None else [int(index) for index in indices]
        return self._ask(path, "read_labels", indices=numbers, size=size, crop=crop)[1]

    def read_depth(
        self,
        path: Path | str,
        indices: Sequence[int] | None = None,
        *,
        size: tuple[int, int] | None = None,
        crop: Place | None = None,
    ) -> NDArray[np.float32]:
        """Return the numbers in depth maps, float32 [t h w] in the file's units; raises as `probe`."""
        numbers = None if indices is None else [int(index) for index in indices]
        # bytes are what travels
        return self._ask(path, "read_depth", indices=numbers, size=size, crop=crop)[1].view(np.float32)

    def close(self) -> None:
        """End the child; a later request would start another."""
        child, self._child = self._child, None
        if child is not None and self._owner == os.getpid():
            child.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, path: Path | str, call: str, **arguments: Any) -> tuple[dict[str, Any], Video]:
        child = self._running()
        try:
            # the folder goes along: a relative name means what it means here and now, and messages show it as given
            child.send({"call": call, "path": str(path), "folder": str(Path.cwd()), **arguments})
            answer, clip = child.receive(time.monotonic() + self._seconds)
        except TimeoutError:
            self.close()
            raise DecoderLostError(f"{path}: the decoder gave no answer within {self._seconds:g} s") from None
        except (EOFError, BrokenPipeError):
            self._child = None
            raise DecoderLostError(f"{path}: the decoder crashed ({child.how_it_ended()})") from None
        except BaseException:
            # half an answer may be left in the pipe
            self.close()
            raise
        if "error" in answer:
            raise getattr(configs, answer["error"])(answer["message"])
        return answer, clip

    def _running(self) -> _Child:
        if self._owner != os.getpid():
            # the child is the parent's; held on to, because letting go of it would warn that it still runs
            self._owner, self._parents_child, self._child = os.getpid(), self._child, None
        if self._child is None:
            child = _Child(self._command)
            try:
                child.send(self._settings | {"frames": child.frames})
                child.receive(time.monotonic() + _START_SECONDS)
            except (EOFError, BrokenPipeError, TimeoutError):
                raise DecoderLostError(f"the decoding process does not start ({child.how_it_ended()})") from None
            self._child = child
        return self._child


def encode_message(message: dict[str, Any]) -> bytes:
    """Return JSON behind its length: four bytes, most significant first."""
    body = json.dumps(message).encode()
    return len(body).to_bytes(4, "big") + body


class _Child:
    """A decoding process and the pipes to it."""

    def __init__(self, command: list[str]) -> None:
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - closed by kill
        # frames go through memory that both see: through a pipe they would take ten times as long
        self.frames = os.memfd_create("frames") if hasattr(os, "memfd_create") else _unnamed_file()
        # the child finds its modules where this process does; idle BLAS threads would cost it address space
        paths = os.pathsep.join(path or str(Path.cwd()) for path in sys.path)
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            pass_fds=[self.frames],
            env=os.environ | {"PYTHONPATH": paths, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            # Ctrl-C is the parent's business
            start_new_session=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._requests: IO[bytes] = self._process.stdin
        self._answers: IO[bytes] = self._process.stdout
        self._poll = select.poll()
        self._poll.register(self._answers, select.POLLIN)

    def send(self, message: dict[str, Any]) -> None:
        self._requests.write(encode_message(message))
        self._requests.flush()

    def receive(self, deadline: float) -> tuple[dict[str, Any], Video]:
        """Return an answer and its frames; `TimeoutError` after `deadline`, `EOFError` when the child is gone."""
        length, body = bytearray(4), bytearray()
        self._fill(memoryview(length), deadline)
        body = bytearray(int.from_bytes(length, "big"))
        self._fill(memoryview(body), deadline)
        answer: dict[str, Any] = json.loads(body)
        return answer, self._take(answer.get("shape", (0,)))

    def _take(self, shape: Sequence[int]) -> Video:
        """Return the frames that the child left in the shared file."""
        clip: Video = np.empty(shape, np.uint8)
        left, place = clip.reshape(-1).data, 0
        while left:
            count = os.preadv(self.frames, [left], place)
            if count == 0:
                raise EOFError
            place += count
            left = left[count:]
        if clip.nbytes > _KEPT_BYTES:
            os.ftruncate(self.frames, 0)
        return clip

    def _fill(self, buffer: memoryview, deadline: float) -> None:
        filled = 0
        while filled < len(buffer):
            left = deadline - time.monotonic()
            if left <= 0 or not self._poll.poll(1000 * left):
                raise TimeoutError
            # past the file object: it would read ahead
            count = os.readv(self._answers.fileno(), [buffer[filled:]])
            if count == 0:
                raise EOFError
            filled += count

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        # what a dead child was still to be sent is of no interest
        with contextlib.suppress(OSError):
            self._requests.close()
        self._answers.close()
        os.close(self.frames)
        self._complaints.close()

    def how_it_ended(self) -> str:
        """Say what became of a child that has gone silent, and clear up behind it."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        code = self._process.returncode
        self._complaints.seek(0)
        last = self._complaints.read().decode(errors="replace").strip().rpartition("\n")[2]
        self.kill()
        if code is None:
            return "it gave no sign of life"
        return f"signal {-code}" if code < 0 else f"exit code {code}" + (f": {last}" if last else "")


def _unnamed_file() -> int:
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
