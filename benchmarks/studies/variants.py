"""A trained VIDiff asked in several ways: with other instructions, without its temporal layers, at other guidance scales."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.methods import Context, Method
from benchmarks.methods.base import Restore
from benchmarks.methods.model import loaded, vidiff_method
from benchmarks.metrics import METRICS, Column, Outcome, psnr, ssim
from benchmarks.metrics.fidelity import EQUAL_PSNR
from benchmarks.report import make_boards
from benchmarks.report.boards import Board
from benchmarks.report.charts import Series, chart
from benchmarks.runner import Run, prediction_path
from benchmarks.scoring import Row
from benchmarks.settings import BenchSettings
from benchmarks.statistics import Estimate, leaderboard
from benchmarks.studies.report import Record, Study
from benchmarks.suite import Suite, has_reference, spread
from benchmarks.ties import LEAST_VIDEOS
from configs import ConfigError, ModelError
from shards import Dataset
from shards.codecs import decode_video
from shards.sample import Video

if TYPE_CHECKING:
    from markupsafe import Markup

    from vidiff import VIDiffPipeline

Picture = NDArray[np.uint8]


def check_pictures(model: Path) -> None:
    """Raise `ConfigError` unless the model takes image instructions."""
    if loaded(model).image_encoder is None:
        raise ConfigError(
            f"{model} takes no image instructions (it has no image encoder): there is nothing to compare; "
            "'vidiff-train --set model.image_width=64' trains a model that has one"
        )


def with_pictures(suite: Suite, limit: int | None) -> Suite:
    """Return the samples of a suite that have a reference picture, at most `limit` of each task.

    Raises:
        ConfigError: none has one.
    """
    shown = {task: [row for row in rows if has_reference(row)] for task, rows in suite.rows.items()}
    if not any(shown.values()):
        raise ConfigError(
            f"no {suite.split} sample of {suite.dataset.root} has a reference picture; "
            "'datagen build --task recolor --set tasks.recolor.reference=1' makes some"
        )
    return replace(suite, rows={task: spread(rows, limit) for task, rows in shown.items() if rows})


def instruction_variants(model: Path) -> list[Method]:
    """Return the model asked by text alone, by the reference picture alone, and by both."""
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
        words=(
            "Text: the instruction without the picture; image: the picture with an empty instruction; on the samples that have a "
            "picture.",
            of_model(boards),
            *_WORDS,
        ),
    )


def temporal_study(boards: Sequence[Board]) -> Study:
    """Sum up a run of `temporal_variants`."""
    return Study(
        name="temporal",
        question="What do the temporal layers do for consistency, and what do they cost in quality?",
        records=_records(boards),
        words=(
            "Without: the same weights with every temporal layer passing on what it gets. They were trained together, so this is "
            "what these layers do here, and not what a model trained without them would. Warping error and flicker reward "
            "doing nothing: read them beside identity's.",
            of_model(boards),
            *_WORDS,
        ),
    )


FOLLOWS = replace(METRICS["change"], label="change made")
"""How far an answer follows its instruction: towards the target."""
KEEPS = (
    replace(
        METRICS["psnr"],
        name="psnr_to_source",
        label="PSNR to the source",
        function=lambda seen: psnr(seen.prediction, seen.sample.source),
    ),
    replace(
        METRICS["ssim"],
        name="ssim_to_source",
        label="SSIM to the source",
        function=lambda seen: ssim(seen.prediction, seen.sample.source),
    ),
)
"""How much of the source an answer keeps: the metrics of the boards, to the source in the place of the target."""


def guidance_study(run: Run, out: Path, dataset: Dataset, settings: BenchSettings) -> Study:
    """Sum up a run of `guidance_variants`, from the answers that were kept: how far the instruction is followed against how
    much of the source is kept."""
    records, charts = [], []
    rows = [_beside_source(row, out, dataset) for row in run.rows]
    boards = make_boards(run, settings)
    for board in boards:
        columns = list({one.name: one for one in (FOLLOWS, *KEEPS, board.first)}.values())
        own = [row for row in rows if row["task"] == board.task and " T" in row["method"]]
        ranking = leaderboard(
            own, columns, draws=settings.bootstrap, permutations=settings.permutations, seed=settings.seed
        )
        lines = sorted((*_scales(entry.method), entry.scores) for entry in ranking.entries)
        records += [
            {
                "task": board.name,
                "video scale": video,
                "text scale": text,
                **{_headed(column): scores.get(column.name) for column in columns},
            }
            for video, text, scores in lines
        ]
        charts.append((f"{board.name}: following against keeping", _map(lines)))
    return Study(
        name="guidance",
        question="How do the two guidance scales trade following the instruction against keeping the source?",
        records=[{**dict.fromkeys(_all_columns(records)), **record} for record in records],
        words=(
            "A line of the map is of one text scale; along it the video scale grows, up to the end that its name points to. "
            "Change made: 1 for the target, 0 for the source, below 0 for what is farther from the target than the source. "
            "Kept: PSNR and SSIM of the answer to the source clip, per frame on 8-bit RGB; the source itself has "
            f"{EQUAL_PSNR:g} dB and 1. A failure counts as the worst value.",
            of_model(boards),
            *_WORDS,
        ),
        charts=charts,
    )


def of_model(boards: Sequence[Board]) -> str:
    """Say how large the model is that a study is about."""
    count = max((line.parameters or 0 for board in boards for line in board.lines), default=0)
    return f"All this is of one model, of {count:,} parameters: a larger one, or one that trained longer, may do otherwise."


def _map(lines: Sequence[tuple[float, float, Mapping[str, Estimate]]]) -> Markup:
    """Draw a line for each text scale, on which the video scale grows."""
    follows, keeps = FOLLOWS, KEEPS[0]
    grid: dict[float, list[tuple[float, float]]] = {}
    for _, text, scores in lines:
        if follows.name in scores and keeps.name in scores:
            grid.setdefault(text, []).append((scores[keeps.name].mean, scores[follows.name].mean))
    series = [Series(name=f"T {text:g}", points=points) for text, points in sorted(grid.items())]
    return chart(series, across=_headed(keeps), up=follows.label)


def _beside_source(row: Row, out: Path, dataset: Dataset) -> Row:
    """Return a row of a variant with its scores against the source."""
    if row["status"] != "ok" or " T" not in row["method"]:
        return row
    seen = Outcome(dataset[row["key"]], decode_video(prediction_path(out, row).read_bytes()))
    own = {metric.name: metric.score(seen) for metric in KEEPS if metric.fits(seen.prediction.shape)}
    return {**row, "scores": {**row["scores"], **own}}


def _scales(name: str) -> tuple[float, float]:
    video, text = name.lstrip("V").split(" T")
    return float(video), float(text)


def _headed(metric: Column) -> str:
    return f"{metric.label} ({metric.unit})" if metric.unit else metric.label


_WORDS = (
    f"Means over videos; brackets: 95 % intervals from drawing whole videos again, none below {LEAST_VIDEOS} videos. The "
    "leaderboard beside this page has ties and conventions in words.",
)


def _all_columns(records: Sequence[Record]) -> list[str]:
    return list(dict.fromkeys(name for record in records for name in record))


def _records(boards: Sequence[Board]) -> list[Record]:
    records = [
        {
            "task": board.name,
            "method": line.entry.method,
            "rank": line.rank,
            **{
                _headed(metric): line.entry.scores.get(metric.name)
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
