"""HazeWorld (Xu et al., CVPR 2023): each clean video with one airlight and four strengths of synthetic haze."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from datagen.sources.layouts import Layout
from datagen.sources.layouts._pairs import folder_pairs
from datagen.sources.library import Entry

_HAZY = re.compile(r"(?P<clean>.+)_(?P<airlight>\d+)_(?P<beta>0?\.\d+)")
_PARTS = ("train", "test")


def entries(path: Path) -> Iterator[Entry]:
    """Yield the pairs below `train` and `test`, or below `hazy` and `gt` as they come, split as the lists beside them say.

    A hazy sequence is called `NAME_AIRLIGHT_BETA` (`bear_239_0.005`), its clean one the same or `NAME`. One that is listed and
    not there is a reject.
    """
    parts = [path / part for part in _PARTS if (path / part / "hazy").is_dir()] or [path]
    listed, found = _listed(path), set()
    for part in parts:
        for entry in folder_pairs(
            part, ("hazy",), ("gt",), task="dehaze", layout="hazeworld", counterparts=lambda name: (name, _clean(name))
        ):
            haze = _HAZY.fullmatch(entry.id)
            said = {"airlight": int(haze["airlight"]), "beta": float(haze["beta"])} if haze else {}
            name = f"{part.name}/{entry.name}" if part != path else entry.name
            where, hazy = _set_and_name(entry.name)
            own = [f"{where}/{hazy}", f"{where}/{_clean(hazy)}"]
            found.update(own)
            split = next((listed[one] for one in own if one in listed), entry.split)
            yield replace(entry, name=name, facts={"haze": said} if said else {}, split=split)
    for name in sorted(listed.keys() - found):
        problem = "missing: a list of the data set has it, and there is no such folder below hazy"
        if _clean(name) == name or _clean(name) in found or _clean(name) not in listed:
            yield Entry(id=name.replace("/", "-"), name=name, main=str(path), split=listed[name], problem=problem)


def _listed(path: Path) -> dict[str, str]:
    """Return the split of every `SET/NAME`, clean or hazy, that a list has.

    `gt/SET/mapping_info_GT_test.txt` has lines `FOLDER test NAME FRAMES`; `test/meta_info_GT_test.txt` lines
    `SET/NAME_AIRLIGHT_BETA FRAMES`.
    """
    found: dict[str, str] = {}
    for part in _PARTS:
        for file in sorted(path.glob(f"gt/*/mapping_info_GT_{part}.txt")):
            lines = file.read_text(encoding="utf-8-sig").splitlines()
            found |= {f"{file.parent.name}/{line.split()[2]}": part for line in lines if line.strip()}
        file = path / part / f"meta_info_GT_{part}.txt"
        if file.is_file():
            lines = file.read_text(encoding="utf-8-sig").splitlines()
            found |= {line.split()[0]: part for line in lines if line.strip()}
    return found


def _set_and_name(below: str) -> tuple[str, str]:
    """Return `DAVIS` and `bear_239_0.005` of `hazy/DAVIS/train/bear_239_0.005`."""
    parts = [part for part in below.split("/") if part not in ("hazy", "gt")]
    return parts[0], parts[-1]


def _clean(name: str) -> str:
    found = _HAZY.fullmatch(name)
    return found["clean"] if found else name


LAYOUT = Layout(
    summary="HazeWorld: train|test/hazy/SET/NAME_AIRLIGHT_BETA and gt/SET/NAME, or as it comes with its lists",
    entries=entries,
    marker="hazy",
)
