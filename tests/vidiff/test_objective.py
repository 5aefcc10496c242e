import pytest
import torch

import configs
from vidiff import TrainSettings
from vidiff.data import Batch
from vidiff.objective import diffusion_loss, draw_drops, draw_timesteps, wanted
from vidiff.settings import DropSettings, NoiseSettings
from vidiff.sizes import make_scheduler


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def batch(size=2):
    source, target = (
        torch.randint(0, 256, (size, 3, 4, 16, 16), dtype=torch.uint8, generator=seeded(n)) for n in (0, 1)
    )
    return Batch(source=source, target=target, instructions=["Remove the haze."] * size)


def test_drops_come_in_three_kinds_of_five_percent_each():
    no_text, no_video = draw_drops(100_000, DropSettings(), seeded())
    for kind in (no_text & ~no_video, no_text & no_video, ~no_text & no_video):
        assert kind.float().mean().item() == pytest.approx(0.05, abs=0.003)


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_timesteps_are_even_but_for_the_share_at_pure_noise(share):
    drawn = draw_timesteps(50_000, NoiseSettings(pure_noise=share), 1000, seeded())
    assert (drawn == 999).float().mean().item() == pytest.approx(share, abs=0.01)
    rest = drawn[drawn < 999].float()
    assert rest.min() == 0
    assert rest.mean().item() == pytest.approx(499, abs=5)


def test_an_untrained_residual_model_loses_the_difference_of_source_and_target(pipe, tiny):
    settings = tiny.model_copy(update={"drop": DropSettings(text=0, video=0, both=0), "precision": "fp32"})
    batches = batch()
    latents = [
        pipe.vae.encode(clip.transpose(1, 2).flatten(0, 1) / 127.5 - 1).latent_dist.mode()
        for clip in (batches.source, batches.target)
    ]
    expected = ((latents[0] - latents[1]).square() * pipe.vae.error_weight[:, :, 0]).mean()
    assert diffusion_loss(pipe, batches, settings, seeded()).item() == pytest.approx(expected.item(), rel=1e-4)


def test_a_dropped_video_leaves_nothing_of_the_source(pipe, tiny):
    settings = tiny.model_copy(update={"drop": DropSettings(text=0, video=1, both=0), "precision": "fp32"})
    one, other = batch(), batch()
    other.source.fill_(7)
    assert (
        diffusion_loss(pipe, one, settings, seeded()).item() == diffusion_loss(pipe, other, settings, seeded()).item()
    )


@pytest.mark.parametrize("dropped", [False, True])
def test_a_dropped_text_leaves_nothing_of_the_instruction(awake_pipe, tiny, dropped):
    settings = tiny.model_copy(update={"drop": DropSettings(text=float(dropped), video=0, both=0), "precision": "fp32"})
    one = batch()
    other = Batch(source=one.source, target=one.target, instructions=["Colorize this video."] * 2)
    losses = [diffusion_loss(awake_pipe, item, settings, seeded()).item() for item in (one, other)]
    assert (losses[0] == losses[1]) is dropped


@pytest.mark.parametrize("prediction", ["sample", "epsilon", "v_prediction"])
def test_the_wanted_prediction_gives_the_clean_latent_back_in_one_step(prediction):
    noise = NoiseSettings(prediction=prediction, zero_terminal_snr=False)
    scheduler = make_scheduler(noise)
    scheduler.set_timesteps(1000)
    clean, random = torch.randn(1, 4, 2, 3, 3, generator=seeded()), torch.randn(1, 4, 2, 3, 3, generator=seeded(1))
    t = torch.tensor([600])
    noisy = scheduler.add_noise(clean, random, t)
    step = scheduler.step(wanted(scheduler, clean, random, t), 600, noisy)
    assert torch.allclose(step.pred_original_sample, clean, atol=1e-4)


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["noise.prediction=epsilon"], "zero_terminal_snr"),
        (["noise.prediction=v_prediction"], "predict_residual"),
        (["minutes=1"], "one of steps and minutes"),
        (["data.crops=[20]"], "multiples of 8"),
        (["model.groups=3"], "must divide"),
        (["data.tasks={dehaze: 0}"], "above 0"),
        (["guidance={edit: {text: 5}}"], None),
        (["modle.size=64"], "did you mean 'model'"),
    ],
)
def test_settings_that_contradict_each_other_are_named(overrides, says):
    if says is None:
        settings = configs.load(TrainSettings, "tiny-fast", overrides)
        assert settings.guidance["edit"].text == 5
        return
    with pytest.raises(configs.ConfigError, match=says):
        configs.load(TrainSettings, "tiny-fast", overrides)
