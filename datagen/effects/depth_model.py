"""Depth of real video from a monocular depth model with Hugging Face weights."""

from __future__ import annotations

from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from configs import MissingExtraError
from configs.libraries import quiet_libraries
from datagen.effects.weights import digest_of
from shards.sample import Video

_NEAREST = 0.05
"""Least relative disparity: what a model puts at infinity lies at twenty times the nearest distance."""
_PERCENTILES = (2, 98)


def describe_model(name: str) -> dict[str, Any]:
    """Return what to record of a depth model: `depth` and `depth_unit`.

    Raises:
        MissingExtraError: there are no weights of that name, here or on the hub.
    """
    _, model = _load(name)
    metric = getattr(model.config, "depth_estimation_type", "relative") == "metric"
    recorded = {"kind": f"model:{name}", "architecture": type(model).__name__, "weights": _digest(name)}
    return {"depth": recorded, "depth_unit": "metre" if metric else "nearest distance in the clip"}


def model_depth(video: Video, name: str) -> NDArray[np.float32]:
    """Return float32 [t h w]: metres from a metric model; from a relative one multiples of the nearest distance.

    A relative model gives disparity up to scale and shift, frame by frame. One scale and shift for the whole clip (its 2nd
    and 98th percentile become 0.05 and 1) and a mean over five neighbouring frames keep it from flickering.
    """
    raw = _predict(video, name)
    _, model = _load(name)
    if getattr(model.config, "depth_estimation_type", "relative") == "metric":
        depth = np.maximum(raw, np.float32(1e-3))
    else:
        low, high = np.percentile(raw, _PERCENTILES)
        disparity = (raw - np.float32(low)) / np.float32(max(high - low, 1e-6))
        depth = 1 / np.clip(disparity * np.float32(1 - _NEAREST) + np.float32(_NEAREST), _NEAREST, 1)
    flat = depth.reshape(len(depth), -1)
    smooth = cv2.blur(flat, (1, 5), borderType=cv2.BORDER_REPLICATE) if len(flat) > 1 else flat
    return np.ascontiguousarray(smooth.reshape(depth.shape), np.float32)


def _predict(video: Video, name: str) -> NDArray[np.float32]:
    import torch

    processor, model = _load(name)
    height, width = video.shape[1:3]
    depth = np.empty(video.shape[:3], np.float32)
    for i, frame in enumerate(video):
        inputs = processor(images=frame, return_tensors="pt")
        with torch.inference_mode():
            found = model(**inputs).predicted_depth[0].float().numpy()
        depth[i] = cv2.resize(found, (width, height), interpolation=cv2.INTER_CUBIC)
    return depth


@cache
def _load(name: str) -> tuple[Any, Any]:
    import torch
    from transformers import AutoImageProcessor, AutoModelForDepthEstimation

    quiet_libraries()
    # bits must not depend on how many cores there are
    torch.set_num_threads(1)
    try:
        # the other backend needs torchvision
        processor = AutoImageProcessor.from_pretrained(name, backend="pil")
        model = AutoModelForDepthEstimation.from_pretrained(name).eval()
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:140]
        raise MissingExtraError(
            f"no depth model {name!r} here ({reason}); give a folder with its weights, go online once, or set depth to prior"
        ) from None
    return processor, model


@cache
def _digest(name: str) -> str:
    return digest_of(_load(name)[1].state_dict())
