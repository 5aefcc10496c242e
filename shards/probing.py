"""What a video file is, found out without decoding more than its first frame wherever that suffices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from configs import VideoError
from shards.containers import Limits
from shards.frame_index import FrameIndex, Packets, build_index, read_packets
from shards.pictures import Orientation, orientation_of

_HDR = {16: "smpte2084", 18: "arib-std-b67"}
"""Transfer functions of HDR, by their numbers in ITU-T H.273; all others come out right, but for a little colour."""


@dataclass(frozen=True, kw_only=True)
class VideoInfo:
    """A video file as `read_video` gives it. What has one can be read; what cannot be read is an exception."""

    frames: int
    """Frames that a decode from the start gives; can be fewer than the header claims."""
    fps: float
    """Frames per second, on average where the rate varies."""
    width: int
    """Pixels, upright."""
    height: int
    rotation: int
    """Degrees counter-clockwise by which stored frames are turned upright: 0, 90, 180 or 270."""
    mirrored: bool
    """Whether they are then mirrored left to right."""
    codec: str
    container: str
    """`mov` (also mp4), `matroska` (also webm), `mpegts`, `avi`, ..."""
    pixel_format: str
    interlaced: bool
    """Each frame is two fields, of two moments: every other row each."""
    has_audio: bool
    constant_rate: bool
    """The same time between all neighbouring frames, to one tick of the file's clock."""
    open_gop: bool
    """Some frames need the group of pictures before theirs."""
    header_frames: int
    """Frames that the header claims; 0 where it claims nothing."""
    index: str
    """`packets`: the packets proved which frame is which. `decoded`: only decoding everything could tell."""


def described_frames(
    *, frames: int, width: int, height: int, codec: str, container: str, pixel_format: str = ""
) -> VideoInfo:
    """Return what there is to say of frames that are stored one by one; they have no rate of their own."""
    return VideoInfo(
        frames=frames,
        fps=0.0,
        width=width,
        height=height,
        rotation=0,
        mirrored=False,
        codec=codec,
        container=container,
        pixel_format=pixel_format,
        interlaced=False,
        has_audio=False,
        constant_rate=True,
        open_gop=False,
        header_frames=frames,
        index="packets",
    )


def wanted_frames(path: Path, indices: Sequence[int] | None, frames: int) -> Sequence[int]:
    """Return the frames that are asked for, all of them where none is named.

    Raises:
        VideoError: there is no such frame.
    """
    wanted = range(frames) if indices is None else indices
    outside = next((index for index in wanted if not 0 <= index < frames), None)
    if outside is not None:
        raise VideoError(f"{path}: frame {outside} was asked for; it has frames 0 to {frames - 1}")
    return wanted


def probe(path: Path | str, limits: Limits | None = None) -> VideoInfo:
    """Look at a video file, within `limits`.

    Raises:
        VideoError: missing, not a video, without frames, HDR, cut off or damaged.
        DecodeLimitError: larger than `limits`; nothing was decoded.
    """
    return scan(Path(path), limits or Limits())[0]


def scan(path: Path, limits: Limits) -> tuple[VideoInfo, FrameIndex, Orientation]:
    """Return `probe`'s answer with the frame index and the orientation that reading needs."""
    packets, first = read_packets(path, limits)
    if first is None:
        raise VideoError(f"{path}: none of its {len(packets.pts)} frames can be decoded")
    if first.color_trc in _HDR:
        raise VideoError(
            f"{path}: transfer {_HDR[first.color_trc]} (HDR), which would look washed out here; convert it to SDR first (with "
            "ffmpeg's filters zscale and tonemap, say)"
        )
    index = build_index(path, limits, packets, first.pts)
    return _describe(packets, first, index), index, orientation_of(first)


def _describe(packets: Packets, first: av.VideoFrame, index: FrameIndex) -> VideoInfo:
    orientation = orientation_of(first)
    width, height = (first.height, first.width) if orientation.transposed else (first.width, first.height)
    constant = _is_constant(index)
    return VideoInfo(
        frames=index.frames,
        fps=_average_rate(packets, index, constant=constant),
        width=width,
        height=height,
        rotation=orientation.rotation,
        mirrored=orientation.mirrored,
        codec=packets.codec,
        container=packets.container,
        pixel_format=first.format.name,
        interlaced=bool(first.interlaced_frame),
        has_audio=packets.has_audio,
        constant_rate=constant,
        open_gop=index.open_gop,
        header_frames=packets.header_frames,
        index="packets" if index.from_packets else "decoded",
    )


def _is_constant(index: FrameIndex) -> bool:
    steps = np.diff(index.pts)
    return len(index.pts) == index.frames and (steps.size == 0 or int(steps.max() - steps.min()) <= 1)


def _average_rate(packets: Packets, index: FrameIndex, *, constant: bool) -> float:
    if len(index.pts) < 2:
        return packets.nominal_rate
    measured = (index.frames - 1) / (int(index.pts[-1] - index.pts[0]) * packets.time_base)
    # a clock of milliseconds cannot express 30000/1001, the header can; it counts where the stamps agree with it
    agrees = constant and abs(packets.nominal_rate / measured - 1) < 0.01
    return packets.nominal_rate if agrees else measured
