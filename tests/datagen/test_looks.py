"""Styles, weather and light: steady in time, true to their parameters, and never touching what they are given."""

import cv2
import numpy as np
import pytest
from skimage import data
from skimage.color import rgb2lab

from datagen.edits import looks
from datagen.effects import relight, styles, weather
from datagen.effects.haze import haze
from datagen.instructions import generator
from datagen.sources.base import Clip, SourceVideo, Window

STYLES = {
    "cartoon": lambda v: styles.cartoon(v),
    "pencil": lambda v: styles.pencil(v, seed=3),
    "oil": lambda v: styles.oil(v),
    "pixel_art": lambda v: styles.pixel_art(v, rows=32, colours=12),
}
LIGHTS = {"night": relight.night, "golden_hour": relight.golden_hour, "bright_day": relight.bright_day}
MOVING = {
    "vintage": lambda v: styles.vintage(v, seed=3),
    "rain": lambda v: weather.rain(v, seed=3, fps=25),
    "snow": lambda v: weather.snow(v, seed=3, fps=25),
}
ALL = {**STYLES, **LIGHTS, **MOVING}


def panning(frames: int = 6, size: int = 128) -> np.ndarray:
    """A photograph that moves by one pixel a frame."""
    photo = cv2.resize(data.astronaut(), (size + 60, size + 20), interpolation=cv2.INTER_AREA)
    return np.stack([photo[10 : 10 + size, t : t + size] for t in range(frames)])


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("shape", [(1, 64, 64, 3), (3, 65, 97, 3), (2, 120, 66, 3)])
def test_a_look_keeps_the_shape_repeats_its_bits_and_leaves_its_input_alone(name, shape):
    clip = np.ascontiguousarray(np.tile(panning(shape[0]), (1, 1, 2, 1))[:, : shape[1], : shape[2]])
    before = clip.copy()
    result = ALL[name](clip)
    assert (result.shape, result.dtype) == (shape, np.uint8)
    assert np.array_equal(clip, before)
    assert np.array_equal(result, ALL[name](clip))
    assert not np.array_equal(result, clip)


@pytest.mark.parametrize("name", [*STYLES, *LIGHTS])
def test_what_stands_still_does_not_flicker(name):
    still = np.repeat(panning(1), 4, axis=0)
    result = ALL[name](still)
    assert all(np.array_equal(frame, result[0]) for frame in result)


@pytest.mark.parametrize("name", ["cartoon", "oil", *LIGHTS])
def test_what_moves_keeps_its_look(name):
    clip = panning()
    result = ALL[name](clip).astype(float)
    # undo the motion: what is left of the difference is flicker
    change = np.abs(result[0][20:-20, 25:-20] - result[4][20:-20, 21:-24]).mean()
    assert change < 0.08 * result.std()


def test_pixel_art_has_square_blocks_of_few_colours_that_are_the_same_in_all_frames():
    clip = panning(4)
    result = styles.pixel_art(clip, rows=16, colours=10)
    blocks = result.reshape(4, 16, 8, 16, 8, 3)
    assert (blocks == blocks[:, :, :1, :, :1]).all()
    assert len(np.unique(result.reshape(-1, 3), axis=0)) <= 10


def test_a_pencil_drawing_is_gray_light_and_dark_where_the_edges_are():
    clip = panning(1)
    drawing = styles.pencil(clip, seed=1)
    assert (drawing[..., 0] == drawing[..., 1]).all()
    assert drawing.mean() > clip.mean() + 30
    gray = cv2.cvtColor(clip[0], cv2.COLOR_RGB2GRAY)
    edges = cv2.morphologyEx(gray, cv2.MORPH_GRADIENT, np.ones((3, 3)))
    assert drawing[0][edges > 80].mean() < drawing[0][edges < 10].mean() - 25


def test_oil_is_kuwaharas_filter():
    gray = cv2.cvtColor(panning(1, 48)[0], cv2.COLOR_RGB2GRAY)
    clip = np.repeat(gray[None, ..., None], 3, axis=3)
    result, side = styles.oil(clip, radius=4 / 48)[0, ..., 0], 4
    for y, x in ((20, 20), (12, 30), (30, 15)):
        squares = [
            gray[y + dy : y + dy + side + 1, x + dx : x + dx + side + 1].astype(float)
            for dy in (-side, 0)
            for dx in (-side, 0)
        ]
        # of the four squares of side 5 that have the pixel in a corner
        flattest = min(squares, key=lambda square: square.var())
        assert abs(int(result[y, x]) - flattest.mean()) <= 1.5


def test_reinhards_statistics_reach_those_of_the_reference():
    clip, reference = panning(2), data.coffee()[:300, :300]
    result = styles.with_colours_of(clip, reference)
    found, wanted = (rgb2lab(picture / 255.0).reshape(-1, 3) for picture in (result, reference))
    assert found.mean(0) == pytest.approx(wanted.mean(0), abs=4)
    assert found.std(0)[0] == pytest.approx(wanted.std(0)[0], rel=0.2)
    near = styles.with_colours_of(clip, reference, strength=0.0)
    assert np.abs(near.astype(int) - clip).max() <= 1


@pytest.mark.parametrize("name", LIGHTS)
def test_without_strength_the_light_stays_as_it_is(name):
    clip = panning(1)
    assert np.abs(LIGHTS[name](clip, strength=0.0).astype(int) - clip).max() <= 1


def test_the_stronger_the_night_the_darker_and_the_bluer():
    clip = panning(1)
    nights = [relight.night(clip, strength=s).astype(float) for s in (0.0, 0.25, 0.5, 0.75, 1.0)]
    light = [night.mean() for night in nights]
    blue = [night[..., 2].mean() / night[..., 0].mean() for night in nights]
    assert light == sorted(light, reverse=True)
    assert blue == sorted(blue)
    assert light[-1] < 0.5 * light[0]


@pytest.mark.parametrize(("side", "warmer"), [(-1.0, np.s_[:, :, :40]), (1.0, np.s_[:, :, -40:])])
def test_the_low_sun_stands_where_the_words_say(side, warmer):
    flat = np.full((1, 90, 120, 3), 110, np.uint8)
    lit = relight.golden_hour(flat, side=side).astype(float)
    colder = np.s_[:, :, -40:] if side < 0 else np.s_[:, :, :40]
    assert lit[warmer][..., 0].mean() > lit[colder][..., 0].mean() + 10
    assert relight.toward(side) == ("left" if side < 0 else "right")


def fallen(effect, metres: float, frames: int = 3) -> float:
    """Return by how many pixels per frame the layer at a distance moves down, by following the picture of it alone."""
    flat = np.full((frames, 256, 256, 3), 60, np.uint8)
    shown = effect(flat).astype(np.float32).mean(-1)
    best = []
    for i in range(frames - 1):
        scores = [float((np.roll(shown[i], step, axis=0) * shown[i + 1]).mean()) for step in range(120)]
        best.append(int(np.argmax(scores[2:])) + 2)
    return float(np.mean(best))


@pytest.mark.parametrize(("fps", "step"), [(25, 0.044 * 1.1 * 256 / 4), (12.5, 0.088 * 1.1 * 256 / 4)])
def test_snow_falls_at_its_speed(monkeypatch, fps, step):
    monkeypatch.setattr(weather, "_SNOW_METRES", (4.0, 4.0, 4.0))
    assert fallen(lambda v: weather.snow(v, seed=1, fps=fps, wind=0.0), 4.0) == pytest.approx(step, abs=1)


def test_rain_falls_at_its_speed_and_sideways_by_its_slant(monkeypatch):
    monkeypatch.setattr(weather, "_RAIN_METRES", (6.0, 6.0, 6.0))
    step = 7 / 25 * 1.1 * 256 / 6
    assert fallen(lambda v: weather.rain(v, seed=1, fps=25, slant=0.0), 6.0) == pytest.approx(step, abs=1)
    flat = np.full((2, 256, 256, 3), 60, np.uint8)
    shown = weather.rain(flat, seed=1, fps=25, slant=0.5).astype(np.float32).mean(-1)
    moved = np.roll(shown[0], (round(step), round(0.5 * step)), axis=(0, 1))
    assert np.abs(moved - shown[1]).mean() < 0.1


def test_more_snow_is_more_snow():
    flat = np.full((1, 128, 128, 3), 60, np.uint8)
    light = [float(weather.snow(flat, seed=2, fps=25, amount=amount).mean()) for amount in (0.3, 1.0, 2.0)]
    assert light == sorted(light)


def clip_of(video: np.ndarray, depth: np.ndarray | None = None) -> Clip:
    source = SourceVideo(
        kind="files", id="x", sha256="0" * 64, licence="CC0", frames=len(video), fps=25, locator="x", name="x"
    )
    return Clip(
        video=source, window=Window(start=0, step=1, frames=len(video)), frames=video, depth=depth, depth_unit="metre"
    )


def test_fog_is_the_scattering_model_on_the_clips_own_depth():
    depth = np.random.default_rng(0).uniform(2, 30, (6, 128, 128)).astype(np.float32)
    clip = clip_of(panning(), depth)
    drawn = looks._draw_fog(clip, generator("5"))
    (operation,) = drawn.program
    edited = looks.EDITS["weather"].apply(clip, drawn.program)
    expected = haze(clip.frames, depth, beta=[operation["beta"]] * 6, airlight=[[operation["airlight"]] * 3] * 6)
    assert np.array_equal(edited.target, expected)
    through = np.exp(-operation["beta"] * np.median(depth))
    assert 0.25 < through < 0.65


@pytest.mark.parametrize("kind", looks.EDITS)
def test_every_look_is_drawn_put_into_words_and_executed(kind):
    clip, words = clip_of(panning()), set()
    for seed in range(24):
        drawn = looks.EDITS[kind].draw(clip, generator(f"{seed:x}"))
        words.add(drawn.words)
        assert "{" not in drawn.words
        assert drawn.words[0].islower()
        edited = looks.EDITS[kind].apply(clip, drawn.program)
        assert (edited.mask == 255).all()
        assert (edited.reference is not None) == (kind == "reference")
        assert np.abs(edited.target.astype(int) - clip.frames).mean() > 3
    assert len(words) >= 4
