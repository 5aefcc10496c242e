"""What CLIP sees in an answer: the same thing in every frame, and the thing that was asked for."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.metrics.base import NotAvailable
from shards.sample import Video

Features = NDArray[np.float64]
"""float64 [n d], each of length 1."""
CLIP = "openai/clip-vit-large-patch14"
MISSING = "missing"
_BATCH = 16


def consistency_of_all(features: Features) -> float:
    """Return the mean cosine over all pairs of frames, times 100 (TGVE's frame consistency).

    Raises:
        ValueError: a single frame.
    """
    count = len(features)
    if count < 2:
        raise ValueError("frame consistency compares frames, and there is one only")
    cosines = features @ features.T
    return float(100 * (cosines.sum() - np.trace(cosines)) / (count * (count - 1)))


def consistency_of_neighbours(features: Features) -> NDArray[np.float64]:
    """Return the cosine of each frame and the next one, times 100 (V2VBench's): float64 [n - 1]."""
    return np.asarray(100 * (features[:-1] * features[1:]).sum(axis=1))


def likeness(a: Features, b: Features) -> NDArray[np.float64]:
    """Return the cosine of each frame of one clip and that of another, times 100: float64 [n]."""
    return np.asarray(100 * (a * b).sum(axis=1))


def image_features(video: Video, place: str) -> Features:
    """Return CLIP's embeddings of the frames of uint8 [t h w 3], by the model in `place` and its own picture processor.

    `place`: a folder that `save_pretrained` wrote, or a name on the hub that its cache holds; nothing is fetched.

    Raises:
        NotAvailable: there is no such model here.
    """
    if clip_version(place) == MISSING:
        # before anything large is loaded: most runs have no use for it
        raise NotAvailable(_missing(place))
    import torch

    model, processor = load_clip(place)
    found = []
    with torch.inference_mode():
        for start in range(0, len(video), _BATCH):
            frames = list(video[start : start + _BATCH])
            pixels = processor(images=frames, return_tensors="pt")["pixel_values"].to(model.device)
            embedded = model.visual_projection(model.vision_model(pixel_values=pixels).pooler_output)
            found.append(embedded.double().cpu().numpy())
    features = np.concatenate(found)
    return np.asarray(features / np.linalg.norm(features, axis=1, keepdims=True))


@lru_cache(maxsize=1)
def load_clip(place: str) -> tuple[Any, Any]:
    """Return CLIP and its picture processor from a folder or the hub's cache, on the GPU where there is one."""
    from transformers import AutoImageProcessor, CLIPModel

    from configs.libraries import quiet_libraries
    from vidiff.devices import choose_device

    quiet_libraries()
    options = {"local_files_only": True, "use_safetensors": True}
    try:
        model = CLIPModel.from_pretrained(place, **options)
        processor = AutoImageProcessor.from_pretrained(place, local_files_only=True)
    except (OSError, ValueError) as error:
        raise NotAvailable(_missing(place)) from error
    return model.to(choose_device()).eval(), processor


def clip_version(place: str) -> str:
    """Return what a row's id says of the model: the sizes of its files, or that it is missing."""
    folder = Path(place)
    if folder.is_dir():
        return " ".join(f"{path.name} {path.stat().st_size}" for path in sorted(folder.iterdir()) if path.is_file())
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(place, "model.safetensors")
    except HFValidationError:  # neither a folder nor a name that the hub could have
        return MISSING
    return f"{place} {Path(found).resolve().name}" if isinstance(found, str) else MISSING


def _missing(place: str) -> str:
    what = "CLIP ViT-L/14, 1.7 GB" if place == CLIP else f"CLIP in {place}"
    return f"weights: {what}; --set weights.clip=FOLDER"
