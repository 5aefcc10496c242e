"""The leaderboard as one HTML page with side-by-side clips; nothing in it is fetched from elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.methods import METHODS
from benchmarks.report.tables import CONVENTIONS, Board, header, label
from benchmarks.runner import Row, preview_path
from benchmarks.statistics import Entry
from shards import Dataset, encode_preview
from shards.pages import data_url, write_html

_TEMPLATE = Path(__file__).parent / "page.html"


def write_page(out: Path, boards: list[Board], rows: list[Row], dataset: Dataset, examples: int) -> Path:
    """Write `out/index.html` and return its path."""
    facts = json.loads((out / "run.json").read_text(encoding="utf-8"))
    facts["dataset_name"] = Path(facts["dataset"]).name
    metrics = {metric.name: metric for board in boards for metric in board.metrics}
    used = [METHODS[name] for name in dict.fromkeys(row["method"] for row in rows) if name in METHODS]
    write_html(
        out / "index.html",
        _TEMPLATE,
        facts=facts,
        boards=[_board(out, board, rows, dataset, examples) for board in boards],
        failures=[row for row in rows if row["status"] != "ok"],
        conventions=CONVENTIONS,
        metrics=[{"label": label(metric), "convention": metric.convention} for metric in metrics.values()],
        methods=used,
    )
    return out / "index.html"


def _board(out: Path, board: Board, rows: list[Row], dataset: Dataset, examples: int) -> dict[str, Any]:
    of_task = [row for row in rows if row["task"] == board.task]
    return {
        "task": board.task,
        "size": board.size,
        "header": header(board),
        "lines": [_line(board, entry) for entry in board.entries],
        "examples": [_example(out, board, of_task, key, why, dataset) for key, why in pick(board, of_task, examples)],
    }


def _line(board: Board, entry: Entry) -> list[dict[str, Any]]:
    star = "*" if entry.method in METHODS and METHODS[entry.method].learns else ""
    line: list[dict[str, Any]] = [
        {"text": entry.rank, "value": entry.rank, "kind": ""},
        {"text": entry.method + star, "value": entry.method, "kind": "text"},
    ]
    for metric in board.metrics:
        score, digits = entry.scores[metric.name], metric.digits
        best = max if metric.higher_is_better else min
        leads = score.mean == best(other.scores[metric.name].mean for other in board.entries)
        interval = (
            "" if score.low is None or score.high is None else f"[{score.low:.{digits}f}, {score.high:.{digits}f}]"
        )
        text = f"{score.mean:.{digits}f}"
        line.append({"text": text, "value": score.mean, "kind": "best" if leads else "", "interval": interval})
    failed = {
        "text": f"{entry.failures}/{entry.samples}",
        "value": entry.failures,
        "kind": "bad" if entry.failures else "",
    }
    cost = entry.seconds_per_frame
    line += [
        failed,
        {"text": "n/a" if cost is None else f"{cost:.3f}", "value": "" if cost is None else cost, "kind": ""},
    ]
    return [{"interval": "", **cell} for cell in line]


def pick(board: Board, rows: list[Row], count: int) -> list[tuple[str, str]]:
    """Choose samples by how well the best method that does something did: best, worst, middle, then between.

    Returns pairs of a sample's key and the reason it is shown.
    """
    first = board.metrics[0]
    names = [entry.method for entry in board.entries if entry.method != "identity"] or [board.entries[0].method]
    scored = [row for row in rows if row["method"] == names[0] and row["status"] == "ok"]
    ordered = sorted(scored, key=lambda row: row["scores"][first.name], reverse=first.higher_is_better)
    if not ordered:
        return [(key, "") for key in list(dict.fromkeys(row["key"] for row in rows))[:count]]
    last = len(ordered) - 1
    places: dict[int, str] = {}
    for place, word in ((0, "best"), (last, "worst"), (last // 2, "middle")):
        places.setdefault(place, f"{word} for {names[0]}")
    for step in range(1, count):
        places.setdefault(step * last // count, "between")
    return [(ordered[place]["key"], why) for place, why in list(places.items())[:count]]


def _example(out: Path, board: Board, rows: list[Row], key: str, why: str, dataset: Dataset) -> dict[str, Any]:
    sample = dataset[key]
    first = board.metrics[0]
    answers = {row["method"]: row for row in rows if row["key"] == key and row["status"] == "ok"}
    scores = {name: f"{row['scores'][first.name]:.{first.digits}f} {first.unit}" for name, row in answers.items()}
    clips = [{"name": "source", "url": data_url(encode_preview(sample.source, sample.meta.fps)), "score": ""}]
    for entry in board.entries:
        if entry.method == "identity" or entry.method not in answers:
            continue
        path = preview_path(out, answers[entry.method])
        if path.is_file():
            clips.append({"name": entry.method, "url": data_url(path.read_bytes()), "score": scores[entry.method]})
    clips[0]["score"] = scores.get("identity", "")
    clips.append({"name": "target", "url": data_url(encode_preview(sample.target, sample.meta.fps)), "score": ""})
    height, width = sample.source.shape[1:3]
    return {"key": key, "why": why, "instruction": sample.instruction, "aspect": f"{width} / {height}", "clips": clips}
