import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from skimage.color import deltaE_ciede2000, rgb2lab

from benchmarks.metrics.colour import ciede2000, colour_distribution_consistency, colourfulness
from tests.conftest import moving_clip


@pytest.mark.parametrize("seed", range(3))
def test_ciede2000_is_scikit_images_mean(seed):
    rng = np.random.default_rng(seed)
    a = rng.integers(0, 256, (2, 20, 31, 3), dtype=np.uint8)
    b = np.where(rng.random((2, 20, 31, 1)) < 0.3, rng.integers(0, 256, a.shape, dtype=np.uint8), a)
    expected = [deltaE_ciede2000(rgb2lab(x), rgb2lab(y)).mean() for x, y in zip(a, b, strict=True)]
    assert ciede2000(a, b) == pytest.approx(expected, abs=1e-9)
    assert ciede2000(a, a).tolist() == [0.0, 0.0]


def test_white_and_black_are_a_hundred_apart():
    black = np.zeros((1, 4, 4, 3), np.uint8)
    assert ciede2000(black, black + np.uint8(255))[0] == pytest.approx(100, abs=1e-2)


def test_colourfulness_by_hand():
    grey = np.full((1, 4, 4, 3), 90, np.uint8)
    assert colourfulness(grey).tolist() == [0.0]
    half = grey.copy()
    half[0, :2], half[0, 2:] = (255, 0, 0), (0, 0, 255)
    # rg is 255 and 0, yb is 127.5 and -255: spreads 127.5 and 191.25, means 127.5 and -63.75
    expected = np.hypot(127.5, 191.25) + 0.3 * np.hypot(127.5, -63.75)
    assert colourfulness(half)[0] == pytest.approx(expected)


def test_cdc_by_hand():
    still = np.repeat(moving_clip(0, frames=1), 6, axis=0)
    assert colour_distribution_consistency(still) == 0
    # frames of two plain colours have histograms without overlap: the divergence is ln 2
    blinking = np.zeros((2, 4, 4, 3), np.uint8)
    blinking[1] = 200
    assert colour_distribution_consistency(blinking) == pytest.approx(np.log(2))
    # one of the channels: a third; d = 2 sees equal frames: of d = 1, 2 the mean is half
    red = np.zeros((3, 4, 4, 3), np.uint8)
    red[1, ..., 0] = 200
    assert colour_distribution_consistency(red) == pytest.approx(np.log(2) / 3 / 2)


def test_cdc_is_scipys_divergence():
    clip = np.random.default_rng(0).integers(0, 256, (6, 20, 30, 3), dtype=np.uint8)
    histograms = np.array([[np.bincount(f[..., c].ravel(), minlength=256) / 600 for c in range(3)] for f in clip])
    expected = [
        np.mean([jensenshannon(histograms[t, c], histograms[t + d, c]) ** 2 for t in range(6 - d) for c in range(3)])
        for d in (1, 2, 4)
    ]
    assert colour_distribution_consistency(clip) == pytest.approx(np.mean(expected), abs=1e-12)


def test_one_frame_has_no_consistency():
    with pytest.raises(ValueError, match="one only"):
        colour_distribution_consistency(moving_clip(0, frames=1))
