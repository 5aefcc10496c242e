"""Edit programs: lists of operations on a scene, as JSON, that are executed exactly."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from configs import ConfigError, unknown_name
from datagen.scenes.description import SIZES, Scene, Thing, Track

Operation = Mapping[str, Any]
"""`op` and its arguments: `{"op": "recolour", "object": 2, "colour": "blue"}`; objects go by their numbers, from 1."""


def run_program(scene: Scene, program: Sequence[Operation]) -> Scene:
    """Return the scene after all operations, one after the other.

    Raises:
        ConfigError: no such operation, or a word that is none.
        IndexError: no such object.
    """
    for operation in program:
        arguments = {name: value for name, value in operation.items() if name != "op"}
        if operation["op"] not in OPERATIONS:
            raise ConfigError(unknown_name("operation", str(operation["op"]), OPERATIONS))
        scene = OPERATIONS[operation["op"]](scene, **arguments)
    return scene


def without(scene: Scene, k: int) -> Scene:
    """Return the scene with its k-th thing (from 1) gone: equal elsewhere, but for that thing's shadow.

    The others keep their numbers.
    """
    _check_number(scene, k)
    return replace(scene, hidden=tuple(sorted({*scene.hidden, k})))


def changed(scene: Scene, k: int, **attributes: Any) -> Scene:
    """Return the scene with attributes of its k-th thing (from 1) changed: `colour`, `shape`, `material`, `size`, tracks."""
    _check_number(scene, k)
    things = list(scene.things)
    things[k - 1] = replace(things[k - 1], **attributes)
    return replace(scene, things=tuple(things))


def _check_number(scene: Scene, k: int) -> None:
    if not 1 <= k <= len(scene.things):
        raise IndexError(f"the scene has things 1 to {len(scene.things)}, not {k}")


def _recolour(scene: Scene, *, object: int, colour: str) -> Scene:
    return changed(scene, object, colour=colour)


def _retexture(scene: Scene, *, object: int, material: str, colour: str) -> Scene:
    return changed(scene, object, material=material, colour=colour)


def _resize(scene: Scene, *, object: int, size: str) -> Scene:
    """Change the size; what stood on the ground stands there still."""
    thing = scene.things[object - 1]
    grown = SIZES[size] / thing.radius
    y = replace(thing.y, offset=round(thing.y.offset * grown, 5), sway=round(thing.y.sway * grown, 5))
    return changed(scene, object, size=size, y=y)


def _replace(scene: Scene, *, object: int, shape: str, colour: str, material: str) -> Scene:
    return changed(scene, object, shape=shape, colour=colour, material=material)


def _remove(scene: Scene, *, object: int) -> Scene:
    return without(scene, object)


def _add(scene: Scene, *, thing: Mapping[str, Any]) -> Scene:
    return replace(scene, things=(*scene.things, thing_from_plain(thing)))


def _background(scene: Scene, *, backdrop: str, seed: int) -> Scene:
    return replace(scene, backdrop=backdrop, backdrop_seed=seed)


def _ground(scene: Scene, *, ground: str, colour: Sequence[int]) -> Scene:
    red, green, blue = colour
    return replace(scene, ground=ground, ground_colour=(red, green, blue))


def _motion(scene: Scene, *, object: int, **tracks: Mapping[str, float]) -> Scene:
    """Give an object other tracks: any of `x`, `y`, `z` and `spin`."""
    return changed(scene, object, **{axis: Track(**track) for axis, track in tracks.items()})


OPERATIONS: dict[str, Callable[..., Scene]] = {
    "recolour": _recolour,
    "retexture": _retexture,
    "resize": _resize,
    "replace": _replace,
    "remove": _remove,
    "add": _add,
    "background": _background,
    "ground": _ground,
    "motion": _motion,
}


def thing_to_plain(thing: Thing) -> dict[str, Any]:
    """Return a thing as JSON values."""
    return asdict(thing)


def thing_from_plain(values: Mapping[str, Any]) -> Thing:
    """Undo `thing_to_plain`."""
    plain: dict[str, Any] = {
        name: Track(**value) if isinstance(value, Mapping) else value for name, value in values.items()
    }
    return Thing(**plain)
