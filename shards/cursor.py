"""A place in a video file that moves to any frame by the shortest way that gives the same bits as decoding it all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import av

from configs import VideoError
from shards.containers import Limits, naming_errors, open_container, video_stream
from shards.frame_index import FrameIndex, decode_onwards

# an mpegts file has no index: its seek lands near the stamp, and before the key frame only with this head start, in s
_HEAD_START = 2.0


class Cursor:
    """Finds frames by their number; goes on decoding where that reaches the frame no later than seeking would."""

    def __init__(self, path: Path, limits: Limits, index: FrameIndex, *, codec: str) -> None:
        self._path, self._limits, self._index = path, limits, index
        # after a seek into an open group h264 takes the references it lacks for damage
        self._strict = index.from_packets and not (codec == "h264" and index.open_gop)
        self._container: av.container.InputContainer | None = None
        self._decoded: Iterator[av.VideoFrame] = iter(())
        self._next = 0
        self._from_start = False
        self._last: tuple[int, av.VideoFrame] | None = None
        self._pid = os.getpid()

    def frame(self, number: int) -> av.VideoFrame:
        """Return frame `number`, which must lie within the index.

        Raises:
            VideoError: it cannot be decoded, although the file names it.
        """
        self._leave_parent()
        if self._last is not None and self._last[0] == number:
            return self._last[1]
        try:
            self._last = number, self._reach(number)
        except BaseException:
            self.close()
            raise
        return self._last[1]

    def close(self) -> None:
        """Close the file; the next `frame` opens it again."""
        if self._container is not None:
            self._container.close()
        self._container = self._last = None
        self._decoded = iter(())

    def _reach(self, number: int) -> av.VideoFrame:
        key = self._index.key_before(number)
        if self._container is None or not self._index.key_frames[key] <= self._next <= number:
            self._start(key)
        try:
            return self._advance(number)
        except VideoError:
            if self._from_start:
                raise
        # the seek landed too late, or on references it does not have: the beginning is always right
        self._start(0)
        return self._advance(number)

    def _start(self, key: int) -> None:
        if self._container is None or key == 0:
            self.close()
            self._container = open_container(self._path, self._limits, strict=self._strict)
        stream = video_stream(self._container, self._path)
        if key > 0:
            late = _HEAD_START / float(stream.time_base or 1) if "mpegts" in self._container.format.name else 0
            with naming_errors(self._path):
                self._container.seek(self._index.seek_to[key] - int(late), stream=stream)
        self._from_start = key == 0
        self._next = self._index.key_frames[key]
        self._decoded = decode_onwards(self._container, stream)

    def _advance(self, number: int) -> av.VideoFrame:
        with naming_errors(self._path):
            for frame in self._decoded:
                if self._passes(frame, number):
                    continue
                if not self._is(frame, number):
                    break
                self._next = number + 1
                return frame
        raise VideoError(f"{self._path}: damaged, frame {number} cannot be decoded")

    def _passes(self, frame: av.VideoFrame, number: int) -> bool:
        """Whether `frame` comes before `number`; counts it where time stamps are of no use."""
        if self._index.pts.size:
            return frame.pts is not None and frame.pts < self._index.pts[number]
        self._next += 1
        return self._next <= number

    def _is(self, frame: av.VideoFrame, number: int) -> bool:
        stamps = self._index.pts
        return not frame.is_corrupt and (not stamps.size or frame.pts == stamps[number])

    def _leave_parent(self) -> None:
        # a forked child shares the parent's file position: it must not touch that file, only open its own
        if self._pid != os.getpid():
            self._pid, self._container, self._last = os.getpid(), None, None
