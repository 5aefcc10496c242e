"""Published networks as methods: their true classes with small random weights, made here."""

import dataclasses
import json
import shutil
import sys
import types
import warnings

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.methods import METHODS, Context, check_methods, methods_for, pretrained
from benchmarks.methods.base import Learnt
from benchmarks.networks import NETWORKS, NotAvailable
from benchmarks.runner import run
from benchmarks.settings import BenchSettings, WeightSettings
from benchmarks.suite import make_suite
from shards import Manifest, encode_sample, write_card, write_shard
from tests.conftest import make_sample
from tests.datagen.tiny_engine import LENGTH, WIDTH, pipeline, tokenizer


def context(**weights: str) -> Context:
    return Context(dataset=None, task="edit", seed=3, weights=weights)


def clip_of(task: str, frames: int = 3, height: int = 28, width: int = 44):
    """Return a sample whose sides are no multiples of 8."""
    sample = make_sample(task, "test", 0)
    cut = (slice(0, frames), slice(0, height), slice(0, width))
    mask = np.zeros((frames, height, width), np.uint8)
    mask[:, 8:20, 10:30] = 255
    meta = dataclasses.replace(sample.meta, parameters={"rgb": [214, 38, 40], "expression": "the red cube"})
    return dataclasses.replace(sample, source=sample.source[cut], target=sample.target[cut], mask=mask, meta=meta)


def answer(method: str, sample, **weights: str) -> np.ndarray:
    made = METHODS[method].answer(context(**weights))
    assert isinstance(made, Learnt)
    assert made.parameters > 0
    found = made(sample)
    assert found.dtype == np.uint8
    assert found.shape == sample.source.shape
    return found


@pytest.fixture(scope="module")
def stable_diffusion(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sd")
    pipeline("StableDiffusionPipeline").save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def edit_model(tmp_path_factory):
    import diffusers

    folder = tmp_path_factory.mktemp("ip2p")
    made = pipeline("StableDiffusionPipeline")
    # `from_config` would take a number back that is not among those that were given by hand
    config = {name: value for name, value in made.unet.config.items() if not name.startswith("_")}
    parts = {name: part for name, part in made.components.items() if name not in ("unet", "image_encoder")}
    diffusers.StableDiffusionInstructPix2PixPipeline(
        unet=diffusers.UNet2DConditionModel(**{**config, "in_channels": 8}), requires_safety_checker=False, **parts
    ).save_pretrained(folder)
    return str(folder)


@pytest.fixture(autouse=True)
def fewer_steps(monkeypatch):
    monkeypatch.setattr(pretrained, "IP2P_STEPS", 3)
    monkeypatch.setattr(pretrained, "SDEDIT_STEPS", 5)


def still(sample):
    """Return the sample with its first frame in the place of all."""
    return dataclasses.replace(sample, source=np.repeat(sample.source[:1], len(sample.source), axis=0))


def test_the_same_noise_gives_a_still_clip_a_still_answer_and_noise_of_its_own_does_not(edit_model):
    sample = still(clip_of("edit"))
    fixed = answer("instruct_pix2pix", sample, instruct_pix2pix=edit_model)
    assert (fixed == fixed[:1]).all()
    assert (fixed == answer("instruct_pix2pix", sample, instruct_pix2pix=edit_model)).all()
    free = answer("instruct_pix2pix_independent", sample, instruct_pix2pix=edit_model)
    assert np.abs(free[0].astype(int) - free[1]).mean() > 1
    assert (free == answer("instruct_pix2pix_independent", sample, instruct_pix2pix=edit_model)).all()


def test_a_frame_is_what_the_pipeline_itself_answers(edit_model):
    import diffusers
    from PIL import Image

    sample = clip_of("edit", frames=1, height=32, width=48)
    pipe = diffusers.StableDiffusionInstructPix2PixPipeline.from_pretrained(edit_model, safety_checker=None)
    pipe.set_progress_bar_config(disable=True)
    picture = Image.fromarray(sample.source[0])
    theirs = pipe(
        sample.instruction,
        image=picture,
        num_inference_steps=3,
        guidance_scale=7.5,
        image_guidance_scale=1.5,
        generator=torch.Generator().manual_seed(3),
    ).images[0]
    found = answer("instruct_pix2pix", sample, instruct_pix2pix=edit_model)[0]
    assert np.abs(found.astype(int) - np.asarray(theirs)).max() <= 1


def test_sdedit_is_told_the_caption_where_there_is_one(stable_diffusion):
    sample = still(clip_of("edit"))
    bare = answer("sdedit", sample, stable_diffusion=stable_diffusion)
    assert (bare == bare[:1]).all()
    meta = dataclasses.replace(sample.meta, parameters={"before": "a", "after": "zebra crossing"})
    told = answer("sdedit", dataclasses.replace(sample, meta=meta), stable_diffusion=stable_diffusion)
    asked = dataclasses.replace(sample, instruction="zebra crossing")
    assert (told == answer("sdedit", asked, stable_diffusion=stable_diffusion)).all()
    assert (told != bare).any()


def test_a_pipeline_is_loaded_though_its_file_names_a_class_that_is_gone(stable_diffusion, tmp_path):
    folder = shutil.copytree(stable_diffusion, tmp_path / "sd")
    index = json.loads((folder / "model_index.json").read_text())
    index |= {"feature_extractor": ["transformers", "CLIPFeatureExtractor"]}
    (folder / "model_index.json").write_text(json.dumps(index))
    sample = clip_of("edit", frames=1)
    found, whole = (answer("sdedit", sample, stable_diffusion=str(one)) for one in (folder, stable_diffusion))
    assert (found == whole).all()


class ScriptedLama(nn.Module):
    """Takes and gives what big-lama.pt does: fills the hole with the mean of what is around it."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Parameter(torch.ones(1))

    def forward(self, image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        if image.shape[2] % 8 != 0 or image.shape[3] % 8 != 0 or image.max() > 1:
            raise RuntimeError("values up to 1 and sides that 8 divides are wanted")
        known = image * (1 - mask)
        return (known.sum((2, 3), True) / (1 - mask).sum((2, 3), True) * self.one).expand_as(image)


def test_lama_fills_the_hole_and_nothing_else(tmp_path):
    path = tmp_path / "big-lama.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.script(ScriptedLama()).save(str(path))
    sample = clip_of("inpaint")
    hole = sample.mask > 0
    assert hole.any()
    found = answer("lama", sample, lama=str(tmp_path))
    assert (found[~hole] == sample.source[~hole]).all()
    padded = np.pad(sample.source[0], ((0, 4), (0, 4), (0, 0)), mode="symmetric")
    outside = np.pad(hole[0], ((0, 4), (0, 4)), mode="symmetric") == 0
    assert np.abs(found[0][hole[0]] - padded[outside].mean(axis=0)).max() <= 1


def fake_spandrel(channels: int = 3, scale: int = 1) -> types.ModuleType:
    """The part of spandrel that is called: a descriptor that takes and gives [n 3 h w] from 0 to 1."""
    module = types.ModuleType("spandrel")

    class Descriptor:
        input_channels, output_channels = channels, 3
        device = torch.device("cpu")

        def __init__(self) -> None:
            self.model, self.scale = nn.Conv2d(3, 3, 1), scale

        def eval(self):
            return self

        def __call__(self, image: torch.Tensor) -> torch.Tensor:
            if image.shape[:2] != (1, 3) or image.max() > 1:
                raise ValueError("values up to 1 are wanted")
            return 1 - image

    class ModelLoader:
        def __init__(self, device) -> None:
            pass

        def load_from_file(self, path: str) -> Descriptor:
            if path.endswith("odd.pth"):
                raise ValueError("Unsupported\nmodel type")
            return Descriptor()

    module.ModelLoader = ModelLoader
    return module


def test_what_spandrel_reads_is_asked_frame_by_frame(tmp_path, monkeypatch):
    path = tmp_path / NETWORKS["nafnet"].file
    path.write_bytes(b"")
    monkeypatch.setitem(sys.modules, "spandrel", fake_spandrel())
    sample = clip_of("deblur")
    assert (answer("nafnet", sample, nafnet=str(path)) == 255 - sample.source).all()


def test_what_spandrel_cannot_do_is_one_line(tmp_path, monkeypatch):
    for name in ("fine.pth", "odd.pth"):
        (tmp_path / name).write_bytes(b"")
    make = METHODS["nafnet"].answer
    monkeypatch.setitem(sys.modules, "spandrel", None)
    with pytest.raises(NotAvailable, match=r"package: spandrel; 'pip install"):
        make(context(nafnet=str(tmp_path / "fine.pth")))
    monkeypatch.setitem(sys.modules, "spandrel", fake_spandrel())
    with pytest.raises(NotAvailable, match=r"cannot read .*odd\.pth \(Unsupported model type\)"):
        make(context(nafnet=str(tmp_path / "odd.pth")))
    monkeypatch.setitem(sys.modules, "spandrel", fake_spandrel(scale=2))
    with pytest.raises(NotAvailable, match="the same size"):
        make(context(nafnet=str(tmp_path / "fine.pth")))


@pytest.fixture(scope="module")
def clipseg_model(tmp_path_factory):
    from transformers import CLIPSegConfig, CLIPSegForImageSegmentation, CLIPSegProcessor
    from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

    folder = tmp_path_factory.mktemp("clipseg")
    torch.manual_seed(0)
    tokens = tokenizer()
    text = {
        "vocab_size": len(tokens), "hidden_size": WIDTH, "intermediate_size": WIDTH, "num_hidden_layers": 2,
        "num_attention_heads": 2, "max_position_embeddings": LENGTH, "bos_token_id": tokens.bos_token_id,
        "eos_token_id": tokens.eos_token_id,
    }  # fmt: skip
    vision = {
        "hidden_size": WIDTH, "intermediate_size": WIDTH, "num_hidden_layers": 3, "num_attention_heads": 2, "image_size": 64,
        "patch_size": 16,
    }  # fmt: skip
    config = CLIPSegConfig(
        text_config=text, vision_config=vision, projection_dim=16, extract_layers=[0, 1], reduce_dim=8,
        decoder_num_attention_heads=2, decoder_intermediate_size=16,
    )  # fmt: skip
    model = CLIPSegForImageSegmentation(config)
    for weight in model.parameters():
        nn.init.normal_(weight, std=0.4)
    model.save_pretrained(folder)
    CLIPSegProcessor(ViTImageProcessorPil(size={"height": 64, "width": 64}), tokens).save_pretrained(folder)
    return str(folder)


def test_clipseg_paints_what_it_finds_likely(clipseg_model):
    sample = clip_of("segment")
    found = answer("clipseg", sample, clipseg=clipseg_model)
    changed = (found != sample.source).any(axis=-1)
    assert 0 < changed.mean() < 1
    paint = np.array(sample.meta.parameters["rgb"])
    assert np.abs(found[changed] - (sample.source[changed] * 0.5 + paint * 0.5)).max() <= 1
    # other words, other pixels
    meta = dataclasses.replace(sample.meta, parameters={**sample.meta.parameters, "expression": "zzz zzz"})
    other = answer("clipseg", dataclasses.replace(sample, meta=meta), clipseg=clipseg_model)
    assert (other != found).any()


def test_every_pretrained_method_is_left_out_without_weights_and_refused_by_name(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    named = [method for method in METHODS.values() if method.networks]
    assert len(named) >= 8
    for method in named:
        (task,) = method.tasks
        assert method not in methods_for(task, ())
        with pytest.raises(NotAvailable, match=rf"method '{method.name}' is n/a \(weights: .*weights\."):
            check_methods([method.name], [task])


@pytest.fixture(scope="module")
def edits(tmp_path_factory):
    root = tmp_path_factory.mktemp("edits") / "dataset"
    shard = write_shard(root / "edit" / "test-000000.tar", [encode_sample(make_sample("edit", "test", 0))])
    manifest = Manifest(recipe={"seed": 0}, recipe_digest="0", code_version="0", shards=(shard,), sources=1)
    write_card(root, manifest, {"CC0-1.0": 1})
    manifest.save(root)
    return root


def test_a_run_scores_it_with_its_cost_and_marks_that_nobody_knows_what_it_learnt_from(
    edits, stable_diffusion, tmp_path
):
    from benchmarks.report import make_boards

    settings = BenchSettings(
        bootstrap=100, examples=0, methods=("sdedit",), weights=WeightSettings(stable_diffusion=stable_diffusion)
    )
    done = run(make_suite(edits, [], settings), settings, tmp_path)
    (board,) = make_boards(done, settings)
    line = next(line for line in board.lines if line.entry.method == "sdedit")
    assert line.mark == "?"
    assert line.parameters is not None
    assert line.parameters > 1000
    assert line.entry.failures == 0
    first = {row["id"] for row in done.rows if row["method"] == "sdedit"}
    again = run(make_suite(edits, [], settings), settings, tmp_path)
    assert {row["id"] for row in again.rows if row["method"] == "sdedit"} == first


def test_weights_that_cannot_be_read_are_no_failure_of_the_method(edits, tmp_path):
    broken = tmp_path / "model"
    broken.mkdir()
    (broken / "model_index.json").write_text("{}")
    settings = BenchSettings(
        bootstrap=100,
        examples=0,
        methods=("sdedit",),
        cost_samples=0,
        weights=WeightSettings(stable_diffusion=str(broken)),
    )
    done = run(make_suite(edits, [], settings), settings, tmp_path / "out")
    row = next(row for row in done.rows if row["method"] == "sdedit")
    assert row["status"] == "invalid"
    assert row["error"].startswith("n/a (weights: ")
