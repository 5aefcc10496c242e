"""A build's own notes, in `<out>/.build`: what is planned and what is finished, so that a killed build goes on."""

from __future__ import annotations

import contextlib
import json
import shlex
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from configs import DatasetError, OutputError
from datagen.destination import BESIDE, IDENTITY, NOTES, PLAN, SHARD, Destination, clearing_order
from datagen.plan import Assigned, Excluded, Plan, Unit
from datagen.recipes import added_tasks, difference, identity_of
from datagen.settings import Recipe
from datagen.sources.base import Examined, Reject, SourceVideo, Window
from datagen.synthesize import UnitResult
from datagen.tasks.base import NATIVE
from shards import storage, task_names
from shards.manifest import NAME as MANIFEST
from shards.storage import publish_json, remove_temporaries, sha256_of
from shards.writer import complete_index, is_earlier

_REMOVAL = "removal.json"
_SOURCES = "sources.json"


@contextlib.contextmanager
def locked(out: Path) -> Iterator[None]:
    """Hold the folder for this process; the lock goes with the process, however it ends.

    Raises:
        OutputError: another build holds it, or the folder cannot be written.
    """
    try:
        with storage.locked(out / NOTES / "lock", out, "build"):
            yield
    except OSError as error:  # wherever in the build it was
        raise OutputError(f"cannot write to {out}: {error.strerror or error}") from None


class Ledger:
    """Reads and writes the notes of one build; only whoever holds the lock writes."""

    def __init__(self, place: Destination, recipe: Recipe, code_version: str) -> None:
        self.place = place
        self.recipe = recipe
        self.out = place.folder
        self.folder = self.out / NOTES
        self.identity = {"recipe": identity_of(recipe.model_dump(mode="json")), "code": code_version}

    def is_fresh(self, *, overwrite: bool) -> bool:
        """Whether the build starts from nothing; with `overwrite` what another recipe made does not count.

        Raises:
            OutputError: the folder holds another build (the difference is shown), or files that are not a dataset.
        """
        check_foreign(self.out)
        if overwrite:
            return True
        old = self._recorded()
        if old is not None and old != self.identity:
            parts = [part["name"] for part in old["recipe"].get("merged", ())]
            changes = f"it was merged of {', '.join(parts)}" if parts else "; ".join(difference(old, self.identity))
            added = added_tasks(old, self.identity)
            merged = (
                f"; to add {added} cheaply, build it alone into another folder with the same --from and settings, and merge: "
                f"datagen merge {self.place.name} OTHER --out BOTH"
                if added
                else ""
            )
            raise OutputError(
                f"{self.place.name} was made by another recipe: {changes}; give --overwrite to replace it, or another --out"
                f"{merged}"
            )
        # of a dataset that came without its notes nothing is known but what it is: it is made anew
        return old is None or not (self.folder / PLAN).is_file()

    def assigned(self) -> tuple[Assigned, ...]:
        """Return the units as an earlier run planned them."""
        return tuple(
            Assigned(
                split=unit["split"],
                number=unit["number"],
                clips=tuple((sha256, Window(**window)) for sha256, window in unit["clips"]),
            )
            for unit in self._read(PLAN, {"units": []}, "units", "rejects")["units"]
        )

    def claim(self, plan: Plan, *, fresh: bool, overwrite: bool) -> None:
        """Make the folder this build's own, and note its plan.

        Raises:
            OutputError: it holds a dataset without its notes that was made from other sources.
        """
        if fresh:
            self._check_inputs(plan, overwrite=overwrite)
            if not (self.folder / IDENTITY).is_file():
                # of a dataset without notes the manifest goes first, and what is left must be known as ours
                self._note(IDENTITY, self.identity)
            self.place.clear()
            clear(self.out)
        remove_temporaries(self.out)
        self._note(IDENTITY, self.identity)
        self.note_plan(plan)

    def _check_inputs(self, plan: Plan, *, overwrite: bool) -> None:
        manifest = _read_manifest(self.out)
        if manifest is not None and manifest.get("inputs") != plan.inputs and not overwrite:
            raise OutputError(
                f"{self.place.name} holds a dataset from other sources, without the notes of its build ({NOTES}); give "
                "--overwrite to replace it, or another --out"
            )

    def note_plan(self, plan: Plan) -> None:
        """Keep the plan for later runs, and for those that have the dataset alone to go by."""
        units = [asdict(unit) for unit in plan.assigned]
        self._note(PLAN, {"units": units, "rejects": [vars(reject) for reject in plan.rejects]})
        self._note(_SOURCES, {video.sha256: vars(video) for video in plan.videos})

    def found(self) -> list[SourceVideo | Reject]:
        """Return what the last run found in the sources, without looking at them again."""
        videos = [SourceVideo(**values) for values in self._read(_SOURCES, {}).values()]
        rejects = [Reject(**values) for values in self._read(PLAN, {"rejects": []}, "units", "rejects")["rejects"]]
        return [*videos, *(reject for reject in rejects if reject.where not in ("excluded", "frames"))]

    def names(self) -> dict[str, str]:
        """Return what the source videos of the last run are called, by sha256."""
        return noted_names(self.out)

    def excluded(self) -> Excluded:
        """Return what was taken out."""
        return noted_excluded(self.out)

    def exclude(self, excluded: Excluded) -> None:
        """Note what is taken out."""
        clips = [[*clip, reason] for clip, reason in sorted(excluded.clips.items())]
        alike = sorted(excluded.alike)
        self._note("excluded.json", {"videos": dict(excluded.videos), "clips": clips, "alike": alike})

    def standing(self) -> dict[str, list[int]] | None:
        """Return what stands, or None where that was never noted."""
        found: dict[str, list[int]] | None = self._read("standing.json", None)
        return found

    def note_standing(self, standing: Mapping[str, Sequence[int]]) -> None:
        """Note what stands from now on, where that is new."""
        if standing != self.standing():
            self._note("standing.json", standing)

    def finished(self, unit: Unit) -> UnitResult | None:
        """Return the result of a unit whose shards are all in place and made of its present clips, or None."""
        noted = self._result(unit)
        if noted is None or noted[0] != unit.digest:
            return None
        return noted[1] if all(self.place.has(shard) for shard in noted[1].shards) else None

    def complete(self, unit: Unit, result: UnitResult) -> UnitResult:
        """Give a finished unit of an earlier version the index columns of today, and return its result; its tars stay.

        Readers of several indexes at once want the same columns in all of them.
        """
        said = partial(_sides, {video.sha256: video for video, _ in unit.clips})
        # killed in between, an index may be of today already, and the note of the unit not say so
        begun = not (self.out / MANIFEST).is_file()
        if not any(
            is_earlier(self.out / shard.index, said)
            or (begun and sha256_of(self.out / shard.index) != shard.index_sha256)
            for shard in result.shards
        ):
            return result
        # it must not tell of indexes that are not there any more; the unit stays finished, for made again it might differ
        self.place.remove(MANIFEST)
        whole = replace(result, shards=tuple(complete_index(self.out, shard, said) for shard in result.shards))
        for shard in whole.shards:
            self.place.note(self.out / shard.index)
        self.record(unit, whole)
        return whole

    def drop(self, unit: Unit) -> None:
        """Remove what is out of date of a unit that will be made again: it may give fewer shards than it did."""
        noted = self._result(unit)
        if noted is None or noted[0] == unit.digest:
            return
        for shard in noted[1].shards:
            self.place.remove(shard.path)
            self.place.remove(shard.index)
        self.place.remove(f"{NOTES}/units/{unit.name}.json")

    def drop_failed(self, units: Sequence[Unit]) -> None:
        """Forget the results of units in which a clip could not be read, or a pair not be made."""
        for unit in units:
            result = self.finished(unit)
            if result and any(r.where == "decode" or r.kind in ("failed", "crashed") for r in result.rejects):
                self.place.remove(f"{NOTES}/units/{unit.name}.json")

    def record(self, unit: Unit, result: UnitResult) -> None:
        """Note that a unit is finished; its shards are in place by now."""
        values = {"clips": unit.digest, "result": result.to_plain()}
        self._note(f"units/{unit.name}.json", values)

    def begin_removal(self, names: Sequence[str], reason: str | None, chosen: Collection[str]) -> None:
        """Note that some source videos are being taken out."""
        recipe = self.recipe.model_dump(mode="json")
        asked = {"names": sorted(names), "reason": reason}
        self._note(_REMOVAL, asked | {"chosen": sorted(chosen), "recipe": recipe, "code": self.identity["code"]})

    def end_removal(self) -> None:
        """Note that nothing is being taken out any more."""
        if (self.folder / _REMOVAL).exists():
            self.place.remove(f"{NOTES}/{_REMOVAL}")

    def _note(self, name: str, value: Any) -> None:
        publish_json(self.folder / name, value)
        self.place.note(self.folder / name)

    def _result(self, unit: Unit) -> tuple[str, UnitResult] | None:
        """Return the digest and the result that were noted of a unit; None makes it again, as where the note is damaged."""
        try:
            values = self._read(f"units/{unit.name}.json", None, "clips", "result")
            return values and (values["clips"], UnitResult.from_plain(values["result"]))
        except (DatasetError, KeyError, TypeError):
            return None

    def _read(self, name: str, default: Any, *keys: str) -> Any:
        return _noted(self.folder / name, default, *keys)

    def _recorded(self) -> dict[str, Any] | None:
        found: dict[str, Any] | None = self._read(IDENTITY, None, "recipe", "code")
        return {**found, "recipe": identity_of(found["recipe"])} if found else self._from_manifest()

    def _from_manifest(self) -> dict[str, Any] | None:
        """Return the identity of a dataset that came here without its notes (downloaded, say)."""
        values = _read_manifest(self.out)
        if values is None:
            return None
        return {"recipe": identity_of(values["recipe"]), "code": values.get("code_version")}


def _sides(videos: Mapping[str, SourceVideo], row: Mapping[str, Any]) -> dict[str, str]:
    """Return what the index says of the sides of a row's sample."""
    video = videos[row["source_sha256"]]
    return {"clean_sha256": video.content, "pair_sha256": video.pair_sha256 if row["effect"] == NATIVE else ""}


def begun_removal(place: Destination, names: Sequence[str] = (), reason: str | None = None) -> dict[str, Any] | None:
    """Return the note of the same removal that was begun and not finished, or None. No `names`: nothing is to be removed.

    Raises:
        DatasetError: another one was begun.
    """
    asked = ("names", "reason", "chosen", "recipe", "code")
    noted: dict[str, Any] | None = _noted(place.folder / NOTES / _REMOVAL, None, *asked)
    if noted is None:
        return None
    if (noted["names"], noted["reason"] is None) == (sorted(names), reason is None):
        return noted
    command = "forget" if noted["reason"] is None else "reject"
    said = " ".join(f"--source {shlex.quote(name)}" for name in noted["names"])
    raise DatasetError(
        f"{place.name}: a removal did not finish; first run 'datagen {command} {shlex.quote(place.name)} {said}' again"
    )


def _noted(path: Path, default: Any, *keys: str) -> Any:
    """Return a note, which has these keys, or `default` where there is none.

    Raises:
        DatasetError: it is damaged.
    """
    if not path.is_file():
        return default
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        value = None
    if not isinstance(value, dict) or not value.keys() >= set(keys):
        raise DatasetError(
            f"{path} is damaged; run the same 'datagen build' with --overwrite, which starts anew (what was rejected may come in "
            "again), or bring the file back"
        )
    return value


def noted_names(out: Path) -> dict[str, str]:
    """Return what the source videos of a dataset's last build are called, by sha256; nothing where it came without notes."""
    return {sha256: values["name"] for sha256, values in _noted(out / NOTES / _SOURCES, {}).items()}


def noted_excluded(out: Path) -> Excluded:
    """Return what was taken out of a dataset; nothing where it came without notes."""
    values = _noted(out / NOTES / "excluded.json", {"videos": {}, "clips": []}, "videos", "clips")
    alike = values.get("alike")
    if alike is None:
        # as it was noted once: behind each clip the one that it looks like
        alike = {(sha256, like[0]) for sha256, _, _, like in values["clips"]}
    return Excluded(
        videos=values["videos"],
        clips={(sha256, start): reason for sha256, start, reason, *_ in values["clips"]},
        alike=frozenset((one, other) for one, other in alike),
    )


def load_examined(out: Path) -> Examined:
    """Return what earlier builds into `out` found out about the source files; nothing if that cannot be read."""
    try:
        found: Examined = _noted(out / NOTES / "examined.json", {})
        return {mark: item for mark, item in found.items() if isinstance(item, dict)}
    except (OSError, DatasetError):
        return {}


def save_examined(out: Path, examined: Examined) -> None:
    """Keep `examined` for the next build into `out`."""
    if examined != load_examined(out):
        publish_json(out / NOTES / "examined.json", examined)


def _read_manifest(out: Path) -> dict[str, Any] | None:
    """Return the manifest of a dataset of ours, or None: other programs call files by that name, too."""
    try:
        values = json.loads((out / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    ours = isinstance(values, dict) and {"recipe", "recipe_digest", "shards"} <= values.keys()
    return values if ours else None


def check_foreign(out: Path) -> None:
    """Raise `OutputError` where `out` is a file, or a folder of other things than a dataset."""
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out} is a file; --out must name a folder")
    known = _read_manifest(out) is not None or (out / NOTES / IDENTITY).is_file()
    strangers = [path.name for path in sorted(out.iterdir()) if path.name != NOTES] if out.is_dir() else []
    if strangers and not known:
        raise OutputError(f"{out} is not empty and not a dataset (it has {strangers[0]!r}); choose another --out")


def clear(out: Path) -> None:
    """Remove a dataset, the manifest first, and its notes; nothing else that lies in the folder, and not the lock."""
    (out / MANIFEST).unlink(missing_ok=True)
    for path in _our_shards(out):
        path.unlink()
        with contextlib.suppress(OSError):
            path.parent.rmdir()
    for name in BESIDE:
        (out / name).unlink(missing_ok=True)
    for path in sorted((out / NOTES).glob("*"), key=lambda path: clearing_order(path.name)):
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != "lock":
            path.unlink()


def _our_shards(out: Path) -> Iterator[Path]:
    """Yield the shards that builds wrote; a file of somebody's own, or one behind a link, is not among them."""
    for folder in sorted(out.iterdir()) if out.is_dir() else []:
        if folder.name in task_names() and folder.is_dir() and not folder.is_symlink():
            yield from (path for path in sorted(folder.iterdir()) if SHARD.fullmatch(path.name) and path.is_file())
