"""The page of a dataset's numbers: tables and charts, in one file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from configs import counted
from datagen.quantities import unit_of
from datagen.stats import FILLERS, GROUPS, Cell, Stats, TaskStats, duration, ordered, place_of, rounded
from shards.codecs import LOSSLESS_PSNR
from shards.pages import write_html

_TEMPLATE = Path(__file__).parent / "templates" / "stats.html"
_SHOWN_SOURCES, _SHOWN_NAMES, _SHOWN_PARAMETERS, _SHOWN_WORDS = 20, 10, 60, 20
_LONGEST_TEXT = 300


def write_stats(stats: Stats, page: Path) -> Path:
    """Write the page and return its path.

    Raises:
        OutputError: `page` cannot be written.
    """
    from datagen.charts import counted_bars

    whole = Cell(
        samples=stats.samples,
        bytes=sum(cell.bytes for cell in stats.cells.values()),
        frames=sum(cell.frames for cell in stats.cells.values()),
        seconds=sum(stats.seconds),
        sources=set(stats.sources),
    )
    named: Counter[str] = Counter()
    for sha256, count in stats.sources.items():
        # two videos may have one name
        named[stats.names[sha256] if stats.names[sha256] not in named else f"{stats.names[sha256]} ({sha256[:8]})"] += (
            count
        )
    write_html(
        page,
        _TEMPLATE,
        name=stats.name,
        manifest=stats.manifest,
        cells=[(task, split, _told(cell)) for (task, split), cell in ordered(stats.cells)],
        whole=_told(whole),
        sources=counted_bars(named, _SHOWN_SOURCES, "more sources"),
        licences=counted_bars(stats.licences, _SHOWN_NAMES),
        captioned=f"with a caption: {stats.captioned:,} of {counted(stats.samples, 'sample')}",
        per_source=_number_chart("samples per source", [float(n) for n in stats.sources.values()]),
        clips=[
            _clip_chart("frames per clip", {str(n): count for n, count in stats.frames.items()}),
            _clip_chart("width x height in pixels", {f"{w} x {h}": count for (w, h), count in stats.sizes.items()}),
            _clip_chart("frames per second", {f"{rate:g}": count for rate, count in rounded(stats.rates).items()}),
            _number_chart("seconds per clip", stats.seconds),
            _number_chart("KiB per sample", [n / 1024 for n in stats.bytes]),
        ],
        tasks=[_task_page(task, found) for task, found in sorted(stats.tasks.items())],
        groups=GROUPS,
        lossless=f"{LOSSLESS_PSNR:g}",
        fillers=", ".join(FILLERS),
    )
    return page


def _told(cell: Cell) -> dict[str, str]:
    return {
        "contents": f"{counted(cell.samples, 'sample')} of {counted(len(cell.sources), 'source')}",
        "samples": f"{cell.samples:,}",
        "sources": f"{len(cell.sources):,}",
        "megabytes": f"{cell.bytes / 2**20:,.1f}",
        "frames": f"{cell.frames:,}",
        "length": duration(cell.seconds),
    }


def _number_chart(name: str, values: list[float]) -> dict[str, Any]:
    """Return title, chart and a line of figures; a number that never changes needs no chart."""
    from datagen.charts import Series, figures, histogram, number_text

    if min(values) == max(values):
        return {"name": name, "chart": "", "note": number_text(values[0])}
    return {"name": name, "chart": histogram([Series(name="samples", values=values)]), "note": figures(values)}


def _clip_chart(name: str, counts: Mapping[str, int]) -> dict[str, Any]:
    from datagen.charts import counted_bars, short

    if len(counts) == 1:
        return {"name": name, "chart": "", "note": short(next(iter(counts)), _LONGEST_TEXT) or "(empty)"}
    return {"name": name, "chart": counted_bars(counts, _SHOWN_NAMES), "note": f"{len(counts):,} different values"}


def _task_page(task: str, found: TaskStats) -> dict[str, Any]:
    from datagen.charts import counted_bars, short

    total = found.instructions.total()
    parameters = [
        (name, len(values), _number_chart(_with_unit(task, name), values))
        for name, values in sorted(found.numbers.items())
    ]
    parameters += [(name, c.total(), _clip_chart(name, c)) for name, c in sorted(found.categories.items())]
    for _, count, chart in parameters:
        if count < total:
            chart["note"] += f" (in {count:,} of {counted(total, 'sample')})"
    by_length = sorted(found.instructions, key=lambda text: (len(text), text))
    return {
        "name": task,
        "samples": counted(total, "sample"),
        "parameters": [chart for *_, chart in parameters[:_SHOWN_PARAMETERS]],
        "more": max(len(parameters) - _SHOWN_PARAMETERS, 0),
        "codec": [
            _number_chart("codec PSNR of the source, dB", found.psnr_source),
            _number_chart("codec PSNR of the target, dB", found.psnr_target),
        ],
        "words": counted_bars(found.words, _SHOWN_WORDS, "more words"),
        "distinct": counted(len(found.instructions), "different instruction"),
        "often": [(f"{n:,}", short(text, _LONGEST_TEXT)) for text, n in _most_frequent(found.instructions)],
        "fewer": f"{max(len(found.instructions) - _SHOWN_NAMES, 0):,}",
        "shortest": short(by_length[0], _LONGEST_TEXT),
        "longest": short(by_length[-1], _LONGEST_TEXT),
        "templates": [(split, _shares(found.templates[split])) for split in sorted(found.templates, key=place_of)],
    }


def _with_unit(task: str, name: str) -> str:
    unit = unit_of(task, name)
    return f"{name}, {unit}" if unit else name


def _most_frequent(counts: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_SHOWN_NAMES]


def _shares(counts: Counter[str]) -> list[str]:
    return [
        f"{counts[group]:,} ({100 * counts[group] / counts.total():.1f} %)" if counts[group] else "-"
        for group in GROUPS
    ]
