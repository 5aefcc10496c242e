"""Switches that trade time for memory: none changes what comes out."""

import pytest
import torch
from diffusers.models.attention_processor import SlicedAttnProcessor

import configs
from tests.vidiff.small_weights import small_unet, write_pretrained
from vidiff import TrainSettings, VIDiffPipeline
from vidiff.convert import convert
from vidiff.sizes import new_pipeline


def translate(pipe, clip):
    return pipe(
        clip,
        "Remove the haze.",
        num_inference_steps=2,
        video_guidance_scale=1.5,
        text_guidance_scale=3.0,
        generator=torch.Generator().manual_seed(0),
        output_type="pt",
    ).frames


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    root = tmp_path_factory.mktemp("switches")
    convert("instruct-pix2pix", str(write_pretrained(root / "pretrained", small_unet(8))), root / "model")
    pipe = VIDiffPipeline.from_pretrained(root / "model")
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.mark.parametrize("size", ["auto", "max", 3])
def test_sliced_attention_gives_the_same_clip_and_can_be_switched_off(converted, clip, size):
    plain = translate(converted, clip)
    converted.enable_attention_slicing(size)
    processors = converted.unet.attn_processors
    assert {"motion_modules" in name for name, own in processors.items() if isinstance(own, SlicedAttnProcessor)} == {
        False
    }
    torch.testing.assert_close(translate(converted, clip), plain, atol=1e-5, rtol=0)
    converted.disable_attention_slicing()
    assert torch.equal(translate(converted, clip), plain)


def test_a_sliced_autoencoder_gives_the_same_clip(converted, clip):
    plain = translate(converted, clip)
    converted.vae.enable_slicing()
    torch.testing.assert_close(translate(converted, clip), plain, atol=1e-5, rtol=0)
    converted.vae.disable_slicing()


@pytest.fixture
def seeing():
    """A model with an image encoder, in which everything has a say."""
    pipe = new_pipeline(configs.load(TrainSettings, "tiny-fast", ["model.image_width=32"]))
    pipe.set_progress_bar_config(disable=True)
    torch.manual_seed(0)
    for weight in (pipe.unet.conv_in.weight, pipe.unet.conv_out.weight, pipe.image_projector.null):
        torch.nn.init.normal_(weight, std=0.2)
    return pipe


@pytest.mark.parametrize("with_image", [False, True])
def test_nothing_looks_at_weights_outside_of_their_component_s_own_call(seeing, clip, with_image, monkeypatch):
    """What offloading relies on: weights come to the device when their component is called, and leave after it."""
    image = clip[0] if with_image else None

    def run():
        return seeing(clip, "x", image=image, generator=torch.Generator().manual_seed(0), output_type="pt").frames

    plain = run()
    monkeypatch.setattr(VIDiffPipeline, "_execution_device", torch.device("cpu"))
    called = []
    for name in ("text_encoder", "image_encoder", "image_projector", "unet"):
        module = getattr(seeing, name)
        weights = {key: value.clone() for key, value in module.state_dict().items()}
        buffers = {key: value.clone() for key, value in module.named_buffers()}
        offload(module, name, weights, buffers, called)
    assert torch.equal(run(), plain)
    assert set(called) == {"text_encoder", "image_projector", "unet"} | ({"image_encoder"} if with_image else set())


def offload(module, name, weights, buffers, called):
    def come(module, *_):
        called.append(name)
        module.to_empty(device="cpu")
        module.load_state_dict(weights)
        for key, value in buffers.items():
            module.get_buffer(key).copy_(value)

    def go(module, *_):
        module.to("meta")

    module.register_forward_pre_hook(come)
    module.register_forward_hook(go)
    go(module)


def test_every_component_with_weights_has_its_turn_when_offloaded(seeing):
    named = set(VIDiffPipeline.model_cpu_offload_seq.split("->"))
    assert {name for name, part in seeing.components.items() if isinstance(part, torch.nn.Module)} == named


def test_offloading_where_there_is_no_gpu_changes_nothing(seeing, clip):
    plain = translate(seeing, clip)
    seeing.enable_model_cpu_offload(device="cpu")
    assert torch.equal(translate(seeing, clip), plain)
