"""Reading real-world video frame-exactly: PyAV is the reference, decord serves where it provably gives the same."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from configs import ConfigError, DecodeLimitError, VideoError, unknown_name
from shards.containers import Limits
from shards.cursor import Cursor
from shards.mp4 import encode_preview, write_video
from shards.pictures import Picture, Place, Scaler, resized_labels, to_rgb
from shards.probing import VideoInfo, probe, scan
from shards.sample import Video

__all__ = [
    "Limits",
    "VideoInfo",
    "VideoReader",
    "encode_preview",
    "probe",
    "read_video",
    "stream_video",
    "why_not_decord",
    "write_video",
]

EXTENSIONS = frozenset(
    ".mp4 .m4v .mov .mkv .webm .avi .mpg .mpeg .ts .m2ts .mts .ogv .wmv .flv .gif .3gp".split()  # noqa: SIM905
)
"""What the names of video files end with."""

BACKENDS = ("auto", "pyav", "decord")
_decord_pid: int | None = None


def read_video(
    path: Path | str,
    indices: Sequence[int] | None = None,
    *,
    size: tuple[int, int] | None = None,
    crop: Place | None = None,
    backend: str = "auto",
    limits: Limits | None = None,
) -> Video:
    """Return frames of a video file as uint8 [t h w 3], RGB, upright.

    `indices`: which frames, in any order, repeats allowed; None for all. Frame i is the i-th frame that a decode from
    the start gives. `size`: (width, height) to scale to inside the decoder, with AREA; `crop` first keeps only the part that
    has its proportions, at that place: (0.5, 0.5) is the middle. `backend`: `pyav`, `decord`, or
    `auto`, which takes decord where `why_not_decord` finds nothing against it. On whole files the two give the same
    bits; damage inside a file is an error with `pyav` wherever the decoder notices, while decord makes something up.

    Whoever reads several pieces of one file opens a `VideoReader`.

    Raises:
        VideoError: not a usable video, damaged where it was read, or without such a frame.
        DecodeLimitError: the file or the clip is larger than `limits`.
    """
    with VideoReader(path, backend=backend, limits=limits) as reader:
        return reader.read(indices, size=size, crop=crop)


def stream_video(
    path: Path | str, *, size: tuple[int, int] | None = None, limits: Limits | None = None
) -> Iterator[Picture]:
    """Yield all frames as uint8 [h w 3]; the memory used does not grow with the file. Otherwise as `read_video`."""
    with VideoReader(path, backend="pyav", limits=limits) as reader:
        for frame in range(reader.info.frames):
            yield reader.frame(frame, size=size)


def why_not_decord(info: VideoInfo, *, size: tuple[int, int] | None = None) -> str | None:
    """Return what speaks against reading this file with decord, or None where it gives the same bits as PyAV.

    From trying decord 0.6: most reasons stand for files where it returned other frames, other pixels or none (open
    groups, transport streams, AV1, turned files, odd heights); the rest for files where nothing proves it right.
    """
    reasons = {
        "it scales with another filter": size is not None,
        "its frame count relies on an mp4 header": info.container != "mov" or info.header_frames != info.frames,
        "only decoding could tell which frame is which": info.index != "packets",
        "it seeks wrongly in open groups of pictures": info.open_gop,
        "the frame rate varies": not info.constant_rate,
        "the file is turned": info.rotation != 0 or info.mirrored,
        "it is sure of h264 and hevc only": info.codec not in ("h264", "hevc"),
        "it is sure of 8-bit 4:2:0 only": info.pixel_format not in ("yuv420p", "yuvj420p"),
        "its colours differ at odd sizes": bool(info.width % 2 or info.height % 2),
        "decord is not installed": importlib.util.find_spec("decord") is None,
        "this process was forked from one that used decord": _decord_pid not in (None, os.getpid()),
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


class VideoReader:
    """One open video file; windows read one after another never decode a frame twice.

    A context manager, for one thread. `info` says what the file is.

    Raises:
        VideoError: not a usable video.
        DecodeLimitError: larger than `limits`.
        ConfigError: no such backend.
    """

    def __init__(self, path: Path | str, *, backend: str = "auto", limits: Limits | None = None) -> None:
        if backend not in BACKENDS:
            raise ConfigError(unknown_name("backend", backend, BACKENDS))
        self.path = Path(path)
        self.limits = limits or Limits()
        self.info, self._index, self._orientation = scan(self.path, self.limits)
        self._backend = backend
        self._cursor = Cursor(self.path, self.limits, self._index, codec=self.info.codec)
        self._scaler = Scaler()
        self._decord: Any = None

    def read(
        self, indices: Sequence[int] | None = None, *, size: tuple[int, int] | None = None, crop: Place | None = None
    ) -> Video:
        """Return frames as `read_video` does."""
        wanted = range(self.info.frames) if indices is None else [int(index) for index in indices]
        self._check(wanted, size)
        clip = self._read_decord(wanted) if self._takes_decord(size) else None
        return self._read_pyav(wanted, size, crop) if clip is None else clip

    def read_labels(
        self, indices: Sequence[int] | None = None, *, size: tuple[int, int] | None = None, crop: Place | None = None
    ) -> NDArray[np.uint8]:
        """Return uint8 [t h w], 1 where a black-and-white mask video is white: a codec blurs finer numbers."""
        masks = (self.read(indices)[..., 1] > 127).astype(np.uint8)
        return np.stack([resized_labels(mask, size or mask.shape[1::-1], crop) for mask in masks])

    def frame(self, number: int, *, size: tuple[int, int] | None = None) -> Picture:
        """Return one frame as uint8 [h w 3], decoded by PyAV."""
        self._check([number], size)
        return self._frame(number, size)

    def close(self) -> None:
        """Let go of the file."""
        self._cursor.close()
        self._decord = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check(self, wanted: Sequence[int], size: tuple[int, int] | None) -> None:
        outside = next((index for index in wanted if not 0 <= index < self.info.frames), None)
        if outside is not None:
            raise VideoError(f"{self.path}: frame {outside} was asked for; it has frames 0 to {self.info.frames - 1}")
        width, height = size or (self.info.width, self.info.height)
        if min(width, height) < 1 or width * height > self.limits.pixels:
            raise VideoError(f"{self.path}: cannot scale to {width}x{height}; 1 to {self.limits.pixels} pixels are")
        needed = len(wanted) * width * height * 3
        if needed > self.limits.clip_bytes:
            raise DecodeLimitError(
                f"{self.path}: {len(wanted)} frames of {width}x{height} are {needed} bytes, "
                f"the limit is {self.limits.clip_bytes}; read fewer at a time, or smaller"
            )

    def _read_pyav(self, wanted: Sequence[int], size: tuple[int, int] | None, crop: Place | None) -> Video:
        width, height = size or (self.info.width, self.info.height)
        clip = np.empty((len(wanted), height, width, 3), np.uint8)
        previous = -1
        for place in sorted(range(len(wanted)), key=wanted.__getitem__):
            repeated = previous >= 0 and wanted[place] == wanted[previous]
            clip[place] = clip[previous] if repeated else self._frame(wanted[place], size, crop)
            previous = place
        return clip

    def _frame(self, number: int, size: tuple[int, int] | None, crop: Place | None = None) -> Picture:
        decoded = self._cursor.frame(number)
        whole = (self.info.width, self.info.height)
        stored = whole[::-1] if self._orientation.transposed else whole
        # a file may change its size midway; every frame comes out as large as the first
        if size is None and (decoded.width, decoded.height) == stored:
            return to_rgb(decoded, self._orientation)
        return self._scaler.to_rgb(decoded, self._orientation, size or whole, crop=crop)

    def _takes_decord(self, size: tuple[int, int] | None) -> bool:
        if self._backend == "pyav":
            return False
        reason = why_not_decord(self.info, size=size)
        if reason is not None and self._backend == "decord":
            raise VideoError(f"{self.path}: decord would not be exact here: {reason}; use backend 'auto' or 'pyav'")
        return reason is None

    def _read_decord(self, wanted: Sequence[int]) -> Video | None:
        """Return the frames, or None where decord stumbles: PyAV then finds out what is wrong."""
        import decord

        # opened at the first read, so that a reader made before a fork works after it
        global _decord_pid
        _decord_pid = os.getpid()
        try:
            if self._decord is None:
                decord.logging.set_level(decord.logging.QUIET)
                self._decord = decord.VideoReader(str(self.path), num_threads=1)
            if len(self._decord) != self.info.frames:
                return None
            clip: Video = self._decord.get_batch(list(wanted)).asnumpy()
        except (decord.DECORDError, RuntimeError):
            self._decord = None
            return None
        return clip
