"""Depth from models with Hugging Face weights: each architecture, tiny and of random weights, and what its numbers are."""

import cv2
import numpy as np
import pytest
import torch
import transformers as hf

from configs import ConfigError
from datagen.clip_depth import check_depth
from datagen.effects.depth_model import describe_model, meaning_of, model_depth
from tests.conftest import moving_clip

STAGES = {"num_hidden_layers": 4, "out_features": ["stage1", "stage2", "stage3", "stage4"]}
WIDTHS = {"hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64}
NECK = {"neck_hidden_sizes": [8, 16, 16, 16], "fusion_hidden_size": 16}


def dinov2(**changes):
    return hf.Dinov2Config(
        patch_size=14, image_size=56, **{"reshape_hidden_states": False, **STAGES, **WIDTHS, **changes}
    )


def depth_anything(**changes):
    config = hf.DepthAnythingConfig(
        backbone_config=dinov2(), patch_size=14, head_hidden_size=8, reassemble_hidden_size=32, **NECK, **changes
    )
    return hf.DepthAnythingForDepthEstimation(config)


def dpt():
    config = hf.DPTConfig(
        image_size=56, patch_size=14, backbone_out_indices=[0, 1, 2, 3], num_hidden_layers=4, **WIDTHS, **NECK
    )
    return hf.DPTForDepthEstimation(config)


def dpt_on_dinov2():
    backbone = dinov2(reshape_hidden_states=False)
    config = hf.DPTConfig(backbone_config=backbone, add_projection=False, readout_type="project", **WIDTHS, **NECK)
    return hf.DPTForDepthEstimation(config)


def glpn():
    config = hf.GLPNConfig(
        depths=[1, 1, 1, 1], hidden_sizes=[8, 8, 16, 16], num_attention_heads=[1, 1, 2, 2], decoder_hidden_size=16
    )
    return hf.GLPNForDepthEstimation(config)


def zoedepth():
    beit = hf.BeitConfig(image_size=64, patch_size=16, reshape_hidden_states=False, **STAGES, **WIDTHS)
    config = hf.ZoeDepthConfig(
        backbone_config=beit, bottleneck_features=16, num_relative_features=8, bin_embedding_dim=8, **NECK
    )
    return hf.ZoeDepthForDepthEstimation(config)


def depth_pro():
    encoder = {"image_size": 32, "patch_size": 8, "num_hidden_layers": 4, **WIDTHS, "model_type": "dinov2"}
    config = hf.DepthProConfig(
        patch_size=32,
        fusion_hidden_size=16,
        intermediate_hook_ids=[3, 1],
        intermediate_feature_dims=[8, 8],
        scaled_images_feature_dims=[16, 16, 8],
        scaled_images_ratios=[0.25, 0.5, 1.0],
        use_fov_model=True,
        image_model_config=encoder,
        patch_model_config=encoder,
        fov_model_config=encoder,
    )
    return hf.DepthProForDepthEstimation(config)


PLAIN = hf.DPTImageProcessorPil(size={"height": 56, "width": 56}, ensure_multiple_of=14)
MODELS = {
    "Depth Anything": (depth_anything, PLAIN, "disparity"),
    "Depth Anything, metric": (lambda: depth_anything(depth_estimation_type="metric", max_depth=20), PLAIN, "metres"),
    "DPT": (dpt, PLAIN, "disparity"),
    "DPT on DINOv2": (dpt_on_dinov2, PLAIN, "metres"),
    "GLPN": (glpn, hf.GLPNImageProcessorPil(), "metres"),
    "ZoeDepth": (zoedepth, hf.ZoeDepthImageProcessorPil(size={"height": 64, "width": 64}), "metres"),
    "Depth Pro": (
        depth_pro,
        hf.DPTImageProcessorPil(size={"height": 128, "width": 128}),
        "inverse metres by focal length",
    ),
}


@pytest.fixture(scope="module", params=MODELS)
def checkpoint(request, tmp_path_factory):
    make, processor, meaning = MODELS[request.param]
    torch.manual_seed(0)
    model = make().eval()
    # what random weights say of a picture is nearly the same everywhere, and may be all zero behind a ReLU
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith("bias") and "head" in name:
                weight.fill_(0.05)
    folder = tmp_path_factory.mktemp("depth") / "model"
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return str(folder), model, processor, meaning


def test_what_a_model_calls_far_is_far_whatever_its_architecture(checkpoint):
    folder, model, processor, meaning = checkpoint
    still = np.repeat(moving_clip(3, frames=1, height=48, width=64), 2, axis=0)
    with torch.inference_mode():
        output = model(**processor(images=still[0], return_tensors="pt"))
    raw = output.predicted_depth[0].numpy()
    assert raw.std() > 0
    if "ZoeDepth" in type(processor).__name__:
        # its borders are thrown away, as its authors do: int(sqrt(48 / 2) * 3) = 14, int(sqrt(64 / 2) * 3) = 16
        raw = cv2.resize(raw, (64 + 2 * 16, 48 + 2 * 14), interpolation=cv2.INTER_CUBIC)[14:-14, 16:-16]
    raw = cv2.resize(raw, (64, 48), interpolation=cv2.INTER_CUBIC)
    depth = model_depth(still, folder)
    assert depth.shape == (2, 48, 64)
    assert np.isfinite(depth).all()
    assert (depth > 0).all()
    assert meaning_of(model.config) == meaning
    if meaning == "metres":
        assert np.allclose(depth, np.maximum(raw, 1e-3), rtol=1e-3, atol=1e-5)
    else:
        order = np.argsort(raw, axis=None)
        assert depth[0].flat[order[:100]].mean() > depth[0].flat[order[-100:]].mean(), "large numbers are near"
    if meaning == "inverse metres by focal length":
        focal = 0.5 * 64 / np.tan(np.deg2rad(float(output.field_of_view)) / 2)
        assert np.allclose(depth[0], focal / (64 * np.clip(raw, 1e-4 * focal / 64, None)), rtol=1e-3)


def test_the_unit_of_a_model_s_depth_is_recorded(checkpoint):
    folder, model, _, meaning = checkpoint
    recorded = describe_model(folder)
    assert recorded["depth_unit"] == ("nearest distance in the clip" if meaning == "disparity" else "metre")
    assert recorded["depth"]["architecture"] == type(model).__name__


def test_a_config_may_say_itself_what_a_fine_tuned_model_gives():
    assert meaning_of(hf.DPTConfig(depth_estimation_type="metric")) == "metres"
    assert meaning_of(hf.DPTConfig(depth_estimation_type="relative")) == "disparity"
    assert meaning_of(hf.DPTConfig(add_projection=True)) == "metres"
    assert meaning_of(hf.DepthProConfig()) == "disparity", "without a focal length it has no scale"


def test_a_model_of_which_nobody_knows_what_its_numbers_mean_is_one_line(tmp_path):
    hf.CLIPConfig().save_pretrained(tmp_path)
    for config in (hf.CLIPConfig(), hf.PromptDepthAnythingConfig()):
        config.save_pretrained(tmp_path)
        with pytest.raises(
            ConfigError, match=rf"type '{config.model_type}' are not known .* known are depth_anything, .*zoedepth"
        ):
            check_depth(f"model:{tmp_path}")
