"""Folders of numbered pictures, and single pictures, read as if they were video files."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from configs import DecodeLimitError, VideoError
from shards.containers import Limits
from shards.pictures import Picture, Place, cut, nearest, resized_labels
from shards.probing import described_frames, wanted_frames
from shards.sample import Video

EXTENSIONS = frozenset([".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm"])
_LOOKED_AT = 200
"""At most so many annotations of a folder are looked at for object numbers: thousands would take longer than a clip may."""
_DIGITS = re.compile(r"(\d+)")


def is_pictures(path: Path) -> bool:
    """Whether `path` is a folder, a file with a picture's extension, or a pattern of such files."""
    return path.suffix.lower() in EXTENSIONS or path.is_dir()


def pictures_in(path: Path) -> list[Path]:
    """Return the picture `path`, or in the order of their numbers the pictures directly in the folder `path`, or those
    that it matches as a pattern (`folder/7_0_*.jpg`)."""
    if "*" in path.name and not path.exists():
        files = path.parent.glob(path.name)
    elif path.is_dir():
        files = path.iterdir()
    else:
        return [path]
    found = [file for file in files if file.suffix.lower() in EXTENSIONS and not file.name.startswith(".")]
    return sorted(found, key=lambda file: in_order(file.name))


def in_order(name: str) -> tuple[tuple[int, int | str], ...]:
    """Return a key that sorts `frame_2` before `frame_10`."""
    return tuple((0, int(part)) if part.isdecimal() else (1, part) for part in _DIGITS.split(name) if part)


class PictureReader:
    """The pictures of one folder as frames; what `VideoReader` is to a video file.

    `info` says what the first picture is like; its `fps` is 0, for a folder does not tell. Frames that are read in its
    size, uncropped, must all have it.

    Raises:
        VideoError: no pictures, or the first is none.
        DecodeLimitError: larger than `limits` by its headers.
    """

    def __init__(self, path: Path | str, *, limits: Limits | None = None) -> None:
        self.path, self.limits = Path(path), limits or Limits()
        self.files = _listed(self.path)
        if len(self.files) > self.limits.frames:
            raise DecodeLimitError(f"{path}: {len(self.files)} pictures, the limit is {self.limits.frames}")
        width, height = self._size_of(self.files[0])
        self.info = described_frames(
            frames=len(self.files),
            width=width,
            height=height,
            codec=self.files[0].suffix.lower().lstrip("."),
            container="pictures",
        )

    def read(
        self,
        indices: Sequence[int] | None = None,
        *,
        size: tuple[int, int] | None = None,
        crop: Place | None = None,
    ) -> Video:
        """Return frames as `read_video` does."""
        width, height = size or (self.info.width, self.info.height)
        wanted = self._check(indices, width, height)
        clip = np.empty((len(wanted), height, width, 3), np.uint8)
        for place, number in enumerate(wanted):
            picture = cut(self._decode(self.files[number]), (width, height), crop)
            self._check_as_is(self.files[number], picture, (width, height), crop)
            shrinks = picture.shape[0] >= height and picture.shape[1] >= width
            cv2.resize(
                picture,
                (width, height),
                dst=clip[place],
                interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR,
            )
        return clip

    def read_labels(
        self,
        indices: Sequence[int] | None = None,
        *,
        size: tuple[int, int] | None = None,
        crop: Place | None = None,
    ) -> NDArray[np.uint8]:
        """Return uint8 [t h w], the number of the object that each pixel of an annotation belongs to.

        Of a picture with a palette, or with the palette's colours, that is the place in the palette (DAVIS,
        YouTube-VOS). Of one that is black and white it is 1 where it is white; but 255, what annotators left open, where
        other pictures of the folder have numbers. Of a photograph with a hole in it (MagicBrush) it is 1 where that is
        transparent.
        """
        width, height = size or (self.info.width, self.info.height)
        wanted = self._check(indices, width, height)
        clip = np.empty((len(wanted), height, width), np.uint8)
        for place, number in enumerate(wanted):
            clip[place] = resized_labels(self._labels(self.files[number]), (width, height), crop)
        return clip

    def read_depth(
        self,
        indices: Sequence[int] | None = None,
        *,
        size: tuple[int, int] | None = None,
        crop: Place | None = None,
    ) -> NDArray[np.float32]:
        """Return float32 [t h w], the numbers in pictures of one channel (of 16 bits, mostly); scaled by taking the nearest."""
        width, height = size or (self.info.width, self.info.height)
        wanted = self._check(indices, width, height)
        return np.stack([nearest(self._numbers(self.files[number]), (width, height), crop) for number in wanted])

    def close(self) -> None:
        """Nothing stays open; here for the sake of `VideoReader`'s users."""

    def _check(self, indices: Sequence[int] | None, width: int, height: int) -> Sequence[int]:
        wanted = wanted_frames(self.path, indices, len(self.files))
        needed = len(wanted) * width * height * 3
        if needed > self.limits.clip_bytes:
            raise DecodeLimitError(
                f"{self.path}: {len(wanted)} frames of {width}x{height} are {needed} bytes, "
                f"the limit is {self.limits.clip_bytes}; read fewer at a time, or smaller"
            )
        return wanted

    def _check_as_is(self, file: Path, picture: Picture, size: tuple[int, int], crop: Place | None) -> None:
        found = picture.shape[1::-1]
        if crop is None and found != size == (self.info.width, self.info.height):
            raise VideoError(f"{file}: {found[0]}x{found[1]} pixels, the first picture has {size[0]}x{size[1]}")

    def _size_of(self, file: Path) -> tuple[int, int]:
        """Return width and height as shown, from the header alone."""
        with warnings.catch_warnings():
            # our own limit stands in for Pillow's
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            try:
                with Image.open(file) as image:
                    # Pillow turns TIFF by itself, and its size with it
                    width, height = image.size if image.format != "TIFF" else (image.tag_v2[256], image.tag_v2[257])  # type: ignore[attr-defined]
                    turned = image.getexif().get(0x0112, 1) >= 5
            except Image.DecompressionBombError:
                raise DecodeLimitError(f"{file}: too many pixels, the limit is {self.limits.pixels}") from None
            except (OSError, ValueError, SyntaxError):
                raise VideoError(f"{file}: not a picture, or damaged") from None
        if width * height > self.limits.pixels:
            raise DecodeLimitError(f"{file}: {width}x{height} pixels, the limit is {self.limits.pixels} in all")
        return (height, width) if turned else (width, height)

    def _decode(self, file: Path) -> Picture:
        self._size_of(file)
        # turned upright by its EXIF orientation, 16 bits reduced to 8, transparency dropped
        picture = cv2.imdecode(np.fromfile(file, np.uint8), cv2.IMREAD_COLOR_RGB)
        if picture is None:
            raise VideoError(f"{file}: not a picture, or damaged")
        return cast("Picture", picture)

    def _numbers(self, file: Path) -> NDArray[Any]:
        self._size_of(file)
        picture = cv2.imdecode(np.fromfile(file, np.uint8), cv2.IMREAD_UNCHANGED)
        if picture is None:
            raise VideoError(f"{file}: not a picture, or damaged")
        if picture.ndim != 2:
            raise VideoError(f"{file}: {picture.shape[2]} channels; a depth map has one")
        return picture

    def _labels(self, file: Path) -> NDArray[np.uint8]:
        labels = self._marked(file)
        white = 255 in labels and not _has_numbers(labels) and not self._numbered
        return (labels > 0).astype(np.uint8) if white else labels

    @cached_property
    def _numbered(self) -> bool:
        """Whether any picture has object numbers, so that 255 is none of them: one that shows no object may have it too."""
        for file in self.files[:: -(-len(self.files) // _LOOKED_AT)]:
            # what is damaged is an error only to who wants it
            with suppress(VideoError):
                if _has_numbers(self._marked(file)):
                    return True
        return False

    def _marked(self, file: Path) -> NDArray[np.uint8]:
        """Return the numbers in an annotation, or 0 and 255 where it is black and white."""
        self._size_of(file)
        try:
            with Image.open(file) as image:
                if image.mode == "P":
                    return np.array(image)
                values = np.array(image.convert("RGB" if len(image.getbands()) >= 3 else "L"))
                alpha = np.array(image.getchannel("A")) if image.mode == "RGBA" else None
                # a number does not outlive JPEG; what is between black and white there is its loss
                exact = image.format != "JPEG"
        except OSError:
            raise VideoError(f"{file}: not a picture, or damaged") from None
        if values.ndim == 3:
            return _from_palette(values, file, alpha)
        # a mask is black and white, but for what a lossy codec left at its edges; few small numbers are object numbers
        found = np.unique(values)
        numbered = bool((found[found != 255] < 64).all()) and (len(found) > 2 or found[-1] < 64)
        return values if numbered and exact else np.where(values > 127, np.uint8(255), np.uint8(0))


def _has_numbers(labels: NDArray[np.uint8]) -> bool:
    return bool(((labels > 0) & (labels < 255)).any())


def palette() -> NDArray[np.uint8]:
    """Return uint8 [256 3]: the colours by which Pascal VOC, DAVIS and YouTube-VOS show object numbers."""
    numbers = np.arange(256)
    colours = np.zeros((256, 3), int)
    for bit in range(8):
        for channel in range(3):
            colours[:, channel] |= ((numbers >> (3 * bit + channel)) & 1) << (7 - bit)
    return colours.astype(np.uint8)


def _from_palette(colours: NDArray[np.uint8], file: Path, alpha: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
    codes = colours.astype(np.int32) @ np.array([65536, 256, 1], np.int32)
    if set(np.unique(codes)) <= {0, 0xFFFFFF}:
        return np.where(codes > 0, np.uint8(255), np.uint8(0))
    known = palette().astype(np.int32) @ np.array([65536, 256, 1], np.int32)
    number = {int(code): place for place, code in reversed(list(enumerate(known)))}
    found, places = np.unique(codes, return_inverse=True)
    strange = next((code for code in found if int(code) not in number), None)
    if strange is not None and alpha is not None and alpha.min() < 128:
        return np.where(alpha < 128, np.uint8(255), np.uint8(0))
    if strange is not None:
        raise VideoError(
            f"{file}: colour #{strange:06x} is none of the palette that marks objects; store object numbers"
        )
    return np.array([number[int(code)] for code in found], np.uint8)[places.reshape(codes.shape)]


def _listed(path: Path) -> list[Path]:
    try:
        files = pictures_in(path)
        if not files:
            raise VideoError(f"{path}: no pictures in it")
        dead = next((file for file in files if file.is_symlink() and not file.exists()), None)
        if dead:
            raise VideoError(f"{dead}: broken link, what it leads to is not there")
        if not files[0].exists():
            raise VideoError(f"{path}: no such file")
    except OSError as error:
        raise VideoError(f"{path}: {(error.strerror or str(error)).lower()}") from None
    return files
