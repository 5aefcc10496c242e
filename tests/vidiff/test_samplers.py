import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler

from configs import ModelError
from vidiff.samplers import make_sampler, sampler_summaries

MEAN, SPREAD = 0.3, 0.5
DETERMINISTIC = ["ddim", "dpm++", "unipc", "euler"]


def schedule(prediction="v_prediction", *, zero_snr=True):
    return DDIMScheduler(
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        beta_end=0.012,
        prediction_type=prediction,
        rescale_betas_zero_snr=zero_snr,
        timestep_spacing="trailing",
        clip_sample=False,
    )


def sample(sampler, clean_of, prediction, steps, *, shape=(1, 4, 3, 8, 8), seed=0):
    """Run a sampler where `clean_of(noisy, alpha_bar)` is the best guess of the clean latent; return its start and end."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(shape, generator=generator, dtype=torch.float64)
    sampler.set_timesteps(steps)
    latents = noise * sampler.init_noise_sigma
    for t in sampler.timesteps:
        noisy = sampler.scale_model_input(latents, t)
        kept = sampler.alphas_cumprod[int(t)].double()
        a, s = kept.sqrt(), (1 - kept).sqrt()
        clean = clean_of(noisy, kept)
        said = {"sample": clean, "epsilon": (noisy - a * clean) / s, "v_prediction": (a * noisy - clean) / s}
        options = {"generator": generator} if sampler.__class__.__name__ in ("LCMScheduler",) else {}
        if "Ancestral" in sampler.__class__.__name__:
            options = {"generator": generator}
        latents = sampler.step(said[prediction], t, latents, **options).prev_sample
    return noise, latents


@pytest.mark.parametrize("prediction", ["sample", "epsilon", "v_prediction"])
@pytest.mark.parametrize("name", sorted(sampler_summaries()))
@pytest.mark.parametrize("steps", [1, 2, 8])
def test_a_network_that_knows_the_clean_latent_gives_it_with_every_sampler(name, prediction, steps):
    if name == "euler-a" and prediction == "sample":
        return
    known = torch.linspace(-1, 1, 4 * 3 * 64, dtype=torch.float64).reshape(1, 4, 3, 8, 8)
    sampler = make_sampler(name, schedule(prediction, zero_snr=prediction != "epsilon"))
    _, end = sample(sampler, lambda noisy, kept: known, prediction, steps)
    assert (end - known).abs().max() < 1e-3


def normal_guess(noisy, kept):
    """The mean of the clean latent given the noisy one, where clean latents are normal (MEAN, SPREAD)."""
    variance = kept * SPREAD**2 + 1 - kept
    return MEAN + kept.sqrt() * SPREAD**2 / variance * (noisy - kept.sqrt() * MEAN)


def distance_from_the_flow(name, steps, *, zero_snr):
    """How far a sampler ends from where the probability flow does, which moves normal data along a line."""
    sampler = make_sampler(name, schedule(zero_snr=zero_snr))
    noise, end = sample(sampler, normal_guess, "v_prediction", steps)
    kept = sampler.alphas_cumprod[int(sampler.timesteps[0])].double()
    known = MEAN + SPREAD * (noise - kept.sqrt() * MEAN) / (kept * SPREAD**2 + 1 - kept).sqrt()
    return (end - known).abs().mean()


@pytest.mark.parametrize("zero_snr", [True, False])
@pytest.mark.parametrize("name", DETERMINISTIC)
def test_deterministic_samplers_follow_the_flow_whose_end_is_known(name, zero_snr):
    assert distance_from_the_flow(name, 200, zero_snr=zero_snr) < 0.02


@pytest.mark.parametrize("name", ["dpm++", "unipc"])
def test_the_second_order_comes_nearer_with_as_many_steps(name):
    for steps in (10, 20, 50):
        assert distance_from_the_flow(name, steps, zero_snr=False) < distance_from_the_flow(
            "ddim", steps, zero_snr=False
        )


def test_samplers_that_add_noise_end_in_the_distribution():
    _, end = sample(make_sampler("euler-a", schedule()), normal_guess, "v_prediction", 400, shape=(1, 4, 4, 32, 32))
    assert abs(float(end.mean()) - MEAN) < 0.02
    assert abs(float(end.std()) - SPREAD) < 0.02


@pytest.mark.parametrize("name", [name for name in sampler_summaries() if name != "euler-a"])
def test_every_sampler_runs_in_the_pipeline_and_depends_on_the_seed_alone(name, awake_pipe, clip):
    awake_pipe.scheduler = make_sampler(name, awake_pipe.scheduler)
    first, again = (
        awake_pipe(clip, "x", num_inference_steps=3, generator=torch.Generator().manual_seed(1)).frames
        for _ in range(2)
    )
    assert first.shape == clip.shape
    assert np.array_equal(first, again)


@pytest.mark.parametrize("name", ["ddim", "dpm++", "euler", "unipc"])
def test_an_untrained_pipeline_returns_its_source_with_any_sampler(name, pipe, clip):
    pipe.scheduler = make_sampler(name, pipe.scheduler)
    assert np.array_equal(pipe(clip, "Remove the haze.", num_inference_steps=4).frames, clip)


def test_the_noise_schedule_and_what_is_predicted_are_kept():
    made = make_sampler("dpm++", schedule("epsilon", zero_snr=False))
    assert made.config.prediction_type == "epsilon"
    assert made.config.timestep_spacing == "trailing"
    assert torch.allclose(made.alphas_cumprod, schedule("epsilon", zero_snr=False).alphas_cumprod)
    assert make_sampler("ddim", made).config.beta_end == 0.012


def test_more_steps_than_a_sampler_has_are_one_line(pipe, clip):
    pipe.scheduler = make_sampler("lcm", pipe.scheduler)
    with pytest.raises(ModelError, match="LCMScheduler cannot take 60 steps"):
        pipe(clip, "x", num_inference_steps=60)


def test_an_unknown_sampler_and_one_that_does_not_fit_are_one_line():
    with pytest.raises(ModelError, match=r"'dpmm'.*dpm\+\+"):
        make_sampler("dpmm", schedule())
    with pytest.raises(ModelError, match=r"predicts the clean latent: take ddim, dpm\+\+"):
        make_sampler("euler-a", schedule("sample"))
