"""Building a dataset: plan, run what is missing, and publish the manifest last."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path

import pyarrow.parquet as pq

from configs import SourceError
from datagen.ledger import Ledger, check_foreign, load_examined, locked, save_examined
from datagen.plan import SPLITS, Plan, make_plan
from datagen.settings import Recipe
from datagen.sources import find_source
from datagen.sources.base import Examined, Reject, SourceVideo
from datagen.synthesize import UnitResult
from datagen.tasks import builder
from datagen.workers import run_here, run_on_ray
from shards import Manifest, load_manifest, write_card
from shards.manifest import NAME as MANIFEST
from shards.storage import publish, remove_temporaries
from shards.tasks import OPTIONAL_MEMBERS

_SAVE_SECONDS = 60.0


class Progress:
    """What a build tells about itself; this one is silent. Override what is to be shown."""

    def examined(self, item: SourceVideo | Reject) -> None:
        """One source video was looked at."""

    def planned(self, plan: Plan, done: int) -> None:
        """The plan stands; `done` of its clips were finished by an earlier run."""

    def at_work(self, clips: int, kept: int) -> None:
        """So many clips are done in this run, and so many samples came of them."""

    def unit_done(self, result: UnitResult) -> None:
        """One unit's shards are in place."""


def build(
    recipe: Recipe,
    out: Path | str,
    *,
    sources: Sequence[str] = ("scenes",),
    licence: str = "unknown",
    workers: int = 0,
    address: str | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Manifest:
    """Build a dataset, or finish one, and return its manifest.

    `sources`: `scenes`, or paths of video files, folders and glob patterns. `workers`: how many Ray workers; 0 builds
    in this process. `address`: a running Ray cluster. The same recipe and sources give the same shards, whatever
    the workers, the order of the sources, and however often the build was killed in between.

    Raises:
        SourceError: a source is missing, or no clip of any is usable.
        OutputError: `out` cannot be written, holds another build's dataset (and not `overwrite`), or is being built.
        UnitError: some units failed; the same call tries them again.
    """
    out, progress = Path(out), progress or Progress()
    check_foreign(out)
    examined = load_examined(out)
    plan = make_plan(_examine(sources, licence, recipe, progress, examined, out), recipe)
    _check_tasks(recipe, plan)
    with locked(out):
        ledger = Ledger(out, recipe, plan, version("vidiff"))
        ledger.claim(overwrite=overwrite)
        save_examined(out, examined)
        results = {unit.name: result for unit in plan.units if (result := ledger.finished(unit))}
        missing = [unit for unit in plan.units if unit.name not in results]
        progress.planned(plan, plan.clips - sum(len(unit.clips) for unit in missing))
        if not missing and _is_published(out, plan, list(results.values())):
            return load_manifest(out)
        (out / MANIFEST).unlink(missing_ok=True)
        run = (
            run_on_ray(missing, recipe, out, progress.at_work, workers=workers, address=address)
            if workers
            else run_here(missing, recipe, out, progress.at_work)
        )
        for result in run:
            ledger.record(result)
            results[result.unit] = result
            progress.unit_done(result)
        return _publish(out, recipe, plan, [results[unit.name] for unit in plan.units])


def _check_tasks(recipe: Recipe, plan: Plan) -> None:
    if any(video.has_masks for video in plan.videos):
        return
    for task in sorted(recipe.tasks):
        if builder(task).needs_masks:
            raise SourceError(
                f"task {task!r} needs object masks, and none of the sources has any; take --from scenes or a data set "
                "with masks (davis:PATH), or leave the task out (--all leaves out what the sources cannot give)"
            )


def _examine(
    sources: Sequence[str], licence: str, recipe: Recipe, progress: Progress, examined: Examined, out: Path
) -> Iterable[SourceVideo | Reject]:
    saved = time.monotonic()
    for source in [find_source(spec, licence) for spec in sources]:
        for item in source.videos(recipe, examined):
            progress.examined(item)
            yield item
            # hashing terabytes takes hours; a kill loses the last minute of it
            if time.monotonic() - saved > _SAVE_SECONDS:
                save_examined(out, examined)
                saved = time.monotonic()


def _is_published(out: Path, plan: Plan, results: list[UnitResult]) -> bool:
    """Whether all that lies beside the shards is there; a video that was added since and is of no use changes the rejects."""
    if not all((out / name).is_file() for name in (MANIFEST, "README.md", "rejects.jsonl")):
        return False
    return (out / "rejects.jsonl").read_text(encoding="utf-8") == _lines(_rejects(plan, results))


def _rejects(plan: Plan, results: list[UnitResult]) -> list[Reject]:
    order = {unit.name: number for number, unit in enumerate(plan.units)}
    ordered = sorted(results, key=lambda result: order[result.unit])
    return [*plan.rejects, *(reject for result in ordered for reject in result.rejects)]


def _lines(rejects: list[Reject]) -> str:
    return "".join(json.dumps(vars(reject), ensure_ascii=False) + "\n" for reject in rejects)


def _publish(out: Path, recipe: Recipe, plan: Plan, results: list[UnitResult]) -> Manifest:
    rejects = _rejects(plan, results)
    shards = sorted(
        (shard for result in results for shard in result.shards), key=lambda s: (s.task, SPLITS.index(s.split), s.path)
    )
    publish(out / "rejects.jsonl", _lines(rejects))
    if not shards:
        reasons = ", ".join(
            f"{kind} {count}" for kind, count in Counter(reject.kind for reject in rejects).most_common()
        )
        raise SourceError(
            f"no usable clip: all {plan.clips} were rejected ({reasons}); {out / 'rejects.jsonl'} lists them"
        )
    licences: Counter[str] = Counter()
    sources: set[str] = set()
    members: dict[str, set[str]] = {}
    for shard in shards:
        table = pq.read_table(out / shard.index, columns=["licence", "source_sha256", "members"])
        licences.update(table["licence"].to_pylist())
        sources.update(table["source_sha256"].to_pylist())
        names = {member["name"].split(".")[0] for row in table["members"].to_pylist() for member in row}
        members.setdefault(shard.task, set()).update(names & set(OPTIONAL_MEMBERS))
    manifest = Manifest(
        recipe=recipe.model_dump(mode="json"),
        recipe_digest=recipe.digest(),
        code_version=version("vidiff"),
        inputs=plan.inputs,
        shards=tuple(shards),
        rejects=dict(sorted(Counter(reject.kind for reject in rejects).items())),
        sources=len(sources),
    )
    # what a worker left that was killed and replaced
    remove_temporaries(out)
    write_card(out, manifest, licences, members)
    manifest.save(out)
    return manifest
