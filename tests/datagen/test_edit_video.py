"""Edits of what object masks mark in real video, and what they refuse."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from datagen.edits import in_video
from datagen.effects import local, removal
from datagen.instructions import generator
from datagen.scenes.description import COLOURS
from datagen.sources.base import Clip, SourceVideo, Window
from datagen.tasks import builder
from datagen.tasks.base import UnsuitableClipError
from shards import read_video
from tests.conftest import moving_clip
from tests.datagen.layout_files import REAL

VIDEO = SourceVideo(kind="files", id="x", sha256="0" * 64, licence="CC0", frames=8, fps=25, locator="0", name="x")

STILL = REAL.parent / "clips" / "bottles.mp4"


def masked_clip(*, pan: int = 0, frames: int = 8) -> tuple[Clip, np.ndarray]:
    """Return a clip in which a yellow square crosses a textured background, and that background."""
    rng = np.random.default_rng(5)
    wide = cv2.GaussianBlur(rng.integers(0, 256, (64, 200, 3)).astype(np.float32), (0, 0), 2)
    wide = np.clip((wide - 128) * 4 + 128, 0, 255).astype(np.uint8)
    background = np.stack([wide[:, 20 + pan * i : 116 + pan * i] for i in range(frames)])
    video, ids = background.copy(), np.zeros(background.shape[:3], np.uint8)
    for i in range(frames):
        square = np.s_[i, 20:40, 4 + 9 * i : 24 + 9 * i]
        video[square], ids[square] = (220, 200, 60), 1
    window = Window(start=0, step=1, frames=frames)
    clip = Clip(video=VIDEO, window=window, frames=video, ids=ids, names={1: ["the yellow square"]})
    return clip, background


def test_a_recoloured_object_has_the_new_hue_and_its_own_shading():
    clip, _ = masked_clip()
    shaded = clip.frames.copy()
    inside = clip.ids == 1
    shaded[inside] = (shaded[inside] * np.linspace(0.5, 1, inside.sum())[:, None]).astype(np.uint8)
    mask = np.where(inside, np.uint8(255), np.uint8(0))
    result = local.recoloured(shaded, mask, COLOURS["blue"])
    assert np.array_equal(result[~inside], shaded[~inside])
    core = cv2.erode(mask[0], np.ones((5, 5))) > 0
    lab = cv2.cvtColor(result[0].astype(np.float32) / 255, cv2.COLOR_RGB2Lab)[core]
    before = cv2.cvtColor(shaded[0].astype(np.float32) / 255, cv2.COLOR_RGB2Lab)[core]
    wanted = cv2.cvtColor(np.array([[COLOURS["blue"]]], np.float32) / 255, cv2.COLOR_RGB2Lab)[0, 0]
    angles = np.arctan2(lab[:, 2], lab[:, 1]) - np.arctan2(wanted[2], wanted[1])
    assert np.abs(np.angle(np.exp(1j * angles))).max() < 0.35
    assert np.corrcoef(lab[:, 0], before[:, 0])[0, 1] > 0.97


@pytest.mark.parametrize(
    ("own", "colours"),
    [
        ((30, 30, 30), {"red", "blue", "purple"}),
        ((240, 240, 236), {"orange", "yellow", "green", "cyan", "pink"}),
        ((214, 38, 40), {"orange", "yellow", "green", "cyan", "blue", "purple", "pink"}),
        ((130, 82, 44), {"red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink"}),
    ],
)
def test_an_object_is_offered_the_colors_that_it_can_plainly_take(own, colours):
    """Nothing is turned red that comes out pink, nor yellow that comes out olive, nor any color that it has."""
    found = {name for name in in_video.PAINTS if local.takes_colour(np.array(own), COLOURS[name])}
    assert found <= colours
    assert len(found) >= 3
    frames = np.full((1, 24, 24, 3), own, np.uint8)
    for name in found:
        made = local.recoloured(frames, np.full((1, 24, 24), 255, np.uint8), COLOURS[name])[0, 12, 12].astype(int)
        assert np.abs(made - own).max() > 30


@pytest.mark.parametrize("pan", [0, 2])
def test_an_object_before_another_background_keeps_its_bits_inside_its_outline(pan):
    clip, _ = masked_clip(pan=pan)
    found = in_video.EDITS["background"].draw(clip, generator("1"))
    edited = in_video.EDITS["background"].apply(clip, found.program)
    inside = clip.ids == 1
    kept = edited.mask == 0
    assert np.array_equal(edited.target[kept], clip.frames[kept])
    assert 0.75 * inside.sum() < (kept & inside).sum() == kept.sum()
    assert (edited.target != clip.frames).any(-1)[~inside].mean() > 0.95


def test_a_new_background_moves_as_the_old_one_did():
    clip, _ = masked_clip(pan=3)
    mask = np.where(clip.ids == 1, np.uint8(255), np.uint8(0))
    way = local.background_way(clip.frames, mask)
    assert way[-1, 0] == pytest.approx(-3 * 7, abs=2.5)
    backdrop = np.concatenate([moving_clip(3, frames=1, height=90, width=140)[0]])
    result, _ = local.on_background(clip.frames, mask, backdrop)
    top = result[:, :14].astype(np.float32).mean(-1)
    (dx, dy), _ = cv2.phaseCorrelate(top[0], top[2], cv2.createHanningWindow(top[0].shape[::-1], cv2.CV_32F))
    assert dx == pytest.approx(-6, abs=1.5)
    assert abs(dy) < 1


def test_no_rim_of_the_old_background_is_left_around_an_object():
    """A dark disc with soft edges before white, cut out by a mask with its mixed outermost pixels, before black."""
    y, x = np.mgrid[:64, :64]
    cover = np.clip(16.5 - np.hypot(y - 32, x - 32), 0, 1)[..., None]
    frames = np.repeat((255 - 205 * cover + 0.5).astype(np.uint8)[None].repeat(3, -1), 2, axis=0)
    mask = np.repeat(np.where(np.hypot(y - 32, x - 32) < 16.4, np.uint8(255), np.uint8(0))[None], 2, axis=0)
    result, _ = local.on_background(frames, mask, np.zeros((80, 80, 3), np.uint8))
    assert result.max() < 90
    thin = np.zeros_like(mask)
    thin[:, 32] = 255
    line, changed = local.on_background(frames, thin, np.zeros((80, 80, 3), np.uint8))
    assert np.array_equal(line[:, 32], frames[:, 32])
    assert not changed[:, 32].any()


def shadowed(clip: Clip, *, apart: int = 0, seed: int = 3) -> Clip:
    """Return the clip with the noise of a camera and a soft shadow that goes along right below the object, or apart."""
    shade = np.ones(clip.frames.shape, np.float32)
    for i in range(len(shade)):
        cv2.ellipse(
            shade[i], (14 + 9 * i, 42 + apart), (12 - apart // 2, 5 - apart // 6), 0, 0, 360, (0.55, 0.55, 0.6), -1
        )
        shade[i] = cv2.GaussianBlur(shade[i], (0, 0), 1)
    shade[clip.ids > 0] = 1
    noise = np.random.default_rng(seed).normal(0, 0.8, clip.frames.shape)
    return replace(clip, frames=np.clip(clip.frames * shade + noise + 0.5, 0, 255).astype(np.uint8))


def test_a_clean_plate_is_the_background_where_a_still_camera_shows_all_of_it():
    clip, background = masked_clip()
    holes = removal.widened(np.where(clip.ids == 1, np.uint8(255), np.uint8(0)))
    plate = removal.clean_plate(clip.frames, holes)
    assert np.array_equal(plate, background[0])
    assert np.array_equal(removal.with_shadows(clip.frames, holes, np.zeros_like(holes), plate), holes)
    assert np.array_equal(removal.removed(clip.frames, holes, plate), background)


def test_a_removed_object_takes_its_shadow_along_and_the_mask_tells_where():
    clip, background = masked_clip()
    clip = shadowed(clip)
    found = in_video.EDITS["remove"].draw(clip, generator("1"))
    edited = in_video.EDITS["remove"].apply(clip, found.program)
    outside = edited.mask == 0
    assert np.array_equal(edited.target[outside], clip.frames[outside])
    left = cv2.blur(np.abs(edited.target.astype(np.float32) - background).mean((0, 3)), (7, 7))
    assert left.max() < 4
    assert (edited.mask > 0).mean() < 0.25


def test_a_shadow_that_lies_apart_is_no_matter_of_masks_and_refused():
    clip = shadowed(masked_clip()[0], apart=12)
    with pytest.raises(UnsuitableClipError, match="a shadow that lies apart"):
        in_video.EDITS["remove"].draw(clip, generator("1"))


def test_of_two_objects_the_one_is_removed_that_can_be_and_the_other_keeps_its_shadow():
    clip = shadowed(masked_clip()[0])
    still = np.s_[:, 57:63, 70:90]
    frames, ids = clip.frames.copy(), clip.ids.copy()
    frames[still], ids[still] = (40, 160, 60), 2
    clip = replace(clip, frames=frames, ids=ids, names={1: ["the yellow square"], 2: ["the green box"]})
    for seed in range(4):
        found = in_video.EDITS["remove"].draw(clip, generator(f"{seed}"))
        assert "the yellow square" in found.words
    edited = in_video.EDITS["remove"].apply(clip, found.program)
    assert np.array_equal(edited.target[still], frames[still])
    with pytest.raises(UnsuitableClipError, match="what is behind the object is not seen"):
        in_video.EDITS["remove"].draw(replace(clip, names={2: ["the green box"]}), generator("1"))


def test_a_plate_takes_the_exposure_of_its_frame():
    clip, background = masked_clip()
    drift = np.arange(8, dtype=np.uint8).reshape(8, 1, 1, 1) // 3
    frames = np.minimum(clip.frames, 250) + drift
    holes = removal.widened(np.where(clip.ids == 1, np.uint8(255), np.uint8(0)))
    target = removal.removed(frames, holes, np.minimum(background[0], 250))
    assert np.array_equal(target, np.minimum(background, 250) + drift)


def test_there_is_no_clean_plate_behind_what_never_moves_or_before_a_moving_camera():
    still, _ = masked_clip()
    remove = in_video.EDITS["remove"]
    assert "yellow square" in remove.draw(still, generator("1")).words
    stuck = replace(still, frames=still.frames[:1].repeat(8, 0), ids=still.ids[:1].repeat(8, 0))
    with pytest.raises(UnsuitableClipError, match="what is behind the object is not seen"):
        remove.draw(stuck, generator("1"))
    with pytest.raises(UnsuitableClipError, match="the camera or the background moves"):
        remove.draw(masked_clip(pan=3)[0], generator("1"))


def test_a_camera_that_shakes_and_comes_back_to_where_it_began_does_not_stand_still():
    steady, background = masked_clip()
    shaken = [np.roll(frame, round(2 * np.sin(2 * np.pi * i / 7)), 1) for i, frame in enumerate(background)]
    frames = np.where(steady.ids[..., None] == 1, steady.frames, np.stack(shaken))
    with pytest.raises(UnsuitableClipError, match="something else, changes"):
        in_video.EDITS["remove"].draw(replace(steady, frames=frames), generator("1"))


@pytest.mark.skipif(not STILL.is_file(), reason="needs the shared data")
def test_behind_what_was_put_before_a_real_camera_that_stands_still_is_what_was_there():
    background = read_video(STILL, range(36, 52))
    frames, ids = background.copy(), np.zeros(background.shape[:3], np.uint8)
    for i in range(16):
        box = np.s_[i, 150:210, 40 + 30 * i : 120 + 30 * i]
        frames[box], ids[box] = frames[box][::-1] // 2 + 60, 1
    window = Window(start=0, step=1, frames=16)
    clip = Clip(video=VIDEO, window=window, frames=frames, ids=ids, names={1: ["the box"]})
    edited = in_video.EDITS["remove"].apply(clip, in_video.EDITS["remove"].draw(clip, generator("1")).program)
    hole = edited.mask > 0
    error = np.square(edited.target[hole].astype(float) - background[hole]).mean()
    assert 10 * np.log10(255**2 / error) > 44, "two frames of the camera are 46 dB apart there"
    assert np.array_equal(edited.target[~hole], frames[~hole])


def test_each_kind_that_a_clip_does_not_allow_says_why():
    clip, _ = masked_clip(pan=3)
    options = builder("edit").options({"kinds": {"remove": 1, "ground": 1, "background": 1, "recolour": 1}})
    hidden = replace(clip, ids=np.zeros_like(clip.ids))
    with pytest.raises(UnsuitableClipError) as error:
        builder("edit").draw(hidden, options, generator("1"))
    assert str(error.value) == (
        "no edit: background: its objects cover 0.0% to 0.0% of a frame, not 1% to 60%; ground: an edit of scenes; "
        "recolour: no object that is named is large enough; remove: no object that is named is large enough"
    )


def test_an_object_stands_on_the_ground_of_its_landscape_and_casts_a_shadow_there():
    clip, _ = masked_clip()
    background = in_video.EDITS["background"]
    drawn = (background.draw(clip, generator(f"{seed:x}")) for seed in range(20))
    edit = next(made for made in drawn if made.program[0]["backdrop"] == "hills")
    operation = edit.program[0]
    # its feet are in row 39 of 64
    assert operation["horizon"] < 39 / 64
    target = background.apply(clip, edit.program).target.astype(int)
    lit = background.apply(clip, [{**operation, "shadow": 0.0}]).target.astype(int)
    under, beside = np.s_[0, 41, 10:18], np.s_[0, 50:64, 40:90]
    assert target[under].mean() < (1 - 0.2 * operation["shadow"]) * lit[under].mean()
    np.testing.assert_array_equal(target[beside], lit[beside])


def test_the_shadow_of_what_walks_out_of_the_picture_fades_step_by_step():
    ids = np.zeros((8, 100, 60), np.uint8)
    for step, shown in enumerate(ids):
        shown[60 + step : 93 + step, 20:40] = 1
    peaks = local.contact_shadows(ids, 0.6).max((1, 2))
    assert peaks[0] == pytest.approx(0.6)
    assert peaks[-1] == 0
    assert -0.2 < np.diff(peaks).min() < 0
    assert np.diff(peaks).max() <= 0


def test_a_shadow_lies_at_each_object_s_feet_and_none_under_what_leaves_the_picture():
    ids = np.zeros((1, 60, 100), np.uint8)
    ids[0, 10:30, 20:40], ids[0, 20:60, 70:90] = 1, 2
    dark = local.contact_shadows(ids, 0.5)[0]
    assert dark.max() == pytest.approx(0.5)
    assert dark[29, 29] == pytest.approx(0.5)
    assert dark[29, 20:40].min() > 0.1
    assert not dark[34:].any()
    assert not dark[:, 60:].any()
    np.testing.assert_allclose(dark[:, :60], dark[:, :60][:, ::-1], atol=1e-6)
