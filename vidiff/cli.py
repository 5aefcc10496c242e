"""The `vidiff-train`, `vidiff-translate` and `vidiff-convert` commands."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from configs.cli import application, run

if TYPE_CHECKING:
    from vidiff.settings import TrainSettings

train_app = application("Train a VIDiff model on a dataset that 'datagen build' made.")
convert_app = application("Make a VIDiff model of pretrained image and motion weights.")
translate_app = application("Translate a video with a trained VIDiff model, as an instruction says.")


def train() -> NoReturn:
    """Run the `vidiff-train` command."""
    _spin_briefly()
    run(train_app)


def translate() -> NoReturn:
    """Run the `vidiff-translate` command."""
    _spin_briefly()
    run(translate_app)


def convert() -> NoReturn:
    """Run the `vidiff-convert` command."""
    run(convert_app)


def _spin_briefly() -> None:
    """Let OpenMP threads that wait for each other give their core away soon; must come before torch is imported.

    A thread that spins keeps the very core which the one it waits for needs, where a machine does other work, too.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")


@train_app.command()
def train_command(
    data: Annotated[
        Path | None, typer.Option(help="Dataset folder. [with --resume: the run's own]", show_default=False)
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder of the run.", show_default=False)] = None,
    task: Annotated[
        list[str] | None,
        typer.Option(
            "--task",
            "-t",
            help="Only this task; may be repeated. [default: all that have train samples, alike; for weights, "
            "--set 'data.tasks={dehaze: 2, recolor: 1}']",
            show_default=False,
        ),
    ] = None,
    config: Annotated[
        str | None,
        typer.Option(
            help="Name of a recipe, or path of a .yaml file. [default: tiny; with --resume the run's own]",
            show_default=False,
        ),
    ] = None,
    override: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change one setting, as in optimizer.lr=5e-4; may be repeated.", show_default=False),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(help="Stop when the run has taken so many steps in all.", show_default=False)
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(help="Stop when the run has taken so many minutes in all.", show_default=False)
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last checkpoint, with the run's own settings.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a run that is in the folder.")] = False,
    print_config: Annotated[
        bool, typer.Option("--print-config", help="Print the settings in full, each with its meaning, and stop.")
    ] = False,
) -> None:
    """Train a VIDiff model on a dataset that 'datagen build' made."""
    if steps is not None and minutes is not None:
        raise typer.BadParameter("give --steps or --minutes, not both")
    if resume and overwrite:
        raise typer.BadParameter("give --resume or --overwrite, not both")
    said = [*(override or []), *_mixture(task), *_budget(steps, minutes)]
    settings = _settings(config, said, resumed=out if resume else None)
    if print_config:
        typer.echo(settings.to_yaml(explained=True), nl=False)
        return
    if data is None and resume and out is not None:
        from vidiff.run_folder import RunFolder

        data = RunFolder(out).data()
    if data is None or out is None:
        lacking = [name for name, value in (("--data DATASET", data), ("--out FOLDER", out)) if value is None]
        raise typer.BadParameter(f"give {' and '.join(lacking)}")
    from vidiff.train import train_model

    position = train_model(settings, data, out, resume=resume, overwrite=overwrite)
    typer.echo(
        f"trained {position.step} steps in {position.seconds:.0f} s, loss {position.loss:.4f}; model: {out / 'model'}"
    )


@translate_app.command()
def translate_command(
    source: Annotated[
        Path,
        typer.Argument(metavar="IN", help="A video, a folder of videos, or a dataset's folder.", show_default=False),
    ],
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="Video to write (.mp4), or a folder for many.", show_default=False)
    ],
    instruction: Annotated[
        str | None,
        typer.Argument(
            help="What to do, as in 'Remove the haze.'; of a dataset each sample says it itself if none is given.",
            show_default=False,
        ),
    ] = None,
    *,
    model: Annotated[Path, typer.Option(help="Folder of a training run, or of a saved pipeline.", show_default=False)],
    steps: Annotated[
        int | None, typer.Option(help="Denoising steps. [default: the model's]", min=1, show_default=False)
    ] = None,
    sampler: Annotated[
        str | None,
        typer.Option(help="ddim, dpm++, unipc, euler, euler-a or lcm. [default: the model's]", show_default=False),
    ] = None,
    lora: Annotated[
        str | None,
        typer.Option(help="LoRA weights: a .safetensors file, a folder, a name on the hub.", show_default=False),
    ] = None,
    lora_scale: Annotated[float, typer.Option(help="Weight of --lora.")] = 1.0,
    video_guidance: Annotated[
        float | None, typer.Option(help="s_V. [default: the model's]", show_default=False)
    ] = None,
    text_guidance: Annotated[float | None, typer.Option(help="s_T. [default: the model's]", show_default=False)] = None,
    task: Annotated[
        str | None,
        typer.Option(
            help="Task whose default guidance to take; of a dataset the one to translate.", show_default=False
        ),
    ] = None,
    split: Annotated[str, typer.Option(help="Of a dataset, which samples to translate.")] = "test",
    overlap: Annotated[
        int, typer.Option(help="Frames that a window has in common with the one before (K).", min=0)
    ] = 2,
    carry: Annotated[
        str,
        typer.Option(help="What these bring along: 'translated' frames, 'corrected' latents (LVSC), or 'nothing'."),
    ] = "translated",
    blend: Annotated[bool, typer.Option("--blend", help="Fade from window to window over these frames.")] = False,
    size: Annotated[
        int | None, typer.Option(help="Short side to work at. [default: the training size]", min=16, show_default=False)
    ] = None,
    tile: Annotated[
        int | None, typer.Option(help="Work in overlapping squares of so many pixels.", min=32, show_default=False)
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option(help="Image that shows what the words mean, for models that take one.", show_default=False),
    ] = None,
    mask: Annotated[
        Path | None,
        typer.Option(help="Also write where the result is painted, as a lossless .mkv.", show_default=False),
    ] = None,
    paint: Annotated[
        str | None,
        typer.Option(help="Color that --mask looks for. [default: the one the instruction names]", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the noise.", min=0)] = 0,
    overwrite: Annotated[bool, typer.Option(help="Replace the file of one video that is there already.")] = False,
) -> None:
    """Translate videos with a trained VIDiff model, as an instruction says."""
    dataset = source.is_dir() and (source / "manifest.json").is_file()
    _check_translation(source, out, instruction, mask, paint, task, dataset=dataset)
    there = [path for path in (out, mask) if path is not None and path.is_file() and not source.is_dir()]
    if there and not overwrite:
        raise typer.BadParameter(f"{there[0]} is there already; give --overwrite to replace it, or another name")
    if dataset and instruction is not None:
        typer.echo(f"every sample is translated by {instruction!r}, and none as it says itself", err=True)
    shared: dict[str, Any] = {
        "num_inference_steps": steps,
        "video_guidance_scale": video_guidance,
        "text_guidance_scale": text_guidance,
        "overlap": overlap,
        "carry": carry,
        "blend": blend,
        "tile": tile,
        "seed": seed,
    }
    of_files: dict[str, Any] = {"size": size, "reference": reference, "task": task or "default"}
    loaded: dict[str, Any] = {"sampler": sampler, "lora": lora, "lora_scale": lora_scale}
    if not source.is_dir():
        _translate_one(
            model, source, out, str(instruction), loaded | shared | of_files | {"mask": mask, "paint": paint}
        )
        return
    from vidiff.translate import Translator
    from vidiff.translate_many import translate_dataset, translate_folder

    # one model by whatever path it is named
    name = str(Path(model).resolve()) if Path(model).exists() else model
    said: dict[str, Any] = {"model": name, **loaded, **shared}
    translator = Translator(model, **loaded)
    with _watched() as (on_start, on_frame):
        heard: dict[str, Any] = {"on_start": on_start, "on_frame": on_frame}
        if dataset:
            done = translate_dataset(
                translator, source, out, task=task, split=split, instruction=instruction, said=said, **shared, **heard
            )
        else:
            said |= of_files
            done = translate_folder(translator, source, out, str(instruction), said=said, **shared, **of_files, **heard)
    typer.echo(
        f"{done.made} translated into {out}"
        + (f", {done.there} were there already" if done.there else "")
        + (f", {len(done.failed)} failed" if done.failed else "")
    )
    if done.lacking:
        typer.echo(f"not translated, for there are no {split} samples of them: {', '.join(done.lacking)}")
    for name, reason in done.failed.items():
        typer.echo(f"error: {name}: {reason}", err=True)
    if done.failed:
        raise typer.Exit(1)


def _check_translation(
    source: Path,
    out: Path,
    instruction: str | None,
    mask: Path | None,
    paint: str | None,
    task: str | None,
    *,
    dataset: bool,
) -> None:
    if not dataset and instruction is None:
        raise typer.BadParameter("missing argument 'instruction': say what to do, as in 'Remove the haze.'")
    if instruction is not None and not instruction.strip():
        raise typer.BadParameter("the instruction is empty; say what to do, as in 'Remove the haze.'")
    if not source.is_dir() and out.suffix.lower() != ".mp4":
        raise typer.BadParameter(f"{out}: the result is an .mp4 file; name it so")
    if mask is not None and source.is_dir():
        raise typer.BadParameter("--mask is written for one video; translate them one by one")
    if mask is not None and mask.suffix.lower() != ".mkv":
        raise typer.BadParameter(f"{mask}: the mask is an .mkv file; name it so")
    if paint is not None and mask is None:
        raise typer.BadParameter("--paint says what --mask looks for; give --mask FILE.mkv, too")
    if task not in (None, "default"):
        from shards import get_task

        get_task(str(task))


def _translate_one(model: Path, source: Path, out: Path, instruction: str, options: dict[str, Any]) -> None:
    from vidiff.seams import told_seam
    from vidiff.translate import translate_file

    with _watched() as (_, on_frame):
        seams = translate_file(model, source, out, instruction, on_frame=on_frame, **options)
    mask = options["mask"]
    typer.echo(f"wrote {out}" + (f" and {mask}" if mask else ""))
    if seams is not None:
        typer.echo(told_seam(seams, blended=options["blend"]))


@contextmanager
def _watched() -> Iterator[tuple[Callable[[str, int, int], None], Callable[[int, int], None]]]:
    """Give what draws a progress bar: a function that hears which video comes next, and one that hears of its frames."""
    from rich.console import Console

    from configs.bars import Bars

    bar = Bars(console=Console(stderr=True))
    shown = bar.add_task("translating", total=None)

    def on_start(name: str, number: int, count: int) -> None:
        bar.update(shown, description=f"{number} of {count}: {name}", completed=0, total=None)

    def on_frame(done: int, total: int) -> None:
        # not before: an error about a wrong path is one line
        if not bar.live.is_started:
            bar.start()
        bar.update(shown, completed=done, total=total)

    try:
        yield on_start, on_frame
    finally:
        if bar.live.is_started:
            bar.stop()


@convert_app.command()
def convert_command(
    kind: Annotated[str, typer.Argument(help="sd15, instruct-pix2pix or animatediff.", show_default=False)],
    source: Annotated[
        str, typer.Argument(help="A folder in diffusers' layout, or a name on the hub.", show_default=False)
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the new model.", show_default=False)],
    base: Annotated[
        Path | None, typer.Option(help="For animatediff: the converted model to put it into.", show_default=False)
    ] = None,
    window: Annotated[int, typer.Option(help="Frames the model takes at once.", min=1, max=32)] = 16,
    image_encoder: Annotated[
        str | None,
        typer.Option(
            help="A CLIP vision model, for image instructions: folder or name on the hub.", show_default=False
        ),
    ] = None,
) -> None:
    """Make a VIDiff model of pretrained image and motion weights."""
    from vidiff.convert import convert as convert_weights

    done = convert_weights(kind, source, out, base=base, window=window, image_encoder=image_encoder)
    eyes = [name for name in done.new if name.startswith("image_projector.")]
    typer.echo(
        f"{done.taken} tensors taken over, {len(done.new) - len(eyes)} new ones for time, which change nothing until trained"
    )
    if eyes:
        typer.echo(f"{len(eyes)} new ones for image instructions, which must be trained before the model is of use")
    if kind != "animatediff":
        typer.echo(f"one frame comes out as the image model makes it, to {done.apart:.0e}")
    typer.echo(f"wrote {out}")


def _settings(config: str | None, said: list[str], *, resumed: Path | None) -> TrainSettings:
    """Load a recipe, or where none is named that of the run in the folder `resumed`, and change what was said."""
    import configs
    from vidiff.settings import TrainSettings

    if resumed is not None and config is None:
        from vidiff.run_folder import RunFolder

        own = RunFolder(resumed).recorded()
        if own is not None:
            return configs.check(TrainSettings, own, said, where=f"{resumed}/run.json")
    return configs.load(TrainSettings, config or "tiny", said)


def _mixture(tasks: list[str] | None) -> list[str]:
    """Return the overrides that have these tasks alone trained on, alike."""
    return [f"data.tasks={{{', '.join(f'{task}: 1' for task in tasks)}}}"] if tasks else []


def _budget(steps: int | None, minutes: float | None) -> list[str]:
    """Return the overrides that make one limit replace whatever limit the recipe has."""
    if steps is not None:
        return [f"steps={steps}", "minutes=null"]
    return [] if minutes is None else [f"minutes={minutes}", "steps=null"]
