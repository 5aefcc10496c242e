"""The `bench` command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, NoReturn

import typer

from benchmarks.studies.cli import Models, Plugins, study
from configs.cli import application, run

app = application("Score every method on every task of a dataset, and print leaderboards.")
app.add_typer(study, name="study")


def main() -> NoReturn:
    """Run the `bench` command."""
    run(app)


def _option(text: str, *names: str) -> object:
    return typer.Option(*names, help=text, show_default=False)


Moved = Annotated[Path | None, _option("Where the dataset lies now. [default: where it was]", "--data", "-d")]


@app.command("run")
def run_methods(
    everything: Annotated[
        bool, typer.Option("--all", help="Every task of the dataset (also what is done without --task).")
    ] = False,
    task: Annotated[list[str] | None, _option("Only this task; may be repeated.", "--task", "-t")] = None,
    data: Annotated[
        Path | None, _option("A dataset of datagen. [default: one built from procedural scenes]", "--data", "-d")
    ] = None,
    model: Models = None,
    method: Plugins = None,
    predictions: Annotated[
        list[str] | None,
        _option(
            "[NAME=]FOLDER of clips that were made elsewhere; may be repeated. They lie there as TASK/KEY.mkv (or .mp4, .avi, "
            ".mov, .webm) or TASK/KEY/*.png, KEY the sample's key, of the source's size and number of frames.",
            "--predictions",
            "-p",
        ),
    ] = None,
    methods: Annotated[
        str | None,
        _option(
            "Only these of the bench's own methods, with commas between; identity, and what --model, --method and --predictions "
            "name, always run."
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(help="At most so many samples of each task.", min=1, show_default=False)
    ] = None,
    suite: Annotated[
        str | None,
        _option(
            "A standard suite by its papers' protocol, from the data set's own folder; or 'scenes' (see 'bench suites')."
        ),
    ] = None,
    split: Annotated[str | None, _option("Split to score. [default: test]")] = None,
    workers: Annotated[
        int | None,
        typer.Option(help="Ray workers; 0 scores in this process. [default: one per core]", min=0, show_default=False),
    ] = None,
    address: Annotated[str | None, _option("Address of a running Ray cluster to join.")] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for rows, tables and the page.")] = Path(
        "reports/bench"
    ),
    recipe: Annotated[
        str, typer.Option("--recipe", "-r", help="Name of a recipe, or path of a .yaml file.")
    ] = "default",
    override: Annotated[
        list[str] | None, _option("Change one setting, as in bootstrap=5000; may be repeated.", "--set")
    ] = None,
    print_config: Annotated[bool, typer.Option("--print-config", help="Print the settings in full and stop.")] = False,
) -> int:
    """Run methods on a dataset's test split. Rows of an earlier run in the same folder serve again."""
    from benchmarks import commands

    if everything and task:
        raise typer.BadParameter("--all and --task exclude each other")
    given = {
        "split": split,
        "limit": limit,
        "methods": [name.strip() for name in methods.split(",")] if methods else None,
    }
    settings = commands.settings(recipe, override or [], given)
    if print_config:
        typer.echo(settings.to_yaml(explained=True), nl=False)
        return 0
    return commands.run_bench(
        settings,
        data,
        task or [],
        out,
        models=model or [],
        plugins=method or [],
        folders=predictions or [],
        workers=workers,
        address=address,
        standard=suite,
    )


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="Folder that 'bench run' wrote.", show_default=False)],
    data: Moved = None,
) -> None:
    """Make tables and page again from the rows."""
    from benchmarks import commands

    commands.report(folder, data)


@app.command()
def verify(
    place: Annotated[Path, typer.Argument(help="Folder of a run, or a file in it.", show_default=False)],
    rows: Annotated[int, typer.Option(help="Rows of each task and method to score again.", min=1)] = 3,
    method: Annotated[str | None, _option("Only this method, all its rows.")] = None,
    key: Annotated[str | None, _option("Only this sample, all its rows.")] = None,
    data: Moved = None,
) -> int:
    """Check that a run was not changed.

    Tables must follow from rows, and rows from kept answers: exit code 1 if not, 2 if it is no finished run.
    """
    from benchmarks import commands

    return commands.verify(place, rows, method, key, data)


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(help="Folder of a run.", show_default=False)],
    second: Annotated[Path, typer.Argument(help="Folder of another run on the same dataset.", show_default=False)],
    methods: Annotated[
        str | None, _option("Two methods with a comma between, one of each run. [default: those of the same name]")
    ] = None,
) -> None:
    """Show what changed from one run to another. Differences have intervals and tests over videos."""
    from benchmarks import commands

    commands.compare(first, second, methods)


@app.command()
def serve(
    folder: Annotated[Path, typer.Argument(help="Folder of a run.", show_default=False)],
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.", min=0, max=65535)] = 8000,
) -> None:
    """Show the page on 127.0.0.1 until Ctrl-C."""
    from benchmarks import commands

    commands.serve(folder, port)


@app.command()
def methods() -> None:
    """List the methods."""
    from benchmarks import listings

    listings.list_methods()


@app.command()
def suites() -> None:
    """List the standard suites with their protocols."""
    from benchmarks import listings

    listings.list_suites()


@app.command()
def metrics() -> None:
    """List the metrics with their conventions."""
    from benchmarks import listings

    listings.list_metrics()


@app.command()
def networks(
    recipe: Annotated[
        str, typer.Option("--recipe", "-r", help="Name of a recipe, or path of a .yaml file.")
    ] = "default",
    override: Annotated[
        list[str] | None, _option("Change one setting, as in weights.clip=FOLDER; may be repeated.", "--set")
    ] = None,
) -> None:
    """List the pretrained networks and which of them are here. Metrics and methods use them."""
    from benchmarks import listings
    from benchmarks.settings import BenchSettings
    from configs import load

    listings.list_networks(load(BenchSettings, recipe, override or []))
