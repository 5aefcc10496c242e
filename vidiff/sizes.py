"""Where a model comes from: made anew at the size a recipe gives, or from a folder."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import DDIMScheduler
from torch import nn

from configs import ModelError
from vidiff.autoencoder import PatchAutoencoder
from vidiff.conditioning import small_text_encoder, small_tokenizer
from vidiff.image_instruction import ImageProjector, small_image_encoder
from vidiff.pipeline import VIDiffPipeline, load_pipeline
from vidiff.settings import ModelSettings, NoiseSettings, TrainSettings
from vidiff.unet import VIDiffUNet


def new_pipeline(settings: TrainSettings) -> VIDiffPipeline:
    """Make the pipeline that a training begins with.

    Without a `base` it is untrained; equal settings give equal weights, and with `predict_residual` it returns its source.

    Raises:
        ModelError: the base cannot be loaded, or cannot work at this size.
    """
    if settings.base:
        return _based(settings)
    model = settings.model
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        tokenizer = small_tokenizer(model.text_length)
        text_encoder = small_text_encoder(tokenizer, width=model.text_width, layers=model.text_layers)
        vae = PatchAutoencoder(patch=model.patch)
        unet = _small_unet(model, latent_channels=3 * model.patch**2)
        images = _image_parts(model)
    return VIDiffPipeline(
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=make_scheduler(settings.noise),
        **images,
        fade_noise=settings.noise.fade,
        **_sampling(settings),
    )


def _based(settings: TrainSettings) -> VIDiffPipeline:
    pipe = load_pipeline(settings.base)
    try:
        settings.check_sides(pipe.patch * 2 ** (len(pipe.unet.config.block_out_channels) - 1))
    except ValueError as error:
        raise ModelError(f"{settings.base}: {error}") from None
    pipe.unet.register_to_config(sample_size=settings.model.size // pipe.patch)
    pipe.register_to_config(**_sampling(settings))
    return pipe


def _sampling(settings: TrainSettings) -> dict[str, Any]:
    """Return what a model is told of how it is to be used."""
    return {
        "window": settings.model.window,
        "steps": settings.noise.steps,
        "shared_noise": settings.noise.shared,
        "guidance": {task: scales.model_dump() for task, scales in settings.guidance.items()},
        "guidance_rule": settings.guidance_rule,
    }


def make_scheduler(noise: NoiseSettings) -> DDIMScheduler:
    """Return the noise schedule; trailing steps, so that few-step sampling starts at pure noise."""
    return DDIMScheduler(
        beta_schedule=noise.schedule,
        beta_start=0.00085,
        beta_end=0.012,
        prediction_type=noise.prediction,
        rescale_betas_zero_snr=noise.zero_terminal_snr,
        timestep_spacing="trailing",
        clip_sample=False,
    )


def _image_parts(model: ModelSettings) -> dict[str, Any]:
    if model.image_width == 0:
        return {}
    encoder = small_image_encoder(
        side=model.image_size, patch=model.image_patch, width=model.image_width, layers=model.image_layers
    )
    return {
        "image_encoder": encoder,
        "image_projector": ImageProjector(vision_dim=model.image_width, context_dim=model.text_width),
    }


def _small_unet(model: ModelSettings, latent_channels: int) -> VIDiffUNet:
    deeper = len(model.channels) - 1
    unet: VIDiffUNet = VIDiffUNet(
        sample_size=model.size // model.patch,
        in_channels=2 * latent_channels,
        out_channels=latent_channels,
        down_block_types=(*("DownBlockMotion",) * deeper, "CrossAttnDownBlockMotion"),
        up_block_types=("CrossAttnUpBlockMotion", *("UpBlockMotion",) * deeper),
        block_out_channels=model.channels,
        layers_per_block=model.layers,
        norm_num_groups=model.groups,
        cross_attention_dim=model.text_width,
        num_attention_heads=model.spatial_heads,
        motion_num_attention_heads=model.temporal_heads,
        predict_residual=model.predict_residual,
    )
    if model.predict_residual:
        _start_at_the_source(unet)
    return unet


def _start_at_the_source(unet: VIDiffUNet) -> None:
    """Let the network return its source and look at nothing but its source; what the noise says is learnt from there.

    The zero weights for the noisy latent are a choice that was not measured by itself.
    """
    nn.init.zeros_(unet.conv_out.weight)
    nn.init.zeros_(unet.conv_out.bias)
    with torch.no_grad():
        unet.conv_in.weight[:, : unet.config.out_channels] = 0
