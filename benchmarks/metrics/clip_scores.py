"""What CLIP sees in an answer: the same thing in every frame, the thing that was asked for, what the words say."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.networks.clip import Features


def consistency_of_all(features: Features) -> float:
    """Return the mean cosine over all pairs of frames, times 100 (TGVE's frame consistency).

    `features`: float64 [n d], each of length 1, as everywhere here.

    Raises:
        ValueError: a single frame.
    """
    count = len(features)
    if count < 2:
        raise ValueError("frame consistency compares frames, and there is one only")
    cosines = features @ features.T
    return float(100 * (cosines.sum() - np.trace(cosines)) / (count * (count - 1)))


def consistency_of_neighbours(features: Features) -> NDArray[np.float64]:
    """Return the cosine of each frame and the next one, times 100 (V2VBench's): float64 [n - 1]."""
    return np.asarray(100 * (features[:-1] * features[1:]).sum(axis=1))


def likeness(a: Features, b: Features) -> NDArray[np.float64]:
    """Return the cosine of each frame of one clip and that of another, times 100: float64 [n]."""
    return np.asarray(100 * (a * b).sum(axis=1))


def text_likeness(frames: Features, words: Features) -> NDArray[np.float64]:
    """Return the cosine of each frame and a text [1 d], times 100: float64 [n] (TGVE's textual alignment)."""
    return np.asarray(100 * frames @ words[0])


def direction(frames: Features, sources: Features, words: Features) -> NDArray[np.float64]:
    """Return the cosine between a frame's change and the caption's, times 100: float64 [n] (Gal et al., arXiv 2108.00946).

    `words`: of the captions before and after [2 d]. A frame that did not change has no direction, and scores 0.
    """
    change, wanted = frames - sources, words[1] - words[0]
    lengths = np.linalg.norm(change, axis=1) * np.linalg.norm(wanted)
    return np.asarray(100 * np.divide(change @ wanted, lengths, out=np.zeros(len(change)), where=lengths > 0))
