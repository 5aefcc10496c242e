import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from configs import ModelError
from vidiff import VIDiffPipeline, load_pipeline
from vidiff.pipeline import initial_noise


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_an_untrained_pipeline_returns_its_source(pipe, clip):
    assert np.array_equal(pipe(clip, "Remove the haze.", generator=seeded()).frames, clip)


def test_equal_seeds_give_equal_clips_and_other_seeds_do_not(awake_pipe, clip):
    first, again, other = (awake_pipe(clip, "Remove the haze.", generator=seeded(n)).frames for n in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("size", [(1, 5, 7), (2, 33, 50), (4, 16, 16), (3, 20, 24)])
def test_any_size_comes_back(awake_pipe, size):
    clip = np.full((*size, 3), 128, np.uint8)
    assert awake_pipe(clip, "Remove the haze.", generator=seeded()).frames.shape == clip.shape


def test_output_types_hold_the_same_picture(awake_pipe, clip):
    array, tensor, images = (
        awake_pipe(clip, "Remove the haze.", generator=seeded(), output_type=kind).frames
        for kind in ("np", "pt", "pil")
    )
    assert tensor.shape == (4, 3, 32, 48)
    assert np.array_equal((tensor.permute(0, 2, 3, 1) * 255).round().byte().numpy(), array)
    assert np.array_equal(np.stack([np.asarray(image) for image in images]), array)


def test_input_types_give_the_same_result(awake_pipe, clip):
    tensor = torch.from_numpy(clip).permute(0, 3, 1, 2) / 255
    images = [Image.fromarray(frame) for frame in clip]
    results = [awake_pipe(video, "Remove the haze.", generator=seeded()).frames for video in (clip, tensor, images)]
    assert np.array_equal(results[0], results[2])
    assert np.abs(results[0].astype(int) - results[1]).max() <= 1


def test_a_clip_of_another_type_is_refused(pipe):
    with pytest.raises(ModelError, match=r"uint8 \[t h w 3\], is float64 \[4, 8, 8, 3\]"):
        pipe(np.zeros((4, 8, 8, 3)), "Remove the haze.")


def test_a_zero_text_scale_ignores_the_text_and_another_does_not(awake_pipe, clip):
    def translate(instruction, text_scale):
        torch.nn.init.normal_(awake_pipe.unet.conv_out.weight, std=0.3, generator=seeded(5))
        return awake_pipe(
            clip, instruction, text_guidance_scale=text_scale, generator=seeded(), output_type="pt"
        ).frames

    assert torch.equal(translate("Remove the haze.", 0.0), translate("Colorize this video.", 0.0))
    assert not torch.equal(translate("Remove the haze.", 3.0), translate("Colorize this video.", 3.0))


def test_passes_that_vanish_are_not_computed(awake_pipe, clip, monkeypatch):
    calls = []
    forward = awake_pipe.unet.forward
    monkeypatch.setattr(
        awake_pipe.unet, "forward", lambda *args, **kwargs: calls.append(len(args[0])) or forward(*args, **kwargs)
    )
    for video, text, passes in ((1, 1, 1), (1.5, 1.5, 2), (1.5, 3, 3)):
        calls.clear()
        awake_pipe(clip, "x", num_inference_steps=2, video_guidance_scale=video, text_guidance_scale=text)
        assert calls == [passes] * 2


def test_default_scales_come_from_the_table_of_tasks(pipe):
    pipe.register_to_config(guidance={"default": {"video": 1.0, "text": 1.0}, "edit": {"video": 1.25, "text": 5.0}})
    assert pipe.scales("edit").text == 5
    assert pipe.scales("dehaze").text == 1
    assert pipe.scales("edit", text=2).text == 2


def test_the_callback_sees_every_step_and_may_change_the_latents(pipe, clip):
    seen = []

    def blank(pipe, step, timestep, tensors):
        seen.append((step, int(timestep)))
        return {"latents": torch.zeros_like(tensors["latents"])}

    frames = pipe(clip, "Remove the haze.", num_inference_steps=3, callback_on_step_end=blank).frames
    assert [step for step, _ in seen] == [0, 1, 2]
    assert seen[0][1] == 999
    assert (frames == 128).all()


def test_a_saved_pipeline_loads_and_gives_the_same_clip(awake_pipe, clip, tmp_path):
    awake_pipe.save_pretrained(tmp_path / "run" / "model")
    for folder in (tmp_path / "run", tmp_path / "run" / "model"):
        loaded = load_pipeline(folder)
        results = [pipe(clip, "Remove the haze.", generator=seeded()).frames for pipe in (loaded, awake_pipe)]
        assert np.array_equal(*results)
    assert (loaded.window, loaded.working_size) == (4, 32)


def test_only_safetensors_are_written(pipe, tmp_path):
    pipe.save_pretrained(tmp_path)
    assert {file.suffix for file in tmp_path.rglob("*") if file.is_file()} == {".json", ".safetensors"}


def test_component_paths_are_a_promise(pipe, tmp_path):
    pipe.save_pretrained(tmp_path)
    index = json.loads((tmp_path / "model_index.json").read_text())
    assert index["unet"] == ["vidiff.unet", "VIDiffUNet"]
    assert index["vae"] == ["vidiff.autoencoder", "PatchAutoencoder"]


def test_folders_that_are_no_model_are_refused_in_one_line(pipe, tmp_path):
    with pytest.raises(ModelError, match="there is no such folder"):
        load_pipeline(tmp_path / "nowhere")
    with pytest.raises(ModelError, match="has no model_index"):
        load_pipeline(tmp_path)
    (tmp_path / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}')
    with pytest.raises(ModelError, match="'StableDiffusionPipeline', not a VIDiffPipeline"):
        load_pipeline(tmp_path)
    pipe.save_pretrained(tmp_path)
    (tmp_path / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(b"cut")
    with pytest.raises(ModelError, match="cannot be loaded") as error:
        load_pipeline(tmp_path)
    assert "\n" not in str(error.value)


def test_code_that_comes_with_a_model_is_never_run(pipe, tmp_path):
    pipe.save_pretrained(tmp_path / "model")
    for option in ({"trust_remote_code": True}, {"custom_pipeline": "somebody/pipeline"}):
        with pytest.raises(ModelError, match="runs code that comes with a model; it is not supported"):
            VIDiffPipeline.from_pretrained(tmp_path / "model", **option)
    config = tmp_path / "model" / "text_encoder" / "config.json"
    plain = config.read_text()
    config.write_text(json.dumps(json.loads(plain) | {"auto_map": {"AutoModel": "modeling_mine.Mine"}}))
    with pytest.raises(ModelError, match=r"config.json asks for code of its own \(auto_map\)"):
        load_pipeline(tmp_path / "model")
    config.write_text(plain)
    marker = tmp_path / "ran"
    (tmp_path / "model" / "unet" / "mine.py").write_text(f"open({str(marker)!r}, 'w').close()")
    index = tmp_path / "model" / "model_index.json"
    index.write_text(json.dumps(json.loads(index.read_text()) | {"unet": ["mine", "Mine"]}))
    with pytest.raises(ModelError, match=r"mine.py is code; code in a model folder is never run"):
        load_pipeline(tmp_path / "model")
    (tmp_path / "model" / "unet" / "mine.py").unlink()
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_pipeline(tmp_path / "model")
    assert not marker.exists()


def test_pickled_weights_are_refused(pipe, tmp_path):
    pipe.save_pretrained(tmp_path)
    (tmp_path / "unet" / "diffusion_pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(ModelError, match="is a pickle, which can run code"):
        load_pipeline(tmp_path)


def test_shared_noise_has_unit_variance_and_the_stated_correlation():
    noise = initial_noise(torch.zeros(1, 50, 8, 16, 16), seeded(), shared=3.0)
    flat = noise.transpose(1, 2).flatten(2)[0]
    assert noise.var().item() == pytest.approx(1, abs=0.03)
    assert torch.corrcoef(flat)[0, 5].item() == pytest.approx(3 / 4, abs=0.03)
    assert torch.equal(initial_noise(noise, seeded(), 0.0), torch.randn(noise.shape, generator=seeded()))


@pytest.mark.parametrize("component", ["unet", "vae", "text_encoder"])
@pytest.mark.parametrize(("change", "words"), [("drop", "lacks"), ("add", "without a use for it, zzz.weight")])
def test_weights_that_are_missing_or_unused_are_refused(component, change, words, pipe, tmp_path):
    pipe.save_pretrained(tmp_path)
    file = next((tmp_path / component).glob("*.safetensors"))
    tensors = load_file(file)
    if change == "drop":
        del tensors[min(tensors)]
    else:
        tensors["zzz.weight"] = torch.zeros(2)
    save_file(tensors, file, metadata={"format": "pt"})
    with pytest.raises(ModelError, match=words):
        load_pipeline(tmp_path)


@pytest.mark.parametrize("rule", ["instruct_pix2pix", "instruct_diffusion"])
def test_passes_in_one_batch_and_one_after_the_other_give_the_same_clip(rule, awake_pipe, clip):
    awake_pipe.register_to_config(guidance_rule=rule)

    def run(together):
        scales = {"video_guidance_scale": 1.3, "text_guidance_scale": 2.0, "guidance_together": together}
        generator = torch.Generator().manual_seed(3)
        return awake_pipe(clip, "Remove the haze.", generator=generator, output_type="pt", **scales).frames

    torch.testing.assert_close(run(True), run(False), atol=1e-5, rtol=0)
