"""Object masks in HDF5 files, one file for each annotated frame, as A2D Sentences keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from configs import DecodeLimitError, VideoError
from shards.arrays import arrays_in
from shards.containers import Limits
from shards.picture_folder import in_order, pictures_in
from shards.pictures import Place, resized_labels
from shards.probing import described_frames, wanted_frames

EXTENSION = ".h5"
_MOST = 254
"""255 marks what annotators left open."""


def is_instances(path: Path) -> bool:
    """Whether `path` is a folder that holds such files, and neither pictures nor arrays."""
    return path.is_dir() and bool(instances_in(path)) and not pictures_in(path) and not arrays_in(path)


def instances_in(path: Path) -> list[Path]:
    """Return the .h5 files directly in the folder `path`, in the order of their numbers."""
    found = [file for file in path.iterdir() if file.suffix.lower() == EXTENSION and not file.name.startswith(".")]
    return sorted(found, key=lambda file: in_order(file.name))


class InstanceReader:
    """Files that hold `instance` [n], numbers of objects, and `reMask` [n w h] (one object: [w h]), where each is.

    MATLAB stores its arrays with the axes the other way round. `info` says how large the first frame is; its `fps` is 0.

    Raises:
        VideoError: h5py is not installed, or the first file is not of this form.
        DecodeLimitError: larger than `limits`.
    """

    def __init__(self, path: Path | str, *, limits: Limits | None = None) -> None:
        self.path, self.limits = Path(path), limits or Limits()
        self.files = instances_in(self.path)
        if len(self.files) > self.limits.frames:
            raise DecodeLimitError(f"{path}: {len(self.files)} files, the limit is {self.limits.frames}")
        height, width = self._labels(self.files[0]).shape
        self.info = described_frames(
            frames=len(self.files),
            width=width,
            height=height,
            codec="h5",
            container="instances",
        )

    def read_labels(
        self,
        indices: Sequence[int] | None = None,
        *,
        size: tuple[int, int] | None = None,
        crop: Place | None = None,
    ) -> NDArray[np.uint8]:
        """Return uint8 [t h w]: 0 for the background, else the object's number and one more, since theirs may start at 0."""
        wanted = wanted_frames(self.path, indices, len(self.files))
        frame = size or (self.info.width, self.info.height)
        return np.stack([resized_labels(self._labels(self.files[number]), frame, crop) for number in wanted])

    def close(self) -> None:
        """Nothing stays open; here for the sake of `VideoReader`'s users."""

    def _labels(self, file: Path) -> NDArray[np.uint8]:
        """Return uint8 [h w]; of objects that overlap the later covers the earlier."""
        numbers, masks = self._stored(file)
        if masks.ndim != 3 or 0 in masks.shape[1:] or len(masks) != len(numbers):
            raise VideoError(f"{file}: {len(numbers)} objects and masks of {list(masks.shape)}; masks are [n w h]")
        if len(numbers) and not 0 <= numbers.min() <= numbers.max() < _MOST:
            raise VideoError(f"{file}: objects {numbers.min()} to {numbers.max()}; 0 to {_MOST - 1} can be kept")
        labels = np.zeros(masks.shape[:0:-1], np.uint8)
        for number, mask in zip(numbers, masks, strict=True):
            labels[mask.T > 0] = number + 1
        return labels

    def _stored(self, file: Path) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        try:
            import h5py
        except ImportError:
            raise VideoError(f"{file}: reading it needs h5py, which is not installed") from None
        try:
            with h5py.File(file, "r") as content:
                masks = content["reMask"]
                if masks.size > self.limits.clip_bytes or np.prod(masks.shape[-2:]) > self.limits.pixels:
                    raise DecodeLimitError(
                        f"{file}: masks of {list(masks.shape)}, the limit is {self.limits.pixels} pixels"
                    )
                numbers = np.asarray(content["instance"]).astype(np.int64).ravel()
                found = np.asarray(masks).astype(np.uint8)
        except (AttributeError, KeyError, OSError, RuntimeError, TypeError, ValueError) as error:
            reason = " ".join(str(error).split())[:80]
            raise VideoError(f"{file}: no masks of objects (instance, reMask), or damaged ({reason})") from None
        return numbers, found[None] if found.ndim == 2 else found
