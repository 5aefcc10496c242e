"""Building a dataset: plan, run what is missing, and publish the manifest last."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any

from configs import DatasetError, SourceError
from configs.loader import check
from datagen.clip_depth import check_depth
from datagen.destination import PAGES, Destination, RemoteDestination, find_destination
from datagen.joined import Joined
from datagen.ledger import Ledger, begun_removal, check_foreign, load_examined, locked, save_examined
from datagen.naming import bare_files, named_videos, told_apart
from datagen.plan import Excluded, Plan, Unit, make_plan
from datagen.publishing import Standing, find_copies, is_published, publish_dataset, standing_of
from datagen.settings import Recipe
from datagen.sources import any_masks, find_source
from datagen.sources.base import Examined, Reject, Source, SourceVideo
from datagen.synthesize import UnitResult
from datagen.tasks import builder
from datagen.workers import run_here, run_on_ray
from shards import Manifest, load_manifest
from shards.manifest import NAME as MANIFEST

_SAVE_SECONDS = 60.0


class Progress:
    """What a build tells about itself; this one is silent. Override what is to be shown."""

    def examined(self, item: SourceVideo | Reject) -> None:
        """One source video was looked at."""

    def planned(self, plan: Plan, finished: Sequence[UnitResult]) -> None:
        """The plan stands; some of its units were finished before."""

    def at_work(self, clips: int, kept: int) -> None:
        """So many clips are done in this run, and so many samples came of them."""

    def unit_done(self, result: UnitResult) -> None:
        """One unit's shards are in place."""

    def taking_out(self, names: Mapping[str, bool]) -> None:
        """These source videos, by name, are taken out, and whether each of them was out before."""

    def page_removed(self, name: str) -> None:
        """A page that showed what is being taken out was removed."""


def build(
    recipe: Recipe,
    out: Path | str,
    *,
    staging: Path | None = None,
    sources: Sequence[str] = ("scenes",),
    licence: str = "unknown",
    workers: int = 0,
    address: str | None = None,
    overwrite: bool = False,
    retry_failed: bool = False,
    progress: Progress | None = None,
) -> Manifest:
    """Build a dataset, finish one, or add to it what is new in the sources, and return its manifest.

    `out`: a folder, or a URL that fsspec opens, such as s3://bucket/name; its shards are made in the folder `staging` (by
    default one in the user's cache) and do not stay there. `sources`: `scenes`, paths of video files, folders and glob
    patterns, or `LAYOUT:PATH`. `workers`: how many Ray workers; 0 builds in this process. `address`: a running Ray
    cluster. `retry_failed`: try again what could not be read or made. The same recipe and sources give the same shards,
    whatever the workers, the order of the sources, and however often the build was killed in between.

    Raises:
        SourceError: a source is missing, or no clip of any is usable.
        OutputError: `out` cannot be written, holds another build's dataset (and not `overwrite`), or is being built.
        UnitError: some units failed; the same call tries them again.
    """
    progress = progress or Progress()
    check_depth(recipe.depth)
    place = _pulled(out, workers, staging)
    check_foreign(place.folder)
    # looking at the sources may take hours, so what can be wrong without them is told before
    with locked(place.folder):
        if not overwrite:
            begun_removal(place)
        ledger = Ledger(place, recipe, version("vidiff"))
        fresh = ledger.is_fresh(overwrite=overwrite)
        listed = [find_source(spec, licence) for spec in sources]
        _check_masks(recipe, lambda: any_masks(listed))
        examined = load_examined(place.folder)
        if retry_failed:
            examined = {
                mark: item for mark, item in examined.items() if not item.get("reason", "").startswith("unreadable")
            }
        found = list(_examine(listed, recipe, progress, examined, place.folder))
        before, excluded = ((), Excluded()) if fresh else (ledger.assigned(), ledger.excluded())
        standing = {} if fresh else _standing(ledger)
        plan = make_plan(found, recipe, before=before, excluded=excluded, settled=standing, names=ledger.names())
        _check_masks(recipe, lambda: any(video.has_masks for video in plan.videos))
        # of an earlier dataset what stands is told by the manifest alone, which goes when anything is made
        if standing:
            ledger.note_standing(standing)
        ledger.claim(plan, fresh=fresh, overwrite=overwrite)
        save_examined(place.folder, examined)
        if retry_failed:
            ledger.drop_failed(plan.units)
        run = partial(_run, recipe=recipe, place=place, workers=workers, address=address, progress=progress)
        return _finish(ledger, recipe, found, plan, excluded, standing, run, progress)


def take_out(
    out: Path | str,
    names: Sequence[str],
    *,
    reason: str | None,
    staging: Path | None = None,
    workers: int = 0,
    progress: Progress | None = None,
) -> Manifest:
    """Take source videos out of a dataset, and make again only the shards that they were in.

    `names`: ids, the names of files or those in `rejects.jsonl`, sha256 or their beginnings: of a source, or of its file
    alone, which means all that was made of it, and of a pair's other side, which means the pair. With a `reason` they stay
    out of later builds into the folder, and `rejects.jsonl` says why; with None all that is known of them is forgotten.

    Raises:
        DatasetError: `out` has no notes of its build, or no such source.
        SourceError: nothing would be left, or a source video that a shard needs is gone.
    """
    progress = progress or Progress()
    place = _pulled(out, workers, staging)
    out = place.folder
    begun = begun_removal(place, names, reason)
    values, code = (begun["recipe"], begun["code"]) if begun else _made_by(load_manifest(out), out)
    reason = begun["reason"] if begun else reason
    recipe = check(Recipe, values, where=f"{out}/manifest.json")
    with locked(out):
        ledger = Ledger(place, recipe, code)
        found = ledger.found()
        chosen = set(begun["chosen"]) if begun else named_videos(names, found, out)
        groups = {item.sha256: item.group for item in found if isinstance(item, SourceVideo)}
        # the video alone, too: it must not come back with other words beside it
        chosen |= bare_files(found, chosen)
        # a pair shows two videos; its clean side alone may come back if it was the other that went
        chosen |= {item.sha256 for item in found if isinstance(item, SourceVideo) and item.pair_sha256 in chosen}
        out_before = ledger.excluded()
        # a removal that was killed has noted its own videos already
        known = {} if begun else out_before.videos
        named = [item for item in found if isinstance(item, SourceVideo) and item.sha256 in chosen]
        progress.taking_out({name: video.sha256 in known for name, video in zip(told_apart(named), named, strict=True)})
        if reason is None:
            found = [item for item in found if item.sha256 not in chosen]
        before = ledger.assigned() if reason is not None else tuple(unit.without(chosen) for unit in ledger.assigned())
        excluded = _excluded_too(out_before, chosen, reason, groups)
        standing = _standing(ledger)
        plan = make_plan(found, recipe, before=before, excluded=excluded, settled=standing)
        if not plan.clips:
            raise SourceError(f"{out}: nothing would be left; delete the folder instead")
        # from here on the videos are not known by name any more: killed, it goes on by this note
        ledger.begin_removal(names, reason, chosen)
        # of an earlier dataset what stands is told by the manifest alone, which goes now
        ledger.note_standing(standing)
        place.remove(MANIFEST)
        for page in PAGES:
            if (out / page).is_file():
                (out / page).unlink()
                progress.page_removed(page)
        ledger.exclude(excluded)
        ledger.note_plan(plan)
        if reason is None:
            save_examined(out, {k: v for k, v in load_examined(out).items() if v.get("sha256") not in chosen})
        run = partial(_run, recipe=recipe, place=place, workers=workers, address=None, progress=progress)
        return _finish(ledger, recipe, found, plan, excluded, standing, run, progress)


def _standing(ledger: Ledger) -> Standing:
    """Return what stands, which builds did not always note."""
    noted = ledger.standing()
    if noted is None and (ledger.out / MANIFEST).is_file():
        return standing_of(ledger.out, ledger.assigned(), load_manifest(ledger.out).shards)
    return noted or {}


def _made_by(manifest: Manifest, out: Path) -> tuple[Mapping[str, Any], str]:
    if manifest.parts:
        raise DatasetError(f"{out} was merged: take the sources out of its parts, and merge these again")
    return manifest.recipe, manifest.code_version


def _excluded_too(
    excluded: Excluded, chosen: Collection[str], reason: str | None, groups: Mapping[str, str]
) -> Excluded:
    # copies of what goes may stay, and what is a copy of these, so look again at which there are
    joined = Joined((groups.get(one, one), groups.get(other, other)) for one, other in excluded.alike)
    touched = {joined.root(groups.get(sha256, sha256)) for sha256 in chosen}

    def stands(sha256: str) -> bool:
        return sha256 not in chosen and joined.root(groups.get(sha256, sha256)) not in touched

    clips = {clip: why for clip, why in excluded.clips.items() if stands(clip[0])}
    alike = frozenset(pair for pair in excluded.alike if stands(pair[0]))
    videos = {sha256: why for sha256, why in excluded.videos.items() if sha256 not in chosen}
    if reason is not None:
        videos |= dict.fromkeys(sorted(chosen), f"rejected: {reason}")
    return Excluded(videos=videos, clips=clips, alike=alike)


def _pulled(out: Path | str, workers: int, staging: Path | None) -> Destination:
    place = find_destination(out, workers=workers, staging=staging)
    if isinstance(place, RemoteDestination):
        with locked(place.folder):
            place.pull()
    return place


Run = Callable[[list[Unit]], Iterator[UnitResult]]
"""Builds units, here or on Ray."""


def _run(
    units: list[Unit], *, recipe: Recipe, place: Destination, workers: int, address: str | None, progress: Progress
) -> Iterator[UnitResult]:
    if not units:
        return iter(())
    if workers:
        return run_on_ray(units, recipe, place, progress.at_work, workers=workers, address=address)
    return run_here(units, recipe, place, progress.at_work)


def _finish(
    ledger: Ledger,
    recipe: Recipe,
    found: Sequence[SourceVideo | Reject],
    plan: Plan,
    excluded: Excluded,
    standing: Standing,
    run: Run,
    progress: Progress,
) -> Manifest:
    """Build what is missing of a plan, again without the copies that turn up, and publish the dataset."""

    def replan(excluded: Excluded) -> Plan:
        return make_plan(found, recipe, before=plan.assigned, excluded=excluded, settled=standing)

    results = _build_missing(ledger, plan, run, progress)
    bits = recipe.gates.copy_bits
    while (more := find_copies(ledger.out, plan, results, excluded, standing, bits, replan)) != excluded:
        excluded = more
        ledger.exclude(excluded)
        plan = replan(excluded)
        ledger.note_plan(plan)
        results = _build_missing(ledger, plan, run, progress)
    shards = [shard for result in results for shard in result.shards]
    ledger.note_standing(standing_of(ledger.out, plan.assigned, shards))
    if is_published(ledger.out, recipe, plan, results):
        manifest = load_manifest(ledger.out)
    else:
        manifest = publish_dataset(ledger.out, recipe, plan, results, excluded)
    ledger.place.publish()
    ledger.end_removal()
    return manifest


def _build_missing(ledger: Ledger, plan: Plan, run: Run, progress: Progress) -> list[UnitResult]:
    """Return the results of all units of the plan, in its order."""
    results = {unit.name: ledger.complete(unit, result) for unit in plan.units if (result := ledger.finished(unit))}
    missing = {unit.name: unit for unit in plan.units if unit.name not in results}
    progress.planned(plan, list(results.values()))
    if missing:
        ledger.place.remove(MANIFEST)
    for unit in missing.values():
        ledger.drop(unit)
    for result in run(list(missing.values())):
        ledger.record(missing[result.unit], result)
        results[result.unit] = result
        progress.unit_done(result)
    return [results[unit.name] for unit in plan.units]


def _check_masks(recipe: Recipe, has_masks: Callable[[], bool]) -> None:
    needing = [task for task in sorted(recipe.tasks) if builder(task).needs_masks]
    if needing and not has_masks():
        raise SourceError(
            f"task {needing[0]!r} needs object masks, and none of the sources has any; take --from scenes or a data set "
            "with masks (davis:PATH), or leave the task out (--all leaves out what the sources cannot give)"
        )


def _examine(
    sources: Sequence[Source], recipe: Recipe, progress: Progress, examined: Examined, out: Path
) -> Iterable[SourceVideo | Reject]:
    saved = time.monotonic()
    try:
        for item in chain.from_iterable([source.videos(recipe, examined) for source in sources]):
            progress.examined(item)
            yield item
            # hashing terabytes takes hours; a kill loses the last minute of it
            if time.monotonic() - saved > _SAVE_SECONDS:
                save_examined(out, examined)
                saved = time.monotonic()
    except OSError as error:
        raise SourceError(f"cannot read {error.filename or 'the sources'}: {error.strerror or error}") from None
