"""The surfaces of scenes: photographs and textures that come with scikit-image, tinted, and painted hills."""

from __future__ import annotations

from functools import cache
from importlib import resources

import cv2
import numpy as np
from numpy.typing import NDArray

from configs import MissingExtraError
from datagen.scenes.description import COLOURS, MATERIALS, Thing

Picture = NDArray[np.uint8]
THING_PIXELS = 160
"""Height and width of the picture of a thing, whose surrounding circle just fits in."""
_DIAMOND = 2 / 3
"""Width over height."""
_POINTS = {"triangle": 3, "square": 4, "diamond": 4, "hexagon": 6}


@cache
def photograph(name: str) -> Picture:
    """Return a picture bundled with scikit-image, uint8 [h w 3] RGB."""
    for file in (f"{name}.png", f"{name}.jpg"):
        path = resources.files("skimage.data") / file
        if path.is_file():
            image = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
            return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    raise MissingExtraError(f"this scikit-image does not bundle the picture {name!r}; install scikit-image >= 0.24")


def tinted(name: str, colour: tuple[int, int, int], size: int) -> Picture:
    """Return the texture `name` at `size` x `size` pixels with mean `colour`: uint8 [size size 3]."""
    gray = _gray(name, size)
    # the contrast of the texture around 1, so that its tint keeps the asked colour on average
    relief = np.clip(1 + 0.75 * (np.arange(256, dtype=np.float32) / gray.mean() - 1), 0.35, 1.9)
    tints = np.clip(relief[:, None] * np.array(colour, np.float32), 0, 255).astype(np.uint8)
    return cv2.LUT(cv2.merge([gray] * 3), tints[None])


@cache
def _gray(name: str, size: int) -> NDArray[np.uint8]:
    return cv2.cvtColor(cv2.resize(photograph(name), (size, size), interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)


def thing_picture(thing: Thing) -> tuple[Picture, NDArray[np.float32]]:
    """Return colours uint8 [s s 3] and coverage float32 [s s] in [0, 1] of a thing, centred."""
    texture = MATERIALS[thing.material]
    colour = COLOURS[thing.colour]
    plain = np.full((THING_PIXELS, THING_PIXELS, 3), colour, np.uint8)
    surface = tinted(texture, colour, THING_PIXELS) if texture else plain
    return (surface * _shading()[..., None]).clip(0, 255).astype(np.uint8), coverage(thing.shape)


def backdrop_picture(name: str, seed: int) -> Picture:
    """Return a backdrop uint8 [256 512 3] whose lower border stands on the ground."""
    rng = np.random.default_rng(seed)
    if name == "hills":
        return _hills(rng)
    photo = photograph(name)
    height, width = photo.shape[:2]
    wide = min(width, 2 * height)
    left = int(rng.integers(width - wide + 1))
    crop = photo[: wide // 2, left : left + wide][:, :: 1 if rng.random() < 0.5 else -1]
    return cv2.resize(np.ascontiguousarray(crop), (512, 256), interpolation=cv2.INTER_AREA)


@cache
def _shading() -> NDArray[np.float32]:
    """Light from above left: brighter there, darker below right, as on something round."""
    v, u = np.mgrid[-1 : 1 : THING_PIXELS * 1j, -1 : 1 : THING_PIXELS * 1j].astype(np.float32)
    return np.clip(1.18 - 0.42 * np.hypot(u + 0.35, v + 0.45) ** 1.5, 0.45, 1.25).astype(np.float32)


@cache
def coverage(shape: str) -> NDArray[np.float32]:
    """Return how much of each pixel of its picture a shape covers, float32 [s s] in [0, 1].

    Drawn at four times the size and averaged: edges get their true share of a pixel.
    """
    large = 4 * THING_PIXELS
    canvas = np.zeros((large, large), np.uint8)
    centre, radius = (large // 2, large // 2), large // 2 - 8
    if shape in ("disc", "ring"):
        cv2.circle(canvas, centre, radius, 255, -1)
        if shape == "ring":
            cv2.circle(canvas, centre, radius // 2, 0, -1)
    elif shape == "cross":
        arm = radius // 3
        cv2.rectangle(canvas, (centre[0] - arm, 8), (centre[0] + arm, large - 8), 255, -1)
        cv2.rectangle(canvas, (8, centre[1] - arm), (large - 8, centre[1] + arm), 255, -1)
    else:
        cv2.fillPoly(canvas, [_outline(shape, large / 2, radius)], 255)
    small = cv2.resize(canvas, (THING_PIXELS, THING_PIXELS), interpolation=cv2.INTER_AREA)
    return small.astype(np.float32) / 255


def _outline(shape: str, centre: float, radius: float) -> NDArray[np.int32]:
    points = 10 if shape == "star" else _POINTS[shape]
    turn = np.pi / 4 if shape == "square" else 0.0
    angles = turn + np.arange(points) * 2 * np.pi / points
    radii = np.where(np.arange(points) % 2 == 1, 0.45, 1.0) * radius if shape == "star" else np.full(points, radius)
    # a diamond is narrow, so that however it is turned it is no square
    across = _DIAMOND if shape == "diamond" else 1.0
    corners = np.stack([centre + across * radii * np.sin(angles), centre - radii * np.cos(angles)], axis=1)
    return corners.round().astype(np.int32)


def _hills(rng: np.random.Generator) -> Picture:
    """Paint a sky that pales towards the horizon, some clouds, and three ridges of woods and meadows."""
    height, width = 256, 512
    top, low = np.array([62, 118, 200]) + rng.integers(-25, 26, 3), np.array([196, 214, 232]) + rng.integers(-15, 16, 3)
    share = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    sky = np.broadcast_to(top * (1 - share) + low * share, (height, width, 3)).astype(np.float32).copy()
    clouds = np.clip(_smooth_noise(rng, (height, width), (6, 10)) * 2 - 1, 0, 1)[..., None] * (1 - share)
    picture = sky * (1 - 0.8 * clouds) + 245 * 0.8 * clouds
    leaves = cv2.resize(photograph("grass"), (128, 128), interpolation=cv2.INTER_AREA).astype(np.float32) / 128
    woods = np.tile(leaves, (height // 128, width // 128, 1))
    columns = np.linspace(0, 2 * np.pi, width)
    for ridge in range(3):
        colour = np.array([(88, 120, 70), (70, 110, 58), (110, 130, 60)][ridge]) + rng.integers(-25, 26, 3)
        crest = np.full(width, height * (0.55 + 0.13 * ridge))
        for k in range(1, 5):
            crest += rng.uniform(4, 16) / k * np.sin(k * columns + rng.uniform(0, 6.28))
        covered = (np.arange(height)[:, None] > crest[None])[..., None]
        picture = np.where(covered, woods * colour, picture)
    return np.clip(picture, 0, 255).astype(np.uint8)


def _smooth_noise(rng: np.random.Generator, size: tuple[int, int], cells: tuple[int, int]) -> NDArray[np.float32]:
    coarse = rng.random(cells, dtype=np.float32)
    return cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC)
