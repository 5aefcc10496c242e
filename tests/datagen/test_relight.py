"""Relighting: without strength nothing happens, with it light and colour go where each time of day takes them."""

from functools import partial

import cv2
import numpy as np
import pytest
from skimage import data

from datagen.effects.colour import colourfulness
from datagen.effects.relight import bright_day, golden_hour, night, overcast, vignette
from tests.conftest import moving_clip

LIGHTS = {
    "night": partial(night, exposure=0.08),
    "golden_hour": partial(golden_hour, side=30.0),
    "overcast": overcast,
    "bright_day": bright_day,
}
each_light = pytest.mark.parametrize("light", LIGHTS.values(), ids=LIGHTS)


def photograph(*, frames: int = 1) -> np.ndarray:
    picture = cv2.resize(data.astronaut(), (128, 96), interpolation=cv2.INTER_AREA)
    return picture[None].repeat(frames, 0)


def luminance(video) -> float:
    return float(((video / 255.0) ** 2.2 @ [0.2126, 0.7152, 0.0722]).mean())


@each_light
@pytest.mark.parametrize("shape", [(1, 65, 97), (3, 64, 64), (2, 200, 90)])
def test_every_size_comes_back_as_it_was_and_the_clip_given_is_left_alone(light, shape):
    video = moving_clip(2, frames=shape[0], height=shape[1], width=shape[2])
    before = video.copy()
    result = light(video, strength=1.0)
    assert (result.shape, result.dtype) == (video.shape, np.uint8)
    np.testing.assert_array_equal(video, before)
    assert np.abs(result.astype(int) - video).mean() > 3


@each_light
def test_no_strength_leaves_every_value_alone(light):
    video = np.random.default_rng(0).integers(0, 256, (2, 60, 70, 3), dtype=np.uint8)
    result = light(video, strength=0.0)
    np.testing.assert_array_equal(result, video)
    assert not np.shares_memory(result, video)


@each_light
def test_a_still_clip_stays_still(light):
    result = light(photograph(frames=3), strength=0.8)
    np.testing.assert_array_equal(result, result[:1].repeat(3, 0))


@each_light
def test_the_effect_grows_steadily_with_strength(light):
    video = photograph()
    change = [np.abs(light(video, strength=s).astype(int) - video).mean() for s in np.linspace(0, 1, 6)]
    assert (np.diff(change) > 0).all()


def test_night_darkens_with_strength_and_with_less_exposure():
    video = photograph()
    by_strength = [luminance(night(video, strength=s, exposure=0.08)) for s in np.linspace(0, 1, 8)]
    assert (np.diff(by_strength) < 0).all()
    assert by_strength[-1] < 0.2 * by_strength[0]
    by_exposure = [luminance(night(video, strength=1.0, exposure=e)) for e in (0.03, 0.06, 0.12)]
    assert (np.diff(by_exposure) > 0).all()


def test_night_is_blue_and_pale_and_keeps_lamps_brighter_than_the_rest():
    gray = np.full((1, 65, 65, 3), 120, np.uint8)
    red, green, blue = night(gray, strength=1.0, exposure=0.1)[0, 32, 32].astype(int)
    assert blue > green > red
    video = photograph()
    assert colourfulness(night(video, strength=1.0, exposure=0.1)) < 0.5 * colourfulness(video)
    lamp = np.full((1, 65, 65, 3), 255, np.uint8)
    dimmed = luminance(night(gray, strength=1.0, exposure=0.1)) / luminance(gray)
    assert luminance(night(lamp, strength=1.0, exposure=0.1)) / luminance(lamp) > 2 * dimmed


def test_night_in_the_middle_of_a_gray_picture_is_its_formula():
    gray = np.full((1, 65, 65, 3), 120, np.uint8)
    light, exposure = (120 / 255) ** 2.2, 0.1
    expected = 255 * (exposure * (light + 3 * light**4) * np.array([0.60, 0.85, 1.45])) ** (1 / 2.2)
    assert np.abs(night(gray, strength=1.0, exposure=exposure)[0, 32, 32] - expected).max() <= 0.51


@pytest.mark.parametrize(
    ("side", "near", "far"),
    [
        (0.0, np.s_[:, -8:], np.s_[:, :8]),
        (180.0, np.s_[:, :8], np.s_[:, -8:]),
        (90.0, np.s_[:8], np.s_[-8:]),
        (45.0, np.s_[:8, -8:], np.s_[-8:, :8]),
    ],
)
def test_a_low_sun_is_warm_and_lights_its_own_side(side, near, far):
    gray = np.full((1, 64, 96, 3), 130, np.uint8)
    warm = golden_hour(gray, strength=1.0, side=side)[0].astype(float)
    assert warm[near].mean() > 1.3 * warm[far].mean()
    red, green, blue = warm[near].reshape(-1, 3).mean(0)
    assert red > green > blue + 20


def test_a_low_sun_colours_highlights_more_than_shadows():
    def ratio(value):
        picture = golden_hour(np.full((1, 65, 65, 3), value, np.uint8), strength=1.0, side=0.0)[0, 32, 4]
        red, _, blue = (picture / 255.0) ** 2.2
        return red / blue

    assert ratio(200) > 1.3 * ratio(30)


def test_an_overcast_sky_takes_contrast_and_colour_and_a_bright_day_gives_them():
    video = photograph()
    dull, bright = overcast(video, strength=1.0), bright_day(video, strength=1.0)
    assert dull.std() < 0.9 * video.std() < 0.9 * bright.std()
    assert colourfulness(dull) < 0.75 * colourfulness(video) < 0.75 * colourfulness(bright)
    gray = np.full((1, 8, 8, 3), 128, np.uint8)
    assert overcast(gray, strength=1.0)[0, 0, 0, 2] > overcast(gray, strength=1.0)[0, 0, 0, 0]
    # noon neither makes a gray clip colourful nor white anything but the brightest
    assert colourfulness(bright_day(gray, strength=1.0)) < 6
    assert bright_day(np.full((1, 8, 8, 3), 225, np.uint8), strength=1.0).min() < 255


def test_noon_is_plainly_brighter():
    gray = np.full((1, 8, 8, 3), 118, np.uint8)
    light = [(video.astype(float).mean() / 255) ** 2.2 for video in (gray, bright_day(gray, strength=0.7))]
    assert light[1] > 1.6 * light[0]


def test_a_vignette_is_one_in_the_middle_and_darkest_in_the_corners():
    field = vignette((65, 97), 0.4)
    assert field[32, 48] == field.max() == 1
    assert field[0, 0] == pytest.approx(0.6)
    np.testing.assert_allclose(field, field[::-1, ::-1], atol=1e-6)
