"""Depth that comes with a data set: read, made whole, and what haze and focus make of it."""

import json
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from configs import DecodeLimitError, SourceError, VideoError, load
from datagen import Recipe, build
from datagen.effects.blur import defocus_blur
from datagen.replay import replay
from datagen.sources import find_source
from datagen.sources.base import Clip, Reject, SourceVideo, Window
from datagen.sources.depth_track import metric_depth
from datagen.synthesize import open_readers
from shards import Dataset, verify
from shards.arrays import ArrayReader
from shards.containers import Limits
from shards.fence import FencedReader
from shards.picture_folder import PictureReader
from tests.conftest import moving_clip

RECIPE = ["clip.frames=3", "clip.size=48x32", "gates.min_motion=0", "gates.max_duplicates=1"]
HIGH, WIDE = 32, 48


def rooms(frames: int = 4) -> np.ndarray:
    """Depth in metres, float32 [t h w]: a floor, and a wall that comes nearer."""
    depth = np.broadcast_to(np.linspace(30, 3, HIGH, dtype=np.float32)[None, :, None], (frames, HIGH, WIDE)).copy()
    for t in range(frames):
        depth[t, :, 20:28] = 8 - t
    return depth


def pictures(folder: Path, frames: int = 4, *, names: str = "{:05d}.png", seed: int = 7, shift: int = 0) -> np.ndarray:
    folder.mkdir(parents=True, exist_ok=True)
    clip = np.clip(moving_clip(seed, frames=frames).astype(int) + shift, 0, 255).astype(np.uint8)
    for n, frame in enumerate(clip):
        Image.fromarray(frame).save(folder / names.format(n))
    return clip


def millimetres(folder: Path, depth: np.ndarray, *, unit: float = 0.001, names: str = "{:05d}.png") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for n, frame in enumerate(depth):
        cv2.imwrite(str(folder / names.format(n)), np.round(frame / unit).astype(np.uint16))


def table(root: Path, **columns: object) -> str:
    pd.DataFrame([{"path": "v", **columns}]).to_csv(root / "t.csv", index=False)
    return str(root / "t.csv")


def items(spec: str, *settings: str) -> list[SourceVideo | Reject]:
    return list(find_source(spec, "unknown").videos(load(Recipe, "default", [*RECIPE, *settings]), {}))


def read(video: SourceVideo, *settings: str, start: int = 0) -> Clip:
    recipe = load(Recipe, "default", [*RECIPE, *settings])
    with open_readers(recipe) as reader:
        return reader(video, Window(start=start, step=1, frames=recipe.clip.frames))


def hazy(clean: np.ndarray, depth: np.ndarray, parameters: dict) -> np.ndarray:
    """The scattering model in linear light, written down once more, in float64."""
    t = np.exp(-np.array(parameters["beta"])[:, None, None] * depth)[..., None]
    light = (clean / 255.0) ** 2.2 * t + np.array(parameters["airlight"])[:, None, None] * (1 - t)
    return 255 * light ** (1 / 2.2)


FORMS = ["pictures", "arrays", "one array", "one npz"]


@pytest.mark.parametrize("form", FORMS)
def test_depth_in_any_form_comes_out_in_metres_beside_its_frames(form, tmp_path):
    clip, depth = pictures(tmp_path / "v"), rooms()
    if form == "pictures":
        millimetres(tmp_path / "d", depth)
        name, scale = "d", 0.001
    elif form == "arrays":
        (tmp_path / "d").mkdir()
        for n, frame in enumerate(depth):
            np.save(tmp_path / "d" / f"{n:05d}.npy", frame[None] / 2)
        name, scale = "d", 2
    elif form == "one array":
        np.save(tmp_path / "d.npy", depth.astype(np.float64)[..., None])
        name, scale = "d.npy", 1
    else:
        np.savez_compressed(tmp_path / "d.npz", depth=depth, confidence=depth > 5)
        name, scale = "d.npz", 1
    (video,) = items(table(tmp_path, depth=name, depth_scale=scale))
    got = read(video, start=1)
    assert np.array_equal(got.frames, clip[1:4])
    assert got.depth_unit == "metre"
    assert got.depth_note == {"kind": "data set", "unknown": 0.0}
    np.testing.assert_allclose(got.depth, depth[1:4], atol=0.0006)


def test_depth_is_cropped_and_scaled_as_the_frames_are_and_never_averaged(tmp_path):
    clip, depth = pictures(tmp_path / "v"), rooms()
    np.save(tmp_path / "d.npy", depth)
    (video,) = items(table(tmp_path, depth="d.npy", depth_scale=1))
    square = read(video, "clip.size=32")
    assert np.array_equal(square.frames, clip[:3, :, 8:40])
    assert np.array_equal(square.depth, depth[:3, :, 8:40])
    small = read(video, "clip.size=24x16")
    assert small.depth.shape == (3, 16, 24)
    assert set(np.unique(small.depth)) <= set(np.unique(depth)), "a mean of two surfaces is no surface"


def test_haze_follows_from_the_stored_numbers_and_the_known_depth(tmp_path):
    clip, depth = pictures(tmp_path / "v"), rooms()
    millimetres(tmp_path / "d", depth)
    recipe = load(Recipe, "default", [*RECIPE, "tasks={dehaze: {patchy: 0}}", "codec=lossless", "clip.per_video=1"])
    build(recipe, tmp_path / "out", sources=[table(tmp_path, depth="d", depth_scale=0.001)])
    dataset = Dataset(tmp_path / "out")
    (key,) = dataset.keys("dehaze")
    sample = dataset[key]
    found = sample.meta.parameters
    assert (found["depth"], found["depth_unit"]) == ({"kind": "data set", "unknown": 0.0}, "metre")
    assert np.array_equal(sample.target, clip[:3])
    known = np.round(depth[:3].astype(float), 3)
    assert np.abs(hazy(sample.target, known, found) - sample.source).max() <= 1
    # and not by the prior: its depth differs, so would its haze
    wrong = np.full_like(known, known.mean())
    assert np.abs(hazy(sample.target, wrong, found) - sample.source).max() > 10
    # beta was drawn for this depth: 0.25 to 0.75 of the light comes through at the median
    assert 0.2 < np.exp(-found["beta"][0] * np.median(known)) < 0.8
    assert replay(tmp_path / "out", key).faithful
    assert verify(tmp_path / "out", decode=True) == []


def walls() -> np.ndarray:
    """Depth in metres: a wall at 5 to the left, one at 50 to the right."""
    return np.where(np.arange(WIDE) < 24, np.float32(5), np.float32(50)) * np.ones((4, HIGH, 1), np.float32)


def built(tmp_path: Path, task: str, *settings: str) -> tuple[Path, str]:
    pictures(tmp_path / "v")
    np.save(tmp_path / "d.npy", walls())
    settings = (*RECIPE, f"tasks={{{task}}}", "codec=lossless", "clip.per_video=1", *settings)
    out = tmp_path / f"out{len(list(tmp_path.iterdir()))}"
    build(load(Recipe, "default", list(settings)), out, sources=[table(tmp_path, depth="d.npy", depth_scale=1)])
    return out, Dataset(out).keys()[0]


def test_a_lens_is_focused_in_metres_and_blurs_what_lies_elsewhere(tmp_path):
    out, key = built(tmp_path, "deblur: {kinds: {defocus: 1}, defocus: [0.06, 0.08]}")
    sample = Dataset(out)[key]
    found = sample.meta.parameters
    assert found["depth"] == {"kind": "data set", "unknown": 0.0}
    assert {found["focus"][0], found["focus"][-1]} <= {5.0, 50.0}
    change = np.abs(sample.source.astype(int) - sample.target).max((1, 3))
    for t, focus in enumerate(found["focus"]):
        if focus in (5.0, 50.0):
            sharp = change[t, :20] if focus == 5.0 else change[t, 28:]
            blurred = change[t, 28:] if focus == 5.0 else change[t, :20]
            assert sharp.max() <= 1 < blurred.max()
    known = defocus_blur(sample.target, walls()[:3], focus=found["focus"], aperture=found["aperture"])
    assert np.array_equal(known, sample.source)
    assert replay(out, key).faithful


def test_fog_is_as_thick_as_the_known_depth_says(tmp_path):
    for seed in range(12):
        out, key = built(tmp_path, "edit: {kinds: {weather: 1}}", f"seed={seed}")
        sample = Dataset(out)[key]
        (program,) = sample.meta.parameters["program"]
        if program["op"] == "fog":
            break
    assert program["op"] == "fog"
    beta = program["density"] / walls().mean()
    wanted = hazy(sample.source, walls()[:3], {"beta": [beta] * 3, "airlight": [program["airlight"]] * 3})
    assert np.abs(wanted - sample.target).max() <= 1
    assert replay(out, key).faithful


def test_holes_take_the_nearest_known_depth_and_are_told():
    rng = np.random.default_rng(0)
    depth = rng.uniform(2, 20, (2, 12, 16)).astype(np.float32)
    holes = rng.random(depth.shape) < 0.3
    stored = depth.copy()
    stored[holes] = rng.choice([0, -1, np.nan], holes.sum())
    got, note = metric_depth(stored, 1.0)
    assert np.array_equal(got[~holes], depth[~holes])
    assert note == {"kind": "data set", "unknown": round(holes.mean(), 5)}
    for t, y, x in np.argwhere(holes):
        rows, columns = np.nonzero(~holes[t])
        away = np.hypot(rows - y, columns - x)
        # OpenCV's distance with a 5 x 5 mask is good to 2 %
        candidates = depth[t][rows, columns][away <= 1.03 * away.min()]
        assert got[t, y, x] in candidates


def test_the_sky_ends_where_nearly_all_surfaces_do():
    depth = np.linspace(5, 105, 2 * 10 * 10, dtype=np.float32).reshape(2, 10, 10)
    stored = depth * 100
    stored[:, :3] = 65535
    got, note = metric_depth(stored, 0.01, sky=655.3)
    far = np.percentile(depth[:, 3:], 99)
    assert note["far"] == pytest.approx(far, abs=1e-3)
    assert note["sky"] == 0.3
    np.testing.assert_allclose(got, np.minimum(stored / 100, note["far"]), rtol=1e-6)
    assert np.array_equal(metric_depth(np.where(stored == 65535, np.inf, stored), 0.01)[0], got)


def test_depth_that_is_mostly_unknown_is_not_made_up(tmp_path):
    clip = rooms(4)
    clip[2, :20] = 0
    with pytest.raises(VideoError, match="known for 38% of frame 2 of the clip, at least 50% is needed"):
        metric_depth(clip, 1.0)
    with pytest.raises(VideoError, match="nothing but sky"):
        metric_depth(np.full((1, 4, 4), np.inf, np.float32), 1.0)
    pictures(tmp_path / "v", frames=6)
    np.save(tmp_path / "d.npy", np.concatenate([rooms(3), clip[1:]]))
    recipe = load(Recipe, "default", [*RECIPE, "tasks={dehaze: {}}", "clip.per_video=2"])
    build(recipe, tmp_path / "out", sources=[table(tmp_path, depth="d.npy", depth_scale=1)])
    (reject,) = map(json.loads, (tmp_path / "out" / "rejects.jsonl").read_text().splitlines())
    assert (reject["start"], reject["where"]) == (3, "decode")
    assert "known for 38% of frame 1" in reject["reason"]


def test_depth_of_other_frames_shape_or_kind_is_a_reject(tmp_path):
    pictures(tmp_path / "v")
    np.save(tmp_path / "short.npy", rooms(3))
    np.save(tmp_path / "square.npy", np.ones((4, 40, 40)))
    np.save(tmp_path / "five.npy", np.ones((2, 3, 4, 5, 6)))
    np.savez(tmp_path / "two.npz", a=rooms(), b=rooms())
    (tmp_path / "text.npy").write_text("no")
    Image.new("RGB", (WIDE, HIGH)).save(tmp_path / "x.png")
    reasons = {}
    for name in ("short.npy", "square.npy", "five.npy", "two.npz", "text.npy", "gone.npy"):
        (item,) = items(table(tmp_path, depth=name, depth_scale=1))
        reasons[name] = item.reason
    assert reasons["short.npy"] == "uneven depth: 4 and 3 frames"
    assert reasons["square.npy"] == "uneven depth: 48x32 and 40x40"
    assert "float64 [2, 3, 4, 5, 6] is no depth" in reasons["five.npy"]
    assert "none of its arrays (a, b) is called depth" in reasons["two.npz"]
    assert "no array of numbers, or damaged" in reasons["text.npy"]
    assert reasons["gone.npy"].startswith("unreadable")
    pd.DataFrame([{"path": "short.npy"}]).to_csv(tmp_path / "t.csv", index=False)
    assert (
        items(str(tmp_path / "t.csv"))[0].reason
        == "unreadable: main is an array of numbers, it must be a video or pictures"
    )
    with pytest.raises(VideoError, match="3 channels; a depth map has one"):
        PictureReader(tmp_path / "x.png").read_depth()


@pytest.mark.parametrize("scale", ["", "0", "-1", "inf"])
def test_depth_without_a_unit_is_refused(scale, tmp_path):
    with pytest.raises(SourceError, match="line 2: depth needs depth_scale, metres per unit"):
        items(table(tmp_path, depth="d.npy", depth_scale=scale))


def test_arrays_are_read_behind_the_fence_within_limits_and_run_no_code(tmp_path):
    np.save(tmp_path / "d.npy", rooms())
    np.save(tmp_path / "code.npy", np.array([print], object), allow_pickle=True)
    np.savez_compressed(tmp_path / "bomb.npz", depth=np.zeros((4, 1000, 1000)))
    with FencedReader() as fence:
        assert fence.probe(tmp_path / "d.npy").frames == 4
        assert np.array_equal(fence.read_depth(tmp_path / "d.npy", [2, 0]), rooms()[[2, 0]])
        with pytest.raises(VideoError, match="frame 4 was asked for; it has frames 0 to 3"):
            fence.read_depth(tmp_path / "d.npy", [4])
        with pytest.raises(VideoError, match="no array of numbers"):
            fence.probe(tmp_path / "code.npy")
        with pytest.raises(VideoError, match="an array, not a video"):
            fence.read(tmp_path / "d.npy")
    with pytest.raises(DecodeLimitError, match="the limit is 1000000"):
        ArrayReader(tmp_path / "bomb.npz", limits=Limits(clip_bytes=1_000_000))
    with pytest.raises(DecodeLimitError, match="4 frames of 48x32"):
        ArrayReader(tmp_path / "d.npy", limits=Limits(pixels=1000))


def test_another_depth_or_unit_is_another_source(tmp_path):
    pictures(tmp_path / "v")
    np.save(tmp_path / "d.npy", rooms())
    np.save(tmp_path / "e.npy", rooms() + 1)
    found = [
        items(table(tmp_path, depth=name, depth_scale=scale))[0]
        for name, scale in (("d.npy", 1), ("d.npy", 2), ("e.npy", 1))
    ]
    assert len({video.sha256 for video in found}) == 3


@pytest.fixture
def drives(tmp_path) -> Path:
    """Virtual KITTI 2 as its archives unpack: pictures in one folder, depth in another."""
    rgb, depth = tmp_path / "vkitti_2.0.3_rgb", tmp_path / "vkitti_2.0.3_depth"
    metres = rooms()
    metres[:, :6] = 655.35
    for number, scene in enumerate(("Scene01", "Scene02")):
        for view, turned in (("clone", 0), ("15-deg-left", 1), ("fog", 0), ("rain", 0)):
            for camera in ("Camera_0", "Camera_1"):
                inside = Path(scene) / view / "frames"
                seed = 4 * number + 2 * turned + int(camera[-1])
                pictures(rgb / inside / "rgb" / camera, names="rgb_{:05d}.jpg", seed=seed, shift=60 * (view == "fog"))
                millimetres(depth / inside / "depth" / camera, metres, unit=0.01, names="depth_{:05d}.png")
    return tmp_path


def test_virtual_kitti_gives_drives_with_depth_and_fog_as_pairs(drives):
    videos = {video.id: video for video in items(f"vkitti2:{drives}")}
    assert set(videos) == {
        f"{scene}-{view}-Camera_{n}"
        for scene in ("Scene01", "Scene02")
        for view in ("clone", "15-deg-left")
        for n in (0, 1)
    }
    clone = videos["Scene01-clone-Camera_0"]
    assert (clone.facts["task"], clone.fps, clone.frames) == ("dehaze", 10, 4)
    assert "numbers" not in clone.facts
    got = read(clone)
    assert got.native.other.mean() > got.frames.mean() + 30
    far = got.depth_note["far"]
    np.testing.assert_allclose(
        got.depth, np.minimum(np.where(np.arange(HIGH)[None, :, None] < 6, 655.35, rooms()[:3]), far), atol=0.006
    )
    assert got.depth_note["sky"] == pytest.approx(6 / 32, abs=1e-4)
    assert "pair" not in videos["Scene01-15-deg-left-Camera_0"].tracks
    assert {video.group for video in videos.values()} == {"vkitti2 Scene01", "vkitti2 Scene02"}
    assert len(items(f"vkitti2:{drives / 'vkitti_2.0.3_rgb' / 'Scene01'}")) == 4
    with pytest.raises(SourceError, match="looks like the layout 'vkitti2'"):
        items(str(drives / "vkitti_2.0.3_rgb"))


def test_all_drives_of_a_scene_come_into_one_split(drives, tmp_path):
    recipe = load(Recipe, "default", [*RECIPE, "tasks={dehaze: {}, recolor: {}}", "gates.copy_bits=0"])
    build(recipe, tmp_path / "out", sources=[f"vkitti2:{drives}"])
    rows = Dataset(tmp_path / "out").index().to_pylist()
    splits = {}
    for row in rows:
        splits.setdefault(row["source_id"].split("-")[0], set()).add(row["split"])
    assert [len(found) for found in splits.values()] == [1, 1]
    kinds = {row["source_id"]: row["effect"] for row in rows if row["task"] == "dehaze"}
    assert {kinds[name] for name in kinds if "clone" in name} == {"native"}
    assert {kinds[name] for name in kinds if "deg" in name} == {"haze"}
    for row in rows[:2]:
        assert replay(tmp_path / "out", row["key"]).faithful


def test_frames_without_a_partner_are_left_out_by_their_numbers(tmp_path):
    folder = tmp_path / "Scene01" / "clone" / "frames"
    clip = pictures(folder / "rgb" / "Camera_0", frames=6, names="rgb_{:05d}.png")
    millimetres(folder / "depth" / "Camera_0", rooms(6), unit=0.01, names="depth_{:05d}.png")
    (folder / "depth" / "Camera_0" / "depth_00001.png").unlink()
    (video,) = items(f"vkitti2:{tmp_path}")
    assert video.facts["numbers"] == {"main": [0, 2, 3, 4, 5], "depth": [0, 1, 2, 3, 4]}
    got = read(video, start=1)
    assert np.array_equal(got.frames, clip[2:5])
    np.testing.assert_allclose(got.depth, rooms(6)[2:5], atol=0.006)
