"""What one training step minimises: the denoising error of a clip, its condition dropped now and then."""

from __future__ import annotations

from typing import Any

import torch
from torch import Generator, Tensor

from vidiff.conditioning import encode_video, unet_input
from vidiff.data import Batch
from vidiff.image_instruction import instruction_tokens
from vidiff.pipeline import VIDiffPipeline, initial_noise
from vidiff.settings import DropSettings, NoiseSettings, TrainSettings


def diffusion_loss(pipe: VIDiffPipeline, batch: Batch, settings: TrainSettings, generator: Generator) -> Tensor:
    """Return the mean squared error of the U-Net's prediction for one batch.

    Every random number comes from `generator`, a CPU generator, so a step can be made again alone, on any device.
    """
    device = pipe.unet.device
    with torch.no_grad():
        condition, clean = (encode_video(pipe.vae, _to_unit(clip, device)) for clip in (batch.source, batch.target))
        clean = clean * pipe.vae.config.scaling_factor
    size = len(batch.instructions)
    noise = initial_noise(clean.cpu(), generator, settings.noise.shared).to(device)
    timesteps = draw_timesteps(size, settings.noise, pipe.scheduler.config.num_train_timesteps, generator).to(device)
    no_text, no_video = draw_drops(size, settings.drop, generator)

    noisy = pipe.scheduler.add_noise(clean, noise, timesteps)
    seen = condition * (~no_video).to(condition)[:, None, None, None, None]
    present = torch.zeros(size, dtype=torch.bool) if batch.with_image is None else batch.with_image & ~no_text
    if pipe.image_projector is None:
        present = torch.zeros_like(present)
    else:
        no_words, no_image = draw_halves(present, settings.drop, generator)
        present, no_text = present & ~no_image, no_text | no_words
    instructions = ["" if dropped else text for text, dropped in zip(batch.instructions, no_text.tolist(), strict=True)]
    with torch.autocast(device.type, torch.bfloat16, enabled=settings.precision == "bf16"):
        context = instruction_tokens(pipe, instructions, batch.images if present.any() else None, present)
        latent = unet_input(pipe.scheduler, noisy, seen, timesteps, fade=pipe.config.fade_noise)
        predicted = pipe.unet(latent, timesteps, context).sample
    error: Tensor = (predicted.float() - wanted(pipe.scheduler, clean, noise, timesteps)).square()
    # what a channel of the latent counts is known of a fixed transform, and not of a learnt autoencoder
    weighted: Tensor = error * getattr(pipe.vae, "error_weight", 1.0)
    return weighted.mean()


def wanted(scheduler: Any, clean: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
    """Return what the network should predict, as the scheduler's `prediction_type` says."""
    kind = scheduler.config.prediction_type
    if kind == "v_prediction":
        velocity: Tensor = scheduler.get_velocity(clean, noise, timesteps)
        return velocity
    return {"sample": clean, "epsilon": noise}[kind]


def draw_timesteps(count: int, noise: NoiseSettings, total: int, generator: Generator) -> Tensor:
    """Return int64 [count] in [0, total): evenly drawn, but for a share of `noise.pure_noise` at the last one."""
    even = torch.randint(total, (count,), generator=generator)
    last = torch.rand(count, generator=generator) < noise.pure_noise
    return torch.where(last, total - 1, even)


def draw_drops(count: int, drop: DropSettings, generator: Generator) -> tuple[Tensor, Tensor]:
    """Return two boolean tensors [count]: which clips lose their instruction, and which their source video.

    One number decides both, as in InstructPix2Pix: text alone, then both, then video alone.
    """
    chance = torch.rand(count, generator=generator)
    no_text = chance < drop.text + drop.both
    no_video = (chance >= drop.text) & (chance < drop.text + drop.both + drop.video)
    return no_text, no_video


def draw_halves(with_image: Tensor, drop: DropSettings, generator: Generator) -> tuple[Tensor, Tensor]:
    """Return two boolean tensors [b]: which clips with an image instruction lose the words beside it, and which the image."""
    chance = torch.rand(len(with_image), generator=generator)
    no_words = chance < drop.words
    no_image = (chance >= drop.words) & (chance < drop.words + drop.image)
    return with_image & no_words, with_image & no_image


def _to_unit(clip: Tensor, device: torch.device) -> Tensor:
    """Turn uint8 into float in [-1, 1]."""
    return clip.to(device).float() / 127.5 - 1
