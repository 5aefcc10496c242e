"""Opening a video file, with everything checked that can be checked before a frame is decoded."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av

from configs import DecodeLimitError, VideoError
from shards.members import member_at

# libav reports what it conceals straight to stderr; here a broken file is one exception with one line
av.logging.set_libav_level(av.logging.FATAL)

# Demuxers that hold video, by libav's short names. Playlists (they open other files and addresses), still images and
# text art are demuxers too and stay out.
FORMATS = "mov,matroska,avi,mpegts,mpeg,flv,gif,apng,ogg,asf,mxf,nut,ivf,h264,hevc,m4v,mpegvideo,obu,av1,yuv4mpegpipe,dv,rm,mjpeg"


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a file may claim before it is refused with `DecodeLimitError`, without decoding it."""

    pixels: int = 4096 * 2304
    """Pixels of one frame; the default lets 4K cinema through and stops 8K."""
    frames: int = 500_000
    """Frames of the file; four and a half hours at 30 a second."""
    seconds: float = 6 * 3600.0
    file_bytes: int = 32 * 2**30
    clip_bytes: int = 4 * 2**30
    """Decoded bytes that one read may return."""


@contextlib.contextmanager
def naming_errors(path: Path) -> Iterator[None]:
    """Turn whatever libav raises inside the block into one line that names the file."""
    try:
        yield
    except av.MemoryError:
        raise DecodeLimitError(f"{path}: decoding needs more memory than is allowed") from None
    except (av.FFmpegError, av.ArgumentError) as error:
        reason = (error.strerror or str(error)).lower()
        raise VideoError(f"{path}: damaged, it cannot be decoded ({reason})") from None


def open_container(path: Path, limits: Limits, *, strict: bool = True) -> av.container.InputContainer:
    """Open `path` for reading; the caller closes it. `strict` makes the decoder raise where it would conceal damage.

    Raises:
        VideoError: missing, no regular file, empty, not a video, cut off before its index, or without a video stream.
        DecodeLimitError: larger than `limits` by its size on disk or its header.
    """
    _check_file(path, limits)
    options = {"max_pixels": str(limits.pixels)}
    member = member_at(path)
    # the prefix keeps a colon in a name from being read as a protocol
    url, protocols = (member.url, "subfile,file") if member else (f"file:{path.absolute()}", "file")
    rules = {"format_whitelist": FORMATS, "protocol_whitelist": protocols}
    try:
        container = av.open(url, "r", options=options, container_options=rules)
    except (av.FFmpegError, ValueError, UnicodeError) as error:
        raise VideoError(f"{path}: {_why_not_opened(path, error)}") from None
    try:
        _check_header(path, container, limits)
        stream = video_stream(container, path)
        stream.codec_context.thread_count = 1
        stream.codec_context.options = options | ({"err_detect": "explode"} if strict else {})
    except BaseException:
        container.close()
        raise
    return container


def video_stream(container: av.container.InputContainer, path: Path) -> av.VideoStream:
    """Return the first video stream that is no cover picture."""
    picture = av.stream.Disposition.attached_pic
    for stream in container.streams.video:
        if not stream.disposition & picture:
            return stream
    held = ["a cover picture" if stream.type == "video" else stream.type for stream in container.streams]
    raise VideoError(f"{path}: it holds no video" + (f", only {' and '.join(sorted(set(held)))}" if held else ""))


def _check_file(path: Path, limits: Limits) -> None:
    member = member_at(path)
    if member is not None:
        _check_size(path, member.size, limits)
        path = member.tar
    try:
        if path.is_dir():
            raise VideoError(f"{path}: is a folder, not a video file")
        if not path.exists():
            raise VideoError(f"{path}: no such file")
        if not path.is_file():
            raise VideoError(f"{path}: is no regular file")
        size = path.stat().st_size
    except OSError as error:
        raise VideoError(f"{path}: {(error.strerror or str(error)).lower()}") from None
    if member is None:
        _check_size(path, size, limits)


def _check_size(path: Path, size: int, limits: Limits) -> None:
    if size == 0:
        raise VideoError(f"{path}: the file is empty")
    if size > limits.file_bytes:
        raise DecodeLimitError(f"{path}: {size} bytes, the limit is {limits.file_bytes}")


def _check_header(path: Path, container: av.container.InputContainer, limits: Limits) -> None:
    stream = video_stream(container, path)
    width, height = stream.codec_context.width, stream.codec_context.height
    if width * height > limits.pixels:
        raise DecodeLimitError(f"{path}: {width}x{height} pixels a frame, the limit is {limits.pixels} in all")
    if stream.frames > limits.frames:
        raise DecodeLimitError(f"{path}: {stream.frames} frames, the limit is {limits.frames}")
    seconds = (container.duration or 0) / av.time_base
    if seconds > limits.seconds:
        raise DecodeLimitError(f"{path}: {seconds:.0f} s long, the limit is {limits.seconds:.0f} s")


def _why_not_opened(path: Path, error: Exception) -> str:
    if isinstance(error, PermissionError):
        return "it may not be read (permission denied)"
    member = member_at(path)
    with (member.tar if member else path).open("rb") as file:
        file.seek(member.offset if member else 0)
        is_mov = file.read(12)[4:8] == b"ftyp"
    return "cut off: it starts as mp4/mov but has no index (moov)" if is_mov else "not a video file, or damaged"
