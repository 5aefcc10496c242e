"""Recoloring from one coloured frame: its chroma is carried through the clip and spread where lightness is alike."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.methods.base import Method
from benchmarks.methods.colour import coloured, lightness_of, reinhard, to_lab
from benchmarks.methods.flow import carried, flow_between, inside
from shards.sample import Video

SAME = 8.0
"""Grey levels of mean difference up to which the reference is taken for a frame of the clip."""
AGREED = 10.0
"""Grey levels by which a pixel may differ from where its chroma comes from, along the flow."""
_AROUND = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1) if (down, right) != (0, 0)]
_LEAST_SPREAD = 2e-6
_LEAST_WEIGHT = 0.01


def levin(clip: Video, instruction: str, reference: NDArray[np.uint8] | None, mask: NDArray[np.uint8] | None) -> Video:
    """Give a grey clip uint8 [t h w 3] the colours of a reference picture of the same scene; without one, nothing.

    Levin, Lischinski & Weiss, "Colorization using Optimization" (2004): the chroma of a pixel is the mean of its
    neighbours' weighted by how alike their lightness is; where chroma is given, it holds. Given is the frame that the
    reference shows; from it optical flow brings chroma to the next frames, where lightness agrees, and their equations are
    solved for the rest, frame by frame. A reference of another scene is transferred by lightness instead (`reinhard`).
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


def spread(
    lightness: NDArray[np.float64], chroma: NDArray[np.float32], given: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Return chroma [h w 2]: as it is where `given` [h w], and elsewhere U(r) = sum_s w_rs U(s) over the eight neighbours.

    `lightness`: float [h w] in [0, 1]; where nothing is given, nothing is spread: 0.

    Levin's equations with the weights of their own code: w_rs ~ exp(-(Y(r) - Y(s))^2 / v_r), v_r 0.6 of the variance around r,
    but so large that the likest neighbour weighs 0.01 at least, before the weights are divided by their sum.
    """
    from scipy.sparse import csc_array
    from scipy.sparse.linalg import splu

    known, pixels = given.ravel(), np.flatnonzero(~given)
    if not known.any():
        return np.zeros_like(chroma)
    found = chroma.reshape(-1, 2).astype(np.float64)
    if len(pixels):
        neighbours, weights = _neighbours(lightness, pixels)
        unknown = ~known[neighbours]
        right = np.einsum("rs,rsc->rc", np.where(unknown, 0, weights), found[neighbours])
        own, numbers = np.arange(len(pixels)), np.cumsum(~known) - 1
        rows = np.concatenate([own, np.broadcast_to(own[:, None], weights.shape)[unknown]])
        columns = np.concatenate([own, numbers[neighbours[unknown]]])
        matrix = csc_array((np.concatenate([np.ones(len(own)), -weights[unknown]]), (rows, columns)))
        # rows that sum to 0 or more need no pivoting, and the pattern is symmetric: half the time of the default
        solver = splu(matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
        found[pixels] = solver.solve(right)
    return found.reshape(chroma.shape).astype(np.float32)


def _next(before: NDArray[np.uint8], frame: NDArray[np.uint8], chroma: NDArray[np.float32]) -> NDArray[np.float32]:
    flow = flow_between(np.dstack([frame] * 3), np.dstack([before] * 3))
    gap = np.abs(carried(before, flow).astype(np.float32) - frame)
    return spread(frame / 255, carried(chroma, flow), (gap < AGREED) & inside(flow))


def _neighbours(
    lightness: NDArray[np.float64], pixels: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return the numbers and the weights [n 8] of the pixels around those of the numbers [n]; beyond the frame both are 0."""
    height, width = lightness.shape
    down, right = np.array(_AROUND).T
    y, x = (place[:, None] for place in np.divmod(pixels, width))
    y, x = y + down, x + right
    there = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    numbers = np.where(there, y * width + x, 0)
    around, here = lightness.ravel()[numbers], lightness.ravel()[pixels][:, None]
    apart = np.where(there, around - here, 0)
    count = there.sum(axis=1, keepdims=True) + 1
    # of the window around r, r with it, whose own difference is 0
    variance = (apart**2).sum(axis=1, keepdims=True) / count - (apart.sum(axis=1, keepdims=True) / count) ** 2
    square = np.where(there, apart**2, np.inf)
    least = -square.min(axis=1, keepdims=True) / np.log(_LEAST_WEIGHT)
    weights = np.exp(-square / np.maximum(np.maximum(0.6 * variance, least), _LEAST_SPREAD))
    return numbers, weights / weights.sum(axis=1, keepdims=True)


LEVIN = Method(
    name="levin",
    needs_reference=True,
    tasks=("recolor",),
    summary="chroma of the frame that the reference shows, carried by optical flow where lightness agrees, and by the paper's "
    "equations to the rest; without one it returns its input",
    paper="Levin, Lischinski & Weiss, SIGGRAPH 2004",
    version=2,
    make=lambda context: levin,
)
