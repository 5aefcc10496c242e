"""HazeWorld (Xu et al., CVPR 2023): each clean video with one airlight and four strengths of synthetic haze."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from datagen.sources.layouts import Layout
from datagen.sources.layouts._pairs import folder_pairs
from datagen.sources.library import Entry

_HAZY = re.compile(r"(?P<clean>.+)_(?P<airlight>\d+)_(?P<beta>0?\.\d+)")


def entries(path: Path) -> Iterator[Entry]:
    """Yield the pairs below `train` and `test`, or below `hazy` and `gt` where nobody has split them yet.

    A hazy sequence is called `NAME_AIRLIGHT_BETA` (`bear_239_0.005`), its clean one the same or `NAME`.
    """
    parts = [path / part for part in ("train", "test") if (path / part / "hazy").is_dir()] or [path]
    for part in parts:
        for entry in folder_pairs(
            part, ("hazy",), ("gt",), task="dehaze", layout="hazeworld", counterparts=lambda name: (name, _clean(name))
        ):
            found = _HAZY.fullmatch(entry.id)
            said = {"airlight": int(found["airlight"]), "beta": float(found["beta"])} if found else {}
            name = f"{part.name}/{entry.name}" if part != path else entry.name
            yield Entry(**{**vars(entry), "name": name, "facts": {"haze": said} if said else {}})


def _clean(name: str) -> str:
    found = _HAZY.fullmatch(name)
    return found["clean"] if found else name


LAYOUT = Layout(
    summary="HazeWorld: train|test/hazy/SET/NAME_AIRLIGHT_BETA and gt/SET/NAME",
    entries=entries,
    marker="hazy",
)
