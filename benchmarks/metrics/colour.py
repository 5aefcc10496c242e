"""How right a clip's colours are, how vivid, and how steady."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from shards.sample import Video

_STEPS = (1, 2, 4)


def ciede2000(prediction: Video, target: Video) -> NDArray[np.float64]:
    """Return the mean CIEDE2000 colour difference of each frame of uint8 [t h w 3]: float64 [t], 0 for equal colours.

    sRGB to CIE Lab under D65 (2 degree observer), then Sharma, Wu & Dalal 2005 by scikit-image, whose
    `deltaE_ciede2000` gives the same mean per pixel.
    """
    return np.array([_difference(a, b) for a, b in zip(prediction, target, strict=True)])


def colourfulness(video: Video) -> NDArray[np.float64]:
    """Return the colourfulness of each frame of uint8 [t h w 3]: float64 [t], 0 for grey.

    Hasler & Suesstrunk 2003: sqrt(s_rg^2 + s_yb^2) + 0.3 sqrt(m_rg^2 + m_yb^2) with rg = R - G, yb = (R + G) / 2 - B,
    in grey levels of 255.
    """
    return np.array([_vividness(frame) for frame in video])


def colour_distribution_consistency(video: Video) -> float:
    """Return the CDC of uint8 [t h w 3] in [0, ln 2]: 0 where the colours' histograms never change; at least two frames.

    Liu et al., "Temporally Consistent Video Colorization" (2021): the Jensen-Shannon divergence (natural logarithm) between
    the 256-bin histograms of frames t and t + d, mean over the RGB channels and over t, mean over d = 1, 2, 4. A clip too
    short for a distance leaves it out.

    Raises:
        ValueError: a single frame.
    """
    if len(video) < 2:
        raise ValueError("colour consistency compares frames, and there is one only")
    histograms = np.array([[_histogram(frame[..., c]) for c in range(3)] for frame in video])
    steps = [d for d in _STEPS if d < len(video)]
    return float(np.mean([_divergence(histograms[:-d], histograms[d:]).mean() for d in steps]))


def _difference(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    from skimage.color import deltaE_ciede2000, rgb2lab

    # pixels that are equal differ by nothing, and often they are most
    changed = (a != b).any(axis=2)
    if not changed.any():
        return 0.0
    # each pair of colours once: the formula is long, and frames repeat themselves
    lab = rgb2lab(np.stack([a[changed], b[changed]]))
    return float(deltaE_ciede2000(lab[0], lab[1]).sum() / changed.size)


def _vividness(frame: NDArray[np.uint8]) -> float:
    red, green, blue = (frame[..., c].astype(np.float64) for c in range(3))
    across, down = red - green, (red + green) / 2 - blue
    return float(np.hypot(across.std(), down.std()) + 0.3 * np.hypot(across.mean(), down.mean()))


def _histogram(plane: NDArray[np.uint8]) -> NDArray[np.float64]:
    return cv2.calcHist([plane], [0], None, [256], [0, 256]).ravel().astype(np.float64) / plane.size


def _divergence(p: NDArray[np.float64], q: NDArray[np.float64]) -> NDArray[np.float64]:
    middle = (p + q) / 2
    return (_relative_entropy(p, middle) + _relative_entropy(q, middle)) / 2


def _relative_entropy(p: NDArray[np.float64], q: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.special import rel_entr

    total: NDArray[np.float64] = rel_entr(p, q).sum(axis=-1)
    return total
