"""Rendering a scene: colours, exact depth and object ids; and again where an edit changed it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from datagen.scenes.camera import View, pose_of, view_at
from datagen.scenes.description import Scene, Thing
from datagen.scenes.textures import THING_PIXELS, Picture, backdrop_picture, thing_picture, tinted
from shards.sample import Video

_GROUND_METRES = 4.0
"""How many metres of ground one tile of texture covers."""
_GROUND_PIXELS = 512
_MIPS = 5
_SEAM = 1.3
"""Metres by which the tiles are shifted, so that the line they are mirrored at is not in the middle of the picture."""
_SHADOW = 0.5
_FLATNESS = 0.22
"""Height over width of a shadow."""
_CORNERS = np.array([[0, THING_PIXELS, 0, THING_PIXELS], [0, 0, THING_PIXELS, THING_PIXELS], [1, 1, 1, 1]])
"""Of a thing's picture."""
_KEPT_BYTES = 64 * 2**20
_Cutout = tuple[Picture, NDArray[np.float32]]
"""Colours and coverage of a thing."""
_Box = tuple[slice, slice]
"""Rows and columns."""


@dataclass(frozen=True, kw_only=True)
class Rendered:
    """What a scene looks like and what is true of it.

    `frames`: uint8 [t h w 3]. `depth`: float32 [t h w], metres along the line of sight. `ids`: uint8 [t h w], k where
    the k-th thing (from 1) covers at least half of the pixel and nothing nearer does, else 0.
    """

    frames: Video
    depth: NDArray[np.float32]
    ids: NDArray[np.uint8]


def render(scene: Scene, numbers: Sequence[int] | None = None) -> Rendered:
    """Render the frames `numbers`, or all; the same scene gives the same bytes."""
    numbers = range(scene.frames) if numbers is None else numbers
    shape = (len(numbers), scene.height, scene.width)
    out = Rendered(
        frames=np.empty((*shape, 3), np.uint8), depth=np.empty(shape, np.float32), ids=np.zeros(shape, np.uint8)
    )
    canvas, layers, whole = np.zeros((*shape[1:], 3), np.float32), _layers(scene), _whole(scene)
    for i, number in enumerate(numbers):
        view = view_at(scene, number)
        depth = view.ground_depth()
        out.depth[i] = depth[:, None]
        _lay(canvas, layers, number, whole)
        order = _farthest_first(scene.shown, view)
        for _, thing in order:
            _cast_shadow(canvas, view, thing, whole)
        for k, thing in order:
            _note(out.ids[i], k, painted := _paint(canvas, view, thing, whole))
            _note(out.depth[i], thing.z.at(view.s) - view.z, painted)
        out.frames[i] = np.clip(canvas * np.float32(scene.light), 0, 255)
    return out


def render_edited(scene: Scene, before: Scene, frames: Video, numbers: Sequence[int]) -> Video:
    """Return uint8 [t h w 3]: the frames `numbers` of a scene after an edit, the same bytes as those of `render`.

    `frames` are the same frames of the scene before the edit: where no thing has come, gone or changed, they serve again.
    """
    everything_else = (replace(one, things=(), hidden=()) for one in (scene, before))
    whole = None if len(set(everything_else)) == 1 else _whole(scene)
    other = [thing for _, thing in set(scene.shown) ^ set(before.shown)]
    edited = frames.copy()
    # what lies outside of the part that is touched is painted on as well, and not looked at
    canvas, layers = np.zeros(frames.shape[1:], np.float32), _layers(scene)
    for frame, i in zip(edited, numbers, strict=True):
        view = view_at(scene, i)
        touched = whole or _around([box for thing in other for box in _boxes(view, thing) if box])
        if touched is None:
            continue
        _lay(canvas, layers, i, touched)
        order = _farthest_first(scene.shown, view)
        for _, thing in order:
            _cast_shadow(canvas, view, thing, touched)
        for _, thing in order:
            _paint(canvas, view, thing, touched)
        frame[touched] = np.clip(canvas[touched] * np.float32(scene.light), 0, 255)
    return edited


def share_seen(scene: Scene, k: int, frame: int) -> tuple[float, float]:
    """Return how much of the picture the k-th thing (from 1) covers in a frame, and how much of itself is seen then."""
    view = view_at(scene, frame)
    canvas = np.zeros((scene.height, scene.width, 3), np.float32)
    pixels = []
    for shown in ([(k, scene.things[k - 1])], scene.shown):
        ids = np.zeros(canvas.shape[:2], np.uint8)
        for number, thing in _farthest_first(shown, view):
            _note(ids, number, _paint(canvas, view, thing, _whole(scene)))
        pixels.append(int((ids == k).sum()))
    alone, among = pixels
    return among / ids.size, among / max(alone, 1)


class _Layer:
    """A part of the background, frame by frame; kept where that is little, for the scene after an edit mostly has the same."""

    def __init__(self, scene: Scene, paint: Callable[[View], NDArray[np.float32]]) -> None:
        self._scene = scene
        self._paint = paint
        self._keeps = 12 * scene.frames * scene.height * scene.width <= _KEPT_BYTES
        self._kept: dict[int, NDArray[np.float32]] = {}

    def picture(self, frame: int) -> NDArray[np.float32]:
        """Return float32 [h w 3] in 0..255, to be read only."""
        if frame in self._kept:
            return self._kept[frame]
        made = self._paint(view_at(self._scene, frame))
        if self._keeps:
            self._kept[frame] = made
        return made


def _lay(canvas: NDArray[np.float32], layers: Sequence[_Layer], frame: int, part: _Box) -> None:
    """Put into a part of the canvas, float32 [h w 3] in 0..255, what is behind the things."""
    rows, columns = part
    top = 0
    for layer in layers:
        picture = layer.picture(frame)
        first, end = max(rows.start, top), min(rows.stop, top + len(picture))
        if first < end:
            canvas[first:end, columns] = picture[first - top : end - top, columns]
        top += len(picture)


def _layers(scene: Scene) -> tuple[_Layer, _Layer]:
    """Return the backdrop, and the ground that lies below it."""
    empty = replace(scene, things=(), hidden=(), light=1.0)
    far = _backdrop_layer(replace(empty, ground="", ground_colour=(0, 0, 0)))
    near = _ground_layer(replace(empty, backdrop="", backdrop_seed=0))
    return far, near


@lru_cache(maxsize=1)
def _backdrop_layer(scene: Scene) -> _Layer:
    picture = backdrop_picture(scene.backdrop, scene.backdrop_seed)
    return _Layer(scene, lambda view: _backdrop(view, picture))


@lru_cache(maxsize=1)
def _ground_layer(scene: Scene) -> _Layer:
    mips = _ground_mips(scene)
    return _Layer(scene, lambda view: _ground(view, mips))


def _farthest_first(things: Sequence[tuple[int, Thing]], view: View) -> list[tuple[int, Thing]]:
    return sorted(things, key=lambda item: -item[1].z.at(view.s))


def _ground_mips(scene: Scene) -> list[NDArray[np.float32]]:
    mips = [tinted(scene.ground, scene.ground_colour, _GROUND_PIXELS).astype(np.float32)]
    for _ in range(_MIPS - 1):
        mips.append(cv2.resize(mips[-1], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
    # mirrored tiles: no seam shows
    return [cv2.copyMakeBorder(mip, 0, len(mip), 0, len(mip), cv2.BORDER_REFLECT) for mip in mips]


def _first_of_ground(view: View, depth: NDArray[np.float32]) -> int:
    """Return the first row that shows the ground."""
    return int(np.searchsorted(-depth, -np.float32(view.scene.backdrop_z - view.z), side="right"))


def _ground(view: View, mips: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return the rows that show the ground."""
    depth = view.ground_depth()
    rows = depth[_first_of_ground(view, depth) :]
    # metres of ground under one pixel, lengthwise, decide how much the texture is averaged before it is sampled
    spread = rows * rows / np.float32(view.scene.focal * view.y) * _GROUND_PIXELS / _GROUND_METRES
    level = np.clip(np.log2(np.maximum(spread, 1e-6)) * 0.8, 0, _MIPS - 1)
    columns = np.arange(view.scene.width, dtype=np.float32)
    across = (columns[None] - view.scene.width / 2) * rows[:, None] / view.scene.focal + view.x + np.float32(_SEAM)
    along = rows + view.z
    painted = np.zeros((len(rows), view.scene.width, 3), np.float32)
    for mip in range(_MIPS):
        weight = np.clip(1 - np.abs(level - mip), 0, 1)
        used = np.flatnonzero(weight)
        if len(used):
            part = slice(used[0], used[-1] + 1)
            painted[part] += weight[part, None, None] * _sample_tile(mips[mip], across[part], along[part], mip)
    return painted


def _sample_tile(
    tile: NDArray[np.float32], x: NDArray[np.float32], z: NDArray[np.float32], mip: int
) -> NDArray[np.float32]:
    """Return float32 [h w 3], the tile at the places x [h w] and z [h], in metres."""
    per_metre = _GROUND_PIXELS / _GROUND_METRES / 2**mip
    size = tile.shape[0]
    map_x = np.mod(x * np.float32(per_metre), size).astype(np.float32)
    map_y = np.repeat(np.mod(z * np.float32(per_metre), size).astype(np.float32)[:, None], x.shape[1], axis=1)
    return cv2.remap(tile, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)


def _backdrop(view: View, backdrop: Picture) -> NDArray[np.float32]:
    """Return the rows above those that show the ground."""
    scene = view.scene
    height, width = backdrop.shape[:2]
    # wide enough for the picture's full width at any camera position, and standing on the ground
    metres = 1.6 * scene.backdrop_z * scene.width / scene.focal
    left, bottom, scale = view.project(-metres / 2, 0.0, scene.backdrop_z)
    zoom = metres * scale / width
    to_screen = np.array([[zoom, 0, left], [0, zoom, bottom - height * zoom]])
    rows = _first_of_ground(view, view.ground_depth())
    if not rows:
        return np.empty((0, scene.width, 3), np.float32)
    warped = cv2.warpAffine(
        backdrop, to_screen, (scene.width, rows), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
    )
    return warped.astype(np.float32)


def _box_of_shadow(view: View, thing: Thing) -> _Box | None:
    u, v, scale = view.project(thing.x.at(view.s), 0.0, thing.z.at(view.s))
    across, down = 1.3 * thing.radius * scale, 1.3 * _FLATNESS * thing.radius * scale
    return _box(u - across, v - down, u + across, v + down, view.scene)


def _box_of_thing(scene: Scene, pose: NDArray[np.float64]) -> _Box | None:
    columns, rows, _ = (pose @ _CORNERS).tolist()
    return _box(min(columns), min(rows), max(columns), max(rows), scene)


def _boxes(view: View, thing: Thing) -> tuple[_Box | None, _Box | None]:
    """Return the parts of the picture outside of which a thing and its shadow change nothing."""
    return _box_of_thing(view.scene, pose_of(view, thing)), _box_of_shadow(view, thing)


def _cast_shadow(canvas: NDArray[np.float32], view: View, thing: Thing, part: _Box) -> None:
    """Darken the ground below a thing, where its shadow reaches into a part of the picture: a soft ellipse, fainter the higher
    the thing is above the ground."""
    box = _box_of_shadow(view, thing)
    if box is None or not _meet(box, part):
        return
    rows, columns = box
    u, v, scale = view.project(thing.x.at(view.s), 0.0, thing.z.at(view.s))
    across, down = thing.radius * scale, _FLATNESS * thing.radius * scale
    lift = max(thing.y.at(view.s) - thing.radius, 0)
    y = (np.arange(rows.start, rows.stop, dtype=np.float32) - np.float32(v)) / np.float32(down)
    x = (np.arange(columns.start, columns.stop, dtype=np.float32) - np.float32(u)) / np.float32(across)
    strength = _SHADOW / (1 + 2 * lift / thing.radius)
    dark = np.clip(1.3 - np.hypot(y[:, None], x[None]), 0, 1) * np.float32(strength)
    canvas[rows, columns] *= (1 - np.clip(dark, 0, strength))[..., None]


def _paint(
    canvas: NDArray[np.float32], view: View, thing: Thing, part: _Box
) -> tuple[_Box, NDArray[np.float32]] | None:
    """Put one thing that reaches into a part of the picture over what is painted already, all of which is farther away.

    Returns its own part of the picture and how much it covers of each pixel there, or None where it is outside.
    """
    pose = pose_of(view, thing)
    box = _box_of_thing(view.scene, pose)
    if box is None or not _meet(box, part):
        return None
    rows, columns = box
    size = (columns.stop - columns.start, rows.stop - rows.start)
    colours, coverage = _next_above(_halved(thing), float(np.hypot(pose[0, 0], pose[1, 0])))
    factor = THING_PIXELS / colours.shape[0]
    local = np.array([[1, 0, -columns.start], [0, 1, -rows.start], [0, 0, 1]]) @ pose @ _from_reduced(factor)
    alpha = cv2.warpAffine(coverage, local[:2], size, flags=cv2.INTER_LINEAR)
    paint = cv2.warpAffine(colours, local[:2], size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    target = canvas[box]
    target += (paint - target) * alpha[..., None]
    return box, alpha


def _note(plane: NDArray[Any], value: float, painted: tuple[_Box, NDArray[np.float32]] | None) -> None:
    """Write a value where at least half of a pixel was painted."""
    if painted is not None:
        box, alpha = painted
        plane[box][alpha >= 0.5] = value


@lru_cache(maxsize=32)  # an edited scene has most of its things from the scene before
def _halved(thing: Thing) -> list[_Cutout]:
    """Return a thing's picture, and the same at half its size, and at half of that, ..."""
    sizes = [thing_picture(thing)]
    while sizes[-1][0].shape[0] >= 16:
        sizes.append(tuple(cv2.resize(part, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for part in sizes[-1]))
    return sizes


def _next_above(sizes: Sequence[_Cutout], zoom: float) -> _Cutout:
    """Return the picture at the size that comes next above its size on screen, so that warping it does not alias."""
    halvings = 0
    while zoom < 0.5 and halvings < len(sizes) - 1:
        zoom, halvings = 2 * zoom, halvings + 1
    return sizes[halvings]


def _from_reduced(factor: float) -> NDArray[np.float64]:
    """Return the matrix from the pixels of a reduced picture to those of the full one: pixel centres stay in place."""
    shift = (factor - 1) / 2
    return np.array([[factor, 0, shift], [0, factor, shift], [0, 0, 1]])


def _box(left: float, top: float, right: float, bottom: float, scene: Scene) -> _Box | None:
    """Return rows and columns of the part of a rectangle that lies in the picture, or None."""
    rows = slice(max(int(np.floor(top)) - 1, 0), min(int(np.ceil(bottom)) + 2, scene.height))
    columns = slice(max(int(np.floor(left)) - 1, 0), min(int(np.ceil(right)) + 2, scene.width))
    return (rows, columns) if rows.start < rows.stop and columns.start < columns.stop else None


def _around(boxes: Sequence[_Box]) -> _Box | None:
    """Return the least box around some, None around none."""
    if not boxes:
        return None
    rows, columns = ([box[axis] for box in boxes] for axis in (0, 1))
    return (
        slice(min(part.start for part in rows), max(part.stop for part in rows)),
        slice(min(part.start for part in columns), max(part.stop for part in columns)),
    )


def _whole(scene: Scene) -> _Box:
    return slice(0, scene.height), slice(0, scene.width)


def _meet(one: _Box, other: _Box) -> bool:
    return all(a.start < b.stop and b.start < a.stop for a, b in zip(one, other, strict=True))
