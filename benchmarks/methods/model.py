"""A trained VIDiff."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from benchmarks.methods.base import Context, Method, Restore
from shards.sample import Video

if TYPE_CHECKING:
    from vidiff import VIDiffPipeline


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


def make_vidiff(context: Context) -> Restore:
    """Load the model and return it as a method; it works at the clip's own size."""
    import torch

    from vidiff import translate_clip

    assert context.model is not None
    pipe = loaded(context.model)

    def restore(
        clip: Video, instruction: str, reference: NDArray[np.uint8] | None, mask: NDArray[np.uint8] | None
    ) -> Video:
        # every clip starts from the same noise: scores do not depend on the order of the clips
        generator = torch.Generator().manual_seed(context.seed)
        return translate_clip(pipe, clip, instruction, task=context.task, generator=generator)

    return restore


VIDIFF = Method(
    name="vidiff",
    tasks=(),
    summary="the model given by --model, at the clips' size, with its default guidance scales",
    paper="arXiv 2311.18837",
    version=1,
    make=make_vidiff,
    learns=True,
    needs_model=True,
)
