"""Styles: what each promises of its colours, that still clips stay still, and that nothing flickers when a camera pans."""

from functools import partial

import cv2
import numpy as np
import pytest
from skimage import data
from skimage.color import rgb2lab

from datagen.effects.palette import colour_statistics_transfer
from datagen.effects.styles import cartoon, noir, oil, pencil, pixel_art, vintage
from tests.conftest import moving_clip

REFERENCE = cv2.resize(data.coffee(), (150, 100), interpolation=cv2.INTER_AREA)
STEADY = {
    "cartoon": partial(cartoon, tones=8, lines=1.0, saturation=1.3),
    "pencil": partial(pencil, line=2.0, shading=0.7, paper=0.8, seed=1),
    "oil": partial(oil, radius=2.0, relief=0.5, saturation=1.2),
    "pixel_art": partial(pixel_art, rows=32, colours=16, dither=0.5),
    "noir": partial(noir, contrast=1.6, grain=0.0, seed=1),
    "vintage": partial(vintage, strength=1.0, grain=0.0, seed=1),
    "transfer": partial(colour_statistics_transfer, reference=REFERENCE, strength=1.0),
}
GRAINY = {
    "noir": partial(noir, contrast=1.6, grain=3.0, seed=1),
    "vintage": partial(vintage, strength=1.0, grain=3.0, seed=1),
}


def natural(*, frames: int = 1, height: int = 256, width: int = 160, step: int = 0) -> np.ndarray:
    """Return uint8 [t h w 3]: a photograph that moves `step` pixels to the left from frame to frame."""
    picture = cv2.resize(data.astronaut(), (2 * height, 2 * height), interpolation=cv2.INTER_AREA)
    return np.stack([picture[:height, height // 2 + step * t :][:, :width] for t in range(frames)])


@pytest.mark.parametrize("style", [*STEADY.values(), *GRAINY.values()], ids=[*STEADY, "noir-grain", "vintage-grain"])
@pytest.mark.parametrize("shape", [(1, 65, 97), (3, 64, 64), (2, 200, 90)])
def test_every_size_comes_back_as_it_was_and_the_clip_given_is_left_alone(style, shape):
    video = moving_clip(2, frames=shape[0], height=shape[1], width=shape[2])
    before = video.copy()
    result = style(video)
    assert (result.shape, result.dtype) == (video.shape, np.uint8)
    assert not np.shares_memory(result, video)
    np.testing.assert_array_equal(video, before)
    np.testing.assert_array_equal(result, style(video))
    assert np.abs(result.astype(int) - video).mean() > 1


@pytest.mark.parametrize("style", STEADY.values(), ids=STEADY)
def test_a_still_clip_stays_still(style):
    result = style(natural(frames=4))
    np.testing.assert_array_equal(result, result[:1].repeat(4, 0))


# The paper of a drawing, blocks and the corners of a film stand still by design. Above 256 rows a cartoon and a
# drawing's shadows are made of fewer pixels, whose places do not move by whole ones with the picture.
@pytest.mark.parametrize("height", [256, 400])
@pytest.mark.parametrize(
    ("style", "bound"),
    [
        (STEADY["cartoon"], 0.25),
        (partial(STEADY["pencil"], paper=0.0), 0.1),
        (STEADY["oil"], 0.01),
        (STEADY["transfer"], 0.01),
    ],
    ids=["cartoon", "pencil", "oil", "transfer"],
)
def test_a_panning_camera_gives_a_panning_picture(style, bound, height):
    result = style(natural(frames=6, height=height, step=1)).astype(float)
    # frame t moved back by one pixel is frame t - 1, away from the borders
    flicker = np.abs(result[1:, 16:-16, 16:-17] - result[:-1, 16:-16, 17:-16])
    unaligned = np.abs(result[1:] - result[:-1])[:, 16:-16, 16:-16]
    assert flicker.mean() < bound * unaligned.mean()


# a transfer to a picture of more contrast must stretch noise with the rest; blocks average it and keep their colours
@pytest.mark.parametrize("name", STEADY)
def test_noise_is_not_made_into_flicker(name):
    rng = np.random.default_rng(0)
    still = natural(frames=4)
    noisy = np.clip(still + rng.normal(0, 2, still.shape), 0, 255).astype(np.uint8)

    def change(video):
        return np.abs(np.diff(video.astype(float), axis=0)).mean()

    limit = {"transfer": 2.0, "pixel_art": 0.03}.get(name, 0.7)
    assert change(STEADY[name](noisy)) < limit * change(noisy)


def test_a_cartoon_has_few_tones_in_flat_places_and_dark_lines_between_them():
    ramp = np.repeat(np.linspace(0, 255, 256).astype(np.uint8)[None, None, :, None], 3, 3).repeat(256, 1)
    tones = 6
    drawn = cartoon(ramp, tones=tones, lines=0.0, saturation=1.0)[0, 128, :, 0]
    counts = np.bincount(drawn, minlength=256)
    # soft steps crowd around the tones: the nearest third of all values to one of them holds most of the ramp
    distance = np.abs(np.arange(256)[:, None] - np.linspace(0, 255, tones)).min(1)
    assert counts[distance <= 255 / (tones - 1) / 6].sum() > 0.45 * counts.sum()


def test_a_cartoon_s_lines_lie_on_the_dark_side_of_edges_and_nowhere_else():
    step = np.full((1, 256, 256, 3), 200, np.uint8)
    step[:, :, :128] = 120
    plain, lined = (cartoon(step, tones=12, lines=lines, saturation=1.0)[0, 128, :, 0] for lines in (0.0, 1.0))
    assert lined[120:128].min() < 60
    assert plain[120:128].min() > 100
    np.testing.assert_array_equal(lined[:116], plain[:116])
    np.testing.assert_array_equal(lined[140:], plain[140:])


def test_a_pencil_drawing_is_gray_lines_at_edges_and_paper_where_it_is_bright():
    video = np.full((1, 128, 128, 3), 245, np.uint8)
    video[:, :, 64:] = (60, 90, 140)
    plain = pencil(video, line=2.0, shading=0.0, paper=0.0, seed=0)[0]
    assert (plain == plain[..., :1]).all()
    row = plain[64, :, 0].astype(int)
    assert row[:40].min() > 240
    assert row[104:].min() > 240
    assert row[62:72].min() < 100
    shaded = pencil(video, line=2.0, shading=0.8, paper=0.0, seed=0)[0]
    assert shaded[64, 110, 0] < 160 < 235 < shaded[64, 20, 0]
    hatched = pencil(video, line=2.0, shading=0.8, paper=1.0, seed=0)[0, :, 100:, 0].astype(float)
    # strokes run from the lower left to the upper right
    along, across = (
        np.abs(hatched[1:, 1:] - hatched[:-1, :-1]).mean(),
        np.abs(hatched[1:, :-1] - hatched[:-1, 1:]).mean(),
    )
    assert across < 0.6 * along


def test_oil_flattens_texture_and_keeps_edges():
    rng = np.random.default_rng(0)
    video = np.full((1, 128, 128, 3), 60.0)
    video[:, :, 64:] = 190
    video = np.clip(video + rng.normal(0, 8, video.shape), 0, 255).astype(np.uint8)
    painted = oil(video, radius=2.0, relief=0.0, saturation=1.0).astype(float)
    assert painted[0, :, :60].std() < 0.4 * video[0, :, :60].std()
    assert painted[0, :, 62].mean() < 75
    assert painted[0, :, 65].mean() > 175


def test_oil_leaves_a_plain_clip_as_it_is():
    plain = np.full((2, 64, 80, 3), (200, 90, 3), np.uint8)
    np.testing.assert_array_equal(oil(plain, radius=2.0, relief=1.0, saturation=1.0), plain)


@pytest.mark.parametrize("colours", [2, 8, 24])
def test_pixel_art_is_square_blocks_in_no_more_than_its_colours(colours):
    video = natural(frames=5, height=96, width=130, step=3)
    art = pixel_art(video, rows=24, colours=colours, dither=0.5)
    assert len(np.unique(art.reshape(-1, 3), axis=0)) <= colours
    for y, x in np.ndindex(4, 4):
        np.testing.assert_array_equal(art[:, y::4, x::4], art[:, ::4, ::4][:, :24, : art[:, y::4, x::4].shape[2]])


def test_a_clip_of_few_colours_keeps_them():
    rng = np.random.default_rng(0)
    colours = np.array([[250, 20, 30], [10, 200, 60], [20, 30, 220], [240, 240, 230]], np.uint8)
    blocks = colours[rng.integers(0, 4, (2, 16, 16))].repeat(4, 1).repeat(4, 2)
    art = pixel_art(blocks, rows=16, colours=8, dither=0.0)
    # 8-bit Lab is coarse where colours are strong
    assert np.abs(art.astype(int) - blocks).max() <= 10
    assert len(np.unique(art.reshape(-1, 3), axis=0)) == 4


def test_film_without_strength_is_the_clip_and_grain_is_as_strong_as_it_says():
    video = natural(frames=3)
    np.testing.assert_array_equal(vintage(video, strength=0.0, grain=0.0, seed=0), video)
    gray = np.full((3, 128, 128, 3), 128, np.uint8)
    grainy = vintage(gray, strength=0.0, grain=4.0, seed=0).astype(float) - 128
    assert grainy.std() == pytest.approx(4, rel=0.1)
    assert abs(grainy.mean()) < 0.3
    frames = grainy[..., 0].reshape(3, -1)
    assert np.abs(np.corrcoef(frames) - np.eye(3)).max() < 0.1
    assert (vintage(gray, strength=0.0, grain=4.0, seed=1) != vintage(gray, strength=0.0, grain=4.0, seed=0)).any()


def test_old_film_is_warm_faded_and_darker_in_its_corners():
    gray = np.full((1, 96, 128, 3), 128, np.uint8)
    old = vintage(gray, strength=1.0, grain=0.0, seed=0)[0].astype(int)
    red, green, blue = old[48, 64]
    assert red > green > blue
    assert old[0, 0, 1] < 0.75 * old[48, 64, 1]
    assert vintage(gray * 0, strength=1.0, grain=0.0, seed=0)[0, 48, 64].min() > 20


def test_noir_is_gray_and_its_contrast_grows():
    video = natural()
    spreads = []
    for contrast in (1.0, 1.6, 2.4):
        result = noir(video, contrast=contrast, grain=0.0, seed=0)
        assert (result == result[..., :1]).all()
        spreads.append(result[:, 32:96, 32:96].std())
    assert spreads == sorted(spreads)


def spread_of(lab: np.ndarray) -> np.ndarray:
    return np.cov(lab.reshape(-1, 3).T)


def test_colour_statistics_become_those_of_the_reference():
    # colours of little contrast, so that none is clipped, and a reference of a spread that needs no bound
    video = (natural(frames=3, step=2) * 0.3 + 80).astype(np.uint8)
    reference = (natural(width=128) * [0.25, 0.33, 0.36] + [110, 70, 60]).astype(np.uint8)[0, ::2, ::-1]
    lab, goal = rgb2lab(colour_statistics_transfer(video, reference, strength=1.0)), rgb2lab(reference)
    np.testing.assert_allclose(lab.reshape(-1, 3).mean(0), goal.reshape(-1, 3).mean(0), atol=0.5)
    np.testing.assert_allclose(spread_of(lab), spread_of(goal), atol=4)
    assert np.abs(spread_of(rgb2lab(video)) - spread_of(goal)).max() > 10


def test_colours_are_spread_by_no_more_than_the_bound_and_the_mean_goes_no_farther():
    rng = np.random.default_rng(0)
    dull = np.clip(rng.normal(120, 2.5, (2, 64, 64, 3)), 0, 255).astype(np.uint8)
    vivid = np.zeros((64, 64, 3), np.uint8)
    vivid[:32, :, 0], vivid[32:, :, 2] = 235, 225
    before, after = rgb2lab(dull), rgb2lab(colour_statistics_transfer(dull, vivid, strength=1.0))
    was, now = (np.linalg.norm(np.diff(lab.reshape(-1, 3), axis=0), axis=1) for lab in (before, after))
    # 8 bits of RGB are coarse: half a level is up to a third of a unit on either side
    apart = was > 4
    assert ((now[apart] - 1) / was[apart]).max() < 1.6
    assert (now[apart] / was[apart]).max() > 1.4
    assert np.linalg.norm(after.mean((0, 1, 2)) - before.mean((0, 1, 2))) == pytest.approx(32, abs=1.5)


def test_colour_transfer_has_one_map_for_the_whole_clip():
    video = natural(frames=2)
    video[1] //= 2
    both = colour_statistics_transfer(video, REFERENCE, strength=1.0)
    assert both[1].mean() < 0.8 * both[0].mean()
    np.testing.assert_array_equal(colour_statistics_transfer(video, REFERENCE, strength=0.0), video)


def test_a_clip_in_its_own_colours_stays_as_it_is():
    video = natural(height=100, width=100)
    own = colour_statistics_transfer(video, video[0], strength=1.0)
    assert np.abs(own.astype(int) - video).max() <= 1


def test_a_gray_clip_takes_the_reference_s_mean_colour_without_a_division_by_zero():
    gray = np.repeat(natural().mean(-1, keepdims=True), 3, -1).astype(np.uint8)
    toned = rgb2lab(colour_statistics_transfer(gray // 3 + 90, REFERENCE // 3 + 90, strength=1.0))
    goal = rgb2lab(REFERENCE // 3 + 90).reshape(-1, 3).mean(0)
    np.testing.assert_allclose(toned.reshape(-1, 3).mean(0), goal, atol=1.5)
