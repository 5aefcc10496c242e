"""Clips that the tests of classical methods make: with detail at every scale, sliding, or without their colours."""

import cv2
import numpy as np

from benchmarks.methods.colour import to_lab


def texture(seed: int = 0, height: int = 120, width: int = 160) -> np.ndarray:
    """A picture with detail at every scale, uint8 [h w 3]."""
    rng = np.random.default_rng(seed)
    layers = [
        cv2.resize(rng.integers(0, 256, (height // s + 1, width // s + 1, 3), dtype=np.uint8), (width, height)) / n
        for n, s in ((2, 32), (4, 8), (8, 4))
    ]
    return np.clip(sum(layers), 0, 255).astype(np.uint8)


def sliding(frames: int, step: int, seed: int = 0, height: int = 120, width: int = 160) -> np.ndarray:
    wide = texture(seed, height, width + step * frames)
    return np.stack([wide[:, step * t : step * t + width] for t in range(frames)])


def grey_of(clip: np.ndarray) -> np.ndarray:
    return np.stack([np.dstack([np.round(to_lab(frame)[..., 0] * 2.55).astype(np.uint8)] * 3) for frame in clip])
