"""A trained VIDiff."""

from __future__ import annotations

import hashlib
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from benchmarks.methods.base import Context, Method, Restore
from shards.sample import Video
from shards.storage import sha256_of
from vidiff.training_data import learnt_by

if TYPE_CHECKING:
    from vidiff import VIDiffPipeline


def vidiff_method(folder: Path, name: str = "vidiff") -> Method:
    """Return the model of a training run, or a saved pipeline, as a method.

    Raises:
        ModelError: the folder holds no VIDiff model.
    """
    loaded(folder)
    learnt = learnt_by(folder)
    return Method(
        name=name,
        tasks=(),
        summary="the model given by --model, at the clips' size, with its default guidance scales",
        paper="arXiv 2311.18837",
        version=1,
        make=partial(make_vidiff, folder),
        learns=True,
        trained_on=learnt.sources,
        tells_all=learnt.complete,
        weights=weights_digest(folder),
        parameters=count_parameters(folder),
    )


@lru_cache(maxsize=1)  # every task of a run asks for the same model
def loaded(folder: Path) -> VIDiffPipeline:
    """Load the model of a training run, or a saved pipeline, onto the GPU where there is one.

    Raises:
        ModelError: the folder holds no VIDiff model.
    """
    from configs.libraries import quiet_libraries
    from vidiff import load_pipeline
    from vidiff.devices import choose_device

    quiet_libraries()
    pipe: VIDiffPipeline = load_pipeline(folder).to(choose_device())
    return pipe


def make_vidiff(folder: Path, context: Context) -> Restore:
    """Load the model and return it as a method; it works at the clip's own size."""
    import torch

    from vidiff import translate_clip

    pipe = loaded(folder)

    def restore(
        clip: Video, instruction: str, reference: NDArray[np.uint8] | None, mask: NDArray[np.uint8] | None
    ) -> Video:
        # every clip starts from the same noise: scores do not depend on the order of the clips
        generator = torch.Generator().manual_seed(context.seed)
        image = {} if reference is None or pipe.image_encoder is None else {"image": reference}
        return translate_clip(pipe, clip, instruction, task=context.task, generator=generator, **image)

    return restore


def count_parameters(folder: Path) -> int:
    """Return how many numbers the model has learnt, all its networks together."""
    pipe = loaded(folder)
    networks = [part for part in pipe.components.values() if hasattr(part, "parameters")]
    return sum(weight.numel() for network in networks for weight in network.parameters())


def weights_digest(folder: Path) -> str:
    """Return a hash of all weights and settings in a model folder: a training run keeps checkpoints beside it."""
    from vidiff.pipeline import model_folder

    folder = model_folder(folder)
    files = sorted(path for path in folder.rglob("*") if path.suffix in (".safetensors", ".json"))
    lines = [f"{path.relative_to(folder)} {sha256_of(path)}" for path in files]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
