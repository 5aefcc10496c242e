"""What deblurring promises: blur of a known shape is undone, shaken bursts are fused, and what is sharp is left alone."""

import cv2
import numpy as np
import pytest

from benchmarks.methods import METHODS
from benchmarks.methods.deblurring import NOISE, STEPS, motion_kernel, richardson_lucy_steps, unsharp, wiener_filter
from benchmarks.metrics import psnr
from shards import read_video

DEBLURRERS = [
    name for name, method in METHODS.items() if method.tasks == ("deblur",) and method.make and not method.networks
]


def deblur(name: str, clip: np.ndarray) -> np.ndarray:
    return METHODS[name].make(None)(clip.copy(), "", None, None)


def gain(name: str, soft: np.ndarray, sharp: np.ndarray, inside: tuple = ()) -> float:
    return float(psnr(deblur(name, soft)[inside], sharp[inside]).mean() - psnr(soft[inside], sharp[inside]).mean())


def to_light(clip: np.ndarray) -> np.ndarray:
    return (clip.astype(np.float32) / 255) ** np.float32(2.2)


def to_bytes(light: np.ndarray) -> np.ndarray:
    return np.clip(np.clip(light, 0, 1) ** (1 / 2.2) * 255 + 0.5, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def real_sharp(clips) -> list[np.ndarray]:
    return [read_video(path, range(5), size=(320, 256)) for path in clips[:6]]


def shaken(sharp: np.ndarray, seed: int) -> np.ndarray:
    """Each frame blurred by a straight shake of its own, in linear light."""
    rng = np.random.default_rng(seed)
    shakes = [motion_kernel(*rng.uniform(-7, 7, 2)) for _ in sharp]
    pairs = zip(to_light(sharp), shakes, strict=True)
    return to_bytes(np.stack([cv2.filter2D(f, -1, shake, borderType=cv2.BORDER_REFLECT) for f, shake in pairs]))


def panned(frame: np.ndarray, speed: int, frames: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """A pan over a real picture with the shutter open all the time, and its sharp middle moments."""
    light, width = to_light(frame), frame.shape[1] - speed * (frames + 1)
    sharp = np.stack([light[:, speed * t : speed * t + width] for t in range(1, frames + 1)])
    places = [[speed * t + step for step in range(-(speed // 2), speed // 2 + 1)] for t in range(1, frames + 1)]
    soft = np.stack([np.mean([light[:, p : p + width] for p in row], axis=0) for row in places])
    return to_bytes(soft), to_bytes(sharp)


@pytest.mark.parametrize("deconvolve", [wiener_filter, richardson_lucy_steps])
def test_without_blur_deconvolution_returns_its_input(deconvolve):
    plane = cv2.GaussianBlur(np.random.default_rng(0).random((48, 56), np.float32), (0, 0), 1)
    point = np.zeros((3, 3), np.float32)
    point[1, 1] = 1
    assert deconvolve(plane, point) == pytest.approx(plane, abs=1e-4)


def test_richardson_lucy_comes_as_close_to_the_truth_as_scikit_images():
    from skimage.restoration import richardson_lucy as reference

    plane = np.clip(cv2.GaussianBlur(np.random.default_rng(1).random((80, 90), np.float32), (0, 0), 2), 0.05, 1)
    kernel = motion_kernel(6, 2)
    blurred = cv2.filter2D(plane, -1, kernel, borderType=cv2.BORDER_REFLECT)
    # theirs starts from a flat picture and ours from the blurred one, which saves it steps
    answers = blurred, richardson_lucy_steps(blurred, kernel), reference(blurred, kernel, num_iter=STEPS, clip=False)
    inner = np.s_[24:-24, 24:-24]
    left, ours, theirs = (float(np.abs(found[inner] - plane[inner]).mean()) for found in answers)
    assert ours < 0.6 * left
    assert ours < 1.1 * theirs


def test_wieners_filter_agrees_with_the_spectrum_of_scikit_image():
    from skimage.restoration import wiener as reference

    plane = cv2.GaussianBlur(np.random.default_rng(2).random((64, 64), np.float32), (0, 0), 2)
    # one that is not symmetric, so that turning it round would show
    kernel = np.triu(np.random.default_rng(3).random((7, 7), np.float32))
    kernel /= kernel.sum()
    # complex, so that it is taken for a spectrum: one at all frequencies; theirs is ours before its gain
    flat = np.ones((64, 33), complex)
    theirs = reference(plane, kernel, NOISE, reg=flat, is_real=True, clip=False) * (1 + NOISE)
    assert np.abs(wiener_filter(plane, kernel) - theirs).max() < 1e-3


@pytest.mark.parametrize("sigma", [0.8, 1.2])
def test_unsharp_masking_gains_on_pictures_that_are_a_little_soft(sigma, real_sharp):
    for sharp in real_sharp:
        soft = np.stack([cv2.GaussianBlur(frame, (0, 0), sigma) for frame in sharp[:2]])
        assert psnr(unsharp(soft, "", None, None), sharp[:2]).mean() > psnr(soft, sharp[:2]).mean() + 0.2


@pytest.mark.parametrize("name", ["wiener", "richardson_lucy"])
def test_deconvolution_along_the_motion_gains_on_pans_over_real_pictures(name, real_sharp):
    gains = [gain(name, *panned(sharp[0], 12), np.s_[:, 20:-20, 30:-30]) for sharp in real_sharp[:3]]
    assert np.mean(gains) > 0.5


@pytest.mark.parametrize("name", ["wiener", "richardson_lucy"])
def test_deconvolution_leaves_still_real_clips_alone(name, real_sharp):
    for sharp in real_sharp[:3]:
        still = np.repeat(sharp[:1], 3, axis=0)
        assert np.array_equal(deblur(name, still), still)


def test_fusing_a_shaken_burst_gains_on_every_real_clip(real_sharp):
    gains = [gain("burst_fusion", shaken(sharp, seed), sharp) for seed, sharp in enumerate(real_sharp)]
    assert min(gains) > 0
    assert np.mean(gains) > 1


def test_fusing_frames_that_are_all_the_same_returns_them():
    still = np.random.default_rng(5).integers(0, 256, (1, 40, 52, 3), dtype=np.uint8).repeat(4, axis=0)
    assert np.abs(deblur("burst_fusion", still).astype(int) - still).max() <= 1


@pytest.mark.parametrize("name", DEBLURRERS)
def test_deblurring_does_not_depend_on_the_number_of_threads(name):
    picture = cv2.resize(np.random.default_rng(6).integers(0, 256, (30, 60, 3), dtype=np.uint8), (180, 110))
    soft, _ = panned(picture, 10, frames=2)
    before = cv2.getNumThreads()
    try:
        found = []
        for threads in (1, 2, 4):
            cv2.setNumThreads(threads)
            found.append(deblur(name, soft))
    finally:
        cv2.setNumThreads(before)
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])
