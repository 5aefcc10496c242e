"""Effect parameters as quantities: one number a sample, with its unit where that is known."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

_EXTENT = " (extent)"
"""Ends the name of what stands for a list of points."""


def flat(value: Any, name: str = "") -> Iterator[tuple[str, float | str]]:
    """Yield nested parameters by dotted name, anything but numbers as text.

    A list of numbers is its mean. A list of points (x, y) has none that means anything: it is the diagonal of the box they
    lie in, of several such lists the mean.
    """
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from flat(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, str):
        yield name, value
    elif isinstance(value, list) and all(isinstance(inner, dict) for inner in value):
        # steps of a program: what a name stands for in any of them
        together: dict[str, list[float | str]] = {}
        for path, inner in (found for step in value for found in flat(step, name)):
            together.setdefault(path, []).append(inner)
        for path, values in together.items():
            total = _total(values)
            yield path, total[0] / total[1] if total else ", ".join(map(str, values))
    elif extents := _extents(value):
        yield name + _EXTENT, sum(extents) / len(extents)
    else:
        total = _total(value)
        yield name, total[0] / total[1] if total else json.dumps(value, ensure_ascii=False)


def unit_of(task: str, name: str) -> str:
    """Return the unit of one of a task's parameters, by the name that `flat` gives it; nothing where it is not known."""
    from datagen.tasks import builder, builder_names

    return builder(task).units.get(name.removesuffix(_EXTENT), "") if task in builder_names() else ""


def _extents(value: Any) -> list[float]:
    """Return the extent of every list of points in nested lists; none where there is anything else."""
    if not isinstance(value, list) or not value:
        return []
    if all(_is_point(inner) for inner in value):
        return [
            math.dist(
                [min(side) for side in zip(*value, strict=True)], [max(side) for side in zip(*value, strict=True)]
            )
        ]
    inner = [_extents(inner) for inner in value]
    return [extent for found in inner for extent in found] if all(inner) else []


def _is_point(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_is_number, value))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _total(value: Any) -> tuple[float, int] | None:
    """Return sum and number of the numbers in nested lists; None where there is anything else."""
    if isinstance(value, list):
        totals = [_total(inner) for inner in value]
        known = [total for total in totals if total]
        return (sum(t[0] for t in known), sum(t[1] for t in known)) if known and len(known) == len(totals) else None
    return (float(value), 1) if _is_number(value) else None
