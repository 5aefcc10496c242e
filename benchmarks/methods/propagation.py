"""Recoloring from one coloured frame: its chroma is carried through the clip and spread where lightness is alike."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.methods.base import Method
from benchmarks.methods.colour import coloured, lightness_of, reinhard, to_lab
from benchmarks.methods.flow import carried, flow_between, inside
from shards.sample import Video

SIDE = 96
"""Pixels along the longer side at which the equations are solved; chroma is smooth, and lightness keeps its detail."""
SAME = 8.0
"""Grey levels of mean difference up to which the reference is taken for a frame of the clip."""
AGREED = 10.0
"""Grey levels by which a pixel may differ from where its chroma comes from, along the flow."""
SEED_WEIGHT = 10.0


def levin(clip: Video, instruction: str, reference: NDArray[np.uint8] | None, mask: NDArray[np.uint8] | None) -> Video:
    """Give a grey clip uint8 [t h w 3] the colours of a reference picture of the same scene; without one, nothing.

    Levin, Lischinski & Weiss, "Colorization using Optimization" (2004): the chroma of a pixel is the mean of its
    neighbours' weighted by how alike their lightness is; where chroma is given, it holds. Given is the frame that the
    reference shows; from it optical flow brings seeds to the next frames, where lightness agrees. A reference of another
    scene is transferred by lightness instead (`reinhard`).
    """
    if reference is None:
        return clip
    shown = cv2.resize(reference, clip.shape[2:0:-1], interpolation=cv2.INTER_AREA)
    lab = to_lab(shown)
    grey = lightness_of(clip)
    gaps = [np.abs(frame - lab[..., 0] * 2.55).mean() for frame in grey]
    first = int(np.argmin(gaps))
    if gaps[first] > SAME:
        return reinhard(clip, instruction, reference, mask)
    chroma = {first: lab[..., 1:]}
    for order in (range(first + 1, len(clip)), range(first - 1, -1, -1)):
        for i in order:
            before = i - 1 if i > first else i + 1
            chroma[i] = _next(grey[before], grey[i], chroma[before])
    return np.stack([coloured(frame, chroma[i]) for i, frame in enumerate(grey)])


def spread(lightness: NDArray[np.float32], seeds: NDArray[np.float32], given: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return chroma [h w 2] that is `seeds` where `given` [h w], and elsewhere varies where `lightness` [h w] does.

    Levin's equations: sum over pixels of (U(r) - sum_s w_rs U(s))^2 with w_rs ~ exp(-(Y(r) - Y(s))^2 / s_r) over the
    eight neighbours, here with the seeds held softly, since some of them are wrong.
    """
    from scipy.sparse import diags
    from scipy.sparse.linalg import spsolve

    balance = _balance(lightness)
    weight = diags(np.where(given.ravel(), SEED_WEIGHT, 1e-8))
    matrix = (balance.T @ balance + weight).tocsc()
    right = weight @ seeds.reshape(-1, 2).astype(np.float64)
    return np.asarray(spsolve(matrix, right), np.float32).reshape(*lightness.shape, 2)


def _next(before: NDArray[np.uint8], frame: NDArray[np.uint8], chroma: NDArray[np.float32]) -> NDArray[np.float32]:
    flow = flow_between(np.dstack([frame] * 3), np.dstack([before] * 3))
    gap = np.abs(carried(before, flow).astype(np.float32) - frame)
    height, width = frame.shape[:2]
    scale = min(1.0, SIDE / max(height, width))
    size = (max(round(width * scale), 2), max(round(height * scale), 2))
    moved = carried(chroma, flow)
    trusted = ((gap < AGREED) & inside(flow)).astype(np.float32)
    small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA).astype(np.float32) / np.float32(255)
    share = cv2.resize(trusted, size, interpolation=cv2.INTER_AREA)
    seeds = cv2.resize(moved * trusted[..., None], size, interpolation=cv2.INTER_AREA)
    seeds = seeds / np.maximum(share, np.float32(1e-6))[..., None]
    found = cv2.resize(
        spread(small, seeds.astype(np.float32), share > 0.5), (width, height), interpolation=cv2.INTER_LINEAR
    )
    # what the flow brings is finer than what the equations give
    mixed: NDArray[np.float32] = trusted[..., None] * moved + (1 - trusted[..., None]) * found
    return mixed.astype(np.float32, copy=False)


def _balance(lightness: NDArray[np.float32]) -> Any:
    """Return the sparse matrix of U(r) - sum_s w_rs U(s)."""
    from scipy.sparse import coo_matrix, identity

    height, width = lightness.shape
    numbers = np.arange(height * width).reshape(height, width)
    deviation = cv2.blur(lightness * lightness, (3, 3)) - cv2.blur(lightness, (3, 3)) ** 2
    # their own code's choice: 0.6 of the local variance
    spread_of = np.maximum(0.6 * deviation, 2e-6)
    rows, columns, weights = [], [], []
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            if (down, right) == (0, 0):
                continue
            here = (slice(max(-down, 0), height - max(down, 0)), slice(max(-right, 0), width - max(right, 0)))
            there = (slice(max(down, 0), height + min(down, 0)), slice(max(right, 0), width + min(right, 0)))
            rows.append(numbers[here].ravel())
            columns.append(numbers[there].ravel())
            weights.append(np.exp(-((lightness[here] - lightness[there]) ** 2) / spread_of[here]).ravel() + 1e-6)
    matrix = coo_matrix((np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns)))).tocsr()
    total = np.asarray(matrix.sum(axis=1)).ravel()
    return identity(height * width) - matrix.multiply(1 / total[:, None]).tocsr()


LEVIN = Method(
    name="levin",
    needs_reference=True,
    tasks=("recolor",),
    summary="chroma of the frame that the reference shows, carried by optical flow and spread by lightness; without one it "
    "returns its input",
    paper="Levin, Lischinski & Weiss, SIGGRAPH 2004",
    version=1,
    make=lambda context: levin,
)
