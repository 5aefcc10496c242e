"""What `bench study` does, and what it prints."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from benchmarks.commands import (
    BenchBar,
    entrants,
    err_console,
    out_console,
    publish_report,
    tell_failures,
    terminal_width,
)
from benchmarks.folders import check_dataset, check_out, holding
from benchmarks.methods import METHODS, Method, check_methods
from benchmarks.report import make_boards, narrow_table
from benchmarks.runner import Run, run
from benchmarks.scoring import Row
from benchmarks.settings import BenchSettings
from benchmarks.studies.report import Study, table_of, write_study
from benchmarks.suite import Suite, build_dataset, build_scenes, describe_scenes, make_suite
from configs import ConfigError, counted, load, unknown_name


def severity(
    tasks: Sequence[str],
    source: str,
    settings: BenchSettings,
    out: Path,
    workers: int | None,
    *,
    models: Sequence[str] = (),
    plugins: Sequence[str] = (),
) -> int:
    """Score methods at every level of damage, models and somebody's own beside them; return 1 if one failed somewhere.

    Raises:
        ConfigError: a task or a method is unknown, or a method fits none of the tasks.
    """
    from benchmarks.studies.severity import SWEEPS

    tasks = list(tasks or SWEEPS)
    for task in tasks:
        if task not in SWEEPS:
            raise ConfigError(unknown_name("task", task, SWEEPS))
    others = entrants(models, plugins, [])
    # before anything is built
    check_methods(settings.methods, tasks, others, settings.weights.model_dump())
    return sweep(tasks, source, settings, out, workers, others)


def sweep(
    tasks: Sequence[str],
    source: str,
    settings: BenchSettings,
    out: Path,
    workers: int | None,
    others: Sequence[Method],
) -> int:
    """Build and score every level of the tasks' damage, and sum each task up; a method is left out where it does not fit.

    Returns 1 if one failed somewhere.
    """
    from benchmarks.studies.severity import SWEEPS, build_level, level_pictures, severity_study

    idle = [name for name in settings.methods if name in METHODS and METHODS[name].learns_here]
    if idle:
        err_console.print(f"not in a sweep, which has no train split to learn from: {', '.join(idle)}")
    rows: list[Row] = []
    for task in tasks:
        runs, datasets = {}, {}
        own, beside = _fitting(settings, task), [method for method in others if method.fits(task)]
        levels = SWEEPS[task].levels
        for number, level in enumerate(levels, start=1):
            folder = out / task / f"{level:g}"
            err_console.print(f"{task}: level {number} of {len(levels)}, {SWEEPS[task].across} {level:g}")
            datasets[level] = build_level(task, level, folder / "data", settings, source)
            with holding(folder):
                runs[level], _ = _scored(make_suite(datasets[level].root, [task], own), own, folder, beside, workers)
            rows += runs[level].rows
        _publish(out / task, severity_study(task, runs, settings, level_pictures(task, datasets)))
    return tell_failures(rows)


def _fitting(settings: BenchSettings, task: str) -> BenchSettings:
    """Return the settings with those of the wanted methods that a sweep of the task can have; of none, identity alone."""
    wanted = [METHODS[name] for name in settings.methods if name in METHODS]
    fitting = [method.name for method in wanted if method.fits(task) and not method.learns_here]
    return settings.model_copy(update={"methods": tuple(fitting or ["identity"])}) if settings.methods else settings


def instructions(
    model: Path, data: Path | None, tasks: list[str], settings: BenchSettings, out: Path, workers: int | None
) -> int:
    """Score the model told by text, by picture and by both, on the samples that have a picture; return 1 if one failed."""
    from benchmarks.studies.variants import check_pictures, instruction_variants, instructions_study, with_pictures

    check_pictures(model)
    # pictures first, then the limit: of a few samples perhaps none has one
    suite = _suite(data, tasks, settings.model_copy(update={"limit": None}), out, "tasks.recolor.reference=1")
    suite = with_pictures(suite, settings.limit)
    done, settings = _reported(suite, _alone(settings), out, instruction_variants(model), workers)
    _publish(out, instructions_study(make_boards(done, settings)))
    return tell_failures(done.rows)


def temporal(
    model: Path, data: Path | None, tasks: list[str], settings: BenchSettings, out: Path, workers: int | None
) -> int:
    """Score the model with and without its temporal layers; return 1 if one failed."""
    from benchmarks.studies.variants import temporal_study, temporal_variants

    suite = _suite(data, tasks, settings, out)
    done, settings = _reported(suite, _alone(settings), out, temporal_variants(model), workers)
    _publish(out, temporal_study(make_boards(done, settings)))
    return tell_failures(done.rows)


def guidance(
    model: Path,
    data: Path | None,
    tasks: list[str],
    settings: BenchSettings,
    out: Path,
    workers: int | None,
    video: Sequence[float],
    text: Sequence[float],
) -> int:
    """Score the model at every pair of guidance scales; return 1 if it failed at one."""
    from benchmarks.studies.variants import guidance_study, guidance_variants

    suite = _suite(data, tasks, settings, out)
    variants = guidance_variants(model, video, text)
    samples = sum(map(len, suite.rows.values()))
    err_console.print(
        f"{len(variants)} pairs of scales on {counted(samples, 'sample')}: {counted(len(variants) * samples, 'translation')}, "
        "less what an earlier run has in the folder; --limit takes fewer samples, --video and --text fewer scales"
    )
    done, settings = _reported(suite, _keeping(settings), out, variants, workers)
    _publish(out, guidance_study(done, out, suite.dataset, settings))
    return tell_failures(done.rows)


def long(
    model: Path, source: str, tasks: list[str], settings: BenchSettings, out: Path, workers: int | None, windows: int
) -> int:
    """Score ways of joining windows on clips of several windows, one study per task; return 1 if one failed."""
    from benchmarks.methods.model import loaded
    from benchmarks.studies.long_video import long_study, long_variants
    from datagen import Recipe

    window = loaded(model).window
    rows: list[Row] = []
    for task in tasks or ["dehaze"]:
        folder = out / task
        overrides = [f"clip.frames={window * windows}", "clip.per_video=1", f"tasks={{{task}: {{}}}}"]
        splits = ["splits.official=false", "splits.train=0", "splits.val=0", "splits.test=1"]
        build_dataset(load(Recipe, settings.recipe, [*overrides, *splits]), folder / "data", source)
        suite = make_suite(folder / "data", [task], settings)
        done, kept = _reported(suite, _keeping(settings), folder, long_variants(model), workers)
        _publish(folder, long_study(done, folder, suite.dataset, kept, window=window))
        rows += done.rows
    return tell_failures(rows)


def unseen(
    data: Path, tasks: list[str], settings: BenchSettings, out: Path, workers: int | None, config: str, minutes: float
) -> int:
    """Train models that each lack one task, and score them on it; return 1 if one failed."""
    from benchmarks.studies.unseen import train_without, unseen_study, unseen_variants

    suite = make_suite(data, tasks, settings)
    # a folder of something else is refused before hours of training
    check_out(out)
    check_dataset(out, suite.dataset)
    folders = train_without(suite.dataset, suite.tasks, out / "runs", config, minutes, err_console.print)
    done, settings = _reported(suite, _alone(settings), out, unseen_variants(folders), workers)
    _publish(out, unseen_study(make_boards(done, settings), folders))
    return tell_failures(done.rows)


def preference(
    folder: Path, tasks: Sequence[str], methods: str | None, limit: int | None, port: int, *, report: bool
) -> None:
    """Ask people which answers they prefer, or say what they answered."""
    from benchmarks.studies.preference import Poll, make_pairs, preference_study, serve_poll

    if report:
        _publish(folder / "preference", preference_study(folder))
        return
    wanted = [name.strip() for name in methods.split(",")] if methods else []
    poll = Poll(folder, make_pairs(folder, tasks, wanted, limit, seed=0))
    told = f"Ctrl-C ends it; 'bench study preference {folder} --report' sums up the votes"
    serve_poll(poll, port, lambda address: out_console.print(f"{address}   {told}"))


def _suite(data: Path | None, tasks: list[str], settings: BenchSettings, out: Path, *overrides: str) -> Suite:
    if data is None:
        err_console.print("no --data: building procedural scenes to score on")
        data = build_scenes(out, settings, overrides)
        if not overrides:
            out_console.print(f"scored on {describe_scenes(data)}")
    return make_suite(data, tasks, settings)


def _alone(settings: BenchSettings) -> BenchSettings:
    """Return the settings with identity as the only method of the bench's own, unless some were named."""
    return settings if settings.methods else settings.model_copy(update={"methods": ("identity",)})


def _keeping(settings: BenchSettings) -> BenchSettings:
    """Return the same where every answer is kept, because more is measured on them than rows hold."""
    return _alone(settings).model_copy(update={"keep": 10**9})


def _reported(
    suite: Suite, settings: BenchSettings, out: Path, variants: Sequence[Method], workers: int | None
) -> tuple[Run, BenchSettings]:
    """Score, and write tables and page."""
    with holding(out):
        done, settings = _scored(suite, settings, out, variants, workers)
        publish_report(out, done, settings, suite.dataset)
        return done, settings


def _scored(
    suite: Suite, settings: BenchSettings, out: Path, variants: Sequence[Method], workers: int | None
) -> tuple[Run, BenchSettings]:
    count = (os.cpu_count() or 1) if workers is None else workers
    # what a variant costs is not what a study asks
    settings = settings.model_copy(update={"cost_samples": 0})
    with BenchBar() as bar:
        return run(suite, settings, out, entrants=variants, workers=count, progress=bar), settings


def _publish(out: Path, study: Study) -> None:
    page = write_study(out, study)
    out_console.print(f"{study.name}: {study.question}")
    out_console.print(narrow_table(*table_of(study, intervals=False), width=terminal_width()))
    for words in study.words:
        out_console.print(words)
    out_console.print(f"table and page: {out}   open {page} in a browser")
