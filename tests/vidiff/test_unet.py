import os

import pytest
import torch
from diffusers import MotionAdapter, UNet2DConditionModel

from configs import ModelError
from vidiff import VIDiffUNet
from vidiff.convert import compare


def flat_unet(in_channels=8, **options):
    torch.manual_seed(0)
    shape = {
        "sample_size": 8,
        "in_channels": in_channels,
        "out_channels": 4,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
        "block_out_channels": (8, 16),
        "layers_per_block": 1,
        "norm_num_groups": 4,
        "cross_attention_dim": 16,
        "attention_head_dim": 8,
    }
    return UNet2DConditionModel(**(shape | options)).eval()


def inputs(frames=3, channels=8, batch=2):
    generator = torch.Generator().manual_seed(1)
    sample = torch.randn(batch, channels, frames, 8, 8, generator=generator)
    return sample, torch.tensor([10, 700]), torch.randn(batch, 5, 16, generator=generator)


def frame_by_frame(unet, sample, timestep, context):
    return torch.stack([unet(sample[:, :, t], timestep, context).sample for t in range(sample.shape[2])], dim=2)


@torch.no_grad()
@pytest.mark.parametrize("frames", [1, 3])
@pytest.mark.parametrize("linear", [False, True])
def test_a_freshly_inflated_unet_equals_its_2d_unet_frame_by_frame(frames, linear):
    flat = flat_unet(use_linear_projection=linear)
    sample, timestep, context = inputs(frames)
    video = VIDiffUNet.from_2d(flat).eval()(sample, timestep, context).sample
    assert torch.allclose(video, frame_by_frame(flat, sample, timestep, context), atol=1e-5)


@torch.no_grad()
def test_a_text_to_image_unet_ignores_the_condition_until_it_is_trained():
    flat = flat_unet(in_channels=4)
    sample, timestep, context = inputs()
    video = VIDiffUNet.from_2d(flat).eval()(sample, timestep, context).sample
    assert torch.allclose(video, frame_by_frame(flat, sample[:, :4], timestep, context), atol=1e-5)


def test_a_2d_unet_of_other_channels_is_refused():
    with pytest.raises(ModelError, match="takes 9 channels"):
        VIDiffUNet.from_2d(flat_unet(in_channels=9))


@torch.no_grad()
def test_the_residual_flag_adds_the_condition_latent():
    sample, timestep, context = inputs()
    plain, residual = (VIDiffUNet.from_2d(flat_unet(), predict_residual=flag).eval() for flag in (False, True))
    difference = residual(sample, timestep, context).sample - plain(sample, timestep, context).sample
    assert torch.allclose(difference, sample[:, 4:], atol=1e-5)


def test_every_motion_module_has_a_convolution_and_a_transformer_and_all_of_them_learn():
    unet = VIDiffUNet.from_2d(flat_unet())
    for step in range(2):  # the zero-initialised last layers let gradients through from the second step on
        loss = unet(*inputs()).sample.square().mean()
        loss.backward()
        if step == 0:
            with torch.no_grad():
                for value in unet.parameters():
                    value.sub_(0.1 * value.grad)
            unet.zero_grad()
    blocks = [*unet.down_blocks, unet.mid_block, *unet.up_blocks]
    modules = [module for block in blocks for module in block.motion_modules]
    assert len(modules) == 2 + 1 + 4
    for module in modules:
        for part in (module.convolution, module.transformer):
            assert all(value.grad.abs().max() > 0 for name, value in part.named_parameters() if "bias" not in name)


def test_frames_see_each_other_once_motion_is_trained():
    unet = VIDiffUNet.from_2d(flat_unet()).eval()
    torch.nn.init.normal_(unet.mid_block.motion_modules[0].transformer.proj_out.weight)
    sample, timestep, context = inputs()
    changed = sample.clone()
    changed[:, :, 2] += 1
    with torch.no_grad():
        difference = unet(changed, timestep, context).sample - unet(sample, timestep, context).sample
    assert difference[:, :, 0].abs().max() > 1e-4


def test_gradient_checkpointing_gives_the_same_gradients():
    gradients = []
    for checkpointing in (False, True):
        unet = VIDiffUNet.from_2d(flat_unet())
        if checkpointing:
            unet.enable_gradient_checkpointing()
        unet(*inputs()).sample.square().mean().backward()
        gradients.append(unet.conv_in.weight.grad)
    assert torch.allclose(*gradients, atol=1e-6)


def test_saving_and_loading_keeps_weights_flag_and_processors(tmp_path):
    unet = VIDiffUNet.from_2d(flat_unet(), predict_residual=True).eval()
    unet.save_pretrained(tmp_path)
    loaded = VIDiffUNet.from_pretrained(tmp_path, use_safetensors=True).eval()
    assert loaded.config.predict_residual
    with torch.no_grad():
        assert torch.equal(loaded(*inputs()).sample, unet(*inputs()).sample)
    kinds = {type(processor).__name__ for name, processor in loaded.attn_processors.items() if "motion" in name}
    assert kinds == {"TemporalAttnProcessor"}


def test_too_many_frames_say_how_many_fit():
    unet = VIDiffUNet.from_2d(flat_unet())
    with pytest.raises(ModelError, match="33 frames at once; this model takes up to 32"):
        unet(*inputs(frames=33))


def test_plain_temporal_attention_equals_the_fused_one():
    unet = VIDiffUNet.from_2d(flat_unet())
    attention = unet.down_blocks[0].motion_modules[0].transformer.transformer_blocks[0].attn1
    states = torch.randn(6, 4, 8, generator=torch.Generator().manual_seed(0))
    processor = attention.processor
    with torch.no_grad():
        assert torch.allclose(processor(attention, states), processor._fused(attention, states), atol=1e-6)


@torch.no_grad()
def test_a_pretrained_motion_adapter_loads_into_the_transformers():
    torch.manual_seed(3)
    adapter = MotionAdapter(
        block_out_channels=(8, 16), motion_layers_per_block=1, motion_num_attention_heads=2, motion_norm_num_groups=4
    )
    unet = VIDiffUNet.from_2d(flat_unet(), adapter=adapter)
    for block, source in [(unet.mid_block, adapter.mid_block), (unet.up_blocks[1], adapter.up_blocks[1])]:
        loaded = block.motion_modules[0].transformer.state_dict()
        assert all(torch.equal(loaded[name], value) for name, value in source.motion_modules[0].state_dict().items())


@pytest.mark.slow
@pytest.mark.skipif(
    os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES") < 16 * 2**30, reason="needs 16 GB of free memory"
)
@torch.no_grad()
def test_the_full_size_of_stable_diffusion_converts_tensor_by_tensor():
    # 860 million weights, drawn once, at the defaults of diffusers, which are those of 1.5 but for the context
    flat = UNet2DConditionModel(cross_attention_dim=768).eval()
    done = compare(flat, VIDiffUNet.from_2d(flat))
    assert done.taken == 686
    assert done.apart < 1e-4
