"""The model: a VIDiff U-Net and its pipeline, long video, and the trainer."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vidiff.autoencoder import PatchAutoencoder
    from vidiff.guidance import guide, pass_weights
    from vidiff.long_video import translate_clip, translate_long
    from vidiff.pipeline import VIDiffPipeline, VIDiffPipelineOutput, load_pipeline
    from vidiff.samplers import make_sampler
    from vidiff.settings import Scales, TrainSettings
    from vidiff.train import train_model
    from vidiff.translate import translate_file
    from vidiff.unet import VIDiffUNet

# what is imported when it is first asked for: torch takes seconds, and the command lines must answer --help at once
_ROOMS = {
    "autoencoder": ("PatchAutoencoder",),
    "guidance": ("guide", "pass_weights"),
    "long_video": ("translate_clip", "translate_long"),
    "pipeline": ("VIDiffPipeline", "VIDiffPipelineOutput", "load_pipeline"),
    "samplers": ("make_sampler",),
    "settings": ("Scales", "TrainSettings"),
    "train": ("train_model",),
    "translate": ("translate_file",),
    "unet": ("VIDiffUNet",),
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = [
    "PatchAutoencoder",
    "Scales",
    "TrainSettings",
    "VIDiffPipeline",
    "VIDiffPipelineOutput",
    "VIDiffUNet",
    "guide",
    "load_pipeline",
    "make_sampler",
    "pass_weights",
    "train_model",
    "translate_clip",
    "translate_file",
    "translate_long",
]


def __getattr__(name: str) -> Any:
    if name not in _ROOM_OF:
        raise AttributeError(f"module 'vidiff' has no attribute {name!r}")
    return getattr(import_module(f"vidiff.{_ROOM_OF[name]}"), name)
