"""Dehazing without learning: the dark channel prior."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.methods.base import Method
from benchmarks.methods.flow import carried, flow_between
from shards.sample import Video

OMEGA = 0.95
"""Share of the haze that is removed (He et al.)."""
LEAST_TRANSMISSION = 0.1
BRIGHTEST = 0.001
"""Share of pixels, of the haziest, that the airlight is taken from."""
PATCH = 15 / 480
"""Side of the patch as a share of the shorter side: 15 pixels at the size of the paper's pictures."""
GUIDE_RADIUS = 20 / 480
GUIDE_EPSILON = 1e-3
PAST = 0.6
"""Weight of the transmission so far, where the frames agree."""
AGREED = 12.0
"""Grey levels of difference, along the flow, at which the trust in the past has fallen to 1 / e."""


def dark_channel_prior(
    clip: Video, instruction: str, reference: NDArray[np.uint8] | None, mask: NDArray[np.uint8] | None
) -> Video:
    """Dehaze uint8 [t h w 3] by the dark channel prior, with one airlight for the clip so that it does not flicker.

    On gamma-encoded values, as the paper. Sources: He, Sun & Tang, "Single Image Haze Removal Using Dark Channel
    Prior", TPAMI 2011; the transmission is refined by the guided filter (He et al., TPAMI 2013).
    """
    hazy, airlight, side = _prepared(clip)
    return _cleared(clip, hazy, airlight, [estimate_transmission(frame, airlight, side) for frame in hazy])


def steadied_dark_channel_prior(
    clip: Video, instruction: str, reference: NDArray[np.uint8] | None, mask: NDArray[np.uint8] | None
) -> Video:
    """As `dark_channel_prior`, with each frame's transmission averaged along optical flow, forth and back in time.

    After Zhang, Li, Qi, Leow & Ng, "Video dehazing with spatial and temporal coherence" (The Visual Computer, 2011); ours is
    a recursive mean in both directions (weight 0.6 for the past), with OpenCV's DIS flow, which trusts the past only where
    the two frames agree. On real clips the transmission moves a third less along the flow, and the answer flickers as before.
    """
    hazy, airlight, side = _prepared(clip)
    raw = [estimate_transmission(frame, airlight, side) for frame in hazy]
    forth = _steadied(clip, raw)
    back = _steadied(clip[::-1], raw[::-1])[::-1]
    return _cleared(clip, hazy, airlight, [(a + b) * np.float32(0.5) for a, b in zip(forth, back, strict=True)])


def clahe(clip: Video, instruction: str, reference: NDArray[np.uint8] | None, mask: NDArray[np.uint8] | None) -> Video:
    """Raise the local contrast of uint8 [t h w 3]: Zuiderveld's CLAHE (Graphics Gems IV, 1994) on Lab's L, 8 x 8 tiles."""
    lift = cv2.createCLAHE(clipLimit=2.0, tileGridSize=(8, 8))
    clear = np.empty_like(clip)
    for i, frame in enumerate(clip):
        lab = cv2.cvtColor(frame, cv2.COLOR_RGB2Lab)
        lab[..., 0] = lift.apply(lab[..., 0])
        clear[i] = cv2.cvtColor(lab, cv2.COLOR_Lab2RGB)
    return clear


def _prepared(clip: Video) -> tuple[NDArray[np.float32], NDArray[np.float32], int]:
    """Return the clip in [0, 1], its airlight, and the side of the patches."""
    hazy = clip.astype(np.float32) / np.float32(255)
    side = max(3, round(PATCH * min(clip.shape[1:3])) | 1)
    return hazy, estimate_airlight(hazy, np.stack([dark_channel(frame, side) for frame in hazy])), side


def _cleared(
    clip: Video, hazy: NDArray[np.float32], airlight: NDArray[np.float32], transmission: Sequence[NDArray[np.float32]]
) -> Video:
    """Return J = (I - A) / t + A as uint8."""
    clear = np.empty_like(clip)
    for i, (frame, t) in enumerate(zip(hazy, transmission, strict=True)):
        bounded = np.maximum(t, LEAST_TRANSMISSION)[..., None]
        clear[i] = np.clip(((frame - airlight) / bounded + airlight) * 255 + 0.5, 0, 255)
    return clear


def _steadied(clip: Video, raw: Sequence[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
    steady = [raw[0]]
    for before, now, t in zip(clip[:-1], clip[1:], raw[1:], strict=True):
        flow = flow_between(now, before)
        gap = np.abs(carried(before, flow).astype(np.float32) - now).max(axis=2)
        trust = np.float32(PAST) * np.exp(-((gap / np.float32(AGREED)) ** 2))
        steady.append(trust * carried(steady[-1], flow) + (1 - trust) * t)
    return steady


def dark_channel(frame: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Return [h w]: the least value of any channel of [h w 3] in a square of `side` pixels."""
    return cv2.erode(frame.min(axis=2), np.ones((side, side), np.uint8))


def estimate_airlight(video: NDArray[np.float32], dark: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return RGB [3] in [0, 1]: the mean colour of the pixels with the brightest dark channel.

    The paper takes the brightest one of them; their mean does not hang on a single pixel of a long clip.
    """
    count = max(int(dark.size * BRIGHTEST), 1)
    chosen = np.argpartition(dark.ravel(), -count)[-count:]
    return video.reshape(-1, 3)[chosen].mean(axis=0)


def estimate_transmission(frame: NDArray[np.float32], airlight: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Return [h w]: t = 1 - omega dark(I / A), refined so that its edges are those of the frame."""
    relative = (frame / np.maximum(airlight, np.float32(1e-3))).astype(np.float32)
    raw = 1 - np.float32(OMEGA) * dark_channel(relative, side)
    guide = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    return guided_filter(guide, raw, max(2, round(GUIDE_RADIUS * min(frame.shape[:2]))), GUIDE_EPSILON)


def guided_filter(
    guide: NDArray[np.float32], values: NDArray[np.float32], radius: int, epsilon: float
) -> NDArray[np.float32]:
    """Return `values` [h w] smoothed along the edges of `guide` [h w]: the guided filter of He et al. 2013."""

    def mean(image: NDArray[np.float32]) -> NDArray[np.float32]:
        return cv2.blur(image, (2 * radius + 1, 2 * radius + 1), borderType=cv2.BORDER_REFLECT)

    mean_guide, mean_values = mean(guide), mean(values)
    slope = (mean(guide * values) - mean_guide * mean_values) / (
        mean(guide * guide) - mean_guide**2 + np.float32(epsilon)
    )
    return mean(slope) * guide + mean(mean_values - slope * mean_guide)


DARK_CHANNEL = Method(
    name="dark_channel",
    tasks=("dehaze",),
    summary="dark channel prior, guided filter, one airlight per clip",
    paper="He, Sun & Tang, TPAMI 2011",
    version=1,
    make=lambda context: dark_channel_prior,
)
DARK_CHANNEL_TEMPORAL = Method(
    name="dark_channel_temporal",
    tasks=("dehaze",),
    summary="dark channel prior, its transmission averaged along optical flow",
    paper="Zhang et al., The Visual Computer 2011",
    version=1,
    make=lambda context: steadied_dark_channel_prior,
)
CLAHE = Method(
    name="clahe",
    tasks=("dehaze",),
    summary="contrast-limited adaptive histogram equalisation of L",
    paper="Zuiderveld, Graphics Gems IV 1994",
    version=1,
    make=lambda context: clahe,
)
