"""Comparing the tables and the page that lie in a run's folder, whole, with those that follow from its rows."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from itertools import takewhile, zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.report import PAGE, TEXTS, make_boards, page_text
from benchmarks.runner import Run
from benchmarks.settings import BenchSettings
from configs import DatasetError
from shards import Dataset
from shards.codecs import decode_video
from shards.pages import bytes_of

SAME = 1e-9
"""Relative difference that another order of sums may make."""
_CELLS = {".md": r"^\|.*$", ".html": r"<t[dh]\b.*?</t[dh]>"}
"""What holds numbers; the rest is words."""
_WORDS = {"notes", "convention", "unavailable"}
"""What a newer version may say in other words."""
_CLIP = re.compile(r"data:video/mp4;base64,[A-Za-z0-9+/=]*")
_ALIKE = 1.0
"""Grey levels, in the mean, by which an encoder of another version may make another clip of the same frames."""
_SHOWN = 60


def check_texts(folder: Path, run: Run, dataset: Dataset) -> Iterator[str]:
    """Yield, in words, what in each form of the report does not follow from the rows."""
    settings = BenchSettings(**run.facts["settings"])
    boards = make_boards(run, settings)
    page = page_text(folder, boards, run, dataset, settings.examples)
    for name, computed in {**{name: text(boards) for name, text in TEXTS.items()}, PAGE: page}.items():
        path = folder / name
        if not path.is_file():
            yield f"{path} is missing; 'bench report {folder}' writes it again"
            continue
        written = path.read_text(encoding="utf-8", errors="replace")
        numbers = list(_other_numbers(written, computed, path.suffix))
        again = f"; if an earlier version wrote it, 'bench report {folder}' writes it again"
        yield from (f"{name} does not follow from the rows: {place}{again}" for place in numbers[:1])
        yield from (f"{name} does not follow from the rows: {place}" for place in numbers[1:])
        if not numbers:
            for place in _other_words(written, computed):
                yield (
                    f"{name} is not what this version writes of the rows, if by its words alone: {place}; 'bench report "
                    f"{folder}' writes it again"
                )


def _other_numbers(written: str, computed: str, form: str) -> Iterator[str]:
    if form == ".json":
        try:
            yield from _differences(json.loads(written), json.loads(computed), "leaderboard")
        except ValueError:
            yield "it is no JSON"
        return
    pattern = _CELLS.get(form, r".+")
    ours, theirs = (re.findall(pattern, text, re.MULTILINE) for text in (computed, written))
    if len(ours) != len(theirs):
        yield f"it has {len(theirs)} lines or cells, computed {len(ours)}"
    elif other := next((pair for pair in zip(theirs, ours, strict=True) if not _says_the_same(*pair)), None):
        shown = [re.sub(r"<.*?>", "", text) for text in other]
        # what a cell is sorted by is not what it shows
        yield "it has {!r}, computed {!r}".format(*(other if shown[0] == shown[1] else shown))


def _other_words(written: str, computed: str) -> Iterator[str]:
    """Yield the first place where two texts differ; where they do not, every clip that does."""
    lines = [_CLIP.sub("clip", text).split("\n") for text in (written, computed)]
    other = next((pair for pair in zip_longest(*lines, fillvalue="") if not _says_the_same(*pair)), None)
    if other is not None:
        # a little of what both have shows where it is
        alike = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(*other, strict=False)))
        start = max(alike - _SHOWN // 3, 0)
        yield "it has {!r}, computed {!r}".format(*(text[start : start + _SHOWN] for text in other))
        return
    theirs, ours = _CLIP.findall(written), _CLIP.findall(computed)
    for number, (one, clip) in enumerate(zip(theirs, ours, strict=True), start=1):
        if one != clip and (one in ours or not _shows_the_same(one, clip)):
            yield f"clip {number} of {len(ours)} is another one than the kept answer or the sample that stands there"


def _says_the_same(a: str, b: str) -> bool:
    """Whether two texts are equal but for the last digits of their numbers."""
    if a == b:
        return True
    parts = [re.split(r"(-?\d+\.\d+(?:e[+-]?\d+)?)", text) for text in (a, b)]
    return len(parts[0]) == len(parts[1]) and all(
        math.isclose(float(one), float(other), rel_tol=SAME, abs_tol=SAME) if place % 2 else one == other
        for place, (one, other) in enumerate(zip(*parts, strict=True))
    )


def _shows_the_same(a: str, b: str) -> bool:
    """Whether two clips, as URLs that hold them, look alike."""
    try:
        one, other = (decode_video(bytes_of(url)) for url in (a, b))
    except (DatasetError, ValueError):
        return False
    return one.shape == other.shape and bool(np.abs(one.astype(np.int16) - other).mean() < _ALIKE)


def _differences(a: Any, b: Any, place: str) -> Iterator[str]:
    if isinstance(a, dict) and isinstance(b, dict) and a.keys() == b.keys():
        for name in a.keys() - _WORDS:
            yield from _differences(a[name], b[name], f"{place}.{name}")
    elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        for number, (one, other) in enumerate(zip(a, b, strict=True)):
            name = one.get("method", number) if isinstance(one, dict) else number
            yield from _differences(one, other, f"{place}[{name}]")
    elif isinstance(a, float) and isinstance(b, float):
        if not math.isclose(a, b, rel_tol=SAME, abs_tol=SAME):
            yield f"{place} is written {a:g}, computed {b:g}"
    elif a != b:
        yield f"{place} differs"
