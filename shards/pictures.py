"""From a decoded frame to upright RGB pixels of the wanted size."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any, TypeVar, cast

import av
import av.filter
import cv2
import numpy as np
from av.sidedata.sidedata import SideData, Type
from numpy.typing import NDArray

T = TypeVar("T", bound=np.generic)
Picture = NDArray[np.uint8]
"""uint8 [h w 3], RGB."""
Place = tuple[float, float]
"""Where a crop is taken: (x, y), each from 0 (left, top) to 1 (right, bottom)."""
MIDDLE: Place = (0.5, 0.5)


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

    def stored(self, place: Place) -> Place:
        """Return where `place` of the upright picture is in the stored one."""
        x, y = 1 - place[0] if self.mirror_x else place[0], 1 - place[1] if self.mirror_y else place[1]
        return (y, x) if self.transposed else (x, y)


def crop_box(width: int, height: int, to_width: int, to_height: int, place: Place) -> tuple[int, int, int, int]:
    """Return left, top, width and height of the largest part of a picture with the proportions of `to_*`, at `place`."""
    wide, high = min(width, round(height * to_width / to_height)), min(height, round(width * to_height / to_width))
    # even offsets: colour samples of 4:2:0 stay where they are
    left, top = (
        int((whole - part) * p) // 2 * 2 for whole, part, p in zip((width, height), (wide, high), place, strict=True)
    )
    return left, top, wide, high


def cut(picture: NDArray[T], size: tuple[int, int], crop: Place | None) -> NDArray[T]:
    """Return the part of [h w ...] with the proportions of `size` (width, height) at `crop`; without `crop` all of it."""
    if crop is None:
        return picture
    left, top, wide, high = crop_box(picture.shape[1], picture.shape[0], *size, crop)
    return np.ascontiguousarray(picture[top : top + high, left : left + wide])


def resized_labels(labels: NDArray[np.uint8], size: tuple[int, int], crop: Place | None) -> NDArray[np.uint8]:
    """Return uint8 [h w] of `size` (width, height): the nearest labels, for a mean of two object numbers is a third."""
    return cast("NDArray[np.uint8]", cv2.resize(cut(labels, size, crop), size, interpolation=cv2.INTER_NEAREST_EXACT))


def nearest(values: NDArray[Any], size: tuple[int, int], crop: Place | None) -> NDArray[np.float32]:
    """Return float32 [h w] of `size` (width, height), cropped as pictures are, without a mean of any two values.

    Between a near and a far surface there is nothing at the mean of their distances.
    """
    part = np.ascontiguousarray(cut(values, size, crop), np.float32)
    return cast("NDArray[np.float32]", cv2.resize(part, size, interpolation=cv2.INTER_NEAREST_EXACT))


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
        self, frame: av.VideoFrame, orientation: Orientation, size: tuple[int, int], *, crop: Place | None = None
    ) -> Picture:
        """Return the frame as upright RGB of `size` (width, height); with `crop` only the part of those proportions there."""
        wanted = size[::-1] if orientation.transposed else size
        kind = (frame.width, frame.height, frame.format.name, frame.colorspace, frame.color_range)
        if self._graph is None or self._made_for != (*kind, wanted, crop):
            place = crop and orientation.stored(crop)
            self._graph, self._made_for = self._build(frame, *wanted, crop=place), (*kind, wanted, crop)
        self._graph.push(frame)
        return orientation.apply(_interleaved(cast(av.VideoFrame, self._graph.pull())))

    def _build(self, frame: av.VideoFrame, width: int, height: int, *, crop: Place | None) -> av.filter.Graph:
        graph = av.filter.Graph()
        whole = (0, 0, frame.width, frame.height)
        left, top, wide, high = crop_box(frame.width, frame.height, width, height, crop) if crop else whole
        steps = [
            graph.add_buffer(
                width=frame.width,
                height=frame.height,
                format=frame.format,
                time_base=frame.time_base or Fraction(1, 1000),
            ),
            graph.add("crop", f"{wide}:{high}:{left}:{top}:exact=1"),
            # the flags that PyAV's own conversion uses; without them colours come out about one level darker
            graph.add("scale", f"{width}:{height}:flags=area+accurate_rnd+full_chroma_int:threads=1"),
            # swscale makes rgb24 without vector code: 16 ms a clip, not 6; the pixels are as near to exact
            graph.add("format", "gbrp"),
            graph.add("buffersink"),
        ]
        for step, following in pairwise(steps):
            step.link_to(following)
        graph.configure()
        return graph


def _interleaved(frame: av.VideoFrame) -> Picture:
    """Return [h w 3] of a frame that has its green, blue and red in planes."""
    green, blue, red = (
        np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]  # type: ignore[call-overload]
        for plane in frame.planes
    )
    return cast(Picture, cv2.merge((red, green, blue)))
