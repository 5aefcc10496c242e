"""Inception-v3 of the FID paper, as StyleGAN's TorchScript file has it."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.networks.i3d import load_script
from shards.sample import Video
from vidiff.devices import choose_device

_BATCH = 16


def inception_features(clip: Video, place: str) -> NDArray[np.float32]:
    """Return what the network sees in each frame of a clip uint8 [t h w 3]: float32 [t 2048].

    The network itself scales frames to 299 x 299, bilinear, as TensorFlow did.

    Raises:
        NotAvailable: it cannot be loaded.
    """
    # the file may hold its weights as other things than parameters, which would tell where it is
    network, device = _load(place), choose_device()
    found = []
    with torch.inference_mode():
        for start in range(0, len(clip), _BATCH):
            frames = torch.from_numpy(clip[start : start + _BATCH].copy()).to(device).permute(0, 3, 1, 2)
            found.append(network(frames, return_features=True).float().cpu().numpy())
    return np.concatenate(found)


@lru_cache(maxsize=1)
def _load(place: str) -> Any:
    return load_script(place)
