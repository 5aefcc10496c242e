import pytest
import torch

from vidiff.conditioning import encode_text, join_tokens, small_text_encoder, small_tokenizer, unet_input
from vidiff.pipeline import VIDiffPipeline
from vidiff.settings import NoiseSettings
from vidiff.sizes import make_scheduler


@pytest.fixture(scope="module")
def tokenizer():
    return small_tokenizer(77)


def test_two_tokenizers_of_the_same_tasks_are_equal(tokenizer):
    other = small_tokenizer(77)
    assert other.get_vocab() == tokenizer.get_vocab()
    assert other.backend_tokenizer.to_str() == tokenizer.backend_tokenizer.to_str()


@pytest.mark.parametrize(
    "text", ["Remove the haze.", "Enlève la brume !", "去除视频中的雾。", "🌫️ → ☀️", "x" * 500, "tab\tand \x00"]
)
def test_no_text_is_unknown(tokenizer, text):
    ids = tokenizer(text, add_special_tokens=False).input_ids
    assert tokenizer.eos_token_id not in ids
    assert len(ids) > 0


def test_words_of_the_instructions_are_single_tokens(tokenizer):
    assert len(tokenizer("Based on the first 2 frames, remove the haze.", add_special_tokens=False).input_ids) == 11


def test_texts_that_differ_have_tokens_that_differ(tokenizer):
    encoder = small_text_encoder(tokenizer, width=32, layers=1)
    with torch.no_grad():
        tokens = encode_text(tokenizer, encoder, ["Remove the haze.", "Colorize this video.", "", "é" * 300])
    assert tokens.shape == (4, 77, 32)
    for left, right in ((0, 1), (0, 2), (1, 3)):
        assert (tokens[left] - tokens[right]).abs().max() > 1e-3


def test_image_tokens_follow_the_text_tokens():
    text, image = torch.zeros(2, 5, 8), torch.ones(2, 3, 8)
    assert join_tokens(text) is text
    joined = join_tokens(text, image)
    assert joined.shape == (2, 8, 8)
    assert torch.equal(joined[:, 5:], image)


def test_a_loaded_tokenizer_cuts_texts_as_the_saved_one(pipe, tmp_path):
    pipe.save_pretrained(tmp_path)
    loaded = VIDiffPipeline.from_pretrained(tmp_path)
    for text in ("Remove the haze.", "Brume à l'aube", "a b c d e f"):
        assert loaded.tokenizer(text).input_ids == pipe.tokenizer(text).input_ids


def test_faded_noise_is_the_best_linear_guess_and_nothing_at_the_last_step():
    scheduler = make_scheduler(NoiseSettings())
    generator = torch.Generator().manual_seed(0)
    clean, noise = (torch.randn(3, 4, 2, 32, 32, generator=generator) for _ in range(2))
    t = torch.tensor([0, 500, 999])
    noisy = scheduler.add_noise(clean, noise, t)
    guess = unet_input(scheduler, noisy, clean, t, fade=True)[:, :4]
    assert guess[2].abs().max() < 1e-6
    # the residual of the best linear guess is uncorrelated with what it was made from
    assert ((clean - guess) * noisy).mean(dim=(1, 2, 3, 4)).abs().max() < 0.03
    assert torch.equal(unet_input(scheduler, noisy, clean, t, fade=False), torch.cat([noisy, clean], dim=1))
