"""What the subcommands of `datagen` do, and what they print."""

from __future__ import annotations

import json
import os
import shlex
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from configs import counted, load
from configs.bars import Bars
from configs.cli import going_on
from configs.loader import check, read_mapping
from datagen.build_bar import BuildBar
from datagen.builder import build, take_out
from datagen.destination import find_destination
from datagen.diff import compare
from datagen.naming import SHOWN
from datagen.settings import Recipe
from datagen.sources import any_masks, find_source, source_summaries
from datagen.tasks import builder, builder_names
from datagen.telling import (
    told_contents,
    told_differences,
    told_forgotten,
    told_left,
    told_rates,
    told_rejected,
    told_rejects,
    told_splits,
)
from shards import Dataset, get_task, load_manifest, verify

out_console = Console(highlight=False, soft_wrap=True, markup=False)
err_console = Console(stderr=True, highlight=False, markup=False)


def recipe(name: str, tasks: list[str], overrides: list[str], instructions: Path | None = None) -> Recipe:
    """Load a recipe, narrow it to the tasks asked for, and add the instructions of a file."""
    for task in tasks:
        builder(task)
    settings = load(Recipe, name, overrides)
    if instructions is not None:
        values = settings.model_dump() | {"instructions": read_mapping(instructions)}
        settings = check(Recipe, values, where=str(instructions))
    if not tasks:
        return settings
    return settings.model_copy(update={"tasks": {task: settings.tasks.get(task, {}) for task in sorted(tasks)}})


def possible_tasks(sources: list[str]) -> list[str]:
    """Return every task that the sources can give, and say which they cannot."""
    masks = any_masks(find_source(spec, "") for spec in sources)
    left_out = [name for name in builder_names() if builder(name).needs_masks and not masks]
    if left_out:
        err_console.print(f"leaving out {', '.join(left_out)}: no source has object masks (--from scenes does)")
    return [name for name in builder_names() if name not in left_out]


def build_dataset(
    settings: Recipe,
    out: str,
    sources: list[str],
    licence: str,
    workers: int | None,
    address: str | None,
    overwrite: bool,
    retry_failed: bool,
    staging: Path | None,
) -> None:
    """Build with a progress bar, then say what came of it."""
    started = time.monotonic()
    count = worker_count(workers, address)
    place = find_destination(out, workers=count, staging=staging)
    with going_on(_GOING_ON), BuildBar(err_console) as bar:
        manifest = build(
            settings,
            out,
            staging=staging,
            sources=sources,
            licence=licence,
            workers=count,
            address=address,
            overwrite=overwrite,
            retry_failed=retry_failed,
            progress=bar,
        )
    made = "nothing to do, " if bar.made + bar.clips == 0 else ""
    out_console.print(f"{made}{told_contents(manifest)} ({time.monotonic() - started:.1f} s)")
    dataset = Dataset(place.folder)
    for line in told_rejects(dataset):
        out_console.print(line)
    if settings.clip.fps is not None:
        for line in told_rates(dataset, settings.clip.fps):
            out_console.print(line)
    for line in told_splits(manifest, settings.splits, place.folder):
        out_console.print(line)
    look = f"   look at it: datagen view {out}" if place.name == str(place.folder) else ""
    out_console.print(f"dataset: {place.name}{look}")


_GOING_ON = "the shards that are finished are kept; run the same command again to go on"
_WORKER_BYTES = 500 * 10**6
"""About what one worker takes with clips of 256 pixels (docs/performance.md)."""


def worker_count(workers: int | None, address: str | None = None) -> int:
    """Return how many workers to take, one for each core where none is asked for; warn of more than there is room for."""
    cores = os.cpu_count() or 1
    count = cores if workers is None else workers
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // _WORKER_BYTES
    room = max(min(cores, memory), 1)
    # another machine's cores are not known here
    if count > room and not (address or os.environ.get("RAY_ADDRESS")):
        err_console.print(
            f"warning: {count} workers, where this machine has {counted(cores, 'core')} and memory for {memory} (of "
            f"{_WORKER_BYTES / 10**6:.0f} MB each); --workers {room} is no slower",
            soft_wrap=True,
        )
    return count


def verify_dataset(folder: Path, decode: bool) -> int:
    """Print every problem and what to do; return 1 if there is one.

    Raises:
        DatasetError: it is no finished dataset at all.
    """
    manifest = load_manifest(folder)
    with Bars(console=err_console, transient=True, disable=not err_console.is_terminal) as bars:
        bar = bars.add_task("verifying shards", total=len(manifest.shards))
        problems = verify(folder, decode=decode, on_shard=lambda shard: bars.advance(bar))
    for problem in problems:
        out_console.print(problem)
    if problems:
        remedy = (
            "remove the folder and run the same 'datagen merge' again"
            if manifest.parts
            else "delete the files that are named and run the same 'datagen build' again: it makes them anew"
        )
        told = f"{folder}: {counted(len(problems), 'problem')}; {remedy}"
        err_console.print(told, soft_wrap=True, markup=False, highlight=False)
        return 1
    samples, shards = counted(manifest.samples, "sample"), counted(len(manifest.shards), "shard")
    out_console.print(f"{folder}: sound, {samples} in {shards}")
    return 0


def take_out_sources(
    folder: str, names: list[str], reason: str | None, workers: int | None, staging: Path | None
) -> None:
    """Take source videos out of a dataset and say what is left."""
    count = worker_count(workers)
    with going_on(_GOING_ON), BuildBar(err_console) as bar:
        manifest = take_out(folder, names, reason=reason, workers=count, staging=staging, progress=bar)
    for line in told_forgotten(bar.taken_out) if reason is None else told_rejected(bar.taken_out):
        out_console.print(line)
    made = bar.made + bar.clips
    again = f"{counted(made, 'clip')} made again" if made else "nothing to build"
    out_console.print(
        f"{folder}: {counted(manifest.samples, 'sample')} of {counted(manifest.sources, 'source')} left; {again}"
    )
    for line in told_left(manifest, find_destination(folder, workers=count, staging=staging).folder):
        out_console.print(line)
    for page in bar.pages:
        command = f"datagen {page.removesuffix('.html')} {shlex.quote(folder)}"
        out_console.print(f"{page} was out of date and was removed; '{command}' makes it again")


def show_info(folder: Path) -> None:
    """Print tables of samples, rejects and the recipe."""
    dataset = Dataset(folder)
    table = Table("task", "split", "samples", "sources", "frames", "MB", "PSNR source", "PSNR target")
    shards = dataset.manifest.shards
    for task, split in sorted({(shard.task, shard.split) for shard in shards}):
        rows = dataset.index(task, split).to_pandas()
        megabytes = sum(s.bytes for s in shards if (s.task, s.split) == (task, split)) / 2**20
        quality = [f"{rows[name].mean():.1f} dB" for name in ("psnr_source", "psnr_target")]
        counts = [len(rows), rows["clean_sha256"].nunique(), rows["frames"].sum(), f"{megabytes:.1f}"]
        table.add_row(task, split, *map(str, counts), *quality)
    out_console.print(table)
    manifest = dataset.manifest
    for part in manifest.parts:
        samples = counted(part["samples"], "sample")
        out_console.print(f"merged from {part['name']}: {samples}, content {part['content_sha256'][:16]}")
    sources = len(dataset.index()["clean_sha256"].unique())
    in_shards = counted(len(manifest.shards), "shard")
    out_console.print(f"{counted(len(dataset), 'sample')} of {counted(sources, 'source')} in {in_shards}")
    for line in told_rejects(dataset):
        out_console.print(line)
    out_console.print(f"content {manifest.sha256}")
    out_console.print(f"made by datagen {manifest.code_version}")
    out_console.print(f"first key: {dataset.keys()[0]}")
    out_console.print("PSNR: what the codec left of the clips, against what was encoded (RGB, pooled)")


def view_dataset(folder: Path, out: Path | None, task: str | None, split: str | None, limit: int) -> None:
    """Write the contact sheet and say where it is."""
    from datagen.view import write_contact_sheet

    page = write_contact_sheet(folder, out, task=task, split=split, limit=limit, on_chosen=out_console.print)
    out_console.print(f"open {page} in a browser")


def show_stats(folder: Path, out: Path | None) -> None:
    """Print a summary of what the dataset holds and write the page."""
    from datagen.stats import collect, summary
    from datagen.stats_page import write_stats

    stats = collect(folder)
    page = write_stats(stats, out or folder / "stats.html")
    for line in summary(stats):
        out_console.print(line)
    out_console.print(f"open {page} in a browser")


def show_gates(folder: Path, out: Path | None) -> None:
    """Print a line for each gate and write the page."""
    from datagen.gates_page import collect, summary, write_gates

    found = collect(folder)
    page = write_gates(found, out or folder / "gates.html")
    for line in summary(found):
        out_console.print(line)
    out_console.print(f"open {page} in a browser")


def replay_sample(folder: Path, key: str, sources: list[str]) -> int:
    """Print how the sample made again compares with the stored one; return 0 where it is as stored and 1 where not."""
    from datagen.replay import replay

    result = replay(folder, key, sources)
    out_console.print(f"{key}: {result.summary()}")
    return 0 if result.faithful else 1


def diff_datasets(a: Path, b: Path, every: bool, as_json: bool) -> int:
    """Print how B differs from A; return 0 where they are equal and 1 where not."""
    found = compare(a, b)
    if as_json:
        out_console.print(json.dumps(found.to_plain(), indent=1, ensure_ascii=False))
    else:
        for line in told_differences(found, None if every else SHOWN):
            out_console.print(line)
    return 0 if found.equal else 1


def merge_datasets(folders: list[Path], out: Path, weights: list[float], seed: int) -> None:
    """Merge with a progress bar, then say what each dataset gave to the train split."""
    from datagen.merge import merge, told_doubles, told_shares

    lines: list[str] = []
    # where nobody watches, a bar would only leave an empty line
    with Bars(console=err_console, transient=True, disable=not err_console.is_terminal) as bars:
        bar = bars.add_task("checking", total=None)
        manifest = merge(
            folders,
            out,
            weights=weights,
            seed=seed,
            step=lambda what, done, total: bars.update(bar, description=what, completed=done, total=total),
            tell=lines.append,
        )
    out_console.print(told_contents(manifest))
    train = sum(part["train_samples"] for part in manifest.recipe["merged"])
    for part, folder in zip(manifest.recipe["merged"], folders, strict=True):
        share = f" ({100 * part['train_samples'] / train:.1f} % of train)" if train else ""
        samples = f"{counted(part['samples'], 'sample')}, {part['train_samples']} train{share}"
        out_console.print(f"  {part['name']}: {samples}{told_doubles(part, folder)}")
    for line in filter(None, (*lines, told_shares(manifest))):
        out_console.print(line)
    out_console.print(f"dataset: {out}   look at it: datagen view {out}")


def list_tasks() -> None:
    """Print the tasks with their options."""
    table = Table("task", "what the pair is", "options (default)")
    for name in builder_names():
        options = builder(name).options({}).model_dump(mode="json")
        # as YAML would have it
        lines = [f"{key}: {json.dumps(value)}".replace('"', "") for key, value in options.items()]
        table.add_row(name, get_task(name).summary, "\n".join(lines))
    out_console.print(table)
    out_console.print("options are given as in --set 'tasks={recolor: {min_colourfulness: 8}}'")


def list_sources() -> None:
    """Print what `--from` can name."""
    table = Table.grid(padding=(0, 2))
    for name, text in source_summaries().items():
        table.add_row(Text(name, no_wrap=True), text)
    out_console.print(table)
