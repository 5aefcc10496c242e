"""Charts as inline SVG for the page: quality against cost, and quality against how bad the input was."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markupsafe import Markup

_HEIGHT = 250
"""At least: the names of many methods need more."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 324, 14, 40
"""Where the plot begins and ends."""
_LETTER, _LINE = 7.0, 13
"""Width of a letter of the names, which stand to the right of the plot, and height of a line of them."""
_LONGEST = 26
"""Letters of a name that are drawn: of a longer one its middle is left out, for many differ at their end."""
_PALETTE = (
    "#2563c9",
    "#c2410c",
    "#137a4b",
    "#8b3fb3",
    "#a16207",
    "#0e7490",
    "#be185d",
    "#4d7c0f",
    "#57534e",
    "#b3261e",
)


@dataclass(frozen=True, kw_only=True)
class Series:
    """One method's points, joined in the order they come in; a single point is a dot with its name."""

    name: str
    points: Sequence[tuple[float, float]]
    ends: Sequence[tuple[float, float] | None] = ()
    """Of each point's interval, upwards; None where there is none, and empty where no point has one."""
    place: int | None = None
    """Decides its colour, so that a method has one colour in all charts; by default its place in this one."""


def chart(series: Sequence[Series], *, across: str, up: str, logarithmic: bool = False) -> Markup:
    """Draw the series over one pair of axes, `across` and `up` their names with units; nothing where there are no points."""
    from markupsafe import Markup, escape

    drawn = [one for one in series if one.points]
    if not drawn:
        return Markup("")
    width = _RIGHT + 14 + _LETTER * max(len(_shortened(one.name)) for one in drawn)
    height = max(_HEIGHT, _LINE * (len(drawn) + 1) + 8)
    x = _Axis([p[0] for one in drawn for p in one.points], _LEFT, _RIGHT, logarithmic)
    heights = [p[1] for one in drawn for p in one.points]
    heights += [end for one in drawn for ends in one.ends for end in ends or ()]
    y = _Axis(heights, height - _BOTTOM, _TOP)
    parts = [
        f'<svg viewBox="0 0 {width:.0f} {height}" role="img" aria-label="{escape(up)} against {escape(across)}">',
        *_grid(x, y, height - _BOTTOM),
        _text((_LEFT + _RIGHT) / 2, height - 6, across),
        _text(12, height / 2, up, f'transform="rotate(-90 12 {height / 2})"'),
    ]
    labels = _apart([y(one.points[-1][1]) for one in drawn], height - 8)
    for place, (one, label) in enumerate(zip(drawn, labels, strict=True)):
        colour = place if one.place is None else one.place
        parts += _drawn(one, _PALETTE[colour % len(_PALETTE)], label, x, y)
    return Markup("".join([*parts, "</svg>"]))


def _grid(x: _Axis, y: _Axis, down: int) -> list[str]:
    parts = []
    for value in x.ticks:
        parts.append(f'<path class="axis" d="M{x(value):.1f} {_TOP}V{down}"/>')
        parts.append(_text(x(value), down + 15, _short(value)))
    for value in y.ticks:
        parts.append(f'<path class="axis" d="M{_LEFT} {y(value):.1f}H{_RIGHT}"/>')
        parts.append(_text(_LEFT - 6, y(value) + 4, _short(value), anchor="end"))
    return parts


def _drawn(series: Series, colour: str, label: float, x: _Axis, y: _Axis) -> list[str]:
    places = [(x(across), y(up)) for across, up in series.points]
    line = " ".join(f"{'L' if n else 'M'}{a:.1f} {b:.1f}" for n, (a, b) in enumerate(places))
    end, height = places[-1]
    return [
        f'<path d="{line}" fill="none" stroke="{colour}" stroke-width="1.6"/>',
        *(
            f'<path class="interval" d="M{a:.1f} {y(ends[0]):.1f}V{y(ends[1]):.1f}" stroke="{colour}" opacity=".5"/>'
            for (a, _), ends in zip(places, series.ends, strict=False)
            if ends
        ),
        *(f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="{colour}"/>' for a, b in places),
        f'<path d="M{end + 3:.1f} {height:.1f}L{_RIGHT + 6} {label:.1f}" stroke="{colour}" opacity=".35"/>',
        _text(_RIGHT + 9, label + 4, _shortened(series.name), f'style="fill:{colour}"', anchor="start"),
    ]


def _text(x: float, y: float, words: str, more: str = "", *, anchor: str = "middle") -> str:
    from markupsafe import escape

    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {more}>{escape(words)}</text>'


class _Axis:
    """Maps values to pixels between `low` and `high`, with a few round ticks."""

    def __init__(self, values: Sequence[float], low: float, high: float, logarithmic: bool = False) -> None:
        self._log = logarithmic
        smallest = min((v for v in values if v > 0), default=1.0)
        self._floor = smallest if logarithmic else -math.inf
        scaled = [self._scaled(v) for v in values]
        start, end = min(scaled), max(scaled)
        room = (end - start) * 0.06 or 0.5
        self._start, self._end, self._low, self._high = start - room, end + room, low, high

    def __call__(self, value: float) -> float:
        share = (self._scaled(value) - self._start) / (self._end - self._start)
        return self._low + share * (self._high - self._low)

    @property
    def ticks(self) -> list[float]:
        """Round values inside the axis: powers of ten, or steps of 1, 2 or 5."""
        if self._log:
            tens = range(math.ceil(self._start), math.floor(self._end) + 1)
            return [10.0**power for power in tens] or [10 ** ((self._start + self._end) / 2)]
        rough = (self._end - self._start) / 5
        unit = 10 ** math.floor(math.log10(rough))
        step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= rough)
        first = math.ceil(self._start / step)
        return [round(n * step, 10) for n in range(first, math.floor(self._end / step) + 1)]

    def _scaled(self, value: float) -> float:
        return math.log10(max(value, self._floor)) if self._log else value


def _apart(places: list[float], lowest: float) -> list[float]:
    """Return the heights of labels, moved so that none covers another or lies below `lowest`."""
    order = sorted(range(len(places)), key=lambda n: places[n])
    moved = list(places)
    for before, after in pairwise(order):
        moved[after] = max(moved[after], moved[before] + _LINE)
    limit = lowest
    for n in reversed(order):
        moved[n] = min(moved[n], limit)
        limit = moved[n] - _LINE
    return moved


def _shortened(name: str) -> str:
    half = _LONGEST // 2
    return name if len(name) <= _LONGEST else f"{name[: half - 1]}…{name[-half:]}"


def _short(value: float) -> str:
    return f"{value:g}" if abs(value) >= 1e-3 or value == 0 else f"{value:.0e}"
