"""What a row says beside its scores: of the sample and of the method, each from what it is."""

from __future__ import annotations

from typing import Any

from benchmarks.methods import Method
from benchmarks.scoring import Row
from benchmarks.suite import Suite, named_parts


def said_of_sample(index: dict[str, Any], suite: Suite) -> Row:
    """Return the part of a row that follows from its sample's index row, whatever the method."""
    return {
        "task": index["task"],
        "key": index["key"],
        "source_id": index["source_id"],
        "frames": index["frames"],
        **_grouped(index, suite),
        "continues": suite.continues.get(index["key"], ""),
        "adjoins": index["key"] in suite.continues or index["key"] in suite.continued,
        "dataset": suite.dataset.manifest.sha256,
    }


def said_of_method(method: Method, task: str) -> Row:
    """Return the part of a row that follows from its method, whatever the sample."""
    return {
        "method_version": method.version,
        "weights_sha256": method.weights,
        "ranked": method.ranked,
        "board": f"{task}, first mask given" if method.first_mask else task,
        "learns": method.learns or method.trained_on is not None,
        "knows_its_data": method.knows_its_data,
        "parameters": method.parameters or 0,
        "summary": method.summary,
        "paper": method.paper,
        "remark": method.remark,
    }


def _grouped(index: dict[str, Any], suite: Suite) -> Row:
    """Return what a sample's source is a part of: the video that is drawn again as one, and the set."""
    # names of videos may repeat from folder to folder, contents do not; edits of one video are one video
    clean, source = index["clean_sha256"], index["source_sha256"]
    # copies tell nothing new, but papers count the videos of their test sets as they are
    video = clean if suite.standard else suite.dataset.manifest.first_of_family.get(clean, clean)
    joined = {"clean": clean, "video": video}
    return {**joined, "set": "", "part": "", **named_parts(index["source_id"], suite.standard), "source": source}
