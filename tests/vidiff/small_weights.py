"""Small models of random weights in the layout of Stable Diffusion's, as the hub has them."""

from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel

from vidiff.conditioning import small_text_encoder, small_tokenizer


def small_unet(in_channels: int = 4, **options) -> UNet2DConditionModel:
    """The layout of Stable Diffusion's, a tenth as wide."""
    torch.manual_seed(1)
    shape = {
        "sample_size": 8,
        "in_channels": in_channels,
        "out_channels": 4,
        "block_out_channels": (16, 32, 64, 64),
        "layers_per_block": 2,
        "norm_num_groups": 8,
        "cross_attention_dim": 32,
        "attention_head_dim": 8,
    }
    return UNet2DConditionModel(**(shape | options)).eval()


def write_pretrained(root: Path, flat: UNet2DConditionModel) -> Path:
    """Write a whole model around a 2D U-Net."""
    torch.manual_seed(2)
    tokenizer = small_tokenizer(77)
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(8, 8, 16, 16),
        norm_num_groups=4,
        latent_channels=4,
        sample_size=64,
    )
    parts = {
        "unet": flat,
        "vae": vae,
        "text_encoder": small_text_encoder(tokenizer, width=32, layers=1),
        "tokenizer": tokenizer,
        "scheduler": DDIMScheduler(beta_schedule="scaled_linear", clip_sample=False, steps_offset=1),
    }
    for part, module in parts.items():
        module.save_pretrained(root / part)
    return root
