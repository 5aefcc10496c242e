"""Motions that a thing in a scene does not have, judged by what is seen of it in a clip."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from datagen.scenes import Thing, Track
from datagen.scenes.camera import View

_SEEN_STILL, _SEEN_MOVING = 0.02, 0.06
"""Of the picture's width: below the one nobody sees a thing move over the clip, above the other everybody does."""
_WAY = 0.22
"""Of the picture's width: how far a thing goes that is sent to one side."""
_SEEN_TURN, _TURN = 0.1, 2.4
"""Radians over the clip: what nobody sees of a turn, and the turn of what is set spinning."""
_SEEN_HOP = 0.2
"""Of its radius: what a thing must go up and down to be seen bouncing."""


def other_motions(thing: Thing, views: Sequence[View], rng: np.random.Generator) -> dict[str, dict[str, Track]]:
    """Return tracks that let a thing be seen moving, in these views of the camera, as it is not seen moving already."""
    begin, end = views[0].s, views[-1].s
    span = end - begin
    turn = _TURN if rng.random() < 0.5 else -_TURN
    turned, hopped = abs(thing.spin.at(end) - thing.spin.at(begin)), _hop(thing, views)
    shows_turns = thing.shape not in ("disc", "ring")
    tracks = {name: {"x": track} for name, track in _sideways(thing, views[0], views[-1]).items()}
    if shows_turns and turned < _SEEN_TURN:
        tracks["spin"] = {"spin": _through(thing.spin.at(begin), turn, begin, end)}
    if hopped < _SEEN_HOP:
        hops = Track(offset=1.8 * thing.radius, sway=0.75 * thing.radius, phase=thing.y.phase, cycles=1 / span)
        tracks["bounce"] = {"y": hops}
    own_way = _seen_from(views[-1], thing, thing.x.at(end)) - _seen_from(views[-1], thing, thing.x.at(begin))
    moves = abs(own_way) > _SEEN_MOVING or (shows_turns and turned > 3 * _SEEN_TURN) or hopped > 2 * _SEEN_HOP
    # to stand still in the world is to be seen standing still only before a camera that hardly moves
    drift = _seen_from(views[-1], thing, thing.x.at(begin)) - _seen_from(views[0], thing, thing.x.at(begin))
    if moves and abs(drift) < _SEEN_STILL:
        still = {"x": thing.x, "y": thing.y, "z": thing.z, "spin": thing.spin}
        tracks["still"] = {axis: Track(offset=track.at(begin)) for axis, track in still.items()}
    return tracks


def _sideways(thing: Thing, first: View, last: View) -> dict[str, Track]:
    """Return the ways to the left and to the right, from where it is, that a thing is not seen taking already."""
    start = thing.x.at(first.s)
    seen_from = _seen_from(first, thing, start)
    seen_way = _seen_from(last, thing, thing.x.at(last.s)) - seen_from
    per_metre = last.project(0, 0, thing.z.at(last.s))[2] / last.scene.width
    tracks = {}
    for name, sign in (("left", -1), ("right", 1)):
        # by its own motion and in the picture: before a camera that turns the one is not the other
        own_way = seen_from + sign * _WAY - _seen_from(last, thing, start)
        fits = 0.1 < seen_from + sign * _WAY < 0.9 and sign * own_way > _SEEN_MOVING
        if fits and sign * seen_way < _SEEN_STILL:
            tracks[name] = _through(start, own_way / per_metre, first.s, last.s)
    return tracks


def _seen_from(view: View, thing: Thing, x: float) -> float:
    """Return the column, as a share of the width, at which a thing is seen that stands at `x` metres."""
    return view.project(x, 0, thing.z.at(view.s))[0] / view.scene.width


def _hop(thing: Thing, views: Sequence[View]) -> float:
    """Return how far a thing goes up and down, in its radius."""
    heights = [thing.y.at(view.s) for view in views]
    return (max(heights) - min(heights)) / thing.radius


def _through(value: float, change: float, begin: float, end: float) -> Track:
    """Return the steady track that is at `value` at `begin`, and has changed by `change` at `end`."""
    speed = change / (end - begin)
    return Track(offset=value - speed * begin, speed=speed)
