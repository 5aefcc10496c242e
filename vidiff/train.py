"""The trainer: one loop for every recipe."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from rich.console import Console
from torch import Tensor

from configs import ConfigError
from configs.libraries import quiet_libraries
from shards import Dataset
from vidiff.checkpoint import Position, TrainState, load_checkpoint, save_checkpoint
from vidiff.data import Batch, TrainingClips, batches, mixture
from vidiff.devices import choose_device, cpu_threads, keep_freed_memory, threads_that_pay_off
from vidiff.model_card import model_card
from vidiff.objective import diffusion_loss
from vidiff.pipeline import VIDiffPipeline, model_folder
from vidiff.run_folder import RunFolder
from vidiff.settings import TrainSettings
from vidiff.sizes import new_pipeline
from vidiff.terminal import deferred_interrupt, progress_bar
from vidiff.training_data import learnt_from
from vidiff.validation import pick_samples, validate


def train_model(
    settings: TrainSettings, data: Path | str, out: Path | str, *, resume: bool = False, overwrite: bool = False
) -> Position:
    """Train a model on a dataset and leave it in `out/model`; return where the run stands.

    Killed at any moment, the same call with `resume` goes on from the last checkpoint and ends with the same bits (on
    the CPU; a run limited by `minutes` depends on the clock). Ctrl-C ends the step, saves, and raises
    `KeyboardInterrupt`.

    Raises:
        DatasetError, ConfigError, OutputError: as `Dataset`, `TrainingClips` and `RunFolder.open`.
        ModelError: the model to go on from cannot be used.
    """
    if settings.base == "???":
        raise ConfigError("this recipe goes on from a model: name its folder with --set base=FOLDER")
    if settings.base:
        model_folder(settings.base)
    dataset, run = Dataset(data), RunFolder(Path(out))
    clips = TrainingClips(dataset, settings)
    checkpoint = run.open(settings, dataset.manifest.sha256, dataset.root, resume=resume, overwrite=overwrite)
    trainer = Trainer(settings, dataset, clips, run)
    if checkpoint is not None:
        trainer.resume(checkpoint)
        if trainer.has_ended():
            return trainer.position
    with cpu_threads(settings.threads):
        trainer.train()
    return trainer.position


class Trainer:
    """One run: its model, what is trained of it, and where it stands."""

    def __init__(self, settings: TrainSettings, dataset: Dataset, clips: TrainingClips, run: RunFolder) -> None:
        keep_freed_memory()
        quiet_libraries()
        self.settings, self.dataset, self.clips, self.run = settings, dataset, clips, run
        self.console = Console(stderr=True)
        self.pipe = new_pipeline(settings).to(choose_device())
        self.pipe.set_progress_bar_config(disable=True)
        if settings.checkpointing:
            self.pipe.unet.enable_gradient_checkpointing()
        self.state = make_state(self.pipe, settings)
        self.position = Position(step=0, seconds=0.0, loss=math.nan)
        tasks = list(mixture(dataset, settings.data))
        self._learnt = learnt_from(dataset, tasks, settings.base)
        self._samples = pick_samples(dataset, tasks)
        if not settings.data.tasks and (absent := [task for task in dataset.tasks if task not in tasks]):
            self._say(f"leaving out {', '.join(absent)}: {dataset.root} has no train samples of it")
        if lacking := self._tasks_from("train"):
            self._say(
                f"{dataset.root} has no val samples of {', '.join(lacking)}: train clips are looked at in their place"
            )

    def resume(self, checkpoint: Path) -> None:
        """Go back to a checkpoint, in the log, too."""
        self.position = load_checkpoint(checkpoint, self.state)
        self.run.cut_log(self.position.step)

    def has_ended(self) -> bool:
        """Whether nothing is left to do, and say so."""
        settings, position = self.settings, self.position
        if progress_of(settings, position.step, position.seconds) < 1 or not self.run.looked_at(position.step):
            return False
        limit = f"--steps {settings.steps}" if settings.steps is not None else f"--minutes {settings.minutes:g}"
        self._say(f"nothing left to do: the run stands at its limit, {limit}; with a larger one it goes on")
        return True

    def train(self) -> None:
        """Take steps until the run's limit, then save and look; see `train_model`."""
        settings, started = self.settings, time.monotonic() - self.position.seconds
        places = self._places(started)
        with progress_bar(self.console) as show, deferred_interrupt() as interrupted:
            most = torch.get_num_threads() if self.pipe.unet.device.type == "cpu" else 1
            for batch in batches(self.clips, settings, places):
                torch.set_num_threads(threads_that_pay_off(most))
                done = progress_of(settings, self.position.step, time.monotonic() - started)
                if done >= 1 or interrupted():
                    break
                rate = learning_rate(settings, self.position.step, done)
                loss = train_step(self.pipe, batch, self.state, settings, self.position.step, rate)
                self.position = advance(self.position, loss, time.monotonic() - started)
                step = self.position.step
                show(progress_of(settings, step, self.position.seconds), in_words(self.position))
                if step % settings.log_every == 0:
                    self.run.log(log_row(self.position, loss, rate, batch))
                if settings.validate_every and step % settings.validate_every == 0:
                    self.look()
                if step % settings.checkpoint_every == 0:
                    self.save()
            self.save()
            if interrupted():
                self._say(f"stopped at step {self.position.step}; the same command with --resume goes on from there")
                raise KeyboardInterrupt
        self.look()

    def save(self) -> None:
        """Write the model, with averaged weights, and a checkpoint."""
        with averaged(self.state):
            card = model_card(self.settings, self.dataset, self.position)
            self.run.publish_model(self.pipe, card, self._learnt)
        save_checkpoint(self.run.checkpoints, self.state, self.position, keep=self.settings.keep_checkpoints)

    def look(self) -> None:
        """Make the validation clips with averaged weights, and log their PSNR."""
        step = self.position.step
        with averaged(self.state):
            scores = validate(self.pipe, self._samples, self.run.validation, step)
        # what was trained on is never told together with what was not
        for split in ("val", "train"):
            if not (tasks := self._tasks_from(split)):
                continue
            psnr = {task: scores[task] for task in tasks}
            self.run.log({"step": step, "split": split, "psnr": psnr})
            told = ", ".join(f"{task} {db['source']:.2f} -> {db['output']:.2f} dB" for task, db in psnr.items())
            self._say(f"step {step}, one {split} clip each, PSNR of source -> output: {told}")

    def _tasks_from(self, split: str) -> list[str]:
        """Return the tasks whose validation clip is of a split."""
        return [sample.meta.task for sample in self._samples if sample.meta.split == split]

    def _places(self, started: float) -> Iterator[tuple[int, int]]:
        """Yield (step, crop side in pixels) without end."""
        step, crops = self.position.step, self.settings.data.crops
        while True:
            done = progress_of(self.settings, step, time.monotonic() - started)
            yield step, crops[min(int(done * len(crops)), len(crops) - 1)]
            step += 1

    def _say(self, text: str) -> None:
        self.console.print(text, soft_wrap=True)


def train_step(
    pipe: VIDiffPipeline, batch: Batch, state: TrainState, settings: TrainSettings, step: int, rate: float
) -> float:
    """Take one optimizer step and move the average along; return the loss."""
    for group in state.optimizer.param_groups:
        group["lr"] = rate
    # every random number of a step belongs to (seed, step): resuming needs no generator state
    generator = torch.Generator().manual_seed((settings.seed << 32) + step)
    loss = diffusion_loss(pipe, batch, settings, generator)
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(list(state.parameters.values()), settings.optimizer.clip)
    state.optimizer.step()
    state.optimizer.zero_grad(set_to_none=True)
    decay = min(settings.optimizer.ema, (1 + step) / (10 + step))
    with torch.no_grad():
        for name, average in state.average.items():
            average.lerp_(state.parameters[name], 1 - decay)
    return loss.item()


def make_state(pipe: VIDiffPipeline, settings: TrainSettings) -> TrainState:
    """Collect what is trained, `settings.trained`; the other parts are frozen."""
    parameters: dict[str, Tensor] = {}
    for part in ("unet", "text_encoder", "image_encoder", "image_projector"):
        module = getattr(pipe, part)
        if module is None:
            continue
        for name, value in module.named_parameters():
            value.requires_grad_(_parts_of(part, name) & set(settings.trained) != set())
        learnt = {f"{part}.{name}": value for name, value in module.named_parameters() if value.requires_grad}
        module.train(bool(learnt))
        parameters |= learnt
    if not parameters:
        raise ConfigError(
            f"trained: this model has none of {', '.join(settings.trained) or 'nothing'}; nothing would learn"
        )
    chosen = settings.optimizer
    optimizer = torch.optim.AdamW(
        parameters.values(), lr=chosen.lr, betas=(0.9, chosen.beta2), weight_decay=chosen.weight_decay
    )
    average = {name: value.detach().clone() for name, value in parameters.items()}
    return TrainState(parameters=parameters, average=average, optimizer=optimizer)


def _parts_of(component: str, name: str) -> set[str]:
    """Return the names in `trained` that mean a parameter."""
    if component != "unet":
        return {component}
    return {"unet", "motion" if ".motion_modules." in name else "spatial"}


@contextmanager
def averaged(state: TrainState) -> Iterator[None]:
    """Let the model hold its averaged weights inside the block, and its own again after it."""
    own = {name: value.detach().clone() for name, value in state.parameters.items()}
    _fill(state.parameters, state.average)
    try:
        yield
    finally:
        _fill(state.parameters, own)


def progress_of(settings: TrainSettings, step: int, seconds: float) -> float:
    """Return how much of the run is over, from 0 to 1 and beyond."""
    if settings.steps is not None:
        return step / settings.steps
    return seconds / (60 * (settings.minutes or math.inf))


def learning_rate(settings: TrainSettings, step: int, progress: float) -> float:
    """Return the learning rate: a linear rise, then constant or a cosine down to 2 % at the end of the run."""
    chosen = settings.optimizer
    rise = min(1.0, (step + 1) / max(1, chosen.warmup))
    fall = 0.02 + 0.98 * (1 + math.cos(math.pi * min(1.0, progress))) / 2 if chosen.schedule == "cosine" else 1.0
    return chosen.lr * rise * fall


def advance(position: Position, loss: float, seconds: float) -> Position:
    """Return the position after one more step; the loss is smoothed over about 50 steps, fewer at the start."""
    step = position.step + 1
    smoothed = loss if step == 1 else position.loss + (loss - position.loss) / min(step, 50)
    return Position(step=step, seconds=seconds, loss=smoothed)


def in_words(position: Position) -> str:
    """Return what the progress bar says."""
    return f"step {position.step}  loss {position.loss:.4f}  {position.seconds / position.step:.2f} s/step  left"


def log_row(position: Position, loss: float, rate: float, batch: Batch) -> Mapping[str, float]:
    """Return the line of `log.jsonl` for one step."""
    return {
        "step": position.step,
        "loss": round(loss, 6),
        "smoothed_loss": round(position.loss, 6),
        "lr": rate,
        "seconds": round(position.seconds, 3),
        "seconds_per_step": round(position.seconds / position.step, 4),
        "crop": batch.source.shape[-1],
    }


def _fill(tensors: Mapping[str, Tensor], values: Mapping[str, Tensor]) -> None:
    with torch.no_grad():
        for name, tensor in tensors.items():
            tensor.copy_(values[name])
