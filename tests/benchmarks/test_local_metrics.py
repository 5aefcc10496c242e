from dataclasses import replace

import numpy as np
import pytest

from benchmarks.metrics import METRICS, Outcome, get_metrics, psnr
from benchmarks.metrics.haze import transmission_error
from benchmarks.metrics.local import change_made, masked_psnr, pasted, unchanged
from shards import Sample
from tests.conftest import make_sample, moving_clip


def two_clips() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    target = (moving_clip(0, frames=3, height=40, width=50) // 2 + 50).astype(np.uint8)
    mask = np.zeros(target.shape[:3], np.uint8)
    mask[:, 5:20, 8:30] = 255
    prediction = target.copy()
    prediction[:, 5:20, 8:30] += 10
    return prediction, target, mask


def test_inside_and_outside_of_a_mask_are_told_apart():
    prediction, target, mask = two_clips()
    assert masked_psnr(prediction, target, mask) == pytest.approx([20 * np.log10(25.5)] * 3)
    assert masked_psnr(prediction, target, 255 - mask).tolist() == [100.0] * 3
    share = mask.mean() / 255
    assert psnr(prediction, target) == pytest.approx([20 * np.log10(25.5) - 10 * np.log10(share)] * 3)


def test_frames_without_a_hole_are_left_out():
    prediction, target, mask = two_clips()
    mask[1] = 0
    assert len(masked_psnr(prediction, target, mask)) == 2


def test_pasting_takes_the_answer_inside_the_hole_only():
    prediction, target, mask = two_clips()
    spoilt = 255 - prediction
    found = pasted(spoilt, target, mask)
    assert np.array_equal(found[mask > 0], spoilt[mask > 0])
    assert np.array_equal(found[mask == 0], target[mask == 0])


def test_the_share_of_a_change_by_hand():
    source, target = np.zeros((1, 4, 4, 3), np.uint8), np.full((1, 4, 4, 3), 100, np.uint8)
    assert change_made(source, source, target) == 0
    assert change_made(target, source, target) == 1
    assert change_made(target // 2, source, target) == pytest.approx(0.75)
    assert change_made(np.full_like(target, 255), source, target) == -1
    with pytest.raises(ValueError, match="no change"):
        change_made(source, source, source)


def test_an_answer_that_does_next_to_nothing_is_a_no_op_however_small_the_edit():
    source = np.full((2, 20, 20, 3), 100, np.uint8)
    target = source.copy()
    target[:, :2, :2] = 130
    assert unchanged(source, source, target)
    assert not unchanged(target, source, target)
    slight = source.copy()
    slight[:, 0, 0] = 102
    assert unchanged(slight, source, target)


def hazy_pair(t: float = 0.4, gamma: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    clear = np.random.default_rng(0).integers(0, 120, (2, 30, 30, 3)).astype(np.uint8)
    airlight = np.array([[0.9, 0.92, 0.95]] * 2)
    light = (clear / 255) ** gamma
    mixed = light * t + airlight[:, None, None] * (1 - t)
    return np.round(mixed ** (1 / gamma) * 255).astype(np.uint8), clear, airlight


@pytest.mark.parametrize("gamma", [1.0, 2.2])
def test_the_transmission_that_an_answer_implies(gamma):
    hazy, clear, airlight = hazy_pair(gamma=gamma)
    assert transmission_error(clear, hazy, clear, airlight, gamma=gamma) == pytest.approx([0, 0])
    # whoever leaves the haze in takes the transmission for 1, and it is 0.4
    assert transmission_error(hazy, hazy, clear, airlight, gamma=gamma) == pytest.approx([0.6, 0.6], abs=0.01)


def test_where_the_clear_picture_is_the_airlight_nothing_can_be_said():
    hazy, clear, airlight = hazy_pair()
    clear[:] = (airlight[0] * 255).astype(np.uint8)
    assert len(transmission_error(clear, hazy, clear, airlight)) == 0


def segment_sample() -> Sample:
    sample = make_sample("segment", "test", 0)
    source = (moving_clip(3, frames=4, height=64, width=80) // 2 + 40).astype(np.uint8)
    mask = np.zeros(source.shape[:3], np.uint8)
    mask[:, 10:40, 20:60] = 255
    paint = np.array([240, 128, 22])
    target = np.where(mask[..., None] > 0, (source // 2 + paint // 2).astype(np.uint8), source)
    meta = replace(sample.meta, parameters={"rgb": paint.tolist()})
    return replace(sample, source=source, target=target, mask=mask, meta=meta)


def test_a_painted_answer_is_scored_by_the_mask_it_means():
    sample = segment_sample()
    perfect, nothing = Outcome(sample, sample.target), Outcome(sample, sample.source)
    assert METRICS["j"].score(perfect) > 0.97
    assert METRICS["f"].score(perfect) > 0.99
    assert METRICS["overall_iou"].score(perfect) == pytest.approx(METRICS["j"].score(perfect), abs=0.01)
    assert METRICS["j"].score(nothing) == METRICS["f"].score(nothing) == METRICS["p50"].score(nothing) == 0
    shifted = Outcome(sample, np.roll(sample.target, 10, axis=2))
    assert METRICS["j"].score(shifted) < METRICS["j"].score(perfect)


def test_two_empty_masks_agree():
    sample = replace(segment_sample(), mask=np.zeros((4, 64, 80), np.uint8))
    sample = replace(sample, target=sample.source)
    outcome = Outcome(sample, sample.source)
    assert METRICS["jf"].score(outcome) == 1
    assert METRICS["overall_iou"].score(outcome) is None


@pytest.mark.parametrize("task", ["dehaze", "deblur", "inpaint", "recolor", "segment", "edit"])
def test_the_target_itself_scores_as_well_as_anything_can(task):
    sample = segment_sample()
    if task != "segment":
        sample = replace(sample, meta=replace(sample.meta, task=task, parameters={"airlight": [[1.0, 1.0, 1.0]] * 4}))
    worse = np.clip(sample.target.astype(int) + np.random.default_rng(0).normal(0, 25, sample.target.shape), 0, 255)
    for metric in get_metrics(task):
        if metric.networks or not metric.fits(sample.source.shape):
            continue
        if metric.name.startswith(("cdc", "psnr_outside", "j_decay")):
            continue
        best, less = (metric.score(Outcome(sample, clip)) for clip in (sample.target, worse.astype(np.uint8)))
        assert (best >= less) if metric.higher_is_better else (best <= less), metric.name


@pytest.mark.parametrize("task", ["dehaze", "recolor", "edit"])
def test_more_noise_never_scores_better(task):
    sample = segment_sample()
    sample = replace(sample, meta=replace(sample.meta, task=task, parameters={"airlight": [[1.0, 1.0, 1.0]] * 4}))
    noise = np.random.default_rng(0).normal(0, 1, sample.target.shape)
    clips = [np.clip(sample.target + s * noise, 0, 255).astype(np.uint8) for s in (0, 2, 5, 12, 30)]
    for name in (
        "psnr",
        "ssim",
        "psnr_pooled",
        "psnr_y",
        "ssim_y",
        "ciede2000",
        "temporal_psnr",
        "transmission",
        "change",
    ):
        metric = METRICS[name]
        if metric in get_metrics(task):
            scores = [metric.score(Outcome(sample, clip)) for clip in clips]
            assert (np.diff(scores) < 0).all() == metric.higher_is_better, name
            assert (np.diff(scores) > 0).all() != metric.higher_is_better, name


def test_warping_error_of_a_pasted_answer_is_blind_to_what_is_outside_the_hole():
    sample = segment_sample()
    metric, whole = METRICS["warping_error_pasted"], METRICS["warping_error"]
    rng = np.random.default_rng(0)
    answer = np.where(sample.mask[..., None] > 0, rng.integers(256, size=sample.source.shape), sample.target).astype(
        np.uint8
    )
    noisy = np.where(sample.mask[..., None] > 0, answer, 255 - answer)
    scores = [metric.score(Outcome(sample, clip)) for clip in (answer, noisy)]
    assert scores[0] == scores[1] == whole.score(Outcome(sample, answer)) != whole.score(Outcome(sample, noisy))
    assert scores[0] > metric.score(Outcome(sample, sample.target))
