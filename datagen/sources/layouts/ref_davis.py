"""Ref-DAVIS17 (Khoreva et al., ACCV 2018), a video for every expression of every annotator."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from configs import SourceError
from datagen.sources.layouts import Layout, davis
from datagen.sources.library import Entry


def entries(path: Path) -> Iterator[Entry]:
    """Yield each test sequence of DAVIS as often as there are expressions for its objects, with the one that it is about."""
    found = list(davis.entries(path))
    names = davis.expressions(path, repeats=True)
    if not names:
        raise SourceError(
            f"{path} is not of the layout ref_davis: it has no meta_expressions/valid/meta_expressions.json, and no "
            "Davis17_annot1.txt anywhere below it"
        )
    official = any(entry.split for entry in found)
    for entry in found:
        if official and entry.split != "test":
            continue
        phrases = [(number, phrase) for number, own in names.get(entry.id, {}).items() for phrase in own]
        if not phrases:
            yield replace(entry, problem=entry.problem or "no expressions: the data set says none for its objects")
        for place, (number, phrase) in enumerate(phrases):
            yield replace(
                entry,
                id=f"{entry.id}_{number}_{place}",
                name=f"{entry.name} object {number} expression {place}",
                # its place makes a source of its own even of what two annotators said alike
                facts={"names": {number: [phrase]}, "expression": place},
                group=entry.id,
            )


LAYOUT = Layout(
    summary="Ref-DAVIS17 for scoring: one clip for every expression",
    entries=entries,
    masks=True,
    reported_on=davis.LAYOUT.reported_on,
)
