"""Dehazing by haze-lines: pixels of one colour lie, at all distances, on one line through the airlight."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.methods.base import Method
from benchmarks.methods.dehazing import GUIDE_EPSILON, LEAST_TRANSMISSION, estimate_airlight, guided_filter
from benchmarks.methods.dehazing import dark_channel as dark_channel_of
from shards.sample import Video

LINES = 1000
"""Directions that the sphere around the airlight is divided into."""
FARTHEST = 99.0
"""Percentile of a line's distances that counts as free of haze: the farthest one of a long clip is noise."""
FEWEST = 50
"""Pixels that a line needs before its own end is believed."""
RADIUS = 12 / 480


def dehaze_by_lines(
    clip: Video, instruction: str, reference: NDArray[np.uint8] | None, mask: NDArray[np.uint8] | None
) -> Video:
    """Dehaze uint8 [t h w 3] by haze-lines, with one airlight and one set of lines for the clip, so that it is steady.

    Berman, Treibitz & Avidan, "Non-Local Image Dehazing", CVPR 2016: I - A in spherical coordinates; the pixels of a
    direction share a colour, and the farthest of them is taken to be clear: t = r / r_max, at least 1 - min_c I_c / A_c.
    Ours takes the airlight of the dark channel, a percentile in place of the maximum, and the guided filter in place of
    their weighted least squares.
    """
    hazy = clip.astype(np.float32) / np.float32(255)
    side = max(3, round(15 / 480 * min(clip.shape[1:3])) | 1)
    airlight = estimate_airlight(hazy, np.stack([dark_channel_of(frame, side) for frame in hazy]))
    away = hazy - airlight
    distance = np.linalg.norm(away, axis=-1)
    lines = nearest_lines(away.reshape(-1, 3)).reshape(distance.shape)
    t = distance / np.maximum(line_ends(lines, distance)[lines], 1e-3)
    bound = 1 - (hazy / np.maximum(airlight, np.float32(1e-3))).min(axis=-1)
    t = np.clip(np.maximum(t, bound), LEAST_TRANSMISSION, 1).astype(np.float32)
    return _cleared(clip, hazy, airlight, t)


def nearest_lines(away: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return for each vector [n 3] the number of the direction next to it, of `LINES` spread evenly over the sphere."""
    from scipy.spatial import cKDTree

    unit = away / np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-6)
    found: NDArray[np.int64] = cKDTree(directions(LINES)).query(unit)[1]
    return found


def directions(count: int) -> NDArray[np.float64]:
    """Return [count 3] unit vectors spread evenly over the sphere, on a Fibonacci spiral."""
    height = 1 - 2 * (np.arange(count) + 0.5) / count
    angle = np.pi * (3 - np.sqrt(5)) * np.arange(count)
    radius = np.sqrt(1 - height**2)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), height], axis=1)


def line_ends(lines: NDArray[np.int64], distance: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return float32 [LINES]: how far from the airlight each line's clear pixels are; a line of few pixels ends where the
    farthest of all do."""
    order = np.argsort(lines, axis=None, kind="stable")
    sorted_distance = distance.ravel()[order]
    counts = np.bincount(lines.ravel(), minlength=LINES)
    starts = np.concatenate([[0], np.cumsum(counts)])
    far = np.float32(np.percentile(distance, FARTHEST))
    ends = np.full(LINES, far, np.float32)
    for line in np.flatnonzero(counts >= FEWEST):
        ends[line] = np.percentile(sorted_distance[starts[line] : starts[line + 1]], FARTHEST)
    return ends


def _cleared(clip: Video, hazy: NDArray[np.float32], airlight: NDArray[np.float32], t: NDArray[np.float32]) -> Video:
    import cv2

    radius = max(2, round(RADIUS * min(clip.shape[1:3])))
    clear = np.empty_like(clip)
    for i, frame in enumerate(hazy):
        smooth = guided_filter(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), t[i], radius, GUIDE_EPSILON)
        bounded = np.clip(smooth, LEAST_TRANSMISSION, 1)[..., None]
        clear[i] = np.clip(((frame - airlight) / bounded + airlight) * 255 + 0.5, 0, 255)
    return clear


HAZE_LINES = Method(
    name="haze_lines",
    tasks=("dehaze",),
    summary="haze-lines with one airlight and one set of lines per clip, guided filter",
    paper="Berman, Treibitz & Avidan, CVPR 2016",
    version=1,
    make=lambda context: dehaze_by_lines,
)
