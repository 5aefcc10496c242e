"""Distances between sets of clips: closed forms, other libraries, and what a run makes of them."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import linalg
from torchmetrics.image.fid import _compute_fid
from torchmetrics.image.kid import poly_mmd

from benchmarks.audit import audit
from benchmarks.commands import publish_report
from benchmarks.metrics import distances
from benchmarks.metrics.distances import DISTANCES, frechet_distance, get_distances, kernel_distance
from benchmarks.report import make_boards, to_csv
from benchmarks.report.stored import load_run
from benchmarks.runner import run
from benchmarks.settings import BenchSettings, WeightSettings
from benchmarks.suite import make_suite
from shards import Manifest, encode_sample, write_card, write_shard
from tests.benchmarks.test_networks import ScriptedInception, scripted
from tests.conftest import make_sample


def gaussian(rng: np.random.Generator, count: int, mean: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Return samples whose own mean and covariance are exactly these."""
    raw = rng.normal(size=(count, len(mean)))
    raw -= raw.mean(axis=0)
    white = raw @ np.linalg.inv(np.linalg.cholesky(np.cov(raw, rowvar=False))).T
    return white @ np.linalg.cholesky(covariance).T + mean


def test_frechet_distance_of_known_gaussians():
    rng = np.random.default_rng(0)
    size = 6
    zero, one = np.zeros(size), np.eye(size)
    a = gaussian(rng, 50, zero, one)
    # only the mean differs: its square; only the width: (2 - 1)^2 per direction
    assert frechet_distance(a, gaussian(rng, 70, zero + 3, one)) == pytest.approx(9 * size, rel=1e-9)
    assert frechet_distance(a, gaussian(rng, 40, zero, 4 * one)) == pytest.approx(size, rel=1e-9)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)
    # two general ones, by the formula with scipy's root
    b, c = (gaussian(rng, 50, rng.normal(size=size), np.cov(rng.normal(size=(size, 20)))) for _ in range(2))
    covariances = [np.cov(each, rowvar=False) for each in (b, c)]
    root = linalg.sqrtm(covariances[0] @ covariances[1]).real
    expected = np.square(b.mean(0) - c.mean(0)).sum() + np.trace(covariances[0] + covariances[1] - 2 * root)
    assert frechet_distance(b, c) == pytest.approx(expected, rel=1e-8)
    assert frechet_distance(c, b) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("count", [9, 40, 300])
def test_frechet_distance_is_that_of_torchmetrics_also_for_thin_sets(count):
    rng = np.random.default_rng(count)
    x, y = rng.normal(size=(count, 24)), rng.normal(size=(count + 5, 24)) * 1.3 + 0.2
    given = [each for z in (x, y) for each in (torch.from_numpy(z.mean(0)), torch.from_numpy(np.cov(z, rowvar=False)))]
    assert frechet_distance(x, y) == pytest.approx(float(_compute_fid(*given)), rel=1e-6)


def test_kernel_distance_is_that_of_torchmetrics_and_unbiased():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(60, 10)), rng.normal(size=(60, 10)) + 0.3

    def kernel(a: np.ndarray, b: np.ndarray) -> torch.Tensor:
        return torch.from_numpy((a @ b.T / a.shape[1] + 1) ** 3)

    from torchmetrics.image.kid import maximum_mean_discrepancy

    theirs = maximum_mean_discrepancy(kernel(x, x), kernel(x, y), kernel(y, y))
    assert kernel_distance(x, y) == pytest.approx(float(theirs), rel=1e-9)
    assert kernel_distance(x, y) == pytest.approx(float(poly_mmd(*map(torch.from_numpy, (x, y)))), rel=1e-6)
    # the same source on both sides: 0 on average, and below it as often as above
    same = [kernel_distance(rng.normal(size=(20, 4)), rng.normal(size=(20, 4))) for _ in range(300)]
    assert abs(np.mean(same)) < 4 * np.std(same) / np.sqrt(300)
    assert min(same) < 0 < max(same)


def test_blocks_change_nothing(monkeypatch):
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(33, 5)), rng.normal(size=(21, 5))
    whole = kernel_distance(x, y)
    monkeypatch.setattr(distances, "_ROWS", 8)
    assert kernel_distance(x, y) == pytest.approx(whole, rel=1e-12)


@pytest.mark.parametrize("distance", [frechet_distance, kernel_distance])
def test_one_sample_has_no_spread(distance):
    with pytest.raises(ValueError, match="two samples"):
        distance(np.zeros((1, 3)), np.zeros((5, 3)))


def test_both_grow_as_the_sets_part():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(200, 8))
    for distance in (frechet_distance, kernel_distance):
        found = [distance(x, rng.normal(size=(200, 8)) + shift) for shift in (0.0, 0.5, 1.0, 2.0)]
        assert found == sorted(found)


@pytest.fixture(scope="module")
def edits(tmp_path_factory):
    root = tmp_path_factory.mktemp("edits") / "dataset"
    samples = [encode_sample(make_sample("edit", "test", n)) for n in range(3)]
    manifest = Manifest(
        recipe={"seed": 0},
        recipe_digest="0",
        code_version="0",
        shards=(write_shard(root / "edit" / "test-000000.tar", samples),),
        sources=3,
    )
    write_card(root, manifest, {"CC0-1.0": 3})
    manifest.save(root)
    return root


@pytest.fixture
def few(monkeypatch):
    """Let a dozen frames do, and say how many are wanted."""
    table = {name: replace(one, least=6) for name, one in DISTANCES.items()}
    for name, one in table.items():
        monkeypatch.setitem(DISTANCES, name, one)


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    path = scripted(ScriptedInception(), tmp_path_factory.mktemp("inception") / "inception-2015-12-05.pt")
    weights = WeightSettings(inception=path)
    return BenchSettings(
        bootstrap=100, examples=0, methods=("identity", "filter_program"), cost_samples=0, weights=weights
    )


def test_a_run_has_them_beside_its_scores_and_they_follow_from_what_is_kept(edits, given, few, tmp_path):
    suite = make_suite(edits, [], given)
    done = run(suite, given, tmp_path)
    said = done.distances["edit", "identity"]
    seen = [[], []]
    from benchmarks.networks.inception import inception_features

    for key in suite.dataset.keys("edit"):
        sample = suite.dataset[key]
        for side, clip in enumerate((sample.source, sample.target)):
            seen[side].append(inception_features(clip, given.weights.inception))
    a, b = map(np.concatenate, seen)
    assert said["fid"] == pytest.approx(frechet_distance(a, b), rel=1e-6)
    assert said["kid"] == pytest.approx(1000 * kernel_distance(a, b), rel=1e-6)
    assert said["fvd"].startswith("weights: ")
    (board,) = make_boards(done, given)
    assert {"fid", "kid"} < {metric.name for metric in board.more}
    assert board.lines[0].entry.scores["fid"].low is None
    assert "FVD" in board.unavailable
    assert "FID" not in board.unavailable
    publish_report(tmp_path, done, given, suite.dataset)
    assert ",fid," in to_csv([board])
    assert load_run(tmp_path).distances == done.distances
    assert audit(tmp_path)[0] == []

    # again: nothing is computed; and what is gone is made again
    path = next(tmp_path.glob("features/inception/target-*.npy"))
    path.unlink()
    again = run(suite, given, tmp_path)
    assert again.distances == done.distances
    assert path.is_file()


def test_what_networks_saw_cannot_be_exchanged(edits, given, few, tmp_path):
    suite = make_suite(edits, [], given)
    publish_report(tmp_path, run(suite, given, tmp_path), given, suite.dataset)
    for path in tmp_path.glob("features/inception/*.npy"):
        if not path.name.startswith("target-"):
            np.save(path, np.zeros_like(np.load(path)))
    wrong, _ = audit(tmp_path)
    assert any("fid is written" in words for words in wrong)
    assert any("is not what inception sees in the answer" in words for words in wrong)


def test_few_clips_are_refused_and_failures_leave_no_distance(edits, given, tmp_path):
    suite = make_suite(edits, [], given)
    done = run(suite, given, tmp_path)
    count = sum(row["frames"] for row in suite.rows["edit"])
    assert done.distances["edit", "identity"]["fid"] == f"needs 2048 frames, there are {count}"
    (board,) = make_boards(done, given)
    assert board.unavailable["KID"] == f"needs 100 frames, there are {count}"
    json.loads((tmp_path / "run.json").read_text())


def test_a_method_that_fails_somewhere_has_no_distance(edits, given, few, tmp_path):
    from benchmarks.methods import Method

    def often(clip, instruction, reference, mask):
        if len(calls) == 2:
            raise ValueError("no")
        calls.append(1)
        return clip

    calls: list[int] = []
    method = Method(name="often", tasks=(), summary="", paper="", version=1, make=lambda context: often)
    done = run(make_suite(edits, [], given), given, tmp_path, entrants=[method])
    assert "clips have no answer" in done.distances["edit", "often"]["fid"]
    assert isinstance(done.distances["edit", "identity"]["fid"], float)


def test_segmentation_is_not_compared_as_a_set():
    assert get_distances("segment") == []
    assert {one.name for one in get_distances("inpaint")} == {"fid", "kid", "fvd", "vfid"}
