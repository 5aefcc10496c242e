"""Fixtures of the model's tests: the smallest recipe, an untrained pipeline of it, and a clip."""

import numpy as np
import pytest

import configs
from vidiff import TrainSettings


@pytest.fixture(scope="session")
def tiny() -> TrainSettings:
    return configs.load(TrainSettings, "tiny-fast")


@pytest.fixture
def pipe(tiny):
    from vidiff.sizes import new_pipeline

    pipe = new_pipeline(tiny)
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture
def awake_pipe(pipe):
    """A pipeline whose first and last layers are not zero any more, so that noise, source and text matter."""
    import torch

    torch.manual_seed(0)
    torch.nn.init.normal_(pipe.unet.conv_in.weight, std=0.1)
    torch.nn.init.normal_(pipe.unet.conv_out.weight, std=0.3)
    return pipe


@pytest.fixture
def clip():
    return np.random.default_rng(0).integers(0, 256, (4, 32, 48, 3), dtype=np.uint8)
