"""From a decoded frame to upright RGB pixels of the wanted size."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

import av
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


def to_rgb(frame: av.VideoFrame, orientation: Orientation, size: tuple[int, int] | None) -> Picture:
    """Return the frame as upright RGB uint8 [h w 3].

    `size`: (width, height) after turning; another size is scaled in the same pass as the colours, with AREA. The
    colour matrix and range are those the frame is tagged with; an untagged frame is BT.601, limited range, as
    swscale (and decord) take it.
    """
    width, height = (frame.width, frame.height) if size is None else size
    if size is not None and orientation.transposed:
        width, height = height, width
    scaled = (width, height) != (frame.width, frame.height)
    # sws threads: one, and the bits must not depend on how many cores there are
    rgb = frame.reformat(width, height, "rgb24", interpolation="AREA" if scaled else None, threads=1)
    return orientation.apply(cast(Picture, rgb.to_ndarray()))
