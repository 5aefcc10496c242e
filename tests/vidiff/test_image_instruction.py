import numpy as np
import pytest
import torch
from transformers import CLIPVisionConfig, CLIPVisionModel
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

import configs
from configs import ModelError
from vidiff import TrainSettings, VIDiffPipeline
from vidiff.data import Batch
from vidiff.image_instruction import encode_images, instruction_tokens, to_square
from vidiff.objective import diffusion_loss, draw_halves
from vidiff.settings import DropSettings
from vidiff.sizes import new_pipeline
from vidiff.train import make_state


@pytest.fixture
def settings() -> TrainSettings:
    return configs.load(TrainSettings, "tiny-fast", ["model.image_width=32", "model.image_layers=1", "precision=fp32"])


@pytest.fixture
def seeing(settings):
    """A pipeline that takes image instructions, in which everything matters."""
    pipe = new_pipeline(settings)
    pipe.set_progress_bar_config(disable=True)
    torch.manual_seed(0)
    for layer in (pipe.unet.conv_in, pipe.unet.conv_out):
        torch.nn.init.normal_(layer.weight, std=0.3)
    torch.nn.init.normal_(pipe.image_projector.null)
    return pipe


def picture(seed: int, height: int = 300, width: int = 400) -> np.ndarray:
    return np.kron(
        np.random.default_rng(seed).integers(0, 256, (height // 20, width // 20, 3)), np.ones((20, 20, 1))
    ).astype(np.uint8)


def tensors(*pictures: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.stack([to_square(image) for image in pictures])).permute(0, 3, 1, 2)


@pytest.mark.parametrize("size", [(300, 400), (500, 240), (100, 100), (224, 224), (231, 997)])
def test_images_reach_the_encoder_as_clip_s_own_processor_would_bring_them(size):
    image = np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8)
    encoder = CLIPVisionModel(
        CLIPVisionConfig(hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2)
    )
    seen = {}
    encoder.register_forward_pre_hook(lambda module, args, kwargs: seen.update(pixels=args[0]), with_kwargs=True)
    with torch.no_grad():
        tokens = encode_images(encoder, tensors(image))
    assert tokens.shape == (1, 49, 32)
    expected = CLIPImageProcessorPil()(images=image, return_tensors="pt").pixel_values
    torch.testing.assert_close(seen["pixels"], expected, atol=1e-5, rtol=0)


def test_the_context_is_text_then_image_and_what_is_absent_has_its_null(seeing):
    images = tensors(picture(0), picture(1))
    both = instruction_tokens(seeing, ["Recolor it."] * 2, images, torch.tensor([True, False]))
    text = instruction_tokens(seeing, ["Recolor it."])
    length, patches = seeing.tokenizer.model_max_length, (64 // 16) ** 2
    assert both.shape[1] == text.shape[1] == length + patches
    torch.testing.assert_close(both[:1, :length], text[:, :length])
    torch.testing.assert_close(both[1:], text)
    torch.testing.assert_close(text[0, length:], seeing.image_projector.null.expand(patches, -1))
    assert not torch.allclose(both[0, length:], text[0, length:])


def test_the_image_is_seen_and_only_where_the_instruction_is(seeing, clip):
    def run(image, text_scale=2.0):
        generator = torch.Generator().manual_seed(1)
        return seeing(clip, "Recolor it.", image=image, text_guidance_scale=text_scale, generator=generator).frames

    assert not np.array_equal(run(picture(0)), run(picture(1)))
    assert not np.array_equal(run(picture(0)), run(None))
    np.testing.assert_array_equal(run(picture(0), text_scale=0.0), run(None, text_scale=0.0))


def test_a_model_without_an_image_encoder_says_so(pipe, clip):
    with pytest.raises(ModelError, match="takes no image instruction"):
        pipe(clip, "Recolor it.", image=picture(0))


def test_an_image_of_another_kind_is_refused(seeing, clip):
    with pytest.raises(ModelError, match=r"must be uint8 \[h w 3\], is float64 \[4, 4, 3\]"):
        seeing(clip, "Recolor it.", image=np.zeros((4, 4, 3)))


def test_a_saved_model_keeps_its_eyes(seeing, clip, tmp_path):
    seeing.save_pretrained(tmp_path)
    again = VIDiffPipeline.from_pretrained(tmp_path)
    again.set_progress_bar_config(disable=True)

    def run(model):
        return model(
            clip, "x", image=picture(2), text_guidance_scale=3.0, generator=torch.Generator().manual_seed(0)
        ).frames

    np.testing.assert_array_equal(run(again), run(seeing))


def batch(image: np.ndarray, *, with_image: bool = True) -> Batch:
    rng = torch.Generator().manual_seed(0)
    source, target = (torch.randint(0, 256, (2, 3, 4, 32, 32), dtype=torch.uint8, generator=rng) for _ in range(2))
    return Batch(
        source=source,
        target=target,
        instructions=["Recolor it."] * 2,
        images=tensors(image, image),
        with_image=torch.full((2,), with_image),
    )


def loss(pipe, settings, one, **drop):
    chosen = settings.model_copy(
        update={"drop": DropSettings(**{"text": 0, "video": 0, "both": 0, "image": 0, "words": 0} | drop)}
    )
    return diffusion_loss(pipe, one, chosen, torch.Generator().manual_seed(5))


def test_training_sees_the_image_unless_it_is_dropped(seeing, settings):
    first, other = batch(picture(0)), batch(picture(1))
    assert loss(seeing, settings, first).item() != loss(seeing, settings, other).item()
    for drop in ({"image": 1.0}, {"text": 1.0}):
        assert loss(seeing, settings, first, **drop).item() == loss(seeing, settings, other, **drop).item()
    worded = batch(picture(0))
    worded.instructions[:] = ["Something else."] * 2
    assert loss(seeing, settings, first, words=1.0).item() == loss(seeing, settings, worded, words=1.0).item()
    assert loss(seeing, settings, first).item() != loss(seeing, settings, worded).item()


def test_the_null_learns_where_there_is_no_image_and_the_mlp_where_there_is(seeing, settings):
    for with_image, learns, rests in ((True, "mlp.0.weight", "null"), (False, "null", "mlp.0.weight")):
        seeing.image_projector.zero_grad()
        loss(seeing, settings, batch(picture(0), with_image=with_image)).backward()
        gradients = {name: value.grad for name, value in seeing.image_projector.named_parameters()}
        assert gradients[learns].abs().sum() > 0
        assert gradients[rests] is None or gradients[rests].abs().sum() == 0


def test_half_instructions_are_drawn_for_clips_with_an_image_alone():
    with_image = torch.arange(20_000) % 2 == 0
    words, image = draw_halves(with_image, DropSettings(words=0.2, image=0.1), torch.Generator().manual_seed(0))
    assert not (words & image).any()
    assert not (words | image)[~with_image].any()
    assert words[with_image].float().mean().item() == pytest.approx(0.2, abs=0.015)
    assert image[with_image].float().mean().item() == pytest.approx(0.1, abs=0.015)


def test_only_what_is_to_be_trained_is(seeing, settings):
    state = make_state(seeing, settings.model_copy(update={"trained": ("unet", "image_projector")}))
    assert {name.split(".")[0] for name in state.parameters} == {"unet", "image_projector"}
    assert not any(value.requires_grad for value in seeing.text_encoder.parameters())
    assert not seeing.image_encoder.training
