"""The colours of a picture for a whole clip."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from shards.sample import Video

_UNIT = (np.arange(256) / 255).astype(np.float32)
_NO_COLOUR, _MOST_STRETCH, _MOST_SHIFT = 1.0, 1.6, 32.0
"""In units of Lab: a spread that is noise; how much a spread is raised or lowered at most; how far the mean moves at most."""


def colour_statistics_transfer(video: Video, reference: NDArray[np.uint8], *, strength: float) -> Video:
    """Return the clip in the colours of a picture: uint8 [t h w 3].

    The linear map of CIE L, a and b that takes the clip's mean and covariance to those of `reference`, uint8 [h w 3] RGB,
    and moves colours the least (Monge-Kantorovitch: Pitie & Kokaram, "The Linear Monge-Kantorovitch Linear Colour Mapping
    for Example-Based Colour Transfer", 2007; per channel, without covariances: Reinhard et al., "Color Transfer between
    Images", 2001). It is bounded: along no axis are colours spread or drawn together by more than `_MOST_STRETCH`, which a
    plain transfer does to blotches where the clip has little colour, and the mean moves by at most `_MOST_SHIFT`.
    `strength` from 0, which leaves the video as it is, to 1.
    """
    if strength == 0:
        return video.copy()
    mean, spread = _lab_statistics(video)
    goal, goal_spread = _lab_statistics(reference[None])
    gain = np.eye(3) + strength * (_least_map(spread, goal_spread) - np.eye(3))
    way = goal - mean
    shift = strength * way * min(1, _MOST_SHIFT / max(float(np.linalg.norm(way)), 1e-9))
    affine = np.concatenate([gain, (mean + shift - gain @ mean)[:, None]], 1).astype(np.float32)
    result, lab, rgb = np.empty_like(video), *np.empty((2, *video.shape[1:]), np.float32)
    for frame, out in zip(video, result, strict=True):
        cv2.LUT(frame, _UNIT, dst=rgb)
        cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB, dst=lab)
        cv2.transform(lab, affine, dst=lab)
        cv2.cvtColor(lab, cv2.COLOR_LAB2RGB, dst=rgb)
        # OpenCV gives RGB in [0, 1] back, whatever Lab it came from
        cv2.convertScaleAbs(rgb, dst=out, alpha=255)
    return result


def _least_map(of: NDArray[np.float64], to: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the symmetric 3x3 matrix T with T of T = to, for covariances [3 3], but stretches within `_MOST_STRETCH`."""
    # what no camera tells from noise counts as a spread of one unit on both sides
    of, to = of + np.eye(3) * _NO_COLOUR**2, to + np.eye(3) * _NO_COLOUR**2
    root = _power(of, 0.5)
    inverse = _power(of, -0.5)
    stretches, axes = np.linalg.eigh(inverse @ _power(root @ to @ root, 0.5) @ inverse)
    return (axes * np.clip(stretches, 1 / _MOST_STRETCH, _MOST_STRETCH)) @ axes.T


def _power(matrix: NDArray[np.float64], exponent: float) -> NDArray[np.float64]:
    """Return a power of a symmetric positive matrix."""
    values, axes = np.linalg.eigh(matrix)
    return np.asarray((axes * values**exponent) @ axes.T)


def _lab_statistics(video: Video) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean [3] and covariance [3 3] of L, a and b over all frames: of every n-th row and column of pictures
    that have n times 64 rows."""
    step = max(video.shape[1] // 64, 1)
    thinned = cv2.LUT(np.concatenate([frame[::step, ::step] for frame in video]), _UNIT)
    lab = cv2.cvtColor(thinned, cv2.COLOR_RGB2LAB).reshape(-1, 3)
    covariance, mean = cv2.calcCovarMatrix(lab, None, cv2.COVAR_NORMAL | cv2.COVAR_ROWS | cv2.COVAR_SCALE)
    return mean[0], covariance
