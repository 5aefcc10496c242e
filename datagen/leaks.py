"""What a model is tested on must not be what it was trained on: source videos in two splits of datasets to be merged."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from configs import DatasetError
from datagen.duplicates import Seen, find_doubles, find_relatives
from datagen.sources.rendered import is_scene
from shards import Dataset

_COPY_BITS = 8
"""As the default of `gates.copy_bits`: what a build would leave out as a copy."""
_SHOWN = 3


def check_leaks(datasets: Sequence[tuple[str, Dataset]], without: Collection[str] = ()) -> list[tuple[str, str]]:
    """Return pairs of clean videos, by sha256, that look alike; those of the sources `without` do not count.

    Raises:
        DatasetError: a source video, or a clip that looks like another's, is in different splits.
    """
    splits: dict[str, dict[str, str]] = {}
    seen: dict[tuple[str, int], Seen] = {}
    names: dict[str, str] = {}
    # what an earlier version made does not say which video it was that came with masks, a caption or another side
    alone = {
        row["source_sha256"]: row["clean_sha256"]
        for _, dataset in datasets
        for row in _rows(dataset, without)
        if row["clean_sha256"] != row["source_sha256"]
    }
    for name, dataset in datasets:
        recipes = list(_recipes(dataset.manifest.recipe))
        for row in _rows(dataset, without):
            sha256 = row["source_sha256"]
            video = alone.get(sha256, sha256)
            for side in filter(None, (video, row["pair_sha256"])):
                splits.setdefault(side, {}).setdefault(row["split"], name)
            names[sha256] = f"{row['source_id']} in {name}"
            # scenes that look alike are two scenes none the less
            if not any(is_scene(row["source_id"], sha256, recipe) for recipe in recipes):
                seen.setdefault((sha256, row["start"]), _seen(row, video))
    _check_videos(splits)
    relatives = find_relatives(seen.values(), _COPY_BITS)
    _check_looks(seen, relatives.near, names)
    videos = {clip.sha256: clip.group for clip in seen.values()}
    return [(videos[one], videos[other]) for one, other in relatives.pairs]


def _check_videos(splits: Mapping[str, Mapping[str, str]]) -> None:
    leaks = [(sha256, places) for sha256, places in sorted(splits.items()) if len(places) > 1]
    if leaks:
        shown = [
            f"{sha256[:12]} is " + " and ".join(f"{split} in {name}" for split, name in places.items())
            for sha256, places in leaks
        ]
        videos = "1 source video is" if len(leaks) == 1 else f"{len(leaks)} source videos are"
        raise DatasetError(
            f"LEAK: {videos} in different splits: {_some(shown)}; equal seeds and splits are not enough, for a split that "
            "would stay empty takes the nearest of the videos there are: build both from the same --from, or say each "
            "video's split in a table's 'split' column, or leave one dataset out"
        )


def _check_looks(
    seen: Mapping[tuple[str, int], Seen], near: Collection[tuple[str, int]], names: Mapping[str, str]
) -> None:
    copies = find_doubles(seen.values(), near, _COPY_BITS)
    found = [each for each in copies if each.clip.split != each.like.split]
    if found:
        shown = [
            f"frame {each.clip.start} of {names[each.clip.sha256]} ({each.clip.split}) and frame {each.like.start} of "
            f"{names[each.like.sha256]} ({each.like.split}), {each.bits} of 64 bits apart"
            for each in found
        ]
        clips = "1 clip looks like one" if len(found) == 1 else f"{len(found)} clips look like some"
        raise DatasetError(
            f"LEAK: {clips} in another split: {_some(shown)}; take them out of one with 'datagen reject'"
        )


def _some(shown: list[str]) -> str:
    more = f"; and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    return "; ".join(shown[:_SHOWN]) + more


def _rows(dataset: Dataset, without: Collection[str]) -> Iterator[dict[str, Any]]:
    names = ["source_id", "source_sha256", "clean_sha256", "pair_sha256", "start", "split", "scores"]
    for batch in dataset.index().select(names).to_batches(max_chunksize=4096):
        yield from (row for row in batch.to_pylist() if row["source_sha256"] not in without)


def _recipes(recipe: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield a dataset's recipe, or those of the datasets that it was merged of."""
    if "merged" not in recipe:
        yield recipe
    for part in recipe.get("merged", ()):
        yield from _recipes(part["recipe"])


def _seen(row: Mapping[str, Any], video: str) -> Seen:
    scores = json.loads(row["scores"])
    return Seen(
        sha256=row["source_sha256"],
        group=video,
        start=row["start"],
        split=row["split"],
        hashes=scores.get("phash", ()),
        moving=scores.get("phash_moving", ()),
        pair=scores.get("phash_pair", ()),
    )
