"""The paper's three stages, one after the other, from pretrained image weights: of a small model of the true layout."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file
from transformers import CLIPVisionModel

import configs
from configs import ConfigError, ModelError
from shards import Manifest, encode_sample, write_shard
from tests.conftest import make_sample, moving_clip
from tests.vidiff.small_weights import small_unet, write_pretrained
from vidiff import TrainSettings, load_pipeline, train_model
from vidiff.convert import convert
from vidiff.image_instruction import small_image_encoder
from vidiff.sizes import new_pipeline

SMALL = ["model.size=64", "data.crops=[64]", "data.workers=0", "steps=2", "optimizer.batch=1", "noise.steps=2"]


@pytest.fixture
def pretrained(tmp_path):
    return write_pretrained(tmp_path / "pretrained", small_unet(8))


@pytest.fixture(scope="module")
def large_dataset(tmp_path_factory):
    """Six pairs of 64 x 64 px, one of them for validation."""
    root = tmp_path_factory.mktemp("large") / "dataset"
    shards = []
    for split, numbers in (("train", range(5)), ("val", [5])):
        pairs = [replace(make_sample("dehaze", split, n), source=grown(n) // 2 + 90, target=grown(n)) for n in numbers]
        shards.append(write_shard(root / "dehaze" / f"{split}-000000.tar", [encode_sample(pair) for pair in pairs]))
    Manifest(recipe={"seed": 0}, recipe_digest="0", code_version="0", shards=tuple(shards), sources=3).save(root)
    return root


def grown(number):
    return moving_clip(number, height=64, width=64)


@pytest.fixture
def start(pretrained, tmp_path):
    convert("instruct-pix2pix", str(pretrained), tmp_path / "start", window=4)
    return tmp_path / "start"


def weights(folder):
    return load_file(folder / "unet" / "diffusion_pytorch_model.safetensors")


def changed(before, after):
    old = weights(before)
    return {name for name, value in weights(after).items() if not torch.equal(value, old[name])}


def stage(name, base, data, out, *overrides):
    settings = configs.load(TrainSettings, name, [*SMALL, f"base={base}", "model.window=4", *overrides])
    train_model(settings, data, out)
    return out / "model"


def test_three_stages_follow_each_other_and_each_trains_its_own_part(start, large_dataset, tmp_path):
    one = stage("stage1-images", start, large_dataset, tmp_path / "one", "model.window=1")
    assert {".motion_modules." in name for name in changed(start, one)} == {False}
    two = stage("stage2-motion", one, large_dataset, tmp_path / "two")
    assert {".motion_modules." in name for name in changed(one, two)} == {True}
    three = stage("stage3-video", two, large_dataset, tmp_path / "three")
    assert {".motion_modules." in name for name in changed(two, three)} == {True, False}
    for folder in (one, two, three):
        for part in ("vae", "text_encoder"):
            file = next((folder / part).glob("*.safetensors")).name
            before, after = load_file(start / part / file), load_file(folder / part / file)
            assert all(torch.equal(before[name], after[name]) for name in before)
    pipe = load_pipeline(tmp_path / "three")
    assert (pipe.window, pipe.working_size, pipe.scheduler.config.prediction_type) == (4, 64, "epsilon")
    clip = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), dtype=np.uint8)
    assert pipe(clip, "Remove the haze.").frames.shape == clip.shape


def test_checkpointing_changes_no_bit_of_the_training(start, large_dataset, tmp_path):
    folders = [
        stage("stage2-motion", start, large_dataset, tmp_path / name, f"checkpointing={on}", "precision=fp32")
        for name, on in (("with", "true"), ("without", "false"))
    ]
    assert changed(*folders) == set()


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("model.groups=4", "model.groups: the base has its own"),
        ("noise.prediction=v_prediction", "noise.prediction: the base has its own"),
        ("noise.fade=true", "noise.fade: the base has its own"),
    ],
)
def test_what_the_base_decides_cannot_be_set_beside_it(override, words):
    with pytest.raises(ConfigError, match=words):
        configs.load(TrainSettings, "stage2-motion", ["base=models/start", override])
    with pytest.raises(ValidationError, match="the base has its own"):
        TrainSettings(steps=1, base="x", noise={"schedule": "linear"})


@pytest.mark.parametrize("name", ["stage1-images", "stage2-motion", "stage3-video"])
def test_the_stages_say_that_they_need_a_base(name, large_dataset, tmp_path):
    with pytest.raises(ConfigError, match="name its folder with --set base=FOLDER"):
        train_model(configs.load(TrainSettings, name), large_dataset, tmp_path / "run")


def test_a_base_that_does_not_fit_is_one_line(start, tmp_path):
    def load(*overrides):
        return configs.load(TrainSettings, "stage2-motion", [*SMALL, *overrides])

    with pytest.raises(ModelError, match="must be multiples of 64; 96 is not"):
        new_pipeline(load(f"base={start}", "model.size=96"))
    with pytest.raises(ModelError, match="there is no such folder"):
        new_pipeline(load(f"base={tmp_path / 'nothing'}"))


def test_nothing_to_train_is_said(start, large_dataset, tmp_path):
    with pytest.raises(ConfigError, match="this model has none of image_encoder"):
        stage("stage2-motion", start, large_dataset, tmp_path / "run", "trained=[image_encoder]")


def test_a_pretrained_image_encoder_comes_with_a_new_mlp(pretrained, large_dataset, tmp_path):
    small_image_encoder(side=32, patch=16, width=32, layers=1).save_pretrained(tmp_path / "eyes")
    done = convert(
        "instruct-pix2pix", str(pretrained), tmp_path / "start", window=4, image_encoder=str(tmp_path / "eyes")
    )
    assert sum(name.startswith("image_projector.") for name in done.new) == 7
    pipe = load_pipeline(tmp_path / "start")
    assert isinstance(pipe.image_encoder, CLIPVisionModel)
    clip = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    with_image = [
        pipe(clip, "x", image=image, num_inference_steps=2, generator=torch.Generator().manual_seed(0)).frames
        for image in (None, clip[0])
    ]
    assert not np.array_equal(*with_image)
    model = stage("stage1-images", tmp_path / "start", large_dataset, tmp_path / "run", "model.window=1")
    before, after = (
        load_file(folder / "image_encoder" / "model.safetensors") for folder in (tmp_path / "start", model)
    )
    assert all(torch.equal(before[name], after[name]) for name in before)
