import subprocess
import sys

import numpy as np
import pytest
import torch
from diffusers import (
    DDIMScheduler,
    EulerAncestralDiscreteScheduler,
    MotionAdapter,
    StableDiffusionInstructPix2PixPipeline,
    UNet2DConditionModel,
)
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import CLIPConfig, CLIPModel

from configs import ModelError, OutputError
from tests.vidiff.small_weights import small_unet, write_pretrained
from vidiff import VIDiffPipeline
from vidiff.convert import compare, convert
from vidiff.training_data import Learnt, learnt_by
from vidiff.unet import VIDiffUNet

FAMILIES = {
    "sd15": small_unet,
    "instruct-pix2pix": lambda: small_unet(8),
    "sd2": lambda: small_unet(attention_head_dim=(2, 4, 8, 8), use_linear_projection=True),
}


@pytest.fixture
def folder(tmp_path):
    """Give a function that writes a pretrained model of random weights as the hub has it."""

    def write(flat, name="pretrained"):
        return write_pretrained(tmp_path / name, flat)

    return write


@pytest.mark.parametrize("family", FAMILIES)
def test_every_tensor_is_taken_over_and_one_frame_comes_out_equal(family):
    flat = FAMILIES[family]()
    done = compare(flat, VIDiffUNet.from_2d(flat))
    assert done.apart < 1e-5
    assert done.taken == len(flat.state_dict())
    assert all("motion_modules" in name for name in done.new)


@torch.no_grad()
@pytest.mark.parametrize("family", FAMILIES)
def test_a_motion_adapter_with_its_projections_at_zero_changes_nothing(family):
    flat = FAMILIES[family]()
    adapter = MotionAdapter(block_out_channels=(16, 32, 64, 64), motion_num_attention_heads=2, motion_norm_num_groups=8)
    for name, value in adapter.named_parameters():
        if "proj_out" in name:
            torch.nn.init.zeros_(value)
    video = VIDiffUNet.from_2d(flat, adapter=adapter).eval()
    sample, context = torch.randn(1, 8, 3, 8, 8), torch.randn(1, 5, 32)
    channels = flat.config.in_channels
    expected = torch.stack([flat(sample[:, :channels, t], 300, context).sample for t in range(3)], dim=2)
    assert (video(sample, 300, context).sample - expected).abs().max() <= 1e-5


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # inside diffusers
@pytest.mark.parametrize("scheduler", [DDIMScheduler, EulerAncestralDiscreteScheduler])
@pytest.mark.parametrize("size", [(64, 64), (64, 96)])
def test_one_frame_comes_out_as_diffusers_own_instruct_pix2pix_makes_it(scheduler, size, folder, tmp_path):
    root = folder(small_unet(8))
    convert("instruct-pix2pix", str(root), tmp_path / "model")
    ours = VIDiffPipeline.from_pretrained(tmp_path / "model")
    ours.scheduler = scheduler.from_config(ours.scheduler.config)
    theirs = StableDiffusionInstructPix2PixPipeline(
        vae=ours.vae,
        text_encoder=ours.text_encoder,
        tokenizer=ours.tokenizer,
        unet=UNet2DConditionModel.from_pretrained(root / "unet"),
        scheduler=scheduler.from_config(ours.scheduler.config),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    for pipe in (ours, theirs):
        pipe.set_progress_bar_config(disable=True)
    frame = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    expected = theirs(
        "Remove the haze.",
        image=Image.fromarray(frame),
        num_inference_steps=4,
        guidance_scale=7.5,
        image_guidance_scale=1.5,
        generator=torch.Generator().manual_seed(5),
        output_type="np",
    ).images[0]
    found = ours(
        frame[None],
        "Remove the haze.",
        num_inference_steps=4,
        generator=torch.Generator().manual_seed(5),
        output_type="pt",
    ).frames
    assert np.abs(found[0].permute(1, 2, 0).numpy() - expected).max() < 1e-3


def test_a_text_to_image_model_becomes_a_pipeline_that_saves_and_loads(folder, clip, tmp_path):
    done = convert("sd15", str(folder(small_unet())), tmp_path / "model", window=8)
    pipe = VIDiffPipeline.from_pretrained(tmp_path / "model")
    pipe.set_progress_bar_config(disable=True)
    assert pipe.window == 8
    assert done.apart < 1e-5
    assert (pipe.unet.conv_in.weight[:, 4:] == 0).all()
    frames = pipe(clip, "Remove the haze.", num_inference_steps=2, generator=torch.Generator().manual_seed(0)).frames
    assert frames.shape == clip.shape


def test_an_adapter_goes_into_a_converted_model(folder, tmp_path):
    convert("sd15", str(folder(small_unet())), tmp_path / "model")
    torch.manual_seed(4)
    adapter = MotionAdapter(block_out_channels=(16, 32, 64, 64), motion_num_attention_heads=8, motion_norm_num_groups=8)
    adapter.save_pretrained(tmp_path / "adapter")
    Learnt(sources=frozenset({"a video"}), complete=True).save(tmp_path / "model")
    done = convert("animatediff", str(tmp_path / "adapter"), tmp_path / "moving", base=tmp_path / "model")
    loaded = VIDiffPipeline.from_pretrained(tmp_path / "moving").unet
    source = adapter.up_blocks[1].motion_modules[0].state_dict()
    placed = loaded.up_blocks[1].motion_modules[0].transformer.state_dict()
    assert all(torch.equal(placed[name], value) for name, value in source.items())
    assert done.taken == len(adapter.state_dict())
    assert all(".convolution." in name for name in done.new)
    # the base's videos are still known, those of the adapter are not
    assert learnt_by(tmp_path / "moving") == Learnt(sources=frozenset({"a video"}), complete=False)


def test_what_cannot_be_converted_is_one_line(folder, tmp_path):
    root = folder(small_unet())
    with pytest.raises(ModelError, match="did you mean 'sd15'"):
        convert("sd1", str(root), tmp_path / "x")
    with pytest.raises(ModelError, match="takes 4 channels, and one of instruct-pix2pix 8"):
        convert("instruct-pix2pix", str(root), tmp_path / "x")
    with pytest.raises(ModelError, match="give --base FOLDER"):
        convert("animatediff", str(root), tmp_path / "x")
    with pytest.raises(OutputError, match="exists; give a new folder"):
        convert("sd15", str(root), root)
    with pytest.raises(ModelError, match=f"there is no folder {root}s; did you mean '{root}'") as told:
        convert("sd15", f"{root}s", tmp_path / "x")
    assert "http" not in str(told.value)
    weights = root / "unet" / "diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_suffix(".bin"))
    with pytest.raises(ModelError, match="holds pickles"):
        convert("sd15", str(root), tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_missing_weights_are_named_and_never_drawn_at_random(folder, tmp_path):
    from safetensors.torch import load_file, save_file

    root = folder(small_unet())
    path = root / "unet" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(path)
    del tensors["mid_block.attentions.0.proj_in.weight"]
    save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"1 missing keys, the first is mid_block.attentions.0.proj_in.weight"):
        convert("sd15", str(root), tmp_path / "x")


def test_a_unet_with_a_part_that_the_video_unet_lacks_is_refused(folder, tmp_path):
    root = folder(small_unet(resnet_time_scale_shift="scale_shift"))
    with pytest.raises(ModelError, match="cannot become a video U-Net"):
        convert("sd15", str(root), tmp_path / "x")


def test_the_command_says_what_it_did(folder, tmp_path):
    line = [
        sys.executable,
        "-c",
        "from vidiff.cli import convert; convert()",
        "sd15",
        folder(small_unet()),
        "--out",
        tmp_path / "m",
    ]
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "one frame comes out as the image model makes it" in done.stdout
    assert (tmp_path / "m" / "model_index.json").is_file()


def test_text_weights_are_read_by_the_names_they_have_on_the_hub(folder, tmp_path):
    """Older libraries put `text_model.` before all of them, and stored the numbers of the positions, too."""
    root = folder(small_unet(8))
    file = root / "text_encoder" / "model.safetensors"
    plain = load_file(file)
    named = {f"text_model.{name.removeprefix('text_model.')}": value for name, value in plain.items()}
    save_file(named | {"text_model.embeddings.position_ids": torch.arange(77)[None]}, file, metadata={"format": "pt"})
    convert("instruct-pix2pix", str(root), tmp_path / "model")
    taken = VIDiffPipeline.from_pretrained(tmp_path / "model").text_encoder.state_dict()
    assert taken.keys() == plain.keys()
    assert all(torch.equal(taken[name], value) for name, value in plain.items())


def test_an_image_encoder_may_be_half_of_a_whole_clip(folder, tmp_path):
    torch.manual_seed(6)
    small = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    whole = CLIPModel(
        CLIPConfig(
            text_config=small | {"vocab_size": 50, "bos_token_id": 0, "eos_token_id": 1},
            vision_config=small | {"image_size": 32, "patch_size": 16},
        )
    )
    whole.save_pretrained(tmp_path / "clip")
    convert("instruct-pix2pix", str(folder(small_unet(8))), tmp_path / "model", image_encoder=str(tmp_path / "clip"))
    encoder = VIDiffPipeline.from_pretrained(tmp_path / "model").image_encoder
    pixels = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        expected = whole.vision_model(pixels).last_hidden_state
        assert torch.equal(encoder(pixels).last_hidden_state, expected)
