"""Edits of what object masks mark in a real video."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from datagen.edits import Drawn, Edit, Edited, Operation, one_of, phrase
from datagen.effects import local
from datagen.scenes.description import COLOURS
from datagen.scenes.textures import backdrop_picture
from datagen.sources.base import Clip
from shards.sample import Video

_RECOLOUR = (
    "turn {x} {colour}",
    "make {x} {colour}",
    "change the color of {x} to {colour}",
    "paint {x} {colour}",
    "recolor {x} in {colour}",
)
_BACKGROUND = (
    "replace the background with {b}",
    "change the background to {b}",
    "put {b} behind {x}",
    "cut out {x} and place it before {b}",
    "show {x} in front of {b}",
)
_REMOVE = ("remove {x}", "take {x} away", "erase {x}", "get rid of {x}", "make {x} disappear")
_SCENES = {
    "hills": "a hilly landscape",
    "hubble_deep_field": "a sky full of galaxies",
    "rocket": "a rocket on its launch pad",
}
_PAINTS = tuple(name for name in COLOURS if name not in ("white", "brown"))
"""Colours that a change of hue and chroma alone can give to anything."""
_WIDER = 1.25
"""A backdrop is so many times as large as the picture, so that it can follow the camera."""
_LEAST, _MOST = 0.01, 0.6
"""Of the picture: what an object must cover, in the mean over the clip, and what it may cover of a new background."""


def _draw_recolour(clip: Clip, rng: np.random.Generator) -> Drawn | None:
    names = {k: phrases for k, phrases in sorted(clip.names.items()) if _cover(clip, k) >= _LEAST}
    if clip.ids is None or not names or clip.scene is not None:
        return None
    k = one_of(list(names), rng)
    x = one_of(names[k], rng)
    # an edit that shows: far from the colour that the object has
    own = clip.frames[clip.ids == k].mean(0)
    colours = [c for c in _PAINTS if c not in x.split() and np.linalg.norm(np.array(COLOURS[c]) - own) > 90]
    if not colours:
        return None
    colour = one_of(colours, rng)
    operation = {"op": "recolour", "object": k, "colour": colour, "rgb": list(COLOURS[colour])}
    return Drawn(program=[operation], words=phrase(_RECOLOUR, rng, x=x, colour=colour))


def _recolour(clip: Clip, program: Sequence[Operation]) -> Edited:
    (operation,) = program
    mask = _mask(clip, operation["object"])
    red, green, blue = operation["rgb"]
    return Edited(target=local.recoloured(clip.frames, mask, (red, green, blue)), mask=mask)


def _draw_background(clip: Clip, rng: np.random.Generator) -> Drawn | None:
    if clip.ids is None or clip.scene is not None:
        return None
    cover = [(ids > 0).mean() for ids in clip.ids]
    if min(cover) < _LEAST or max(cover) > _MOST:
        return None
    backdrop = one_of(tuple(_SCENES), rng)
    operation = {"op": "background", "backdrop": backdrop, "seed": int(rng.integers(2**31))}
    seen = np.unique(clip.ids)
    alone = [k for k in seen if k > 0]
    x = one_of(clip.names[alone[0]], rng) if len(alone) == 1 and alone[0] in clip.names else "what is in the foreground"
    return Drawn(program=[operation], words=phrase(_BACKGROUND, rng, x=x, b=_SCENES[backdrop]))


def _background(clip: Clip, program: Sequence[Operation]) -> Edited:
    (operation,) = program
    height, width = clip.frames.shape[1:3]
    picture = backdrop_picture(operation["backdrop"], operation["seed"])
    mask = _mask(clip, 0)
    target = local.on_background(clip.frames, mask, _covering(picture, height, width))
    return Edited(target=target, mask=255 - mask)


def _draw_remove(clip: Clip, rng: np.random.Generator) -> Drawn | None:
    names = {k: phrases for k, phrases in sorted(clip.names.items()) if _cover(clip, k) >= _LEAST}
    if clip.ids is None or not names or clip.scene is not None:
        return None
    k = one_of(list(names), rng)
    # what lies close to another object cannot be taken away without cutting into that one
    others = (clip.ids > 0) & (clip.ids != k)
    touched = bool((others & (local.widened(_mask(clip, k)) > 0)).any())
    if touched or local.clean_plate(clip.frames, _mask(clip, k)) is None:
        return None
    return Drawn(program=[{"op": "remove", "object": k}], words=phrase(_REMOVE, rng, x=one_of(names[k], rng)))


def _remove(clip: Clip, program: Sequence[Operation]) -> Edited:
    (operation,) = program
    mask = _mask(clip, operation["object"])
    plate = local.clean_plate(clip.frames, mask)
    if plate is None:
        raise ValueError("what is behind the object is not seen in this clip")
    target, holes = local.removed(clip.frames, mask, plate)
    return Edited(target=target, mask=holes)


def _cover(clip: Clip, number: int) -> float:
    return 0.0 if clip.ids is None else float((clip.ids == number).mean())


def _mask(clip: Clip, number: int) -> Video:
    """Return the mask of one object, or of all (0)."""
    if clip.ids is None:
        raise ValueError(f"{clip.video.id} has no object masks")
    shown = clip.ids > 0 if number == 0 else clip.ids == number
    return np.where(shown, np.uint8(255), np.uint8(0))


def _covering(picture: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Return the picture at a size that covers the frames and some room for the camera's way."""
    scale = _WIDER * max(height / picture.shape[0], width / picture.shape[1])
    size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC), np.uint8)


EDITS: dict[str, Edit] = {
    "recolour": Edit(draw=_draw_recolour, apply=_recolour),
    "background": Edit(draw=_draw_background, apply=_background),
    "remove": Edit(draw=_draw_remove, apply=_remove),
}
