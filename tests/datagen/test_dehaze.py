import math

import numpy as np
import pytest

from configs import ConfigError, MissingExtraError, load
from datagen import Recipe, build
from datagen.effects.depth_model import model_depth
from datagen.effects.haze import patches, through_haze
from datagen.replay import replay
from datagen.scenes import draw_scene, render
from datagen.sources.base import Clip, SourceVideo, Window
from datagen.tasks import builder
from shards import Dataset, write_video
from tests.conftest import moving_clip

SCENES = ["clip.size=64", "clip.frames=5", "scenes.count=12", "codec=lossless"]


@pytest.mark.parametrize("seed", range(6))
def test_patches_have_the_density_one_in_the_clip_s_mean_and_stay_within_their_amount(seed):
    field = patches(4, (60, 90), seed=seed, cells=3, amount=0.5, wind=[0.01, 0.0])
    assert field.mean() == pytest.approx(1, abs=0.01)
    assert 0.45 < np.abs(field - 1).max() <= 0.5 + 1e-6
    steps = np.abs(np.diff(field, axis=2)).max()
    assert steps < 0.5 * 3 * 2 * 1.6 * 1.5 / 60, "a cubic through values 1/3 of the height apart"


def test_the_far_end_lets_the_faintest_light_through_in_the_densest_patch(tmp_path):
    settings = [*SCENES, "tasks={dehaze: {patchy: 1, transmission: [0.05, 0.1], faintest: 0.2, drift: 0}}"]
    build(load(Recipe, "default", settings), tmp_path / "x")
    for sample in Dataset(tmp_path / "x"):
        far = np.percentile(depth_of(sample), 95)
        t = np.exp(-sample.meta.parameters["beta"][0] * far * (1 + sample.meta.parameters["patches"]["amount"]))
        assert t > 0.19


def test_what_is_hazy_itself_is_no_target_for_dehazing(tmp_path):
    clear = moving_clip(3, frames=12, height=64, width=64)
    hazy = (moving_clip(4, frames=12, height=64, width=64) * 0.4 + 130).astype(np.uint8)
    (tmp_path / "in").mkdir()
    for name, clip in (("clear", clear), ("hazy", hazy)):
        write_video(tmp_path / "in" / f"{name}.mp4", clip, fps=25)
    recipe = load(Recipe, "default", ["clip.size=64", "clip.frames=6", "tasks={dehaze: {}, inpaint: {}}"])
    build(recipe, tmp_path / "out", sources=[str(tmp_path / "in")])
    found = Dataset(tmp_path / "out")
    assert set(found.index("dehaze")["source_id"].to_pylist()) == {"clear"}
    assert set(found.index("inpaint")["source_id"].to_pylist()) == {"clear", "hazy"}
    assert "hazy or pale itself: black_point" in (tmp_path / "out" / "rejects.jsonl").read_text()


@pytest.mark.parametrize("wind", [[0.05, 0.0], [-0.1, 0.05], [0.0, 0.0]])
def test_patches_drift_as_the_wind_blows(wind):
    field = patches(3, (80, 120), seed=1, cells=4, amount=0.6, wind=wind)
    columns, rows = (round(step * 80) for step in wind)
    for i in (1, 2):
        expected = np.roll(field[0], (i * rows, i * columns), axis=(0, 1))
        inside = np.s_[20:60, 30:90]
        assert np.abs(field[i][inside] - expected[inside]).max() < 1e-3


def test_haze_drifts_as_far_in_a_second_at_every_frame_rate():
    make, options = builder("dehaze"), builder("dehaze").options({"patchy": 1})
    winds = []
    for fps in (25.0, 50.0):
        video = SourceVideo(
            kind="files", id="x", sha256="0" * 64, licence="CC0", frames=4, fps=fps, locator="x", name="x"
        )
        frames = moving_clip(3, frames=4, height=64, width=64)
        clip = Clip(video=video, window=Window(start=0, step=1, frames=4), frames=frames)
        winds.append(make.draw(clip, options, np.random.default_rng(1))["patches"]["wind"])
    assert winds[0] == pytest.approx(2 * np.array(winds[1]), abs=2e-5)
    assert np.abs(winds[0]).max() > 1e-3


def test_every_stored_number_gives_the_source_back_by_the_formula_alone(tmp_path):
    settings = [*SCENES, "tasks={dehaze: {patchy: 0.5, drift: 0.1}}"]
    build(load(Recipe, "default", settings), tmp_path / "x")
    dataset, patchy = Dataset(tmp_path / "x"), 0
    for key in dataset.keys("dehaze"):
        sample = dataset[key]
        p = sample.meta.parameters
        depth = depth_of(sample)
        if p["patches"]:
            patchy += 1
            depth = depth * patches(len(depth), depth.shape[1:], **p["patches"])
        t = np.exp(-np.array(p["beta"])[:, None, None] * depth.astype(float))[..., None]
        clean = (sample.target / 255.0) ** 2.2
        expected = 255 * (clean * t + np.array(p["airlight"])[:, None, None] * (1 - t)) ** (1 / 2.2)
        assert np.abs(sample.source - expected).max() < 0.6
        assert p["transmission"]["mean"] == pytest.approx(t.mean((1, 2, 3)), abs=1e-3)
        assert p["transmission"]["min"] == pytest.approx(t.min((1, 2, 3)), abs=1e-3)
        assert p["transmission"]["max"] == pytest.approx(t.max((1, 2, 3)), abs=1e-3)
        assert replay(tmp_path / "x", key).faithful
    assert 0 < patchy < len(dataset.keys("dehaze"))


def depth_of(sample) -> np.ndarray:
    from datagen.instructions import generator

    rng = generator(sample.meta.source_sha256[:32])
    return render(draw_scene(rng, frames=len(sample.target), size=sample.target.shape[1:3])).depth


@pytest.mark.parametrize("preset", ["hazeworld", "reside"])
def test_a_preset_gives_the_haze_of_its_data_set(preset, tmp_path):
    settings = [*SCENES, f"tasks={{dehaze: {{preset: {preset}}}}}"]
    build(load(Recipe, "default", settings), tmp_path / "x")
    dataset, betas = Dataset(tmp_path / "x"), set()
    for key in dataset.keys("dehaze"):
        sample = dataset[key]
        p = sample.meta.parameters
        depth = depth_of(sample)
        (beta,) = set(p["beta"])
        assert len({tuple(colour) for colour in p["airlight"]}) == 1, "one airlight for a clip"
        assert 0.7 <= p["airlight"][0][0] <= 1
        betas.add(beta)
        if preset == "reside":
            assert 0.6 <= beta * depth.max() <= 1.8
        t = np.exp(-beta * depth.astype(float))[..., None]
        expected = sample.target * t + 255 * np.array(p["airlight"][0]) * (1 - t)
        assert np.abs(sample.source - expected).max() < 0.6, "stored values are mixed, not light"
    if preset == "hazeworld":
        assert betas <= {0.005, 0.01, 0.02, 0.03}
        assert len(betas) > 1


def test_without_haze_mixing_stored_values_changes_nothing():
    clip = moving_clip(frames=2)
    assert np.array_equal(through_haze(clip, np.ones(clip.shape[:3], np.float32), [[1, 1, 1]] * 2, linear=False), clip)


@pytest.fixture(scope="module")
def depth_model(tmp_path_factory) -> str:
    """A Depth Anything of random weights, small enough to save and run in a moment."""
    import torch
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config, DPTImageProcessorPil

    stages = {"num_hidden_layers": 4, "out_features": ["stage1", "stage2", "stage3", "stage4"]}
    widths = {"hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64}
    backbone = Dinov2Config(patch_size=14, image_size=56, reshape_hidden_states=False, **stages, **widths)
    neck = {"reassemble_hidden_size": 32, "neck_hidden_sizes": [8, 16, 16, 16], "fusion_hidden_size": 16}
    torch.manual_seed(0)
    model = DepthAnythingForDepthEstimation(
        DepthAnythingConfig(backbone_config=backbone, patch_size=14, head_hidden_size=8, **neck)
    )
    folder = tmp_path_factory.mktemp("depth") / "model"
    model.save_pretrained(folder)
    DPTImageProcessorPil(size={"height": 56, "width": 56}, ensure_multiple_of=14).save_pretrained(folder)
    return str(folder)


def test_a_depth_model_takes_the_place_of_the_prior_and_is_recorded(depth_model, tmp_path, capfd):
    from shards import write_video

    for n in range(2):
        write_video(tmp_path / f"{n}.mp4", moving_clip(n, frames=6, height=64, width=64), fps=25)
    tasks = "tasks={dehaze: {}, deblur: {kinds: {defocus: 1}, defocus: [0.1, 0.1]}, edit: {kinds: {weather: 1}}}"
    settings = ["clip.size=64", "clip.frames=5", tasks, f"depth='model:{depth_model}'"]
    build(load(Recipe, "default", settings), tmp_path / "x", sources=[str(tmp_path)])
    dataset = Dataset(tmp_path / "x")
    assert set(dataset.tasks) == {"deblur", "dehaze", "edit"}
    for key in [one.key for one in dataset]:
        parameters = dataset[key].meta.parameters
        depth = parameters["program"][0]["depth"] if key.startswith("edit") else parameters["depth"]
        assert depth["kind"] == f"model:{depth_model}"
        assert len(depth["weights"]) == 16
        assert replay(tmp_path / "x", key).identical
    assert capfd.readouterr().out == ""


def test_a_relative_model_gives_distances_that_do_not_flicker(depth_model):
    still = np.repeat(moving_clip(frames=1, height=48, width=64), 4, axis=0)
    depth = model_depth(still, depth_model)
    assert depth.shape == (4, 48, 64)
    assert np.ptp(depth, axis=0).max() < 1e-4
    assert depth.min() >= 1
    assert depth.max() <= 20 + 1e-4


def test_a_depth_model_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(MissingExtraError, match="no depth model 'nobody/nothing' here"):
        model_depth(moving_clip(frames=1), "nobody/nothing")
    with pytest.raises(ConfigError, match="model:NAME"):
        load(Recipe, "default", ["depth=midas"])


def test_the_change_from_frame_to_frame_is_bounded_by_the_recipe(tmp_path):
    build(load(Recipe, "default", [*SCENES, "tasks={dehaze: {drift: 0.1}}"]), tmp_path / "x")
    for row in map(Dataset(tmp_path / "x").__getitem__, Dataset(tmp_path / "x").keys("dehaze")):
        betas = np.array(row.meta.parameters["beta"])
        # a sine of period 2 clips or more and amplitude 0.1
        assert np.abs(np.diff(betas)).max() / betas.mean() <= 0.1 * 2 * math.pi / (2 * len(betas)) * 1.12
