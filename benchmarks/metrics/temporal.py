"""How steady a clip is: warping error, flicker, and the PSNR of what changes from frame to frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.metrics.fidelity import decibels
from shards.sample import Video

Field = NDArray[np.float32]
"""float32 [h w 2]: how far each pixel moves to the right and down, in pixels."""
WARP_UNIT = 1e-2
_BLOCK = 16
"""Pixels a side of the blocks over which an error is averaged: noise and texture would hide a jump of colour."""


@dataclass(frozen=True)
class Motion:
    """What moves between the frames of a clip, step by step: where each pixel is in the next frame, and which can be told.

    `flows`: float32 [h w 2] for each of the t - 1 steps. `visible`: uint8 [h w], 1 where the pixel is seen in both frames.
    """

    flows: tuple[Field, ...]
    visible: tuple[NDArray[np.uint8], ...]


def estimate_motion(video: Video) -> Motion:
    """Return the motion in uint8 [t h w 3] by DIS flow (Kroeger et al. 2016; OpenCV's medium preset, on grey frames)."""
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in video]
    # a finder of its own for each direction of each step: it starts from the flow it found last
    found = [(_dis(a, b), _dis(b, a)) for a, b in pairwise(grey)]
    return Motion(tuple(forth for forth, _ in found), tuple(visible(forth, back) for forth, back in found))


def visible(forth: Field, back: Field) -> NDArray[np.uint8]:
    """Return uint8 [h w]: 1 where a pixel is seen in both frames: its flow stays in the picture, and neither of the two rules of
    Ruder, Dosovitskiy & Brox (2016) speaks against it.

    It is hidden where |w + w'|^2 > 0.01 (|w|^2 + |w'|^2) + 0.5, and told by no one on motion boundaries, where
    |grad u|^2 + |grad v|^2 > 0.01 |w|^2 + 0.002. w: flow to the next frame, w': the flow back, fetched from where w leads.
    """
    there = warp(back, forth)
    gap, sizes = _length2(forth + there), _length2(forth) + _length2(there)
    slope = _slope2(forth[..., 0]) + _slope2(forth[..., 1])
    hidden = (gap > 0.01 * sizes + 0.5) | (slope > 0.01 * _length2(forth) + 0.002)
    height, width = forth.shape[:2]
    x = np.arange(width, dtype=np.float32) + forth[..., 0]
    y = np.arange(height, dtype=np.float32)[:, None] + forth[..., 1]
    gone = (x < 0) | (x > width - 1) | (y < 0) | (y > height - 1)
    return np.where(hidden | gone, np.uint8(0), np.uint8(1))


def warp(image: NDArray[np.float32], flow: Field) -> NDArray[np.float32]:
    """Return float32 [h w ...]: for each pixel, the value of `image` where `flow` [h w 2] leads, bilinear."""
    height, width = flow.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    moved = cv2.remap(image, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return moved.astype(np.float32, copy=False)


def warping_error(video: Video, motion: Motion) -> NDArray[np.float64]:
    """Return the warping error of each step of uint8 [t h w 3]: float64 [t - 1], in units of 1e-2.

    Lai et al. 2018: the mean over visible pixels and channels of |warp(I_{t+1}) - I_t|^2, values in [0, 1]. `motion` is that
    of the target, so that all methods are judged by one flow. A step in which nothing is visible counts 0.
    """
    light = video.astype(np.float32) / np.float32(255)
    steps = zip(light[:-1], light[1:], motion.flows, motion.visible, strict=True)
    return np.array([_step_error(*step) for step in steps]) / WARP_UNIT


def _step_error(now: NDArray[np.float32], then: NDArray[np.float32], flow: Field, seen: NDArray[np.uint8]) -> float:
    apart = (warp(then, flow) - now) * seen[..., None]
    return float((apart * apart).sum(dtype=np.float64)) / max(3 * int(np.count_nonzero(seen)), 1)


def flicker(prediction: Video, target: Video) -> NDArray[np.float64]:
    """Return how much the brightness (mean of R, G and B) jumps that should not, step by step: float64 [t - 1], in grey levels.

    |e_{t+1} - e_t|, where e_t is the mean over pixels and channels of prediction minus target.
    """
    error = [
        float(a.mean(dtype=np.float64) - b.mean(dtype=np.float64)) for a, b in zip(prediction, target, strict=True)
    ]
    return np.abs(np.diff(error))


def temporal_psnr(prediction: Video, target: Video) -> NDArray[np.float64]:
    """Return the PSNR in dB between the two clips' differences of neighbouring frames: float64 [t - 1], range 255."""
    change = prediction.astype(np.int16) - target.astype(np.int16)
    return np.array(
        [decibels(float((np.diff(change[t : t + 2], axis=0) ** 2.0).mean())) for t in range(len(change) - 1)]
    )


def coarse_error(prediction: Video, target: Video) -> NDArray[np.float32]:
    """Return prediction minus target of uint8 [t h w 3] as means over blocks of 16 x 16 pixels: float32 [t h' w' 3].

    What is left over at the right and below is a block of its own, so that none is empty.
    """
    apart = [a.astype(np.int16) - b for a, b in zip(prediction, target, strict=True)]
    rows, columns = (np.arange(0, side, _BLOCK) for side in prediction.shape[1:3])
    sums = [np.add.reduceat(np.add.reduceat(e, rows, axis=0, dtype=np.int32), columns, axis=1) for e in apart]
    sizes = [np.diff([*starts, side]) for starts, side in zip((rows, columns), prediction.shape[1:3], strict=True)]
    return (np.stack(sums) / np.outer(*sizes)[..., None]).astype(np.float32)


def error_jumps(error: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return how far an error [t ...] jumps at each step: mean |e_{t+1} - e_t|, float64 [t - 1], in grey levels."""
    return np.array([np.abs(b - a).mean(dtype=np.float64) for a, b in pairwise(error)])


def seam_excess(across: Sequence[float], within: Sequence[float]) -> float | None:
    """Return the mean jump across seams over the mean jump elsewhere; 1 where nothing jumps, infinite where only seams do,
    None without either."""
    if not len(across) or not len(within):
        return None
    there, elsewhere = float(np.mean(across)), float(np.mean(within))
    if elsewhere == 0:
        return 1.0 if there == 0 else float("inf")
    return there / elsewhere


def _dis(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> Field:
    return cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(a, b, None).astype(np.float32, copy=False)


def _slope2(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return _length2(np.stack(list(np.gradient(values)), axis=-1).astype(np.float32))


def _length2(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.einsum("hwc,hwc->hw", vectors, vectors)
