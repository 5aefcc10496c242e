"""I3D (Carreira & Zisserman, CVPR 2017), the network that learnt to name actions, in the two forms that papers score with."""

from __future__ import annotations

import warnings
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.networks.places import unusable
from shards.sample import Video
from vidiff.devices import choose_device

_MIXED = {
    # channels of the branches: 1x1, 1x1 before 3x3, 3x3, 1x1 before the second 3x3, that, 1x1 after pooling
    "Mixed_3b": (64, 96, 128, 16, 32, 32),
    "Mixed_3c": (128, 128, 192, 32, 96, 64),
    "Mixed_4b": (192, 96, 208, 16, 48, 64),
    "Mixed_4c": (160, 112, 224, 24, 64, 64),
    "Mixed_4d": (128, 128, 256, 24, 64, 64),
    "Mixed_4e": (112, 144, 288, 32, 64, 64),
    "Mixed_4f": (256, 160, 320, 32, 128, 128),
    "Mixed_5b": (256, 160, 320, 32, 128, 128),
    "Mixed_5c": (384, 192, 384, 48, 128, 128),
}
_POOL_BEFORE = {"Mixed_4b": "MaxPool3d_4a_3x3", "Mixed_5b": "MaxPool3d_5a_2x2"}


def scripted_features(clip: Video, place: str) -> NDArray[np.float32]:
    """Return what StyleGAN-V's TorchScript I3D says of a clip uint8 [t h w 3]: float32 [1 400], for FVD.

    The network brings its own scaling of values and sizes (224 x 224, as Unterthiner et al. 2018).

    Raises:
        NotAvailable: it cannot be loaded.
    """
    network = _load_scripted(place)
    pixels = torch.from_numpy(clip.copy()).to(choose_device()).permute(3, 0, 1, 2)[None].float()
    with torch.inference_mode():
        found = network(pixels, rescale=True, resize=True, return_features=True)
    return np.asarray(found.float().cpu().numpy())


def mean_features(clip: Video, place: str) -> NDArray[np.float32]:
    """Return the mean of I3D's last block over a clip uint8 [t h w 3]: float32 [1 1024], for VFID.

    As the inpainting papers do it (`core/metrics.py` of E2FGVI and ProPainter): values from 0 to 1, at the clip's own size.

    Raises:
        NotAvailable: it cannot be loaded.
    """
    network = _load(place)
    pixels = torch.from_numpy(clip.copy()).to(choose_device()).permute(3, 0, 1, 2)[None].float() / 255
    with torch.inference_mode():
        return np.asarray(network(pixels).mean(dim=(2, 3, 4)).cpu().numpy())


class I3D(nn.Module):
    """All blocks up to the last one, with the names that the published file has."""

    def __init__(self) -> None:
        super().__init__()
        self.add_module("Conv3d_1a_7x7", _Unit(3, 64, 7, stride=2))
        self.add_module("MaxPool3d_2a_3x3", _Pool((1, 3, 3), (1, 2, 2)))
        self.add_module("Conv3d_2b_1x1", _Unit(64, 64, 1))
        self.add_module("Conv3d_2c_3x3", _Unit(64, 192, 3))
        self.add_module("MaxPool3d_3a_3x3", _Pool((1, 3, 3), (1, 2, 2)))
        channels = 192
        for name, widths in _MIXED.items():
            if name in _POOL_BEFORE:
                side = 3 if name == "Mixed_4b" else 2
                self.add_module(_POOL_BEFORE[name], _Pool((side,) * 3, (2, 2, 2)))
            self.add_module(name, _Mixed(channels, widths))
            channels = widths[0] + widths[2] + widths[4] + widths[5]

    def forward(self, pixels: Tensor) -> Tensor:
        """Return the last block of float [n 3 t h w]: float [n 1024 t/8 h/32 w/32]."""
        for block in self.children():
            pixels = block(pixels)
        return pixels


class _Pool(nn.Module):
    """The maximum, with zeros around as TensorFlow's SAME."""

    def __init__(self, size: tuple[int, ...], stride: tuple[int, ...]) -> None:
        super().__init__()
        self.size, self.stride = size, stride

    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool3d(_padded(x, self.size, self.stride), self.size, self.stride)


class _Unit(nn.Module):
    """A convolution without bias, normalised, rectified."""

    def __init__(self, inputs: int, outputs: int, side: int, stride: int = 1) -> None:
        super().__init__()
        self.conv3d = nn.Conv3d(inputs, outputs, side, stride, bias=False)
        self.bn = nn.BatchNorm3d(outputs, eps=0.001)
        self.size, self.stride = (side,) * 3, (stride,) * 3

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv3d(_padded(x, self.size, self.stride))))


class _Mixed(nn.Module):
    """Four branches side by side."""

    def __init__(self, inputs: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.b0 = _Unit(inputs, widths[0], 1)
        self.b1a, self.b1b = _Unit(inputs, widths[1], 1), _Unit(widths[1], widths[2], 3)
        self.b2a, self.b2b = _Unit(inputs, widths[3], 1), _Unit(widths[3], widths[4], 3)
        self.b3a, self.b3b = _Pool((3, 3, 3), (1, 1, 1)), _Unit(inputs, widths[5], 1)

    def forward(self, x: Tensor) -> Tensor:
        branches = (self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), self.b3b(self.b3a(x)))
        return torch.cat(branches, dim=1)


def _padded(x: Tensor, size: tuple[int, ...], stride: tuple[int, ...]) -> Tensor:
    """Return x [n c t h w] with zeros around, the smaller half in front, so that every stride has its whole window."""
    sides = []
    for length, own, step in zip(x.shape[2:], size, stride, strict=True):
        lacking = max(own - (length % step or step), 0)
        sides.append((lacking // 2, lacking - lacking // 2))
    return F.pad(x, [side for pair in reversed(sides) for side in pair])


@lru_cache(maxsize=1)
def _load(place: str) -> I3D:
    network = I3D()
    try:
        known = torch.load(place, map_location="cpu", weights_only=True)
        # the last layer names actions, and nobody asks for them here
        network.load_state_dict({name: value for name, value in known.items() if not name.startswith("logits.")})
    except Exception as error:  # a file of another kind fails in ways of its own
        raise unusable(place, error) from error
    return network.to(choose_device()).eval()


@lru_cache(maxsize=1)
def _load_scripted(place: str) -> Any:
    return load_script(place)


def load_script(place: str) -> Any:
    """Return a TorchScript network, on the GPU if there is one.

    Raises:
        NotAvailable: it is none.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            return torch.jit.load(place, map_location=choose_device()).eval()  # type: ignore[no-untyped-call]
    except Exception as error:  # a file of another kind fails in ways of its own
        raise unusable(place, error) from error
