"""The `bench study` commands."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from configs.cli import application

if TYPE_CHECKING:
    from benchmarks.settings import BenchSettings

study = application("Ask a question that one run does not answer.")

Model = Annotated[Path, typer.Option("--model", "-m", help="Folder of a trained VIDiff.", show_default=False)]
Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        "-m",
        help="[NAME=]FOLDER of a trained VIDiff, to be scored too; may be repeated. Without a NAME it is called vidiff.",
        show_default=False,
    ),
]
Plugins = Annotated[
    list[str] | None,
    typer.Option(
        "--method",
        help="[NAME=]FILE.py:OBJECT or package.module:OBJECT, a method of your own, to be scored too; may be repeated. OBJECT is "
        "called as f(clip, instruction, reference, mask) -> clip: clips are uint8 [t h w 3], RGB; instruction is text; "
        "reference (uint8 [h w 3]) and mask (uint8 [t h w], 255 inside) may be None.",
        show_default=False,
    ),
]
Data = Annotated[
    Path | None,
    typer.Option(
        "--data", "-d", help="A dataset of datagen. [default: one built from procedural scenes]", show_default=False
    ),
]
Task = Annotated[
    list[str] | None, typer.Option("--task", "-t", help="Only this task; may be repeated.", show_default=False)
]
Out = Annotated[Path, typer.Option("--out", "-o", help="Folder for rows, tables and pages.", show_default=False)]
Limit = Annotated[int | None, typer.Option(help="At most so many samples of each task.", min=1, show_default=False)]
Workers = Annotated[
    int | None,
    typer.Option(help="Ray workers; 0 scores in this process. [default: one per core]", min=0, show_default=False),
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", help="Change one setting, as in bootstrap=5000; may be repeated.", show_default=False),
]
Source = Annotated[str, typer.Option("--from", help="Where clips come from, as 'datagen build --from' takes it.")]


def _settings(override: list[str] | None, limit: int | None, methods: str | None = None) -> BenchSettings:
    from benchmarks import commands

    names = [name.strip() for name in methods.split(",")] if methods else None
    return commands.settings("default", override or [], {"limit": limit, "methods": names})


@study.command()
def severity(
    out: Out,
    task: Task = None,
    source: Source = "scenes",
    model: Models = None,
    method: Plugins = None,
    methods: Annotated[
        str | None,
        typer.Option(
            help="Only these of the bench's own methods, with commas between; identity, and what --model and --method name, "
            "always run.",
            show_default=False,
        ),
    ] = None,
    limit: Limit = None,
    workers: Workers = None,
    override: Set = None,
) -> int:
    """How methods fare as damage grows. Haze, blur, holes or motion, on the same scenes."""
    from benchmarks.studies import commands

    settings = _settings(override, limit, methods)
    return commands.severity(task or [], source, settings, out, workers, models=model or [], plugins=method or [])


@study.command()
def instructions(
    model: Model,
    out: Out,
    data: Data = None,
    task: Task = None,
    limit: Limit = None,
    workers: Workers = None,
    override: Set = None,
) -> int:
    """Which instruction serves best. Text, picture, or both."""
    from benchmarks.studies import commands

    return commands.instructions(model, data, task or [], _settings(override, limit), out, workers)


@study.command()
def temporal(
    model: Model,
    out: Out,
    data: Data = None,
    task: Task = None,
    limit: Limit = None,
    workers: Workers = None,
    override: Set = None,
) -> int:
    """What the temporal layers do. Consistency and quality with and without them."""
    from benchmarks.studies import commands

    return commands.temporal(model, data, task or [], _settings(override, limit), out, workers)


@study.command()
def guidance(
    model: Model,
    out: Out,
    data: Data = None,
    task: Task = None,
    video: Annotated[str, typer.Option(help="Video guidance scales, with commas between.")] = "1,1.5,2",
    text: Annotated[str, typer.Option(help="Text guidance scales, with commas between.")] = "1,3,7.5",
    limit: Limit = None,
    workers: Workers = None,
    override: Set = None,
) -> int:
    """A map of the two guidance scales. Following the instruction against keeping the source."""
    from benchmarks.studies import commands

    scales = [_numbers(option, given) for option, given in (("--video", video), ("--text", text))]
    return commands.guidance(model, data, task or [], _settings(override, limit), out, workers, *scales)


@study.command()
def long(
    model: Model,
    out: Out,
    task: Task = None,
    source: Source = "scenes",
    windows: Annotated[int, typer.Option(help="Length of the clips, in windows of the model.", min=2, max=32)] = 4,
    limit: Limit = None,
    workers: Workers = None,
    override: Set = None,
) -> int:
    """Seams and drift in long videos. For each way of joining windows."""
    from benchmarks.studies import commands

    return commands.long(model, source, task or [], _settings(override, limit), out, workers, windows)


@study.command()
def unseen(
    data: Annotated[Path, typer.Option("--data", "-d", help="A dataset of two tasks or more.", show_default=False)],
    out: Out,
    task: Task = None,
    config: Annotated[str, typer.Option(help="Recipe of vidiff-train.")] = "tiny",
    minutes: Annotated[
        float, typer.Option(help="Length of the training on all tasks; the others take as many steps.", min=0.01)
    ] = 10.0,
    limit: Limit = None,
    workers: Workers = None,
    override: Set = None,
) -> int:
    """What a model does on a task it has not learnt. Leaves out one after another."""
    from benchmarks.studies import commands

    return commands.unseen(data, task or [], _settings(override, limit), out, workers, config, minutes)


@study.command()
def preference(
    folder: Annotated[Path, typer.Argument(help="Folder of a run.", show_default=False)],
    task: Task = None,
    methods: Annotated[
        str | None, typer.Option(help="Only these methods, with commas between.", show_default=False)
    ] = None,
    limit: Annotated[int | None, typer.Option(help="At most so many pairs.", min=1, show_default=False)] = None,
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.", min=0, max=65535)] = 8000,
    report: Annotated[bool, typer.Option("--report", help="Sum up the votes so far and stop.")] = False,
) -> None:
    """Ask people which answer is better. Blind, shuffled pairs on a local page; each vote is kept at once."""
    from benchmarks.studies import commands

    commands.preference(folder, task or [], methods, limit, port, report=report)


def _numbers(option: str, text: str) -> list[float]:
    try:
        found = [float(part) for part in text.split(",")]
        if not all(map(math.isfinite, found)):
            raise ValueError
        return list(dict.fromkeys(found))
    except ValueError:
        raise typer.BadParameter(f"{option} takes numbers with commas between, not {text!r}") from None
