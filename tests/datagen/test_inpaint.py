"""Holes: what shape they have, how they move, and that nothing else is touched."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from configs import ConfigError, load
from datagen import Recipe, build
from datagen.effects import masks
from datagen.replay import replay
from datagen.scenes.description import COLOURS
from datagen.sources.base import Clip, SourceVideo, Window
from datagen.tasks import builder
from datagen.tasks.inpaint import _draw_logo, _showing
from shards import Dataset, get_task
from tests.conftest import moving_clip

FRAMES, HEIGHT, WIDTH = 12, 72, 96
WIDE = {"blob": 1, "box": 1, "stroke": 1}


def make_clip(ids=None) -> Clip:
    video = SourceVideo(
        kind="videos", id="v", sha256="00" * 32, licence="CC0-1.0", frames=FRAMES, fps=25.0, locator="", name="v"
    )
    frames = moving_clip(3, frames=FRAMES, height=HEIGHT, width=WIDTH)
    return Clip(video=video, window=Window(start=0, step=1, frames=FRAMES), frames=frames, ids=ids)


def pairs(count: int = 60, **options):
    make = builder("inpaint")
    for seed in range(count):
        parameters = make.draw(make_clip(), make.options(options), np.random.default_rng(seed))
        yield parameters, make.apply(make_clip(), parameters)


def test_outside_the_mask_no_bit_changes_and_inside_all_of_it_does():
    clip = make_clip().frames
    for parameters, pair in pairs():
        hole = pair.mask == 255
        assert set(np.unique(pair.mask)) <= {0, 255}
        np.testing.assert_array_equal(pair.source[~hole], clip[~hole])
        np.testing.assert_array_equal(pair.target, clip)
        if "colour" in parameters["fill"]:
            assert (pair.source[hole] == parameters["fill"]["colour"]).all()
        assert hole.mean((1, 2)) == pytest.approx(parameters["share"], abs=1e-4)
        assert hole.any()


def test_noise_in_a_hole_does_not_flicker():
    for _, pair in pairs(20, noise=1.0, stationary=1.0, kinds=WIDE):
        inside = pair.source[:, pair.mask[0] == 255]
        assert (inside == inside[0]).all()
        assert inside.std() > 60


def test_every_kind_is_drawn_and_a_hole_without_object_masks_is_never_a_silhouette():
    assert {parameters["kind"] for parameters, _ in pairs()} == {"blob", "stroke", "box", "text", "logo"}
    for kind in ("blob", "stroke", "box", "text", "logo"):
        assert {parameters["kind"] for parameters, _ in pairs(5, kinds={kind: 1})} == {kind}


def test_the_order_in_which_a_recipe_lists_kinds_does_not_matter():
    one = [parameters for parameters, _ in pairs(10, kinds={"box": 1, "blob": 3})]
    other = [parameters for parameters, _ in pairs(10, kinds={"blob": 3, "box": 1})]
    assert one == other
    assert {parameters["kind"] for parameters in one} == {"blob", "box"}


def test_a_hole_keeps_its_shape_and_moves_by_no_more_than_the_recipe_says():
    moving = 0
    for parameters, _ in pairs(40, speed=0.03):
        steps = np.hypot(*np.diff(np.array(parameters["track"]), axis=0).T)
        assert steps.max() <= 0.03 * HEIGHT + 0.02
        moving += steps.max() > 0
    assert 10 < moving < 30
    assert all(len({tuple(place) for place in parameters["track"]}) == 1 for parameters, _ in pairs(9, stationary=1))


def test_holes_have_the_wanted_extent():
    for _, pair in pairs(20, extent=(0.5, 0.5), kinds={"blob": 1, "box": 1}):
        rows, columns = np.nonzero(pair.mask[0])
        assert np.ptp(rows) + 1 == pytest.approx(HEIGHT / 2, abs=1.5)
        assert np.ptp(columns) + 1 == pytest.approx(WIDTH / 2, abs=1.5)


def test_a_box_is_the_box_it_says():
    shape = {"kind": "box", "outline": masks.box(10, 20)}
    mask = masks.draw_mask(shape, [[30.0, 20.0]], (40, 60))
    rows, columns = np.nonzero(mask[0])
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (15, 25, 20, 40)
    assert len(rows) == 11 * 21


def test_a_track_bounces_and_stays_inside():
    rng = np.random.default_rng(0)
    track = np.array(masks.bouncing_track(rng, 400, room=(10, 10), size=(60, 40), speed=5.0, acceleration=0.5))
    assert track.min() >= 10
    assert (track.max(0) <= [50, 30]).all()
    # it gets about: four hundred steps of up to five pixels visit both halves in both directions
    assert (np.ptp(track, axis=0) > [30, 15]).all()


def test_a_silhouette_is_the_object_s_own_outline_moved_and_grown():
    ids = np.zeros((FRAMES, HEIGHT, WIDTH), np.uint8)
    for t in range(FRAMES):
        ids[t, 20:40, 10 + t : 40 + t] = 7
    make = builder("inpaint")
    parameters = make.draw(make_clip(ids), make.options({"kinds": {"silhouette": 1}}), np.random.default_rng(1))
    mask = make.apply(make_clip(ids), parameters).mask
    (x, y), grow = parameters["offset"], parameters["grow"]
    assert parameters["thing"] == 7
    for t in range(FRAMES):
        inside = np.zeros((HEIGHT, WIDTH), bool)
        inside[max(20 + y - grow, 0) : 40 + y + grow, max(10 + t + x - grow, 0) : 40 + t + x + grow] = True
        assert not (mask[t] & ~(255 * inside.astype(np.uint8))).any()
        assert (mask[t] == 255).mean() > 0.8 * inside.mean()


def test_a_named_hole_is_named_by_its_colour_kind_and_place():
    task = get_task("inpaint")
    for parameters, pair in pairs(40, described=1.0, noise=0.0, kinds={"box": 1}, extent=(0.2, 0.25)):
        name = parameters["described"]
        x, y = parameters["track"][0]
        assert name.startswith("the ")
        assert " box " in name
        assert ("left" in name) == (x < WIDTH / 3 - 0.5)
        assert ("top" in name) == (y < HEIGHT / 3 - 0.5)
        assert pair.family == "described"
        assert pair.attributes == {"hole": name}
    assert all("{hole}" in text for text in task.templates("train", "described"))
    assert all(parameters["described"] == "" for parameters, _ in pairs(20, noise=1.0, described=1.0, kinds=WIDE))


def test_a_family_that_is_not_there_is_named():
    with pytest.raises(ConfigError, match="did you mean 'described'"):
        get_task("inpaint").templates("train", "describd")


def test_samples_have_masks_and_replay_from_their_record(tmp_path):
    recipe = load(Recipe, "default", ["tasks={inpaint: {}}", "clip.size=64", "clip.frames=4", "scenes.count=12"])
    build(recipe, tmp_path)
    dataset = Dataset(tmp_path)
    kinds = set()
    for sample in dataset:
        assert sample.mask is not None
        kinds.add(sample.meta.parameters["kind"])
        proof = replay(tmp_path, sample.key)
        assert proof.faithful, proof.summary()
    assert len(kinds) >= 3


def test_a_logo_stands_still_in_a_corner_and_its_letters_are_left_open():
    for seed in range(12):
        hole = _draw_logo(48.0, (5, 128, 160, 3), np.random.default_rng(seed))
        mask = masks.draw_mask(hole["shape"], hole["track"], (128, 160))
        assert (mask == mask[0]).all()
        x, y = hole["track"][0]
        assert (min(x, 160 - x), min(y, 128 - y)) == pytest.approx((24 + 0.04 * 128,) * 2, abs=0.01)
        rows, columns = np.nonzero(mask[0])
        assert max(np.ptp(rows), np.ptp(columns)) <= 49
        whole = masks.draw_mask({**hole["shape"], "kind": "blob"}, hole["track"], (128, 160))
        letters = (whole[0] > 0) & (mask[0] == 0)
        assert 0.01 < letters.sum() / (whole[0] > 0).sum() < 0.5


def test_lettering_is_large_and_bold_enough_to_be_seen():
    make = builder("inpaint")
    frames = moving_clip(3, frames=2, height=256, width=256)
    clip = replace(make_clip(), frames=frames)
    for seed in range(30):
        # holes that narrow would have letters of four pixels
        options = make.options({"kinds": {"text": 1}, "extent": (0.1, 0.2)})
        parameters = make.draw(clip, options, np.random.default_rng(seed))
        shape = parameters["shape"]
        mask = masks.draw_mask(shape, [[128.0, 128.0]], (256, 256))[0]
        rows, columns = np.nonzero(mask)
        assert np.ptp(rows) > 10
        assert np.ptp(columns) < 256
        # a stroke of one or two pixels would not outlive this
        assert cv2.erode(mask, np.ones((2, 2), np.uint8)).sum() > 0.3 * mask.sum()


def test_lettering_and_logos_stand_out_from_what_they_cover():
    make, flat = builder("inpaint"), np.empty((2, 96, 128, 3), np.uint8)
    for colour, rgb in COLOURS.items():
        flat[:] = rgb
        for seed, kind in enumerate(("text", "logo") * 8):
            options = make.options({"kinds": {kind: 1}, "noise": 1.0})
            parameters = make.draw(replace(make_clip(), frames=flat), options, np.random.default_rng(seed))
            fill = parameters["fill"]["colour"]
            assert np.linalg.norm(np.subtract(fill, rgb)) > 90, (colour, fill)


@pytest.mark.parametrize(("share", "hidden"), [(0.2, False), (0.3, True)])
def test_a_colour_in_which_a_quarter_of_thin_strokes_would_be_lost_is_not_taken_for_them(share, hidden):
    frames = np.full((2, 40, 100, 3), 128, np.uint8)
    frames[:, :, : round(100 * share)] = COLOURS["red"]
    everywhere = np.full(frames.shape[:3], 255, np.uint8)
    assert ("red" not in _showing(replace(make_clip(), frames=frames), everywhere)) is hidden
