"""Where pretrained networks lie: what the recipe names, else the caches of torch's hub and of Hugging Face's."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from configs import VIDiffError

MISSING = "missing"


class NotAvailable(VIDiffError):
    """A metric or a method cannot be had here; its text is what the table shows after `n/a`."""


@dataclass(frozen=True, kw_only=True)
class Network:
    """A pretrained network that somebody published."""

    name: str
    """As `weights.NAME` of the recipe."""
    what: str
    """With its size, for a reader who has to fetch it."""
    default: str
    """A file in the cache of torch's hub, or a name on Hugging Face's hub."""
    file: str = ""
    """The name of the file, if it is one; else it is a folder that `save_pretrained` wrote, or a name on the hub."""
    needs: str = "model.safetensors"
    """The file of a folder without which it is none."""


NETWORKS = {
    network.name: network
    for network in (
        Network(
            name="clip",
            what="CLIP ViT-L/14, 1.7 GB",
            default="openai/clip-vit-large-patch14",
            needs="model.safetensors",
        ),
        Network(name="pickscore", what="PickScore v1, 3.9 GB", default="yuvalkirstain/PickScore_v1"),
        Network(
            name="alexnet",
            what="torchvision's AlexNet alexnet-owt-7be5be79.pth, 233 MB",
            default="alexnet-owt-7be5be79.pth",
            file="alexnet-owt-7be5be79.pth",
        ),
        Network(
            name="vgg16",
            what="torchvision's VGG-16 vgg16-397923af.pth, 528 MB",
            default="vgg16-397923af.pth",
            file="vgg16-397923af.pth",
        ),
        Network(
            name="inception",
            what="StyleGAN's TorchScript Inception inception-2015-12-05.pt, 95 MB",
            default="inception-2015-12-05.pt",
            file="inception-2015-12-05.pt",
        ),
        Network(
            name="i3d",
            what="StyleGAN-V's TorchScript I3D i3d_torchscript.pt, 50 MB",
            default="i3d_torchscript.pt",
            file="i3d_torchscript.pt",
        ),
        Network(
            name="i3d_rgb",
            what="I3D i3d_rgb_imagenet.pt as E2FGVI has it, 51 MB",
            default="i3d_rgb_imagenet.pt",
            file="i3d_rgb_imagenet.pt",
        ),
        Network(
            name="instruct_pix2pix",
            what="InstructPix2Pix as a diffusers pipeline, 4.3 GB",
            default="timbrooks/instruct-pix2pix",
            needs="model_index.json",
        ),
        Network(
            name="stable_diffusion",
            what="Stable Diffusion 1.5 as a diffusers pipeline, 4.3 GB",
            default="stable-diffusion-v1-5/stable-diffusion-v1-5",
            needs="model_index.json",
        ),
        Network(name="lama", what="LaMa's TorchScript big-lama.pt, 206 MB", default="big-lama.pt", file="big-lama.pt"),
        Network(
            name="nafnet",
            what="NAFNet-GoPro-width64.pth, 272 MB",
            default="NAFNet-GoPro-width64.pth",
            file="NAFNet-GoPro-width64.pth",
        ),
        Network(
            name="ddcolor",
            what="DDColor's ddcolor_modelscope.pth, 912 MB",
            default="ddcolor_modelscope.pth",
            file="ddcolor_modelscope.pth",
        ),
        Network(name="clipseg", what="CLIPSeg, 603 MB", default="CIDAS/clipseg-rd64-refined"),
        Network(name="grounding_dino", what="Grounding DINO tiny, 689 MB", default="IDEA-Research/grounding-dino-tiny"),
        Network(name="sam2", what="SAM 2.1 large, 898 MB", default="facebook/sam2.1-hiera-large"),
    )
}
"""By name."""


def located(name: str, weights: Mapping[str, str]) -> str:
    """Return where a network lies: a file, a folder, or a name that the hub's cache holds.

    `weights`: places by name, as the recipe has them; the default where it says nothing.

    Raises:
        NotAvailable: it is not here.
    """
    network = NETWORKS[name]
    place = weights.get(name) or network.default
    found = _file(network, place) if network.file else _folder(network, place)
    if found is None:
        what = network.what if place == network.default else f"{network.what.rpartition(', ')[0]} in {place}"
        raise NotAvailable(f"weights: {what}; --set weights.{name}={'FILE' if network.file else 'FOLDER'}")
    return found


def version(name: str, weights: Mapping[str, str]) -> str:
    """Return what a row's id says of a network: its files with size and time, or that it is missing."""
    try:
        place = Path(located(name, weights))
    except NotAvailable:
        return MISSING
    if place.is_file():
        return _stamp(place)
    if place.is_dir():
        return " ".join(_stamp(path) for path in sorted(place.rglob("*")) if path.is_file())
    cached = _cached(str(place), NETWORKS[name].needs)
    # the cache names a file by its content
    return f"{place} {Path(cached).resolve().name}" if cached else MISSING


def _file(network: Network, place: str) -> str | None:
    """Return the path of a network that is one file: given itself, in a folder, or in the cache of torch's hub."""
    home = Path(os.environ.get("TORCH_HOME") or Path.home() / ".cache" / "torch")
    tries = (Path(place), Path(place) / network.file, home / "hub" / "checkpoints" / place)
    return next((str(path) for path in tries if path.is_file()), None)


def _folder(network: Network, place: str) -> str | None:
    if Path(place).is_dir():
        return place if (Path(place) / network.needs).is_file() else None
    return place if _cached(place, network.needs) else None


def _cached(place: str, file: str) -> str | None:
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(place, file)
    except HFValidationError:  # neither a folder nor a name that the hub could have
        return None
    return found if isinstance(found, str) else None


def _stamp(path: Path) -> str:
    status = path.stat()
    return f"{path.name} {status.st_size} {status.st_mtime_ns}"


def unusable(place: str, error: Exception) -> NotAvailable:
    """Return what to raise where weights are there and cannot be loaded."""
    return NotAvailable(f"weights: {place} cannot be loaded ({' '.join(str(error).split())[:120]}); fetch them again")
