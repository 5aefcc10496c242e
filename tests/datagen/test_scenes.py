from dataclasses import replace

import cv2
import numpy as np
import pytest

from configs import ConfigError
from datagen.scenes import Scene, Track, changed, draw_scene, optical_flow, render, without
from datagen.scenes.camera import view_at


@pytest.fixture(scope="module", params=range(4))
def scene(request) -> Scene:
    return draw_scene(np.random.default_rng(request.param), frames=6, size=(96, 128))


@pytest.fixture(scope="module")
def rendered(scene):
    return render(scene)


def test_a_scene_read_back_from_json_renders_to_the_same_bytes(scene, rendered):
    again = render(Scene.from_json(scene.to_json()))
    assert Scene.from_json(scene.to_json()) == scene
    for name in ("frames", "depth", "ids"):
        assert np.array_equal(getattr(again, name), getattr(rendered, name))


def test_other_seeds_give_other_scenes():
    first, second = (draw_scene(np.random.default_rng(seed), frames=2, size=(64, 64)) for seed in (10, 11))
    assert first != second
    assert not np.array_equal(render(first).frames, render(second).frames)


def test_ground_depth_is_that_of_a_plane_below_a_pinhole_camera(scene, rendered):
    for i in range(scene.frames):
        view = view_at(scene, i)
        for row in range(scene.height):
            empty = rendered.ids[i, row] == 0
            below = row - scene.horizon * scene.height
            ground = scene.focal * view.y / below if below > 0 else np.inf
            expected = min(ground, scene.backdrop_z - view.z)
            assert rendered.depth[i, row][empty] == pytest.approx(expected, rel=1e-4)


def test_a_thing_has_its_own_depth_wherever_it_shows(scene, rendered):
    for i in range(scene.frames):
        view = view_at(scene, i)
        for k, thing in enumerate(scene.things, start=1):
            shown = rendered.depth[i][rendered.ids[i] == k]
            assert shown == pytest.approx(thing.z.at(view.s) - view.z, rel=1e-5)


def test_ids_are_the_nearest_of_the_things_rendered_alone(scene, rendered):
    alone = [render(replace(scene, things=(thing,))).ids for thing in scene.things]
    for i in range(scene.frames):
        nearest_last = sorted(range(len(alone)), key=lambda k: -scene.things[k].z.at(view_at(scene, i).s))
        expected = np.zeros_like(rendered.ids[i])
        for k in nearest_last:
            expected[alone[k][i] == 1] = k + 1
        assert np.array_equal(rendered.ids[i], expected)


def test_things_hide_each_other_somewhere():
    hidden = 0
    for seed in range(8):
        scene = draw_scene(np.random.default_rng(seed), frames=2, size=(96, 96))
        whole = render(scene).ids
        hidden += sum(
            int((render(replace(scene, things=(thing,))).ids[0] == 1).sum() > (whole[0] == k).sum() > 0)
            for k, thing in enumerate(scene.things, start=1)
        )
    assert hidden >= 4


def test_flow_takes_the_next_frame_back_to_this_one(scene, rendered):
    flow = optical_flow(scene, rendered)
    v, u = np.mgrid[0 : scene.height, 0 : scene.width].astype(np.float32)
    # what is finer than a pixel is sampled differently in each frame; what is coarser must move as the flow says
    frames = np.stack([cv2.GaussianBlur(frame, (0, 0), 1.5) for frame in rendered.frames])
    for i in range(scene.frames - 1):
        back = [
            cv2.remap(part, u + flow[i, ..., 0], v + flow[i, ..., 1], interpolation, borderMode=border)
            for part, interpolation, border in (
                (frames[i + 1], cv2.INTER_LINEAR, cv2.BORDER_REPLICATE),
                (rendered.ids[i + 1] + 1, cv2.INTER_NEAREST, cv2.BORDER_CONSTANT),
            )
        ]
        # seen in both frames, away from edges: the same surface is found where the flow says
        same = cv2.erode((back[1] == rendered.ids[i] + 1).astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
        assert same.mean() > 0.4
        difference = np.abs(back[0].astype(int) - frames[i]).mean(-1)[same]
        unmoved = np.abs(frames[i + 1].astype(int) - frames[i]).mean(-1)[same]
        assert np.median(difference) < 1.5
        assert difference.mean() < max(0.6 * unmoved.mean(), 1.5)


def test_flow_of_the_backdrop_is_the_cameras_parallax():
    scene = draw_scene(np.random.default_rng(1), frames=3, size=(64, 64))
    still = Track(offset=0.0)
    scene = replace(scene, camera_x=Track(offset=0.0, speed=2.0), camera_y=Track(offset=1.6), camera_z=still, things=())
    rendered = render(scene)
    flow = optical_flow(scene, rendered)
    far = rendered.depth[0] == np.float32(scene.backdrop_z)
    assert flow[0][far][:, 0] == pytest.approx(-1.0 * scene.focal / scene.backdrop_z, abs=1e-4)
    assert flow[0][far][:, 1] == pytest.approx(0, abs=1e-4)


def test_a_scene_without_a_thing_is_equal_away_from_it_and_its_shadow(scene, rendered):
    gone = render(without(scene, 1))
    alone = render(replace(scene, things=scene.things[:1]))
    empty = render(replace(scene, things=()))
    for i in range(scene.frames):
        touched = (alone.frames[i] != empty.frames[i]).any(-1)
        assert np.abs(gone.frames[i].astype(int) - rendered.frames[i])[~touched].max() <= 1
    assert not np.array_equal(gone.frames, rendered.frames)


def test_a_changed_colour_changes_that_thing_alone(scene, rendered):
    other = "blue" if scene.things[0].colour != "blue" else "red"
    recoloured = render(changed(scene, 1, colour=other))
    alone = render(replace(scene, things=scene.things[:1]))
    empty = render(replace(scene, things=()))
    touched = (alone.frames != empty.frames).any(-1)
    assert np.array_equal(recoloured.ids, rendered.ids)
    assert np.abs(recoloured.frames.astype(int) - rendered.frames)[~touched].max() <= 1


def test_things_move_smoothly(scene):
    long = replace(scene, frames=33)
    for thing in long.things:
        track = [view_at(long, i).project(*(getattr(thing, axis).at(i / 32) for axis in "xyz"))[:2] for i in range(33)]
        assert np.abs(np.diff(track, n=2, axis=0)).max() < 0.02 * scene.width


def test_names_tell_the_things_of_a_scene_apart(scene):
    assert len({(thing.shape, thing.colour) for thing in scene.things}) == len(scene.things)
    assert len({thing.name for thing in scene.things}) == len(scene.things)


def test_scenes_are_colourful_and_deep():
    from datagen.effects.colour import colourfulness

    for seed in range(10):
        rendered = render(draw_scene(np.random.default_rng(seed), frames=1, size=(96, 96)))
        assert colourfulness(rendered.frames) > 12
        assert rendered.depth.max() / rendered.depth.min() > 5


def test_a_thing_that_is_not_there_or_not_known_is_an_error(scene):
    for number in (0, len(scene.things) + 1):
        with pytest.raises(IndexError, match="things 1 to"):
            without(scene, number)
    with pytest.raises(ConfigError, match="no colour named 'mauve'"):
        changed(scene, 1, colour="mauve")
