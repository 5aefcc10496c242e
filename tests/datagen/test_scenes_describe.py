from dataclasses import replace

import numpy as np
import pytest

from datagen.scenes import Scene, Track, draw_scene, render
from datagen.scenes.describe import describe

STILL = Track(offset=0.0)


@pytest.fixture(scope="module")
def crowded() -> Scene:
    """A scene with things that hide each other."""
    return draw_scene(np.random.default_rng(2), frames=4, size=(160, 160))


@pytest.fixture(scope="module")
def lone() -> Scene:
    """One large disc right before a still camera, five metres away at the height of the camera."""
    scene = draw_scene(np.random.default_rng(0), frames=3, size=(128, 160))
    place = {"x": STILL, "y": Track(offset=1.5), "z": Track(offset=5.0), "spin": STILL}
    disc = replace(scene.things[0], shape="disc", size="large", **place)
    camera = {"camera_x": STILL, "camera_y": Track(offset=1.5), "camera_z": STILL}
    return replace(scene, things=(disc,), horizon=0.5, **camera)


def test_a_disc_before_the_camera_is_where_the_pinhole_puts_it(lone):
    (disc,) = describe(lone, render(lone))
    radius = 1.15 * lone.focal / 5
    assert disc.centre == pytest.approx(np.tile([80, 64], (3, 1)))
    assert disc.box == pytest.approx(np.tile([80 - radius, 64 - radius, 80 + radius, 64 + radius], (3, 1)), abs=1.6)
    assert disc.visible == pytest.approx(1, abs=0.03)


def test_half_a_disc_is_visible_where_its_centre_is_on_the_border(lone):
    at_the_border = Track(offset=80 / lone.focal * 5)
    scene = replace(lone, things=(replace(lone.things[0], x=at_the_border),))
    (disc,) = describe(scene, render(scene))
    assert disc.centre[:, 0] == pytest.approx(160)
    assert disc.visible == pytest.approx(0.5, abs=0.03)
    assert (disc.box[:, 2] == 160).all()


def test_what_is_outside_or_behind_is_not_visible(lone):
    outside = replace(lone.things[0], x=Track(offset=50.0))
    behind = replace(lone.things[0], z=Track(offset=9.0), size="small", colour="pink")
    scene = replace(lone, things=(lone.things[0], outside, behind))
    in_front, gone, hidden = describe(scene, render(scene))
    assert in_front.visible.min() > 0.97
    assert not gone.visible.any()
    assert not hidden.visible.any()
    assert not gone.box.any()


def test_visible_shares_agree_with_each_thing_rendered_alone(crowded):
    rendered = render(crowded)
    shares = []
    for thing, told in zip(crowded.things, describe(crowded, rendered), strict=True):
        alone = render(replace(crowded, things=(thing,))).ids == 1
        border = np.ones((160, 160), bool)
        border[1:-1, 1:-1] = False
        # whole in the picture, and large enough that single pixels do not count
        usable = ~(alone & border).any((1, 2)) & (alone.sum((1, 2)) > 300)
        expected = (rendered.ids == told.number)[usable].sum((1, 2)) / alone[usable].sum((1, 2))
        assert told.visible[usable] == pytest.approx(expected, abs=0.05)
        shares += expected.tolist()
    assert min(shares) < 0.8 < max(shares)


def test_boxes_hold_exactly_what_is_seen(crowded):
    rendered = render(crowded)
    for told in describe(crowded, rendered):
        for ids, (left, top, right, bottom) in zip(rendered.ids, told.box, strict=True):
            rows, columns = np.nonzero(ids == told.number)
            if len(rows):
                assert (left, top, right, bottom) == (
                    columns.min(),
                    rows.min(),
                    columns.max() + 1,
                    rows.max() + 1,
                )


def test_words_are_those_of_the_name(crowded):
    told = describe(crowded, render(crowded))
    assert [one.number for one in told] == list(range(1, len(crowded.things) + 1))
    for one in told:
        for kind, word in one.words.items():
            assert (word in one.name) == (kind != "material" or word != "plain")
