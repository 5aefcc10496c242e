import numpy as np
import pytest
from skimage.color import rgb2lab

from datagen.effects.colour import colourfulness, faded, lightness, toned
from datagen.effects.depth import perspective_depth
from datagen.effects.haze import haze, transmission
from tests.conftest import moving_clip


def linear(video):
    return (video / 255.0) ** 2.2


@pytest.fixture
def scene():
    rng = np.random.default_rng(3)
    video = moving_clip(1, frames=3, height=40, width=60)
    depth = rng.uniform(1, 20, (3, 40, 60)).astype(np.float32)
    return video, depth


def test_haze_is_the_scattering_model_to_within_rounding(scene):
    video, depth = scene
    beta, airlight = [0.05, 0.1, 0.2], [[0.8, 0.85, 0.9]] * 3
    t = np.exp(-np.array(beta)[:, None, None] * depth.astype(float))[..., None]
    expected = 255 * (linear(video) * t + np.array(airlight[0]) * (1 - t)) ** (1 / 2.2)
    assert np.abs(haze(video, depth, beta=beta, airlight=airlight) - expected).max() <= 0.51


def test_transmission_comes_back_from_hazy_clean_and_airlight(scene):
    video, depth = scene
    airlight = 1.0
    hazy = haze(video, depth, beta=[0.08] * 3, airlight=[[airlight] * 3] * 3)
    far_from_airlight = linear(video) < 0.3
    t = (airlight - linear(hazy)) / np.maximum(airlight - linear(video), 0.01)
    expected = np.repeat(transmission(depth, 0.08)[..., None], 3, axis=3)
    assert np.abs(t - expected)[far_from_airlight].max() < 0.012


def test_no_scattering_leaves_the_video_alone(scene):
    video, depth = scene
    assert np.array_equal(haze(video, depth, beta=[0.0] * 3, airlight=[[1, 1, 1]] * 3), video)


def test_endless_depth_shows_only_the_airlight(scene):
    video, depth = scene
    hazy = haze(video, depth * 1e6, beta=[1.0] * 3, airlight=[[0.5, 0.6, 0.7]] * 3)
    expected = np.round(255 * np.array([0.5, 0.6, 0.7]) ** (1 / 2.2))
    assert np.array_equal(np.unique(hazy.reshape(-1, 3), axis=0), [expected])


def test_lightness_is_scikit_images_l_channel():
    rng = np.random.default_rng(0)
    video = rng.integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    expected = np.stack([rgb2lab(frame)[..., 0] for frame in video]) * 2.55
    gray = lightness(video)
    assert np.abs(gray[..., 0] - expected).max() < 0.6
    assert (gray[..., 0] != np.round(expected)).mean() < 0.02
    assert (gray == gray[..., :1]).all()


def test_a_gray_video_has_no_colourfulness_and_the_measure_matches_its_formula():
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    red, green, blue = (frame[..., c].astype(float) for c in range(3))
    rg, yb = red - green, 0.5 * (red + green) - blue
    expected = np.sqrt(rg.std() ** 2 + yb.std() ** 2) + 0.3 * np.sqrt(rg.mean() ** 2 + yb.mean() ** 2)
    assert colourfulness(frame) == pytest.approx(expected, rel=1e-5)
    assert colourfulness(frame[..., :1].repeat(3, axis=-1)) == 0


def test_the_depth_prior_of_a_featureless_video_is_the_ground_plane():
    video = np.full((3, 128, 128, 3), 120, np.uint8)
    depth = perspective_depth(video, horizon=0.3, far=8.0)
    y = (np.arange(128) + 0.5) / 128
    plane = np.clip(0.7 / np.maximum(y - 0.3, 1e-4), 1, 8)
    assert np.abs(np.diff(depth, axis=0)).max() == 0
    assert np.abs(depth - depth[:, :, :1]).max() < 1e-3
    # the guided filter smooths the plane, most where it bends at the horizon
    assert np.abs(depth[0, 96:, 0] - plane[96:]).max() < 0.2
    assert np.corrcoef(depth[0, :, 0], plane)[0, 1] > 0.95
    assert (np.diff(depth[0, :, 0]) <= 1e-4).all()


def test_the_depth_prior_moves_no_more_than_the_picture():
    still = moving_clip(5, frames=1, height=96, width=128).repeat(6, axis=0)
    assert np.abs(np.diff(perspective_depth(still, horizon=0.2, far=10.0), axis=0)).max() == 0
    rng = np.random.default_rng(0)
    noisy = np.clip(still.astype(int) + rng.integers(-2, 3, still.shape), 0, 255).astype(np.uint8)
    change = np.abs(np.diff(perspective_depth(noisy, horizon=0.2, far=10.0), axis=0))
    assert change.mean() < 0.05


def test_the_depth_prior_stays_between_near_and_far():
    depth = perspective_depth(moving_clip(7, frames=4, height=64, width=64), horizon=0.4, far=6.0)
    assert depth.dtype == np.float32
    assert depth.min() >= 1
    assert depth.max() <= 6


def test_a_toned_print_runs_from_black_through_the_tone_to_white():
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, None, :, None], 3, axis=3)
    tone = (186, 160, 125)
    light = lightness(ramp)[0, 0, :, 0]
    paper = toned(ramp, tone)[0, 0]
    assert paper[light == 0].max() == 0
    assert paper[light == 255].min() == 255
    middle = paper[np.abs(light.astype(int) - 127).argmin()]
    assert np.abs(middle - np.array(tone)).max() <= 1
    assert (np.diff(paper.astype(int), axis=0) >= 0).all()


def test_a_neutral_tone_is_the_lightness_itself():
    video = moving_clip(4)
    assert np.abs(toned(video, (127.5, 127.5, 127.5)).astype(int) - lightness(video)).max() == 0


def test_a_fresh_print_is_not_faded_and_a_faded_one_has_less_colour_and_no_black():
    video = moving_clip(4)
    assert np.array_equal(faded(video, saturation=1.0, black=0, warmth=0.0), video)
    old = faded(video, saturation=0.3, black=40, warmth=0.0)
    assert old.min() >= 40
    assert colourfulness(old) == pytest.approx(0.3 * (1 - 40 / 255) * colourfulness(video), rel=0.05)
    assert faded(video, saturation=0.3, black=0, warmth=0.2)[..., 2].mean() < 0.85 * old[..., 2].mean()
