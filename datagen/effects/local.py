"""Edits of a part of a real video that object masks mark: another colour, or another background."""

from __future__ import annotations

from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from shards.sample import Video

Mask = NDArray[np.uint8]
"""uint8 [t h w], 255 inside."""
_FEATHER = 0.006
"""Of the picture's height: over so many pixels an edit fades in, inside the mask."""
_TOWARDS = 0.3
"""Of the way to a new colour's lightness that what takes it goes."""
_DARKEST, _LIGHTEST, _OTHER = 0.45, 1.6, 30.0
"""Lightness, in that of the colour, at which it still has its name; and distance in a and b at which it is plainly another."""
_FLATNESS = 0.2
"""Height over width of a shadow on the ground."""
_FADES = 0.04
"""Share of the picture's height above its lower border within which a contact shadow fades away."""
_CORNERS = 120
"""So many corners of the background are followed from frame to frame."""


def recoloured(video: Video, mask: Mask, colour: tuple[int, int, int]) -> Video:
    """Return the video with the hue and chroma of `colour` (RGB) inside the mask; its light and shade stay.

    In CIE Lab a and b become those of `colour`, weaker in the shade as on a real surface, and L is moved by three
    tenths of the way to its own, for there is no dark yellow. Pixels outside the mask keep their bits; inside, the edit
    fades in over a few pixels.
    """
    wanted = _lab(np.array([[colour]], np.uint8))[0, 0]
    means = [float(cv2.mean(_lab(frame), hole)[0]) for frame, hole in zip(video, mask, strict=True) if hole.any()]
    # one shift for the whole clip, so that nothing flickers
    shift = _TOWARDS * (float(wanted[0]) - float(np.mean(means))) if means else 0.0
    result = video.copy()
    for frame, hole, out in zip(video, mask, result, strict=True):
        if not hole.any():
            continue
        part = extent(hole)
        lab, share = _lab(frame[part]), feathered(hole)[part][..., None]
        light = lab[..., :1] + shift
        painted = np.concatenate([light, wanted[1:] * np.clip(light / wanted[0], 0.25, 1.15)], axis=2)
        rgb = cv2.cvtColor((lab + (painted - lab) * share).astype(np.float32), cv2.COLOR_Lab2RGB)
        cv2.copyTo(np.clip(rgb * 255 + 0.5, 0, 255).astype(np.uint8), hole[part], out[part])
    return result


def takes_colour(own: NDArray[np.floating], colour: tuple[int, int, int]) -> bool:
    """Whether what `recoloured` makes of something of the mean colour `own` (RGB) plainly has `colour`: other hue or chroma
    than before, and not so much darker or lighter that one would call it otherwise, as red on white is pink."""
    before, wanted = (_lab(np.array([[rgb]], float).round().astype(np.uint8))[0, 0] for rgb in (own, colour))
    light = (before[0] + _TOWARDS * (wanted[0] - before[0])) / wanted[0]
    other = float(np.hypot(*(wanted - before)[1:]))
    return bool(_DARKEST < light < _LIGHTEST and other > _OTHER)


def on_background(
    video: Video, mask: Mask, backdrop: NDArray[np.uint8], shadows: NDArray[np.float32] | None = None
) -> tuple[Video, Mask]:
    """Return the objects inside the mask before `backdrop`, uint8 [h' w' 3], which moves as the old background does and
    is darkened by the share `shadows`, float32 [t h w]; and the mask of all that is not the inside of an object, whose
    pixels keep their bits.

    Along its outline an object is mixed with what it was before: there it takes the colours of its inside, and a share of
    the new background. `backdrop` should be a tenth larger than the frames or more: it follows the camera as far as it
    reaches.
    """
    height, width = video.shape[1:3]
    way = background_way(video, mask)
    room = np.array([backdrop.shape[1] - width, backdrop.shape[0] - height], float)
    # the whole way must fit into the backdrop; a longer one is followed at a smaller scale
    spans = way.max(0) - way.min(0)
    scale = float(min(1.0, *(room[axis] / spans[axis] for axis in (0, 1) if spans[axis] > room[axis] > 0), 1.0))
    corner = room / 2 - scale * (way - (way.max(0) + way.min(0)) / 2)
    reach = max(_FEATHER * height / 2, 0.7)
    result, insides = np.empty_like(video), np.stack([_inside(hole, round(reach)) for hole in mask])
    for i, (frame, hole, inside) in enumerate(zip(video, mask, insides, strict=True)):
        x, y = np.clip(corner[i], 0, room)
        shown = cv2.getRectSubPix(backdrop, (width, height), (x + (width - 1) / 2, y + (height - 1) / 2))
        if shadows is not None:
            shown = (shown * (1 - shadows[i][..., None]) + 0.5).astype(np.uint8)
        result[i] = shown
        part = extent(hole, margin=int(4 * reach) + 1)
        share = cv2.GaussianBlur(hole, (0, 0), reach).astype(np.float32)[part][..., None] / 255
        mixed = shown[part] + (_spread(frame[part], inside[part]).astype(np.float32) - shown[part]) * share
        result[i][part] = np.clip(mixed + 0.5, 0, 255).astype(np.uint8)
        cv2.copyTo(frame, inside, result[i])
    return result, 255 - insides


def contact_shadows(ids: NDArray[np.uint8], strength: float) -> NDArray[np.float32]:
    """Return float32 [t h w] from 0 to `strength`: how dark the ground is under each object of uint8 [t h w].

    A soft ellipse as wide as the lowest quarter of the object, at its lowest row, as the things of scenes cast it; without
    one it would float. Objects that reach the picture's lower border stand outside of it, and cast none.
    """
    height, width = ids.shape[1:]
    dark = np.zeros(ids.shape, np.float32)
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    for shown, out in zip(ids, dark, strict=True):
        for number in np.unique(shown[shown > 0]):
            part = shown == number
            seen = np.flatnonzero(part.any(1))
            foot, tall = int(seen[-1]), int(seen[-1] - seen[0]) + 1
            # what stands below the picture casts none into it; on the way out it fades, for else it would blink
            inside = min((height - 1 - foot) / (_FADES * height), 1.0)
            if not inside:
                continue
            under = np.flatnonzero(part[foot - tall // 4 : foot + 1].any(0))
            across = max((under[-1] - under[0] + 1) / 2, 1.0)
            away = np.hypot((columns - (under[0] + under[-1]) / 2) / across, (rows - foot) / (_FLATNESS * across))
            np.maximum(out, inside * strength * np.clip(1.3 - away, 0, 1), out=out)
    return dark


def _inside(hole: NDArray[np.uint8], reach: int) -> NDArray[np.uint8]:
    """Return the mask without its outermost `reach` pixels, but with what is too thin to be left without them."""
    disc, wider = (
        cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * pixels + 1, 2 * pixels + 1)) for pixels in (reach, reach + 1)
    )
    inner = cv2.erode(hole, disc)
    return np.asarray(inner | (hole & ~cv2.dilate(inner, wider)), np.uint8)


def _spread(frame: NDArray[np.uint8], inside: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the frame with the colour of the nearest pixel inside at every pixel outside."""
    if not inside.any():
        return frame
    _, nearest = cv2.distanceTransformWithLabels(255 - inside, cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL)
    colours = np.zeros((int(nearest.max()) + 1, 3), np.uint8)
    colours[nearest[inside > 0]] = frame[inside > 0]
    return colours[nearest]


def background_way(video: Video, mask: Mask) -> NDArray[np.float64]:
    """Return float [t 2]: how far the background has moved since the first frame, (x, y) in pixels."""
    gray = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in video]
    steps = [np.zeros(2)]
    for i in range(len(video) - 1):
        corners = cv2.goodFeaturesToTrack(gray[i], _CORNERS, 0.01, 5, mask=255 - mask[i])
        steps.append(np.zeros(2) if corners is None else _median_step(gray[i], gray[i + 1], corners))
    return np.cumsum(steps, axis=0)


def _median_step(
    before: NDArray[np.uint8], after: NDArray[np.uint8], corners: NDArray[np.float32]
) -> NDArray[np.float64]:
    found, status, _ = cv2.calcOpticalFlowPyrLK(before, after, corners, None)
    tracked = status.reshape(-1) == 1
    if not tracked.any():
        return np.zeros(2)
    step: NDArray[np.float64] = np.median((found - corners).reshape(-1, 2)[tracked], axis=0).astype(np.float64)
    return step


def extent(hole: NDArray[np.uint8], *, margin: int = 0) -> tuple[slice, slice]:
    """Return the rows and columns of the least box around a hole, widened by a margin."""
    left, top, width, height = cv2.boundingRect(hole)
    rows = slice(max(top - margin, 0), top + height + margin)
    return rows, slice(max(left - margin, 0), left + width + margin)


def feathered(hole: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return float32 [h w] in [0, 1]: 0 outside the hole, rising to 1 within a few pixels inside it."""
    reach = max(_FEATHER * hole.shape[0], 1.0)
    inside = cv2.distanceTransform(np.pad(hole, 1, mode="edge"), cv2.DIST_L2, 3)[1:-1, 1:-1]
    return cast("NDArray[np.float32]", np.clip(inside / np.float32(reach), 0, 1))


def _lab(frame: NDArray[np.uint8]) -> NDArray[np.float32]:
    return cast("NDArray[np.float32]", cv2.cvtColor(frame.astype(np.float32) / 255, cv2.COLOR_RGB2Lab))
