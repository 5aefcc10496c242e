"""From planned clips to shards: decode, gate, make every task's pair, encode, write."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from configs import DecoderLostError, VideoError, VIDiffError
from datagen.gates import judge, judge_generated, judge_pair, pair_score, score
from datagen.hashes import perceptual_hashes
from datagen.instructions import choose_instruction, generator, seed_of
from datagen.plan import Unit
from datagen.settings import GateSettings, Recipe
from datagen.sources import open_reader
from datagen.sources.base import Clip, Reader, Reject, SourceVideo, Window
from datagen.sources.tracks import DECODE_TRIES
from datagen.tasks import builder
from datagen.tasks.base import NATIVE, UnsuitableClipError
from shards import EncodedSample, Meta, Sample, Shard, ShardWriter, encode_sample, get_task
from shards.memory import keep_freed_buffers

CRASHES = 2
"""How often the process that makes a pair may die before the pair is left out."""
Read = Callable[[SourceVideo, Window], Clip]
"""Decodes one clip."""


class Watch:
    """Who runs a unit is told here what it is at, and tells it what to keep away from; this one does neither."""

    avoid: Mapping[tuple[int, str], str] = {}
    """Reasons not to make some clips of a unit: by their number and the task, or all of the clip where the task is ``."""

    def at(self, clip: int, task: str = "") -> None:
        """Clip number `clip` is read or encoded, or a pair of it made for `task`."""

    def made(self, samples: int) -> None:
        """One more clip is done and gave so many samples."""


@dataclass(frozen=True, kw_only=True)
class UnitResult:
    """What became of one unit: its shards, and what was turned away."""

    unit: str
    shards: tuple[Shard, ...]
    rejects: tuple[Reject, ...]

    def to_plain(self) -> dict[str, Any]:
        """Return JSON values that `from_plain` turns back."""
        return asdict(self)

    @classmethod
    def from_plain(cls, values: dict[str, Any]) -> UnitResult:
        """Undo `to_plain`."""
        shards = tuple(Shard(**shard) for shard in values["shards"])
        return cls(unit=values["unit"], shards=shards, rejects=tuple(Reject(**reject) for reject in values["rejects"]))


def build_unit(unit: Unit, recipe: Recipe, out: Path, read: Read, watch: Watch | None = None) -> UnitResult:
    """Write the shards of one unit, one per task, and return what is in them. `read` is what `open_readers` gave."""
    rejects: list[Reject] = []
    watch = watch or Watch()
    with ExitStack() as stack:
        writers = {
            task: stack.enter_context(ShardWriter(out / task / f"{unit.name}.tar")) for task in sorted(recipe.tasks)
        }
        for number in range(len(unit.clips)):
            samples, turned_away = clip_samples(unit, number, recipe, read, watch)
            for sample in samples:
                writers[sample.row["task"]].add(sample)
            rejects += turned_away
            watch.made(len(samples))
    shards = tuple(writer.shard for writer in writers.values() if writer.shard)
    return UnitResult(unit=unit.name, shards=shards, rejects=tuple(rejects))


def clip_samples(
    unit: Unit, number: int, recipe: Recipe, read: Read, watch: Watch
) -> tuple[list[EncodedSample], list[Reject]]:
    """Decode one clip of a unit once and make a sample of it for every task."""
    video, window = unit.clips[number]
    at: dict[str, Any] = {"source": video.name, "sha256": video.sha256, "start": window.start, "split": unit.split}
    if (number, "") in watch.avoid:
        return [], [Reject(where="decode", reason=watch.avoid[number, ""], tries=CRASHES, **at)]
    watch.at(number)
    try:
        clip = read(video, window)
    except VideoError as error:
        reason = f"undecodable: {str(error).replace(video.locator, video.name)}"
        tries = DECODE_TRIES if isinstance(error, DecoderLostError) else 1
        return [], [Reject(where="decode", reason=reason, tries=tries, **at)]
    scores = clip_scores(clip)
    usable, reason = judge(scores, _gates(clip, recipe), len(clip.frames))
    if not usable:
        return [], [Reject(where="gate", reason=reason, scores=scores, **at)]
    samples, rejects = [], []
    for task in sorted(recipe.tasks):
        if (number, task) in watch.avoid:
            rejects.append(Reject(where="task", task=task, reason=watch.avoid[number, task], tries=CRASHES, **at))
            continue
        watch.at(number, task)
        found = _pair(clip, task, unit.split, recipe, scores)
        if isinstance(found, Sample):
            samples.append(found)
        else:
            rejects.append(Reject(task=task, **found, **at))
    watch.at(number)
    encoded_target: dict[int, tuple[bytes, float]] = {}
    return [encode_sample(sample, recipe.codec, known=encoded_target) for sample in samples], rejects


def _gates(clip: Clip, recipe: Recipe) -> GateSettings:
    # nothing is laid over a scene, but pebbles may lie in a row like letters
    return recipe.gates.model_copy(update={"max_lettering": 1.0}) if clip.video.kind == "scenes" else recipe.gates


def clip_scores(clip: Clip) -> dict[str, Any]:
    """Return what `score` says of a clip's frames, and hashes of what they show (`phash`) and of what moves in them
    (`phash_moving`)."""
    # no scene is a copy of another
    if clip.video.kind == "scenes":
        return dict(score(clip.frames))
    hashes = perceptual_hashes(clip.frames)
    return score(clip.frames) | {"phash": hashes.shown, "phash_moving": hashes.moving}


def _pair(clip: Clip, task: str, split: str, recipe: Recipe, scores: dict[str, Any]) -> Sample | dict[str, Any]:
    """Return a task's pair of a clip, or where, why and with which scores it is turned away."""
    try:
        if refusal := _refusal(clip, task, split, recipe, scores):
            return {"where": "task", "reason": refusal, "scores": scores}
        sample = make_sample(clip, task, split, recipe, scores)
    except UnsuitableClipError as error:
        return {"where": "task", "reason": str(error), "scores": scores}
    except VIDiffError:  # what is missing is missing for all clips
        raise
    except Exception as error:  # an odd clip loses its pair, and is listed; the build goes on
        return {"where": "task", "reason": f"failed: {type(error).__name__}: {' '.join(str(error).split())[:200]}"}
    keeps_outside = get_task(task).keeps_outside_mask and not is_native(clip, task)
    refusal = judge_pair(
        sample.meta.scores, recipe.gates, changes=builder(task).changes, keeps_outside=keeps_outside
    ) or judge_generated(sample.meta.scores, recipe.engine)
    return {"where": "pair", "reason": refusal, "scores": sample.meta.scores} if refusal else sample


def _refusal(clip: Clip, task: str, split: str, recipe: Recipe, scores: dict[str, Any]) -> str | None:
    """Return why a task has no use for a clip, or None."""
    make = builder(task)
    if clip.native is not None and is_native(clip, task):
        # what a template leaves open is known of pairs that are made here
        wordless = not clip.native.instruction and any("{" in text for text in recipe.task(task).templates(split))
        return f"no instruction: a pair for {task} needs its own words, and has none" if wordless else None
    if make.needs_masks and clip.ids is None:
        return "no object masks"
    return make.refuse(clip, scores, make.options(recipe.tasks[task]))


def native_hashes(clip: Clip, task: str) -> dict[str, list[str]]:
    """Return `phash_pair`, what the given side of an existing pair looks like; nothing for a pair made here."""
    if clip.native is None or clip.native.task != task:
        return {}
    return {"phash_pair": perceptual_hashes(clip.native.other).shown}


def is_native(clip: Clip, task: str) -> bool:
    """Whether the task's pair exists already and needs no effect."""
    return clip.native is not None and clip.native.task == task


def make_sample(clip: Clip, task: str, split: str, recipe: Recipe, scores: dict[str, Any]) -> Sample:
    """Draw the parameters of one pair, apply them, and put the sample together; or take the pair that exists."""
    make = builder(task)
    native = clip.native if is_native(clip, task) else None
    effect, effect_version = (NATIVE, 1) if native else (make.effect, make.version)
    seed = seed_of(recipe.seed, task, clip.video, clip.window, effect)
    rng = generator(seed)
    if native:
        parameters, pair = dict(native.parameters), make.take(clip)
    else:
        parameters = make.draw(clip, make.options(recipe.tasks[task]), rng)
        pair = make.apply(clip, parameters)
    instruction = pair.instruction or choose_instruction(recipe.task(task), split, pair.attributes, rng, pair.family)
    meta = Meta(
        task=task,
        split=split,
        source_id=clip.video.id,
        source_sha256=clip.video.sha256,
        clean_sha256=clip.video.content,
        pair_sha256=clip.video.pair_sha256 if native else "",
        licence=clip.video.licence,
        caption=" ".join(str(clip.video.facts.get("caption", "")).split()),
        start=clip.window.start,
        step=clip.window.step,
        fps=float(clip.fps),
        seed=seed,
        effect=effect,
        effect_version=effect_version,
        parameters=parameters,
        scores={
            **scores,
            **pair_score(pair.source, pair.target, pair.mask),
            **native_hashes(clip, task),
            **(native.scores if native else {}),
        },
    )
    return Sample(
        key=f"{task}-{clip.video.sha256[:12]}-{clip.window.start:06d}-{seed[:8]}",
        source=pair.source,
        target=pair.target,
        instruction=instruction,
        meta=meta,
        mask=pair.mask,
        reference=pair.reference,
    )


@contextmanager
def open_readers(recipe: Recipe) -> Iterator[Read]:
    """Give a function that reads any clip, opening the reader of each kind of source when first needed."""
    with ExitStack() as stack:
        readers: dict[str, Reader] = {}

        def read(video: SourceVideo, window: Window) -> Clip:
            if video.kind not in readers:
                readers[video.kind] = stack.enter_context(open_reader(video.kind, recipe))
            return replace(readers[video.kind].read(video, window), depth_from=recipe.depth)

        yield read


def tune_process() -> None:
    """Set this process up for one busy core: one thread per library, and freed clip buffers kept for the next clip."""
    os.environ["OMP_NUM_THREADS"] = "1"
    cv2.setNumThreads(1)
    np.seterr(all="raise", under="ignore")
    keep_freed_buffers()
    # pyarrow would import it with its first table, and swallow a Ctrl-C or SIGTERM that comes meanwhile
    importlib.import_module("pandas")
