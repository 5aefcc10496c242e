"""The frame index of a video file: which time stamp is frame i, and where decoding can start for it."""

from __future__ import annotations

import itertools
import math
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from configs import DecodeLimitError, VideoError
from shards.containers import Limits, naming_errors, open_container, video_stream

# one packet is one frame in these; elsewhere (VP8's hidden frames, packed B-frames in AVI, ...) only decoding can tell
_ONE_FRAME_A_PACKET = frozenset(
    ("h264", "hevc", "av1", "vp9", "mjpeg", "mpeg2video", "prores", "dnxhd", "ffv1", "utvideo", "qtrle", "png", "gif")
)
# these store when a frame is shown; libav makes it up for the others, and guesses wrong where B-frames are about
_STAMPED = frozenset(("mov", "matroska", "mpegts", "gif"))
_SEEKABLE = frozenset(("mov", "matroska", "mpegts", "avi"))
_DURATION_IS_A_PROMISE = frozenset(("mov", "matroska", "avi", "flv", "asf"))


@dataclass(kw_only=True)
class Packets:
    """What demuxing a whole file tells about its video stream, without decoding."""

    codec: str
    container: str
    """The demuxer's first name: `mov` for mp4, m4a and 3gp too, `matroska` for webm."""
    header_frames: int
    nominal_rate: float
    time_base: float
    has_audio: bool
    promised: float
    """Seconds that the header claims; 0 where its claim means nothing."""
    lost: bool
    """The header places frames beyond the end of the file."""
    pts: list[int | None] = field(default_factory=list)
    dts: list[int | None] = field(default_factory=list)
    key: list[bool] = field(default_factory=list)
    dropped: bool = False
    """Some packet is marked as thrown away (an edit list) or damaged."""
    last_end: float = 0.0
    """Seconds from the start of the file to the end of its last packet, sound and data included."""


@dataclass(frozen=True, kw_only=True)
class FrameIndex:
    """Frame i is the i-th frame that a decode from the first key frame on gives.

    `pts[i]` is its time stamp in the stream's units; `pts` is empty where stamps do not tell frames apart: there frame
    i is found by counting from the start.
    """

    frames: int
    pts: NDArray[np.int64]
    key_frames: tuple[int, ...]
    """Frames at which decoding may start, ascending; the first is always 0."""
    seek_to: tuple[int, ...]
    """For each of `key_frames`, the stamp to hand to `seek`."""
    from_packets: bool
    """The packets alone proved the index; only the first frame was decoded."""
    open_gop: bool
    """Some pictures that follow a key frame in the file come before it on the screen."""

    def key_before(self, frame: int) -> int:
        """Return the position in `key_frames` of the last one at or before `frame`."""
        return bisect_right(self.key_frames, frame) - 1


def read_packets(path: Path, limits: Limits) -> tuple[Packets, av.VideoFrame | None]:
    """Demux `path` once, decoding as far as the first frame; None when there is no frame that decodes.

    Raises:
        VideoError: no video, no frames, damaged at its start, or cut off: less is there than the header promises.
        DecodeLimitError: larger than `limits`.
    """
    with open_container(path, limits, strict=False) as container, naming_errors(path):
        stream = video_stream(container, path)
        packets = _read_header(container, stream)
        start = (container.start_time or 0) / av.time_base
        first = _FirstFrame()
        for packet in container.demux():
            _note(packets, packet, stream.index, start)
            if packet.stream_index == stream.index:
                first.look_in(packet)
            if len(packets.pts) > limits.frames:
                raise DecodeLimitError(f"{path}: more than {limits.frames} frames, the limit")
        _check_whole(path, packets)
        if first.error is not None:
            raise first.error
    return packets, first.frame


class _FirstFrame:
    """Decodes packets until the first frame comes out of them."""

    def __init__(self) -> None:
        self.frame: av.VideoFrame | None = None
        self.error: Exception | None = None
        self._started = False

    def look_in(self, packet: av.Packet[Any]) -> None:
        if self.frame is not None or self.error is not None or _shows_nothing_new(packet):
            return
        self._started = self._started or packet.is_keyframe
        # that the file is cut off, which shows at its end, says more than an error here
        try:
            if self._started or packet.size == 0:
                self.frame = next(iter(packet.decode()), None)
        except (av.FFmpegError, av.ArgumentError) as error:
            self.error = error


def build_index(path: Path, limits: Limits, packets: Packets, first_stamp: int | None) -> FrameIndex:
    """Index `path` by `packets` where those are provably what decoding gives, else by decoding it once.

    `first_stamp`: the pts of the first frame that decodes.
    """
    trusted = _packets_suffice(packets, first_stamp)
    frames = packets.pts if trusted else [frame.pts for frame in decode_all(path, limits)]
    stamps = [stamp for stamp in frames if stamp is not None]
    if trusted:
        stamps.sort()
    told_apart = len(stamps) == len(frames) and all(a < b for a, b in itertools.pairwise(stamps))
    pts = np.array(stamps if told_apart else [], dtype=np.int64)
    points = _seek_points(packets, pts)
    return FrameIndex(
        frames=len(frames),
        pts=pts,
        key_frames=tuple(points),
        seek_to=tuple(points.values()),
        from_packets=trusted,
        open_gop=_has_leading_pictures(packets),
    )


def decode_all(path: Path, limits: Limits, *, strict: bool = False) -> Iterator[av.VideoFrame]:
    """Yield every frame from the first key frame on: the reference that "frame i" is defined by."""
    with open_container(path, limits, strict=strict) as container, naming_errors(path):
        for count, frame in enumerate(decode_onwards(container, video_stream(container, path))):
            if count >= limits.frames:
                raise DecodeLimitError(f"{path}: more than {limits.frames} frames, the limit")
            yield frame


def decode_onwards(container: av.container.InputContainer, stream: av.VideoStream) -> Iterator[av.VideoFrame]:
    """Decode from where `container` stands; what comes before a key frame lacks its references and is skipped."""
    started = False
    for packet in container.demux(stream):
        started = started or packet.is_keyframe
        # the last packet is empty: it drains the decoder
        if (started or packet.size == 0) and not _shows_nothing_new(packet):
            yield from packet.decode()


def _shows_nothing_new(packet: av.Packet[Any]) -> bool:
    """Whether a packet within a file is empty: Theora's way to say that the picture stays, which libav's decoder refuses."""
    return packet.size == 0 and (packet.pts is not None or packet.dts is not None)


def _read_header(container: av.container.InputContainer, stream: av.VideoStream) -> Packets:
    name = container.format.name.split(",")[0]
    # only mov lists every frame's place in the file up front
    places = stream.index_entries if name == "mov" else ()
    return Packets(
        # the decoder of AV1 goes by the name of its library
        codec=stream.codec_context.codec.canonical_name,
        container=name,
        header_frames=stream.frames,
        nominal_rate=float(stream.average_rate or stream.guessed_rate or 25),
        time_base=float(stream.time_base or 0),
        has_audio=bool(container.streams.audio),
        promised=_promised_seconds(container, stream, name),
        lost=any(place.pos + place.size > container.size for place in places),
    )


def _promised_seconds(container: av.container.InputContainer, stream: av.VideoStream, name: str) -> float:
    if name == "avi" and stream.frames and stream.average_rate:
        # libav corrects the duration by what it finds
        return float(stream.frames / stream.average_rate)
    return (container.duration or 0) / av.time_base if name in _DURATION_IS_A_PROMISE else 0.0


def _note(packets: Packets, packet: av.Packet[Any], stream_index: int, start: float) -> None:
    stamp = packet.pts if packet.pts is not None else packet.dts
    if stamp is not None and packet.time_base is not None:
        packets.last_end = max(packets.last_end, float((stamp + (packet.duration or 0)) * packet.time_base) - start)
    if packet.stream_index == stream_index and packet.size > 0:
        packets.pts.append(packet.pts)
        packets.dts.append(packet.dts)
        packets.key.append(packet.is_keyframe)
        packets.dropped = packets.dropped or packet.is_discard or packet.is_corrupt


def _check_whole(path: Path, packets: Packets) -> None:
    count, named = len(packets.pts), packets.header_frames
    if count == 0:
        raise VideoError(f"{path}: it holds no frame" + (f" of the {named} that its header names" if named else ""))
    # encoders round, players forgive, and the last frame of a slide show may last as long as any other
    slack = max(0.5, 0.02 * packets.promised, 1.5 * _longest_gap(packets))
    if packets.lost or packets.last_end < packets.promised - slack:
        have = f"{count} of {named}" if named > count else f"{count}"
        raise VideoError(
            f"{path}: cut off; {packets.last_end:.1f} of the {packets.promised:.1f} s "
            f"that its header promises are there ({have} frames)"
        )


def _longest_gap(packets: Packets) -> float:
    """Return the longest time between two frames in seconds; endless for a single frame."""
    stamps = sorted(stamp for stamp in packets.pts if stamp is not None)
    if len(stamps) < 2:
        return math.inf
    return max(b - a for a, b in itertools.pairwise(stamps)) * packets.time_base


def _packets_suffice(packets: Packets, first_stamp: int | None) -> bool:
    stamps = [stamp for stamp in packets.pts if stamp is not None]
    return (
        packets.codec in _ONE_FRAME_A_PACKET
        and (packets.container in _STAMPED or all(packets.key))
        and not packets.dropped
        and len(packets.pts) == len(stamps) == len(set(stamps))
        and packets.key[0]
        # pictures that are shown before the first key frame refer to what is not in the file
        and first_stamp == stamps[0] == min(stamps)
    )


def _seek_points(packets: Packets, pts: NDArray[np.int64]) -> dict[int, int]:
    """Map the number of every key frame to the stamp that makes `seek` land on it, in ascending order."""
    points = {0: int(pts[0]) if pts.size else 0}
    if not pts.size or packets.container not in _SEEKABLE or packets.codec == "gif":
        return points
    # libav seeks mov and matroska by when a frame is shown, the others by when it is decoded
    stamps = packets.pts if packets.container in ("mov", "matroska") else packets.dts
    for shown, stamp, is_key in zip(packets.pts, stamps, packets.key, strict=True):
        if not is_key or shown is None or stamp is None:
            continue
        frame = int(np.searchsorted(pts, shown))
        if 0 < frame < len(pts) and pts[frame] == shown:
            points[frame] = stamp
    return dict(sorted(points.items()))


def _has_leading_pictures(packets: Packets) -> bool:
    key: int | None = None
    for shown, is_key in zip(packets.pts, packets.key, strict=True):
        if is_key:
            key = shown
        if shown is None or (key is not None and shown < key):
            return True
    return False
