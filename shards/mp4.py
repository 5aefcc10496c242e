"""Writing clips as mp4 files that browsers play: h264, 4:2:0, BT.709; equal input gives equal bytes."""

from __future__ import annotations

import io
import itertools
from collections.abc import Generator, Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from configs import OutputError, VideoError
from shards.containers import Limits, open_container
from shards.storage import publishing

Frame = NDArray[np.uint8]
_BITEXACT = {"fflags": "+bitexact"}
_BT709 = 1
_LIMITED = 1
# sound that browsers play from an mp4 file; anything else becomes AAC
_COPIED_SOUND = frozenset(("aac", "mp3", "opus", "flac"))


def write_video(
    path: Path | str, frames: Iterable[Frame], *, fps: float, crf: int = 18, audio_from: Path | str | None = None
) -> None:
    """Write uint8 [h w 3] RGB frames as an mp4 file, in one pass; a reader sees all of it or nothing.

    `fps`: frames per second. `crf`: x264's quality, 0 (best) to 51. Odd sizes grow to even ones by repeating the edge.
    `audio_from`: a video whose sound is taken over as far as the frames reach; one without sound is fine.

    Raises:
        VideoError: no frames, frames of different sizes or another type, or `audio_from` cannot be read.
        OutputError: the file cannot be written.
    """
    path = Path(path)
    with publishing(path) as file:
        try:
            # by name, not through the open file: moving the index to the front reads again what was written
            with av.open(file.name, "w", format="mp4", options=_BITEXACT | {"movflags": "+faststart"}) as container:
                _encode(container, frames, fps, crf, sound=None if audio_from is None else Path(audio_from))
        except av.FFmpegError as error:
            raise OutputError(f"cannot write {path}: {error.strerror or error}") from None


def encode_preview(frames: Iterable[Frame], fps: float, *, crf: int = 23) -> bytes:
    """Return in memory what `write_video` writes, to embed in a page.

    Raises:
        VideoError: no frames, or frames of different sizes or another type.
    """
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4", options=_BITEXACT) as container:
        _encode(container, frames, fps, crf)
    return buffer.getvalue()


def _encode(
    container: av.container.OutputContainer, frames: Iterable[Frame], fps: float, crf: int, sound: Path | None = None
) -> None:
    if not fps > 0:
        raise VideoError(f"a clip needs more than {fps} frames per second")
    rest = iter(frames)
    first = next(rest, None)
    if first is None:
        raise VideoError("there are no frames to write")
    _check(first, first)
    stream = _add_h264(container, first, fps, crf)
    track = _Soundtrack(container, sound) if sound else None
    for number, frame in enumerate(itertools.chain([first], rest)):
        _check(frame, first)
        container.mux(stream.encode(_picture(frame, number)))
        if track:
            track.write_until((number + 1) / fps)
    container.mux(stream.encode(None))
    if track:
        track.close()


def _check(frame: Frame, first: Frame) -> None:
    if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or 0 in frame.shape:
        raise VideoError(f"a frame to write must be uint8 [h w 3], is {frame.dtype} {list(frame.shape)}")
    if frame.shape != first.shape:
        raise VideoError(f"all frames to write must have one size; {frame.shape[:2]} follows {first.shape[:2]}")


def _add_h264(container: av.container.OutputContainer, first: Frame, fps: float, crf: int) -> av.VideoStream:
    height, width = first.shape[:2]
    # the bytes of x264 depend on the number of its threads, and its mbtree reads memory that nobody wrote
    options = {"crf": str(crf), "preset": "medium", "x264-params": "threads=1:mbtree=0"}
    stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001), options=options)
    stream.width, stream.height, stream.pix_fmt = width + width % 2, height + height % 2, "yuv420p"
    context = stream.codec_context
    context.thread_count = 1
    context.flags |= av.codec.context.Flags.bitexact
    # players take untagged files for BT.601 or BT.709 by their size; the tag ends the guessing
    context.colorspace = context.color_primaries = context.color_trc = _BT709
    context.color_range = _LIMITED
    return stream


def _picture(frame: Frame, number: int) -> av.VideoFrame:
    height, width = frame.shape[:2]
    if height % 2 or width % 2:
        frame = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    rgb = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
    picture = rgb.reformat(format="yuv420p", dst_colorspace=_BT709, dst_color_range=_LIMITED, threads=1)
    picture.pts = number
    return picture


class _Soundtrack:
    """The sound of another file, written piece by piece alongside the pictures."""

    def __init__(self, output: av.container.OutputContainer, path: Path) -> None:
        self._output = output
        self._input = open_container(path, Limits())
        self._packets = _sound_packets(self._input, output)
        self._next = next(self._packets, None)

    def write_until(self, seconds: float) -> None:
        while self._next is not None and _start(self._next) < seconds:
            self._output.mux(self._next)
            self._next = next(self._packets, None)

    def close(self) -> None:
        self._packets.close()
        self._input.close()


def _start(packet: av.Packet[Any]) -> float:
    return float((packet.pts or 0) * packet.time_base)


def _sound_packets(
    source: av.container.InputContainer, output: av.container.OutputContainer
) -> Generator[av.Packet[Any], None, None]:
    if not source.streams.audio:
        return
    stream = source.streams.audio[0]
    if stream.codec_context.name in _COPIED_SOUND:
        yield from _copied(source, stream, output.add_stream_from_template(stream))
    else:
        yield from _transcoded(source, stream, output)


def _copied(
    source: av.container.InputContainer, stream: av.AudioStream, copy: av.AudioStream
) -> Iterator[av.Packet[Any]]:
    offset = int((source.start_time or 0) / (av.time_base * (stream.time_base or 1)))
    for packet in source.demux(stream):
        if packet.pts is not None and packet.dts is not None:
            packet.pts, packet.dts = packet.pts - offset, packet.dts - offset
            packet.stream = copy
            yield packet


def _transcoded(
    source: av.container.InputContainer, stream: av.AudioStream, output: av.container.OutputContainer
) -> Iterator[av.Packet[Any]]:
    encoder = output.add_stream("aac", rate=stream.rate)
    encoder.codec_context.flags |= av.codec.context.Flags.bitexact
    resampler = av.AudioResampler(format="fltp", layout=encoder.layout, rate=encoder.rate)
    for frame in itertools.chain(source.decode(stream), [None]):
        for piece in resampler.resample(frame):
            yield from encoder.encode(piece)
    yield from encoder.encode(None)
