"""Optical flow as several methods use it: OpenCV's DIS, and fetching pixels along it."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Flow = NDArray[np.float32]
"""float32 [h w 2]: pixels to the right and down."""
_LEAST_SIDE = 32
"""DIS refuses smaller frames; they are enlarged for it."""


def flow_between(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> Flow:
    """Return where each pixel of frame `a` is in frame `b`, both uint8 [h w 3]: float32 [h w 2] (Kroeger et al. 2016)."""
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (a, b)]
    height, width = grey[0].shape
    scale = max(_LEAST_SIDE / min(height, width), 1.0)
    if scale > 1:
        size = (round(width * scale), round(height * scale))
        grey = [cv2.resize(frame, size, interpolation=cv2.INTER_LINEAR) for frame in grey]
    found = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(grey[0], grey[1], None)
    if scale > 1:
        found = cv2.resize(found, (width, height), interpolation=cv2.INTER_AREA) / np.float32(scale)
    return found.astype(np.float32, copy=False)


def carried(image: NDArray[Any], flow: Flow, interpolation: int = cv2.INTER_LINEAR) -> NDArray[Any]:
    """Return for each pixel the value of `image` [h w ...] where `flow` leads; edges are repeated beyond the frame."""
    height, width = flow.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return cv2.remap(image, x + flow[..., 0], y + flow[..., 1], interpolation, borderMode=cv2.BORDER_REPLICATE)


def inside(flow: Flow) -> NDArray[np.bool_]:
    """Return bool [h w]: where `flow` leads to a place inside the frame."""
    height, width = flow.shape[:2]
    x = np.arange(width, dtype=np.float32) + flow[..., 0]
    y = np.arange(height, dtype=np.float32)[:, None] + flow[..., 1]
    within: NDArray[np.bool_] = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    return within
