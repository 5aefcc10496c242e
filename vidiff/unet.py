"""The video U-Net: diffusers' `UNetMotionModel` whose motion modules are a temporal convolution and temporal attention."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import (
    ModelMixin,  # noqa: F401  (diffusers loads a component of ours only if its module names this base)
    MotionAdapter,
    UNet2DConditionModel,
    UNetMotionModel,
)
from diffusers.configuration_utils import register_to_config
from diffusers.models.attention_processor import AttnProcessor, AttnProcessor2_0, SlicedAttnProcessor
from diffusers.models.resnet import TemporalConvLayer
from diffusers.models.unets.unet_motion_model import AnimateDiffTransformer3D, UNetMotionOutput
from torch import Tensor, nn

from configs import ModelError


class MotionModule(nn.Module):
    """A temporal 3D convolution, then a temporal transformer; both leave their input alone until trained.

    It takes and returns hidden states `[b*t c h w]`, with the arguments `UNetMotionModel` passes to its own modules.
    """

    def __init__(self, transformer: AnimateDiffTransformer3D, groups: int) -> None:
        super().__init__()
        # TemporalConvLayer zeroes its last convolution itself
        self.convolution = TemporalConvLayer(transformer.in_channels, norm_num_groups=groups)
        self.transformer = transformer
        nn.init.zeros_(transformer.proj_out.weight)
        nn.init.zeros_(transformer.proj_out.bias)

    def forward(
        self,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        timestep: Tensor | None = None,
        class_labels: Tensor | None = None,
        num_frames: int = 1,
        cross_attention_kwargs: dict[str, Any] | None = None,
    ) -> Tensor:
        """Return hidden states [b*t c h w]; what is not about time is not used."""
        hidden_states = self.convolution(hidden_states, num_frames=num_frames)
        moved: Tensor = self.transformer(hidden_states, num_frames=num_frames)
        return moved


class TemporalAttnProcessor:
    """Attention over frames: plain batched matmul on the CPU, scaled-dot-product attention elsewhere.

    There are as many sequences as pixels and each is a few frames long; the CPU's fused attention spends a third of
    a training step on its bookkeeping there.
    """

    def __init__(self) -> None:
        self._plain, self._fused = AttnProcessor(), AttnProcessor2_0()

    def __call__(self, attn: nn.Module, hidden_states: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Return what `attn` makes of its hidden states [n t c]."""
        processor = self._plain if hidden_states.device.type == "cpu" else self._fused
        attended: Tensor = processor(attn, hidden_states, *args, **kwargs)
        return attended


class VIDiffUNet(UNetMotionModel):  # type: ignore[misc]
    """Denoise a clip that is concatenated with its condition.

    The arguments are those of `UNetMotionModel`, and `predict_residual`: add the condition latent to the output, so
    that a network whose last layer is zero returns its source clip. That is ours, not the paper's; it makes sense
    where the network predicts the clean latent, and is off for pretrained weights.

    Source: arXiv 2311.18837 (text-to-image U-Net + temporal attention + 3D convolution, condition on channels).
    """

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        sample_size: int | None = None,
        in_channels: int = 8,
        out_channels: int = 4,
        down_block_types: tuple[str, ...] = (*("CrossAttnDownBlockMotion",) * 3, "DownBlockMotion"),
        up_block_types: tuple[str, ...] = ("UpBlockMotion", *("CrossAttnUpBlockMotion",) * 3),
        block_out_channels: tuple[int, ...] = (320, 640, 1280, 1280),
        layers_per_block: int | tuple[int, ...] = 2,
        downsample_padding: int = 1,
        mid_block_scale_factor: float = 1,
        act_fn: str = "silu",
        norm_num_groups: int = 32,
        norm_eps: float = 1e-5,
        cross_attention_dim: int = 768,
        transformer_layers_per_block: int | tuple[Any, ...] = 1,
        reverse_transformer_layers_per_block: int | tuple[Any, ...] | None = None,
        temporal_transformer_layers_per_block: int | tuple[Any, ...] = 1,
        reverse_temporal_transformer_layers_per_block: int | tuple[Any, ...] | None = None,
        transformer_layers_per_mid_block: int | tuple[int, ...] | None = None,
        temporal_transformer_layers_per_mid_block: int | tuple[int, ...] | None = 1,
        use_linear_projection: bool = False,
        num_attention_heads: int | tuple[int, ...] = 8,
        motion_max_seq_length: int = 32,
        motion_num_attention_heads: int | tuple[int, ...] = 8,
        reverse_motion_num_attention_heads: int | tuple[Any, ...] | None = None,
        use_motion_mid_block: bool = True,
        mid_block_layers: int = 1,
        encoder_hid_dim: int | None = None,
        encoder_hid_dim_type: str | None = None,
        addition_embed_type: str | None = None,
        addition_time_embed_dim: int | None = None,
        projection_class_embeddings_input_dim: int | None = None,
        time_cond_proj_dim: int | None = None,
        predict_residual: bool = False,
    ) -> None:
        named = {name: value for name, value in locals().items() if name not in {"self", "__class__"}}
        named.pop("predict_residual")
        super().__init__(**named)
        for block in (*self.down_blocks, self.mid_block, *self.up_blocks):
            modules = getattr(block, "motion_modules", [])
            block.motion_modules = nn.ModuleList(MotionModule(module, norm_num_groups) for module in modules)
        self._set_temporal_attention()

    @classmethod
    def from_2d(
        cls, unet: UNet2DConditionModel, *, adapter: MotionAdapter | None = None, predict_residual: bool = False
    ) -> VIDiffUNet:
        """Inflate a 2D U-Net: without an adapter every frame comes out as the 2D U-Net would make it.

        `unet` takes the noisy and the condition latent on channels; one that takes the noisy latent alone (a
        text-to-image U-Net) gets zeroed input channels for the condition. `adapter`: pretrained motion modules.
        """
        if unet.config.in_channels == unet.config.out_channels:
            unet = _with_condition_channels(unet)
        if unet.config.in_channels != 2 * unet.config.out_channels:
            raise ModelError(
                f"the 2D U-Net takes {unet.config.in_channels} channels; it must take {unet.config.out_channels} "
                f"(text-to-image) or {2 * unet.config.out_channels} (with a condition image)"
            )
        try:
            model: VIDiffUNet = cls.from_unet2d(unet, motion_adapter=adapter)
        except (RuntimeError, ValueError) as error:
            raise ModelError(
                f"the 2D U-Net cannot become a video U-Net: {' '.join(str(error).split())[:200]}"
            ) from None
        model.register_to_config(predict_residual=predict_residual)
        return model

    def load_motion_modules(self, motion_adapter: MotionAdapter) -> None:
        """Load a pretrained adapter's temporal transformers; the temporal convolutions keep what they have."""
        pairs = [*zip(self.down_blocks, motion_adapter.down_blocks, strict=True)]
        pairs += [*zip(self.up_blocks, motion_adapter.up_blocks, strict=True)]
        if motion_adapter.mid_block is not None:
            pairs.append((self.mid_block, motion_adapter.mid_block))
        for block, pretrained in pairs:
            for module, source in zip(block.motion_modules, pretrained.motion_modules, strict=True):
                module.transformer.load_state_dict(source.state_dict())

    def forward(
        self,
        sample: Tensor,
        timestep: Tensor | float,
        encoder_hidden_states: Tensor,
        *args: Any,
        return_dict: bool = True,
        **kwargs: Any,
    ) -> UNetMotionOutput | tuple[Tensor]:
        """Predict noise, velocity or the clean latent, as the scheduler was told.

        `sample`: float [b 2c t h w], noisy latent then condition latent. `timestep`: one number or `[b]`.
        `encoder_hidden_states`: float [b n d], one context per clip. Returns float [b c t h w].

        Raises:
            ModelError: more frames than the temporal attention has positions for.
        """
        frames, longest = sample.shape[2], self.config.motion_max_seq_length
        if frames > longest:
            raise ModelError(f"{frames} frames at once; this model takes up to {longest}: cut the clip into windows")
        context = encoder_hidden_states.repeat_interleave(frames, dim=0)
        out: Tensor = super().forward(sample, timestep, context, *args, return_dict=False, **kwargs)[0]
        if self.config.predict_residual:
            out = out + sample[:, self.config.out_channels :]
        return UNetMotionOutput(sample=out) if return_dict else (out,)

    def set_attention_slice(self, slice_size: str | int | None = "auto") -> None:
        """Compute attention over pixels and text so many maps at a time: less memory, more time.

        `auto` takes half of the heads at once, `max` one map; None goes back to all at once, which on a GPU never holds a
        map as a whole. `DiffusionPipeline.enable_attention_slicing` calls this. Attention over frames stays as it is.
        """
        heads = self.config.num_attention_heads
        most = min(heads) if isinstance(heads, list | tuple) else int(heads)
        sizes = {"auto": max(1, most // 2), "max": 1}
        size = sizes[slice_size] if isinstance(slice_size, str) else slice_size
        chosen = AttnProcessor2_0() if size is None else SlicedAttnProcessor(size)
        self.set_attn_processor(
            {name: own if "motion_modules" in name else chosen for name, own in self.attn_processors.items()}
        )

    def _set_temporal_attention(self) -> None:
        processors = self.attn_processors
        temporal = {name: TemporalAttnProcessor() for name in processors if "motion_modules" in name}
        self.set_attn_processor(processors | temporal)


def _with_condition_channels(unet: UNet2DConditionModel) -> UNet2DConditionModel:
    """Return a copy whose first convolution also takes a condition latent, with zero weights for it."""
    channels = unet.config.in_channels
    # what was left at its default is listed there, and would go back to it
    config = {name: value for name, value in unet.config.items() if name != "_use_default_values"}
    wide = UNet2DConditionModel.from_config({**config, "in_channels": 2 * channels})
    weights = dict(unet.state_dict())
    first = weights["conv_in.weight"]
    weights["conv_in.weight"] = torch.cat([first, torch.zeros_like(first)], dim=1)
    wide.load_state_dict(weights)
    return wide.to(dtype=unet.dtype)
