"""Charts as inline SVG for our HTML pages: histograms and counted bars, coloured by the page's own style."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from markupsafe import Markup

_WIDTH = 340
_LEFT, _RIGHT, _TOP, _BOTTOM = 8, 8, 18, 20
_PLOT = 96
"""Height of the tallest bar, in pixels, as all sizes here."""
_LABELS = 14
"""Height that one row of threshold labels takes."""
_BINS = 24
_FEWEST = 6
"""Bins there are at least: one bar as wide as the plot is no bar."""
_LEAST = 1.5
"""Height of the shortest bar: one sample among thousands must still be seen."""
_ROW, _NAMES, _ROOM = 20, 160, 21
"""Height of a row, width of its name, and how many small letters go into that."""
_FAINT = 8


@dataclass(frozen=True, kw_only=True)
class Series:
    """Values of one kind; `style` is a class of the page's style (`kept`, `rejected`)."""

    name: str
    values: Sequence[float]
    style: str = "kept"


@dataclass(frozen=True, kw_only=True)
class Line:
    """A value that is marked across a histogram."""

    value: float
    label: str


def histogram(series: Sequence[Series], lines: Sequence[Line] = ()) -> Markup:
    """Draw how often values occur, the series on top of each other, and the lines with their labels above.

    Nothing is drawn where there are no finite values.
    """
    from markupsafe import Markup

    finite = [np.asarray(one.values, float)[np.isfinite(np.asarray(one.values, float))] for one in series]
    together = np.concatenate(finite) if finite else np.zeros(0)
    if not len(together):
        return Markup("")
    edges = bin_edges(together, [line.value for line in lines])
    counts = np.stack([np.histogram(values, edges)[0] for values in finite])
    top = _TOP + _LABELS * len(lines) + (4 if lines else 0)
    height = top + _PLOT + _BOTTOM
    parts = [
        *_bars(series, counts, edges, top),
        *_axis(edges, counts, top),
        *(_line(line, edges, number, top) for number, line in enumerate(lines)),
    ]
    words = f"histogram of {len(together)} values from {number_text(together.min())} to {number_text(together.max())}"
    return Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        _WIDTH, height, words, Markup("").join(parts)
    )


def counted_bars(counts: Mapping[str, int], limit: int = 12, what: str = "more") -> Markup:
    """Draw one bar for each of the `limit` most frequent names, and say what is left out."""
    from markupsafe import Markup

    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    shown, left_out = ordered[:limit], ordered[limit:]
    if not shown:
        return Markup("")
    room = _WIDTH - _NAMES - 70
    parts = []
    for number, (name, count) in enumerate(shown):
        y = number * _ROW
        parts.append(
            Markup(
                '<g><title>{0}: {1}</title><text x="{2}" y="{3}" text-anchor="end">{4}</text>'
                '<rect class="kept" x="{5}" y="{6}" width="{7:.1f}" height="13" rx="2"/>'
                '<text x="{8:.1f}" y="{3}">{1}</text></g>'
            ).format(
                name,
                f"{count:,}",
                _NAMES - _FAINT,
                y + 14,
                _fitting(name) or "(empty)",
                _NAMES,
                y + 3,
                max(count / shown[0][1] * room, _LEAST),
                _NAMES + max(count / shown[0][1] * room, _LEAST) + 6,
            )
        )
    height = len(shown) * _ROW
    if left_out:
        rest = f"and {len(left_out):,} {what} ({sum(count for _, count in left_out):,})"
        parts.append(Markup('<text x="{}" y="{}" class="rest">{}</text>').format(_NAMES, height + 14, rest))
        height += _ROW
    words = f"counts of {len(ordered)} names"
    return Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        _WIDTH, height, words, Markup("").join(parts)
    )


def bin_edges(values: NDArray[np.float64], also: Sequence[float] = ()) -> NDArray[np.float64]:
    """Return evenly spaced edges at round numbers, about 24 bins, that reach over the values and over `also`.

    Few different whole numbers get a bin each, with the number in its middle. A few values alone leave empty bins above them.
    """
    low, high = min(values.min(), *also, math.inf), max(values.max(), *also, -math.inf)
    whole = not also and bool((values == np.round(values)).all())
    if whole and high - low < _BINS:
        return np.arange(low - 0.5, max(high, low + _FEWEST - 1) + 1)
    step = round_step((high - low) / _BINS) if high > low else round_step(abs(high) / 10 or 1)
    if whole:
        step = max(step, 1.0)
    first = math.floor(low / step)
    last = max(math.ceil(high / step), first + (1 if high > low else _FEWEST))
    edges: NDArray[np.float64] = np.arange(first, last + 1) * step
    # what rounding cut off
    edges[0], edges[-1] = min(edges[0], low), max(edges[-1], high)
    return edges


def round_step(least: float) -> float:
    """Return the smallest of 1, 2, 5 times a power of ten that is not below `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(power * digit for digit in (1, 2, 5, 10) if power * digit >= least * (1 - 1e-9))


def number_text(value: float) -> str:
    """Write a number in four digits, large whole ones in full."""
    if value == round(value) and 1000 <= abs(value) < 1e12:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def figures(values: Sequence[float]) -> str:
    """Say in words how values are spread."""
    if min(values) == max(values):
        return f"all {number_text(values[0])}"
    low, middle, high = (number_text(value) for value in np.percentile(values, [5, 50, 95]))
    text = f"{number_text(min(values))} to {number_text(max(values))}; 5 %: {low}, median: {middle}, 95 %: {high}"
    # a figure stays on the line of its name
    return text.replace(" %: ", "\N{NO-BREAK SPACE}%:\N{NO-BREAK SPACE}").replace(": ", ":\N{NO-BREAK SPACE}")


def short(text: str, most: int) -> str:
    """Cut a text that is too long."""
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _fitting(name: str) -> str:
    """Cut a name to the room there is: capitals are wider than small letters, and Chinese characters twice as wide."""
    name = " ".join(name.split())
    widths = np.cumsum(
        [2.0 if unicodedata.east_asian_width(c) in "WF" else 1.5 if c.isupper() or c in "mw" else 1.0 for c in name]
    )
    return short(name, max(int(np.searchsorted(widths, _ROOM, side="right")), 1))


def _x(value: float, edges: NDArray[np.float64]) -> float:
    return float(_LEFT + (value - edges[0]) / (edges[-1] - edges[0]) * (_WIDTH - _LEFT - _RIGHT))


def _bars(
    series: Sequence[Series], counts: NDArray[np.int64], edges: NDArray[np.float64], top: int
) -> Iterator[Markup]:
    from markupsafe import Markup

    highest = counts.sum(0).max()
    for place in range(counts.shape[1]):
        base = float(top + _PLOT)
        left, right = _x(edges[place], edges), _x(edges[place + 1], edges)
        between = f"{number_text(edges[place])} to {number_text(edges[place + 1])}"
        for one, count in zip(series, counts[:, place], strict=True):
            if count:
                height = max(count / highest * _PLOT, _LEAST)
                base -= height
                yield Markup(
                    '<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"><title>{}</title></rect>'
                ).format(one.style, left + 0.5, base, right - left - 1, height, f"{between}: {one.name} {count:,}")


def _axis(edges: NDArray[np.float64], counts: NDArray[np.int64], top: int) -> Iterator[Markup]:
    from markupsafe import Markup

    base = top + _PLOT
    yield Markup('<path class="axis" d="M{} {}H{}"/>').format(_LEFT, base + 0.5, _WIDTH - _RIGHT)
    yield Markup('<text x="{}" y="{}">{}</text>').format(_LEFT, 12, f"highest bar: {counts.sum(0).max():,}")
    for value in _ticks(edges):
        x = _x(value, edges)
        anchor = "start" if x < 30 else "end" if x > _WIDTH - 30 else "middle"
        yield Markup(
            '<path class="axis" d="M{0:.1f} {1}v4"/><text x="{0:.1f}" y="{2}" text-anchor="{3}">{4}</text>'
        ).format(x, base, base + 16, anchor, f"{value / 1e6:,g}M" if abs(value) >= 1e6 else number_text(value))


def _ticks(edges: NDArray[np.float64]) -> list[float]:
    low, high = edges[0], edges[-1]
    step = max(round_step((high - low) / 4), float(edges[1] - edges[0]))
    return [float(round(n * step, 12)) for n in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _line(line: Line, edges: NDArray[np.float64], number: int, top: int) -> Markup:
    from markupsafe import Markup

    x, y = _x(line.value, edges), _TOP + _LABELS * (number + 1) - 3
    right = x > _WIDTH / 2
    return Markup(
        '<path class="threshold" d="M{0:.1f} {1}V{2}"/><text class="threshold" x="{3:.1f}" y="{1}" text-anchor="{4}">{5}</text>'
    ).format(x, y, top + _PLOT, x - 4 if right else x + 4, "end" if right else "start", line.label)
