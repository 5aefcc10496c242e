"""MagicBrush (Zhang et al. 2023): images edited by hand, turn by turn, as its downloads for dev and test have them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from configs import SourceError
from datagen.sources.layouts import Layout
from datagen.sources.layouts._expressions import load_json
from datagen.sources.library import Entry

_SPLITS = {"train": "train", "dev": "val", "test": "test"}


def entries(path: Path) -> Iterator[Entry]:
    """Yield every turn of `edit_turns.json` with the pictures `images/ID/ID-input.png` and `ID-output1.png`.

    `ID-mask1.png`, the input with what was to be edited cut out, becomes the pair's mask.

    Raises:
        SourceError: there is no such list; the parquet files on the Hugging Face hub have none.
    """
    lists = sorted(path.rglob("edit_turns.json"))
    if not lists and any(path.rglob("*.parquet")):
        raise SourceError(
            f"{path} has MagicBrush's pictures inside parquet files, which are not read: write them out as files, and name "
            "them in a table (columns path, pair, masks, task, instruction)"
        )
    if not lists:
        raise SourceError(f"{path} is not of the layout magicbrush: no edit_turns.json in it")
    turns = [(file, number, turn) for file in lists for number, turn in enumerate(load_json(file), start=1)]
    if turns and not any(_is_whole(turn) for *_, turn in turns):
        raise TypeError("no turn has input, output and instruction")
    for file, number, turn in turns:
        yield _entry(path, file, turn) if _is_whole(turn) else _reject(file, number)


def _is_whole(turn: Any) -> bool:
    return isinstance(turn, dict) and {"input", "output", "instruction"} <= turn.keys()


def _entry(path: Path, file: Path, turn: Mapping[str, Any]) -> Entry:
    parts = file.relative_to(path.parent).parts
    source, edited = (_picture(file.parent, str(turn[side])) for side in ("input", "output"))
    return Entry(
        id=edited.stem,
        name=edited.name,
        main=str(source),
        pair=str(edited),
        masks=_hole(_picture(file.parent, str(turn["mask"]))) if turn.get("mask") else "",
        task="edit",
        facts={"instruction": " ".join(str(turn["instruction"] or "").split())},
        split=next((_SPLITS[part] for part in reversed(parts) if part in _SPLITS), ""),
    )


def _reject(file: Path, number: int) -> Entry:
    problem = f"no instruction: turn {number} of {file.name} lacks it, or its input or output"
    return Entry(id=file.stem, name=f"{file.name}, {number}", main=str(file.resolve()), problem=problem)


def _picture(root: Path, name: str) -> Path:
    """Return where a picture is: in the folder of its number, below `images`."""
    number = name.split("-")[0]
    places = (root / "images" / number / name, root / number / name, root / name)
    return next((place for place in places if place.exists()), places[0]).resolve()


def _hole(file: Path) -> str:
    """Return where a mask is; nothing where there is none, or none that has transparency: white may be in any picture."""
    from PIL import Image

    try:
        with Image.open(file) as image:
            return str(file) if image.mode == "RGBA" else ""
    except OSError:
        return ""


LAYOUT = Layout(
    summary="MagicBrush: edit_turns.json and images/ID/ID-input.png, ID-output1.png (with clip.frames=1)",
    entries=entries,
    marker="edit_turns.json",
)
