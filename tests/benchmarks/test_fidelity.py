import cv2
import numpy as np
import pytest
import torch
from scipy.signal import convolve
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torchmetrics.functional.image import (
    multiscale_structural_similarity_index_measure,
)
from torchmetrics.functional.image import (
    peak_signal_noise_ratio as peak_signal_noise_ratio_of_torchmetrics,
)

from benchmarks.metrics import psnr, ssim
from benchmarks.metrics.fidelity import luma, ms_ssim, pooled_psnr, ssim_uniform
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
        assert ssim(prediction, target)[i] == pytest.approx(expected_ssim, abs=1e-6)


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


def test_frames_smaller_than_the_window_are_one_clear_error():
    small = np.zeros((1, 8, 20, 3), np.uint8)
    with pytest.raises(ValueError, match="at least 11x11"):
        ssim(small, small)


@pytest.mark.parametrize("shape", [(2, 65, 65, 3), (1, 90, 131, 3)])
def test_ssim_with_a_square_window_is_scikit_images(shape):
    prediction, target = pair(1, shape, "noisy")
    for i, (a, b) in enumerate(zip(prediction, target, strict=True)):
        expected = structural_similarity(b, a, win_size=65, data_range=255, channel_axis=-1)
        assert ssim_uniform(prediction, target)[i] == pytest.approx(expected, abs=1e-6)


def plain_ms_ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Wang's algorithm as the paper has it, in double precision, where the window lies inside."""
    offsets = np.arange(-5, 6)
    window = np.exp(-(offsets**2) / (2 * 1.5**2))
    kernel = np.outer(window, window)[..., None] / window.sum() ** 2
    x, y = a.astype(float), b.astype(float)
    result = 1.0
    for weight in (0.0448, 0.2856, 0.3001, 0.2363, 0.1333):

        def mean(image):
            return convolve(image, kernel, mode="valid")

        variance = mean(x * x) - mean(x) ** 2 + mean(y * y) - mean(y) ** 2
        contrast = (2 * (mean(x * y) - mean(x) * mean(y)) + 58.5225) / (variance + 58.5225)
        light = (2 * mean(x) * mean(y) + 6.5025) / (mean(x) ** 2 + mean(y) ** 2 + 6.5025)
        result *= (contrast * (light if weight == 0.1333 else 1)).mean() ** weight
        x, y = (
            image[: len(image) // 2 * 2, : image.shape[1] // 2 * 2]
            .reshape(len(image) // 2, 2, image.shape[1] // 2, 2, 3)
            .mean(axis=(1, 3))
            for image in (x, y)
        )
    return result


@pytest.mark.parametrize("size", [(176, 176), (190, 253)])
def test_ms_ssim_is_the_papers_and_nearly_that_of_torchmetrics(size):
    prediction, target = pair(2, (2, *size, 3), "noisy")
    found = ms_ssim(prediction, target)
    assert found == pytest.approx([plain_ms_ssim(a, b) for a, b in zip(prediction, target, strict=True)], abs=1e-6)
    batch = [torch.from_numpy(clip).permute(0, 3, 1, 2).double() for clip in (prediction, target)]
    theirs = multiscale_structural_similarity_index_measure(*batch, data_range=255.0, reduction="none")
    # it counts a mirrored border at the coarsest scale
    assert found == pytest.approx(theirs.numpy(), abs=2e-4)


def test_ms_ssim_of_a_small_frame_is_the_papers_though_torchmetrics_counts_its_border():
    target, _ = pair(2, (1, 200, 184, 3), "noisy")
    prediction = target // 8
    prediction[:, 50:-50, 50:-50] = target[:, 50:-50, 50:-50]
    (found,) = ms_ssim(prediction, target)
    assert found == pytest.approx(plain_ms_ssim(prediction[0], target[0]), abs=1e-6)
    batch = [torch.from_numpy(clip).permute(0, 3, 1, 2).double() for clip in (prediction, target)]
    theirs = multiscale_structural_similarity_index_measure(*batch, data_range=255.0).item()
    assert abs(found - theirs) > 0.01


@pytest.mark.parametrize("grey", [0, 1, 60, 128, 220, 245, 254])
def test_ssim_of_flat_frames_is_the_closed_form_to_2e_4(grey):
    for other in range(grey, 256, 3):
        a, b = np.full((1, 16, 16, 3), grey, np.uint8), np.full((1, 16, 16, 3), other, np.uint8)
        light = (2 * grey * other + 6.5025) / (grey**2 + other**2 + 6.5025)
        assert ssim(a, b)[0] == pytest.approx(light, abs=2e-4)


def test_pooled_psnr_is_torchmetrics_and_never_above_the_mean_of_the_frames():
    prediction, target = pair(3, (3, 40, 57, 3), "noisy")
    prediction[1] = 255 - prediction[1]
    tensors = [torch.from_numpy(clip).double() for clip in (prediction, target)]
    assert pooled_psnr(prediction, target) == pytest.approx(
        peak_signal_noise_ratio_of_torchmetrics(*tensors, data_range=255.0).item(), abs=1e-4
    )
    assert pooled_psnr(prediction, target) < psnr(prediction, target).mean()


def test_luma_is_that_of_scikit_image_to_the_grey_level():
    clip, _ = pair(0, (2, 30, 41, 3), "random")
    assert (luma(clip)[..., 0] == np.round(rgb2ycbcr(clip)[..., 0])).all()
    white, black = np.full((1, 2, 2, 3), 255, np.uint8), np.zeros((1, 2, 2, 3), np.uint8)
    assert (luma(white) == 235).all()
    assert (luma(black) == 16).all()


def test_a_crop_leaves_the_edges_out():
    prediction, target = pair(0, (2, 40, 57, 3), "noisy")
    spoilt = prediction.copy()
    spoilt[:, :4], spoilt[:, -4:], spoilt[:, :, :4], spoilt[:, :, -4:] = 0, 0, 255, 255
    for metric in (psnr, ssim):
        assert metric(spoilt, target, crop=4).tolist() == metric(prediction, target, crop=4).tolist()


@pytest.mark.parametrize("metric", [psnr, ssim, ms_ssim, ssim_uniform])
def test_a_frame_scores_the_same_alone_in_a_batch_and_on_several_threads(metric):
    prediction, target = pair(1, (4, 180, 183, 3), "noisy")
    together = metric(prediction, target)
    before = cv2.getNumThreads()
    try:
        cv2.setNumThreads(4)
        threaded = metric(prediction, target)
    finally:
        cv2.setNumThreads(before)
    alone = [metric(prediction[i : i + 1], target[i : i + 1])[0] for i in range(4)]
    assert together.tolist() == alone == threaded.tolist()
