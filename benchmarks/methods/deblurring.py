"""Deblurring without learning: sharpening, deconvolution along the motion, and fusing what neighbours show sharper."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.methods.base import Method
from benchmarks.methods.flow import Flow, carried, flow_between
from shards.sample import Video

Plane = NDArray[np.float32]
Deconvolve = Callable[[Plane, Plane], Plane]
"""Takes a plane [h w] in [0, 1] and a kernel that sums to 1; returns the plane before it was blurred."""

SHARPEN_SIGMA, SHARPEN_AMOUNT = 1.0, 0.3
SHARES = np.arange(0.15, 1.71, 0.05)
"""Lengths of a blur, as shares of the motion from frame to frame, that are looked for."""
SURE = -0.1
"""Autocorrelation that the dip at the blur's length must reach before it is believed."""
CAUTION = 0.8
"""Share of the length found that is used: a kernel too short leaves some blur, one too long makes rings."""
LEAST_LENGTH = 1.5
"""Pixels of motion during the exposure below which nothing is done."""
TILE = 64
"""Side of the tiles that one motion is assumed in; they overlap by half."""
LOOK = 96
"""Side of the tiles that the exposure is looked for in."""
NOISE = 0.1
"""Wiener's ratio of noise to signal."""
STEPS = 8
"""Of Richardson and Lucy's iteration: more rings."""
NEIGHBOURS, SHARPEST = 2, 11
"""Frames before and after that are fused, and the exponent p of the weights (both as in the paper)."""


def unsharp(
    clip: Video, instruction: str, reference: NDArray[np.uint8] | None, mask: NDArray[np.uint8] | None
) -> Video:
    """Sharpen uint8 [t h w 3] by unsharp masking: x + 0.3 (x - G x), sigma 1 pixel."""
    sharp = np.empty_like(clip)
    for i, frame in enumerate(clip):
        soft = cv2.GaussianBlur(frame, (0, 0), SHARPEN_SIGMA)
        sharp[i] = cv2.addWeighted(frame, 1 + SHARPEN_AMOUNT, soft, -SHARPEN_AMOUNT, 0)
    return sharp


def wiener(clip: Video, instruction: str, reference: NDArray[np.uint8] | None, mask: NDArray[np.uint8] | None) -> Video:
    """Deblur uint8 [t h w 3] by Wiener's filter with kernels estimated from optical flow; see `along_motion`."""
    return along_motion(clip, wiener_filter)


def richardson_lucy(
    clip: Video, instruction: str, reference: NDArray[np.uint8] | None, mask: NDArray[np.uint8] | None
) -> Video:
    """Deblur uint8 [t h w 3] by Richardson (1972) and Lucy (1974) with kernels from optical flow; see `along_motion`."""
    return along_motion(clip, richardson_lucy_steps)


def along_motion(clip: Video, deconvolve: Deconvolve) -> Video:
    """Deblur each tile of uint8 [t h w 3] with the straight kernel of its mean motion while the shutter was open.

    The motion is the mean of the flow to the next frame and of that from the one before: the kernel of a camera or an
    object that moves evenly (Hyun Kim & Lee, CVPR 2014, take flow for kernels in this way). How long the shutter was open is
    estimated, see `estimate_exposure`. Tiles that hardly move stay as they are. Done on the light of gamma 2.2, where blur
    adds up.
    """
    if len(clip) < 2:
        return clip
    motions = _motions(clip)
    light = (clip.astype(np.float32) / np.float32(255)) ** np.float32(2.2)
    exposure = estimate_exposure(light, motions)
    if exposure == 0:
        return clip
    sharp = np.empty_like(clip)
    for i, frame in enumerate(light):
        restored = np.clip(_by_tiles(frame, motions[i] * np.float32(exposure), deconvolve), 0, 1)
        sharp[i] = np.clip(restored ** (1 / 2.2) * 255 + 0.5, 0, 255)
    return sharp


def estimate_exposure(light: NDArray[np.float32], motions: Sequence[Flow]) -> float:
    """Return for which share of the time between two frames of float32 [t h w 3] the shutter was open, 0 if it cannot be told.

    Yitzhaky & Kopeika (1997): along the motion, the derivative of a blurred picture has its least autocorrelation at the
    blur's length. Averaged over all tiles that move evenly by 4 pixels or more.
    """
    total, count = np.zeros(len(SHARES)), 0
    for frame, motion in zip(light, motions, strict=True):
        grey = frame.mean(axis=-1)
        for top in range(0, grey.shape[0] - LOOK + 1, LOOK // 2):
            for left in range(0, grey.shape[1] - LOOK + 1, LOOK // 2):
                tile = (slice(top, top + LOOK), slice(left, left + LOOK))
                move = _even_motion(motion[tile].reshape(-1, 2))
                if move is not None:
                    total += _autocorrelation(grey[tile], *move)
                    count += 1
    if not count or total.min() / count > SURE:
        return 0.0
    return float(CAUTION * SHARES[int(np.argmin(total))])


def _even_motion(moves: NDArray[np.float32]) -> tuple[float, float] | None:
    """Return the motion [2] that most pixels of a tile share, or None if it is too small, too large or uneven."""
    across, down = (float(value) for value in np.median(moves, axis=0))
    length = float(np.hypot(across, down))
    if not 4 <= length <= LOOK / 2:
        return None
    return (across, down) if np.median(np.hypot(*(moves - (across, down)).T)) <= 0.15 * length else None


def _autocorrelation(tile: Plane, across: float, down: float) -> NDArray[np.float64]:
    """Return how the derivative along a motion is correlated with itself, at `SHARES` of the motion's length."""
    turn = cv2.getRotationMatrix2D((LOOK / 2, LOOK / 2), float(np.degrees(np.arctan2(down, across))), 1)
    turned = cv2.warpAffine(tile, turn, (LOOK, LOOK), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    slopes = np.diff(turned[LOOK // 6 : -LOOK // 6], axis=1)
    slopes = slopes - slopes.mean(axis=1, keepdims=True)
    count = slopes.shape[1]
    power = (np.abs(np.fft.rfft(slopes, 2 * count, axis=1)) ** 2).sum(axis=0)
    found = np.fft.irfft(power)[:count] * count / (count - np.arange(count))
    lags = np.minimum(SHARES * np.hypot(across, down), count - 1)
    return np.interp(lags, np.arange(count), found / max(found[0], 1e-9))


def motion_kernel(across: float, down: float) -> Plane:
    """Return the float32 kernel [k k], k odd, of an even motion by (across, down) pixels, centred; it sums to 1."""
    reach = int(np.ceil(max(abs(across), abs(down)) / 2)) + 1
    side = 2 * reach + 1
    kernel = np.zeros((side, side), np.float64)
    # moments of the exposure, each shared out between the four pixels around its place
    for share in np.linspace(-0.5, 0.5, 16 * side):
        x, y = reach + share * across, reach + share * down
        left, top = int(np.floor(x)), int(np.floor(y))
        kernel[top : top + 2, left : left + 2] += np.outer((top + 1 - y, y - top), (left + 1 - x, x - left))
    return (kernel / kernel.sum()).astype(np.float32)


def wiener_filter(plane: Plane, kernel: Plane) -> Plane:
    """Return the plane deconvolved: F = conj(K) G / (|K|^2 + noise) on spectra; `plane` must fade out at its edges."""
    spectrum = _spectrum(kernel, plane.shape)
    found = np.fft.irfft2(np.conj(spectrum) * np.fft.rfft2(plane) / (np.abs(spectrum) ** 2 + NOISE), plane.shape)
    return (found * (1 + NOISE)).astype(np.float32)


def richardson_lucy_steps(plane: Plane, kernel: Plane) -> Plane:
    """Return the plane after a few steps of f <- f (K^T * (g / (K * f)))."""
    estimate = np.maximum(plane, np.float32(1e-4))
    for _ in range(STEPS):
        blurred = cv2.filter2D(estimate, -1, kernel[::-1, ::-1], borderType=cv2.BORDER_REFLECT)
        ratio = plane / np.maximum(blurred, np.float32(1e-4))
        estimate = estimate * cv2.filter2D(ratio, -1, kernel, borderType=cv2.BORDER_REFLECT)
    return estimate


def burst_fusion(
    clip: Video, instruction: str, reference: NDArray[np.uint8] | None, mask: NDArray[np.uint8] | None
) -> Video:
    """Fuse each frame of uint8 [t h w 3] with its aligned neighbours, each frequency from where it is strongest.

    Delbracio & Sapiro, "Burst Deblurring" (CVPR 2015) and "Hand-held Video Deblurring via Efficient Fourier
    Aggregation" (TCI 2015): the neighbours are warped along optical flow, where forth and back disagree the frame itself
    stands in, and the spectra are averaged with weights |F|^11.
    """
    fused = np.empty_like(clip)
    for i, frame in enumerate(clip):
        others = [j for j in range(max(i - NEIGHBOURS, 0), min(i + NEIGHBOURS + 1, len(clip))) if j != i]
        stack = np.stack([frame, *(_aligned(frame, clip[j]) for j in others)]).astype(np.float32)
        fused[i] = np.clip(_strongest(stack) + 0.5, 0, 255)
    return fused


def _aligned(frame: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.uint8]:
    forth, back = flow_between(frame, other), flow_between(other, frame)
    gap = np.linalg.norm(forth + carried(back, forth), axis=2)
    trusted = cv2.GaussianBlur((gap < 1).astype(np.float32), (0, 0), 2)[..., None]
    moved = trusted * carried(other, forth, cv2.INTER_CUBIC) + (1 - trusted) * frame
    return np.clip(moved + 0.5, 0, 255).astype(np.uint8)


def _strongest(stack: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the weighted mean of spectra of float32 [n h w 3]."""
    height, width = stack.shape[1:3]
    edge = 16
    padded = np.pad(stack, ((0, 0), (edge, edge), (edge, edge), (0, 0)), mode="symmetric")
    spectra = np.fft.rfft2(padded, axes=(1, 2))
    size = np.abs(spectra).mean(axis=3)
    # weights vary slowly over frequencies, as the paper has it
    size = np.stack([cv2.GaussianBlur(plane.astype(np.float32), (0, 0), min(height, width) / 50) for plane in size])
    weight = (size / size.max(axis=0)) ** SHARPEST
    weight /= weight.sum(axis=0)
    found = np.fft.irfft2((weight[..., None] * spectra).sum(axis=0), padded.shape[1:3], axes=(0, 1))
    return found[edge : edge + height, edge : edge + width].astype(np.float32)


def _motions(clip: Video) -> list[Flow]:
    """Return for each frame the mean of the flow to the next frame and of that from the one before."""
    ahead = [flow_between(a, b) for a, b in pairwise(clip)]
    behind = [-flow_between(b, a) for a, b in pairwise(clip)]
    between = [(a + b) * np.float32(0.5) for a, b in zip(ahead[1:], behind[:-1], strict=True)]
    return [ahead[0], *between, behind[-1]]


def _by_tiles(light: NDArray[np.float32], motion: Flow, deconvolve: Deconvolve) -> NDArray[np.float32]:
    height, width = light.shape[:2]
    step, edge = TILE // 2, TILE // 2
    tall, wide = (-(-length // step) * step for length in (height, width))
    pad = ((edge, edge + tall - height), (edge, edge + wide - width))
    image = np.pad(light, (*pad, (0, 0)), mode="symmetric" if min(height, width) >= TILE else "edge")
    moves = np.pad(motion, (*pad, (0, 0)), mode="edge")
    window = np.outer(*[np.hanning(TILE + 2)[1:-1]] * 2).astype(np.float32)
    total, weight = np.zeros_like(image), np.zeros(image.shape[:2], np.float32)
    for top in range(0, image.shape[0] - TILE + 1, step):
        for left in range(0, image.shape[1] - TILE + 1, step):
            tile = (slice(top, top + TILE), slice(left, left + TILE))
            total[tile] += _tile(image, moves[tile], top, left, deconvolve) * window[..., None]
            weight[tile] += window
    inner = (slice(edge, edge + height), slice(edge, edge + width))
    return (total[inner] / np.maximum(weight[inner], np.float32(1e-6))[..., None]).astype(np.float32, copy=False)


def _tile(image: NDArray[np.float32], moves: Flow, top: int, left: int, deconvolve: Deconvolve) -> NDArray[np.float32]:
    across, down = (float(np.median(moves[..., axis])) for axis in (0, 1))
    plain = image[top : top + TILE, left : left + TILE]
    length = float(np.hypot(across, down))
    if length < LEAST_LENGTH:
        return plain
    shrink = min(1.0, TILE / 2 / length)
    kernel = motion_kernel(across * shrink, down * shrink)
    # what lies around the tile has been blurred into it
    edge = TILE // 2
    around = np.pad(plain, ((edge, edge), (edge, edge), (0, 0)), mode="symmetric")
    rows = slice(max(top - edge, 0), min(top + TILE + edge, image.shape[0]))
    columns = slice(max(left - edge, 0), min(left + TILE + edge, image.shape[1]))
    around[
        rows.start - top + edge : rows.stop - top + edge, columns.start - left + edge : columns.stop - left + edge
    ] = image[rows, columns]
    sharp = np.stack([deconvolve(np.ascontiguousarray(around[..., c]), kernel) for c in range(image.shape[2])], axis=-1)
    return sharp[edge : edge + TILE, edge : edge + TILE]


def _spectrum(kernel: Plane, shape: tuple[int, ...]) -> NDArray[np.complex128]:
    """Return the transfer function of a centred kernel for planes of a shape."""
    padded = np.zeros(shape, np.float32)
    height, width = kernel.shape
    padded[:height, :width] = kernel
    return np.fft.rfft2(np.roll(padded, (-(height // 2), -(width // 2)), (0, 1)))


UNSHARP = Method(
    name="unsharp",
    tasks=("deblur",),
    summary=f"unsharp masking, sigma {SHARPEN_SIGMA:g}, amount {SHARPEN_AMOUNT:g}",
    paper="-",
    version=1,
    make=lambda context: unsharp,
)
WIENER = Method(
    name="wiener",
    tasks=("deblur",),
    summary="Wiener filter by tiles, kernels from optical flow",
    paper="Wiener 1949; kernels as Hyun Kim & Lee, CVPR 2014",
    version=1,
    make=lambda context: wiener,
)
RICHARDSON_LUCY = Method(
    name="richardson_lucy",
    tasks=("deblur",),
    summary=f"{STEPS} steps of Richardson-Lucy by tiles, kernels from optical flow",
    paper="Richardson 1972, Lucy 1974; kernels as Hyun Kim & Lee, CVPR 2014",
    version=1,
    make=lambda context: richardson_lucy,
)
BURST_FUSION = Method(
    name="burst_fusion",
    tasks=("deblur",),
    summary="Fourier aggregation of four neighbours aligned by optical flow",
    paper="Delbracio & Sapiro, CVPR 2015 and TCI 2015",
    version=1,
    make=lambda context: burst_fusion,
)
