"""Edits of procedural scenes: the program changes the scene's description, and the target is rendered from it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from datagen.edits import Drawn, Edit, Edited, Operation, one_of, phrase
from datagen.edits.motion import other_motions
from datagen.scenes import Scene, Thing, Track, render_edited
from datagen.scenes.camera import view_at
from datagen.scenes.description import ALIKE, BACKDROPS, COLOURS, MATERIALS, SHAPES, SIZES
from datagen.scenes.editing import run_program, thing_to_plain
from datagen.scenes.expressions import TEXTURE_SHOWS
from datagen.scenes.render import share_seen
from datagen.sources.base import Clip
from datagen.tasks.base import UnsuitableClipError

_WORDINGS: dict[str, tuple[str, ...]] = {
    "recolour": (
        "turn {x} {colour}",
        "make {x} {colour}",
        "change the color of {x} to {colour}",
        "paint {x} {colour}",
        "give {x} a {colour} color",
    ),
    "retexture": (
        "make {x} look as if it were made of {material}",
        "give {x} a surface of {material}",
        "cover {x} with {material}",
        "let {x} have the texture of {material}",
    ),
    "larger": ("make {x} larger", "enlarge {x}", "scale {x} up", "increase the size of {x}"),
    "smaller": ("make {x} smaller", "shrink {x}", "scale {x} down", "reduce the size of {x}"),
    "replace": (
        "replace {x} with {y}",
        "swap {x} for {y}",
        "put {y} in the place of {x}",
        "exchange {x} for {y}",
        "turn {x} into {y}",
    ),
    "remove": ("remove {x}", "take {x} away", "erase {x}", "get rid of {x}", "delete {x}", "make {x} disappear"),
    "add": ("add {y} {place}", "put {y} {place}", "insert {y} {place}", "place {y} {place}"),
    "background": ("replace the background with {b}", "change the background to {b}", "put {b} in the background"),
    "ground": (
        "turn the ground into {g}",
        "cover the ground with {g}",
        "make the ground {g}",
        "replace the ground with {g}",
    ),
    "still": ("make {x} stand still", "stop {x}", "freeze the motion of {x}", "let {x} rest where it is"),
    "left": ("make {x} move to the left", "let {x} glide to the left", "send {x} to the left"),
    "right": ("make {x} move to the right", "let {x} glide to the right", "send {x} to the right"),
    "spin": ("make {x} spin", "let {x} rotate", "set {x} spinning"),
    "bounce": ("make {x} bounce", "let {x} hop up and down", "set {x} bouncing"),
}
_SURFACES = {
    "brick": ("brick", ("red", "white")),
    "grassy": ("grass", ("green", "yellow")),
    "stony": ("gravel", ("white", "brown")),
}
"""What materials are called, and the colours they come in: a relief alone does not show on most things."""
_GROUNDS = {
    "grass": ("grass", (66, 138, 40)),
    "gravel": ("pale gravel", (198, 192, 182)),
    "brick": ("red bricks", (182, 66, 44)),
}
_OTHER = 125.0
"""Distance in RGB: nearer colours, blue and purple or red and brown, leave doubt about whether anything was done."""
_OTHER_GROUND = 55.0
_TRIES = 8
_LEAST_SEEN, _MOSTLY_SEEN = 0.004, 0.6
"""Of the picture, and of the thing itself, that must be seen of it where an edit puts it."""
_COVERED = 0.06
"""Of a third of the picture: what may be covered there by other things where one is added."""
_PLACES = ((-0.28, "on the left"), (0.0, "in the middle"), (0.28, "on the right"))
"""Offset from the middle, as a share of the picture's width."""


def _recolour(clip: Clip, scene: Scene, rng: np.random.Generator) -> Drawn:
    k, x = _referred(clip, rng)
    colour = one_of(_other_colours(scene.things[k - 1].colour), rng)
    return _drawn("recolour", rng, {"op": "recolour", "object": k, "colour": colour}, x=x, colour=colour)


def _retexture(clip: Clip, scene: Scene, rng: np.random.Generator) -> Drawn:
    k, x = _referred(clip, rng, least=TEXTURE_SHOWS)
    others = _other_colours(scene.things[k - 1].colour)
    material, colour = one_of(
        [
            (material, colour)
            for material, (_, colours) in _SURFACES.items()
            for colour in colours
            if material != scene.things[k - 1].material and colour in others
        ],
        rng,
    )
    operation = {"op": "retexture", "object": k, "material": material, "colour": colour}
    return _drawn("retexture", rng, operation, x=x, material=f"{colour} {_SURFACES[material][0]}")


def _resize(clip: Clip, scene: Scene, rng: np.random.Generator) -> Drawn:
    k, x = _referred(clip, rng)
    old = scene.things[k - 1].radius
    size = one_of([name for name, radius in SIZES.items() if radius != old], rng)
    return _drawn("larger" if SIZES[size] > old else "smaller", rng, {"op": "resize", "object": k, "size": size}, x=x)


def _replace(clip: Clip, scene: Scene, rng: np.random.Generator) -> Drawn:
    k, x = _referred(clip, rng)
    old = scene.things[k - 1]
    alike = {old.shape}.union(*(pair for pair in ALIKE if old.shape in pair))
    shape, colour = one_of(_new_looks(scene, set(SHAPES) - alike, _other_colours(old.colour)), rng)
    material = one_of(tuple(MATERIALS), rng)
    operation = {"op": "replace", "object": k, "shape": shape, "colour": colour, "material": material}
    thing = replace(old, shape=shape, colour=colour, material=material)
    return _drawn("replace", rng, operation, x=x, y=_called(thing, with_size=False))


def _remove(clip: Clip, scene: Scene, rng: np.random.Generator) -> Drawn:
    k, x = _referred(clip, rng)
    return _drawn("remove", rng, {"op": "remove", "object": k}, x=x)


def _add(clip: Clip, scene: Scene, rng: np.random.Generator) -> Drawn:
    shape, colour = one_of(_new_looks(scene, SHAPES, COLOURS), rng)
    offset, place = one_of(_free_places(clip), rng)
    size = one_of(tuple(SIZES), rng)
    # far enough that a large thing fits into the picture, and moving along with the camera so that it stays in its place
    z = round(float(rng.uniform(6.0, 9.0)) * (1.3 if size == "large" else 1.0), 4)
    x = round(offset * scene.width / scene.focal * z, 4)
    thing = Thing(
        shape=shape,
        colour=colour,
        material=one_of(tuple(MATERIALS), rng),
        size=size,
        x=Track(offset=round(x + scene.camera_x.at(0), 4), speed=scene.camera_x.speed),
        y=Track(offset=round(1.02 * SIZES[size], 4)),
        z=Track(offset=round(z + scene.camera_z.at(0), 4), speed=scene.camera_z.speed),
        spin=Track(offset=round(float(rng.uniform(-0.3, 0.3)), 4)),
    )
    return _drawn("add", rng, {"op": "add", "thing": thing_to_plain(thing)}, y=_called(thing), place=place)


def _background(clip: Clip, scene: Scene, rng: np.random.Generator) -> Drawn:
    backdrop = one_of([name for name in BACKDROPS if name != scene.backdrop], rng)
    operation = {"op": "background", "backdrop": backdrop, "seed": int(rng.integers(2**31))}
    return _drawn("background", rng, operation, b=BACKDROPS[backdrop])


def _ground(clip: Clip, scene: Scene, rng: np.random.Generator) -> Drawn:
    ground, (called, colour) = one_of(
        [
            (name, look)
            for name, look in _GROUNDS.items()
            if name != scene.ground and _distance(look[1], scene.ground_colour) > _OTHER_GROUND
        ],
        rng,
    )
    return _drawn("ground", rng, {"op": "ground", "ground": ground, "colour": list(colour)}, g=called)


def _motion(clip: Clip, scene: Scene, rng: np.random.Generator) -> Drawn:
    if clip.window.frames < 2:
        raise UnsuitableClipError("one frame shows no motion")
    k, x = _referred(clip, rng, with_motion=False)
    tracks = other_motions(scene.things[k - 1], [view_at(scene, number) for number in clip.window.indices], rng)
    if not tracks:
        raise UnsuitableClipError("the object moves in all these ways already")
    way = one_of(sorted(tracks), rng)
    plain = {axis: _rounded(track) for axis, track in tracks[way].items()}
    return _drawn(way, rng, {"op": "motion", "object": k, **plain}, x=x)


def _apply(clip: Clip, program: Sequence[Operation]) -> Edited:
    """Render the edited scene; the mask is where any pixel differs, shadows included."""
    if clip.scene is None:
        raise ValueError(f"{clip.video.id} is no scene")
    target = render_edited(run_program(clip.scene, program), clip.scene, clip.frames, clip.window.indices)
    return Edited(target=target, mask=np.stack([_differing(*pair) for pair in zip(target, clip.frames, strict=True)]))


def _differing(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return uint8 [h w], 255 where two pictures differ in any channel."""
    same = cv2.inRange(cv2.absdiff(a, b), np.zeros(3), np.zeros(3))
    return np.asarray(cv2.bitwise_not(same), np.uint8)


def _shows(clip: Clip, scene: Scene, operation: Operation) -> bool:
    """Whether one sees, from the clip's first frame to its last, the thing that was changed or put somewhere."""
    if operation["op"] not in ("add", "motion", "resize", "replace"):
        return True
    edited = run_program(scene, [operation])
    k = operation.get("object", len(edited.things))
    numbers = clip.window.indices
    seen = [share_seen(edited, k, numbers[i]) for i in (0, len(numbers) // 2, -1)]
    return all(picture >= _LEAST_SEEN and itself >= _MOSTLY_SEEN for picture, itself in seen)


def _referred(clip: Clip, rng: np.random.Generator, *, with_motion: bool = True, least: float = 0.0) -> tuple[int, str]:
    """Draw an object and a phrase that fits it alone; without motion words where the motion is to change.

    `least`: share of the picture that must be seen of it in every frame.
    """
    names = {
        k: [phrase for phrase in phrases if with_motion or " moving " not in phrase]
        for k, phrases in clip.names.items()
    }
    numbers = [k for k, phrases in sorted(names.items()) if phrases and _least_seen(clip, k) >= least]
    if not numbers:
        raise UnsuitableClipError("no object that can be named is seen well enough in every frame")
    k = one_of(numbers, rng)
    return k, str(one_of(names[k], rng))


def _least_seen(clip: Clip, k: int) -> float:
    return 0.0 if clip.ids is None else float((clip.ids == k).mean((1, 2)).min())


def _free_places(clip: Clip) -> list[tuple[float, str]]:
    """Return the places that hardly anything covers during the clip, or else the one that least does."""
    if clip.ids is None:
        return list(_PLACES)
    width = clip.ids.shape[2]
    columns = (clip.ids > 0).mean((0, 1))
    covered = {
        place: float(
            columns[max(int((0.5 + place[0] - 0.14) * width), 0) : int((0.5 + place[0] + 0.14) * width)].mean()
        )
        for place in _PLACES
    }
    return [place for place, share in covered.items() if share < _COVERED] or [min(covered, key=lambda p: covered[p])]


def _new_looks(scene: Scene, shapes: Collection[str], colours: Collection[str]) -> list[tuple[str, str]]:
    """Return pairs of a shape and a colour that no thing in the scene has together."""
    taken = {(thing.shape, thing.colour) for thing in scene.things}
    pairs = ((shape, colour) for shape in SHAPES for colour in COLOURS if shape in shapes and colour in colours)
    return [pair for pair in pairs if pair not in taken]


def _other_colours(colour: str) -> list[str]:
    """Return the colours that are plainly others."""
    return [name for name, rgb in COLOURS.items() if _distance(rgb, COLOURS[colour]) > _OTHER]


def _distance(one: Sequence[float], other: Sequence[float]) -> float:
    return float(np.linalg.norm(np.subtract(one, other)))


def _called(thing: Thing, *, with_size: bool = True) -> str:
    """Return `a small red brick star`."""
    name = thing.name.removeprefix("the ")
    name = name if with_size else name.removeprefix(f"{thing.size} ")
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def _rounded(track: Track) -> dict[str, float]:
    return {name: round(float(value), 5) for name, value in asdict(track).items()}


def _drawn(wording: str, rng: np.random.Generator, operation: Operation, **words: str) -> Drawn:
    return Drawn(program=[operation], words=phrase(_WORDINGS[wording], rng, **words))


def _in_scenes(draw: Callable[[Clip, Scene, np.random.Generator], Drawn]) -> Edit:
    def drawn(clip: Clip, rng: np.random.Generator) -> Drawn:
        if clip.scene is None:
            raise UnsuitableClipError("an edit of scenes")
        for _ in range(_TRIES):
            made = draw(clip, clip.scene, rng)
            if _shows(clip, clip.scene, made.program[0]):
                return made
        raise UnsuitableClipError("what it changes would be hidden")

    return Edit(draw=drawn, apply=_apply)


EDITS: dict[str, Edit] = {
    "recolour": _in_scenes(_recolour),
    "retexture": _in_scenes(_retexture),
    "resize": _in_scenes(_resize),
    "replace": _in_scenes(_replace),
    "remove": _in_scenes(_remove),
    "motion": _in_scenes(_motion),
    "add": _in_scenes(_add),
    "background": _in_scenes(_background),
    "ground": _in_scenes(_ground),
}
