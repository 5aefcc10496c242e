"""A trained VIDiff asked in several ways: with other instructions, without its temporal layers, at other guidance scales."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.methods import Context, Method
from benchmarks.methods.base import Restore
from benchmarks.methods.model import loaded, vidiff_method
from benchmarks.metrics import METRICS
from benchmarks.report.boards import Board
from benchmarks.report.charts import Series, chart
from benchmarks.studies.report import Record, Study
from configs import ConfigError, ModelError
from shards import Dataset
from shards.sample import Video

if TYPE_CHECKING:
    from vidiff import VIDiffPipeline

Picture = NDArray[np.uint8]


def check_pictures(model: Path) -> None:
    """Raise `ConfigError` unless the model takes image instructions."""
    if loaded(model).image_encoder is None:
        raise ConfigError(f"{model} takes no image instructions (it has no image encoder): there is nothing to compare")


def instruction_variants(model: Path, dataset: Dataset, tasks: Sequence[str]) -> list[Method]:
    """Return the model asked by text alone, by the reference picture alone, and by both.

    Raises:
        ConfigError: no sample has a picture.
    """
    keys = [key for task in tasks for key in dataset.keys(task, "test")]
    if all(dataset[key].reference is None for key in keys):
        raise ConfigError(
            f"no test sample of {dataset.root} has a reference picture; "
            "'datagen build --task recolor --set tasks.recolor.reference=1' makes some"
        )
    ways = {"text": (True, False), "image": (False, True), "text+image": (True, True)}
    return [
        _variant(model, name, "instruction by " + name, _make_instructed, text=text, image=image)
        for name, (text, image) in ways.items()
    ]


def temporal_variants(model: Path) -> list[Method]:
    """Return the model as it is, and with its temporal layers passing everything on as it came."""
    return [
        _variant(model, "temporal", "with its temporal layers", _make_temporal, on=True),
        _variant(model, "frame by frame", "without its temporal layers", _make_temporal, on=False),
    ]


def guidance_variants(model: Path, video: Sequence[float], text: Sequence[float]) -> list[Method]:
    """Return the model at every pair of guidance scales."""
    return [
        _variant(model, f"V{v:g} T{t:g}", f"video scale {v:g}, text scale {t:g}", _make_guided, video=v, text=t)
        for v, t in itertools.product(video, text)
    ]


def instructions_study(boards: Sequence[Board]) -> Study:
    """Sum up a run of `instruction_variants`."""
    return Study(
        name="instructions",
        question="Does the model do better when it is told by text, by a picture, or by both?",
        records=_records(boards),
        words=_WORDS,
    )


def temporal_study(boards: Sequence[Board]) -> Study:
    """Sum up a run of `temporal_variants`."""
    return Study(
        name="temporal",
        question="What do the temporal layers do for consistency, and what do they cost in quality?",
        records=_records(boards),
        words=_WORDS,
    )


def guidance_study(boards: Sequence[Board]) -> Study:
    """Sum up a run of `guidance_variants`: how far the instruction is followed against how much of the source is kept."""
    records, charts = [], []
    for board in boards:
        grid: dict[str, list[tuple[float, float]]] = {}
        fidelity = next(
            (
                METRICS[name]
                for name in ("psnr_outside", "ssim")
                if _score(board.lines[0].entry.scores, name) is not None
            ),
            board.metrics[0],
        )
        for line in board.lines:
            if " T" not in line.entry.method:
                continue
            video, text = (float(part) for part in line.entry.method.lstrip("V").split(" T"))
            scores = line.entry.scores
            follows, keeps = _score(scores, "change"), _score(scores, fidelity.name)
            records.append(
                {
                    "task": board.name,
                    "video scale": video,
                    "text scale": text,
                    "change made": follows,
                    fidelity.label: keeps,
                    board.metrics[0].label: _score(scores, board.metrics[0].name),
                }
            )
            if follows is not None and keeps is not None:
                grid.setdefault(f"T {text:g}", []).append((keeps, follows))
        series = [Series(name=name, points=sorted(points)) for name, points in sorted(grid.items())]
        charts.append(
            (
                f"{board.name}: change made against {fidelity.label}",
                chart(series, across=fidelity.label, up="change made"),
            )
        )
    records = [{**dict.fromkeys(_all_columns(records)), **record} for record in records]
    return Study(
        name="guidance",
        question="How do the two guidance scales trade following the instruction against keeping the source?",
        records=sorted(records, key=lambda record: (record["task"], record["video scale"], record["text scale"])),
        words=(
            "Change made: 1 for the target, 0 for the source, below 0 for what is farther from the target than the source.",
            *_WORDS,
        ),
        charts=charts,
    )


_WORDS = ("Means over videos; the leaderboard beside this page has intervals and ties, and conventions in words.",)


def _all_columns(records: Sequence[Record]) -> list[str]:
    return list(dict.fromkeys(name for record in records for name in record))


def _records(boards: Sequence[Board]) -> list[Record]:
    records = [
        {
            "task": board.name,
            "method": line.entry.method,
            "rank": line.rank,
            **{
                metric.label: _score(line.entry.scores, metric.name)
                for metric in [
                    *board.metrics,
                    *(METRICS[name] for name in ("warping_error", "flicker", "temporal_psnr")),
                ]
            },
        }
        for board in boards
        for line in board.lines
    ]
    return [{**dict.fromkeys(_all_columns(records)), **record} for record in records]


def _score(scores: Any, name: str) -> float | None:
    return scores[name].mean if name in scores else None


def _variant(model: Path, name: str, summary: str, make: Any, **options: Any) -> Method:
    method = vidiff_method(model, name)
    weights = f"{method.weights} {options}"
    return replace(method, summary=summary, make=partial(make, model, options), weights=weights)


def _make_instructed(model: Path, options: dict[str, bool], context: Context) -> Restore:
    return _restore(loaded(model), context, text=options["text"], image=options["image"])


def _make_guided(model: Path, options: dict[str, float], context: Context) -> Restore:
    video, text = options["video"], options["text"]
    return _restore(loaded(model), context, video_guidance_scale=video, text_guidance_scale=text)


def _make_temporal(model: Path, options: dict[str, bool], context: Context) -> Restore:
    return _restore(loaded(model) if options["on"] else _without_time(model), context)


@lru_cache(maxsize=1)
def _without_time(model: Path) -> VIDiffPipeline:
    """Load the model anew and let its temporal layers pass on what they get."""
    from vidiff import load_pipeline
    from vidiff.devices import choose_device
    from vidiff.unet import MotionModule

    pipe: VIDiffPipeline = load_pipeline(model).to(choose_device())
    modules = [module for module in pipe.unet.modules() if isinstance(module, MotionModule)]
    if not modules:
        raise ModelError(f"{model} has no temporal layers")
    for module in modules:
        setattr(module, "forward", _pass_on)  # noqa: B010  a method of this one instance
    return pipe


def _pass_on(hidden_states: Any, *args: Any, **options: Any) -> Any:
    return hidden_states


def _restore(
    pipe: VIDiffPipeline, context: Context, *, text: bool = True, image: bool = True, **sampling: Any
) -> Restore:
    import torch

    from vidiff import translate_clip

    def restore(clip: Video, instruction: str, reference: Picture | None, mask: Picture | None) -> Video:
        shown = {"image": reference} if image and reference is not None and pipe.image_encoder is not None else {}
        generator = torch.Generator().manual_seed(context.seed)
        words = instruction if text else ""
        return translate_clip(pipe, clip, words, task=context.task, generator=generator, **shown, **sampling)

    return restore
