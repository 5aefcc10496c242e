from contextlib import suppress
from dataclasses import replace

import cv2
import numpy as np
import pytest

from configs import ConfigError, load
from datagen import Recipe, build
from datagen.edits import in_scenes
from datagen.instructions import generator
from datagen.rejects import read_rejects
from datagen.replay import replay
from datagen.scenes import describe, draw_scene, expressions, render, render_edited
from datagen.scenes.description import SIZES
from datagen.scenes.editing import run_program
from datagen.sources.base import Clip, SourceVideo, Window
from datagen.tasks import builder
from datagen.tasks.base import UnsuitableClipError
from datagen.tasks.edit import KINDS
from shards import Dataset, verify

SIZE = 96


def scene_clip(seed: int, frames: int = 6, window: Window | None = None) -> Clip:
    scene = draw_scene(np.random.default_rng(seed), frames=frames, size=(SIZE, SIZE))
    window = window or Window(start=0, step=1, frames=frames)
    rendered = render(scene, window.indices)
    return Clip(
        video=source(frames, "scenes"),
        window=window,
        frames=rendered.frames,
        ids=rendered.ids,
        names=expressions(describe(scene, rendered, window.indices), (SIZE, SIZE)),
        scene=scene,
    )


def source(frames: int, kind: str) -> SourceVideo:
    return SourceVideo(kind=kind, id="x", sha256="0" * 64, licence="CC0", frames=frames, fps=25, locator="0", name="x")


def drawn(kind: str, seed: int, frames: int = 6, window: Window | None = None):
    """Return a clip of a scene that allows the edit, what was drawn, and what it made."""
    edit = in_scenes.EDITS[kind]
    for k in range(seed, seed + 50):
        clip = scene_clip(k, frames, window)
        with suppress(UnsuitableClipError):
            found = edit.draw(clip, generator(f"{k:x}"))
            return clip, found, edit.apply(clip, found.program)
    raise AssertionError(f"no scene allows {kind}")


@pytest.mark.parametrize("kind", in_scenes.EDITS)
@pytest.mark.parametrize("seed", [0, 100])
def test_a_program_changes_what_the_mask_shows_and_nothing_else(kind, seed):
    clip, _, edited = drawn(kind, seed)
    differs = (clip.frames != edited.target).any(-1)
    assert differs.any()
    assert np.array_equal(differs, edited.mask > 0)


@pytest.mark.parametrize("kind", in_scenes.EDITS)
def test_painting_only_what_changed_gives_the_bytes_of_rendering_it_all(kind):
    for seed in range(0, 300, 60):
        clip, found, edited = drawn(kind, seed)
        scene = run_program(clip.scene, found.program)
        whole = render(scene).frames
        assert np.array_equal(edited.target, whole)
        later = slice(1, None, 2)
        assert np.array_equal(render_edited(scene, clip.scene, clip.frames[later], range(1, 6, 2)), whole[later])


@pytest.mark.parametrize(
    ("kind", "attributes"), [("recolour", ["colour"]), ("retexture", ["material", "colour"]), ("resize", ["size"])]
)
def test_the_inverse_program_gives_the_scene_back(kind, attributes):
    clip, found, _ = drawn(kind, 7)
    (operation,) = found.program
    before = {name: getattr(clip.scene.things[operation["object"] - 1], name) for name in attributes}
    there = run_program(clip.scene, found.program)
    back = run_program(there, [{**operation, **before}])
    assert there != clip.scene
    assert np.array_equal(render(back).frames, clip.frames)


def test_what_is_removed_is_gone_and_the_others_keep_their_numbers():
    clip, found, _ = drawn("remove", 3)
    k = found.program[0]["object"]
    ids = render(run_program(clip.scene, found.program)).ids
    assert not (ids == k).any()
    kept = (clip.ids > 0) & (clip.ids != k)
    assert np.array_equal(ids[kept], clip.ids[kept])


def test_what_is_removed_takes_its_shadow_along():
    clip, found, edited = drawn("remove", 3)
    k = found.program[0]["object"]
    never = replace(clip.scene, things=(*clip.scene.things[: k - 1], *clip.scene.things[k:]))
    assert np.array_equal(edited.target, render(never).frames)
    beyond = edited.mask.transpose(1, 2, 0) & ~cv2.dilate(
        np.where(clip.ids == k, np.uint8(255), np.uint8(0)).transpose(1, 2, 0), np.ones((7, 7))
    )
    assert beyond.any()


@pytest.mark.parametrize("kind", ["recolour", "retexture", "replace", "ground"])
def test_what_gets_another_look_plainly_looks_other(kind):
    for seed in range(0, 200, 20):
        clip, found, edited = drawn(kind, seed)
        inside = clip.ids == found.program[0]["object"] if "object" in found.program[0] else edited.mask > 0
        difference = np.abs(edited.target.astype(int) - clip.frames).max(-1)[inside]
        assert np.median(difference) > 40, found.words


def test_the_words_name_the_color_of_a_new_texture():
    for seed in range(0, 100, 20):
        clip, found, _ = drawn("retexture", seed)
        (operation,) = found.program
        assert operation["colour"] in found.words
        assert operation["material"] != clip.scene.things[operation["object"] - 1].material


@pytest.mark.parametrize("window", [Window(start=0, step=1, frames=16), Window(start=60, step=2, frames=8)])
def test_no_motion_is_asked_for_that_is_seen_in_the_clip_already(window):
    """Judged by the pixels of the object alone, before and after."""
    seen = set()
    for seed in range(0, 400, 10):
        clip, found, _ = drawn("motion", seed, 16 if window.start == 0 else 96, window)
        (operation,) = found.program
        k, after = operation["object"], run_program(clip.scene, found.program)
        alone = [replace(s, hidden=tuple(n for n, _ in s.shown if n != k)) for s in (clip.scene, after)]
        before, now = ([middle(ids) for ids in render(s, window.indices).ids] for s in alone)
        old, new = (way[-1][0] - way[0][0] for way in (before, now))
        if "x" in operation and "z" not in operation:
            sign = -1 if "left" in found.words.split("to the ")[1] else 1
            assert sign * old < 0.04 < 0.15 < sign * new, found.words
            seen.add(sign)
        elif "z" in operation:
            assert abs(new) < 0.04, found.words
            seen.add("still")
        elif "y" in operation:
            heights = [max(row for _, row in way) - min(row for _, row in way) for way in (before, now)]
            assert heights[1] > 2 * heights[0], found.words
            seen.add("bounce")
        else:
            turns = [s.things[k - 1].spin for s in (clip.scene, after)]
            first, last = (n / (clip.scene.frames - 1) for n in (window.indices[0], window.indices[-1]))
            assert abs(turns[0].at(last) - turns[0].at(first)) < 0.15 < 2 < abs(turns[1].at(last) - turns[1].at(first))
            seen.add("spin")
    assert len(seen) >= 4


def middle(ids: np.ndarray) -> tuple[float, float]:
    """Return the middle of what is seen, (column, row), as shares of the picture."""
    rows, places = np.nonzero(ids)
    return float(places.min() + places.max()) / 2 / SIZE, float(rows.min() + rows.max()) / 2 / SIZE


def test_what_is_added_is_seen_where_the_words_say():
    places = {"on the left": (0, 0.4), "in the middle": (0.3, 0.7), "on the right": (0.6, 1)}
    for seed in range(12):
        clip, found, _ = drawn("add", 20 + seed)
        ids = render(run_program(clip.scene, found.program)).ids
        _, _, columns = np.nonzero(ids == len(clip.scene.things) + 1)
        low, high = next(ends for place, ends in places.items() if place in found.words)
        assert len(columns) > 0.001 * ids.size
        assert low <= columns.mean() / SIZE <= high


def test_what_is_enlarged_grows_as_its_size_says():
    for seed in (0, 40, 80):
        clip, found, _ = drawn("resize", seed)
        (operation,) = found.program
        k = operation["object"]
        alone = replace(clip.scene, hidden=tuple(n for n, _ in clip.scene.shown if n != k))
        before, after = (describe(s, render(s))[k - 1] for s in (alone, run_program(alone, found.program)))
        inside = (before.visible > 0.98) & (after.visible > 0.98) & (np.minimum(before.pixels, after.pixels) > 120)
        if not inside.any():
            continue
        old = clip.scene.things[k - 1].radius
        factor = (SIZES[operation["size"]] / old) ** 2
        assert after.pixels[inside] / before.pixels[inside] == pytest.approx(factor, rel=0.15)
        assert (factor > 1) == any(word in found.words for word in ("larger", "enlarge", "up", "increase"))


def test_what_is_sent_to_one_side_goes_there_and_what_is_stopped_stays():
    seen = set()
    for seed in range(0, 400, 8):
        clip, found, _ = drawn("motion", seed)
        (operation,) = found.program
        way = next((w for w in ("left", "right") if f"to the {w}" in found.words), "")
        after = run_program(clip.scene, found.program)
        thing = describe(after, render(after))[operation["object"] - 1]
        if way:
            seen.add(way)
            moved = float(thing.centre[-1, 0] - thing.centre[0, 0]) / SIZE
            assert moved * (-1 if way == "left" else 1) > 0.12
        elif "x" in operation and operation["x"]["speed"] == 0 and "z" in operation:
            seen.add("still")
            now = after.things[operation["object"] - 1]
            assert [now.x.at(s) for s in (0, 0.5, 1)] == pytest.approx([now.x.at(0)] * 3)
        if len(seen) == 3:
            return
    raise AssertionError(f"only {seen} were drawn")


def test_the_words_name_one_object_by_a_phrase_that_fits_it_alone():
    for kind in ("recolour", "remove", "resize", "replace", "retexture", "motion"):
        clip, found, _ = drawn(kind, 11)
        assert any(phrase in found.words for phrase in clip.names[found.program[0]["object"]])


def test_every_kind_of_edit_is_built_replayed_and_verified(tmp_path):
    settings = ["tasks={edit: {}}", "clip.size=96", "clip.frames=6", "scenes.count=40", "codec=lossless"]
    build(load(Recipe, "default", settings), tmp_path / "x")
    dataset = Dataset(tmp_path / "x")
    assert verify(tmp_path / "x", decode=True) == []
    kinds = {}
    for key in dataset.keys("edit"):
        sample = dataset[key]
        kinds.setdefault(sample.meta.parameters["kind"], key)
        assert np.array_equal(sample.source[sample.mask == 0], sample.target[sample.mask == 0])
        assert sample.meta.parameters["words"].lower() in sample.instruction.lower()
    assert len(kinds) >= 0.7 * len(KINDS)
    for key in kinds.values():
        assert replay(tmp_path / "x", key).faithful


def test_a_clip_that_allows_no_edit_is_a_reject_with_the_reason(video_folder, tmp_path):
    settings = ["tasks={edit: {kinds: {remove: 1}}}", "clip.size=48", "clip.frames=4", "scenes.count=4"]
    build(load(Recipe, "default", settings), tmp_path / "x", sources=[str(video_folder), "scenes"])
    reasons = {reject["reason"] for reject in read_rejects(tmp_path / "x") if reject["task"] == "edit"}
    assert "no edit: remove: no object masks" in reasons
    assert not any("failed" in reason for reason in reasons)


def test_a_kind_of_edit_that_is_none_is_named():
    with pytest.raises(ConfigError, match="did you mean 'recolour'"):
        builder("edit").options({"kinds": {"recolor": 1}})
