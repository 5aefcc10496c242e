"""What counts of wins say: a rate with its interval, and strengths that make the counts most likely."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from benchmarks.ties import LEAST_VIDEOS, LEVEL

_STEPS = 100
"""Of Newton's method at most; it takes about ten."""


def rate_interval(won: NDArray[np.float64], votes: NDArray[np.float64]) -> tuple[float, float] | tuple[None, None]:
    """Return the 95 % interval of a win rate from wins and votes by video; None for fewer than 6 videos with votes.

    Wilson's (1927), with Student's quantile, for the normal one covers 92 % for some rates of 10 or 15 videos. Votes on one
    video are alike, so the videos are its number of trials: (sum w)^2 / sum w^2 of them where they have w votes (Kish 1965).
    """
    from scipy.stats import t

    videos = int((votes > 0).sum())
    if videos < LEAST_VIDEOS:
        return None, None
    rate, count = won.sum() / votes.sum(), votes.sum() ** 2 / (votes**2).sum()
    z = t.ppf(0.5 + LEVEL / 2, videos - 1)
    middle = (rate + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * math.sqrt(rate * (1 - rate) / count + z**2 / (4 * count**2))
    return float(max(middle - half, 0)), float(min(middle + half, 1))


def bradley_terry(wins: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each method's strength from counts [n n] (row beat column), as the chance to beat the average one: [n].

    Bradley & Terry (1952): the most likely strengths, with half a win each way between all pairs, so that who has won
    everything stays finite. By Newton's method, for the usual iteration (Hunter 2004) takes thousands of steps where few
    pairs have most of the votes; steps are halved until they make the votes likelier.
    """
    count = len(wins)
    prior = wins + 0.5 * (1 - np.eye(count))
    games = prior + prior.T
    theta = np.zeros(count)
    for _ in range(_STEPS):
        chance = np.exp(_log_chances(theta))
        information = -games * chance * chance.T
        np.fill_diagonal(information, 0)
        np.fill_diagonal(information, -information.sum(axis=1))
        # a constant added to all strengths changes nothing; 1 / n everywhere keeps their mean where it is, at 0
        step = np.linalg.solve(information + 1 / count, prior.sum(axis=1) - (games * chance).sum(axis=1))
        while (prior * (_log_chances(theta + step) - _log_chances(theta))).sum() < -1e-9:
            step /= 2
        theta += step
        if np.abs(step).max() < 1e-9:
            break
    found: NDArray[np.float64] = 1 / (1 + np.exp(-theta))
    return found


def _log_chances(theta: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the logarithm of the chance that the row beats the column: [n n]."""
    return -np.logaddexp(0, theta[None] - theta[:, None])
