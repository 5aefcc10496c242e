"""Distances between two sets of clips: all answers of a method, and all targets, as a network sees them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.metrics.base import Column, Outcome
from benchmarks.metrics.local import pasted
from shards.sample import Video

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


@dataclass(frozen=True, kw_only=True)
class Distance(Column):
    """A column of the table that has one number for all clips of a method together."""

    features: Callable[[Video, str], Features]
    function: Callable[[Features, Features], float]
    shown: Callable[[Outcome], Video] = lambda outcome: outcome.prediction
    """What the network gets to see of an answer."""
    least: int
    """Features below which it is not told, for it would say more of their number than of the answers."""
    counted: str
    """What a feature is of: `frames` or `clips`."""

    @property
    def network(self) -> str:
        """What turns a clip into features."""
        return self.networks[0]


def _inception(clip: Video, place: str) -> Features:
    from benchmarks.networks.inception import inception_features

    return inception_features(clip, place)


def _i3d(clip: Video, place: str) -> Features:
    from benchmarks.networks.i3d import scripted_features

    return scripted_features(clip, place)


def _i3d_rgb(clip: Video, place: str) -> Features:
    from benchmarks.networks.i3d import mean_features

    return mean_features(clip, place)


_MADE = ("dehaze", "deblur", "inpaint", "recolor", "edit")
_POOLED = "of all answers together and all targets"

DISTANCES: dict[str, Distance] = {
    distance.name: distance
    for distance in (
        Distance(
            name="fid",
            label="FID",
            networks=("inception",),
            features=_inception,
            function=frechet_distance,
            higher_is_better=False,
            pooling="dataset",
            least=2048,
            counted="frames",
            convention=f"Heusel et al. 2017 between the frames {_POOLED}; Inception-v3 of the paper at 299 x 299, bilinear, 2048 "
            "features, 8-bit frames; not told for fewer than 2048 frames, whose covariance is singular",
            tasks=_MADE,
        ),
        Distance(
            name="kid",
            label="KID",
            unit="1e-3",
            networks=("inception",),
            features=_inception,
            function=lambda a, b: 1000 * kernel_distance(a, b),
            higher_is_better=False,
            pooling="dataset",
            least=100,
            counted="frames",
            convention=f"Binkowski et al. 2018 between the frames {_POOLED}, features as FID's, kernel (x.y / 2048 + 1)^3, "
            "unbiased over all pairs of frames, so it may fall below 0; not told for fewer than 100 frames",
            digits=3,
            tasks=_MADE,
        ),
        Distance(
            name="fvd",
            label="FVD",
            networks=("i3d",),
            features=_i3d,
            function=frechet_distance,
            higher_is_better=False,
            pooling="dataset",
            least=400,
            counted="clips",
            convention=f"Unterthiner et al. 2018 between the clips {_POOLED}; I3D of StyleGAN-V's TorchScript file at 224 x 224, "
            "its 400 logits; not told for fewer than 400 clips, whose covariance is singular, nor for clips below 10 frames",
            tasks=_MADE,
            least_frames=10,
        ),
        Distance(
            name="vfid",
            label="VFID",
            networks=("i3d_rgb",),
            features=_i3d_rgb,
            function=frechet_distance,
            higher_is_better=False,
            pooling="dataset",
            shown=lambda outcome: pasted(outcome.prediction, outcome.sample.target, outcome.mask),
            least=50,
            counted="clips",
            convention=f"as the inpainting papers: Frechet distance between the clips {_POOLED}, I3D's last block averaged over "
            "time and space, 1024 features, values 0 to 1, at the clip's own size, the target pasted outside the hole; it falls "
            "with the number of clips, so compare equal numbers only; not told for fewer than 50 clips, the papers' own number",
            digits=3,
            tasks=("inpaint",),
        ),
    )
}
"""By name."""


def get_distances(task: str) -> list[Distance]:
    """Return the distances that a task has."""
    return [distance for distance in DISTANCES.values() if distance.is_for(task)]
