"""What the recoloring methods promise: colours carried, spread and taken as their papers say."""

import cv2
import numpy as np
import pytest

from benchmarks.methods.colour import chroma_by_lightness, coloured, lightness_of, reinhard
from benchmarks.methods.propagation import levin, spread
from benchmarks.metrics import psnr
from tests.benchmarks.pictures import grey_of, sliding


def test_chroma_that_is_a_function_of_lightness_is_learnt_and_given_back():
    levels = np.tile(np.arange(256, dtype=np.uint8), (64, 1))
    angle = np.arange(256) / 256 * 2
    chroma = np.stack([25 * np.cos(angle), 25 * np.sin(angle)], axis=1).astype(np.float32)
    clip = coloured(levels, np.tile(chroma[None], (64, 1, 1)))[None]
    table = chroma_by_lightness([clip])
    inner = slice(40, 220)
    assert np.abs(table[inner] - chroma[inner]).max() < 2


def test_reinhard_takes_the_colours_of_a_picture_of_the_same_scene():
    clip = sliding(3, 2)
    # colour by lightness, so that a table can hold it
    clip = np.stack([cv2.applyColorMap(frame[..., 0], cv2.COLORMAP_JET) for frame in clip])
    clip = (clip // 4 + 90).astype(np.uint8)
    grey = grey_of(clip)
    assert psnr(reinhard(grey, "", clip[0], None), clip).mean() > psnr(grey, clip).mean() + 3
    assert np.array_equal(reinhard(grey, "", None, None), grey)


def test_levin_carries_the_colours_of_one_frame_through_the_clip():
    clip = (sliding(4, 3, seed=9) // 2 + 60).astype(np.uint8)
    grey = grey_of(clip)
    for shown in (0, 3):
        found = levin(grey, "", clip[shown], None)
        assert psnr(found, clip)[shown] > 35
        assert psnr(found, clip).min() > psnr(grey, clip).mean() + 6


def test_chroma_spreads_up_to_edges_of_lightness_and_no_further():
    lightness = np.zeros((20, 40))
    lightness[:, 20:] = 1
    seeds, given = np.zeros((20, 40, 2), np.float32), np.zeros((20, 40), bool)
    given[10, 5] = given[10, 35] = True
    seeds[10, 5], seeds[10, 35] = (30, -10), (-20, 40)
    found = spread(lightness, seeds, given)
    assert np.abs(found[:, :18] - (30, -10)).max() < 3
    assert np.abs(found[:, 22:] - (-20, 40)).max() < 3


def equation(lightness: np.ndarray, chroma: np.ndarray, y: int, x: int) -> np.ndarray:
    """Return the chroma that the neighbours of a pixel ask of it, written out as in the authors' own program."""
    height, width = lightness.shape
    near = [
        (i, j)
        for i in range(max(y - 1, 0), min(y + 2, height))
        for j in range(max(x - 1, 0), min(x + 2, width))
        if (i, j) != (y, x)
    ]
    values = np.array([lightness[place] for place in near])
    window = np.append(values, lightness[y, x])
    sigma = 0.6 * np.mean((window - window.mean()) ** 2)
    sigma = max(sigma, -np.min((values - lightness[y, x]) ** 2) / np.log(0.01), 0.000002)
    weights = np.exp(-((values - lightness[y, x]) ** 2) / sigma)
    weights /= weights.sum()
    return sum(weight * chroma[place] for weight, place in zip(weights, near, strict=True))


@pytest.mark.parametrize("kind", ["noise", "steps", "flat", "one bright pixel"])
def test_levin_s_equations_hold_at_every_pixel_whose_chroma_is_not_given(kind):
    rng = np.random.default_rng(3)
    lightness = {
        "noise": rng.random((9, 11)),
        "steps": np.floor(rng.random((9, 11)) * 3) / 2,
        "flat": np.full((9, 11), 0.5),
        "one bright pixel": np.pad([[1.0]], ((4, 4), (6, 4))),
    }[kind]
    seeds = rng.normal(0, 30, (9, 11, 2)).astype(np.float32)
    given = rng.random((9, 11)) < 0.1
    found = spread(lightness, seeds, given)
    assert np.array_equal(found[given], seeds[given])
    for y, x in np.argwhere(~given):
        assert found[y, x] == pytest.approx(equation(lightness, found, y, x), abs=1e-4)
    assert not spread(lightness, seeds, np.zeros_like(given)).any()


def test_lightness_is_read_from_grey_and_from_tinted_clips():
    clip = sliding(2, 1)
    grey = grey_of(clip)
    assert np.array_equal(lightness_of(grey), grey[..., 0])
    assert np.abs(lightness_of(clip).astype(int) - grey[..., 0]).max() <= 1
