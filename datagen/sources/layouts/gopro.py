"""GoPro (Nah et al. 2017): sharp frames, and the averages of 7 to 13 of them at 240 a second."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from datagen.sources.layouts import Layout
from datagen.sources.layouts._pairs import folder_pairs
from datagen.sources.library import Entry

_CAMERA_FPS = 240.0
_TEST = frozenset(
    [
        "GOPR0384_11_00",
        "GOPR0384_11_05",
        "GOPR0385_11_01",
        "GOPR0396_11_00",
        "GOPR0410_11_00",
        "GOPR0854_11_00",
        "GOPR0862_11_00",
        "GOPR0868_11_00",
        "GOPR0869_11_00",
        "GOPR0871_11_00",
        "GOPR0881_11_01",
    ]
)
_SEQUENCE = re.compile(r"GOPR\d+_(?P<averaged>\d+)_\d+")


def entries(path: Path, blurs: tuple[str, ...] = ("blur_gamma", "blur")) -> Iterator[Entry]:
    """Yield every sequence; one called `GOPR0372_07_00` has a frame for every 7 that the camera took.

    `blurs`: the folders of blurred frames, of which the first that exists counts. `blur_gamma` is the average in linear
    light; the smaller download has it as `blur`.
    """
    for entry in folder_pairs(path, blurs, ("sharp",), task="deblur", layout="gopro"):
        named = _SEQUENCE.fullmatch(Path(entry.main).parent.name)
        averaged = int(named["averaged"]) if named else 0
        yield replace(entry, fps=_CAMERA_FPS / averaged if averaged else 0.0)


LAYOUT = Layout(
    summary="GoPro: train|test/SEQUENCE/blur_gamma or blur, and sharp",
    entries=entries,
    marker="*/*/sharp",
    reported_on=_TEST,
)
