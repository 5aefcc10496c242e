"""How well a generated pair shows its captions and their difference, by a CLIP with Hugging Face weights."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from configs import MissingExtraError, no_weights
from configs.libraries import quiet_libraries
from datagen.effects.weights import digest_of
from shards.sample import Video


def describe_clip(name: str) -> dict[str, Any]:
    """Return what to record of a CLIP.

    Raises:
        MissingExtraError: there are no weights of that name, here or on the hub.
    """
    return {"name": name, "weights": _digest(name)}


def clip_scores(sides: tuple[Video, Video], captions: tuple[str, str], name: str, device: str) -> dict[str, float]:
    """Return cosines in CLIP's space, each the mean over the frames of two clips uint8 [t h w 3], higher is better.

    `pair_clip_image`: between the clips, frame by frame. `pair_clip_text`: between a clip and its caption, the lesser of
    the two. `pair_clip_direction`: between the change of the picture and that of the caption (StyleGAN-NADA, Gal et al.,
    arXiv 2108.00946). These are the three filters of InstructPix2Pix (arXiv 2211.09800, section 3.1.2).
    """
    import torch
    import torch.nn.functional as F

    processor, tokenizer, model = _load(name)
    model.to(device)
    before, after = (_images(processor, model, side) for side in sides)
    texts = _texts(tokenizer, model, captions)
    found = {
        "image": F.cosine_similarity(before, after).mean(),
        "text": torch.stack(
            [F.cosine_similarity(e, t[None]).mean() for e, t in zip((before, after), texts, strict=True)]
        ).min(),
        "direction": F.cosine_similarity(after - before, (texts[1] - texts[0])[None]).mean(),
    }
    return {f"pair_clip_{what}": round(float(value), 4) for what, value in found.items()}


def _images(processor: Any, model: Any, clip: Video) -> Any:
    """Return unit vectors float [t d]."""
    import torch
    import torch.nn.functional as F

    pixels = processor(images=list(clip), return_tensors="pt").pixel_values
    with torch.inference_mode():
        return F.normalize(_vectors(model.get_image_features(pixels.to(model.device))), dim=-1)


def _texts(tokenizer: Any, model: Any, captions: Sequence[str]) -> Any:
    import torch
    import torch.nn.functional as F

    length = model.config.text_config.max_position_embeddings
    tokens = tokenizer(list(captions), padding=True, truncation=True, max_length=length, return_tensors="pt")
    with torch.inference_mode():
        return F.normalize(_vectors(model.get_text_features(**tokens.to(model.device))), dim=-1)


def _vectors(found: Any) -> Any:
    """Return the projected vectors: transformers 5 wraps them, 4 does not."""
    return getattr(found, "pooler_output", found).float()


@cache
def _load(name: str) -> tuple[Any, Any, Any]:
    from transformers import AutoImageProcessor, AutoTokenizer, CLIPModel

    quiet_libraries()
    try:
        # the other backend needs torchvision
        processor = AutoImageProcessor.from_pretrained(name, backend="pil")
        tokenizer = AutoTokenizer.from_pretrained(name)
        model = CLIPModel.from_pretrained(name).eval()
    except (OSError, ValueError) as error:
        raise MissingExtraError(
            f"no CLIP {name!r} here ({no_weights(name, error)}); give a folder with its weights, go online once, "
            "or leave engine.clip out"
        ) from None
    return processor, tokenizer, model


@cache
def _digest(name: str) -> str:
    return digest_of(_load(name)[2].state_dict())
