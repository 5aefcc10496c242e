"""One HTML page that plays a dataset's sources and targets side by side."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from configs import DatasetError, counted, unknown_name
from datagen.ledger import noted_names
from datagen.naming import with_sha256
from shards import Dataset, Sample, encode_preview
from shards.codecs import LOSSLESS_PSNR, encode_image
from shards.pages import data_url, write_html
from shards.sample import Video

_TEMPLATE = Path(__file__).parent / "templates" / "view.html"
_LONGEST_SIDE = 256


def write_contact_sheet(
    folder: Path,
    out: Path | None = None,
    *,
    task: str | None = None,
    split: str | None = None,
    limit: int = 24,
    on_chosen: Callable[[str], None] = lambda shown: None,
) -> Path:
    """Write a self-contained page of at most `limit` pairs, spread evenly over tasks, splits and sources.

    `on_chosen` hears in words how many of the pairs these are.

    Raises:
        DatasetError: `folder` is no dataset, or has no such task or split, or no samples of both.
        OutputError: `out` (by default `folder/view.html`) cannot be written.
    """
    dataset = Dataset(folder)
    if split is not None and split not in dataset.splits:
        raise DatasetError(f"{folder}: {unknown_name('split', split, dataset.splits)}")
    rows = dataset.index(task, split).to_pylist()
    if not rows:
        others = ", ".join(sorted(set(dataset.index(task)["split"].to_pylist())))
        raise DatasetError(f"{folder} has no {split} samples of {task!r}; of these it has {others}")
    chosen = spread(rows, limit)
    shown = _told_shown(len(chosen), len(rows))
    on_chosen(shown)
    page = out or folder / "view.html"
    names = _names(rows, noted_names(folder))
    write_html(
        page,
        _TEMPLATE,
        name=folder.resolve().name,
        sha256=dataset.manifest.sha256,
        lossless=f"{LOSSLESS_PSNR:g}",
        shown=shown,
        tasks=sorted({row["task"] for row in chosen}),
        splits=sorted({row["split"] for row in chosen}),
        pairs=[_pair(row, dataset[row["key"]], names[row["source_sha256"]]) for row in chosen],
    )
    return page


def _told_shown(chosen: int, pairs: int) -> str:
    told = f"{chosen:,} of {counted(pairs, 'pair')}"
    return f"{told}; --limit {pairs} shows all, --task and --split choose among them" if chosen < pairs else told


def spread(rows: list[dict[str, Any]], limit: int) -> list[dict[str, Any]]:
    """Return at most `limit` rows, taking turns between tasks and splits and, within these, between sources."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["task"], row["split"]), []).append(row)
    # the larger group first, where the turns do not come out even
    order = [
        (turn, -len(group), name, row)
        for name, group in groups.items()
        for turn, row in enumerate(_taking_turns(group))
    ]
    chosen = sorted(order, key=lambda item: item[:3])[:limit]
    # on the page, too, the videos take turns
    return [row for *_, row in sorted(chosen, key=lambda item: (item[2], item[0], item[3]["key"]))]


def _taking_turns(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Order rows so that every source has one before any has two."""
    seen: Counter[str] = Counter()
    turns = []
    for row in rows:
        turns.append(seen[row["source_id"]])
        seen[row["source_id"]] += 1
    return [row for _, row in sorted(zip(turns, rows, strict=True), key=lambda pair: pair[0])]


def _names(rows: list[dict[str, Any]], noted: Mapping[str, str]) -> dict[str, str]:
    """Return what to call the sources, by sha256: their id, or where several files share it the path that the build noted."""
    files: dict[str, set[str]] = {}
    for row in rows:
        files.setdefault(row["source_id"], set()).add(row["clean_sha256"])
    return {
        row["source_sha256"]: with_sha256(noted.get(row["source_sha256"], row["source_id"]), row["clean_sha256"])
        if len(files[row["source_id"]]) > 1
        else row["source_id"]
        for row in rows
    }


def _pair(row: dict[str, Any], sample: Sample, video: str) -> dict[str, Any]:
    height, width = sample.source.shape[1:3]
    mask = None if sample.mask is None else np.repeat(sample.mask[..., None], 3, axis=-1)
    return {
        **{name: row[name] for name in ("key", "task", "split", "instruction", "start")},
        "video": video,
        "end": row["start"] + (row["frames"] - 1) * row["step"],
        "words": f"{row['instruction']} {video} {row['key']}".lower(),
        "psnr": f"codec PSNR: source {row['psnr_source']:.1f}, target {row['psnr_target']:.1f} dB",
        "aspect": f"{width} / {height}",
        "source": _preview(sample.source, row["fps"]),
        "target": _preview(sample.target, row["fps"]),
        # a mask that is white throughout says nothing
        "mask": "" if mask is None or mask.min() == 255 else _preview(mask, row["fps"]),
        "reference": "" if sample.reference is None else data_url(encode_image(sample.reference), "image/png"),
        "scores": ", ".join(
            f"{name} {value:g}" for name, value in sample.meta.scores.items() if isinstance(value, int | float)
        ),
        "parameters": _in_lines(sample.meta.parameters),
    }


def _in_lines(parameters: Any) -> str:
    """Return parameters as JSON with a list of numbers on one line: there is one of them for every frame."""
    text = json.dumps(parameters, indent=1)
    return re.sub(r"\[\n[\s\d.,eE+-]+\]", lambda found: " ".join(found[0].split()), text)


def _preview(video: Video, fps: float) -> str:
    height, width = video.shape[1:3]
    scale = _LONGEST_SIDE / max(height, width)
    if scale < 1:
        size = (round(width * scale), round(height * scale))
        video = np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in video])
    return data_url(encode_preview(video, fps))
