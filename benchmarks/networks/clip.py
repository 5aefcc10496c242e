"""What a CLIP sees in frames, and reads in words."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.networks.places import unusable
from shards.sample import Video

Features = NDArray[np.float64]
"""float64 [n d], each of length 1."""
_BATCH = 16
_SAME_READER = {"yuvalkirstain/PickScore_v1": "laion/CLIP-ViT-H-14-laion2B-s32B-b79K"}
"""Models that are published without their picture processor and tokenizer, and where these lie."""


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
    reader = _SAME_READER.get(place, place)
    try:
        model = CLIPModel.from_pretrained(place, local_files_only=True, use_safetensors=True)
        processor = AutoImageProcessor.from_pretrained(reader, local_files_only=True)
        tokenizer = AutoTokenizer.from_pretrained(reader, local_files_only=True)
    except Exception as error:  # a folder of another kind fails in ways of its own
        raise unusable(place, error) from error
    return model.to(choose_device()).eval(), processor, tokenizer


def _unit(vectors: NDArray[np.float64]) -> Features:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
