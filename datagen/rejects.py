"""Reading `rejects.jsonl`: what was turned away, as plain values, whatever version of datagen wrote them."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from configs import DatasetError, counted

NAME = "rejects.jsonl"
UNITS = ("video", "clip", "pair")
"""What is left out: all of a video, a clip of it for all tasks, or its pair for one task."""
_SAME_FILE = "duplicate"
"""Kind of reject of a file that has the content of another."""
_NUMBER = r"[-+]?\d[\d.]*(?:e[-+]?\d+)?"
_SCORE = re.compile(rf": (\w+) ({_NUMBER})(?: [<>] {_NUMBER})?")


def read_rejects(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the rejects of a dataset line by line; none where the file is missing.

    Raises:
        DatasetError: a line is not what a build writes.
    """
    path = folder / NAME
    if not path.is_file():
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, 1):
            try:
                reject = json.loads(line)
                reject["reason"].split(":")
            except (ValueError, KeyError, TypeError, AttributeError):
                raise DatasetError(
                    f"{path}, line {number} is damaged; delete the file and run the same 'datagen build' again"
                ) from None
            yield {"where": "", "source": "", "sha256": "", "start": -1, "task": "", "split": ""} | reject


def kind_of(reject: Mapping[str, Any]) -> str:
    """Return the reason without its details, to count by."""
    return str(reject["reason"]).split(":")[0]


def broken_score(reject: Mapping[str, Any]) -> tuple[str, float] | None:
    """Return the score that a gate turned the clip away for, as its reason tells: `still: motion 0.01 < 0.02`."""
    found = _SCORE.fullmatch(str(reject["reason"])[len(kind_of(reject)) :])
    return (found[1], float(found[2])) if found and reject["where"] in ("gate", "pair") else None


def unit_of(reject: Mapping[str, Any]) -> str:
    """Return which of `UNITS` was left out; nothing where a video is kept and some of its frames are not."""
    if reject["where"] == "frames":
        return ""
    return UNITS[2] if reject["task"] else UNITS[0] if reject["start"] in (-1, None) else UNITS[1]


def leaves_nothing(reject: Mapping[str, Any], kept: Collection[str]) -> bool:
    """Whether a reject is of a video without a sample, or of a file that is in under another name.

    `kept`: sha256 of the sources, and of the clean videos, that samples were made of.
    """
    return bool(unit_of(reject)) and (kind_of(reject) == _SAME_FILE or reject["sha256"] not in kept)


def without_samples(rejects: Iterable[Mapping[str, Any]], kept: Collection[str]) -> dict[str, list[str]]:
    """Return the names of the videos that were left out wholly, by the kinds of reason; `kept` as of `leaves_nothing`."""
    videos: dict[tuple[str, str], set[str]] = {}
    for reject in rejects:
        if leaves_nothing(reject, kept):
            videos.setdefault((reject["source"], reject["sha256"]), set()).add(kind_of(reject))
    found: dict[str, list[str]] = {}
    for (name, _), kinds in sorted(videos.items()):
        found.setdefault(", ".join(sorted(kinds)), []).append(name)
    return dict(sorted(found.items()))


def in_short(units: Mapping[str, int]) -> str:
    """Say how many of each of `UNITS` were left out: `2 videos, 1 clip`; nothing where none was."""
    return ", ".join(counted(units[unit], unit) for unit in UNITS if units.get(unit))


def in_words(number: int, unit: str, task: str) -> str:
    """Say how many of one unit, and of a task's where they are pairs."""
    return counted(number, f"{task} {unit}".strip()) if unit else "frames of kept videos"


def in_lines(rejects: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Say how many videos, clips and pairs of each task were left out, a line each, and why."""
    groups: dict[tuple[str, str], Counter[str]] = {}
    for reject in rejects:
        groups.setdefault((unit_of(reject), reject["task"]), Counter())[kind_of(reject)] += 1
    for unit, task in sorted(groups, key=lambda group: ((*UNITS, "").index(group[0]), group[1])):
        kinds = groups[unit, task]
        each = ", ".join(f"{kind} {number:,}" for kind, number in sorted(kinds.items()))
        yield f"{in_words(kinds.total(), unit, task)} left out: {each}"
