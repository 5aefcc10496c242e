"""From the model's working size back to the video's own: the model's change, on the detail of the source."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Frame = NDArray[np.uint8]
Plane = NDArray[np.float32]


def to_full_size(
    source: Frame, small_source: Frame, small_output: Frame, *, radius: int = 2, eps: float = 4.0
) -> Frame:
    """Return the output uint8 [H W 3] for a source of that size, given both uint8 [h w 3] at the working size.

    Around every pixel of the small clips the output is fitted, channel by channel, as `a * source + b`; `a` and `b`
    are enlarged and applied to the full-size source, and what the fit leaves is enlarged and added. Where the output
    follows the source (haze, colour, light) it keeps the source's detail; where it does not (a removed object), `a` is near
    zero and it is a plain enlargement. Detail beyond the working size thus never comes from the model. At equal sizes
    the small output comes back.

    Source: the fast guided filter (He and Sun, arXiv 1505.00996). `radius`: of the window, small pixels. `eps`:
    variance (of 0-255 values) below which the source's detail counts as noise.
    """
    if source.shape == small_output.shape:
        return small_output
    size = (source.shape[1], source.shape[0])
    small, output = small_source.astype(np.float32), small_output.astype(np.float32)
    slope, offset = _fit(small, output, radius, eps)
    rest = output - (slope * small + offset)
    enlarged = _enlarge(slope, size) * source + _enlarge(offset + rest, size)
    return np.asarray(np.clip(np.rint(enlarged), 0, 255), dtype=np.uint8)


def _fit(source: Plane, output: Plane, radius: int, eps: float) -> tuple[Plane, Plane]:
    mean_source, mean_output = _mean(source, radius), _mean(output, radius)
    variance = _mean(source * source, radius) - mean_source**2
    covariance = _mean(source * output, radius) - mean_source * mean_output
    slope = covariance / (np.maximum(variance, 0) + eps)
    return _mean(slope, radius), _mean(mean_output - slope * mean_source, radius)


def _mean(plane: Plane, radius: int) -> Plane:
    side = 2 * radius + 1
    return np.asarray(cv2.blur(plane, (side, side), borderType=cv2.BORDER_REFLECT_101), dtype=np.float32)


def _enlarge(plane: Plane, size: tuple[int, int]) -> Plane:
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_CUBIC), dtype=np.float32)
