"""What can be said of the things in a rendered scene: their words, and where and how much of them is seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from datagen.scenes.camera import View, view_at
from datagen.scenes.description import Scene, Thing
from datagen.scenes.render import Rendered
from datagen.scenes.textures import coverage


@dataclass(frozen=True, kw_only=True, eq=False)
class Appearance:
    """How one thing of a scene appears, frame by frame.

    `number`: its id in `Rendered.ids`. `name`: what one would call it. `words`: its shape, colour, material and size
    by these names. `centre`: float32 [t 2], (column, row) of its centre in pixels, which may lie outside the picture.
    `box`: int32 [t 4], (left, top, right, bottom) around what is seen of it, right and bottom exclusive, zeros where
    nothing is. `pixels`: int64 [t], how many pixels show it. `visible`: float32 [t] in [0, 1], the share of its outline
    that is neither hidden nor outside. `own_way`: pixels by which its own motion takes it to the right, the camera's apart.
    """

    number: int
    name: str
    words: dict[str, str]
    centre: NDArray[np.float32]
    box: NDArray[np.int32]
    pixels: NDArray[np.int64]
    visible: NDArray[np.float32]
    own_way: float


def describe(scene: Scene, rendered: Rendered, numbers: Sequence[int] | None = None) -> tuple[Appearance, ...]:
    """Return how each thing of `scene` appears in `rendered`, its frames `numbers` or all of them, in the order of their ids.

    What is seen of a longer scene outside of these frames is not told: a thing may stand still there and move here.
    """
    views = [view_at(scene, number) for number in (range(scene.frames) if numbers is None else numbers)]
    return tuple(_appearance(views, rendered, thing, k) for k, thing in enumerate(scene.things, start=1))


def _appearance(views: Sequence[View], rendered: Rendered, thing: Thing, number: int) -> Appearance:
    placed = np.array([view.project(thing.x.at(view.s), thing.y.at(view.s), thing.z.at(view.s)) for view in views])
    seen = [(ids == number).view(np.uint8) for ids in rendered.ids]
    pixels = np.array([cv2.countNonZero(shown) for shown in seen])
    whole = _share_of_square(thing.shape) * (2 * thing.radius * placed[:, 2]) ** 2
    return Appearance(
        number=number,
        name=thing.name,
        words={"shape": thing.shape, "colour": thing.colour, "material": thing.material, "size": thing.size},
        centre=placed[:, :2].astype(np.float32),
        box=np.array([_box(shown) for shown in seen], np.int32),
        pixels=pixels.astype(np.int64),
        # pixels are whole and outlines are not: a small thing may count a little more than its area
        visible=np.minimum(pixels / whole, 1).astype(np.float32),
        own_way=float((thing.x.at(views[-1].s) - thing.x.at(views[0].s)) * placed[0, 2]),
    )


@cache
def _share_of_square(shape: str) -> float:
    """Return how much of the square around its circle a shape covers, its holes left out."""
    return float(coverage(shape).mean())


def _box(shown: NDArray[np.uint8]) -> tuple[int, int, int, int]:
    left, top, width, height = cv2.boundingRect(shown)
    return left, top, left + width, top + height
