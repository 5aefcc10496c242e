"""Publishing a finished build: rejects, card and manifest, the manifest last; and looking for copies before it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from configs import SourceError
from datagen.duplicates import Double, Seen, find_doubles, find_relatives, leaks
from datagen.plan import Assigned, Excluded, Plan, alike_groups, joined_videos
from datagen.rejects import NAME as REJECTS
from datagen.rejects import in_lines
from datagen.settings import Recipe
from datagen.sources.base import Reject, SourceVideo
from datagen.splits import SPLITS
from datagen.synthesize import UnitResult
from shards import Manifest, Shard, load_manifest, write_card
from shards.manifest import NAME as MANIFEST
from shards.storage import publish, remove_temporaries
from shards.tasks import OPTIONAL_MEMBERS

Standing = Mapping[str, Sequence[int]]
"""The videos that were planned when the dataset was last finished, by sha256, and the first frames of those of their clips
that were in it. What stands is neither moved nor left out for the sake of what came later."""


def standing_of(out: Path, assigned: Iterable[Assigned], shards: Iterable[Shard]) -> dict[str, list[int]]:
    """Return what stands of a dataset in `out` with these units and shards."""
    starts: dict[str, set[int]] = {sha256: set() for unit in assigned for sha256, _ in unit.clips}
    for shard in shards:
        table = pq.read_table(out / shard.index, columns=["source_sha256", "start"])
        for sha256, start in zip(*(column.to_pylist() for column in table.columns), strict=True):
            starts[sha256].add(start)
    return {sha256: sorted(found) for sha256, found in sorted(starts.items())}


def find_copies(
    out: Path,
    plan: Plan,
    results: Sequence[UnitResult],
    excluded: Excluded,
    standing: Standing,
    distance: int,
    replan: Callable[[Excluded], Plan],
) -> Excluded:
    """Return what is taken out, with the clips that look like another video's, and which videos hang together.

    `replan` says which split these come into then.

    Raises:
        SourceError: copies are kept (`distance` 0), and equal clips lie in different splits.
    """
    videos = {video.sha256: video for video in plan.videos if video.kind != "scenes"}
    names = {sha256: video.name for sha256, video in videos.items()}
    clips = _seen(out, results, videos, standing)
    if distance == 0:
        found = leaks(clips)
        if found:
            kept, other = found[0]
            raise SourceError(
                f"{len(found)} clips are in two splits, such as frame {other.start} of {names[other.sha256]} ({other.split}) and "
                f"frame {kept.start} of {names[kept.sha256]} ({kept.split}); set gates.copy_bits above 0, or take one out"
            )
        return excluded
    relatives = find_relatives(clips, distance, alike_groups(excluded, videos))
    excluded = replace(excluded, alike=excluded.alike.union(relatives.pairs))
    splits = replan(excluded).splits
    clips = [replace(clip, split=splits[clip.sha256]) for clip in clips]
    doubles = find_doubles(clips, relatives.near, distance, alike_groups(excluded, videos))
    reasons = {(double.clip.sha256, double.clip.start): _reason(double, names) for double in doubles}
    return replace(excluded, clips={**excluded.clips, **reasons})


def _reason(double: Double, names: Mapping[str, str]) -> str:
    name = names[double.like.sha256]
    if double.bits is None:
        return f"near-duplicate: its video has copies in {double.like.split}, where {name} is"
    return f"near-duplicate: of {name} at frame {double.like.start}, {double.bits} of 64 bits apart"


def _seen(
    out: Path, results: Sequence[UnitResult], videos: Mapping[str, SourceVideo], standing: Standing
) -> list[Seen]:
    """Return every clip in the dataset once, whatever the number of its tasks."""
    found: dict[tuple[str, int], Seen] = {}
    for result in results:
        for shard in result.shards:
            table = pq.read_table(out / shard.index, columns=["source_sha256", "start", "split", "scores"])
            for row in table.to_pylist():
                clip = (row["source_sha256"], row["start"])
                if clip[0] not in videos:
                    continue
                scores = json.loads(row["scores"])
                if clip not in found or "phash_pair" in scores:
                    video = videos[clip[0]]
                    found[clip] = Seen(
                        sha256=clip[0],
                        group=video.group,
                        start=clip[1],
                        split=row["split"],
                        hashes=scores["phash"],
                        moving=scores.get("phash_moving", ()),
                        pair=scores.get("phash_pair", ()),
                        stands=clip[1] in standing.get(clip[0], ()),
                        pixels=video.width * video.height,
                        bit_rate=video.bit_rate,
                        name=video.name,
                    )
    return list(found.values())


def is_published(out: Path, recipe: Recipe, plan: Plan, results: Sequence[UnitResult]) -> bool:
    """Whether all that lies beside the shards is there and about these; a video that was added since and is of no use
    changes the rejects."""
    if not all((out / name).is_file() for name in (MANIFEST, "README.md", REJECTS)):
        return False
    manifest = load_manifest(out)
    ours = (recipe.digest(), version("vidiff"), plan.inputs, tuple(_shards(results)))
    if (manifest.recipe_digest, manifest.code_version, manifest.inputs, manifest.shards) != ours:
        return False
    return (out / REJECTS).read_text(encoding="utf-8") == _lines(_rejects(plan, results))


def _shards(results: Iterable[UnitResult]) -> list[Shard]:
    found = (shard for result in results for shard in result.shards)
    return sorted(found, key=lambda s: (s.task, SPLITS.index(s.split), s.path))


def _rejects(plan: Plan, results: Sequence[UnitResult]) -> list[Reject]:
    order = {unit.name: number for number, unit in enumerate(plan.units)}
    ordered = sorted(results, key=lambda result: order[result.unit])
    return [*plan.rejects, *(reject for result in ordered for reject in result.rejects)]


def _lines(rejects: list[Reject]) -> str:
    plain = (vars(reject) | {"scores": _ordered(reject.scores)} for reject in rejects)
    return "".join(json.dumps(values, ensure_ascii=False) + "\n" for values in plain)


def _ordered(scores: Mapping[str, Any]) -> dict[str, Any]:
    """Return scores in one order, whether they come from this run or from the notes of another: hashes, long and of no use to
    whoever reads the line, last."""
    return dict(sorted(scores.items(), key=lambda item: (isinstance(item[1], list), item[0])))


def publish_dataset(
    out: Path, recipe: Recipe, plan: Plan, results: Sequence[UnitResult], excluded: Excluded
) -> Manifest:
    """Write what lies beside the shards, the manifest last, and return it."""
    rejects = _rejects(plan, results)
    shards = _shards(results)
    publish(out / REJECTS, _lines(rejects))
    if not shards:
        told = "; ".join(in_lines(map(vars, rejects)))
        raise SourceError(f"no usable clip: {told}; {out / REJECTS} lists them with their reasons")
    licences, sources, members = contents(out, shards)
    manifest = Manifest(
        recipe=recipe.model_dump(mode="json"),
        recipe_digest=recipe.digest(),
        code_version=version("vidiff"),
        inputs=plan.inputs,
        shards=tuple(shards),
        rejects=dict(sorted(Counter(reject.kind for reject in rejects).items())),
        sources=len(sources),
        families=tuple(joined_videos(excluded, plan.videos).families(sources)),
    )
    # what a worker left that was killed and replaced
    remove_temporaries(out)
    write_card(out, manifest, licences, members)
    manifest.save(out)
    return manifest


def contents(out: Path, shards: Iterable[Shard]) -> tuple[Counter[str], set[str], dict[str, set[str]]]:
    """Return how many samples come under which licence, the clean videos' sha256, and the optional members of each task
    (with `pair_sha256` where there are pairs that were not made here)."""
    licences: Counter[str] = Counter()
    sources: set[str] = set()
    members: dict[str, set[str]] = {}
    for shard in shards:
        table = pq.read_table(out / shard.index, columns=["licence", "clean_sha256", "pair_sha256", "members"])
        licences.update(table["licence"].to_pylist())
        sources.update(table["clean_sha256"].to_pylist())
        names = {member["name"].split(".")[0] for row in table["members"].to_pylist() for member in row}
        given = {"pair_sha256"} if any(table["pair_sha256"].to_pylist()) else set()
        members.setdefault(shard.task, set()).update(names & set(OPTIONAL_MEMBERS) | given)
    return licences, sources, members
