"""Making one sample again, to prove that its record is complete."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from configs import DatasetError, SourceError
from configs.loader import check
from datagen.destination import NOTES
from datagen.diff import changed_names
from datagen.settings import Recipe
from datagen.sources import find_source
from datagen.sources.base import Clip, SourceVideo, Window
from datagen.synthesize import clip_scores, make_sample, open_readers
from datagen.tasks import builder
from datagen.tasks.base import NATIVE, UnsuitableClipError
from shards import Dataset, Sample, encode_sample
from shards.codecs import pooled_psnr
from shards.members import member_at
from shards.reader import differing_members

META = "meta.json"
TOLERANCE_DB = 1.0
"""How far below the codec's own ceiling the side made from the stored (compressed) other side may lie: the effect's own
rounding, and that it was applied to a clip which the codec had touched."""


@dataclass(frozen=True, kw_only=True)
class Replay:
    """How a sample that was made again compares with the stored one."""

    identical: bool
    """Whether every member made from the source video has the stored bytes, what is recorded since then apart."""
    differing: tuple[str, ...]
    """Names of the members that have other bytes."""
    changed: tuple[str, ...]
    """What of `meta.json` differs, by name: `effect_version`, `parameters.beta`, `scores.phash`."""
    effects: tuple[str, str]
    """Name and version of the effect that made the sample, and of the one that is here."""
    code: tuple[str, str]
    """Version of datagen that made the dataset, and of the one that is here."""
    psnr: float
    """dB between the side that the effect made, as stored, and the stored parameters applied to the other side; infinite
    where the pair was taken as it is, without an effect; NaN where another version of the effect made it."""
    ceiling: float
    """dB that the codec's two losses (of source and target) leave for that comparison."""

    @property
    def faithful(self) -> bool:
        """Whether both proofs hold."""
        return self.identical and self.psnr >= self.ceiling - TOLERANCE_DB

    def summary(self) -> str:
        """Say both results in one line."""
        whole = self._compared()
        if math.isinf(self.psnr):
            return f"from its source: {whole}; the pair was taken as it is, no effect made either side"
        if math.isnan(self.psnr):
            return f"from its source video: {whole}; made by {self.effects[0]}, here is {self.effects[1]}"
        least = self.ceiling - TOLERANCE_DB
        verdict = "ok" if self.psnr >= least else "NOT OK"
        again = f"{verdict}, {self.psnr:.1f} dB (the codec's losses leave at least {least:.1f} dB)"
        return f"from its source video: {whole}; from its clean side and parameters: {again}"

    def _compared(self) -> str:
        if self.identical:
            return "same bytes"
        names = ", ".join(self.changed)
        if self.differing == (META,) and all(name.startswith("scores.") for name in self.changed):
            then, now = self.code
            who = f"datagen {then}, here is {now}" if then != now else f"another state of datagen {now}"
            return f"clips and parameters have the same bytes, only scores differ ({names}): they are of {who}"
        return "other bytes in " + ", ".join(
            f"{name} ({names})" if name == META and names else name for name in self.differing
        )


def replay(folder: Path | str, key: str, sources: Sequence[str] = ()) -> Replay:
    """Make sample `key` again from its source video, and the side its effect made again from the other side.

    `sources`: where to look for the video by content, if it is not where it was when the dataset was built.

    Raises:
        DatasetError: no such sample, the dataset was merged of others, or the task has no more use for the clip.
        SourceError: the source video is not to be found.
    """
    folder = Path(folder)
    dataset = Dataset(folder)
    if dataset.manifest.parts:
        names = ", ".join(f"{part['name']} (content {part['content_sha256'][:12]})" for part in dataset.manifest.parts)
        raise DatasetError(f"{folder} is a merged dataset; replay {key} in the part it came from, one of: {names}")
    stored, members = dataset[key], dataset.members(key)
    recipe = check(Recipe, dataset.manifest.recipe, where=f"{folder}/manifest.json")
    video = _locate(folder, stored, recipe, sources)
    window = Window(start=stored.meta.start, step=stored.meta.step, frames=len(stored.target))
    with open_readers(recipe) as read:
        clip = read(video, window)
    try:
        again = make_sample(clip, stored.meta.task, stored.meta.split, recipe, clip_scores(clip))
    except UnsuitableClipError as error:
        raise DatasetError(f"{key} cannot be made again: this version turns its clip away ({error})") from None
    made = encode_sample(again, dataset.row(key)["codec"]).members
    differing = tuple(differing_members(members, made))
    then, now = (f"{meta.effect} {meta.effect_version}" for meta in (stored.meta, again.meta))
    return Replay(
        identical=not differing,
        differing=differing,
        changed=tuple(_changed_meta(members[META], made[META])),
        effects=(then, now),
        code=(dataset.manifest.code_version, version("vidiff")),
        # another version may not know these parameters
        psnr=_from_other_side(clip, stored) if then == now else math.nan,
        ceiling=_ceiling(clip, stored, dataset.row(key)) if then == now else math.nan,
    )


def _changed_meta(stored: bytes, made: bytes) -> list[str]:
    """Name what differs between two `meta.json`, of what both say."""
    one, other = _plain_meta(stored), _plain_meta(made)
    return [name for name in changed_names(one, other) if name.split(".")[0] in one.keys() & other.keys()]


def _plain_meta(text: bytes) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(text)
    return values | {name: json.loads(values[name]) for name in ("parameters", "scores")}


def _is_there(locator: str) -> bool:
    member = member_at(locator)
    return (member.tar if member else Path(locator)).exists()


def _from_other_side(clip: Clip, stored: Sample) -> float:
    if stored.meta.effect == NATIVE:
        return math.inf
    task = builder(stored.meta.task)
    clean = stored.target if task.made == "source" else stored.source
    pair = task.apply(replace(clip, frames=clean), stored.meta.parameters)
    return pooled_psnr(getattr(pair, task.made), getattr(stored, task.made))


def _ceiling(clip: Clip, stored: Sample, row: dict[str, float]) -> float:
    """Return the PSNR of two independent losses together: their squared errors add up.

    One is the codec's of the side that was made; the other the codec's of the clean side, or what the effect makes of it
    where that is more: a drawing of a slightly other picture has its lines elsewhere.
    """
    if stored.meta.effect == NATIVE:
        return math.inf
    task = builder(stored.meta.task)
    clean = stored.target if task.made == "source" else stored.source
    made, again = (
        getattr(task.apply(replace(clip, frames=frames), stored.meta.parameters), task.made)
        for frames in (clip.frames, clean)
    )
    sides = ("psnr_source", "psnr_target") if task.made == "target" else ("psnr_target", "psnr_source")
    clean_psnr = min(row[sides[0]], pooled_psnr(made, again))
    return -10 * math.log10(10 ** (-clean_psnr / 10) + 10 ** (-row[sides[1]] / 10))


def _locate(folder: Path, stored: Sample, recipe: Recipe, sources: Sequence[str]) -> SourceVideo:
    wanted = stored.meta.source_sha256
    for spec in sources:
        for item in find_source(spec, stored.meta.licence).videos(recipe, {}):
            if isinstance(item, SourceVideo) and item.sha256 == wanted:
                return replace(item, id=stored.meta.source_id)
    notes = folder / NOTES / "sources.json"
    known = json.loads(notes.read_text(encoding="utf-8")) if notes.is_file() else {}
    if wanted not in known:
        raise SourceError(
            f"the source of {stored.key} ({stored.meta.source_id}) is not known here; give --from PATH where it lies"
        )
    video = SourceVideo(**known[wanted])
    gone = [where for where in (video.locator, *video.tracks.values()) if not _is_there(where)]
    if video.kind == "files" and gone:
        raise SourceError(f"{gone[0]}, the source of {stored.key}, is gone; give --from PATH where it lies now")
    return video
