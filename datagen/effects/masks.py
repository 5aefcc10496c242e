"""Holes to fill: what shapes they have, how they move, and what is shown in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from shards.sample import Video

Mask = NDArray[np.uint8]
"""uint8 [t h w], 255 inside the hole, 0 elsewhere."""
Points = list[list[float]]

_CURVE_POINTS = 12
"""Points that each side of a blob is drawn with."""
_FONTS = (cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_COMPLEX, cv2.FONT_HERSHEY_TRIPLEX)
_SUBPIXEL = 4
"""Binary digits after the point of the coordinates that OpenCV draws with."""


def bezier_blob(rng: np.random.Generator, height: float, width: float) -> Points:
    """Return the outline of a blob of 6 to 8 smooth sides that fills a box of this size, around (0, 0), as (x, y).

    Neighbouring corners at random radii, joined by cubic Bezier curves whose tangents run parallel to the line between
    a corner's neighbours. Source: the masks of ProPainter (Zhou et al. 2023), of which this is a version of our own.
    """
    corners = int(rng.integers(6, 9))
    angles = (np.arange(corners) + rng.uniform(-0.3, 0.3, corners)) * 2 * np.pi / corners
    radii = rng.uniform(0.45, 1.0, corners)
    points = np.stack([radii * np.cos(angles), radii * np.sin(angles)], 1)
    tangents = (np.roll(points, -1, 0) - np.roll(points, 1, 0)) / 6
    s = np.linspace(0, 1, _CURVE_POINTS, endpoint=False)[:, None]
    curve = np.concatenate(
        [
            (1 - s) ** 3 * points[i]
            + 3 * (1 - s) ** 2 * s * (points[i] + tangents[i])
            + 3 * (1 - s) * s**2 * (points[j] - tangents[j])
            + s**3 * points[j]
            for i, j in ((i, (i + 1) % corners) for i in range(corners))
        ]
    )
    low, high = curve.min(0), curve.max(0)
    scaled = ((curve - low) / (high - low) - 0.5) * [width, height]
    return _rounded(scaled)


def brush_stroke(rng: np.random.Generator, height: float, width: float) -> Points:
    """Return the way of a brush around (0, 0), as (x, y): 5 to 10 points, each turn at a random angle, in a box of
    this size. Source: the free-form masks of Yu et al., "Free-Form Image Inpainting with Gated Convolution", 2019."""
    count = int(rng.integers(5, 11))
    angles = np.cumsum(rng.normal(0, 0.5, count) + np.pi * (np.arange(count) % 2) * 0.85)
    steps = rng.uniform(0.3, 1.0, (count, 1)) * np.stack([np.cos(angles), np.sin(angles)], 1)
    way = np.cumsum(steps, 0)
    low, high = way.min(0), way.max(0)
    scaled = ((way - low) / np.maximum(high - low, 1e-6) - 0.5) * [width, height]
    return _rounded(scaled)


def box(height: float, width: float) -> Points:
    """Return the corners of a box around (0, 0), as (x, y)."""
    return _rounded(np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]]) * [width, height])


def emblem(rng: np.random.Generator, side: float) -> Points:
    """Return the outline of a logo within a square around (0, 0), as (x, y): a disc, a shield, a lozenge or a hexagon."""
    turns = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    outlines = {
        "disc": np.stack([np.cos(turns), np.sin(turns)], axis=1),
        "shield": np.array([[-0.9, -1], [0.9, -1], [0.9, 0.1], [0.55, 0.65], [0, 1], [-0.55, 0.65], [-0.9, 0.1]]),
        "lozenge": np.array([[0, -1], [1, 0], [0, 1], [-1, 0]]),
        "hexagon": np.array([[-0.5, -0.87], [0.5, -0.87], [1, 0], [0.5, 0.87], [-0.5, 0.87], [-1, 0]]),
    }
    return _rounded(outlines[sorted(outlines)[int(rng.integers(len(outlines)))]] * side / 2)


def bouncing_track(
    rng: np.random.Generator,
    frames: int,
    *,
    room: tuple[float, float],
    size: tuple[float, float],
    speed: float,
    acceleration: float,
) -> Points:
    """Return a centre (x, y) per frame in a picture of `size` (width, height), at least `room` (x, y) from its borders.

    It starts anywhere with up to `speed` pixels per frame, is pushed by a normally distributed acceleration of
    standard deviation `acceleration` and bounces off the borders; 0 and 0 keep it where it is. No step is longer than
    twice `speed`. Source: as `bezier_blob`.
    """
    low = np.minimum(room, np.array(size) / 2)
    high = np.maximum(np.array(size) - room, np.array(size) / 2)
    place, direction = rng.uniform(low, high), rng.uniform(0, 2 * np.pi)
    velocity = rng.uniform(0.3, 1) * speed * np.array([np.cos(direction), np.sin(direction)])
    track = []
    for push in rng.normal(0, acceleration, (frames, 2)):
        track.append(place)
        velocity = velocity + push
        velocity *= min(1, speed / max(float(np.hypot(*velocity)), 1e-9))
        outside = (place + velocity < low) | (place + velocity > high)
        velocity = np.where(outside, -velocity, velocity)
        place = np.clip(place + velocity, low, high)
    return _rounded(np.array(track))


def draw_mask(shape: Mapping[str, Any], track: Sequence[Sequence[float]], size: tuple[int, int]) -> Mask:
    """Return uint8 [t h w] of `size` (height, width): the shape at every place of its track.

    `shape`: `kind` is `blob` or `box` (an `outline`), `stroke` (a `way` and its `thickness`), `text` (`words`,
    `font`, `scale`, `thickness`), or `logo` (an outline in which the words are left open). Edges are hard: a pixel is
    masked or not.
    """
    mask = np.zeros((len(track), *size), np.uint8)
    for picture, place in zip(mask, track, strict=True):
        if shape["kind"] == "text":
            _write(picture, shape, place)
        elif shape["kind"] == "stroke":
            points = _fixed_point(shape["way"], place)
            cv2.polylines(picture, [points], False, 255, shape["thickness"], cv2.LINE_8, _SUBPIXEL)
        else:
            cv2.fillPoly(picture, [_fixed_point(shape["outline"], place)], 255, cv2.LINE_8, _SUBPIXEL)
            if shape["kind"] == "logo":
                letters = np.zeros_like(picture)
                _write(letters, shape, place)
                cv2.subtract(picture, letters, dst=picture)
    return mask


def text_size(shape: Mapping[str, Any]) -> tuple[int, int]:
    """Return width and height in pixels of a `text` shape."""
    (width, height), below = cv2.getTextSize(shape["words"], _FONTS[shape["font"]], shape["scale"], shape["thickness"])
    return width, height + below


def fonts() -> int:
    """Return how many fonts there are."""
    return len(_FONTS)


def moved(mask: Mask, offset: tuple[int, int], grow: int) -> Mask:
    """Return a mask moved by `offset` (x, y) pixels, grown by `grow` pixels all around."""
    matrix = np.array([[1, 0, offset[0]], [0, 1, offset[1]]], np.float32)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * grow + 1, 2 * grow + 1))
    height, width = mask.shape[1:]
    result = np.empty_like(mask)
    for picture, out in zip(mask, result, strict=True):
        shifted = cv2.warpAffine(picture, matrix, (width, height), flags=cv2.INTER_NEAREST)
        cv2.dilate(shifted, disc, dst=out)
    return result


def fill(video: Video, mask: Mask, what: Mapping[str, Any]) -> Video:
    """Return the video with the hole filled: with `what["colour"]` (RGB), or with noise grown from `what["seed"]`.

    The noise is the same in every frame, so that the hole does not flicker. Pixels outside the mask keep their bits.
    """
    if "colour" in what:
        content = np.empty(video.shape[1:], np.uint8)
        content[:] = what["colour"]
    else:
        content = np.random.default_rng(what["seed"]).integers(0, 256, video.shape[1:], dtype=np.uint8)
    filled = video.copy()
    for frame, hole in zip(filled, mask, strict=True):
        cv2.copyTo(content, hole, frame)
    return filled


def _write(picture: NDArray[np.uint8], shape: Mapping[str, Any], place: Sequence[float]) -> None:
    width, height = text_size(shape)
    below = cv2.getTextSize(shape["words"], _FONTS[shape["font"]], shape["scale"], shape["thickness"])[1]
    start = round(place[0] - width / 2), round(place[1] + height / 2 - below)
    cv2.putText(
        picture, shape["words"], start, _FONTS[shape["font"]], shape["scale"], 255, shape["thickness"], cv2.LINE_8
    )
    # OpenCV 5 smooths letters whatever it is asked for
    cv2.threshold(picture, 127, 255, cv2.THRESH_BINARY, dst=picture)


def _fixed_point(points: Sequence[Sequence[float]], place: Sequence[float]) -> NDArray[np.int32]:
    moved = np.asarray(points, float) + np.asarray(place, float)
    return np.round(moved * 2**_SUBPIXEL).astype(np.int32)


def _rounded(points: NDArray[np.float64]) -> Points:
    return [[round(float(x), 2), round(float(y), 2)] for x, y in points]
