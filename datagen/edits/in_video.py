"""Edits of what object masks mark in a real video."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from datagen.edits import Drawn, Edit, Edited, Operation, one_of, phrase
from datagen.effects import local, removal
from datagen.scenes import Scene, Track, render
from datagen.scenes.description import BACKDROPS, COLOURS
from datagen.scenes.textures import backdrop_picture
from datagen.sources.base import Clip
from datagen.tasks.base import UnsuitableClipError
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
    "cut {x} out and put {b} behind",
    "show {x} in front of {b}",
)
_REMOVE = ("remove {x}", "take {x} away", "erase {x}", "get rid of {x}", "make {x} disappear")
_SCENES = ("hills", "hubble_deep_field")
"""Backdrops that something may stand or float before: hills with a ground at their foot, and space."""
_MEADOWS = (("grass", (86, 128, 58)), ("gravel", (150, 130, 98)))
_ABOVE_FEET, _HORIZONS = 0.12, (0.2, 0.5)
"""Of the picture's height: how much higher than the objects' feet the horizon is, and where it may be."""
PAINTS = tuple(name for name in COLOURS if name not in ("white", "brown"))
"""Colours that a change of hue and chroma alone can give to anything."""
_WIDER = 1.25
"""A backdrop is so many times as large as the picture, so that it can follow the camera."""
_LEAST, _MOST = 0.01, 0.6
"""Of the picture: what an object must cover, in the mean over the clip, and what it may cover of a new background."""


def _draw_recolour(clip: Clip, rng: np.random.Generator) -> Drawn:
    k = one_of(_large(clip), rng)
    x = one_of(clip.names[k], rng)
    own = clip.frames[clip.ids == k].mean(0)
    colours = [c for c in PAINTS if c not in x.split() and local.takes_colour(own, COLOURS[c])]
    if not colours:
        raise UnsuitableClipError("no color would show on the object")
    colour = one_of(colours, rng)
    operation = {"op": "recolour", "object": k, "colour": colour, "rgb": list(COLOURS[colour])}
    return Drawn(program=[operation], words=phrase(_RECOLOUR, rng, x=x, colour=colour))


def _recolour(clip: Clip, program: Sequence[Operation]) -> Edited:
    (operation,) = program
    mask = _mask(clip, operation["object"])
    red, green, blue = operation["rgb"]
    return Edited(target=local.recoloured(clip.frames, mask, (red, green, blue)), mask=mask)


def _draw_background(clip: Clip, rng: np.random.Generator) -> Drawn:
    cover = [(ids > 0).mean() for ids in _ids(clip)]
    if min(cover) < _LEAST or max(cover) > _MOST:
        raise UnsuitableClipError(
            f"its objects cover {min(cover):.1%} to {max(cover):.1%} of a frame, not {_LEAST:.0%} to {_MOST:.0%}"
        )
    backdrop = one_of(_SCENES, rng)
    operation: dict[str, Any] = {"op": "background", "backdrop": backdrop, "seed": int(rng.integers(2**31))}
    if backdrop == "hills":
        ground, colour = one_of(_MEADOWS, rng)
        shadow = round(float(rng.uniform(0.4, 0.6)), 3)
        operation |= {"ground": ground, "ground_colour": list(colour), "horizon": _horizon(clip), "shadow": shadow}
    alone = [k for k in np.unique(_ids(clip)) if k > 0]
    x = one_of(clip.names[alone[0]], rng) if len(alone) == 1 and alone[0] in clip.names else "what is in the foreground"
    return Drawn(program=[operation], words=phrase(_BACKGROUND, rng, x=x, b=BACKDROPS[backdrop]))


def _background(clip: Clip, program: Sequence[Operation]) -> Edited:
    (operation,) = program
    size = clip.frames.shape[1:3]
    picture = _landscape(operation, size) if "ground" in operation else _sky(operation, size)
    shadows = local.contact_shadows(_ids(clip), operation["shadow"]) if "shadow" in operation else None
    target, mask = local.on_background(clip.frames, _mask(clip, 0), picture, shadows)
    return Edited(target=target, mask=mask)


def _horizon(clip: Clip) -> float:
    """Return where the horizon of a landscape is, as a share of the height, for all objects to stand on its ground."""
    feet = [np.flatnonzero(ids.any(1))[-1] for ids in _ids(clip)]
    return round(float(np.clip(min(feet) / clip.frames.shape[1] - _ABOVE_FEET, *_HORIZONS)), 4)


def _landscape(operation: Operation, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return hills behind a ground, seen from a camera at eye level, with room for the camera's way."""
    height, width = (round(_WIDER * side) for side in size)
    scene = Scene(
        frames=1,
        height=height,
        width=width,
        focal=1.1 * max(size),
        horizon=0.5 + (operation["horizon"] - 0.5) / _WIDER,
        camera_x=Track(offset=0.0),
        camera_y=Track(offset=1.6),
        camera_z=Track(offset=0.0),
        ground=operation["ground"],
        ground_colour=tuple(operation["ground_colour"]),
        backdrop=operation["backdrop"],
        backdrop_z=40.0,
        backdrop_seed=operation["seed"],
        light=1.0,
        things=(),
    )
    return np.asarray(render(scene).frames[0], np.uint8)


def _sky(operation: Operation, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return a picture at a size that covers the frames and some room for the camera's way."""
    picture = backdrop_picture(operation["backdrop"], operation["seed"])
    scale = _WIDER * max(size[0] / picture.shape[0], size[1] / picture.shape[1])
    return np.asarray(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC), np.uint8)


def _draw_remove(clip: Clip, rng: np.random.Generator) -> Drawn:
    refusals = {}
    for k in rng.permutation(_large(clip)).tolist():
        refusals[k] = _refusal(clip, k)
        if not refusals[k]:
            words = phrase(_REMOVE, rng, x=one_of(clip.names[k], rng))
            return Drawn(program=[{"op": "remove", "object": k}], words=words)
    raise UnsuitableClipError(", ".join(sorted(set(refusals.values()))))


def _refusal(clip: Clip, number: int) -> str:
    """Return why an object cannot be taken out, or nothing."""
    holes, others, plate = _behind(clip, number)
    if not removal.stands_still(clip.frames, holes | others):
        return "the camera or the background moves"
    # what lies close to another object cannot be taken away without cutting into that one
    if (holes & others).any():
        return "the object or its shadow touches another one"
    never_seen = ((holes | others) > 0).all(0)
    if (never_seen & (holes > 0).any(0)).any():
        return "what is behind the object is not seen in any frame"
    if not removal.is_calm(clip.frames, holes | others, plate):
        return "a shadow that lies apart, or something else, changes"
    return ""


def _remove(clip: Clip, program: Sequence[Operation]) -> Edited:
    (operation,) = program
    holes, _, plate = _behind(clip, operation["object"])
    return Edited(target=removal.removed(clip.frames, holes, plate), mask=holes)


@lru_cache(maxsize=1)  # drawing looks at it, and applying needs it a moment later
def _behind(clip: Clip, number: int) -> tuple[Video, Video, NDArray[np.uint8]]:
    """Return the holes that an object and its shadow leave, those of all other objects, and what is behind, uint8 [h w 3]."""
    one, others = removal.widened(_mask(clip, number)), removal.widened(_others(clip, number))
    plate = removal.clean_plate(clip.frames, one | others)
    holes = removal.with_shadows(clip.frames, one, others, plate)
    rest = removal.with_shadows(clip.frames, others, one, plate)
    return holes, rest, removal.clean_plate(clip.frames, holes | rest)


def _others(clip: Clip, number: int) -> Video:
    """Return the mask of all objects but one."""
    ids = _ids(clip)
    return np.where((ids > 0) & (ids != number), np.uint8(255), np.uint8(0))


def _large(clip: Clip) -> list[int]:
    """Return the objects that are named and large enough to be edited."""
    _ids(clip)
    found = [k for k in sorted(clip.names) if _cover(clip, k) >= _LEAST]
    if not found:
        raise UnsuitableClipError("no object that is named is large enough")
    return found


def _ids(clip: Clip) -> Video:
    if clip.ids is None:
        raise UnsuitableClipError("no object masks")
    return clip.ids


def _cover(clip: Clip, number: int) -> float:
    return float((_ids(clip) == number).mean())


def _mask(clip: Clip, number: int) -> Video:
    """Return the mask of one object, or of all (0)."""
    ids = _ids(clip)
    shown = ids > 0 if number == 0 else ids == number
    return np.where(shown, np.uint8(255), np.uint8(0))


EDITS: dict[str, Edit] = {
    "recolour": Edit(draw=_draw_recolour, apply=_recolour),
    "background": Edit(draw=_draw_background, apply=_background),
    "remove": Edit(draw=_draw_remove, apply=_remove),
}
