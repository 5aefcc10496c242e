"""Referring expressions: noun phrases that fit exactly one of the things in a scene, or none of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from datagen.scenes.describe import Appearance
from datagen.scenes.description import ALIKE, COLOURS, SHAPES

Fits = Callable[[Appearance], bool | None]
"""Whether a thing is what a word says; None where people could disagree."""
_Answers = NDArray[np.int8]
"""What a word says of each thing there: 0 no, 1 people could disagree, 2 yes; of several words together the least."""

_SEEN = 0.0005
"""Share of the picture that a thing must cover in some frame to count as being there at all."""
_NAMEABLE = 0.003
"""... and in every frame to be referred to."""
_SHAPE_SHOWS, _SHAPE_PIXELS = 0.6, 64
"""Of a thing that must be seen, and of pixels, in one frame at least, for its shape to be plain: of 49 pixels of a disc and
of a square 8 differ."""
TEXTURE_SHOWS = 0.02
"""... and for anyone to see what it is made of."""
_STILL, _MOVING = 0.01, 0.06
"""Of the picture's width: below the one nobody sees a thing move over the clip, above the other everybody does."""
_SIDE, _BEYOND = 0.36, 0.52
"""A thing is on the left when its middle is always left of the first share of the width; it is not when it is always
right of the second: whoever divides the picture in halves finds one such thing, whatever they take for a thing's middle."""
_MARGIN = 0.08
"""Of the picture's width: so much must lie between the leftmost thing and the next."""
_LARGER = 1.6
"""So many times as many pixels the largest thing must cover as the next one."""


def expressions(things: tuple[Appearance, ...], size: tuple[int, int]) -> dict[int, list[str]]:
    """Return every phrase that fits exactly one thing, by the number of that thing; sorted.

    `size`: (height, width) of the frames. A phrase is made of words for colour, material, shape, place and motion. It is
    given only if it is plainly true of one thing and plainly false of every other that can be seen: where people might
    disagree (a thing near the middle is perhaps on the left) it is not used at all. Things seen too little are not
    referred to, but they count as there.
    """
    there = [thing for thing in things if _most_seen(thing, size) >= _SEEN]
    found: dict[int, set[str]] = {}
    for phrase, answers in _phrases(there, size):
        said = answers.tolist()
        if 1 in said or said.count(2) != 1:
            continue
        thing = there[said.index(2)]
        if _least_seen(thing, size) >= _NAMEABLE:
            found.setdefault(thing.number, set()).add(phrase)
    return {number: sorted(phrases) for number, phrases in sorted(found.items())}


def absent(things: tuple[Appearance, ...]) -> list[str]:
    """Return phrases of colour and shape that fit nothing in the scene, seen or not; sorted.

    At least one of the two words fits something, so that looking for one of them is not enough.
    """
    colours, shapes = ({thing.words[kind] for thing in things} for kind in ("colour", "shape"))
    return sorted(
        f"the {colour} {shape}"
        for colour, shape in itertools.product(COLOURS, SHAPES)
        if (colour in colours or shape in shapes)
        and all(False in (_has("colour", colour)(thing), _has("shape", shape)(thing)) for thing in things)
    )


def _phrases(there: list[Appearance], size: tuple[int, int]) -> Iterator[tuple[str, _Answers]]:
    nouns: list[tuple[str, Fits]] = [("object", lambda thing: True)]
    nouns += [(shape, _has("shape", shape)) for shape in sorted({thing.words["shape"] for thing in there})]
    adjectives: list[tuple[str, Fits]] = [("", lambda thing: True)]
    adjectives += [
        (f"{colour} ", _has("colour", colour)) for colour in sorted({thing.words["colour"] for thing in there})
    ]
    materials = sorted({thing.words["material"] for thing in there} - {"plain"})
    adjectives += [(f"{material} ", _is_made_of(material, size)) for material in materials]
    places = [("", lambda thing: True), *_places(there, size), *_motions(size)]
    # each word is asked about once, and then combined
    asked = ([(word, _answers(fits, there)) for word, fits in words] for words in (nouns, adjectives, places))
    for (word, fits), (adjective, fits_too), (place, fits_there) in itertools.product(*asked):
        if word == "object" and not adjective and not place:
            continue
        yield f"the {adjective}{word}{place}", np.minimum(np.minimum(fits, fits_too), fits_there)
    for superlative, only in _superlatives(there, size):
        yield f"the {superlative} object", _answers(only, there)


def _answers(fits: Fits, there: list[Appearance]) -> _Answers:
    return np.array([{False: 0, None: 1, True: 2}[fits(thing)] for thing in there], np.int8)


def _has(kind: str, value: str) -> Fits:
    def fits(thing: Appearance) -> bool | None:
        return None if kind == "shape" and not _shows_shape(thing) else _is_called(thing.words[kind], value)

    return fits


def _is_made_of(material: str, size: tuple[int, int]) -> Fits:
    def fits(thing: Appearance) -> bool | None:
        return _is_called(thing.words["material"], material) if _least_seen(thing, size) >= TEXTURE_SHOWS else None

    return fits


def _is_called(word: str, value: str) -> bool | None:
    return None if word != value and {word, value} in ALIKE else word == value


def _shows_shape(thing: Appearance) -> bool:
    return bool(((thing.visible >= _SHAPE_SHOWS) & (thing.pixels >= _SHAPE_PIXELS)).any())


def _places(there: list[Appearance], size: tuple[int, int]) -> Iterator[tuple[str, Fits]]:
    width = size[1]

    def on_the_left(thing: Appearance) -> bool | None:
        columns = _columns(thing) / width
        return True if columns.max() < _SIDE else False if columns.min() > _BEYOND else None

    def on_the_right(thing: Appearance) -> bool | None:
        columns = 1 - _columns(thing) / width
        return True if columns.max() < _SIDE else False if columns.min() > _BEYOND else None

    yield " on the left", on_the_left
    yield " on the right", on_the_right


def _motions(size: tuple[int, int]) -> Iterator[tuple[str, Fits]]:
    width = size[1]

    def moving(sign: int) -> Fits:
        def fits(thing: Appearance) -> bool | None:
            # what is seen of a thing that is being covered moves although the thing does not; and before a camera that
            # turns all things move, and some of them stand still
            seen = [places[-1] - places[0] for places in (thing.centre[:, 0], _columns(thing))]
            ways = [sign * way / width for way in (*seen, thing.own_way)]
            return True if min(ways) > _MOVING else False if max(ways) < _STILL else None

        return fits

    yield " moving to the left", moving(-1)
    yield " moving to the right", moving(1)


def _superlatives(there: list[Appearance], size: tuple[int, int]) -> Iterator[tuple[str, Fits]]:
    if len(there) < 2:
        return
    middles = np.array([_columns(thing) for thing in there]) / size[1]
    areas = np.array([thing.pixels for thing in there])
    for name, places in (("leftmost", middles), ("rightmost", 1 - middles)):
        first = int(places.mean(1).argmin())
        if (np.delete(places, first, 0) - places[first] > _MARGIN).all():
            yield name, _is(there[first])
    largest = int(areas.mean(1).argmax())
    if (areas[largest] > _LARGER * np.delete(areas, largest, 0)).all():
        yield "largest", _is(there[largest])


def _is(one: Appearance) -> Fits:
    return lambda thing: thing is one


def _columns(thing: Appearance) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return the middle column, in pixels, of what is seen in each frame; of its centre where nothing is."""
    seen = thing.box[:, 2] > thing.box[:, 0]
    middle = (thing.box[:, 0] + thing.box[:, 2]) / 2
    columns: np.ndarray[tuple[int], np.dtype[np.float64]] = np.where(seen, middle, thing.centre[:, 0])
    return columns


def _most_seen(thing: Appearance, size: tuple[int, int]) -> float:
    return float(thing.pixels.max() / (size[0] * size[1]))


def _least_seen(thing: Appearance, size: tuple[int, int]) -> float:
    return float(thing.pixels.min() / (size[0] * size[1]))
