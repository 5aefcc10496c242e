"""The synthetic pairs of InsV2V (Cheng et al. 2023): ID/image/SEED_0_FRAME.jpg and SEED_1_FRAME.jpg, with scores."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from configs import SourceError
from datagen.sources.layouts import Layout
from datagen.sources.layouts._prompts import prompt_facts
from datagen.sources.library import Entry

_LEAST = {"sim_dir": 0.2, "sim_0": 0.2, "sim_1": 0.2, "sim_image": 0.5}
"""CLIP similarities that its own loader wants a pair to exceed."""


def entries(path: Path) -> Iterator[Entry]:
    """Yield every pair; one below the authors' thresholds is a reject, and so is a folder whose scores cannot be read."""
    folders = sorted(file.parent for file in path.rglob("prompt.json") if (file.parent / "image").is_dir())
    if not folders:
        raise SourceError(f"{path} is not of the layout insv2v: no folder in it has prompt.json and image/")
    for folder in folders:
        words, problem = prompt_facts(folder / "prompt.json")
        seeds, damage = _seeds(folder / "metadata.jsonl")
        name = folder.relative_to(path).as_posix()
        for seed, low in seeds.items():
            yield Entry(
                id=f"{folder.name}-{seed}",
                name=f"{name}/{seed}",
                main=str(folder.resolve() / "image" / f"{seed}_0_*.jpg"),
                pair=str(folder.resolve() / "image" / f"{seed}_1_*.jpg"),
                task="edit",
                facts=words,
                problem=problem or low,
            )
        if damage:
            yield Entry(id=folder.name, name=f"{name}/metadata.jsonl", main=str(folder.resolve()), problem=damage)


def _seeds(file: Path) -> tuple[dict[str, str], str]:
    """Return for the seed of every pair why it is not good enough, or nothing; and what is wrong with the list, or nothing."""
    try:
        lines = [line for line in file.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, ValueError):
        return {}, "unreadable: no such file, or no UTF-8"
    seeds, damaged = {}, 0
    for line in lines:
        try:
            scores = json.loads(line)
            seeds[str(scores["seed"])] = _too_low(scores)
        except (AttributeError, KeyError, TypeError, ValueError):
            damaged += 1
    return seeds, f"unreadable: {damaged} of {len(lines)} lines are no scores of a seed" if damaged else ""


def _too_low(scores: Mapping[str, float]) -> str:
    low = [f"{name} {scores[name]:g} <= {least:g}" for name, least in _LEAST.items() if scores.get(name, 1.0) <= least]
    return f"below its authors' thresholds: {', '.join(low)}" if low else ""


LAYOUT = Layout(
    summary="InsV2V's synthetic pairs: ID/image/SEED_0_*.jpg and SEED_1_*.jpg",
    entries=entries,
    marker="*/image/*_1_*.jpg",
)
