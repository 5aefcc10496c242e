"""InstructPix2Pix (Brooks et al. 2023): image pairs PROMPT/SEED_0.jpg and SEED_1.jpg, for training on images first."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from configs import SourceError
from datagen.sources.layouts import Layout
from datagen.sources.layouts._expressions import load_json
from datagen.sources.layouts._prompts import prompt_facts
from datagen.sources.library import Entry

_TRAIN, _VAL = 0.9, 0.95
"""Its loader takes prompts up to these shares of the list for train and val."""


def entries(path: Path) -> Iterator[Entry]:
    """Yield the pairs that `seeds.json` lists, in the authors' splits; without it every pair below the folder."""
    listed = load_json(path / "seeds.json") if (path / "seeds.json").is_file() else None
    if listed is None:
        folders = sorted(file.parent for file in path.rglob("prompt.json"))
        listed = [
            [f.relative_to(path).as_posix(), [p.name.removesuffix("_0.jpg") for p in f.glob("*_0.jpg")]]
            for f in folders
        ]
    if not any(seeds for _, seeds in listed):
        raise SourceError(
            f"{path} is not of the layout instruct_pix2pix: no seeds.json, and no prompt.json beside SEED_0.jpg"
        )
    train, val = (math.floor(share * len(listed)) for share in (_TRAIN, _VAL))
    for number, (name, seeds) in enumerate(listed):
        words, problem = prompt_facts(path / name / "prompt.json")
        for seed in sorted(map(str, seeds)):
            yield Entry(
                id=f"{Path(name).name}-{seed}",
                name=f"{name}/{seed}",
                main=str((path / name / f"{seed}_0.jpg").resolve()),
                pair=str((path / name / f"{seed}_1.jpg").resolve()),
                task="edit",
                facts=words,
                split="train" if number < train else "val" if number < val else "test",
                problem=problem,
            )


LAYOUT = Layout(
    summary="InstructPix2Pix: PROMPT/SEED_0.jpg and SEED_1.jpg (with clip.frames=1)",
    entries=entries,
    marker="seeds.json",
)
