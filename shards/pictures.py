"""From a decoded frame to upright RGB pixels of the wanted size."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import cast

import av
import av.filter
import numpy as np
from av.sidedata.sidedata import SideData, Type
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
"""uint8 [h w 3], RGB."""


@dataclass(frozen=True, kw_only=True)
class Orientation:
    """How stored pixels are turned for display: first transposed, then mirrored. Covers all eight EXIF orientations."""

    transposed: bool = False
    mirror_x: bool = False
    mirror_y: bool = False

    @property
    def rotation(self) -> int:
        """Degrees counter-clockwise, in {0, 90, 180, 270}; `mirrored` comes after it."""
        # transposing, then mirroring along y, turns by 90 degrees; mirroring along both axes by 180
        turns = {(False, False): 0, (False, True): 180, (True, True): 90, (True, False): 270}
        return turns[self.transposed, self.mirror_y]

    @property
    def mirrored(self) -> bool:
        """Whether a mirroring along x is left after the rotation."""
        return self.mirror_x != (self.rotation in (180, 270))

    def apply(self, picture: Picture) -> Picture:
        """Return `picture` [h w 3] upright, as a view."""
        if self.transposed:
            picture = picture.transpose(1, 0, 2)
        return picture[:: -1 if self.mirror_y else 1, :: -1 if self.mirror_x else 1]


def orientation_of(frame: av.VideoFrame) -> Orientation:
    """Read the display matrix of a decoded frame; angles other than multiples of 90 degrees count as upright."""
    # PyAV's stubs call these mappings; they hold SideData, which is a buffer
    matrices = [bytes(item) for item in cast(Iterable[SideData], frame.side_data) if item.type == Type.DISPLAYMATRIX]
    if not matrices:
        return Orientation()
    # row vectors: x' = a x + c y, y' = b x + d y, as 16.16 fixed point (ISO 14496-12, 6.2.2)
    a, b, _, c, d = struct.unpack("=5i", matrices[0][:20])
    if a == d == 0 and b != 0 and c != 0:
        return Orientation(transposed=True, mirror_x=c < 0, mirror_y=b < 0)
    if b == c == 0:
        return Orientation(mirror_x=a < 0, mirror_y=d < 0)
    return Orientation()


def to_rgb(frame: av.VideoFrame, orientation: Orientation) -> Picture:
    """Return the frame as upright RGB uint8 [h w 3], with the very bits that decord gives.

    The colour matrix and range are those the frame is tagged with; an untagged frame is BT.601, limited range, as
    swscale (and decord) take it. This conversion is off by one or two grey levels; that of `Scaler` is not.
    """
    # sws threads: one, and the bits must not depend on how many cores there are
    return orientation.apply(cast(Picture, frame.reformat(format="rgb24", threads=1).to_ndarray()))


class Scaler:
    """Scales decoded frames with AREA, correct to half a grey level; keeps its filters while frames stay alike.

    Cropping before scaling saves the work on what would be thrown away: of a wide frame made square, nearly half.
    """

    def __init__(self) -> None:
        self._graph: av.filter.Graph | None = None
        self._made_for: tuple[object, ...] = ()

    def to_rgb(
        self, frame: av.VideoFrame, orientation: Orientation, size: tuple[int, int], *, crop: bool = False
    ) -> Picture:
        """Return the frame as upright RGB of `size` (width, height); with `crop` only its middle of those proportions."""
        wanted = size[::-1] if orientation.transposed else size
        kind = (frame.width, frame.height, frame.format.name, frame.colorspace, frame.color_range)
        if self._graph is None or self._made_for != (*kind, wanted, crop):
            self._graph, self._made_for = self._build(frame, *wanted, crop=crop), (*kind, wanted, crop)
        self._graph.push(frame)
        return orientation.apply(cast(Picture, cast(av.VideoFrame, self._graph.pull()).to_ndarray()))

    def _build(self, frame: av.VideoFrame, width: int, height: int, *, crop: bool) -> av.filter.Graph:
        graph = av.filter.Graph()
        crop_width = min(frame.width, round(frame.height * width / height)) if crop else frame.width
        crop_height = min(frame.height, round(frame.width * height / width)) if crop else frame.height
        # even offsets: colour samples of 4:2:0 stay where they are
        left, top = ((frame.width - crop_width) // 4 * 2, (frame.height - crop_height) // 4 * 2)
        steps = [
            graph.add_buffer(
                width=frame.width,
                height=frame.height,
                format=frame.format,
                time_base=frame.time_base or Fraction(1, 1000),
            ),
            graph.add("crop", f"{crop_width}:{crop_height}:{left}:{top}:exact=1"),
            # the flags that PyAV's own conversion uses; without them colours come out about one level darker
            graph.add("scale", f"{width}:{height}:flags=area+accurate_rnd+full_chroma_int:threads=1"),
            graph.add("format", "rgb24"),
            graph.add("buffersink"),
        ]
        for step, following in pairwise(steps):
            step.link_to(following)
        graph.configure()
        return graph
