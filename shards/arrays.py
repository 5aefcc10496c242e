"""Numbers that stand beside a video, frame by frame, in NumPy's files: .npy and .npz, one for all frames or one for each."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from configs import DecodeLimitError, VideoError
from shards.containers import Limits
from shards.picture_folder import in_order, pictures_in
from shards.pictures import Place, nearest
from shards.probing import described_frames, wanted_frames

EXTENSIONS = frozenset([".npy", ".npz"])


def is_arrays(path: Path) -> bool:
    """Whether `path` is such a file, or a folder that holds such files and no pictures."""
    return path.suffix.lower() in EXTENSIONS or (path.is_dir() and bool(arrays_in(path)) and not pictures_in(path))


def arrays_in(path: Path) -> list[Path]:
    """Return the file `path`, or the .npy and .npz files directly in the folder `path` in the order of their numbers."""
    if not path.is_dir():
        return [path]
    found = [file for file in path.iterdir() if file.suffix.lower() in EXTENSIONS and not file.name.startswith(".")]
    return sorted(found, key=lambda file: in_order(file.name))


class ArrayReader:
    """Arrays as frames; what `PictureReader` is to pictures. A lone file holds [t h w] (or one frame, [h w]).

    An .npz holds one array, or one called `depth`. `info` says how large the first frame is; its `fps` is 0.

    Raises:
        VideoError: no arrays, or none of such a shape.
        DecodeLimitError: larger than `limits`.
    """

    def __init__(self, path: Path | str, *, limits: Limits | None = None) -> None:
        self.path, self.limits = Path(path), limits or Limits()
        self.files = arrays_in(self.path)
        first = self._open(self.files[0])
        # one that holds all frames stays open
        self._all = first if len(self.files) == 1 else None
        height, width = first.shape[1:]
        frames = len(first) if self._all is not None else len(self.files)
        if width * height > self.limits.pixels or frames > self.limits.frames:
            raise DecodeLimitError(
                f"{path}: {frames} frames of {width}x{height}, the limits are {self.limits.frames} frames and "
                f"{self.limits.pixels} pixels"
            )
        self.info = described_frames(
            frames=frames,
            width=width,
            height=height,
            codec=self.files[0].suffix.lower().lstrip("."),
            container="arrays",
            pixel_format=str(first.dtype),
        )

    def read_depth(
        self,
        indices: Sequence[int] | None = None,
        *,
        size: tuple[int, int] | None = None,
        crop: Place | None = None,
    ) -> NDArray[np.float32]:
        """Return float32 [t h w], the stored numbers; scaled by taking the nearest."""
        wanted = wanted_frames(self.path, indices, self.info.frames)
        return np.stack([nearest(self._frame(i), size or (self.info.width, self.info.height), crop) for i in wanted])

    def close(self) -> None:
        """Let go of the file."""
        self._all = None

    def _frame(self, number: int) -> NDArray[Any]:
        if self._all is not None:
            return np.asarray(self._all[number])
        found = self._open(self.files[number])
        if len(found) != 1:
            raise VideoError(f"{self.files[number]}: {len(found)} frames in a file of one frame")
        return np.asarray(found[0])

    def _open(self, file: Path) -> NDArray[Any]:
        """Return [t h w]; of an .npy only what is used comes into memory."""
        try:
            # never pickles: they run code
            found = np.load(file, mmap_mode="r", allow_pickle=False)
            values = self._member(file, found) if isinstance(found, np.lib.npyio.NpzFile) else found
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise VideoError(f"{file}: no array of numbers, or damaged ({' '.join(str(error).split())[:80]})") from None
        flat = values[None] if values.ndim == 2 else values
        if flat.ndim == 4 and 1 in (flat.shape[1], flat.shape[3]):
            flat = flat[:, 0] if flat.shape[1] == 1 else flat[..., 0]
        if flat.ndim != 3 or 0 in flat.shape or flat.dtype.kind not in "uif":
            raise VideoError(
                f"{file}: {values.dtype} {list(values.shape)} is no depth; numbers of [t h w] or [h w] are"
            )
        return flat

    def _member(self, file: Path, found: Any) -> NDArray[Any]:
        names = found.files
        name = "depth" if "depth" in names else names[0] if len(names) == 1 else ""
        if not name:
            raise VideoError(f"{file}: none of its arrays ({', '.join(names[:5]) or 'there are none'}) is called depth")
        size = found.zip.getinfo(f"{name}.npy").file_size
        if size > self.limits.clip_bytes:
            raise DecodeLimitError(f"{file}: {size} bytes unpacked, the limit is {self.limits.clip_bytes}")
        return np.asarray(found[name])
