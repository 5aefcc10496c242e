from dataclasses import replace

import cv2
import numpy as np
import pytest
from skimage.color import rgb2lab

from benchmarks.listings import list_methods
from benchmarks.methods import METHODS, Context, check_methods, methods_for
from benchmarks.methods.colour import mean_chroma, with_chroma
from benchmarks.methods.dehazing import (
    dark_channel_prior,
    estimate_airlight,
    estimate_transmission,
    guided_filter,
)
from benchmarks.metrics import psnr
from configs import ConfigError
from shards import Dataset


def street(frames: int = 3, size: int = 120) -> np.ndarray:
    """A clip that obeys the prior: every neighbourhood has something dark in some channel."""
    rng = np.random.default_rng(0)
    picture = np.zeros((size, size, 3), np.uint8)
    for _ in range(220):
        x, y = rng.integers(0, size, 2).tolist()
        side = int(rng.integers(5, 16))
        colour = rng.integers(0, 200, 3)
        colour[rng.integers(3)] = 0
        cv2.rectangle(picture, (x, y), (x + side, y + side), colour.tolist(), -1)
    return np.stack([np.roll(picture, 2 * i, axis=1) for i in range(frames)])


@pytest.mark.parametrize("transmission", [0.3, 0.5, 0.7])
def test_the_dark_channel_prior_undoes_haze_of_known_strength(transmission):
    clear = street()
    # an opaque strip shows the airlight itself, as the sky does
    airlight = np.array([0.86, 0.88, 0.9])
    hazy = clear / 255 * transmission + airlight * (1 - transmission)
    hazy[:, :14] = airlight
    video = (hazy * 255).round().astype(np.uint8)
    found = dark_channel_prior(video, "", None, None)
    inside = np.s_[:, 24:]
    assert psnr(found[inside], clear[inside]).mean() > psnr(video[inside], clear[inside]).mean() + 6


def test_the_parts_of_the_prior_find_the_truth():
    clear = street(1)[0] / np.float32(255)
    airlight = np.array([0.9, 0.85, 0.8], np.float32)
    hazy = (clear * 0.4 + airlight * 0.6).astype(np.float32)
    estimated = estimate_transmission(hazy, airlight, 15)
    # omega leaves 5 % of the haze: 1 - 0.95 * 0.6
    assert np.median(estimated) == pytest.approx(0.43, abs=0.03)
    video = np.stack([hazy])
    dark = np.zeros((1, 120, 120), np.float32)
    video[0, :5, :5], dark[0, :5, :5] = airlight, 0.8
    assert estimate_airlight(video, dark) == pytest.approx(airlight, abs=1e-6)


def test_one_airlight_serves_the_whole_clip_so_a_still_clip_does_not_flicker():
    still = np.repeat(street(1), 4, axis=0) // 2 + 100
    found = dark_channel_prior(still.astype(np.uint8), "", None, None)
    assert (found == found[:1]).all()


def test_the_guided_filter_keeps_a_plane_and_smooths_noise():
    rng = np.random.default_rng(0)
    guide = rng.random((40, 40), dtype=np.float32)
    assert guided_filter(guide, 0.3 * guide + 0.2, 4, 1e-6) == pytest.approx(0.3 * guide + 0.2, abs=2e-3)
    noise = rng.random((40, 40), dtype=np.float32)
    assert guided_filter(np.ones_like(guide), noise, 4, 1e-3).std() < 0.3 * noise.std()


def test_mean_chroma_keeps_lightness_and_gives_the_mean_colour():
    gray = np.tile(np.arange(40, 220, dtype=np.uint8)[None, None, :, None], (2, 8, 1, 3))
    coloured = with_chroma(gray, np.array([8.0, 12.0]))
    lab = rgb2lab(coloured[0])
    assert np.abs(lab[..., 0] * 2.55 - gray[0, ..., 0]).max() < 1.5
    assert lab[..., 1].mean() == pytest.approx(8, abs=0.7)
    assert lab[..., 2].mean() == pytest.approx(12, abs=0.7)


def test_mean_chroma_is_that_of_the_pixels():
    colour = np.array([200, 120, 60], np.uint8)
    video = np.broadcast_to(colour, (2, 16, 16, 3)).copy()
    assert mean_chroma(video) == pytest.approx(rgb2lab(colour[None, None] / 255)[0, 0, 1:], abs=0.2)


def test_mean_chroma_learns_from_train_alone(toy_dataset):
    dataset = Dataset(toy_dataset)
    context = Context(dataset=dataset, task="recolor", seed=0)
    restore = METHODS["mean_chroma"].make(context)
    clip = dataset[dataset.keys("recolor", "test")[0]].source
    chroma = np.mean([mean_chroma(dataset[key].target) for key in dataset.keys("recolor", "train")], axis=0)
    assert np.array_equal(restore(clip, "", None, None), with_chroma(clip, chroma))


def test_identity_always_runs_and_unknown_methods_are_named():
    assert [m.name for m in methods_for("dehaze", ("dark_channel",))] == ["identity", "dark_channel"]
    assert [m.name for m in methods_for("recolor", ("dark_channel",))] == ["identity"]
    assert {m.name for m in methods_for("dehaze", ())} > {"identity", "dark_channel"} - {"identity"}
    with pytest.raises(ConfigError, match="did you mean 'dark_channel'"):
        check_methods(["dark_chanel"], ["dehaze"])
    with pytest.raises(ConfigError, match="needs --model"):
        check_methods(["vidiff"], ["dehaze"])


def test_who_names_a_model_among_the_methods_is_told_that_it_runs_anyway():
    model = replace(METHODS["clahe"], name="vidiff")
    told = r"no method named 'mine'.*\(here vidiff\) is scored whatever --methods says.*called vidiff \(--model NAME=FOLDER\)"
    with pytest.raises(ConfigError, match=told):
        check_methods(["clahe", "mine"], ["dehaze"], [model])
    check_methods(["clahe", "mine"], ["dehaze"], [replace(model, name="mine")])


def test_the_list_of_methods_says_what_each_needs(capsys):
    list_methods()
    told = capsys.readouterr().out
    for line in (
        "levin  recolor; follows a reference picture",
        "mean_chroma  recolor; learns from the train split",
        "first_frame_propagation  segment; is given the first frame's mask",
        "grounded_sam2  segment; needs grounding_dino, sam2",
        "known_mask  segment; an oracle, without a rank",
        "identity  all tasks\n",
    ):
        assert line in told
