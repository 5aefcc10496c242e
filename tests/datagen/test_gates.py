import cv2
import numpy as np
import pytest
from skimage.filters import laplace

from configs import load
from datagen import Recipe
from datagen.gates import _percentile, judge, judge_pair, pair_score, score
from tests.conftest import moving_clip

GATES = load(Recipe, "default").gates


def textured(seed: int = 0, frames: int = 8) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse, fine = (rng.integers(0, 256, (side, 2 * side, 3), dtype=np.uint8) for side in (6, 48))
    size = (160 + 2 * frames, 128)
    wide = cv2.addWeighted(
        cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC), 0.85, cv2.resize(fine, size), 0.15, 0
    )
    return np.stack([wide[:, 2 * t : 2 * t + 160] for t in range(frames)])


def verdict(video: np.ndarray) -> str:
    usable, reason = judge(score(video), GATES, len(video))
    assert usable == (reason == "")
    return reason.split(":")[0]


def test_ordinary_clips_pass():
    for seed in range(10):
        assert verdict(textured(seed)) == ""
    assert verdict(textured(1, frames=1)) == ""


@pytest.mark.parametrize("where", [1, 4, 7])
def test_a_cut_inside_a_clip_is_seen_wherever_it_lies(where):
    for seed in range(6):
        joined = np.concatenate([textured(seed)[:where], textured(seed + 50)[where:]])
        assert verdict(joined) == "cut"


def test_a_fast_pan_is_no_cut():
    wide = textured(3, frames=60)[:, :, :2].transpose(1, 0, 2, 3).reshape(128, 120, 3)
    wide = np.concatenate([textured(3, frames=60)[0], wide], axis=1)
    assert verdict(np.stack([wide[:, 12 * t : 12 * t + 160] for t in range(8)])) == ""


@pytest.mark.parametrize("seed", range(4))
def test_what_jumps_before_a_still_ground_is_no_cut(seed):
    ground, figure = textured(seed)[0] // 8 + 200, textured(seed + 20)[0][20:84, 40:104] // 2
    clip = np.stack([ground] * 8)
    for frame, x in zip(clip, (10, 10, 11, 11, 12, 30, 31, 31), strict=True):
        frame[30:94, x : x + 64] = figure
    changes = np.abs(np.diff(clip.mean(-1), axis=0)).mean((1, 2))
    assert changes.max() > 2.5 * (4 + np.median(changes)), "it would be one by its size alone"
    assert verdict(clip) == ""


@pytest.mark.parametrize("side", [0, 1])
def test_black_bars_are_measured_and_one_dark_side_is_none(side):
    clip = textured()
    barred = clip.copy() if side == 0 else clip.transpose(0, 2, 1, 3).copy()
    height = barred.shape[1]
    barred[:, : height // 8], barred[:, -height // 8 :] = 2, 12
    barred = barred if side == 0 else barred.transpose(0, 2, 1, 3)
    assert score(barred)["borders"] == pytest.approx(0.25, abs=0.03)
    assert verdict(barred) == "black bars"
    night = clip.copy()
    night[:, : night.shape[1] // 3] = 0
    assert score(night)["borders"] == 0
    assert verdict(night) == ""


@pytest.mark.parametrize("radius", [24, 40, 52])
def test_what_shines_before_black_has_no_bars_and_a_dark_picture_between_bars_has(radius):
    clip = textured()
    height, width = clip.shape[1:3]
    y, x = np.mgrid[:height, :width]
    globe = (y - height / 2) ** 2 + (x - width / 2) ** 2 < radius**2
    assert score(np.where(globe[..., None], np.maximum(clip, 60), 0).astype(np.uint8))["borders"] == 0
    dark = (255 * (clip / 255.0) ** 2.5 * 0.5).astype(np.uint8)
    bar = height // 8
    dark[:, :bar], dark[:, -bar:] = 1, 0
    assert score(dark)["borders"] >= 0.2


def test_sharpness_is_the_variance_of_the_laplacian_as_scikit_image_has_it():
    clip = textured()
    gray = [cv2.cvtColor(clip[i], cv2.COLOR_RGB2GRAY).astype(float) for i in (0, 4, 7)]
    expected = max(laplace(frame, ksize=3).var() for frame in gray)
    assert score(clip)["sharpness"] == pytest.approx(expected, rel=1e-4)


def test_a_clip_out_of_focus_is_turned_away():
    blurred = np.stack([cv2.GaussianBlur(frame, (0, 0), 12) for frame in textured()])
    assert verdict(blurred) == "out of focus"


def test_every_score_is_a_number_and_none_depends_on_what_comes_before():
    found = score(moving_clip(2, frames=5, height=64, width=64))
    assert all(isinstance(value, float) for value in found.values())
    score(textured())
    assert score(moving_clip(2, frames=5, height=64, width=64)) == found


def test_a_pair_is_measured_by_how_much_of_it_differs_and_where():
    clip = textured()
    edited, mask = clip.copy(), np.zeros(clip.shape[:3], np.uint8)
    edited[:, 32:64, 40:80] = 255 - edited[:, 32:64, 40:80]
    mask[:, 32:64, 40:80] = 255
    found = pair_score(clip, edited, mask)
    error = ((clip.astype(float) - edited) ** 2).mean()
    assert found["pair_psnr"] == pytest.approx(10 * np.log10(255**2 / error), abs=1e-3)
    assert found["pair_changed"] == pytest.approx(32 * 40 / (128 * 160), rel=0.1)
    assert found["pair_outside"] == 0
    edited[3, 5, 5, 1] ^= 7
    assert pair_score(clip, edited, mask)["pair_outside"] == abs(int(edited[3, 5, 5, 1]) - int(clip[3, 5, 5, 1]))
    assert "pair_outside" not in pair_score(clip, edited)


@pytest.mark.parametrize(
    ("scores", "settings", "reason"),
    [
        ({"pair_psnr": 50, "pair_changed": 0.0}, {}, "no change: pair_psnr 50 > 45"),
        ({"pair_psnr": 40, "pair_changed": 0.0005}, {}, "no change: pair_changed 0.0005 < 0.001"),
        ({"pair_psnr": 20, "pair_changed": 0.9}, {"max_pair_changed": 0.5}, "overdone: pair_changed 0.9 > 0.5"),
        ({"pair_psnr": 20, "pair_changed": 0.1, "pair_outside": 3}, {}, "changed outside its mask: pair_outside 3 > 0"),
        ({"pair_psnr": 20, "pair_changed": 0.1, "pair_outside": 0}, {}, ""),
    ],
)
def test_a_pair_is_turned_away_for_no_change_too_much_or_the_wrong_place(scores, settings, reason):
    gates = GATES.model_copy(update=settings)
    assert judge_pair(scores, gates, changes=True, keeps_outside=True) == reason


def broad(seed: int, frames: int = 8) -> np.ndarray:
    return np.stack([cv2.resize(frame, (320, 256)) for frame in textured(seed, frames)])


def lettered(clip: np.ndarray, *, light: int = 255) -> np.ndarray:
    """Return the clip with a subtitle that stands still, 18 rows high and 176 columns long."""
    written = clip.copy()
    for frame in written:
        for tone, thickness in ((255 - light, 3), (light, 1)):
            place, font = (20, 236), cv2.FONT_HERSHEY_SIMPLEX
            cv2.putText(frame, "Where are we going?", place, font, 0.65, (tone,) * 3, thickness, cv2.LINE_AA)
    return written


@pytest.mark.parametrize("light", [255, 0])
def test_lettering_over_a_moving_picture_is_seen_and_its_share_measured(light):
    assert [score(broad(seed))["lettering"] for seed in range(20)] == [0] * 20
    found = [score(lettered(broad(seed), light=light))["lettering"] for seed in range(6)]
    assert sum(share > GATES.max_lettering for share in found) >= 4, found
    assert np.median(found) == pytest.approx(18 * 176 / (256 * 320), rel=0.6)
    seen = lettered(broad(int(np.argmax(found))), light=light)
    assert verdict(seen) == "lettering"
    assert verdict(np.stack([cv2.resize(frame, (640, 512)) for frame in seen])) == "lettering"


def test_a_sign_that_moves_with_the_scene_is_no_lettering_over_it():
    sign = lettered(np.concatenate([broad(3)[:1], broad(4)[:1]], axis=2))[0]
    assert score(np.stack([sign[:, 3 * t : 3 * t + 320] for t in range(8)]))["lettering"] == 0
    still = np.repeat(lettered(broad(0)[:1]), 8, axis=0)
    assert score(still)["lettering"] == 0, "over a still picture nobody can tell"
    assert score(still[:1])["lettering"] == 0


def card(paint, *, ground: int, seed: int = 0) -> np.ndarray:
    """A clip of a flat ground with something painted on it, and grain."""
    rng, frame = np.random.default_rng(seed), np.full((270, 480, 3), ground, np.uint8)
    paint(frame)
    return np.clip(frame + rng.normal(0, 3, (8, *frame.shape)), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("font", [cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_SCRIPT_SIMPLEX])
@pytest.mark.parametrize(("size", "weight"), [(0.8, 1), (1.2, 2), (2.0, 5)])
@pytest.mark.parametrize(("ink", "ground"), [(235, 16), (20, 240)])
def test_a_title_on_a_flat_ground_is_lettering(font, size, weight, ink, ground):
    title = card(lambda f: cv2.putText(f, "COMING SOON", (15, 150), font, size, (ink,) * 3, weight), ground=ground)
    assert verdict(title) == "lettering"


@pytest.mark.parametrize("seed", range(12))
def test_lit_windows_and_lights_in_the_night_are_no_title(seed):
    rng = np.random.default_rng(seed)
    wide, high, gap = rng.integers(8, 16), rng.integers(10, 22), 1.8

    def paint(frame):
        for y in range(40, 200, int(high * gap)):
            for x in range(60, 420, int(wide * gap)):
                if seed % 2:
                    cv2.rectangle(frame, (x, y), (x + int(wide), y + int(high)), (230, 220, 190), -1)
                else:
                    cv2.circle(frame, (x, y), int(wide) // 2, (230, 220, 190), -1)

    assert score(card(paint, ground=8, seed=seed))["lettering"] == 0


def test_subtitles_do_not_hide_the_bar_that_they_stand_in():
    barred = textured()
    barred[:, :20], barred[:, -32:] = 0, 0
    found = score(barred)["borders"]
    cv2_line = {"fontFace": cv2.FONT_HERSHEY_SIMPLEX, "fontScale": 0.4, "color": (255, 255, 255)}
    for frame in barred:
        cv2.putText(frame, "Where to?", (30, 116), **cv2_line)
    assert score(barred)["borders"] == found == pytest.approx(52 / 128, abs=0.04)


@pytest.mark.parametrize("size", [1, 2, 7, 100, 4096])
def test_a_percentile_by_counting_levels_is_numpys(size):
    levels = np.random.default_rng(size).integers(0, 256, size, dtype=np.uint8)
    for share in (0, 0.01, 0.37, 0.5, 1):
        assert _percentile(levels, share) == pytest.approx(np.percentile(levels, 100 * share), abs=1e-9)
