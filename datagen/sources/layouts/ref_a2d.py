"""A2D Sentences for scoring: a source for every sentence of its test videos, of the frames that show whom it is about."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from configs import VIDiffError
from datagen.sources.layouts import Layout, a2d
from datagen.sources.library import Entry
from shards.instances import InstanceReader


def entries(path: Path) -> Iterator[Entry]:
    """Yield each test video as often as there are sentences for its actors, as the annotated frames in which this one is.

    Left out without a word, as papers do, is what has nothing to score: a video without a sentence, a sentence whose actor is
    annotated nowhere.
    """
    for entry in a2d.entries(path):
        if entry.split != "test" or not entry.facts["names"]:
            continue
        if entry.problem:
            yield entry
            continue
        try:
            yield from _sentences(entry)
        except VIDiffError as error:
            yield replace(entry, problem=f"unreadable: {str(error).replace(f'{entry.masks}/', '')}")


def _sentences(entry: Entry) -> Iterator[Entry]:
    numbers = entry.facts["numbers"]
    labels = InstanceReader(entry.masks).read_labels(numbers["masks"])
    for number, phrases in entry.facts["names"].items():
        shown = np.flatnonzero((labels == int(number)).any((1, 2)))
        for place, phrase in enumerate(phrases if len(shown) else ()):
            facts = {
                "names": {number: [phrase]},
                "numbers": {track: [found[frame] for frame in shown] for track, found in numbers.items()},
                "expression": place,
            }
            name = f"{entry.id}_{number}_{place}"
            yield replace(entry, id=name, name=f"{entry.name} actor {number}", facts=facts, group=entry.id)


LAYOUT = Layout(
    summary="A2D Sentences for scoring: its test videos, every annotated frame of every sentence (with clip.frames=1)",
    entries=entries,
    masks=True,
)
