"""What a CLIP sees in frames, and reads in words."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.networks.places import NotAvailable, unusable
from shards.sample import Video

Features = NDArray[np.float64]
"""float64 [n d], each of length 1."""
_BATCH = 16
_PROCESSOR = "preprocessor_config.json"
_PICKSCORE = "yuvalkirstain/PickScore_v1"
_READER = "laion/CLIP-ViT-H-14-laion2B-s32B-b79K"
"""Whose picture processor and tokenizer PickScore takes, which is published without its own."""


def image_features(video: Video, place: str) -> Features:
    """Return the embeddings of the frames of uint8 [t h w 3], by the model in `place` and its own picture processor.

    `place`: a folder that `save_pretrained` wrote, or a name on the hub that its cache holds.

    Raises:
        NotAvailable: it cannot be loaded.
    """
    import torch

    model, processor, _ = load_clip(place)
    found = []
    with torch.inference_mode():
        for start in range(0, len(video), _BATCH):
            frames = list(video[start : start + _BATCH])
            pixels = processor(images=frames, return_tensors="pt")["pixel_values"].to(model.device)
            embedded = model.visual_projection(model.vision_model(pixel_values=pixels).pooler_output)
            found.append(embedded.double().cpu().numpy())
    return _unit(np.concatenate(found))


def text_features(texts: Sequence[str], place: str) -> Features:
    """Return the embeddings of texts; longer ones than the model reads are cut.

    Raises:
        NotAvailable: the model or its tokenizer cannot be loaded.
    """
    import torch

    model, _, tokenizer = load_clip(place)
    longest = model.config.text_config.max_position_embeddings
    tokens = tokenizer(list(texts), padding=True, truncation=True, max_length=longest, return_tensors="pt")
    with torch.inference_mode():
        read = model.text_model(**tokens.to(model.device)).pooler_output
        return _unit(model.text_projection(read).double().cpu().numpy())


def temperature(place: str) -> float:
    """Return what the model multiplies a cosine with."""
    return float(load_clip(place)[0].logit_scale.detach().exp())


@lru_cache(maxsize=2)
def load_clip(place: str) -> tuple[Any, Any, Any]:
    """Return a CLIP, its picture processor and its tokenizer from a folder or the hub's cache, on the GPU if there is one."""
    from transformers import AutoImageProcessor, AutoTokenizer, CLIPModel

    from configs.libraries import quiet_libraries
    from vidiff.devices import choose_device

    quiet_libraries()
    bare = place == _PICKSCORE or (Path(place).is_dir() and not (Path(place) / _PROCESSOR).is_file())
    reader = _READER if bare else place
    try:
        model = CLIPModel.from_pretrained(place, local_files_only=True, use_safetensors=True)
    except Exception as error:  # a folder of another kind fails in ways of its own
        raise unusable(place, error) from error
    try:
        # by Pillow: torchvision, where it is installed, scales pictures a little otherwise
        processor = AutoImageProcessor.from_pretrained(reader, local_files_only=True, backend="pil")
        tokenizer = AutoTokenizer.from_pretrained(reader, local_files_only=True)
    except Exception as error:
        if not bare:
            raise unusable(place, error) from error
        raise NotAvailable(
            f"weights: {place} is without picture processor and tokenizer, and those of {reader}, 4 MB, are not in Hugging "
            "Face's cache; put them there"
        ) from error
    return model.to(choose_device()).eval(), processor, tokenizer


def _unit(vectors: NDArray[np.float64]) -> Features:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
