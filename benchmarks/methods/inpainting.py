"""Filling holes without learning: from around them, from other times, and along the motion."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.methods.base import Method, Restore
from benchmarks.methods.flow import Flow, carried, flow_between, inside
from shards.sample import Video

Frame = NDArray[np.uint8]
Mask = NDArray[np.bool_]
FillFrame = Callable[[Frame, Mask], Frame]

RADIUS = 5
"""Pixels around a hole's edge that Telea and Navier-Stokes look at."""
MOST_UNKNOWNS = 1500
"""Pixels that the biharmonic equation is solved for; larger holes are solved at reduced size, where they are as smooth."""
AGREED = 1.5
"""Pixels by which flow forth and back may miss each other where it is followed."""
MARGIN = 8
"""Pixels around a hole where flow is not believed: DIS compares patches of 8 pixels at half size, which reach into it."""


def _frame_by_frame(fill: FillFrame) -> Restore:
    """Return a method that fills the holes of each frame by itself."""

    def restore(clip: Video, instruction: str, reference: Frame | None, mask: NDArray[np.uint8] | None) -> Video:
        if mask is None:
            return clip
        return np.stack([_filled(frame, hole, fill) for frame, hole in zip(clip, mask > 0, strict=True)])

    return restore


def telea(frame: Frame, hole: Mask) -> Frame:
    """Fill uint8 [h w 3] by fast marching: Telea, Journal of Graphics Tools 2004."""
    return cv2.inpaint(frame, hole.astype(np.uint8), RADIUS, cv2.INPAINT_TELEA).astype(np.uint8, copy=False)


def navier_stokes(frame: Frame, hole: Mask) -> Frame:
    """Fill uint8 [h w 3] by fluid dynamics: Bertalmio, Bertozzi & Sapiro, CVPR 2001."""
    return cv2.inpaint(frame, hole.astype(np.uint8), RADIUS, cv2.INPAINT_NS).astype(np.uint8, copy=False)


def biharmonic(frame: Frame, hole: Mask) -> Frame:
    """Fill uint8 [h w 3] by the biharmonic equation: Damelin & Hoang 2018, scikit-image's `inpaint_biharmonic`.

    Only the hole's surroundings are looked at, reduced until `MOST_UNKNOWNS` pixels are unknown.
    """
    from skimage.restoration import inpaint_biharmonic

    rows, columns = _surroundings(hole)
    patch, unknown = frame[rows, columns], hole[rows, columns]
    scale = min(1.0, float(np.sqrt(MOST_UNKNOWNS / np.count_nonzero(unknown))))
    size = (max(round(patch.shape[1] * scale), 2), max(round(patch.shape[0] * scale), 2))
    small, small_hole = _reduced(patch, unknown, size) if scale < 1 else (patch.astype(np.float32), unknown)
    if small_hole.all():
        return telea(frame, hole)
    found = inpaint_biharmonic(small / np.float32(255), small_hole, channel_axis=-1)
    grown = cv2.resize(found.astype(np.float32), patch.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    filled = frame.copy()
    filled[rows, columns] = np.clip(grown * 255 + 0.5, 0, 255).astype(np.uint8)
    return filled


def temporal_median(clip: Video, instruction: str, reference: Frame | None, mask: NDArray[np.uint8] | None) -> Video:
    """Fill each hole of uint8 [t h w 3] with the median of what other frames show at the same place; the rest by Telea.

    The clean plate of a still camera: where it moves, the plate is blurred.
    """
    if mask is None:
        return clip
    hole = mask > 0
    seen = np.where(hole[..., None], np.float32(np.nan), clip.astype(np.float32))
    known = ~hole.all(axis=0)
    plate = np.zeros(clip.shape[1:], np.float32)
    plate[known] = np.nanmedian(seen[:, known], axis=0)
    filled = clip.copy()
    for frame, empty in zip(filled, hole, strict=True):
        there = empty & known
        frame[there] = plate[there] + np.float32(0.5)
    return np.stack([_filled(frame, empty & ~known, telea) for frame, empty in zip(filled, hole, strict=True)])


def flow_propagation(clip: Video, instruction: str, reference: Frame | None, mask: NDArray[np.uint8] | None) -> Video:
    """Fill each hole of uint8 [t h w 3] with what optical flow brings from the frames before and after; the rest by Telea.

    As in Huang et al., "Temporally Coherent Completion of Dynamic Video" (2016) and Xu et al., "Deep Flow-Guided Video
    Inpainting" (CVPR 2019), without learning: flow is measured with the holes filled roughly and smoothed into them from
    around; colours run along it frame by frame in both directions, where it agrees forth and back, and the nearer source in
    time weighs more.
    """
    if mask is None or len(clip) < 2:
        return _frame_by_frame(telea)(clip, instruction, reference, mask)
    hole = mask > 0
    rough = np.stack([_filled(frame, empty, telea) for frame, empty in zip(clip, hole, strict=True)])
    # what one frame hides has no match in the other, though it is seen there: flow is unknown in both holes
    hidden = hole[:-1] | hole[1:]
    ahead = [_completed(flow_between(a, b), h) for a, b, h in zip(rough[:-1], rough[1:], hidden, strict=True)]
    behind = [_completed(flow_between(b, a), h) for a, b, h in zip(rough[:-1], rough[1:], hidden, strict=True)]
    past = _run(clip, hole, behind, ahead)
    future = [found[::-1] for found in _run(clip[::-1], hole[::-1], ahead[::-1], behind[::-1])]
    filled = clip.copy()
    for i, (frame, empty) in enumerate(zip(filled, hole, strict=True)):
        weights = [
            np.where(ages[i] > 0, np.float32(1) / np.maximum(ages[i], 1), np.float32(0)) for _, ages in (past, future)
        ]
        total = weights[0] + weights[1]
        there = empty & (total > 0)
        mixed = weights[0][..., None] * past[0][i] + weights[1][..., None] * future[0][i]
        frame[there] = mixed[there] / total[there][:, None] + np.float32(0.5)
        filled[i] = _filled(frame, empty & ~there, telea)
    return filled


def _run(
    clip: Video, hole: Mask, back: list[Flow], forth: list[Flow]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Carry colours from each frame to the next, into its hole: return them [t h w 3], and of how many frames ago they are
    [t h w], 0 where none came. `back`[i]: flow from frame i + 1 to frame i; `forth`[i]: that from i to i + 1."""
    colours = clip.astype(np.float32)
    ages = np.zeros(hole.shape, np.float32)
    known = ~hole[0]
    for i in range(1, len(clip)):
        flow = back[i - 1]
        agree = np.linalg.norm(flow + carried(forth[i - 1], flow), axis=2) < AGREED
        # mixed of those of the four neighbours that are known: were all asked for, each frame would lose a rim
        share = carried(known.astype(np.float32), flow)
        take = hole[i] & agree & (share > 0.5) & inside(flow)
        colours[i][take] = carried(colours[i - 1] * known[..., None], flow)[take] / share[take][:, None]
        ages[i][take] = carried(ages[i - 1] * known, flow)[take] / share[take] + 1
        known = ~hole[i] | take
    return colours, ages


def _completed(flow: Flow, hole: Mask) -> Flow:
    """Return the flow with its values in the hole replaced by a smooth continuation from around it."""
    if not hole.any() or hole.all():
        return flow
    wide = cv2.dilate(hole.astype(np.uint8), np.ones((2 * MARGIN + 1, 2 * MARGIN + 1), np.uint8)) > 0
    if wide.all():
        return flow
    filled = flow.copy()
    # from coarse to fine: each level's mean over what is known fills the unknown of the one below
    filled[wide] = _pyramid_fill(flow, ~wide)[wide]
    return filled


def _pyramid_fill(values: NDArray[np.float32], known: Mask) -> NDArray[np.float32]:
    """Return float32 [h w c] with the unknown filled by means over ever larger surroundings (push and pull)."""
    if known.all():
        return values
    height, width = known.shape
    if min(height, width) <= 2:
        mean = values[known].mean(axis=0) if known.any() else np.zeros(values.shape[2], np.float32)
        return np.where(known[..., None], values, mean).astype(np.float32)
    size = ((width + 1) // 2, (height + 1) // 2)
    weight = cv2.resize(known.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    total = cv2.resize(np.where(known[..., None], values, 0).astype(np.float32), size, interpolation=cv2.INTER_AREA)
    small = total / np.maximum(weight, np.float32(1e-6))[..., None]
    coarse = _pyramid_fill(small, weight > 0)
    grown = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.where(known[..., None], values, grown).astype(np.float32)


def _filled(frame: Frame, hole: Mask, fill: FillFrame) -> Frame:
    """Return the frame with its hole filled and every other pixel as it was; without a hole, or all hole, as it is."""
    if not hole.any() or hole.all():
        return frame
    return np.where(hole[..., None], fill(frame, hole), frame)


def _surroundings(hole: Mask) -> tuple[slice, slice]:
    """Return the rows and columns around a hole, with a margin as wide as a quarter of it."""
    places = []
    for axis in (1, 0):
        found = np.flatnonzero(hole.any(axis=axis))
        margin = max((found[-1] - found[0]) // 4, 8)
        places.append(slice(max(int(found[0]) - margin, 0), int(found[-1]) + margin + 1))
    return places[0], places[1]


def _reduced(patch: Frame, unknown: Mask, size: tuple[int, int]) -> tuple[NDArray[np.float32], Mask]:
    """Return a patch at (width, height) from its known pixels alone, and where none of a pixel's was known."""
    weight = cv2.resize((~unknown).astype(np.float32), size, interpolation=cv2.INTER_AREA)
    known = np.where(unknown[..., None], 0, patch).astype(np.float32)
    total = cv2.resize(known, size, interpolation=cv2.INTER_AREA)
    return (total / np.maximum(weight, 1e-6)[..., None]).astype(np.float32), weight < 0.25


TELEA = Method(
    name="telea",
    tasks=("inpaint",),
    summary="fast marching, frame by frame",
    paper="Telea, JGT 2004",
    version=1,
    make=lambda context: _frame_by_frame(telea),
)
NAVIER_STOKES = Method(
    name="navier_stokes",
    tasks=("inpaint",),
    summary="fluid dynamics, frame by frame",
    paper="Bertalmio, Bertozzi & Sapiro, CVPR 2001",
    version=1,
    make=lambda context: _frame_by_frame(navier_stokes),
)
BIHARMONIC = Method(
    name="biharmonic",
    tasks=("inpaint",),
    summary="biharmonic equation, frame by frame, large holes at reduced size",
    paper="Damelin & Hoang 2018",
    version=1,
    make=lambda context: _frame_by_frame(biharmonic),
)
TEMPORAL_MEDIAN = Method(
    name="temporal_median",
    tasks=("inpaint",),
    summary="median over time at the same place, the rest by Telea",
    paper="-",
    version=1,
    make=lambda context: temporal_median,
)
FLOW_PROPAGATION = Method(
    name="flow_propagation",
    tasks=("inpaint",),
    summary="colours carried along completed optical flow in both directions, the rest by Telea",
    paper="after Huang et al. 2016 and Xu et al., CVPR 2019",
    version=2,
    make=lambda context: flow_propagation,
)
