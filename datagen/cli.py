"""The `datagen` command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from configs.cli import application, run

app = application("Turn clean video, or procedural scenes, into paired data for instruction-driven video models.")

Folder = Annotated[Path, typer.Argument(help="A dataset folder.", show_default=False)]


def main() -> NoReturn:
    """Run the `datagen` command."""
    run(app)


Staging = Annotated[
    Path | None,
    typer.Option(
        help="Where the shards for a URL are made and its notes are kept. [default: in the user's cache]",
        show_default=False,
    ),
]


_EXTRA = {"allow_extra_args": True}


def _check_extra(arguments: list[str]) -> None:
    """Refuse what belongs to no option: most likely the shell has made several files of a pattern."""
    if arguments:
        more = f" and {len(arguments) - 1} more" if len(arguments) > 1 else ""
        raise typer.BadParameter(
            f"left over: {arguments[0]}{more}; repeat --from for every source, or quote a pattern, as in "
            "--from 'DIR/*.mp4', so that the shell leaves it alone"
        )


@app.command(context_settings=_EXTRA)
def build(
    context: typer.Context,
    out: Annotated[
        str | None,
        typer.Option(
            "--out", "-o", help="Folder to write the dataset to, or a URL such as s3://bucket/name.", show_default=False
        ),
    ] = None,
    source: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            help="'scenes', a video, a folder, a pattern, a table, a .tar, or LAYOUT:PATH (see 'datagen sources'); may be "
            "repeated. [default: scenes]",
            show_default=False,
        ),
    ] = None,
    task: Annotated[
        list[str] | None,
        typer.Option(
            "--task", "-t", help="Task to build; may be repeated. [default: all of the recipe]", show_default=False
        ),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Build every task that the sources can give, each with its defaults.")
    ] = False,
    recipe: Annotated[
        str, typer.Option("--recipe", "-r", help="Name of a recipe, or path of a .yaml file.")
    ] = "default",
    override: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change one setting, as in clip.size=128; may be repeated.", show_default=False),
    ] = None,
    instructions: Annotated[
        Path | None,
        typer.Option(
            help="A YAML file with instruction templates of your own, lists by task, beside the built-in ones.",
            show_default=False,
        ),
    ] = None,
    fps: Annotated[
        float | None, typer.Option(help="Frames per second of the clips; short for clip.fps.", show_default=False)
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            help="Pixels of the clips, 256 or 432x240, or 'native' for those of each video; short for clip.size.",
            show_default=False,
        ),
    ] = None,
    crop: Annotated[
        str | None, typer.Option(help="'middle', 'random' or 'stretch'; short for clip.crop.", show_default=False)
    ] = None,
    depth: Annotated[
        str | None,
        typer.Option(
            help="'prior', or model:NAME, a depth model with its weights, where a clip has no depth of its own.",
            show_default=False,
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(help="Ray workers; 0 builds in this process. [default: one per core]", min=0, show_default=False),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(
            help="A running Ray cluster to build on, as in 'auto' or ray://host:10001. [default: RAY_ADDRESS]",
            show_default=False,
        ),
    ] = None,
    staging: Staging = None,
    licence: Annotated[str, typer.Option(help="Licence of the videos, kept with every sample.")] = "unknown",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a dataset that another recipe made.")] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try again the files and clips that could not be read or made.")
    ] = False,
    print_config: Annotated[
        bool, typer.Option("--print-config", help="Print the settings in full, each with its meaning, and stop.")
    ] = False,
) -> None:
    """Build a dataset, or finish one that was interrupted."""
    _check_extra(context.args)
    from datagen import commands

    if every and task:
        raise typer.BadParameter("give --all or --task, not both")
    wanted = commands.possible_tasks(source or ["scenes"]) if every else task or []
    short = {"fps": fps, "size": size, "crop": crop}
    overrides = [f"clip.{name}={value}" for name, value in short.items() if value is not None]
    overrides += ([f"depth={json.dumps(depth)}"] if depth else []) + (override or [])
    settings = commands.recipe(recipe, wanted, overrides, instructions)
    if print_config:
        typer.echo(settings.to_yaml(explained=True), nl=False)
        return
    if out is None:
        raise typer.BadParameter("give --out FOLDER, the folder to write the dataset to")
    commands.build_dataset(
        settings, out, source or ["scenes"], licence, workers, address, overwrite, retry_failed, staging
    )


Names = Annotated[
    list[str],
    typer.Option(
        "--source",
        "-s",
        help="Id, path, file name or sha256 (of it, or of its file) of a source video; may be repeated.",
        show_default=False,
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(help="Ray workers; 0 works in this process. [default: one per core]", min=0, show_default=False),
]


Place = Annotated[str, typer.Argument(help="A dataset folder, or the URL of one.", show_default=False)]


@app.command()
def reject(
    folder: Place,
    source: Names,
    reason: Annotated[str, typer.Option(help="Why, for rejects.jsonl.")] = "by hand",
    workers: Workers = None,
    staging: Staging = None,
) -> None:
    """Take source videos out for good. The shards they were in are made again, and later builds leave them out."""
    from datagen import commands

    commands.take_out_sources(folder, source, reason, workers, staging)


@app.command()
def forget(folder: Place, source: Names, workers: Workers = None, staging: Staging = None) -> None:
    """Take source videos out with all that is known of them. Rejects go, too; a later build may take them in again."""
    from datagen import commands

    commands.take_out_sources(folder, source, None, workers, staging)


@app.command()
def verify(
    folder: Folder,
    decode: Annotated[bool, typer.Option("--decode", help="Also decode every sample.")] = False,
) -> int:
    """Check every shard against the manifest. Ends with exit code 1 if one is cut, changed or missing, 2 if it is no dataset."""
    from datagen import commands

    return commands.verify_dataset(folder, decode)


@app.command()
def info(folder: Folder) -> None:
    """Show what a dataset holds. Samples, sizes, sources, and what was left out."""
    from datagen import commands

    commands.show_info(folder)


@app.command()
def view(
    folder: Folder,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The page to write. [default: FOLDER/view.html]", show_default=False),
    ] = None,
    task: Annotated[str | None, typer.Option("--task", "-t", help="Only this task.", show_default=False)] = None,
    split: Annotated[str | None, typer.Option(help="Only this split.", show_default=False)] = None,
    limit: Annotated[int, typer.Option(help="At most so many pairs.", min=1)] = 24,
) -> None:
    """Write one HTML page that plays sources and targets side by side."""
    from datagen import commands

    commands.view_dataset(folder, out, task, split, limit)


@app.command()
def stats(
    folder: Folder,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The page to write. [default: FOLDER/stats.html]", show_default=False),
    ] = None,
) -> None:
    """Write one HTML page of counts and histograms. Sizes, parameters, codec losses, instructions."""
    from datagen import commands

    commands.show_stats(folder, out)


@app.command()
def gates(
    folder: Folder,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The page to write. [default: FOLDER/gates.html]", show_default=False),
    ] = None,
) -> None:
    """Write one HTML page of what the gates saw. Scores, thresholds, what was left out; prints a line for each gate."""
    from datagen import commands

    commands.show_gates(folder, out)


@app.command(context_settings=_EXTRA)
def replay(
    context: typer.Context,
    folder: Folder,
    key: Annotated[str, typer.Argument(help="Key of a sample, as 'datagen info' and the parquet index list them.")],
    source: Annotated[
        list[str] | None,
        typer.Option("--from", help="Where the source videos lie now, if they were moved.", show_default=False),
    ] = None,
) -> int:
    """Make one sample again and compare.

    Its clips come from the source video, and one of them from the other and the parameters; exit code 1 if they differ.
    """
    _check_extra(context.args)
    from datagen import commands

    return commands.replay_sample(folder, key, source or [])


@app.command()
def diff(
    a: Annotated[Path, typer.Argument(metavar="A", help="A dataset folder.", show_default=False)],
    b: Annotated[Path, typer.Argument(metavar="B", help="The one to compare it with.", show_default=False)],
    every: Annotated[bool, typer.Option("--all", help="List every key of each group, not the first five.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print all of it as JSON, for programs.")] = False,
) -> int:
    """Compare two datasets sample by sample. Says through what they differ; exit code 1 if they do."""
    from datagen import commands

    return commands.diff_datasets(a, b, every, as_json)


@app.command()
def merge(
    folders: Annotated[list[Path], typer.Argument(help="Dataset folders, two or more.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", "-o", help="An empty or new folder.", show_default=False)],
    weight: Annotated[
        list[float] | None,
        typer.Option(
            "--weight",
            help="Share of the train split, one for each folder in their order. [default: all samples]",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the choice of samples that --weight makes.")] = 0,
) -> None:
    """Make one dataset of several, byte for byte. A source video in two splits is refused; what one rejected stays out."""
    from datagen import commands

    commands.merge_datasets(folders, out, weight or [], seed)


@app.command()
def tasks() -> None:
    """List the tasks and their options."""
    from datagen import commands

    commands.list_tasks()


@app.command()
def sources() -> None:
    """List what --from can name."""
    from datagen import commands

    commands.list_sources()
