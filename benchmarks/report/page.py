"""The leaderboard as one HTML page with side-by-side clips; nothing in it is fetched from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.methods import METHODS
from benchmarks.metrics import Column
from benchmarks.report.boards import CONVENTIONS, IN_SHORT, ORACLE, Board, Line, conventions_of, describe_method
from benchmarks.report.cells import (
    LEAST_SECONDS,
    between,
    label,
    leaders,
    part_lines,
    reported_cells,
    seconds_in_words,
    show_mean,
)
from benchmarks.report.charts import Series, chart
from benchmarks.runner import Run, prediction_path
from benchmarks.scoring import Row
from shards import Dataset, encode_preview
from shards.codecs import decode_video
from shards.pages import data_url, render_html
from shards.storage import publish

PAGE = "index.html"
_TEMPLATE = Path(__file__).parent / "page.html"
_MOST_BINS, _LEAST_BINS = 5, 3
_FITTING = {"wide": 7, "middle": 4, "narrow": 2}
"""How many clips fit side by side into a window of 75 rem and more, of 52 and more, and into a smaller one."""
_FEWEST = 3
"""Clips that a line has room for: two would fill the window."""
_LEAST_IN_BIN = 3
"""Samples of which a mean says more of the severity than of the sample."""


def write_page(out: Path, boards: Sequence[Board], run: Run, dataset: Dataset, examples: int) -> Path:
    """Write `out/index.html` and return its path."""
    publish(out / PAGE, page_text(out, boards, run, dataset, examples))
    return out / PAGE


def page_text(out: Path, boards: Sequence[Board], run: Run, dataset: Dataset, examples: int) -> str:
    """Return the page of the run in `out`, with the clips of as many samples of each board as `examples` says."""
    first = {row["method"]: row for row in run.rows}
    return render_html(
        _TEMPLATE,
        facts={"not_scored": "", **run.facts, "dataset_name": Path(run.facts["dataset"]).name},
        boards=[_board(out, board, run, dataset, examples) for board in boards],
        failures=[row for row in run.rows if row["status"] != "ok"],
        in_short=IN_SHORT,
        conventions=CONVENTIONS,
        metrics=[{"label": label(metric), "convention": told} for metric, told in conventions_of(boards)],
        methods=[describe_method(row) for row in first.values()],
    )


def pick(board: Board, rows: Sequence[Row], count: int) -> list[tuple[str, str]]:
    """Choose samples by how well the best method that does something did: best, worst, middle, then between.

    Returns pairs of a sample's key and the reason it is shown.
    """
    first = board.first
    name = _hero(board)
    scored = [row for row in rows if row["method"] == name and first.name in row.get("scores", {})]
    ordered = sorted(scored, key=lambda row: row["scores"][first.name], reverse=first.higher_is_better)
    if not ordered:
        return [(key, "") for key in list(dict.fromkeys(row["key"] for row in rows))[:count]]
    last = len(ordered) - 1
    places: dict[int, str] = {}
    for place, word in ((0, "best"), (last, "worst"), (last // 2, "middle")):
        places.setdefault(place, f"{word} for {name}")
    for step in range(1, count):
        places.setdefault(step * last // count, "between")
    return [(ordered[place]["key"], why) for place, why in list(places.items())[:count]]


def _hero(board: Board) -> str:
    """Return the method whose answer is laid over the source: the best that is not the bench's own, else the best of all."""
    names = [line.entry.method for line in board.lines if line.entry.method != "identity" and line.mark != ORACLE]
    entrants = [name for name in names if name not in METHODS]
    return (entrants or names or [board.lines[0].entry.method])[0]


def _board(out: Path, board: Board, run: Run, dataset: Dataset, examples: int) -> dict[str, Any]:
    names = {line.entry.method for line in board.lines}
    rows = [row for row in run.rows if row["task"] == board.task and row["method"] in names]
    kept = [row for row in rows if prediction_path(out, row).is_file()]
    places = _places(board, run)
    return {
        "name": board.name,
        "size": board.size,
        "protocol": board.protocol,
        "warning": board.warning,
        "unavailable": [f"{name}: n/a ({why})" for name, why in board.unavailable.items()],
        "reported": reported_cells(board),
        "parts": part_lines(board),
        "parts_of": label(board.first),
        "head": _table(board, board.metrics),
        "more": _table(board, board.more),
        "remarks": board.remarks,
        "notes": [note for line in board.lines for note in line.notes],
        "charts": [
            found for found in (_cost_chart(board, places), _severity_chart(board, rows, places)) if found["svg"]
        ],
        "extremes": _extremes(board, rows),
        "examples": [_example(out, board, rows, key, why, dataset) for key, why in pick(board, kept, examples)],
    }


def _table(board: Board, metrics: Sequence[Column]) -> dict[str, Any]:
    heads = [{"text": "#", "kind": "number"}, {"text": "method", "kind": "text"}]
    heads += [{"text": label(metric), "kind": "number"} for metric in metrics]
    more = ("failed", "s/frame") if metrics is board.metrics else ("cold s/frame", "peak MB", "parameters")
    heads += [{"text": text, "kind": "number"} for text in more]
    return {"heads": heads, "lines": [_line(board, line, metrics) for line in board.lines]}


def _line(board: Board, line: Line, metrics: Sequence[Column]) -> list[dict[str, Any]]:
    entry = line.entry
    cells: list[dict[str, Any]] = [
        {"text": line.rank, "value": entry.rank[0] if entry.rank else "", "kind": ""},
        {"text": line.name, "value": entry.method, "kind": "text"},
        *(_score(board, line, metric) for metric in metrics),
    ]
    cells += _trouble(line) if metrics is board.metrics else _costs(line)
    return [{"interval": "", **cell} for cell in cells]


def _trouble(line: Line) -> list[dict[str, Any]]:
    entry = line.entry
    kind = "bad" if entry.failures else ""
    failed = {"text": f"{entry.failures}/{entry.samples}", "value": entry.failures, "kind": kind}
    return [failed, _seconds(line.seconds_per_frame)]


def _costs(line: Line) -> list[dict[str, Any]]:
    memory = line.cost.get("peak_gpu_bytes") or line.cost.get("peak_bytes")
    parameters = {"text": "-", "value": 0, "kind": ""}
    return [
        _seconds(line.cost.get("cold_seconds_per_frame")),
        _number(None if memory is None else memory / 1e6, "{:.0f}"),
        _number(line.parameters, "{:,}") if line.parameters else parameters,
    ]


def _seconds(value: float | None) -> dict[str, Any]:
    return _number(value, "" if value is None else seconds_in_words(value))


def _score(board: Board, line: Line, metric: Column) -> dict[str, Any]:
    score = line.entry.scores.get(metric.name)
    if score is None:
        return {"text": "n/a", "value": "", "kind": ""}
    mark = {1: "best", 2: "second"}.get(leaders(board, metric).get(line.entry.method, 0), "")
    return {"text": show_mean(line, metric), "value": score.mean, "kind": mark, "interval": between(score, metric)}


def _number(value: float | None, form: str) -> dict[str, Any]:
    if value is None:
        return {"text": "n/a", "value": "", "kind": ""}
    return {"text": form.format(value), "value": value, "kind": ""}


def _places(board: Board, run: Run) -> dict[str, int]:
    """Return which colour each method has in charts: one that stands on several boards has the same on each."""
    tasks: dict[str, set[str]] = {}
    for row in run.rows:
        if row["ranked"]:
            tasks.setdefault(row["method"], set()).add(row["task"])
    shared = sorted(name for name, own in tasks.items() if len(own) > 1)
    others = [line.entry.method for line in board.lines if line.entry.method not in shared]
    return {name: place for place, name in enumerate([*shared, *others])}


def _cost_chart(board: Board, places: Mapping[str, int]) -> dict[str, Any]:
    first = board.first
    dots = [
        Series(
            name=line.entry.method,
            points=[(max(line.seconds_per_frame, LEAST_SECONDS), line.entry.scores[first.name].mean)],
            place=places[line.entry.method],
        )
        for line in board.ranked
        if line.seconds_per_frame is not None and first.name in line.entry.scores
    ]
    return {
        "title": "Quality against cost",
        "words": "Warm seconds per frame, on a scale of tens; identity does nothing, and costs the call alone.",
        "svg": chart(dots, across="s/frame", up=label(first), logarithmic=True),
    }


def _severity_chart(board: Board, rows: Sequence[Row], places: Mapping[str, int]) -> dict[str, Any]:
    """Draw each method's score against the input's own: how bad it was to begin with, in bins of equally many samples;
    nothing where they are too few."""
    first = board.first
    inputs = {
        row["key"]: row["scores"][first.name]
        for row in rows
        if row["method"] == "identity" and first.name in row.get("scores", {})
    }
    order = sorted(inputs, key=lambda key: inputs[key])
    count = min(len(order) // _LEAST_IN_BIN, _MOST_BINS)
    if count < _LEAST_BINS or len(set(inputs.values())) < count:
        return {"svg": ""}
    bins = np.array_split(np.array(order, dtype=object), count)
    series = []
    for line in board.lines:
        own = {
            row["key"]: row.get("scores", {}).get(first.name, first.worst)
            for row in rows
            if row["method"] == line.entry.method and row["status"] != "invalid"
        }
        points = [
            (float(np.mean([inputs[key] for key in part])), float(np.mean([own[key] for key in part if key in own])))
            for part in bins
            if any(key in own for key in part)
        ]
        if line.mark != ORACLE:
            series.append(Series(name=line.entry.method, points=points, place=places[line.entry.method]))
    return {
        "title": "Quality against severity",
        "words": f"Across: the input's own score; {count} bins of {len(order) // count} samples or one more, means without "
        "intervals.",
        "svg": chart(series, across=f"{label(first)} of the input", up=label(first)),
    }


def _extremes(board: Board, rows: Sequence[Row]) -> list[dict[str, str]]:
    """Return each method's best and worst sample with its score, and on how many it failed, which have none."""
    first = board.first
    found = []
    for line in board.lines:
        scored = [row for row in rows if row["method"] == line.entry.method and first.name in row.get("scores", {})]
        ordered = sorted(scored, key=lambda row: row["scores"][first.name], reverse=first.higher_is_better)
        ends = [f"{row['key']} ({row['scores'][first.name]:.{first.digits}f})" for row in ordered]
        failed = f"{line.entry.failures} failed" if line.entry.failures else ""
        if ends or failed:
            best, worst = (ends[0], ends[-1]) if ends else ("", "")
            found.append({"method": line.entry.method, "best": best, "worst": worst, "failed": failed})
    return found


def _example(out: Path, board: Board, rows: Sequence[Row], key: str, why: str, dataset: Dataset) -> dict[str, Any]:
    sample = dataset[key]
    first = board.first
    answers = {row["method"]: row for row in rows if row["key"] == key and first.name in row.get("scores", {})}
    scores = {name: f"{row['scores'][first.name]:.{first.digits}f} {first.unit}" for name, row in answers.items()}
    source = {
        "name": "source",
        "url": data_url(encode_preview(sample.source, sample.meta.fps)),
        "score": scores.get("identity", ""),
    }
    target = {"name": "target", "url": data_url(encode_preview(sample.target, sample.meta.fps)), "score": ""}
    clips = []
    for line in board.lines:
        name = line.entry.method
        path = prediction_path(out, answers[name]) if name in answers else None
        if name != "identity" and path is not None and path.is_file():
            shown = encode_preview(decode_video(path.read_bytes()), sample.meta.fps)
            clips.append({"name": name, "url": data_url(shown), "score": scores[name]})
    height, width = sample.source.shape[1:3]
    hero = next((place for place, clip in enumerate(clips, start=1) if clip["name"] == _hero(board)), None)
    return {
        "key": key,
        "why": why,
        "instruction": sample.instruction,
        "aspect": f"{width} / {height}",
        "clips": [source, *clips, target],
        "columns": _columns(len(clips) + 2 + (hero is not None)),
        "wipe": hero,
    }


def _columns(tiles: int) -> dict[str, int]:
    """Return how many tiles stand in a line of each kind of window, so that the last line is as full as can be."""
    return {window: _in_line(tiles, most) for window, most in _FITTING.items()}


def _in_line(tiles: int, most: int) -> int:
    if tiles <= most:
        return max(tiles, min(most, _FEWEST))
    # of those that fill it alike the most
    return max(range(-(-most // 2), most + 1), key=lambda count: (((tiles - 1) % count + 1) / count, count))
