import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from benchmarks.metrics import METRICS, psnr, ssim
from tests.conftest import moving_clip


def pair(seed: int, shape: tuple[int, ...], kind: str) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    if kind == "random":
        return rng.integers(0, 256, shape, dtype=np.uint8), rng.integers(0, 256, shape, dtype=np.uint8)
    target = moving_clip(seed, frames=shape[0], height=shape[1], width=shape[2])
    noise = rng.normal(0, 3 + seed, target.shape)
    return np.clip(target + noise, 0, 255).astype(np.uint8), target


@pytest.mark.parametrize("kind", ["random", "noisy"])
@pytest.mark.parametrize("shape", [(1, 11, 11, 3), (3, 40, 57, 3), (2, 128, 96, 3)])
@pytest.mark.parametrize("seed", range(3))
def test_values_are_scikit_images_frame_by_frame(seed, shape, kind):
    prediction, target = pair(seed, shape, kind)
    for i, (a, b) in enumerate(zip(prediction, target, strict=True)):
        expected_ssim = structural_similarity(
            b, a, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255, channel_axis=-1
        )
        assert psnr(prediction, target)[i] == pytest.approx(peak_signal_noise_ratio(b, a, data_range=255), abs=1e-9)
        assert ssim(prediction, target)[i] == pytest.approx(expected_ssim, abs=1e-9)


def test_differences_do_not_wrap_around_in_8_bits():
    black, white = np.zeros((1, 16, 16, 3), np.uint8), np.full((1, 16, 16, 3), 255, np.uint8)
    assert psnr(black, white)[0] == pytest.approx(0)
    assert psnr(white, black)[0] == pytest.approx(0)
    assert psnr(np.full_like(black, 1), black)[0] == pytest.approx(48.1308, abs=1e-4)


def test_equal_clips_score_the_most_there_is():
    clip = moving_clip(0)
    assert psnr(clip, clip).tolist() == [100.0] * 4
    assert ssim(clip, clip) == pytest.approx(1)


def test_the_mean_is_over_frames_and_not_over_squared_errors():
    target = moving_clip(0, frames=2)
    prediction = target.copy()
    prediction[1] = np.clip(prediction[1].astype(int) + 40, 0, 255)
    assert psnr(prediction, target).mean() > peak_signal_noise_ratio(target, prediction, data_range=255) + 20


@pytest.mark.parametrize("metric", METRICS.values(), ids=list(METRICS))
def test_more_noise_never_scores_better(metric):
    target = moving_clip(3, frames=3, height=48, width=48)
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 1, target.shape)
    scores = [
        metric.function(np.clip(target + s * noise, 0, 255).astype(np.uint8), target).mean() for s in (0, 2, 5, 12, 30)
    ]
    assert (np.diff(scores) < 0).all() == metric.higher_is_better


def test_frames_smaller_than_the_window_are_one_clear_error():
    small = np.zeros((1, 8, 20, 3), np.uint8)
    with pytest.raises(ValueError, match="at least 11x11"):
        ssim(small, small)
