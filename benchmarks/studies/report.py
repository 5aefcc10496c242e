"""What a study writes: its table as Markdown and CSV, and a page with its charts."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.statistics import Estimate
from shards.pages import write_html
from shards.storage import publish

if TYPE_CHECKING:
    from markupsafe import Markup

_TEMPLATE = Path(__file__).parent / "study.html"
Record = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Study:
    """A finished study: what it asked, a table, and what to know when reading it."""

    name: str
    question: str
    records: Sequence[Record]
    """Lines of the table; all have the same columns. Numbers may be estimates with an interval."""
    words: Sequence[str] = ()
    charts: Sequence[tuple[str, Markup]] = field(default=())
    """Titles and inline SVG."""
    pictures: Sequence[tuple[str, str]] = ()
    """Captions and URLs, for one line of the page."""


def write_study(out: Path, study: Study) -> Path:
    """Write `study.md`, `study.csv` and `study.html` into `out`, and return the page's path."""
    publish(out / "study.md", _markdown(study))
    publish(out / "study.csv", _csv(study))
    page = out / "study.html"
    write_html(
        page,
        _TEMPLATE,
        study=study,
        heads=[{"text": name, "kind": _kind(study, name)} for name in _columns(study)],
        lines=[[_cell(study, name, value) for name, value in record.items()] for record in study.records],
    )
    return page


def table_of(study: Study, *, intervals: bool = True) -> tuple[list[str], list[list[str]]]:
    """Return the heads and lines of a study's table as text, `intervals` in brackets where there are any."""
    lines = [[_shown(value, intervals=intervals) for value in record.values()] for record in study.records]
    return _columns(study), lines


def _columns(study: Study) -> list[str]:
    return list(study.records[0]) if study.records else []


def _kind(study: Study, name: str) -> str:
    return "text" if any(isinstance(record[name], str) for record in study.records) else "number"


def _cell(study: Study, name: str, value: Any) -> dict[str, Any]:
    number = _mean(value)
    return {"text": _shown(value), "value": "" if number is None else number, "kind": _kind(study, name)}


def _markdown(study: Study) -> str:
    heads, lines = table_of(study)
    rule = ["---" if _kind(study, name) == "text" else "---:" for name in heads]
    table = "\n".join(f"| {' | '.join(_plain(cell) for cell in cells)} |" for cells in [heads, rule, *lines])
    return "\n\n".join([f"# {study.name}", study.question, table, *study.words]) + "\n"


def _plain(text: str) -> str:
    return text.replace("|", "\\|")


def _csv(study: Study) -> str:
    """Return one line a record; an estimate takes three columns, its mean and the ends of its interval."""
    split = {name for record in study.records for name, value in record.items() if isinstance(value, Estimate)}
    columns = [own for name in _columns(study) for own in ([name, *_ends(name)] if name in split else [name])]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    for record in study.records:
        ends = {name: value for name, value in record.items() if isinstance(value, Estimate)}
        bounds = {
            end: bound
            for name, value in ends.items()
            for end, bound in zip(_ends(name), (value.low, value.high), strict=True)
        }
        writer.writerow({name: _mean(value) for name, value in record.items()} | bounds)
    return text.getvalue()


def _ends(name: str) -> tuple[str, str]:
    return f"{name} low", f"{name} high"


def _mean(value: Any) -> Any:
    return value.mean if isinstance(value, Estimate) else value


def _shown(value: Any, *, intervals: bool = True) -> str:
    if isinstance(value, Estimate):
        return _estimate(value, interval=intervals)
    if value is None:
        return "n/a"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _estimate(value: Estimate, *, interval: bool) -> str:
    """Return a mean and its interval with the same decimals: four digits of the largest of them."""
    known = [number for number in (value.mean, value.low, value.high) if number is not None]
    largest = max((abs(number) for number in known if math.isfinite(number)), default=0.0)
    decimals = max(3 - math.floor(math.log10(largest)), 0) if largest else 1
    told = f"{value.mean:z.{decimals}f}"
    if interval and value.low is not None and value.high is not None:
        told += f" [{value.low:z.{decimals}f}, {value.high:z.{decimals}f}]"
    return told
