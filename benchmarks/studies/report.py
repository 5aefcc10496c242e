"""What a study writes: its table as Markdown and CSV, and a page with its charts."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    """Lines of the table; all have the same columns."""
    words: Sequence[str] = ()
    charts: Sequence[tuple[str, Markup]] = field(default=())
    """Titles and inline SVG."""


def write_study(out: Path, study: Study) -> Path:
    """Write `study.md`, `study.csv` and `study.html` into `out`, and return the page's path."""
    publish(out / "study.md", _markdown(study))
    publish(out / "study.csv", _csv(study))
    page = out / "study.html"
    write_html(
        page,
        _TEMPLATE,
        study=study,
        columns=_columns(study),
        lines=[[{"text": _shown(value), "value": value} for value in record.values()] for record in study.records],
    )
    return page


def table_of(study: Study) -> tuple[list[str], list[list[str]]]:
    """Return the heads and lines of a study's table as text."""
    return _columns(study), [[_shown(value) for value in record.values()] for record in study.records]


def _columns(study: Study) -> list[str]:
    return list(study.records[0]) if study.records else []


def _markdown(study: Study) -> str:
    heads, lines = table_of(study)
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in [heads, ["---"] * len(heads), *lines])
    return "\n\n".join([f"# {study.name}", study.question, table, *study.words]) + "\n"


def _csv(study: Study) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, _columns(study), lineterminator="\n")
    writer.writeheader()
    writer.writerows(dict(record) for record in study.records)
    return text.getvalue()


def _shown(value: Any) -> str:
    if value is None:
        return "n/a"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
