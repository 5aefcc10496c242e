"""Edits of the whole picture: drawn, put into words, executed; the effects themselves have tests of their own."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from skimage import data

from datagen.edits import looks
from datagen.effects.depth import perspective_depth
from datagen.effects.haze import haze
from datagen.gates import pair_score
from datagen.instructions import generator
from datagen.scenes import draw_scene
from datagen.sources.base import Clip, SourceVideo, Window
from datagen.tasks.base import UnsuitableClipError


def panning(frames: int = 6, size: int = 128) -> np.ndarray:
    """A photograph that moves by one pixel a frame."""
    photo = cv2.resize(data.astronaut(), (size + 60, size + 20), interpolation=cv2.INTER_AREA)
    return np.stack([photo[10 : 10 + size, t : t + size] for t in range(frames)])


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
    operation = {"op": "fog", "density": 0.8, "airlight": [0.6, 0.61, 0.62]}
    edited = looks.EDITS["weather"].apply(clip, [operation])
    expected = haze(clip.frames, depth, beta=[0.8 / float(depth.mean())] * 6, airlight=[operation["airlight"]] * 6)
    assert np.abs(edited.target.astype(int) - expected).max() <= 1


def test_fog_over_a_video_without_depth_can_be_made_again_from_what_is_recorded():
    clip = clip_of(panning())
    drawn = (looks.EDITS["weather"].draw(clip, generator(f"{seed:x}")) for seed in range(20))
    program = next(edit.program for edit in drawn if edit.program[0]["op"] == "fog")
    (fog,) = program
    assert fog["depth"]["kind"] == "prior:perspective-2"
    depth = perspective_depth(clip.frames, horizon=fog["depth"]["horizon"], far=fog["depth"]["far"])
    t = np.exp(-fog["density"] * depth / depth.mean())[..., None]
    light = (clip.frames / 255) ** 2.2 * t + np.array(fog["airlight"]) * (1 - t)
    target = looks.EDITS["weather"].apply(clip, program).target
    assert np.abs(255 * light ** (1 / 2.2) - target).max() < 0.6


def test_a_depth_of_its_own_is_told_with_the_weather_and_a_scene_s_is_not():
    known = clip_of(panning(), np.full((6, 128, 128), 9, np.float32))
    told = replace(known, depth_note={"kind": "dataset"})
    (operation,) = looks.EDITS["weather"].draw(told, generator("3")).program
    assert (operation["depth"], operation["depth_unit"]) == ({"kind": "dataset"}, "metre")
    scene = draw_scene(generator("1"), frames=6, size=(128, 128))
    (alike,) = looks.EDITS["weather"].draw(replace(told, scene=scene), generator("3")).program
    assert operation == alike | {name: operation[name] for name in ("depth", "depth_unit")}
    assert "depth" not in alike


@pytest.mark.parametrize("name", looks._LOOKS)
def test_every_look_can_be_drawn_and_gives_what_its_function_gives(name):
    clip = clip_of(panning())
    values = looks._DRAWN[name](generator("3"), clip)
    kind = next(group for group, names in looks._GROUPS.items() if name in names)
    edited = looks.EDITS[kind].apply(clip, [{"op": name, **values}])
    assert np.array_equal(edited.target, looks._LOOKS[name](clip.frames, **values))


def test_the_low_sun_stands_where_the_words_say():
    flat = np.full((1, 90, 120, 3), 110, np.uint8)
    seen = set()
    for seed in range(60):
        drawn = looks.EDITS["light"].draw(clip_of(flat), generator(f"{seed:x}"))
        side = next((side for side in ("left", "right") if f"the {side}" in drawn.words), "")
        if drawn.program[0]["op"] != "golden_hour" or not side:
            continue
        lit = looks.EDITS["light"].apply(clip_of(flat), drawn.program).target.astype(float)[..., 0]
        left, right = lit[:, :, :40].mean(), lit[:, :, -40:].mean()
        assert (left > right) == (side == "left")
        seen.add(side)
    assert seen == {"left", "right"}


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


@pytest.mark.parametrize("name", [*looks._LOOKS, "reference"])
def test_every_look_is_seen_on_a_photograph(name):
    """A look that is hard to tell from the clip would teach a model to do nothing."""
    clip = clip_of(panning(3, 256))
    kind = next((group for group, names in looks._GROUPS.items() if name in names), name)
    for seed in range(4):
        rng = generator(f"{seed:x}")
        drawn = (
            looks.EDITS[kind].draw(clip, rng).program
            if name == kind
            else [{"op": name, **looks._DRAWN[name](rng, clip)}]
        )
        scores = pair_score(clip.frames, looks.EDITS[kind].apply(clip, drawn).target)
        assert scores["pair_changed"] > 0.4, scores
        assert scores["pair_psnr"] < 27, scores


def test_a_look_that_would_hardly_show_is_refused_with_the_reason():
    wall = clip_of(np.full((3, 64, 64, 3), 235, np.uint8))
    with pytest.raises(UnsuitableClipError, match="no edit: oil would change 0% of the picture, less than 10%"):
        looks.EDITS["style"].apply(wall, [{"op": "oil", "radius": 2.0, "relief": 0.5, "saturation": 1.2}])
