"""Weather: what falls falls as fast as it says, far things are veiled as haze says, and fine weather changes nothing."""

from dataclasses import replace
from functools import partial

import cv2
import numpy as np
import pytest
from skimage import data

from datagen.effects.haze import haze
from datagen.effects.weather import RAIN, SNOW, Layer, draw_flakes, draw_streaks, fog, rain, snow, speed
from tests.conftest import moving_clip

FALLING = {
    "rain": partial(rain, fps=25.0, intensity=0.8, wind=1.0, veil=0.2, seed=1),
    "snow": partial(snow, fps=25.0, intensity=0.8, wind=0.3, veil=0.2, seed=1),
}
FOG = partial(fog, density=0.8, airlight=(0.7, 0.72, 0.75))
each_fall = pytest.mark.parametrize("weather", FALLING.values(), ids=FALLING)


def photograph(*, frames: int = 1, height: int = 128) -> np.ndarray:
    return cv2.resize(data.coffee(), (height * 3 // 2, height), interpolation=cv2.INTER_AREA)[None].repeat(frames, 0)


def alone(layer: Layer) -> Layer:
    """Return the layer with one drop or flake in a square picture."""
    return replace(layer, count=1)


def centres(mask) -> np.ndarray:
    """Return the centre (x, y) of what each picture shows, NaN where it is cut by the border or not there."""
    places = np.full((len(mask), 2), np.nan)
    for picture, place in zip(mask, places, strict=True):
        count, _, boxes, _ = cv2.connectedComponentsWithStats((picture > 0).astype(np.uint8))
        x, y, w, h = boxes[1][:4] if count == 2 else (0, 0, 1, 1)
        if x > 0 and y > 0 and x + w < picture.shape[1] and y + h < picture.shape[0]:
            moments = cv2.moments(picture)
            place[:] = moments["m10"] / moments["m00"], moments["m01"] / moments["m00"]
    return places


def tracks(draw, layer, *, shape, **options) -> np.ndarray:
    """Return the motion (x, y) in pixels from frame to frame of single drops or flakes of many seeds."""
    steps = []
    for seed in range(40):
        mask = np.zeros(shape, np.uint8)
        draw(mask, alone(layer), share=1.0, seed=[seed], **options)
        steps.append(np.diff(centres(mask), axis=0))
    moved = np.concatenate(steps)
    moved = moved[np.isfinite(moved).all(1)]
    assert len(moved) > 40
    # what left below comes in again above
    return moved[moved[:, 1] > 0]


@pytest.mark.parametrize("weather", [*FALLING.values(), FOG], ids=[*FALLING, "fog"])
@pytest.mark.parametrize("shape", [(1, 65, 97), (3, 64, 64), (2, 200, 90)])
@pytest.mark.parametrize("deep", [False, True])
def test_every_size_comes_back_as_it_was_and_nothing_given_is_changed(weather, shape, deep):
    video = moving_clip(2, frames=shape[0], height=shape[1], width=shape[2])
    depth = np.random.default_rng(0).uniform(1, 9, shape).astype(np.float32) if deep else None
    before, before_depth = video.copy(), None if depth is None else depth.copy()
    result = weather(video, depth=depth)
    assert (result.shape, result.dtype) == (video.shape, np.uint8)
    np.testing.assert_array_equal(video, before)
    np.testing.assert_array_equal(depth, before_depth)
    np.testing.assert_array_equal(result, weather(video, depth=depth))
    assert np.abs(result.astype(int) - video).mean() > 1


@each_fall
def test_fine_weather_leaves_the_video_alone(weather):
    video = np.random.default_rng(0).integers(0, 256, (2, 60, 70, 3), dtype=np.uint8)
    result = weather(video, intensity=0.0, veil=0.0)
    np.testing.assert_array_equal(result, video)
    assert not np.shares_memory(result, video)


@each_fall
def test_another_seed_is_other_weather_and_more_of_it_covers_more(weather):
    video = photograph(frames=2)
    assert (weather(video, seed=2) != weather(video)).any()
    black = np.zeros((3, 256, 200, 3), np.uint8)
    covered = [(weather(black, intensity=i, veil=0.0) > 8).mean() for i in (0.2, 0.5, 1.0)]
    assert covered[0] < covered[1] < covered[2] < 0.5
    assert covered[0] > 0.002


@pytest.mark.parametrize("layer", RAIN[1:], ids=lambda layer: f"{layer.distance} m")
@pytest.mark.parametrize("fps", [24.0, 60.0])
def test_a_drop_falls_as_far_in_a_frame_as_its_speed_and_distance_say(layer, fps):
    height, wind = 240, 2.0
    moved = tracks(draw_streaks, layer, shape=(8, height, 240), fps=fps, wind=wind)
    # 8 metres a second, seen by a camera whose focal length is 1.2 picture heights
    fall = 8.0 * 1.2 * height / layer.distance / fps
    assert np.median(moved[:, 1]) == pytest.approx(fall, abs=0.3)
    assert np.median(moved[:, 0]) == pytest.approx(fall * wind / 8.0, abs=0.2)


@pytest.mark.parametrize("layer", SNOW, ids=lambda layer: f"{layer.distance} m")
def test_a_flake_falls_evenly_and_sways_about_the_wind(layer):
    height, fps, wind = 256, 25.0, 0.5
    moved = tracks(draw_flakes, layer, shape=(30, height, 256), fps=fps, wind=wind)
    fall = 1.2 * 1.2 * height / layer.distance / fps
    assert np.median(moved[:, 1]) == pytest.approx(fall, rel=0.05)
    assert moved[:, 0].mean() == pytest.approx(fall * wind / 1.2, abs=0.2 * fall)
    assert np.ptp(moved[:, 0]) > 0.2 * fall


def test_a_whole_layer_of_rain_moves_as_one():
    layer, fps = replace(RAIN[0], count=150), 30.0
    mask = np.zeros((2, 256, 256), np.uint8)
    draw_streaks(mask, layer, fps=fps, share=1.0, wind=0.0, seed=[3])
    (x, y), _ = cv2.phaseCorrelate(*mask.astype(np.float32), cv2.createHanningWindow((256, 256), cv2.CV_32F))
    assert (x, y) == pytest.approx((0, speed(layer, 8.0, height=256, fps=fps)), abs=0.3)


def test_drops_slant_with_the_wind_and_are_longer_when_near():
    def streak(layer, wind):
        mask = np.zeros((1, 400, 400), np.uint8)
        for seed in range(40):
            draw_streaks(mask, alone(layer), fps=25.0, share=1.0, wind=wind, seed=[seed])
            if np.isfinite(centres(mask)).all():
                y, x = np.nonzero(mask[0])
                return np.ptp(y), np.polyfit(y, x, 1)[0]
            mask[:] = 0
        raise AssertionError("no drop lay inside the picture")

    lengths = [streak(layer, 0.0)[0] for layer in RAIN]
    assert lengths == sorted(lengths)
    assert streak(RAIN[2], 3.0)[1] == pytest.approx(3 / 8, abs=0.06)
    assert streak(RAIN[2], -3.0)[1] == pytest.approx(-3 / 8, abs=0.06)


def test_a_larger_picture_shows_the_same_weather_larger():
    for weather in FALLING.values():
        small, large = (
            weather(np.zeros((2, height, height, 3), np.uint8), veil=0.0).astype(float) for height in (200, 600)
        )
        assert large.mean() == pytest.approx(small.mean(), rel=0.25)
        reduced = np.stack([cv2.resize(frame, (200, 200), interpolation=cv2.INTER_AREA) for frame in large])
        assert np.corrcoef(reduced.ravel(), small.ravel())[0, 1] > 0.7


def test_nothing_that_falls_is_seen_twice_at_one_place():
    # with a picture's height of way per frame each frame is another round
    mask = np.zeros((6, 128, 128), np.uint8)
    draw_streaks(mask, replace(RAIN[3], count=8), fps=2.5, share=1.0, wind=0.0, seed=[0])
    columns = mask.max(1).astype(float)
    assert (np.corrcoef(columns) - np.eye(6)).max() < 0.6


def test_fog_is_the_haze_formula_at_the_density_s_mean_depth():
    video = photograph(frames=2)
    depth = np.random.default_rng(0).uniform(1, 20, video.shape[:3]).astype(np.float32)
    airlight, density = (0.7, 0.75, 0.8), 0.9
    t = np.exp(-density * depth.astype(float) / depth.mean())[..., None]
    expected = 255 * ((video / 255.0) ** 2.2 * t + np.array(airlight) * (1 - t)) ** (1 / 2.2)
    result = fog(video, density=density, airlight=airlight, depth=depth)
    assert np.abs(result - expected).max() <= 0.52
    beta = [density / float(depth.mean())] * 2
    np.testing.assert_array_equal(result, haze(video, depth, beta=beta, airlight=[airlight] * 2))
    np.testing.assert_array_equal(fog(video, density=0.0, airlight=airlight, depth=depth), video)


def test_fog_without_depth_is_thicker_towards_the_horizon_and_still_on_a_still_clip():
    gray = np.full((3, 128, 128, 3), 60, np.uint8)
    foggy = fog(gray, density=0.8, airlight=(0.8, 0.8, 0.8))[..., 0].astype(int)
    assert foggy[0, 20].mean() > foggy[0, 70].mean() > foggy[0, 120].mean() > 60
    np.testing.assert_array_equal(foggy, foggy[:1].repeat(3, 0))


@each_fall
def test_the_veil_is_the_same_share_with_and_without_depth_and_hides_far_things_more(weather):
    video = photograph(frames=2)
    even = np.full(video.shape[:3], 7.0, np.float32)
    near, far = even.copy(), even.copy()
    far[:, :64] = 30
    calm = partial(weather, video, intensity=0.0, veil=0.3)
    assert np.abs(calm(depth=even).astype(int) - calm(depth=None)).max() <= 1
    hidden = np.abs(calm(depth=far).astype(int) - video).mean((0, 2, 3))
    plain = np.abs(calm(depth=near).astype(int) - video).mean((0, 2, 3))
    assert hidden[:60].mean() > 1.2 * plain[:60].mean()
    assert hidden[68:].mean() < 0.8 * plain[68:].mean()


@each_fall
def test_on_a_still_clip_only_what_falls_moves(weather):
    video = photograph(frames=5, height=200)
    still = np.median(weather(video), axis=0)
    # most pixels are free of drops most of the time
    free = np.abs(weather(video) - still).max(-1) <= 1
    assert free.mean() > 0.55
