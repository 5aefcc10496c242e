"""Edits of procedural scenes: the program changes the scene's description, and the target is rendered from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from datagen.edits import Drawn, Edit, Edited, Operation, one_of, phrase
from datagen.scenes import Scene, Thing, Track, render_edited
from datagen.scenes.camera import view_at
from datagen.scenes.description import BACKDROPS, COLOURS, GROUNDS, MATERIALS, SHAPES, SIZES
from datagen.scenes.editing import run_program, thing_to_plain
from datagen.scenes.render import share_seen
from datagen.sources.base import Clip

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
    "smooth": (
        "make {x} smooth",
        "give {x} a plain surface",
        "take the texture off {x}",
        "let {x} be of one plain color",
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
_BACKDROPS = {
    "hills": "a hilly landscape",
    "rocket": "a rocket on its launch pad",
    "coffee": "a cup of coffee",
    "chelsea": "a cat's face",
    "hubble_deep_field": "a sky full of galaxies",
}
_MATERIALS = {"brick": "brick", "grassy": "grass", "stony": "gravel"}
_GROUNDS = {"grass": "grass", "gravel": "gravel", "brick": "bricks"}
_GROUND_COLOURS = {"grass": (96, 128, 62), "gravel": (134, 126, 118), "brick": (150, 84, 62)}
_SEEN_STILL = 0.03
"""Share of the picture's width by which a thing at rest may drift."""
_TRIES = 8
_LEAST_SEEN, _MOSTLY_SEEN = 0.004, 0.6
"""Of the picture, and of the thing itself, that must be seen of it where an edit puts it."""
_COVERED = 0.06
"""Of a third of the picture: what may be covered there by other things where one is added."""
_PLACES = ((-0.28, "on the left"), (0.0, "in the middle"), (0.28, "on the right"))
"""Offset from the middle, as a share of the picture's width."""


def _recolour(clip: Clip, scene: Scene, rng: np.random.Generator) -> Drawn | None:
    k, x = _referred(clip, rng)
    # near colours would leave doubt about what was done
    alike = {
        scene.things[k - 1].colour,
        *({"orange", "brown"} if scene.things[k - 1].colour in ("orange", "brown") else ()),
    }
    colour = one_of([name for name in COLOURS if name not in alike and name not in x.split()], rng)
    return _drawn("recolour", rng, {"op": "recolour", "object": k, "colour": colour}, x=x, colour=colour)


def _retexture(clip: Clip, scene: Scene, rng: np.random.Generator) -> Drawn | None:
    k, x = _referred(clip, rng)
    material = one_of([name for name in MATERIALS if name != scene.things[k - 1].material], rng)
    operation = {"op": "retexture", "object": k, "material": material}
    if material == "plain":
        return _drawn("smooth", rng, operation, x=x)
    return _drawn("retexture", rng, operation, x=x, material=_MATERIALS[material])


def _resize(clip: Clip, scene: Scene, rng: np.random.Generator) -> Drawn | None:
    k, x = _referred(clip, rng)
    old = scene.things[k - 1].radius
    size = one_of([name for name, radius in SIZES.items() if radius != old], rng)
    return _drawn("larger" if SIZES[size] > old else "smaller", rng, {"op": "resize", "object": k, "size": size}, x=x)


def _replace(clip: Clip, scene: Scene, rng: np.random.Generator) -> Drawn | None:
    k, x = _referred(clip, rng)
    shape, colour = _new_look(scene, rng)
    material = one_of(tuple(MATERIALS), rng)
    operation = {"op": "replace", "object": k, "shape": shape, "colour": colour, "material": material}
    thing = replace(scene.things[k - 1], shape=shape, colour=colour, material=material)
    return _drawn("replace", rng, operation, x=x, y=_called(thing, with_size=False))


def _remove(clip: Clip, scene: Scene, rng: np.random.Generator) -> Drawn | None:
    k, x = _referred(clip, rng)
    return _drawn("remove", rng, {"op": "remove", "object": k}, x=x)


def _add(clip: Clip, scene: Scene, rng: np.random.Generator) -> Drawn | None:
    shape, colour = _new_look(scene, rng)
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


def _background(clip: Clip, scene: Scene, rng: np.random.Generator) -> Drawn | None:
    backdrop = one_of([name for name in BACKDROPS if name != scene.backdrop], rng)
    operation = {"op": "background", "backdrop": backdrop, "seed": int(rng.integers(2**31))}
    return _drawn("background", rng, operation, b=_BACKDROPS[backdrop])


def _ground(clip: Clip, scene: Scene, rng: np.random.Generator) -> Drawn | None:
    ground = one_of([name for name in GROUNDS if name != scene.ground], rng)
    return _drawn(
        "ground", rng, {"op": "ground", "ground": ground, "colour": list(_GROUND_COLOURS[ground])}, g=_GROUNDS[ground]
    )


def _motion(clip: Clip, scene: Scene, rng: np.random.Generator) -> Drawn | None:
    k, x = _referred(clip, rng, with_motion=False)
    if not x:
        return None
    thing = scene.things[k - 1]
    start, end = thing.x.at(0), view_at(scene, scene.frames - 1)
    # metres that one sees plainly: a fifth of the picture's width at the thing's distance, and the camera's own way
    far = round(0.2 * scene.width / scene.focal * thing.z.offset, 4)
    ways = {"left": end.x - scene.camera_x.at(0) - far, "right": end.x - scene.camera_x.at(0) + far}
    tracks: dict[str, dict[str, Track]] = {
        name: {"x": Track(offset=start, speed=way)}
        for name, way in ways.items()
        if 0.1 < end.project(start + way, 0, thing.z.at(1))[0] / scene.width < 0.9
    }
    tracks |= {
        "spin": {"spin": Track(offset=thing.spin.offset, speed=2.4 if rng.random() < 0.5 else -2.4)},
        "bounce": {"y": Track(offset=1.8 * thing.radius, sway=0.75 * thing.radius, phase=thing.y.phase)},
    }
    moves = abs(thing.x.speed) > far / 3 or thing.spin.speed != 0 or thing.y.sway > 0.2 * thing.radius
    # to stand still in the world is to be seen standing still only before a camera that hardly moves
    begin = view_at(scene, 0).project(start, 0, thing.z.at(0))[0]
    seen_still = abs(end.project(start, 0, thing.z.at(0))[0] - begin) / scene.width < _SEEN_STILL
    if moves and seen_still:
        still = {"x": thing.x, "y": thing.y, "z": thing.z, "spin": thing.spin}
        tracks["still"] = {axis: Track(offset=track.at(0)) for axis, track in still.items()}
    # what it does already is no edit, and nobody sees a disc spin
    if thing.shape in ("disc", "ring") or abs(thing.spin.speed) > 0.3:
        del tracks["spin"]
    if thing.y.sway > 0.2 * thing.radius:
        del tracks["bounce"]
    if abs(thing.x.speed) > far / 3:
        tracks.pop("left" if thing.x.speed < 0 else "right", None)
    if not tracks:
        return None
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


def _shows(scene: Scene, operation: Operation) -> bool:
    """Whether one sees, from the first frame to the last, the thing that was put somewhere."""
    if operation["op"] not in ("add", "motion"):
        return True
    edited = run_program(scene, [operation])
    k = operation.get("object", len(edited.things))
    seen = [share_seen(edited, k, frame) for frame in (0, scene.frames // 2, scene.frames - 1)]
    return all(picture >= _LEAST_SEEN and itself >= _MOSTLY_SEEN for picture, itself in seen)


def _referred(clip: Clip, rng: np.random.Generator, *, with_motion: bool = True) -> tuple[int, str]:
    """Draw an object and a phrase that fits it alone; without motion words where the motion is to change."""
    names = {
        k: [phrase for phrase in phrases if with_motion or " moving " not in phrase]
        for k, phrases in clip.names.items()
    }
    numbers = [k for k, phrases in sorted(names.items()) if phrases]
    if not numbers:
        return 0, ""
    k = one_of(numbers, rng)
    return k, str(one_of(names[k], rng))


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


def _new_look(scene: Scene, rng: np.random.Generator) -> tuple[str, str]:
    """Draw a shape and a colour that no thing in the scene has together."""
    taken = {(thing.shape, thing.colour) for thing in scene.things}
    free = [(shape, colour) for shape in SHAPES for colour in COLOURS if (shape, colour) not in taken]
    shape, colour = one_of(free, rng)
    return shape, colour


def _called(thing: Thing, *, with_size: bool = True) -> str:
    """Return `a small red brick star`."""
    name = thing.name.removeprefix("the ")
    name = name if with_size else name.removeprefix(f"{thing.size} ")
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def _rounded(track: Track) -> dict[str, float]:
    return {name: round(float(value), 5) for name, value in asdict(track).items()}


def _drawn(wording: str, rng: np.random.Generator, operation: Operation, **words: str) -> Drawn:
    return Drawn(program=[operation], words=phrase(_WORDINGS[wording], rng, **words))


def _in_scenes(draw: Callable[[Clip, Scene, np.random.Generator], Drawn | None], *, names: bool) -> Edit:
    def drawn(clip: Clip, rng: np.random.Generator) -> Drawn | None:
        if clip.scene is None or (names and not clip.names):
            return None
        for _ in range(_TRIES):
            made = draw(clip, clip.scene, rng)
            if made is None or _shows(clip.scene, made.program[0]):
                return made
        return None

    return Edit(draw=drawn, apply=_apply)


EDITS: dict[str, Edit] = {
    "recolour": _in_scenes(_recolour, names=True),
    "retexture": _in_scenes(_retexture, names=True),
    "resize": _in_scenes(_resize, names=True),
    "replace": _in_scenes(_replace, names=True),
    "remove": _in_scenes(_remove, names=True),
    "motion": _in_scenes(_motion, names=True),
    "add": _in_scenes(_add, names=False),
    "background": _in_scenes(_background, names=False),
    "ground": _in_scenes(_ground, names=False),
}
