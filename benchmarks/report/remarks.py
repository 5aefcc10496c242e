"""What a reader of a table has to know of its samples, and of its methods' answers, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.scoring import Row
from benchmarks.statistics import Entry
from benchmarks.suspicions import OTHERWISE, RETURNED
from benchmarks.ties import LEAST_VIDEOS
from configs import counted

_DO_NOTHING = ("identity", "empty")
"""Baselines that return their input, or find nothing to paint on it: what they are is nothing odd."""


def remarks_of(rows: Sequence[Row]) -> Iterator[str]:
    """Yield what a reader of a table has to know of its samples."""
    # of two empty masks there is no area, of all others there is
    empty = {row["key"] for row in rows if row.get("scores", {}).get("jf") == 1 and "overall_iou" not in row["scores"]}
    if empty:
        names = "names" if len(empty) == 1 else "name"
        count = len({row["key"] for row in rows})
        yield (
            f"{len(empty)} of {counted(count, 'sample')} {names} nothing that is in the clip: an empty mask is right there, "
            "and scores 1"
        )


def notes_of(entry: Entry, rows: Sequence[Row], cost: Row) -> Iterator[str]:
    """Yield what a reader of a method's numbers has to know of its answers."""
    remark = next(row.get("remark") for row in rows if row["method"] == entry.method)
    if remark:
        yield f"{entry.method}: {remark}"
    if entry.invalid:
        yield f"the bench itself failed on {counted(entry.invalid, 'sample')} of {entry.method}: no rank"
    failed = {row["video"] for row in rows if row["method"] == entry.method and row["status"] == "failed"}
    # neither interval nor test holds its rate where a few worst values make the mean
    if entry.videos >= LEAST_VIDEOS > len(failed) > 0:
        yield (
            f"{entry.method} failed on {len(failed)} of {entry.videos} videos, and a failure counts as the worst value: its "
            "interval and rank rest on these few"
        )
    expected = (RETURNED,) if entry.method in _DO_NOTHING else ()
    # on some samples there is nothing to do
    asked = sum(RETURNED in row.get("suspicions", ()) for row in rows if row["method"] == "identity")
    for word, count in entry.suspicions.items():
        # some methods know when to do nothing
        if word not in expected and (word != RETURNED or count == (asked or entry.samples)):
            yield f"{entry.method}: {word} on {count} of {entry.samples} samples"
    if cost.get("answered_otherwise"):
        samples = counted(cost["asked_again"], "sample")
        yield (
            f"{entry.method}: {OTHERWISE} on {cost['answered_otherwise']} of the {samples} that it was timed on: its answers, "
            "and so its scores, depend on what it was asked before, or on chance of its own"
        )
