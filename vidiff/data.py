"""Training clips: which sample stands at which position, and how it is cut, mirrored and worded."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from configs import ConfigError, DatasetError, unknown_name
from shards import Dataset, Sample
from vidiff.image_instruction import SIDE, to_square
from vidiff.long_video import prefixed
from vidiff.settings import DataSettings, TrainSettings

Video = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Clip pairs of one size: `source` and `target` uint8 [b 3 t h w], one instruction each.

    `images`: image instructions, uint8 [b 3 224 224]; `with_image`: bool [b], which clips have one.
    """

    source: Tensor
    target: Tensor
    instructions: list[str]
    images: Tensor | None = None
    with_image: Tensor | None = None


@dataclass(frozen=True, kw_only=True)
class TrainingClip:
    """`source` and `target` uint8 [t h w 3], the instruction, and the image instruction uint8 [224 224 3] if there is one."""

    source: Video
    target: Video
    instruction: str
    image: NDArray[np.uint8] | None = None


def named_rng(seed: int, *names: str | int) -> np.random.Generator:
    """Return the generator that belongs to a name; the same everywhere and in any order of calls."""
    text = "/".join(map(str, (seed, *names)))
    return np.random.default_rng(int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "big"))


class Order:
    """Which sample stands at a position: shuffled epochs in which every task has its share.

    An epoch is as long as all samples together. A task fills its share with its own samples, shuffled anew whenever
    they have all been used; so each is used equally often, whatever the weights.
    """

    def __init__(self, keys: Mapping[str, Sequence[str]], weights: Mapping[str, float], seed: int) -> None:
        self._keys, self._seed = keys, seed
        self._length = max(len(keys), sum(map(len, keys.values())))
        total = sum(weights[task] for task in keys)
        ends = np.round(np.cumsum([weights[task] for task in keys]) / total * self._length).astype(int)
        self._quotas = dict(zip(keys, np.diff(ends, prepend=0).tolist(), strict=True))
        self._epoch: tuple[int, list[str]] = (-1, [])

    def __getitem__(self, position: int) -> str:
        number, place = divmod(position, self._length)
        if self._epoch[0] != number:
            self._epoch = (number, self._shuffled(number))
        return self._epoch[1][place]

    def _shuffled(self, epoch: int) -> list[str]:
        chosen = [
            key for task, quota in self._quotas.items() if quota for key in self._draw(task, epoch * quota, quota)
        ]
        order = named_rng(self._seed, "epoch", epoch).permutation(len(chosen))
        return [chosen[place] for place in order]

    def _draw(self, task: str, start: int, count: int) -> list[str]:
        """Return `count` keys from place `start` of the task's shuffled keys, shuffled anew each time round."""
        keys = self._keys[task]
        first, last = start // len(keys), (start + count - 1) // len(keys)
        turns = [named_rng(self._seed, task, turn).permutation(len(keys)) for turn in range(first, last + 1)]
        places = np.concatenate(turns)[start - first * len(keys) :][:count]
        return [keys[place] for place in places]


class TrainingClips(TorchDataset[TrainingClip]):
    """The clip pair at `(position, crop)`: a pure function of seed, position and crop."""

    def __init__(self, dataset: Dataset, settings: TrainSettings) -> None:
        self._dataset, self._data, self._seed = dataset, settings.data, settings.seed
        self._frames = settings.model.window
        weights = mixture(dataset, settings.data)
        keys = {task: dataset.keys(task, "train") for task in weights}
        check_sizes(dataset, list(weights), settings)
        self._order = Order(keys, weights, settings.seed)

    def __getitem__(self, where: tuple[int, int]) -> TrainingClip:
        position, crop = where
        sample = self._dataset[self._order[position]]
        return cut(sample, named_rng(self._seed, "clip", position), crop, self._frames, self._data)


def cut(sample: Sample, rng: np.random.Generator, crop: int, frames: int, data: DataSettings) -> TrainingClip:
    """Return source and target, uint8 [frames crop crop 3], cut alike at random, and the instructions.

    With K > 0 prior frames, as in long video, the first K source frames are target frames and the instruction says so.
    """
    _, height, width, _ = sample.source.shape
    t, y, x = (int(rng.integers(0, most + 1)) for most in (len(sample.source) - frames, height - crop, width - crop))
    window = np.s_[t : t + frames, y : y + crop, x : x + crop]
    source, target = sample.source[window], sample.target[window]
    if rng.random() < data.flip:
        source, target = source[:, :, ::-1], target[:, :, ::-1]
    count = min(int(rng.choice(data.prior_frames)), frames - 1)
    source = np.concatenate([target[:count], source[count:]])
    return TrainingClip(
        source=source,
        target=np.ascontiguousarray(target),
        instruction=prefixed(sample.instruction, count),
        image=None if sample.reference is None else to_square(sample.reference),
    )


def mixture(dataset: Dataset, data: DataSettings) -> dict[str, float]:
    """Return the weight of every task trained on: of those named, or of all that have train samples.

    Raises:
        ConfigError: a task is unknown.
        DatasetError: a task that is named has no train samples, or none has.
    """
    for task in data.tasks:
        if task not in dataset.tasks:
            raise ConfigError(f"data.tasks: {unknown_name('task', task, dataset.tasks)} (in {dataset.root})")
    has = [task for task in data.tasks or dataset.tasks if dataset.keys(task, "train")]
    for task in data.tasks:
        if task not in has:
            raise DatasetError(
                f"{dataset.root} has no train samples of {task!r}: build more clips, or name other tasks"
            )
    if not has:
        raise DatasetError(f"{dataset.root} has no train samples: build more clips, or with a larger splits.train")
    return dict(data.tasks) or dict.fromkeys(has, 1.0)


def check_sizes(dataset: Dataset, tasks: Sequence[str], settings: TrainSettings) -> None:
    """Raise `ConfigError` when a train clip is too short or too small to cut from."""
    smallest, shortest = max(settings.data.crops), settings.model.window
    for task in tasks:
        columns = dataset.index(task, "train").select(["frames", "height", "width"]).to_pydict()
        frames, side = min(columns["frames"]), min(*columns["height"], *columns["width"])
        if frames < shortest:
            raise ConfigError(
                f"{task} clips have {frames} frames, the model's window {shortest}: --set model.window={frames}"
            )
        if side < smallest:
            raise ConfigError(
                f"{task} clips are {side} px, the crops {smallest}: give smaller ones with --set data.crops=[...]"
            )


def batches(clips: TrainingClips, settings: TrainSettings, places: Iterator[tuple[int, int]]) -> Iterator[Batch]:
    """Yield the batch of every (step, crop) in `places`, decoded ahead by `data.workers` processes."""
    size = settings.optimizer.batch
    loader: DataLoader[Any] = DataLoader(
        clips,
        batch_sampler=_Places(places, size),
        num_workers=settings.data.workers,
        collate_fn=_collate,
        # fork inherits threads that hold locks; a worker that starts clean costs a second, once
        multiprocessing_context="spawn" if settings.data.workers else None,
    )
    yield from loader


class _Places:
    def __init__(self, places: Iterator[tuple[int, int]], size: int) -> None:
        self._places, self._size = places, size

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        for step, crop in self._places:
            yield [(step * self._size + number, crop) for number in range(self._size)]


def _collate(items: list[TrainingClip]) -> Batch:
    source, target = (
        torch.from_numpy(np.stack(clips)).permute(0, 4, 1, 2, 3)
        for clips in ([item.source for item in items], [item.target for item in items])
    )
    images = [np.zeros((SIDE, SIDE, 3), np.uint8) if item.image is None else item.image for item in items]
    return Batch(
        source=source,
        target=target,
        instructions=[item.instruction for item in items],
        images=torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2),
        with_image=torch.tensor([item.image is not None for item in items]),
    )
