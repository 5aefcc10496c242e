"""How clips, masks and images become the bytes of a shard member, and back."""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import cast

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from configs import ConfigError, DatasetError, VideoError, unknown_name
from shards.sample import Video
from shards.storage import publishing

Mask = NDArray[np.uint8]

LOSSLESS_PSNR = 100.0
"""dB written for a round trip that changes nothing, whose PSNR would be infinite."""

_SAMPLED = 8
_BITEXACT = {"fflags": "+bitexact"}
_FFV1 = {"slices": "4"}

_JPEG = [cv2.IMWRITE_JPEG_QUALITY, 95, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]


def encode_video(video: Video, fps: float, codec: str = "jpeg") -> bytes:
    """Encode uint8 [t h w 3] RGB as one Matroska file; equal input gives equal bytes.

    `codec`: `jpeg` (motion JPEG, quality 95, 4:4:4), `lossless` (x264 in RGB, bit-exact) or `compact` (h264 4:4:4,
    crf 12).

    Raises:
        ConfigError: no such codec.
    """
    if codec not in CODECS:
        raise ConfigError(unknown_name("codec", codec, CODECS))
    return CODECS[codec](video, fps)


def encode_measured(video: Video, fps: float, codec: str = "jpeg") -> tuple[bytes, float]:
    """Return what `encode_video` does and the PSNR in dB of the round trip, pooled over the clip.

    Of a motion-JPEG clip every eighth frame is measured, from the fifth on: its frames are coded alone and with equal
    quality, so a few of them tell the PSNR to 0.04 dB (0.27 at most on 80 clips), and decoding all of them would cost
    more than encoding.
    """
    if codec == "jpeg":
        images = [_encode_jpeg(frame) for frame in video]
        measured = range(min(_SAMPLED // 2, len(video) // 2), len(video), _SAMPLED)
        decoded = np.stack([_decode_jpeg(images[i]) for i in measured])
        return _mux_jpeg(images, video.shape[1:3], fps), pooled_psnr(video[measured], decoded)
    data = encode_video(video, fps, codec)
    return data, pooled_psnr(video, decode_video(data))


def decode_video(data: bytes) -> Video:
    """Decode what `encode_video` made to uint8 [t h w 3] RGB.

    Raises:
        DatasetError: the bytes are no such file.
    """
    try:
        packets = _jpeg_packets(data)
        if packets:
            return np.stack([_decode_jpeg(packet) for packet in packets])
        with av.open(io.BytesIO(data), "r") as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1
            return np.stack([_array(frame, "rgb24") for frame in container.decode(stream)])
    except (av.FFmpegError, IndexError, ValueError, cv2.error) as error:
        raise DatasetError(f"a clip in the shard cannot be decoded: {error}") from None


def encode_mask(mask: Mask, fps: float) -> bytes:
    """Encode uint8 [t h w] without loss, as FFV1 in Matroska."""
    frames = (av.VideoFrame.from_ndarray(image, format="gray") for image in mask)
    return _encode(frames, mask.shape[1:3], fps, "ffv1", "gray", _FFV1)


class MaskWriter:
    """Writes masks uint8 [h w], one by one, as a file that `decode_mask` reads; use it in a `with` block.

    A reader sees all of the file or nothing; a block that fails leaves nothing.

    Raises:
        VideoError: a mask has another size than the first.
        OutputError: the file cannot be written.
    """

    def __init__(self, path: Path | str, *, fps: float) -> None:
        self.path, self._fps = Path(path), fps
        self._size: tuple[int, ...] | None = None
        self._number = 0
        self._open = contextlib.ExitStack()

    def __enter__(self) -> MaskWriter:
        self._file = self._open.enter_context(publishing(self.path))
        self._container = self._open.enter_context(av.open(self._file, "w", format="matroska", options=_BITEXACT))
        return self

    def write(self, mask: Mask) -> None:
        """Append one mask."""
        if self._size is None:
            self._size = mask.shape
            self._stream = _add_stream(self._container, "ffv1", "gray", mask.shape, self._fps, _FFV1)
        if mask.shape != self._size:
            raise VideoError(f"{self.path}: all masks must have one size; {mask.shape} follows {self._size}")
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(mask), format="gray")
        frame.pts, self._number = self._number, self._number + 1
        self._container.mux(self._stream.encode(frame))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None and self._size is not None:
            self._container.mux(self._stream.encode(None))
        self._open.__exit__(kind, error, trace)


def decode_mask(data: bytes) -> Mask:
    """Decode what `encode_mask` made to uint8 [t h w]."""
    try:
        with av.open(io.BytesIO(data), "r") as container:
            container.streams.video[0].codec_context.thread_count = 1
            return np.stack([_array(frame, "gray") for frame in container.decode(video=0)])
    except (av.FFmpegError, IndexError, ValueError) as error:
        raise DatasetError(f"a mask in the shard cannot be decoded: {error}") from None


def encode_image(image: NDArray[np.uint8]) -> bytes:
    """Encode uint8 [h w 3] RGB as PNG."""
    return bytes(cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1])


def decode_image(data: bytes) -> NDArray[np.uint8]:
    """Decode a PNG or JPEG file to uint8 [h w 3] RGB."""
    return _decode_jpeg(data)


def pooled_psnr(a: Video, b: Video) -> float:
    """Return the PSNR in dB of two clips: RGB, squared error pooled over the whole clip, equal clips `LOSSLESS_PSNR`."""
    error = sum(cv2.norm(x, y, cv2.NORM_L2SQR) for x, y in zip(a, b, strict=True)) / a.size
    return LOSSLESS_PSNR if error == 0 else 10 * math.log10(255**2 / error)


def _jpeg(video: Video, fps: float) -> bytes:
    return _mux_jpeg([_encode_jpeg(frame) for frame in video], video.shape[1:3], fps)


def _mux_jpeg(images: list[bytes], size: tuple[int, ...], fps: float) -> bytes:
    buffer = io.BytesIO()
    duration = 1 / _rate(fps)
    with av.open(buffer, "w", format="matroska", options={"fflags": "+bitexact"}) as container:
        stream = container.add_mux_stream("mjpeg", rate=_rate(fps), width=size[1], height=size[0])
        for number, image in enumerate(images):
            packet = av.Packet(image)
            packet.time_base, packet.duration = duration, 1
            packet.pts = packet.dts = number
            packet.is_keyframe = True
            packet.stream = stream
            container.mux(packet)
    return buffer.getvalue()


def _lossless(video: Video, fps: float) -> bytes:
    frames = (av.VideoFrame.from_ndarray(image, format="rgb24") for image in video)
    options = {"preset": "ultrafast", "qp": "0", "x264-params": "threads=1"}
    return _encode(frames, video.shape[1:3], fps, "libx264rgb", "rgb24", options)


def _compact(video: Video, fps: float) -> bytes:
    frames = (
        av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv444p", threads=1) for image in video
    )
    # mbtree reads what nobody wrote where a row is no multiple of four blocks: its bytes differ from run to run
    options = {"preset": "medium", "crf": "12", "x264-params": "threads=1:mbtree=0"}
    return _encode(frames, video.shape[1:3], fps, "libx264", "yuv444p", options)


CODECS: dict[str, Callable[[Video, float], bytes]] = {"jpeg": _jpeg, "lossless": _lossless, "compact": _compact}


def _encode(
    frames: Iterable[av.VideoFrame],
    size: tuple[int, ...],
    fps: float,
    encoder: str,
    pixel_format: str,
    options: dict[str, str],
) -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska", options=_BITEXACT) as container:
        stream = _add_stream(container, encoder, pixel_format, size, fps, options)
        for packet in _packets(stream, frames):
            container.mux(packet)
    return buffer.getvalue()


def _add_stream(
    container: av.container.OutputContainer,
    encoder: str,
    pixel_format: str,
    size: tuple[int, ...],
    fps: float,
    options: dict[str, str],
) -> av.VideoStream:
    stream = container.add_stream(encoder, rate=_rate(fps), options=options)
    assert isinstance(stream, av.VideoStream)
    stream.height, stream.width = size
    stream.pix_fmt = pixel_format
    # the bytes of x264 depend on the number of its threads
    stream.codec_context.thread_count = 1
    stream.codec_context.flags |= av.codec.context.Flags.bitexact
    return stream


def _packets(stream: av.VideoStream, frames: Iterable[av.VideoFrame]) -> Iterator[av.Packet[av.VideoStream]]:
    for number, frame in enumerate(frames):
        frame.pts = number
        yield from stream.encode(frame)
    yield from stream.encode(None)


def _jpeg_packets(data: bytes) -> list[bytes]:
    """Return the JPEG files in a motion-JPEG clip; nothing for another codec."""
    with av.open(io.BytesIO(data), "r") as container:
        stream = container.streams.video[0]
        if stream.codec_context.name != "mjpeg":
            return []
        return [bytes(packet) for packet in container.demux(stream) if packet.size]


def _array(frame: av.VideoFrame, pixel_format: str) -> NDArray[np.uint8]:
    return cast("NDArray[np.uint8]", frame.to_ndarray(format=pixel_format))


def _encode_jpeg(frame: NDArray[np.uint8]) -> bytes:
    return cv2.imencode(".jpg", cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), _JPEG)[1].tobytes()


def _decode_jpeg(data: bytes) -> NDArray[np.uint8]:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    if image is None:
        raise DatasetError("an image in the shard cannot be decoded")
    return cast("NDArray[np.uint8]", image)


def _rate(fps: float) -> Fraction:
    if fps < 1:
        # a frame every so many seconds
        return 1 / Fraction(1 / fps).limit_denominator(1001)
    return Fraction(fps).limit_denominator(1001)
