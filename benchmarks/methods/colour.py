"""Recoloring by tables: one chroma for all, or one for each lightness."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.methods.base import Context, Method, Restore
from configs import DatasetError
from shards.sample import Video

_MOST_SAMPLES = 200
_EVERY = 8
_SMOOTH = 4.0
"""Levels that a table's values are smoothed over."""


def make_mean_chroma(context: Context) -> Restore:
    """Return a method that gives every pixel the mean a and b of the train split's targets and keeps its L."""
    chroma = np.mean([mean_chroma(target) for target in _train_targets(context)], axis=0)

    def recolor(
        clip: Video, instruction: str, reference: NDArray[np.uint8] | None, mask: NDArray[np.uint8] | None
    ) -> Video:
        return with_chroma(clip, chroma)

    return recolor


def mean_chroma(video: Video) -> NDArray[np.float64]:
    """Return the mean (a, b) of CIE Lab over uint8 [t h w 3], from every eighth pixel each way."""
    thinned = np.ascontiguousarray(video[:, ::_EVERY, ::_EVERY].reshape(1, -1, 3)).astype(np.float32) / np.float32(255)
    return cv2.cvtColor(thinned, cv2.COLOR_RGB2Lab)[..., 1:].mean(axis=(0, 1), dtype=np.float64)


def with_chroma(gray: Video, chroma: NDArray[np.float64]) -> Video:
    """Return uint8 [t h w 3] with the lightness that `gray` encodes (255 for L = 100) and one chroma for all pixels."""
    levels = np.empty((1, 256, 3), np.float32)
    levels[..., 0] = np.arange(256) / 2.55
    levels[..., 1:] = chroma
    table = np.clip(cv2.cvtColor(levels, cv2.COLOR_Lab2RGB)[0] * 255 + 0.5, 0, 255).astype(np.uint8)
    return table[lightness_of(gray)]


def make_chroma_table(context: Context) -> Restore:
    """Return a method that gives each lightness the mean a and b that it has in the train split's targets, and keeps L."""
    table = chroma_by_lightness(_train_targets(context))

    def recolor(
        clip: Video, instruction: str, reference: NDArray[np.uint8] | None, mask: NDArray[np.uint8] | None
    ) -> Video:
        return _colours(table)[lightness_of(clip)]

    return recolor


def reinhard(
    clip: Video, instruction: str, reference: NDArray[np.uint8] | None, mask: NDArray[np.uint8] | None
) -> Video:
    """Give a grey clip uint8 [t h w 3] the chroma that the reference picture has at each lightness; without one, nothing.

    Reinhard et al., "Color Transfer between Images" (2001) match means and deviations of l-alpha-beta; a grey clip has no
    deviation of its own, so a and b of the reference are taken as a function of its L, after L is matched to the clip's.
    """
    if reference is None:
        return clip
    lab = to_lab(reference)
    levels = lightness_of(clip)
    grey = levels.astype(np.float32) / np.float32(2.55)
    matched = (lab[..., 0] - lab[..., 0].mean()) * (grey.std() / max(float(lab[..., 0].std()), 1e-3)) + grey.mean()
    table = _by_level(np.clip(matched, 0, 100), lab[..., 1:])
    return _colours(table)[levels]


def chroma_by_lightness(videos: Iterable[Video]) -> NDArray[np.float64]:
    """Return float64 [256 2]: the mean (a, b) of all pixels of each lightness (of 255), smoothed over levels."""
    found = [to_lab(np.ascontiguousarray(video[:, ::_EVERY, ::_EVERY].reshape(1, -1, 3))) for video in videos]
    lab = np.concatenate(found, axis=1)
    return _by_level(lab[..., 0], lab[..., 1:])


def to_lab(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return float32 CIE Lab [h w 3] of uint8 RGB, L in 0 to 100."""
    return cv2.cvtColor(image.astype(np.float32) / np.float32(255), cv2.COLOR_RGB2Lab).astype(np.float32, copy=False)


def lightness_of(video: Video) -> NDArray[np.uint8]:
    """Return uint8 [t h w], 255 for L = 100: the channel of a grey clip, as the task makes it; L of a tinted or faded one."""
    if (video == video[..., :1]).all():
        return np.ascontiguousarray(video[..., 0])
    return np.stack([np.round(to_lab(frame)[..., 0] * np.float32(2.55)).astype(np.uint8) for frame in video])


def coloured(grey: NDArray[np.uint8], chroma: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return uint8 [h w 3] with the lightness that `grey` [h w] encodes (255 for L = 100) and `chroma` [h w 2], a and b."""
    lab = np.dstack([grey.astype(np.float32) / np.float32(2.55), chroma.astype(np.float32)])
    return np.clip(cv2.cvtColor(lab, cv2.COLOR_Lab2RGB) * 255 + 0.5, 0, 255).astype(np.uint8)


def _by_level(lightness: NDArray[np.float32], chroma: NDArray[np.float32]) -> NDArray[np.float64]:
    levels = np.clip(np.round(lightness.ravel() * 2.55), 0, 255).astype(int)
    counts = np.bincount(levels, minlength=256).astype(np.float64)
    sums = [np.bincount(levels, weights=chroma[..., c].ravel(), minlength=256) for c in range(2)]
    # a level seen rarely borrows from its neighbours
    weight = cv2.GaussianBlur(counts[None], (0, 0), _SMOOTH, borderType=cv2.BORDER_REFLECT)[0]
    smooth = [cv2.GaussianBlur(total[None], (0, 0), _SMOOTH, borderType=cv2.BORDER_REFLECT)[0] for total in sums]
    mean = np.array([total.sum() for total in sums]) / max(counts.sum(), 1)
    known = weight > 1e-6
    table = np.where(known[:, None], np.stack(smooth, axis=1) / np.maximum(weight, 1e-6)[:, None], mean)
    return table.astype(np.float64)


def _colours(table: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return uint8 [256 3]: the RGB of each grey level with the chroma of the table [256 2]."""
    levels = np.arange(256, dtype=np.uint8)[None]
    return coloured(levels, table[None].astype(np.float32))[0]


def _train_targets(context: Context) -> Iterator[Video]:
    """Yield targets of the train split, spread over it."""
    keys = context.dataset.keys(context.task, "train")
    if not keys:
        raise DatasetError(f"{context.dataset.root} has no train samples of {context.task!r} to learn from")
    return (context.dataset[key].target for key in keys[:: max(len(keys) // _MOST_SAMPLES, 1)])


MEAN_CHROMA = Method(
    name="mean_chroma",
    tasks=("recolor",),
    summary="keeps L, gives all pixels the mean a and b of the train split",
    paper="-",
    version=1,
    make=make_mean_chroma,
    learns=True,
)
CHROMA_TABLE = Method(
    name="chroma_table",
    tasks=("recolor",),
    summary="keeps L, gives each lightness the mean a and b it has in the train split",
    paper="-",
    version=1,
    make=make_chroma_table,
    learns=True,
)
REINHARD = Method(
    name="reinhard",
    needs_reference=True,
    tasks=("recolor",),
    summary="keeps L, takes a and b from the reference picture by lightness; without one it returns its input",
    paper="after Reinhard et al., CG&A 2001",
    version=1,
    make=lambda context: reinhard,
)
