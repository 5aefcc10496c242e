"""What the subcommands of `datagen` say of a dataset, in lines for a terminal."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from configs import counted
from datagen.destination import NOTES
from datagen.diff import Comparison
from datagen.naming import some_names
from datagen.rejects import NAME as REJECTS
from datagen.rejects import in_lines, kind_of, read_rejects, without_samples
from datagen.remedies import REMEDIES
from datagen.settings import SplitSettings
from datagen.splits import SPLITS
from shards import Dataset, Manifest

_SAME_RATE = 0.01
"""Share by which a clip's frame rate may miss the one wanted without a word: 29.97 is 30."""
_KINDS = 8
"""Of the kinds of reason for which whole videos were left out so many get a line."""
_LONGEST_PHRASE = 160


def told_contents(manifest: Manifest) -> str:
    """Say how many samples, sources and shards there are."""
    samples, sources = counted(manifest.samples, "sample"), counted(manifest.sources, "source")
    return f"{samples} of {sources} in {counted(len(manifest.shards), 'shard')}"


def told_rejects(dataset: Dataset) -> Iterator[str]:
    """Say how many videos, clips and pairs were left out, and why, which videos gave nothing, and what helps a task that
    lost most of its pairs."""
    folder, rejects = dataset.root, list(read_rejects(dataset.root))
    lines = list(in_lines(rejects))
    yield from (f"  {line}" for line in lines or ["nothing left out"])
    if lines:
        index = dataset.index().select(["task", "source_sha256", "clean_sha256"])
        kept = {sha256 for name in ("source_sha256", "clean_sha256") for sha256 in index[name].to_pylist()}
        yield from _told_videos(without_samples(rejects, kept))
        yield from _told_tasks(rejects, Counter(index["task"].to_pylist()))
        yield f"  each with its reason: {folder / REJECTS}; what helps: datagen gates {folder}"


def _told_videos(names: Mapping[str, Sequence[str]]) -> Iterator[str]:
    kinds = list(names)
    if kinds:
        yield "  videos without a sample:"
    yield from (f"    {kind}: {some_names(names[kind])}" for kind in kinds[:_KINDS])
    if len(kinds) > _KINDS:
        yield f"    for other reasons: {some_names([name for kind in kinds[_KINDS:] for name in names[kind]])}"


def _told_tasks(rejects: Sequence[Mapping[str, Any]], kept: Mapping[str, int]) -> Iterator[str]:
    for task in sorted({reject["task"] for reject in rejects} - {""}):
        kinds = Counter(kind_of(reject) for reject in rejects if reject["task"] == task)
        kind = kinds.most_common(1)[0][0]
        if kinds.total() > kept.get(task, 0) and kind in REMEDIES:
            yield f"  {task} lost most of its pairs; what helps against {kind!r}: {REMEDIES[kind]}"


def told_splits(manifest: Manifest, splits: SplitSettings, folder: Path) -> Iterator[str]:
    """Say which splits that were asked for have no samples, whether that is the data set's own choice, and what helps."""
    notes = json.loads((folder / NOTES / "sources.json").read_text(encoding="utf-8")).values()
    videos = {video.get("clean_sha256") or video["sha256"]: video["split"] for video in notes}
    counts = Counter[str]()
    for shard in manifest.shards:
        counts[shard.split] += shard.samples
    others = ", ".join(f"{name} {counts[name]}" for name in SPLITS if counts[name])
    for name, share in splits.model_dump(include=set(SPLITS)).items():
        if share and not counts[name]:
            said = f"no {name} samples: {counted(manifest.sources, 'source')} with samples, none in {name}"
            official = sum(split not in ("", name) for split in videos.values())
            if official and splits.official:
                yield (
                    f"{said}: the official split of their data set puts {official} of {len(videos)} elsewhere; "
                    "--set splits.official=false and another --out deals them out anew"
                )
            else:
                yield (
                    f"{said} (samples: {others}; splits.{name}={share:g}): more videos in --from fill it; so may another "
                    "seed or larger share, with another --out"
                )
    made = {(shard.task, shard.split) for shard in manifest.shards if shard.samples}
    for name in counts:
        lacking = sorted(task for task, _ in made if (task, name) not in made)
        if lacking and counts[name]:
            tasks = ", ".join(dict.fromkeys(lacking))
            dealt = ", or splits.official=false in another --out," if any(videos.values()) and splits.official else ""
            yield f"no {name} samples of {tasks}: no clip there suits (rejects.jsonl says why); more videos{dealt} may"


def told_rates(dataset: Dataset, wanted: float) -> Iterator[str]:
    """Say whose frame rate has no whole step to the one wanted."""
    rates = dataset.index().select(["clean_sha256", "fps"]).to_pandas().drop_duplicates("clean_sha256")["fps"]
    others = rates[(rates / wanted - 1).abs() > _SAME_RATE]
    if len(others):
        between = f"{others.min():.4g} to {others.max():.4g}" if others.min() != others.max() else f"{others.min():.4g}"
        yield (
            f"{counted(len(others), 'source')} of {len(rates)} cannot give {wanted:g} frames per second by taking every n-th "
            f"frame; their clips have {between}"
        )


def told_rejected(names: Mapping[str, bool]) -> Iterator[str]:
    """Say which videos are rejected now, and which were before; a few of each by name."""
    for title, before in (("rejected now", False), ("rejected before", True)):
        if found := [name for name, was in names.items() if was is before]:
            yield f"{title}: {some_names(found)}"


def told_forgotten(names: Collection[str]) -> Iterator[str]:
    """Say which videos are forgotten now, a few by name, and what comes of them; nothing where a killed removal already did."""
    if names:
        yield f"forgotten: {some_names(list(names))}; the next build takes in again what is still among its sources"


def told_left(manifest: Manifest, folder: Path) -> Iterator[str]:
    """Say how many samples each split and each task has, and which has none any more."""
    left = {split: Counter[str]() for split in SPLITS}
    for shard in manifest.shards:
        left[shard.split][shard.task] += shard.samples
    for split, tasks in left.items():
        if tasks:
            each = ", ".join(f"{task} {count}" for task, count in sorted(tasks.items()))
            yield f"  {split}: {counted(tasks.total(), 'sample')} ({each})"
    for task in sorted(manifest.recipe["tasks"].keys() - {shard.task for shard in manifest.shards}):
        yield f"no {task} samples any more"
    yield from told_splits(manifest, SplitSettings(**manifest.recipe["splits"]), folder)


def told_differences(found: Comparison, shown: int | None) -> Iterator[str]:
    """Say how two datasets differ, with so many keys of each kind (None: all)."""
    for title, phrases in (("made", found.made), ("effects", found.effects), ("rejects", found.rejects)):
        for phrase in phrases:
            yield f"{title}: {phrase if len(phrase) <= _LONGEST_PHRASE else phrase[:_LONGEST_PHRASE] + ' ...'}"
    alone = [sum(len(group.keys) for group in groups) for groups in (found.only_a, found.only_b)]
    yield f"samples: {found.same} equal, {found.changed} changed, {alone[0]} only in A, {alone[1]} only in B"
    if found.members:
        yield "changed members: " + ", ".join(f"{name} {count}" for name, count in found.members.items())
    for title, groups in (("only in A", found.only_a), ("only in B", found.only_b), ("changed", found.causes)):
        for group in groups:
            yield f"{title}, {counted(len(group.keys), 'sample')}: {group.cause}"
            if group.names:
                yield "  " + ", ".join(f"{name} {count}" for name, count in group.names.items())
            yield from (f"    {' -> '.join(dict.fromkeys(keys))}" for keys in group.keys[:shown])
            if shown is not None and len(group.keys) > shown:
                yield f"    and {len(group.keys) - shown} more (--all lists them)"
