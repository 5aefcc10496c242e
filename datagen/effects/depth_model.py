"""Depth of real video from a monocular depth model with Hugging Face weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from configs import ConfigError, MissingExtraError, no_weights
from configs.libraries import quiet_libraries
from datagen.effects.weights import digest_of
from shards.sample import Video

_NEAREST = 0.05
"""Least relative disparity: what a model puts at infinity lies at twenty times the nearest distance."""
_PERCENTILES = (2, 98)
Meaning = Literal["metres", "disparity", "inverse metres by focal length"]


def _of_dpt(config: Any) -> Meaning:
    # MiDaS' own give disparity; those on DINOv2 were trained on NYU and KITTI, whose numbers are metres
    backbone = getattr(config.backbone_config, "model_type", "")
    return "metres" if config.add_projection or backbone == "dinov2" else "disparity"


_MEANINGS: Mapping[str, Callable[[Any], Meaning]] = {
    "depth_anything": lambda config: "disparity",
    "depth_pro": lambda config: "inverse metres by focal length" if config.use_fov_model else "disparity",
    "dpt": _of_dpt,
    "glpn": lambda config: "metres",
    "tipsv2_dpt": lambda config: "metres",
    "zoedepth": lambda config: "metres",
}
"""What the numbers of a model are, by the type in its config; `depth_estimation_type`, where that says it, comes first."""
_SAID: Mapping[str, Meaning] = {"metric": "metres", "relative": "disparity"}


def describe_model(name: str) -> dict[str, Any]:
    """Return what to record of a depth model: `depth` and `depth_unit`.

    Raises:
        MissingExtraError: there are no weights of that name, here or on the hub.
        ConfigError: it is of a type of which it is not known what its numbers are.
    """
    _, model = _load(name)
    recorded = {"kind": f"model:{name}", "architecture": type(model).__name__, "weights": _digest(name)}
    relative = meaning_of(model.config) == "disparity"
    return {"depth": recorded, "depth_unit": "nearest distance in the clip" if relative else "metre"}


def meaning_of(config: Any) -> Meaning:
    """Return what a model with this config of transformers predicts.

    Raises:
        ConfigError: that is not known of its type.
    """
    if config.model_type not in _MEANINGS:
        raise ConfigError(
            f"depth models of type {config.model_type!r} are not known here: whether they give depth or its inverse, and in "
            f"what unit; known are {', '.join(_MEANINGS)}"
        )
    said = _SAID.get(str(getattr(config, "depth_estimation_type", "")))
    return said or _MEANINGS[config.model_type](config)


def model_depth(video: Video, name: str) -> NDArray[np.float32]:
    """Return float32 [t h w]: metres from a metric model; from a relative one multiples of the nearest distance.

    A relative model gives disparity up to scale and shift, frame by frame. One scale and shift for the whole clip (its 2nd
    and 98th percentile become 0.05 and 1) and a mean over five neighbouring frames keep it from flickering.
    """
    raw = _predict(video, name)
    if meaning_of(_load(name)[1].config) == "disparity":
        low, high = np.percentile(raw, _PERCENTILES)
        disparity = (raw - np.float32(low)) / np.float32(max(high - low, 1e-6))
        depth = 1 / np.clip(disparity * np.float32(1 - _NEAREST) + np.float32(_NEAREST), _NEAREST, 1)
    else:
        depth = np.maximum(raw, np.float32(1e-3))
    flat = depth.reshape(len(depth), -1)
    smooth = cv2.blur(flat, (1, 5), borderType=cv2.BORDER_REPLICATE) if len(flat) > 1 else flat
    return np.ascontiguousarray(smooth.reshape(depth.shape), np.float32)


def _predict(video: Video, name: str) -> NDArray[np.float32]:
    """Return float32 [t h w]: metres, or the disparity of a relative model."""
    import torch

    processor, model = _load(name)
    height, width = video.shape[1:3]
    depth = np.empty(video.shape[:3], np.float32)
    for i, frame in enumerate(video):
        inputs = processor(images=frame, return_tensors="pt")
        with torch.inference_mode():
            output = model(**inputs)
        found = output.predicted_depth[0].float().numpy()
        depth[i] = _at_size(found, height, width, padded=_is_padded(processor))
        if meaning_of(model.config) == "inverse metres by focal length":
            # Depth Pro, section 3.2: metres = focal length / (width * C), and width / focal length = 2 tan(view / 2)
            spread = 2 * math.tan(math.radians(float(output.field_of_view.flatten()[0])) / 2)
            depth[i] = 1 / np.clip(depth[i] * np.float32(spread), 1e-4, 1e4)
    return depth


def _is_padded(processor: Any) -> bool:
    return type(processor).__name__.startswith("ZoeDepth") and bool(processor.do_pad)


def _at_size(found: NDArray[np.float32], height: int, width: int, *, padded: bool) -> NDArray[np.float32]:
    """Return float32 [h w]; `padded`: what was found is of the picture with the borders that ZoeDepth's processor adds."""
    top, left = (int(np.sqrt(side / 2) * 3) if padded else 0 for side in (height, width))
    size = (width + 2 * left, height + 2 * top)
    whole = cv2.resize(found, size, interpolation=cv2.INTER_CUBIC)
    return np.asarray(whole[top : top + height, left : left + width], np.float32)


@cache
def _load(name: str) -> tuple[Any, Any]:
    import torch
    from transformers import AutoConfig, AutoImageProcessor, AutoModelForDepthEstimation

    quiet_libraries()
    # bits must not depend on how many cores there are
    torch.set_num_threads(1)
    try:
        meaning_of(AutoConfig.from_pretrained(name))
        # the other backend needs torchvision
        processor = AutoImageProcessor.from_pretrained(name, backend="pil")
        model = AutoModelForDepthEstimation.from_pretrained(name).eval()
    except (OSError, ValueError) as error:
        raise MissingExtraError(
            f"no depth model {name!r} here ({no_weights(name, error)}); give a folder with its weights, go online once, "
            "or set depth to prior"
        ) from None
    return processor, model


@cache
def _digest(name: str) -> str:
    return digest_of(_load(name)[1].state_dict())
