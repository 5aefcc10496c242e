"""Blur: closed forms of each kind, and that a sharp clip stays where it is."""

import numpy as np
import pytest

from configs import ConfigError, SourceError, load
from datagen import Recipe, build
from datagen.effects.blur import (
    Glimpse,
    Interpolator,
    Lights,
    defocus_blur,
    disc_kernel,
    exposure_blur,
    mean_stored,
    path_kernel,
    shake_blur,
    tremor,
)
from datagen.rejects import read_rejects
from datagen.replay import replay
from datagen.sources.base import Clip, SourceVideo, Window
from datagen.tasks import builder
from datagen.tasks.base import UnsuitableClipError
from shards import Dataset, read_video, write_video
from tests.conftest import moving_clip

FRAMES = 8


def to_linear(values):
    return (np.asarray(values, float) / 255) ** 2.2


def to_stored(light):
    return 255 * np.asarray(light, float) ** (1 / 2.2)


def make_clip(*, fps: float = 25.0, frames=None, depth=None) -> Clip:
    frames = moving_clip(5, frames=FRAMES, height=64, width=80) if frames is None else frames
    video = SourceVideo(
        kind="videos",
        id="v",
        sha256="00" * 32,
        licence="CC0-1.0",
        frames=len(frames),
        fps=fps,
        locator="",
        name="v",
    )
    window = Window(start=0, step=1, frames=len(frames))
    return Clip(video=video, window=window, frames=frames, depth=depth, depth_unit="metre")


def drawn(seed: int = 0, *, clip=None, **options):
    make = builder("deblur")
    return make.draw(clip or make_clip(), make.options(options), np.random.default_rng(seed))


def test_the_mean_is_that_of_linear_light():
    frames = np.random.default_rng(0).integers(0, 256, (5, 20, 30, 3), dtype=np.uint8)
    expected = to_stored(to_linear(frames).mean(0))
    lights = Lights(frames, keep=2)
    assert np.abs(mean_stored([Glimpse(lights[i]) for i in range(5)]) - expected).max() <= 0.51


@pytest.mark.parametrize("kind", ["motion", "shake", "defocus"])
def test_a_plain_clip_stays_as_it_is(kind):
    frames = np.full((FRAMES, 32, 40, 3), (200, 90, 3), np.uint8)
    clip = make_clip(frames=frames)
    pair = builder("deblur").apply(clip, drawn(clip=clip, kinds={kind: 1}))
    np.testing.assert_array_equal(pair.source, frames)


def test_motion_blur_of_a_static_clip_is_the_identity():
    frames = np.repeat(moving_clip(2, frames=1, height=64, width=80), FRAMES, axis=0)
    clip = make_clip(frames=frames)
    np.testing.assert_array_equal(builder("deblur").apply(clip, drawn(clip=clip, kinds={"motion": 1})).source, frames)


def test_an_edge_at_even_speed_becomes_the_analytic_ramp():
    speed, per_interval, samples = 4.0, 16, 17

    def picture(time: float):
        # the edge at x = 40 + speed * time, anti-aliased
        cover = np.clip(40 + speed * time - np.arange(80), 0, 1)
        return Glimpse(np.repeat(np.repeat(cover[None, :, None], 8, 0), 4, 2).astype(np.float32))

    blurred = exposure_blur([1], samples=[samples], per_interval=per_interval, at=picture)[0]
    width = speed * samples / per_interval
    x = np.arange(80) + 0.5
    ramp = np.clip((40 + speed + width / 2 - x) / width, 0, 1)
    # the ends of a ramp made of 17 steps and of whole pixels are rounded off by less than half a pixel
    assert np.abs(to_linear(blurred[0, :, 0]) - ramp).max() < 0.6 / width
    assert np.abs(to_linear(blurred[0, :, 0]) - ramp).mean() < 0.005


def test_frames_between_frames_lie_where_even_motion_takes_them():
    wide = moving_clip(7, frames=1, height=96, width=160)[0]

    def window(shift: float):
        low = int(np.floor(shift))
        left, right = (wide[:, 20 + low + k : 116 + low + k].astype(float) for k in (0, 1))
        return (1 - shift + low) * left + (shift - low) * right

    frames = np.stack([window(3 * t) for t in range(6)]).astype(np.uint8)
    between = Interpolator(frames).at
    np.testing.assert_array_equal(mean_stored([between(2.0)]), frames[2])
    # before the first and after the last frame motion goes on as it was
    for time in (1.25, 2.5, 3.75, 5.4, -0.4):
        error = np.abs(mean_stored([between(time)]) - window(3 * time))[16:-16, 16:-16]
        assert error.mean() < 1.5, time


@pytest.mark.parametrize("size", [(16, 100), (24, 400), (100, 16), (31, 31)])
def test_low_and_narrow_clips_move_along_their_flow(size):
    frames = moving_clip(5, frames=4, height=size[0], width=size[1])
    moved = mean_stored([Interpolator(frames).at(1.25)])
    assert moved.shape == frames[0].shape
    np.testing.assert_array_equal(mean_stored([Interpolator(frames).at(2.0)]), frames[2])


def test_nothing_is_shown_twice_between_frames():
    frames = np.zeros((2, 64, 96, 3), np.uint8)
    rng = np.random.default_rng(0)
    square = rng.integers(100, 256, (20, 20, 3), dtype=np.uint8)
    frames[0, 20:40, 20:40], frames[1, 20:40, 28:48] = square, square
    middle = mean_stored([Interpolator(frames).at(0.5)])
    bright = (middle.max(2) > 50).sum()
    assert bright == pytest.approx(400, rel=0.15)


def test_a_path_s_kernel_sums_to_one_and_has_the_path_s_middle():
    path = [[-2.5, 1.0], [0.25, 0.0], [2.25, -1.0]]
    kernel = path_kernel(path)
    rows, columns = np.mgrid[: len(kernel), : len(kernel)] - len(kernel) // 2
    assert kernel.sum() == pytest.approx(1)
    assert ((kernel * columns).sum(), (kernel * rows).sum()) == pytest.approx(np.mean(path, 0), abs=1e-6)
    np.testing.assert_allclose(path_kernel([[0.0, 0.0]]), np.pad([[1.0]], 1))


def test_shaking_along_a_line_is_the_mean_of_shifts():
    frames = moving_clip(3, frames=1, height=40, width=50)
    path = [[float(k), 0.0] for k in range(-2, 3)]
    expected = to_stored(np.mean([np.roll(to_linear(frames[0]), k, axis=1) for k in range(-2, 3)], 0))
    assert np.abs(shake_blur(frames, [path])[0] - expected)[:, 4:-4].max() <= 0.51


def test_a_hand_s_tremor_is_smooth_and_centred():
    paths = np.array(tremor(np.random.default_rng(1), 60, fps=25.0, exposure=0.04, amplitude=3.0, places=9))
    assert paths.shape == (60, 9, 2)
    assert np.abs(paths.mean(1)).max() < 1e-2
    # with an exposure of a whole frame one frame's way goes on where the one before ended: in its direction
    ends, starts = paths[:-1, -1] - paths[:-1, -2], paths[1:, 1] - paths[1:, 0]
    assert np.abs(ends - starts).max() < 0.25 * np.abs(ends).max()


def test_a_disc_has_its_area_and_no_direction():
    for diameter in (2.0, 5.0, 9.0):
        kernel = disc_kernel(diameter)
        assert kernel.sum() == pytest.approx(1)
        np.testing.assert_allclose(kernel, kernel.T)
        assert 1 / kernel.max() == pytest.approx(np.pi * diameter**2 / 4, rel=0.05)


def test_what_is_in_focus_stays_sharp_and_the_rest_is_blurred_by_the_thin_lens_law():
    frames = np.zeros((1, 41, 81, 3), np.uint8)
    frames[:, 20, [20, 60]] = 255
    depth = np.full((1, 41, 81), 2.0, np.float32)
    depth[:, :, 40:] = 8.0
    blurred = defocus_blur(frames, depth, focus=[2.0], aperture=16.0)
    np.testing.assert_array_equal(blurred[0, :, :32], frames[0, :, :32])
    # 16 |1/8 - 1/2| = 6 pixels
    spot = to_linear(blurred[0, :, 45:, 0])
    assert spot.sum() == pytest.approx(1, rel=0.05)
    assert (spot > 0.5 * spot.max()).sum() == pytest.approx(np.pi * 9, rel=0.15)


@pytest.mark.parametrize(("preset", "allowed"), [("gopro", [7, 9, 11, 13]), ("bsd", [1.92, 3.84, 5.76])])
def test_presets_have_their_papers_exposures(preset, allowed):
    for seed in range(30):
        parameters = drawn(seed, clip=make_clip(fps=30.0), kinds={"motion": 1}, preset=preset)
        assert parameters["per_interval"] == 8
        pictures = parameters["exposure"][0] * 8
        assert min(abs(pictures - value) for value in allowed) <= 1.01
        assert len(parameters["exposure"]) == len(parameters["samples"]) == FRAMES
    assert drawn(clip=make_clip(fps=10.0), kinds={"motion": 1})["per_interval"] == 24


def test_a_kind_that_is_not_there_is_named():
    with pytest.raises(ConfigError, match=r"tasks\.deblur.*kinds"):
        drawn(kinds={"gaussian": 1})


def test_samples_replay_from_their_record(tmp_path):
    recipe = load(Recipe, "default", ["tasks={deblur: {}}", "clip.size=64", "clip.frames=5", "scenes.count=12"])
    build(recipe, tmp_path)
    kinds = set()
    for sample in Dataset(tmp_path):
        kinds.add(sample.meta.parameters["kind"])
        assert sample.meta.scores["pair_psnr"] <= 45
        proof = replay(tmp_path, sample.key)
        assert proof.faithful, proof.summary()
    assert len(kinds) >= 2


def test_pairs_that_show_no_blur_are_left_out(video_folder, tmp_path):
    sharp = load(
        Recipe,
        "default",
        ["tasks={deblur: {exposure: [0.0, 0.0], kinds: {shake: 1}}}", "clip.size=48", "clip.frames=4"],
    )
    with pytest.raises(SourceError, match="no change"):
        build(sharp, tmp_path / "sharp", sources=[str(video_folder)])


@pytest.mark.parametrize(
    ("settings", "counts"),
    [
        # at the video's own rate and at an eighth of it: 7 to 13 frames at 240 a second
        (["clip.fps=240"], {7, 9, 11, 13}),
        (["clip.fps=30"], {7, 9, 11, 13}),
        (["clip.fps=60", "tasks.deblur.exposure=[0.12, 0.12]"], {29}),
    ],
)
def test_of_high_rate_video_the_frames_themselves_are_averaged(settings, counts, tmp_path):
    """GoPro's recipe: the linear mean of M neighbouring frames, the target is the middle one; no frame has fewer."""
    wide = moving_clip(7, frames=1, height=64, width=300)[0]
    fast = np.stack([wide[:, 2 * t : 2 * t + 64] for t in range(100)])
    write_video(tmp_path / "fast.mp4", fast, fps=240)
    common = ["clip.size=64", "clip.frames=5", "codec=lossless", "tasks={deblur: {kinds: {motion: 1}}}"]
    build(load(Recipe, "default", [*common, *settings]), tmp_path / "x", sources=[str(tmp_path / "fast.mp4")])
    dataset, frames = Dataset(tmp_path / "x"), read_video(tmp_path / "fast.mp4", size=(64, 64), crop=(0.5, 0.5))
    assert dataset.keys("deblur")
    for key in dataset.keys("deblur"):
        sample = dataset[key]
        p = sample.meta.parameters
        step = round(240 / sample.meta.fps)
        assert sample.meta.step == p["per_interval"] == step
        assert p["interpolation"] == "none: frames of the video"
        (count,) = set(p["samples"])
        assert count in counts
        assert p["exposure"] == [round(count / step, 5)] * 5
        for i in range(5):
            centre = sample.meta.start + step * i
            assert count // 2 <= centre < len(frames) - count // 2
            mean = ((frames[centre - count // 2 : centre + count // 2 + 1] / 255.0) ** 2.2).mean(0) ** (1 / 2.2)
            assert np.abs(sample.source[i] - 255 * mean).max() < 0.6
            assert np.array_equal(sample.target[i], frames[centre])
        assert replay(tmp_path / "x", key).faithful


def test_a_shot_without_room_for_an_exposure_gives_no_pair(tmp_path):
    write_video(tmp_path / "fast.mp4", moving_clip(7, frames=21, height=64, width=64), fps=240)
    settings = ["clip.size=64", "clip.frames=16", "clip.fps=240", "tasks={recolor: {}, deblur: {kinds: {motion: 1}}}"]
    build(load(Recipe, "default", settings), tmp_path / "x", sources=[str(tmp_path / "fast.mp4")])
    assert Dataset(tmp_path / "x").tasks == ["recolor"]
    (reject,) = read_rejects(tmp_path / "x")
    assert (reject["task"], reject["reason"].split(":")[0]) == ("deblur", "no room for an exposure")


def test_the_instruction_speaks_of_the_blur_that_is_there_and_one_s_own_templates_fit_all(tmp_path):
    own = "instructions={deblur: {train: [Mine alone.]}}"
    task = load(Recipe, "default", ["tasks={deblur: {}}", own]).task("deblur")
    special = {}
    for kind in ("motion", "shake", "defocus"):
        pair = builder("deblur").apply(make_clip(), drawn(kinds={kind: 1}))
        templates = set(task.templates("train", pair.family))
        assert {"Deblur the video.", "Mine alone."} <= templates
        special[kind] = templates - set(task.templates("train"))
        assert special[kind]
    assert special["motion"].isdisjoint(special["shake"] | special["defocus"])
    assert "Bring the video into focus." in special["defocus"]


def test_a_single_frame_is_blurred_by_what_needs_no_motion():
    one = make_clip(frames=moving_clip(5, frames=1, height=64, width=80), depth=np.full((1, 64, 80), 3, np.float32))
    assert {drawn(seed, clip=one)["kind"] for seed in range(40)} == {"shake", "defocus"}
    with pytest.raises(UnsuitableClipError, match="no motion: a single frame has none"):
        drawn(clip=one, kinds={"motion": 1})
