"""Which methods can be told apart: sign-flip tests of all pairs, ranks that admit ties, and the least difference they find."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
LEAST_VIDEOS = 6
"""Below this no interval from drawing videos again covers the truth 19 times out of 20, and no sign flip reaches 5 %."""
_EXACT = 13
"""Up to so many videos all sign flips are gone through."""
_POWER = 0.8
_EQUAL = 1e-9
"""Of a score: what another order of sums may make of equal numbers."""
_SAMPLES = 1000
"""Simulated to find how often a difference is found: the standard error of that share is 1.3 %."""

Array = NDArray[np.float64]


def tie_groups(merits: dict[str, Array], *, permutations: int, seed: int) -> dict[str, tuple[int, int]]:
    """Return for each method the first and last place it may have: it is behind those that are better beyond chance.

    `merits`: per method one value per video, more is better, videos in one order. Every pair is compared by a sign-flip test
    of the mean difference; Holm's correction over all pairs holds the chance of any false difference at 5 %.
    """
    pairs = list(itertools.combinations(merits, 2))
    differences = np.array([merits[a] - merits[b] for a, b in pairs])
    chances = sign_flips(differences, permutations=permutations, seed=seed) if pairs else []
    ahead, behind = dict.fromkeys(merits, 0), dict.fromkeys(merits, 0)
    for (a, b), chance in zip(pairs, holm(chances), strict=True):
        if chance <= 1 - LEVEL:
            better, worse = (a, b) if (merits[a] - merits[b]).mean() > 0 else (b, a)
            behind[better] += 1
            ahead[worse] += 1
    return {name: (1 + ahead[name], len(merits) - behind[name]) for name in merits}


def sign_flip(differences: Array, *, permutations: int, seed: int) -> float:
    """Return the two-sided chance of a mean at least as far from 0 if signs were arbitrary, from one value per video.

    Exact up to 13 videos; else from so many random flips, the observed one among them (Phipson & Smyth 2010).
    """
    return sign_flips(differences[None], permutations=permutations, seed=seed)[0]


def sign_flips(differences: Array, *, permutations: int, seed: int) -> list[float]:
    """Return the chance of `sign_flip` for each row of [pairs videos]; all see the same flips, which are drawn once."""
    count = differences.shape[1]
    observed = np.abs(differences.sum(axis=1))
    reached = np.abs(_flips(count, permutations, seed) @ differences.T) >= observed * (1 - 1e-12)
    chances = reached.mean(axis=0) if count <= _EXACT else (1 + reached.sum(axis=0)) / (1 + permutations)
    return [float(chance) for chance in chances]


def holm(chances: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number (Holm 1979), in the given order."""
    corrected = [0.0] * len(chances)
    highest = 0.0
    for step, place in enumerate(sorted(range(len(chances)), key=lambda place: chances[place])):
        highest = max(highest, min(1.0, (len(chances) - step) * chances[place]))
        corrected[place] = highest
    return corrected


def least_difference(merits: Sequence[Array], *, permutations: int) -> float | None:
    """Return the mean difference that `tie_groups` finds at least 4 times out of 5, the median over pairs of methods.

    `least_shift` at Holm's first step, the 5 % level shared by all pairs, times the standard deviation of the differences.
    Methods that differ by the same on every video, or by nothing, say nothing of how differences spread: without others, None.
    """
    pairs = list(itertools.combinations(merits, 2))
    count = len(merits[0]) if pairs else 0
    if count < LEAST_VIDEOS:
        return None
    shift = least_shift(count, (1 - LEVEL) / len(pairs), permutations)
    spreads = [
        float((a - b).std(ddof=1)) for a, b in pairs if np.ptp(a - b) > _EQUAL * max(np.abs(a).max(), np.abs(b).max())
    ]
    return shift * float(np.median(spreads)) if shift is not None and spreads else None


@lru_cache(maxsize=256)
def least_shift(count: int, level: float, permutations: int) -> float | None:
    """Return the mean, in standard deviations, at which `sign_flip` finds normal differences of so many videos 4 times out
    of 5 at `level`; None where it finds none however large.

    Simulated: Student's formula promises too much for few videos and small levels, where the test has few values to take.
    A flip reaches the sum of differences x + m, taken as positive, where those it turns or those it keeps add up to 0 or
    less: where m is at most the larger of their two means of -x. So a sample is found from that m on which only as many
    flips reach as the level allows.
    """
    flips = _flips(count, permutations, seed=0)
    allowed = math.floor(level * len(flips)) if count <= _EXACT else math.floor(level * (1 + permutations)) - 1
    if allowed < 0:
        return None
    kept = (count + flips.sum(axis=1)) / 2
    trivial = (kept == 0) | (kept == count)
    rng, found = np.random.default_rng(0), []
    for _ in range(_SAMPLES // 100):
        x = rng.standard_normal((100, count))
        whole, turned_over = x.sum(axis=1, keepdims=True), x @ flips.T
        means = [
            (whole + turned_over) / 2 / np.maximum(kept, 1),
            (whole - turned_over) / 2 / np.maximum(count - kept, 1),
        ]
        # all signs kept or all turned: the sum itself, which every shift reaches
        reached = np.where(trivial, np.inf, -np.minimum(*means))
        found.append(np.partition(reached, -1 - allowed, axis=1)[:, -1 - allowed])
    shift = float(np.quantile(np.concatenate(found), _POWER, method="inverted_cdf"))
    return shift if math.isfinite(shift) else None


def _flips(count: int, permutations: int, seed: int) -> Array:
    """Return signs [flips count]: all there are for up to 13 videos, else so many random ones."""
    if count <= _EXACT:
        signs: Array = np.where(np.arange(2**count)[:, None] >> np.arange(count) & 1, -1.0, 1.0)
        return signs
    return np.random.default_rng(seed).choice((1.0, -1.0), size=(permutations, count))
