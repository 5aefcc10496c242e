"""Folders of videos, and the samples of a dataset, translated one after the other; a run that was stopped goes on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from inspect import signature
from pathlib import Path
from typing import Any

import torch

from configs import DatasetError, OutputError, SourceError, VideoError
from shards import Dataset
from shards.codecs import encode_video
from shards.storage import publish, publish_json
from shards.video import EXTENSIONS
from vidiff.long_video import translate_clip
from vidiff.pipeline import VIDiffPipeline
from vidiff.tiling import TiledPipe
from vidiff.translate import OnFrame, Translator

OnStart = Callable[[str, int, int], None]
"""Hears the name of what is translated next, its number and how many there are."""
_NOTE = "translation.json"


@dataclass
class Translated:
    """What came of it: how many were made now, how many were there already, and which could not be made and why."""

    made: int = 0
    there: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    lacking: list[str] = field(default_factory=list)
    """Tasks of a dataset that have no samples in the split."""


def translate_folder(
    translator: Translator,
    folder: Path,
    out: Path,
    instruction: str,
    *,
    said: Mapping[str, Any],
    on_start: OnStart = lambda name, number, count: None,
    on_frame: OnFrame = lambda done, total: None,
    **options: Any,
) -> Translated:
    """Translate every video below a folder to an .mp4 of the same name below another; options as in `Translator.file`.

    Results that are there already stay; `said` is what they depend on, and is kept beside them. A video that cannot be read
    costs itself alone.

    Raises:
        SourceError: there are no videos in the folder.
        OutputError: `out` is the folder itself, or holds the results of other settings, or two videos would have one result.
    """
    if out.resolve() == folder.resolve():
        raise OutputError(f"{out} is the folder of the videos itself; give another for the results")
    videos = sorted(path for path in folder.rglob("*") if path.suffix.lower() in EXTENSIONS and path.is_file())
    videos = [path for path in videos if out.resolve() not in path.resolve().parents]
    if not videos:
        raise SourceError(f"no videos in {folder}; looked for {' '.join(sorted(EXTENSIONS))}")
    places = _places(folder, out, videos)
    _claim(out, {**said, "instruction": instruction})
    done = Translated()
    for number, (video, place) in enumerate(zip(videos, places, strict=True), start=1):
        if place.exists():
            done.there += 1
            continue
        name = video.relative_to(folder).as_posix()
        on_start(name, number, len(videos))
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            translator.file(video, place, instruction, on_frame=on_frame, **options)
        except VideoError as error:
            done.failed[name] = str(error).removeprefix(f"{video}: ")
        else:
            done.made += 1
    return done


def translate_dataset(
    translator: Translator,
    folder: Path,
    out: Path,
    *,
    task: str | None,
    split: str,
    said: Mapping[str, Any],
    instruction: str | None = None,
    seed: int = 0,
    tile: int | None = None,
    on_start: OnStart = lambda name, number, count: None,
    on_frame: OnFrame = lambda done, total: None,
    **options: Any,
) -> Translated:
    """Translate the sources of a dataset's samples to `out/TASK/KEY.mkv`, lossless, each as its own instruction says.

    What the model has learnt from stands beside them, for a benchmark that scores these clips in the place of the model.
    `instruction` takes the place of theirs. Every sample begins with the noise of `seed`, whatever came before it.

    Raises:
        DatasetError: it has no such samples.
        OutputError: `out` holds the results of other settings.
    """
    dataset = Dataset(folder)
    keys = dataset.keys(task, split)
    if not keys:
        raise DatasetError(f"{folder} has no samples of the split {split!r}; it has {', '.join(dataset.splits)}")
    _claim(out, {**said, "instruction": instruction, "dataset": dataset.manifest.sha256, "split": split})
    translator.learnt.save(out)
    pipe = TiledPipe(translator.pipe, tile) if tile else translator.pipe
    done = Translated()
    if task is None:
        done.lacking = [name for name in dataset.tasks if not dataset.keys(name, split)]
    for number, key in enumerate(keys, start=1):
        row = dataset.row(key)
        place = out / row["task"] / f"{key}.mkv"
        if place.exists():
            done.there += 1
            continue
        on_start(key, number, len(keys))
        sample = dataset[key]
        image = {} if sample.reference is None or translator.pipe.image_encoder is None else {"image": sample.reference}
        frames = translate_clip(
            pipe,
            sample.source,
            instruction or sample.instruction,
            task=row["task"],
            generator=torch.Generator().manual_seed(seed),
            **image,
            **options,
        )
        on_frame(len(frames), len(frames))
        place.parent.mkdir(parents=True, exist_ok=True)
        publish(place, encode_video(frames, sample.meta.fps, "lossless"))
        done.made += 1
    return done


def _places(folder: Path, out: Path, videos: Iterable[Path]) -> list[Path]:
    places: dict[Path, Path] = {}
    for video in videos:
        place = (out / video.relative_to(folder)).with_suffix(".mp4")
        if place in places:
            raise OutputError(f"{places[place]} and {video} would both become {place}; translate them one by one")
        places[place] = video
    return list(places)


def _claim(out: Path, said: Mapping[str, Any]) -> None:
    """Make the folder of the results, or check that what is in it was made in the same way."""
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out} is a file; for a folder of videos OUT is a folder")
    note, values = out / _NOTE, json.loads(json.dumps(dict(said), default=str))
    if note.is_file():
        try:
            found = _completed(json.loads(note.read_text(encoding="utf-8")))
        except (ValueError, TypeError):
            raise OutputError(f"{note} is damaged; give another folder") from None
        wanted = _completed(values)
        changed = sorted(key for key in found.keys() | wanted.keys() if found.get(key) != wanted.get(key))
        if changed:
            what = "; ".join(f"{key} was {found.get(key)!r}, is {wanted.get(key)!r}" for key in changed[:3])
            raise OutputError(f"{out} holds the results of other settings ({what}); give another folder")
    out.mkdir(parents=True, exist_ok=True)
    publish_json(note, values)


def _completed(said: dict[str, Any]) -> dict[str, Any]:
    """Return what a note says with the options that have come since, at their defaults."""
    calls = (Translator.__init__, Translator.file, VIDiffPipeline.__call__)
    options = (option for call in calls for option in signature(call).parameters.values())
    return {option.name: option.default for option in options if option.default is not option.empty} | said
