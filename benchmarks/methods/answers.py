"""Answers that were made elsewhere: clips in a folder, one file or folder of pictures for each sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from configs import ConfigError
from shards import Sample, read_video
from shards.picture_folder import PictureReader, pictures_in
from shards.sample import Video
from shards.tasks import task_names

Answers = dict[tuple[str, str], Path]
"""Where each answer lies, by the sample's task and key."""
_CLIPS = (".mkv", ".mp4", ".avi", ".mov", ".webm")
_EXPECTED = "TASK/KEY.mkv or TASK/KEY/*.png, KEY the sample's key"


def answers_in(folder: Path) -> Answers:
    """Return the answers in a folder, `TASK/KEY.mkv` (or mp4, avi, mov, webm, in capitals, too) or `TASK/KEY/*.png`.

    Raises:
        ConfigError: no such folder, no answers in it, or two for one sample.
    """
    if not folder.is_dir():
        raise ConfigError(f"no folder {folder}; --predictions names one that holds TASK/KEY.mkv files")
    found: Answers = {}
    for path in sorted(path for task in task_names() for path in (folder / task).glob("[!.]*")):
        if path.is_dir() and pictures_in(path):
            which = path.parent.name, path.name
        elif path.suffix.lower() in _CLIPS:
            which = path.parent.name, path.stem
        else:
            continue
        if which in found:
            raise ConfigError(f"{found[which]} and {path.name} beside it answer the same sample; take one of them away")
        found[which] = path
    if not found:
        deeper = next((path.parent for path in folder.glob("*/*") if path.is_dir() and path.name in task_names()), None)
        hint = f"; is it {deeper}?" if deeper else ""
        raise ConfigError(
            f"{folder} holds no predictions; they are expected as {_EXPECTED}, TASK one of {', '.join(task_names())}{hint}"
        )
    return found


def read_answer(answers: Answers, sample: Sample) -> Video:
    """Return the answer to a sample: uint8 [t h w 3], or masks [t h w].

    Raises:
        FileNotFoundError: there is none.
        ValueError: it has another number of frames.
    """
    path = answers.get((sample.meta.task, sample.key))
    if path is None:
        raise FileNotFoundError("no prediction of this sample")
    found = _pictures(path, sample.meta.task) if path.is_dir() else read_video(path)
    if len(found) != len(sample.source):
        raise ValueError(f"{path} has {len(found)} frames, the sample has {len(sample.source)}")
    return found


def coverage(answers: Answers, keys: Mapping[str, Sequence[str]]) -> list[str]:
    """Say in a line for each task how many of its samples have an answer, where not all have, and which file is of none.

    `keys`: those of the samples that are scored, by their task.
    """
    said = []
    for task, wanted in keys.items():
        own = {key: path for (of, key), path in answers.items() if of == task}
        missing = [key for key in wanted if key not in own]
        if own and missing:
            said.append(
                f"predictions of {len(wanted) - len(missing)} of {len(wanted)} {task} samples; {missing[0]}"
                f"{_more(missing)} without one {'count' if len(missing) > 1 else 'counts'} as failed"
            )
        others = [path.name for key, path in own.items() if key not in wanted]
        # with a limit, or another split, that is as it should be
        if missing and others:
            said.append(
                f"{task}/{others[0]}{_more(others)} {'are' if len(others) > 1 else 'is'} of no sample that is scored"
            )
    return said


def _more(names: Sequence[str]) -> str:
    return f" and {len(names) - 1} more" if len(names) > 1 else ""


def _pictures(path: Path, task: str) -> Video:
    reader = PictureReader(path)
    if task == "segment" and _are_masks(path):
        return np.where(reader.read_labels() > 0, np.uint8(255), np.uint8(0))
    return reader.read()


def _are_masks(folder: Path) -> bool:
    """Return whether pictures are of one channel or of numbered colours, as masks are."""
    from PIL import Image

    with Image.open(pictures_in(folder)[0]) as picture:
        return picture.mode in ("1", "L", "P")
