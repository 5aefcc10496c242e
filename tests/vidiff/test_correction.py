"""Long Video Sampling Correction, on predictions whose right value is known."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from vidiff import translate_clip
from vidiff.correction import Overlap, begin_with, corrected
from vidiff.long_video import seam_places
from vidiff.seams import SeamMeter

A = torch.tensor(0.3, dtype=torch.float64)


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def said(kind, noisy, clean):
    return {
        "sample": clean,
        "epsilon": (noisy - A.sqrt() * clean) / (1 - A).sqrt(),
        "v_prediction": (A.sqrt() * noisy - clean) / (1 - A).sqrt(),
    }[kind]


def test_noise_is_corrected_by_the_formula_of_the_paper():
    noisy, e, z = random(1, 4, 6, 3, 3), random(1, 4, 6, 3, 3, seed=1), random(1, 4, 2, 3, 3, seed=2)
    reference = (noisy[:, :, :2] - A.sqrt() * z) / (1 - A).sqrt()
    difference = reference - e[:, :, :2]
    by_hand = e.clone()
    by_hand[:, :, :2] += difference
    by_hand[:, :, 2:] += difference.mean(dim=2, keepdim=True)
    torch.testing.assert_close(corrected(e, noisy, Overlap(z, z), A, "epsilon"), by_hand)


@pytest.mark.parametrize("kind", ["sample", "v_prediction"])
def test_it_is_the_same_correction_whatever_the_network_predicts(kind):
    noisy, clean, z = random(1, 4, 6, 3, 3), random(1, 4, 6, 3, 3, seed=1), random(1, 4, 2, 3, 3, seed=2)
    as_noise = corrected(said("epsilon", noisy, clean), noisy, Overlap(z, z), A, "epsilon")
    cleaned = (noisy - (1 - A).sqrt() * as_noise) / A.sqrt()
    torch.testing.assert_close(
        corrected(said(kind, noisy, clean), noisy, Overlap(z, z), A, kind), said(kind, noisy, cleaned)
    )


def test_a_prediction_that_is_right_stays():
    noisy, clean = random(1, 4, 6, 3, 3), random(1, 4, 6, 3, 3, seed=1)
    overlap = Overlap(clean[:, :, :2], clean[:, :, :2])
    for kind in ("sample", "epsilon", "v_prediction"):
        predicted = said(kind, noisy, clean)
        torch.testing.assert_close(corrected(predicted, noisy, overlap, A, kind), predicted)


def test_a_window_begins_with_the_noise_of_the_one_before():
    noise, overlap = random(1, 4, 6, 3, 3), Overlap(random(1, 4, 5, 3, 3, seed=1), random(1, 4, 5, 3, 3, seed=2))
    begun = begin_with(noise, overlap.last(2))
    assert torch.equal(begun[:, :, :2], overlap.noise[:, :, 3:])
    assert torch.equal(begun[:, :, 2:], noise[:, :, 2:])


def undecided(scheduler, spread=2.0):
    """Make a U-Net's forward that gives a window one look, which its noise decides, and each frame a little of its own."""

    def forward(latent, t, context):
        noisy, condition = latent.chunk(2, dim=1)
        kept = scheduler.alphas_cumprod[int(t)]
        gain = kept.sqrt() * spread**2 / (kept * spread**2 + 1 - kept)
        look = noisy - kept.sqrt() * condition
        look = 0.9 * look.mean(dim=2, keepdim=True) + 0.1 * look
        return SimpleNamespace(sample=condition + gain * look)

    return forward


def seam_ratio(pipe, **options):
    video = np.full((26, 16, 16, 3), 128, np.uint8)
    generator = torch.Generator().manual_seed(3)
    result = translate_clip(pipe, video, "x", overlap=3, num_inference_steps=8, generator=generator, **options)
    meter = SeamMeter(seam_places(len(video), pipe.window, 3))
    for before, after in zip(video, result, strict=True):
        meter.add(before, after)
    return meter.ratio


def test_correction_closes_the_seams_that_windows_leave_which_know_nothing_of_each_other(pipe, monkeypatch):
    monkeypatch.setattr(pipe.unet, "forward", undecided(pipe.scheduler))
    pipe.register_to_config(shared_noise=0.0, fade_noise=False, window=8)
    alone, half = (seam_ratio(pipe, carry=carry) for carry in ("nothing", "corrected"))
    monkeypatch.setattr("vidiff.pipeline.CORRECTED_STEPS", 1)
    assert alone > 10
    assert half < 0.6 * alone
    assert seam_ratio(pipe, carry="corrected") < 2


def test_frames_that_are_corrected_to_the_end_come_out_as_before(awake_pipe, clip, monkeypatch):
    monkeypatch.setattr("vidiff.pipeline.CORRECTED_STEPS", 1)
    first = awake_pipe(clip, "x", generator=torch.Generator().manual_seed(0))
    second = awake_pipe(
        clip[::-1].copy(), "x", generator=torch.Generator().manual_seed(1), previous=first.overlap.last(2)
    )
    torch.testing.assert_close(second.overlap.latents[:, :, :2], first.overlap.latents[:, :, -2:], atol=1e-5, rtol=0)
    assert torch.equal(second.overlap.noise[:, :, :2], first.overlap.noise[:, :, -2:])
