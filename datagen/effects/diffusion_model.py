"""Pairs of clips from a text-to-video or text-to-image diffusers pipeline with prompt-to-prompt control."""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import numpy as np

from configs import ConfigError, MissingExtraError, ModelError, no_weights
from configs.libraries import quiet_libraries
from datagen.effects.weights import digest_of
from datagen.settings import EngineSettings
from shards.sample import Video

METHOD = "prompt-to-prompt-1"
"""Its number is raised whenever the same draw gives other pixels."""
PICTURES, VIDEOS = "StableDiffusionPipeline", ("AnimateDiffPipeline", "TextToVideoSDPipeline")
_SUPPORTED = f"supported are {PICTURES} (one picture), {' and '.join(VIDEOS)} (video)"
_GRID = 8
"""Pixels of one position of the latent: sides are multiples of it."""


@dataclass(frozen=True, kw_only=True)
class Draw:
    """What one candidate is made from, besides the prompts."""

    seed: int
    p2p_ratio: float
    """Share of the steps in which cross-attention maps are handed over."""


def describe_engine(engine: EngineSettings, frames: int) -> dict[str, Any]:
    """Return what to record of the engine, its weights included.

    Raises:
        MissingExtraError: no model is named, or there are no weights of that name, here or on the hub.
        ConfigError: the pipeline is of a class that is not supported, or cannot make clips of so many frames.
    """
    pipe = _load(engine.model, engine.motion, engine.precision)
    _check_frames(engine, pipe, frames)
    # what begins with an underscore is a note of the library's
    settings = {name: value for name, value in pipe.scheduler.config.items() if not name.startswith("_")}
    scheduler = json.dumps(settings, sort_keys=True, default=str)
    return {
        "engine": METHOD,
        "model": engine.model,
        **({"motion": engine.motion} if engine.motion else {}),
        "pipeline": type(pipe).__name__,
        "weights": _digest(engine.model, engine.motion, engine.precision),
        "scheduler": type(pipe.scheduler).__name__,
        "scheduler_config": hashlib.blake2b(scheduler.encode(), digest_size=8).hexdigest(),
        "steps": engine.steps,
        "guidance": engine.guidance,
        "precision": engine.precision,
        "scale": engine.scale,
    }


def make_pair(
    engine: EngineSettings, prompts: tuple[str, str], draw: Draw, *, frames: int, width: int, height: int
) -> tuple[Video, Video]:
    """Return two clips uint8 [t h w 3] of two captions, from the same noise; the first one's maps lead the second.

    Raises:
        ModelError: the device has not enough memory.
    """
    import torch

    from datagen.effects.prompt_to_prompt import Control, Shares, align, controlled

    pipe = _load(engine.model, engine.motion, engine.precision).to(device_of(engine.device))
    length = pipe.tokenizer.model_max_length
    shares = Shares(
        cross=draw.p2p_ratio,
        self_=draw.p2p_ratio * engine.self_ratio,
        temporal=draw.p2p_ratio * engine.temporal_ratio,
    )
    before, after = (_tokens(pipe.tokenizer, prompt, length) for prompt in prompts)
    control = Control(align(before, after, length), shares, lambda: len(pipe.scheduler.timesteps))
    sides = [-(-side * engine.scale // _GRID) * _GRID for side in (height, width)]
    try:
        with controlled(pipe.unet, control):
            made = run_pipeline(
                pipe,
                list(prompts),
                seed=draw.seed,
                frames=frames,
                height=sides[0],
                width=sides[1],
                steps=engine.steps,
                guidance=engine.guidance,
            )
    except torch.OutOfMemoryError:
        raise ModelError(
            f"{engine.model} with {frames} frames of {sides[1]}x{sides[0]} needs more memory than the device has; lower "
            "clip.size, clip.frames or engine.scale, or set engine.precision=float16"
        ) from None
    first, second = (_fitted(clip, width, height, engine.scale) for clip in made)
    return first, second


def run_pipeline(
    pipe: Any, prompts: list[str], *, seed: int, frames: int, height: int, width: int, steps: int, guidance: float
) -> list[Video]:
    """Call a pipeline with the same noise for every prompt; return a clip uint8 [t h w 3] for each."""
    import torch

    # of the CPU, so that the noise is the same on every device; one for each prompt, so that noise of later steps is, too
    generators = [torch.Generator("cpu").manual_seed(seed) for _ in prompts]
    options: dict[str, Any] = {"height": height, "width": width, "num_inference_steps": steps, "output_type": "np"}
    if type(pipe).__name__ in VIDEOS:
        options["num_frames"] = frames
    found = pipe(prompts, guidance_scale=guidance, generator=generators, **options)
    clips = found.frames if type(pipe).__name__ in VIDEOS else found.images[:, None]
    # half precision may give values that are no numbers: black, which the gates see
    return [np.rint(np.nan_to_num(np.asarray(clip, np.float32)).clip(0, 1) * 255).astype(np.uint8) for clip in clips]


def device_of(wanted: str) -> str:
    """Return the device to use. With several GPUs and `auto` each process takes one by its number."""
    import torch

    if wanted != "auto":
        return wanted
    count = torch.cuda.device_count()
    return f"cuda:{os.getpid() % count}" if count else "cpu"


def device_name(wanted: str) -> str:
    """Return what to record of the device: bits differ from one kind to another."""
    import torch

    device = device_of(wanted)
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else device


def _tokens(tokenizer: Any, text: str, length: int) -> list[str]:
    found = tokenizer(text, add_special_tokens=False, truncation=True, max_length=length - 2).input_ids
    return list(tokenizer.convert_ids_to_tokens(found))


def _fitted(clip: Video, width: int, height: int, scale: int) -> Video:
    """Cut what the grid added off around the middle, and reduce what was generated larger."""
    top, left = ((clip.shape[axis] - side * scale) // 2 for axis, side in ((1, height), (2, width)))
    cut = clip[:, top : top + height * scale, left : left + width * scale]
    if scale == 1:
        return np.ascontiguousarray(cut)
    return np.stack([cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA) for frame in cut])


def _check_frames(engine: EngineSettings, pipe: Any, frames: int) -> None:
    kind = type(pipe).__name__
    if kind == PICTURES and frames > 1:
        raise ConfigError(
            f"engine.model {engine.model!r} makes pictures, and clip.frames is {frames}; set clip.frames=1, name a motion "
            "adapter for it (engine.motion), or a video model"
        )
    most = getattr(pipe.unet.config, "motion_max_seq_length", None)
    if most and frames > most:
        raise ConfigError(f"engine.model {engine.model!r} makes at most {most} frames; clip.frames is {frames}")


@cache
def _load(name: str, motion: str, precision: str) -> Any:
    if not name:
        raise MissingExtraError(
            "generated pairs need a model: name a diffusers pipeline with --set engine.model=NAME, a folder or one of the hub "
            f"({_SUPPORTED})"
        )
    import torch

    quiet_libraries()
    # bits must not depend on how many cores there are, nor on which algorithm was fastest just now
    torch.set_num_threads(1)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    # the libraries' warnings are about how they call each other
    with warnings.catch_warnings(action="ignore"), _lacking("diffusion model", name):
        pipe = _from_pretrained(name, motion).to(getattr(torch, precision))
    pipe.set_progress_bar_config(disable=True)
    return pipe


@contextmanager
def _lacking(what: str, name: str) -> Iterator[None]:
    try:
        yield
    except (AttributeError, ImportError, OSError, TypeError, ValueError) as error:
        raise MissingExtraError(
            f"no {what} {name!r} here ({no_weights(name, error)}); give a folder with its weights, or go online once"
        ) from None


def _from_pretrained(name: str, motion: str) -> Any:
    import diffusers

    kind = diffusers.DiffusionPipeline.load_config(name).get("_class_name", "none")
    if kind not in (PICTURES, *VIDEOS):
        raise ConfigError(f"engine.model {name!r} is of the class {kind}; {_SUPPORTED}")
    if motion:
        with _lacking("motion adapter", motion):
            adapter = diffusers.MotionAdapter.from_pretrained(motion)
        return diffusers.AnimateDiffPipeline.from_pretrained(name, motion_adapter=adapter)
    pipe = diffusers.DiffusionPipeline.from_pretrained(name)
    if kind == "TextToVideoSDPipeline" and not isinstance(pipe.scheduler, diffusers.DDIMScheduler):
        # its frames are so many pictures to the scheduler: one that adds noise would give the two passes different noise
        pipe.scheduler = diffusers.DDIMScheduler.from_config(pipe.scheduler.config)
    return pipe


@cache
def _digest(name: str, motion: str, precision: str) -> str:
    """Return a short hash of all weights: another model under the same name gives another dataset."""
    import torch

    parts = {
        k: part for k, part in _load(name, motion, precision).components.items() if isinstance(part, torch.nn.Module)
    }
    return digest_of({f"{k}.{key}": tensor for k, part in parts.items() for key, tensor in part.state_dict().items()})
