"""Networks that learnt to name pictures, as far as their features are compared: AlexNet and VGG-16 of torchvision.

Only their convolutions are built, from torchvision's own files, so that torchvision itself is not needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.networks.places import unusable
from shards.sample import Video

if TYPE_CHECKING:
    from torch import Tensor

_BATCH = 4
_VGG_STAGES = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
_LPIPS_SHIFT, _LPIPS_SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_TINY = 1e-6
"""What keeps DISTS' fractions finite (its authors' c1 and c2)."""


def lpips(answer: Video, target: Video, place: str) -> NDArray[np.float64]:
    """Return LPIPS (Zhang et al., CVPR 2018; AlexNet, version 0.1) of each frame of uint8 [t h w 3]: float64 [t].

    `place`: torchvision's file of AlexNet. The weights of its layers are those that come with torchmetrics.

    Raises:
        NotAvailable: it cannot be loaded.
    """
    stages, heads = _load_alexnet(place)

    def distance(a: Tensor, b: Tensor) -> Tensor:
        # the network was given values from -1 to 1
        a, b = (_normalised(2 * each - 1, _LPIPS_SHIFT, _LPIPS_SCALE) for each in (a, b))
        total = a.new_zeros(len(a))
        for stage, head in zip(stages, heads, strict=True):
            a, b = stage(a), stage(b)
            total += ((_directions(a) - _directions(b)).square() * head).sum(dim=1).mean(dim=(1, 2))
        return total

    return _by_batches(answer, target, distance, stages)


def dists(answer: Video, target: Video, place: str) -> NDArray[np.float64]:
    """Return DISTS (Ding et al., TPAMI 2020) of each frame of uint8 [t h w 3]: float64 [t].

    `place`: torchvision's file of VGG-16. The weights of its channels are those that come with torchmetrics.

    Raises:
        NotAvailable: it cannot be loaded.
    """
    stages, texture, structure = _load_vgg(place)

    def likeness(a: Tensor, b: Tensor, texture: Tensor, structure: Tensor) -> Tensor:
        means = [each.mean(dim=(2, 3)) for each in (a, b)]
        deviations = [each - mean[..., None, None] for each, mean in zip((a, b), means, strict=True)]
        spreads = [each.square().mean(dim=(2, 3)) for each in deviations]
        shared = (deviations[0] * deviations[1]).mean(dim=(2, 3))
        same_mean = (2 * means[0] * means[1] + _TINY) / (means[0].square() + means[1].square() + _TINY)
        same_form = (2 * shared + _TINY) / (spreads[0] + spreads[1] + _TINY)
        return (texture * same_mean + structure * same_form).sum(dim=1)

    def distance(a: Tensor, b: Tensor) -> Tensor:
        total = likeness(a, b, texture[0], structure[0])
        a, b = (_normalised(each, _MEAN, _DEVIATION) for each in (a, b))
        for place, stage in enumerate(stages, 1):
            if place > 1:
                a, b = _pooled(a), _pooled(b)
            a, b = stage(a), stage(b)
            total = total + likeness(a, b, texture[place], structure[place])
        return 1 - total

    return _by_batches(answer, target, distance, stages)


def _by_batches(
    answer: Video, target: Video, distance: Callable[[Tensor, Tensor], Tensor], network: Any
) -> NDArray[np.float64]:
    import torch

    device = next(network.parameters()).device
    found = []
    with torch.inference_mode():
        for start in range(0, len(answer), _BATCH):
            pair = [clip[start : start + _BATCH] for clip in (answer, target)]
            a, b = (torch.from_numpy(each.copy()).to(device).permute(0, 3, 1, 2).float() / 255 for each in pair)
            found.append(distance(a, b).double().cpu().numpy())
    return np.concatenate(found)


def _normalised(pictures: Tensor, mean: tuple[float, ...], deviation: tuple[float, ...]) -> Tensor:
    shift, scale = (pictures.new_tensor(values)[:, None, None] for values in (mean, deviation))
    return (pictures - shift) / scale


def _directions(features: Tensor) -> Tensor:
    """Return the features of each place at length 1."""
    length: Tensor = (features.square().sum(dim=1, keepdim=True) + 1e-8).sqrt()
    return features / length


def _pooled(features: Tensor) -> Tensor:
    """Return the root of the mean square over a Hann window of 3 x 3, at half size (in place of the maximum)."""
    import torch
    import torch.nn.functional as F

    side = torch.tensor([0.5, 1.0, 0.5], device=features.device)
    window = (side[:, None] * side[None]) / 4
    channels = features.shape[1]
    squares = F.conv2d(features.square(), window.expand(channels, 1, 3, 3), stride=2, padding=1, groups=channels)
    return (squares + 1e-12).sqrt()


@lru_cache(maxsize=1)
def _load_alexnet(place: str) -> tuple[Any, list[Any]]:
    """Return AlexNet up to each of its five ReLUs, and the weight of each channel there."""
    from torch import nn

    layers = [
        *(nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, stride=2)),
        *(nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, stride=2)),
        *(nn.Conv2d(192, 384, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(384, 256, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(256, 256, 3, padding=1), nn.ReLU()),
    ]
    stages = _cut(_filled(layers, place), (2, 5, 8, 10, 12))
    heads = _of_torchmetrics("lpips_models/alex.pth")
    device = next(stages.parameters()).device
    return stages, [heads[f"lin{place}.model.1.weight"][0].to(device) for place in range(len(stages))]


@lru_cache(maxsize=1)
def _load_vgg(place: str) -> tuple[Any, list[Any], list[Any]]:
    """Return VGG-16 up to the last ReLU of each of its five stages, without the maxima between them, and the weights of
    each channel's mean and variance, those of the picture itself first."""
    layers = list(_vgg_layers())
    stages = _cut(_filled(layers, place), (4, 9, 16, 23, 30), without=(4, 9, 16, 23))
    weights = _of_torchmetrics("dists_models/weights.pt")
    total = weights["alpha"].sum() + weights["beta"].sum()
    device = next(stages.parameters()).device
    widths = [3, *(stage[-1] for stage in _VGG_STAGES)]
    texture, structure = (
        list((weights[name][0, :, 0, 0] / total).to(device).split(widths)) for name in ("alpha", "beta")
    )
    return stages, texture, structure


def _vgg_layers() -> Iterator[Any]:
    from torch import nn

    channels = 3
    for stage in _VGG_STAGES:
        for width in stage:
            yield nn.Conv2d(channels, width, 3, padding=1)
            yield nn.ReLU()
            channels = width
        yield nn.MaxPool2d(2)


def _filled(layers: list[Any], place: str) -> Any:
    """Return the layers with the weights that torchvision's file has for `features`."""
    import torch
    from torch import nn

    from vidiff.devices import choose_device

    try:
        known = torch.load(place, map_location="cpu", weights_only=True)
        network = nn.Sequential(*layers)
        network.load_state_dict(
            {name.removeprefix("features."): value for name, value in known.items() if name.startswith("features.")}
        )
    except Exception as error:  # a file of another kind fails in ways of its own
        raise unusable(place, error) from error
    return network.to(choose_device()).eval().requires_grad_(requires_grad=False)


def _cut(network: Any, ends: tuple[int, ...], without: tuple[int, ...] = ()) -> Any:
    """Return the network as stages that end before the given layers."""
    from torch import nn

    starts = (0, *ends[:-1])
    return nn.ModuleList(
        nn.Sequential(*(network[layer] for layer in range(start, end) if layer not in without))
        for start, end in zip(starts, ends, strict=True)
    )


def _of_torchmetrics(file: str) -> dict[str, Any]:
    """Return learnt weights of a few kilobytes that torchmetrics brings along."""
    import torch
    import torchmetrics.functional.image as home

    path = Path(home.__file__).parent / file
    known: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return known
