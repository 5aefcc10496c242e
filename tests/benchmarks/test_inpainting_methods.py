"""What filling holes promises: motion that is affine, holes of every kind, and real clips."""

import cv2
import numpy as np
import pytest

from benchmarks.methods import METHODS
from benchmarks.methods.inpainting import biharmonic
from benchmarks.metrics.local import masked_psnr
from configs import load
from datagen import Recipe, build
from shards import Dataset

INPAINTERS = [
    name for name, method in METHODS.items() if method.tasks == ("inpaint",) and method.make and not method.networks
]


def fill(name: str, clip: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    return METHODS[name].make(None)(clip.copy(), "", None, mask)


def texture(side: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    layers = [
        cv2.resize(rng.integers(0, 256, (side // s + 1, side // s + 1, 3), dtype=np.uint8), (side, side)) / n
        for n, s in ((2, 32), (4, 8), (8, 4))
    ]
    return np.clip(sum(layers), 0, 255).astype(np.uint8)


def affine_pan(frames: int = 8, size: int = 160) -> np.ndarray:
    """A picture that turns, grows and slides a little from frame to frame."""
    picture, clip = texture(500), []
    for t in range(frames):
        move = cv2.getRotationMatrix2D((250, 250), 0.4 * t, 1 + 0.004 * t)
        move[:, 2] += (2.3 * t - 170, 1.1 * t - 170)
        clip.append(cv2.warpAffine(picture, move, (size, size), flags=cv2.INTER_CUBIC))
    return np.stack(clip)


def passing_hole(shape: tuple[int, ...], step: int, side: int = 32) -> np.ndarray:
    mask = np.zeros(shape, np.uint8)
    for t in range(shape[0]):
        mask[t, 60 : 60 + side, 20 + step * t : 20 + step * t + side] = 255
    return mask


@pytest.fixture(scope="module")
def real_holes(clips, tmp_path_factory) -> list:
    """Samples of six real clips, most with holes that move."""
    out = tmp_path_factory.mktemp("holes") / "data"
    recipe = load(Recipe, "default", ["clip.size=256", "clip.frames=8", "clip.per_video=1", "tasks={inpaint: {}}"])
    build(recipe, out, sources=[str(path) for path in clips[:6]])
    found = list(Dataset(out))
    assert len(found) >= 5
    return found


def test_an_affinely_moving_background_comes_back_along_the_flow():
    pan = affine_pan()
    mask = passing_hole(pan.shape[:3], step=8)
    spoilt = np.where(mask[..., None] > 0, 90, pan).astype(np.uint8)
    found = {
        name: masked_psnr(fill(name, spoilt, mask), pan, mask).mean()
        for name in ("telea", "temporal_median", "flow_propagation")
    }
    assert found["flow_propagation"] > 33
    assert found["flow_propagation"] > max(found["telea"], found["temporal_median"]) + 8


@pytest.mark.parametrize("step", [3, 6, 12])
def test_a_slowly_passing_hole_shows_what_it_hid_just_before(step):
    # seen in one frame, hidden in the next: flow there used to match the filling, and each frame lost a rim of what came
    plate = np.repeat(texture(160, seed=4)[None], 8, axis=0)
    mask = passing_hole(plate.shape[:3], step)
    spoilt = np.where(mask[..., None] > 0, 0, plate).astype(np.uint8)
    seen_once = (mask > 0) & ~(mask > 0).all(axis=0)
    found = fill("flow_propagation", spoilt, mask)
    gaps = np.abs(found.astype(int) - plate).max(axis=3)[seen_once]
    assert np.mean(gaps <= 12) > 0.99


@pytest.mark.parametrize("step", [6, 12])
def test_behind_a_hole_that_passes_over_a_pan_all_comes_back_exactly(step):
    # flow has to be unknown in the holes of both frames, and where its patches reach into them, or it follows the hole
    wide = texture(260, seed=4)
    pan = np.stack([wide[20:180, 4 * t : 4 * t + 160] for t in range(8)])
    mask = passing_hole(pan.shape[:3], step)
    spoilt = np.where(mask[..., None] > 0, 0, pan).astype(np.uint8)
    assert masked_psnr(fill("flow_propagation", spoilt, mask), pan, mask).mean() > 70


@pytest.mark.parametrize("name", INPAINTERS)
def test_filling_does_not_depend_on_the_number_of_threads(name):
    pan = affine_pan(4)
    mask = passing_hole(pan.shape[:3], step=6)
    before = cv2.getNumThreads()
    try:
        found = []
        for threads in (1, 2, 4):
            cv2.setNumThreads(threads)
            found.append(fill(name, pan, mask))
    finally:
        cv2.setNumThreads(before)
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])


@pytest.mark.parametrize("name", INPAINTERS)
@pytest.mark.parametrize("shape", [(1, 40, 52), (3, 11, 11), (4, 33, 21)], ids=str)
def test_pixels_outside_any_hole_stay_and_frames_without_one_too(name, shape):
    clip = np.random.default_rng(3).integers(0, 256, (*shape, 3), dtype=np.uint8)
    mask = np.zeros(shape, np.uint8)
    mask[0, 2:8, 3:9] = 255
    mask[-1, :, :4] = 255
    if shape[0] > 2:
        mask[1] = 255
    found = fill(name, clip, mask)
    assert np.array_equal(found[mask == 0], clip[mask == 0])
    assert np.array_equal(fill(name, clip, np.zeros(shape, np.uint8)), clip)
    assert np.array_equal(fill(name, clip, None), clip)


def test_a_large_hole_of_the_biharmonic_equation_is_solved_small_and_stays_smooth():
    down, right = np.mgrid[:200, :200] / 200
    smooth = np.stack([60 + 120 * right, 200 - 90 * down, 90 + 60 * right * down], axis=2).round().astype(np.uint8)
    hole = np.zeros((200, 200), bool)
    hole[40:160, 50:150] = True  # eight times what is solved for
    found = biharmonic(np.where(hole[..., None], 0, smooth).astype(np.uint8), hole)
    # planes and saddles solve the equation, so what is left is rounding and the change of size
    assert np.abs(found.astype(int) - smooth)[hole].max() <= 8


@pytest.mark.parametrize("name", INPAINTERS)
def test_every_filling_beats_the_hole_on_every_real_clip(name, real_holes):
    for sample in real_holes:
        found = fill(name, sample.source, sample.mask)
        assert np.array_equal(found[sample.mask == 0], sample.source[sample.mask == 0])
        filled, left = (masked_psnr(clip, sample.target, sample.mask).mean() for clip in (found, sample.source))
        assert filled > left + 1


def test_on_real_clips_what_other_frames_show_is_worth_more_than_what_is_around(real_holes):
    gains = [
        masked_psnr(fill("flow_propagation", sample.source, sample.mask), sample.target, sample.mask).mean()
        - masked_psnr(fill("telea", sample.source, sample.mask), sample.target, sample.mask).mean()
        for sample in real_holes
    ]
    assert np.mean(gains) > 1
