"""Reading `rejects.jsonl`: what was turned away, as plain values, whatever version of datagen wrote them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from configs import DatasetError

NAME = "rejects.jsonl"
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
