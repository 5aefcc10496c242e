"""What one training step minimises: the denoising error of a clip, its condition dropped now and then."""

from __future__ import annotations

from typing import Any

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from vidiff.conditioning import encode_text, encode_video, join_tokens
from vidiff.data import Batch
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
    instructions = ["" if dropped else text for text, dropped in zip(batch.instructions, no_text.tolist(), strict=True)]
    with torch.autocast(device.type, torch.bfloat16, enabled=settings.precision == "bf16"):
        context = join_tokens(encode_text(pipe.tokenizer, pipe.text_encoder, instructions))
        predicted = pipe.unet(torch.cat([noisy, seen], dim=1), timesteps, context).sample
    return F.mse_loss(predicted.float(), wanted(pipe.scheduler, clean, noise, timesteps))


def wanted(scheduler: Any, clean: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
    """Return what the network should predict, as the scheduler's `prediction_type` says."""
    kind = scheduler.config.prediction_type
    if kind == "v_prediction":
        velocity: Tensor = scheduler.get_velocity(clean, noise, timesteps)
        return velocity
    return {"sample": clean, "epsilon": noise}[kind]


def draw_timesteps(count: int, noise: NoiseSettings, total: int, generator: Generator) -> Tensor:
    """Return int64 [count] in [0, total), leaning to the noisy end as `high_noise_power` says."""
    uniform = torch.rand(count, generator=generator) ** (1 / noise.high_noise_power)
    return (uniform * total).long().clamp(max=total - 1)


def draw_drops(count: int, drop: DropSettings, generator: Generator) -> tuple[Tensor, Tensor]:
    """Return two boolean tensors [count]: which clips lose their instruction, and which their source video.

    One number decides both, as in InstructPix2Pix: text alone, then both, then video alone.
    """
    chance = torch.rand(count, generator=generator)
    no_text = chance < drop.text + drop.both
    no_video = (chance >= drop.text) & (chance < drop.text + drop.both + drop.video)
    return no_text, no_video


def _to_unit(clip: Tensor, device: torch.device) -> Tensor:
    """Turn uint8 into float in [-1, 1]."""
    return clip.to(device).float() / 127.5 - 1
