"""LoRA weights in the pipeline: those of the 2D U-Net, of kohya's trainer, of AnimateDiff's motion, and its own."""

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionInstructPix2PixPipeline, UNet2DConditionModel
from diffusers.utils import convert_state_dict_to_diffusers
from PIL import Image
from safetensors.torch import save_file

from configs import MissingExtraError, ModelError
from tests.vidiff.small_weights import small_unet, write_pretrained
from vidiff import VIDiffPipeline
from vidiff.convert import convert

peft = pytest.importorskip("peft")
LAYERS = ["to_q", "to_k", "to_v", "to_out.0"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_pretrained(tmp_path_factory.mktemp("lora") / "pretrained", small_unet(8))


@pytest.fixture
def pipe(folder, tmp_path):
    convert("instruct-pix2pix", str(folder), tmp_path / "model")
    pipe = VIDiffPipeline.from_pretrained(tmp_path / "model")
    pipe.set_progress_bar_config(disable=True)
    return pipe


def trained_lora(unet, layers=LAYERS, spread=0.2, seed=3):
    """Put a LoRA into a U-Net as a trainer would leave it, and return its weights as diffusers saves them."""
    unet.add_adapter(peft.LoraConfig(r=4, lora_alpha=8, target_modules=layers))
    generator = torch.Generator().manual_seed(seed)
    for name, weight in unet.named_parameters():
        if "lora_B" in name:
            weight.data = spread * torch.randn(weight.shape, generator=generator)
    return convert_state_dict_to_diffusers(peft.get_peft_model_state_dict(unet))


def saved(weights, folder, name="pytorch_lora_weights.safetensors"):
    folder.mkdir(exist_ok=True)
    save_file({f"unet.{key}": value.contiguous() for key, value in weights.items()}, folder / name)
    return folder


def translate(pipe, clip, **options):
    options = {"num_inference_steps": 2, "output_type": "pt", "generator": torch.Generator().manual_seed(0), **options}
    return pipe(clip, "Remove the haze.", **options).frames


def test_a_lora_of_the_image_model_does_the_same_to_one_frame_of_video(pipe, folder, tmp_path):
    flat = UNet2DConditionModel.from_pretrained(folder / "unet")
    lora = saved(trained_lora(flat), tmp_path / "lora")
    theirs = StableDiffusionInstructPix2PixPipeline(
        vae=pipe.vae,
        text_encoder=pipe.text_encoder,
        tokenizer=pipe.tokenizer,
        unet=UNet2DConditionModel.from_pretrained(folder / "unet"),
        scheduler=pipe.scheduler.from_config(pipe.scheduler.config),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    theirs.set_progress_bar_config(disable=True)
    frame = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    plain = translate(pipe, frame[None])
    theirs.load_lora_weights(lora)
    pipe.load_lora_weights(lora)
    expected = theirs(
        "Remove the haze.",
        image=Image.fromarray(frame),
        num_inference_steps=2,
        guidance_scale=7.5,
        image_guidance_scale=1.5,
        generator=torch.Generator().manual_seed(0),
        output_type="np",
    ).images[0]
    found = translate(pipe, frame[None])
    assert (found - plain).abs().max() > 0.02
    assert np.abs(found[0].permute(1, 2, 0).numpy() - expected).max() < 1e-3


def test_a_lora_that_has_learnt_nothing_changes_no_bit(pipe, clip, tmp_path):
    plain = translate(pipe, clip)
    weights = trained_lora(small_unet(8), spread=0.0)
    pipe.load_lora_weights(saved(weights, tmp_path / "lora"))
    assert torch.equal(translate(pipe, clip), plain)


def test_fused_weighed_and_unloaded_it_is_what_it_says(pipe, clip, tmp_path):
    plain = translate(pipe, clip)
    pipe.load_lora_weights(saved(trained_lora(small_unet(8)), tmp_path / "lora"), adapter_name="look")
    with_lora = translate(pipe, clip)
    assert (with_lora - plain).abs().max() > 0.02
    pipe.set_adapters("look", 0.0)
    torch.testing.assert_close(translate(pipe, clip), plain, atol=1e-5, rtol=0)
    pipe.set_adapters("look", 1.0)
    with pytest.raises(ModelError, match=r"holds LoRA layers; call fuse_lora\(\)"):
        pipe.save_pretrained(tmp_path / "unfused")
    pipe.fuse_lora()
    pipe.unload_lora_weights()
    torch.testing.assert_close(translate(pipe, clip), with_lora, atol=1e-4, rtol=0)
    pipe.save_pretrained(tmp_path / "fused")
    again = VIDiffPipeline.from_pretrained(tmp_path / "fused")
    again.set_progress_bar_config(disable=True)
    torch.testing.assert_close(translate(again, clip), with_lora, atol=1e-4, rtol=0)


def test_kohya_s_names_are_understood(pipe, clip, tmp_path):
    weights = trained_lora(small_unet(8))
    kohya = {}
    for name, value in weights.items():
        layer, side = name.rsplit(".lora.", 1) if ".lora." in name else name.rsplit(".lora_", 1)
        side = "lora_down" if side.startswith(("down", "A")) else "lora_up"
        module = "lora_unet_" + layer.replace(".", "_")
        kohya[f"{module}.{side}.weight"] = value.contiguous()
        kohya[f"{module}.alpha"] = torch.tensor(4.0)  # the rank: a scale of one
    (tmp_path / "kohya").mkdir()
    save_file(kohya, tmp_path / "kohya" / "style.safetensors")
    plain = translate(pipe, clip)
    pipe.load_lora_weights(tmp_path / "kohya" / "style.safetensors")
    by_name = translate(pipe, clip)
    pipe.unload_lora_weights()
    assert torch.equal(translate(pipe, clip), plain)
    pipe.load_lora_weights(saved(weights, tmp_path / "lora"))
    torch.testing.assert_close(translate(pipe, clip), by_name, atol=1e-5, rtol=0)


def test_one_for_the_text_encoder_is_taken_too(pipe, clip, tmp_path):
    generator = torch.Generator().manual_seed(0)
    weights = {}
    for layer in ("q_proj", "out_proj"):
        name = f"lora_te_text_model_encoder_layers_0_self_attn_{layer}"
        weights[f"{name}.lora_down.weight"] = torch.randn(2, 32, generator=generator)
        weights[f"{name}.lora_up.weight"] = torch.randn(32, 2, generator=generator)
        weights[f"{name}.alpha"] = torch.tensor(2.0)
    (tmp_path / "words").mkdir()
    save_file(weights, tmp_path / "words" / "style.safetensors")
    plain = translate(pipe, clip)
    pipe.load_lora_weights(tmp_path / "words" / "style.safetensors")
    assert (translate(pipe, clip) - plain).abs().max() > 1e-4


def test_a_motion_lora_of_animatediff_goes_into_the_temporal_transformers(pipe, clip, tmp_path):
    trained = {name: value for name, value in trained_lora(pipe.unet).items() if ".motion_modules." in name}
    assert trained
    pipe.unload_lora_weights()
    theirs = {name.replace(".transformer.transformer_blocks", ".transformer_blocks"): v for name, v in trained.items()}
    assert not theirs.keys() & trained.keys()
    for block in pipe.unet.down_blocks:
        for module in block.motion_modules:
            torch.nn.init.normal_(module.transformer.proj_out.weight, std=0.2)
    plain = translate(pipe, clip)
    pipe.load_lora_weights(saved(theirs, tmp_path / "pan"))
    assert (translate(pipe, clip) - plain).abs().max() > 1e-3


def test_what_is_no_lora_for_this_network_is_one_line(pipe, tmp_path):
    other = trained_lora(small_unet(8))
    (tmp_path / "pickled").mkdir()
    torch.save(other, tmp_path / "pickled" / "pytorch_lora_weights.bin")
    with pytest.raises(ModelError, match="is no safetensors file; pickles can run code"):
        pipe.load_lora_weights(tmp_path / "pickled")
    renamed = {name.replace("down_blocks.0.", "down_blocks.9."): value for name, value in other.items()}
    with pytest.raises(ModelError, match=r"cannot be loaded|of their 128 layers are not in this one"):
        pipe.load_lora_weights(saved(renamed, tmp_path / "renamed"))
    wide = {name: value.repeat(2, 2) for name, value in other.items()}
    with pytest.raises(ModelError, match="cannot be loaded"):
        pipe.load_lora_weights(saved(wide, tmp_path / "wide"))
    with pytest.raises(ModelError, match="cannot be loaded"):
        pipe.load_lora_weights(tmp_path / "nothing")


def test_without_peft_it_says_what_to_install(pipe, monkeypatch):
    monkeypatch.setattr("vidiff.lora.is_peft_available", lambda: False)
    with pytest.raises(MissingExtraError, match=r"pip install 'vidiff\[lora\]'"):
        pipe.load_lora_weights("anything")
