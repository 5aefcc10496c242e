from contextlib import suppress
from dataclasses import replace

import cv2
import numpy as np
import pytest

from configs import ConfigError, load
from datagen import Recipe, build
from datagen.edits import in_scenes, in_video
from datagen.effects import local, removal
from datagen.instructions import generator
from datagen.rejects import read_rejects
from datagen.replay import replay
from datagen.scenes import describe, draw_scene, expressions, render, render_edited
from datagen.scenes.description import COLOURS, SIZES
from datagen.scenes.editing import run_program
from datagen.sources.base import Clip, SourceVideo, Window
from datagen.tasks import builder
from datagen.tasks.base import UnsuitableClipError
from datagen.tasks.edit import KINDS
from shards import Dataset, verify
from tests.conftest import moving_clip

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
    clip = Clip(video=source(frames, "files"), window=window, frames=video, ids=ids, names={1: ["the yellow square"]})
    return clip, background


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


def test_each_kind_that_a_clip_does_not_allow_says_why():
    clip, _ = masked_clip(pan=3)
    options = builder("edit").options({"kinds": {"remove": 1, "ground": 1, "background": 1, "recolour": 1}})
    hidden = replace(clip, ids=np.zeros_like(clip.ids))
    with pytest.raises(UnsuitableClipError) as error:
        builder("edit").draw(hidden, options, generator("1"))
    assert str(error.value) == (
        "no edit: background: its objects cover 0% to 0%, not 1% to 60%; ground: an edit of scenes; "
        "recolour: no object that is named is large enough; remove: no object that is named is large enough"
    )


def test_a_kind_of_edit_that_is_none_is_named():
    with pytest.raises(ConfigError, match="did you mean 'recolour'"):
        builder("edit").options({"kinds": {"recolor": 1}})
