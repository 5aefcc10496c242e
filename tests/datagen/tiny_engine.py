"""The smallest diffusers pipelines and CLIP of the true classes, of random weights, for the tests to save and load."""

from pathlib import Path
from typing import Any

LENGTH, WIDTH = 24, 32
KINDS = ("StableDiffusionPipeline", "AnimateDiffPipeline", "TextToVideoSDPipeline")


def tokenizer() -> Any:
    """Cuts every word into its letters, so that words have different numbers of tokens."""
    from tokenizers import pre_tokenizers
    from transformers import CLIPTokenizer

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = [*letters, *(letter + "</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(vocab={word: i for i, word in enumerate(words)}, merges=[], model_max_length=LENGTH)


def _text_settings(tokens: Any) -> dict[str, Any]:
    return {
        "vocab_size": len(tokens),
        "hidden_size": WIDTH,
        "intermediate_size": 2 * WIDTH,
        "projection_dim": WIDTH,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "max_position_embeddings": LENGTH,
        "bos_token_id": tokens.bos_token_id,
        "eos_token_id": tokens.eos_token_id,
        "pad_token_id": tokens.pad_token_id,
    }


def pipeline(kind: str) -> Any:
    """Make a pipeline of a class."""
    import diffusers
    import torch
    from transformers import CLIPTextConfig, CLIPTextModel

    torch.manual_seed(0)
    tokens = tokenizer()
    parts: dict[str, Any] = {
        "tokenizer": tokens,
        "text_encoder": CLIPTextModel(CLIPTextConfig(**_text_settings(tokens))).eval(),
        "vae": diffusers.AutoencoderKL(
            block_out_channels=(8, 8),
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            norm_num_groups=4,
            sample_size=16,
        ),
        "scheduler": diffusers.DDIMScheduler(clip_sample=False, steps_offset=1),
    }
    sizes = {"block_out_channels": (32, 32), "layers_per_block": 1, "cross_attention_dim": WIDTH, "norm_num_groups": 8}
    image = {
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
    }
    if kind == "TextToVideoSDPipeline":
        video = {name: tuple(f"{block[:-2]}3D" for block in blocks) for name, blocks in image.items()}
        unet = diffusers.UNet3DConditionModel(sample_size=8, attention_head_dim=8, **sizes, **video)
        return diffusers.TextToVideoSDPipeline(unet=unet, **parts)
    unet = diffusers.UNet2DConditionModel(sample_size=8, attention_head_dim=2, **sizes, **image)
    if kind == "AnimateDiffPipeline":
        adapter = motion_adapter()
        return diffusers.AnimateDiffPipeline(unet=unet, motion_adapter=adapter, **parts)
    return diffusers.StableDiffusionPipeline(
        unet=unet, safety_checker=None, feature_extractor=None, requires_safety_checker=False, **parts
    )


def motion_adapter() -> Any:
    """Make what adds motion to the picture pipeline."""
    import diffusers

    return diffusers.MotionAdapter(
        block_out_channels=(32, 32),
        motion_layers_per_block=1,
        motion_norm_num_groups=8,
        motion_num_attention_heads=2,
        motion_max_seq_length=8,
    )


def save_clip(folder: Path) -> None:
    """Save a CLIP with its processors."""
    import torch
    from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel

    torch.manual_seed(0)
    tokens = tokenizer()
    vision = {
        "hidden_size": WIDTH,
        "intermediate_size": 2 * WIDTH,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": 32,
        "patch_size": 8,
    }
    CLIPModel(
        CLIPConfig(text_config=_text_settings(tokens), vision_config=vision, projection_dim=WIDTH)
    ).save_pretrained(folder)
    tokens.save_pretrained(folder)
    CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size=32).save_pretrained(folder)
