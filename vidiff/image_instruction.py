"""The image instruction: CLIP-Vision's patch tokens through an MLP, beside the tokens of the text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import CLIPVisionConfig, CLIPVisionModel
from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

from configs import ModelError
from vidiff.conditioning import encode_text, join_tokens

Picture = NDArray[np.uint8]
SIDE = 224
"""Pixels that every image instruction is brought to before anything looks at it: CLIP's own size."""


class ImageProjector(ModelMixin, ConfigMixin):  # type: ignore[misc]
    """An MLP from CLIP-Vision's patch tokens to the U-Net's context, and the token that stands for "no image".

    Linear, GELU, Linear, LayerNorm, as in IP-Adapter's variant over all patch tokens (arXiv 2308.06721); the learned null
    is that of Paint-by-Example (arXiv 2211.13227).
    """

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(self, vision_dim: int = 1024, context_dim: int = 768, hidden_dim: int | None = None) -> None:
        super().__init__()
        hidden = hidden_dim or vision_dim
        self.mlp = nn.Sequential(
            nn.Linear(vision_dim, hidden), nn.GELU(), nn.Linear(hidden, context_dim), nn.LayerNorm(context_dim)
        )
        self.null = nn.Parameter(torch.zeros(context_dim))

    def forward(self, patches: Tensor, present: Tensor | None = None) -> Tensor:
        """Return the context tokens float [b n context_dim] of patch tokens float [b n vision_dim].

        `present`: bool [b], which images there are; the others' tokens are the null.
        """
        null = self.null.expand(*patches.shape[:2], -1)
        if present is not None and not present.any():
            return null
        tokens: Tensor = self.mlp(patches)
        return tokens if present is None else torch.where(present[:, None, None], tokens, null.to(tokens.dtype))


def to_square(image: Picture) -> Picture:
    """Return uint8 [224 224 3]: the middle of an image uint8 [h w 3], to the bit as CLIP's own processor makes it."""
    height, width = image.shape[:2]
    short, long = SIDE, int(SIDE * max(height, width) / min(height, width))
    size = (short, long) if height > width else (long, short)
    resized = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))
    top, left = (size[1] - SIDE) // 2, (size[0] - SIDE) // 2
    # a copy: what PIL hands out cannot be written to, which torch warns of
    return np.array(resized[top : top + SIDE, left : left + SIDE])


def encode_images(encoder: CLIPVisionModel, images: Tensor) -> Tensor:
    """Return CLIP-Vision's patch tokens, float [b n d], without the class token, of images uint8 [b 3 224 224]."""
    side = encoder.config.image_size
    pixels = images.float() / 255
    if side != SIDE:
        pixels = F.interpolate(pixels, (side, side), mode="bicubic", antialias=True).clamp(0, 1)
    mean, std = (
        torch.tensor(values, device=pixels.device)[:, None, None] for values in (OPENAI_CLIP_MEAN, OPENAI_CLIP_STD)
    )
    tokens: Tensor = encoder(((pixels - mean) / std).to(encoder.dtype)).last_hidden_state[:, 1:]
    return tokens


def instruction_tokens(
    pipe: Any, instructions: Sequence[str], images: Tensor | None = None, present: Tensor | None = None
) -> Tensor:
    """Return the U-Net's context, float [b n d]: text tokens, then those of the image instruction.

    A model with an image encoder always gets both: where there is no text it sees the empty text, and where there is no
    image the learned null at every place. `images`: uint8 [b 3 224 224]. `present`: bool [b], which of them count.

    Raises:
        ModelError: there is an image, and the model has no image encoder.
    """
    # where the arithmetic runs: weights that are offloaded are elsewhere until they are used
    device = pipe._execution_device
    text = encode_text(pipe.tokenizer, pipe.text_encoder, instructions, device)
    if pipe.image_projector is None:
        if images is not None and (present is None or bool(present.any())):
            raise ModelError("this model takes no image instruction: it has no image encoder; leave the image out")
        return text
    if images is None:
        config = pipe.image_encoder.config
        places = (config.image_size // config.patch_size) ** 2
        patches = torch.zeros(len(text), places, config.hidden_size, device=device)
        present = torch.zeros(len(text), dtype=torch.bool)
    else:
        patches = encode_images(pipe.image_encoder, images.to(device))
    tokens = pipe.image_projector(patches, None if present is None else present.to(device))
    return join_tokens(text, tokens.to(text.dtype))


def small_image_encoder(*, side: int, patch: int, width: int, layers: int) -> CLIPVisionModel:
    """Make an untrained CLIP vision encoder."""
    config = CLIPVisionConfig(
        image_size=side,
        patch_size=patch,
        hidden_size=width,
        intermediate_size=2 * width,
        projection_dim=width,
        num_hidden_layers=layers,
        num_attention_heads=max(1, width // 32),
    )
    return CLIPVisionModel(config)
