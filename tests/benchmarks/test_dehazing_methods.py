"""What dehazing promises: the scattering model is undone, haze goes from real clips, and flow steadies the transmission."""

import cv2
import numpy as np
import pytest

from benchmarks.methods import METHODS
from benchmarks.methods.dehazing import dark_channel, dark_channel_prior, estimate_transmission, guided_filter
from benchmarks.methods.haze_lines import LINES, dehaze_by_lines, line_ends
from benchmarks.metrics import psnr
from configs import load
from datagen import Recipe, build
from shards import Dataset

DEHAZERS = [
    name for name, method in METHODS.items() if method.tasks == ("dehaze",) and method.make and not method.networks
]


def dehaze(name: str, clip: np.ndarray) -> np.ndarray:
    return METHODS[name].make(None)(clip.copy(), "", None, None)


def gain(name: str, hazy: np.ndarray, clear: np.ndarray) -> float:
    return float(psnr(dehaze(name, hazy), clear).mean() - psnr(hazy, clear).mean())


@pytest.fixture(scope="module")
def real_haze(clips, tmp_path_factory) -> list:
    """Samples of real clips with haze made for them."""
    out = tmp_path_factory.mktemp("haze") / "data"
    recipe = load(Recipe, "default", ["clip.size=256", "clip.frames=6", "clip.per_video=1", "tasks={dehaze: {}}"])
    build(recipe, out, sources=[str(path) for path in clips])
    found = list(Dataset(out))
    assert len(found) >= 5
    return found


@pytest.mark.parametrize("transmission", [0.4, 0.7])
def test_with_a_black_pixel_in_each_patch_the_transmission_is_exact(transmission):
    rng = np.random.default_rng(0)
    clear = rng.uniform(0, 0.8, (60, 60, 3)).astype(np.float32)
    clear[::5, ::5] = 0
    airlight = np.array([0.9, 0.92, 0.95], np.float32)
    hazy = (clear * transmission + airlight * (1 - transmission)).astype(np.float32)
    # the paper keeps 5 % of the haze: t = 1 - 0.95 (1 - t')
    found = estimate_transmission(hazy, airlight, 15)
    assert found == pytest.approx(np.full((60, 60), 1 - 0.95 * (1 - transmission)), abs=1e-3)


def test_the_dark_channel_is_the_least_of_a_square():
    frame = np.random.default_rng(1).random((20, 24, 3), np.float32)
    found = dark_channel(frame, 5)
    for row, column in ((5, 7), (10, 12), (17, 21)):
        assert found[row, column] == frame[row - 2 : row + 3, column - 2 : column + 3].min()


def test_the_guided_filter_keeps_what_is_linear_in_its_guide():
    guide = np.random.default_rng(2).random((30, 40), np.float32)
    assert guided_filter(guide, 2 * guide + 1, 4, 1e-8) == pytest.approx(2 * guide + 1, abs=1e-3)
    flat = np.full_like(guide, 0.3)
    assert guided_filter(guide, flat, 4, 1e-3) == pytest.approx(flat, abs=1e-5)


def test_a_line_ends_at_its_clear_pixels_and_one_of_few_pixels_where_the_farthest_do():
    lines = np.repeat([0, 1, 2], [400, 400, 3])
    distance = np.concatenate([np.linspace(0, 0.5, 400), np.linspace(0, 0.8, 400), [0.1, 0.1, 0.1]]).astype(np.float32)
    found = line_ends(lines, distance)
    assert len(found) == LINES
    assert found[:2] == pytest.approx([0.5, 0.8], rel=0.02)
    assert found[2] == pytest.approx(np.percentile(distance, 99), rel=1e-5)


@pytest.mark.parametrize("method", [dark_channel_prior, dehaze_by_lines])
def test_a_clear_picture_of_deep_colours_hardly_changes(method):
    rng = np.random.default_rng(3)
    clip = rng.integers(0, 256, (2, 16, 16, 3), dtype=np.uint8).repeat(8, axis=1).repeat(8, axis=2)
    clip[..., 0][clip.min(axis=3) > 40] = 0
    assert psnr(method(clip.copy(), "", None, None), clip).mean() > 25


@pytest.mark.parametrize("name", DEHAZERS)
def test_dehazing_does_not_depend_on_the_number_of_threads(name):
    clip = (
        np.random.default_rng(4).integers(90, 220, (3, 12, 15, 3), dtype=np.uint8).repeat(8, axis=1).repeat(8, axis=2)
    )
    before = cv2.getNumThreads()
    try:
        found = []
        for threads in (1, 2, 4):
            cv2.setNumThreads(threads)
            found.append(dehaze(name, clip))
    finally:
        cv2.setNumThreads(before)
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])


@pytest.mark.parametrize("name", DEHAZERS)
def test_on_real_clips_less_haze_is_left_than_there_was(name, real_haze):
    # not on each: the dark channel takes snow and white walls for haze, as its paper says
    gains = np.array([gain(name, sample.source, sample.target) for sample in real_haze])
    assert gains.mean() > 0.5
    assert np.mean(gains > 0) > 0.6


def test_on_real_clips_flow_steadies_the_transmission(real_haze):
    # the transmission, which is what the method averages; the answer's own flicker stays about as it is
    from benchmarks.methods.dehazing import _prepared, _steadied
    from benchmarks.methods.flow import carried, flow_between

    def unrest(values, flows):
        pairs = zip(values[:-1], values[1:], flows, strict=True)
        return np.mean([np.abs(carried(after, flow) - before).mean() for before, after, flow in pairs])

    for sample in real_haze[:6]:
        flows = [flow_between(a, b) for a, b in zip(sample.target[:-1], sample.target[1:], strict=True)]
        hazy, airlight, side = _prepared(sample.source)
        raw = [estimate_transmission(frame, airlight, side) for frame in hazy]
        forth, back = _steadied(sample.source, raw), _steadied(sample.source[::-1], raw[::-1])[::-1]
        assert unrest([(a + b) / 2 for a, b in zip(forth, back, strict=True)], flows) < unrest(raw, flows)


@pytest.mark.parametrize("name", ["haze_lines", "clahe"])
def test_on_revide_real_haze_is_reduced(name, clips, tmp_path):
    # the dark channel makes this room of white walls and lamps too dark, by 4 dB
    folder = clips[0].parent.parent / "paired" / "REVIDE_indoor"
    if not folder.is_dir():
        pytest.skip(f"no REVIDE pairs in {folder}")
    settings = ["clip.size=256", "clip.frames=2", "tasks={dehaze: {}}"]
    build(load(Recipe, "default", settings), tmp_path / "data", sources=[f"revide:{folder}"])
    samples = list(Dataset(tmp_path / "data"))
    assert samples
    for sample in samples:
        assert gain(name, sample.source, sample.target) > 0.2
