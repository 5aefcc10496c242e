"""One training or test pair: a source and a target clip with its instruction and everything known about it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from configs import DatasetError

Video = NDArray[np.uint8]
"""uint8 [t h w 3], RGB."""

KEY = re.compile(r"[a-z0-9_-]{1,99}")


@dataclass(frozen=True, kw_only=True)
class Meta:
    """Where a sample came from and every number that made it. No field is ever null, and all but `pair_sha256` are
    always present.

    `parameters` and `scores` hold whatever the effect and the gates recorded; on disk they are JSON text, so that
    readers which infer a schema from the first few samples see one type.
    """

    task: str
    split: str
    """`train`, `val` or `test`; all samples of one source video are in the same split."""
    source_id: str
    source_sha256: str
    """Of all that was given: the video with its masks, what is said of it and, of a pair, the other side."""
    licence: str
    start: int
    """Index of the clip's first frame in the source video."""
    step: int
    """Distance between two frames of the clip, in source frames."""
    fps: float
    """Frames per second of the clip, after `step`: by the mean rate of its whole video, also where that rate varies."""
    seed: str
    """Hexadecimal: it is wider than the 63 bits that JSON readers keep."""
    effect: str
    effect_version: int
    parameters: Mapping[str, Any] = field(default_factory=dict)
    scores: Mapping[str, Any] = field(default_factory=dict)
    caption: str = ""
    """What the source's data set says is seen in the video; one line."""
    clean_sha256: str = ""
    """Of the clean video alone, however it was given: equal wherever the same video was learnt from or is tested on. Where it
    is not said, as in datasets from before it was recorded, it is `source_sha256`."""
    pair_sha256: str = ""
    """Of the other side alone, where the pair was not made here. Empty, and not in `meta.json`, where it was, and in datasets
    from before it was recorded."""

    def __post_init__(self) -> None:
        if not self.clean_sha256:
            object.__setattr__(self, "clean_sha256", self.source_sha256)


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One clip pair.

    `source` and `target`: uint8 [t h w 3], RGB. `mask`: uint8 [t h w], or None. `reference`, the image
    instruction: uint8 [h w 3], or None. `key`: unique in the dataset, of `[a-z0-9_-]`, below 100 characters
    (a dot or a capital letter would merge or split samples in tar readers).

    Raises:
        DatasetError: a member has another type or shape than this.
    """

    key: str
    source: Video
    target: Video
    instruction: str
    meta: Meta
    mask: NDArray[np.uint8] | None = None
    reference: NDArray[np.uint8] | None = None

    def __post_init__(self) -> None:
        if not KEY.fullmatch(self.key):
            raise DatasetError(f"sample key {self.key!r} must match {KEY.pattern}")
        if not self.instruction.strip():
            raise DatasetError(f"sample {self.key}: the instruction is empty")
        check_video(self.source, f"sample {self.key}: source")
        check_video(self.target, f"sample {self.key}: target")
        if self.source.shape != self.target.shape:
            raise DatasetError(f"sample {self.key}: source {self.source.shape} and target {self.target.shape} differ")
        if self.mask is not None and (self.mask.dtype != np.uint8 or self.mask.shape != self.source.shape[:3]):
            raise DatasetError(f"sample {self.key}: mask must be uint8 {self.source.shape[:3]}, is {self.mask.shape}")
        if self.reference is not None and (self.reference.dtype != np.uint8 or self.reference.ndim != 3):
            raise DatasetError(f"sample {self.key}: reference must be uint8 [h w 3], is {self.reference.shape}")


def check_video(video: NDArray[Any], what: str) -> None:
    """Raise `DatasetError` unless `video` is uint8 [t h w 3] with at least one frame."""
    if video.dtype != np.uint8 or video.ndim != 4 or video.shape[3] != 3 or 0 in video.shape:
        raise DatasetError(f"{what} must be uint8 [t h w 3], is {video.dtype} {list(video.shape)}")
