"""Distances between two sets of clips, as a network sees them: all answers of a method, and all targets."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.float32]
"""float32 [n d]: of n frames, or of n clips."""
_ROWS = 1024


def frechet_distance(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """Return the squared 2-Wasserstein distance between the Gaussians of two sets [n d] (Heusel et al. 2017, eq. 6):
    |mean - mean|^2 + trace(A + B - 2 (A B)^1/2), with sample covariances A and B.

    With thin sets, of fewer rows than columns, the root is had from a matrix of n x n, exactly.

    Raises:
        ValueError: a set of fewer than two.
    """
    x, y = (np.asarray(each, np.float64) for each in (a, b))
    if min(len(x), len(y)) < 2:
        raise ValueError("a covariance needs two samples at least")
    means = [each.mean(axis=0) for each in (x, y)]
    # A = X'X and B = Y'Y: the roots of A B's eigenvalues are the singular values of X Y'
    x, y = ((each - mean) / math.sqrt(len(each) - 1) for each, mean in zip((x, y), means, strict=True))
    shared = np.linalg.svd(_small(x) @ _small(y).T, compute_uv=False).sum()
    return float(np.square(means[0] - means[1]).sum() + np.square(x).sum() + np.square(y).sum() - 2 * shared)


def kernel_distance(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """Return the unbiased estimate of the squared maximum mean discrepancy of two sets [n d] under the kernel
    (x.y / d + 1)^3 (Binkowski et al. 2018), from all pairs; it may be negative.

    Raises:
        ValueError: a set of fewer than two.
    """
    x, y = (np.asarray(each, np.float64) for each in (a, b))
    if min(len(x), len(y)) < 2:
        raise ValueError("an unbiased estimate needs two samples at least")
    own = [(_kernel_sum(each, each) - _kernel_of_itself(each)) / (len(each) * (len(each) - 1)) for each in (x, y)]
    return float(sum(own) - 2 * _kernel_sum(x, y) / (len(x) * len(y)))


def _small(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a matrix of at most d rows with the same x'x."""
    return np.asarray(np.linalg.qr(x, mode="r")) if len(x) > x.shape[1] else x


def _kernel_sum(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    blocks = (x[start : start + _ROWS] @ y.T / x.shape[1] + 1 for start in range(0, len(x), _ROWS))
    return float(sum((block**3).sum() for block in blocks))


def _kernel_of_itself(x: NDArray[np.float64]) -> float:
    return float(((np.square(x).sum(axis=1) / x.shape[1] + 1) ** 3).sum())
