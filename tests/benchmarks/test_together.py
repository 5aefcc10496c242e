"""Numbers of all clips together: closed forms, other libraries, and what a run makes of them."""

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
from benchmarks.methods import Method
from benchmarks.metrics import distances
from benchmarks.metrics.distances import frechet_distance, kernel_distance
from benchmarks.metrics.temporal import coarse_error, error_jumps, seam_excess
from benchmarks.metrics.together import TOGETHER, Distance, get_together
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
    table = {name: replace(one, least=6) for name, one in TOGETHER.items() if isinstance(one, Distance)}
    for name, one in table.items():
        monkeypatch.setitem(TOGETHER, name, one)


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
    said = done.together["edit", "identity"]
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
    assert load_run(tmp_path).together == done.together
    assert audit(tmp_path).wrong == []

    # again: nothing is computed; and what is gone is made again
    path = next(tmp_path.glob("kept/inception/target-*.npy"))
    path.unlink()
    again = run(suite, given, tmp_path)
    assert again.together == done.together
    assert path.is_file()


def test_what_networks_saw_cannot_be_exchanged(edits, given, few, tmp_path):
    suite = make_suite(edits, [], given)
    publish_report(tmp_path, run(suite, given, tmp_path), given, suite.dataset)
    for path in tmp_path.glob("kept/inception/*.npy"):
        if not path.name.startswith("target-"):
            np.save(path, np.zeros_like(np.load(path)))
    wrong = audit(tmp_path).wrong
    assert any("fid is written" in words for words in wrong)
    assert any("is not what inception has of the answer" in words for words in wrong)


def test_few_clips_are_refused_and_failures_leave_no_distance(edits, given, tmp_path):
    suite = make_suite(edits, [], given)
    done = run(suite, given, tmp_path)
    count = sum(row["frames"] for row in suite.rows["edit"])
    assert done.together["edit", "identity"]["fid"] == f"needs 2048 frames, there are {count}"
    (board,) = make_boards(done, given)
    assert board.unavailable["KID"] == f"needs 100 frames, there are {count}"
    json.loads((tmp_path / "run.json").read_text())


def test_a_method_that_fails_somewhere_has_no_distance(edits, given, few, tmp_path):
    def often(clip, instruction, reference, mask):
        if len(calls) == 2:
            raise ValueError("no")
        calls.append(1)
        return clip

    calls: list[int] = []
    method = Method(name="often", tasks=(), summary="", paper="", version=1, make=lambda context: often)
    done = run(make_suite(edits, [], given), given, tmp_path, entrants=[method])
    assert "clips have no answer" in done.together["edit", "often"]["fid"]
    assert isinstance(done.together["edit", "identity"]["fid"], float)


def test_segmentation_is_not_compared_as_a_set():
    assert get_together("segment") == []
    assert {one.name for one in get_together("inpaint")} == {"fid", "kid", "fvd", "vfid", "seam"}


def test_the_error_over_blocks_is_that_of_a_mean_over_each():
    rng = np.random.default_rng(3)
    a, b = (rng.integers(0, 256, (2, 40, 21, 3), dtype=np.uint8) for _ in range(2))
    found = coarse_error(a, b)
    assert found.shape == (2, 3, 2, 3)
    apart = a.astype(float) - b
    assert found[1, 2, 1] == pytest.approx(apart[1, 32:, 16:].mean(axis=(0, 1)), abs=1e-5)
    assert found[0, 0, 0] == pytest.approx(apart[0, :16, :16].mean(axis=(0, 1)), abs=1e-5)


def test_seams_by_hand():
    error = np.array([0, 1, 2, 9, 10], np.float32).reshape(5, 1, 1, 1)
    assert error_jumps(error).tolist() == [1, 1, 7, 1]
    assert seam_excess([7.0], [1.0, 1.0, 1.0]) == 7
    assert seam_excess([0.0], [0.0]) == 1
    assert seam_excess([1.0], [0.0]) == np.inf
    assert seam_excess([], [1.0]) is None
    assert seam_excess([1.0], []) is None


def adjoining(root, differ=False):
    """Write two videos of three clips each, one after another but for a gap before the last clip of the second video."""
    samples = []
    for number in range(6):
        video, place = divmod(number, 3)
        made = make_sample("recolor", "test", number)
        meta = replace(
            made.meta,
            source_id=f"video-{video}",
            source_sha256=f"{video:064x}",
            clean_sha256=f"{video:064x}",
            start=place * len(made.target) + (number == 5),
            parameters={"kind": "grayscale", **({"number": number} if differ else {})},
        )
        samples.append(replace(made, meta=meta))
    shard = write_shard(root / "recolor" / "test-000000.tar", [encode_sample(one) for one in samples])
    manifest = Manifest(recipe={"seed": 0}, recipe_digest="0", code_version="0", shards=(shard,), sources=2)
    write_card(root, manifest, {"CC0-1.0": 6})
    manifest.save(root)
    return root


def brighter_clip_by_clip():
    """Return a method that answers the input, but for the brightness, which is another one for each clip, and a slow drift."""

    def answer(clip, instruction, reference, mask):
        level = int(clip[0].mean()) % 3 * 20
        drift = np.arange(len(clip))[:, None, None, None] // 4
        return np.clip(clip.astype(int) // 2 + level + drift, 0, 255).astype(np.uint8)

    return Method(name="jumps", tasks=(), summary="", paper="", version=1, make=lambda context: answer)


PLAIN = BenchSettings(bootstrap=100, examples=0, methods=("identity",), cost_samples=0)


def test_clips_that_adjoin_show_how_a_method_jumps_between_them(tmp_path):
    suite = make_suite(adjoining(tmp_path / "data"), [], PLAIN)
    keys = suite.dataset.keys("recolor")
    assert suite.continues == {keys[1]: keys[0], keys[2]: keys[1], keys[4]: keys[3]}
    out = tmp_path / "out"
    done = run(suite, PLAIN, out, entrants=[brighter_clip_by_clip()])
    clips = [suite.dataset[key] for key in keys]
    videos = []
    for video, joined in ((clips[:3], (0, 1)), (clips[3:], (0,))):
        errors = [coarse_error(clip.source, clip.target) for clip in video]
        across = [np.abs(errors[n + 1][0] - errors[n][-1]).mean() for n in joined]
        # the clip after the gap stands by itself
        within = np.concatenate([error_jumps(error) for error in errors[: len(joined) + 1]])
        videos.append(np.mean(across) / np.mean(within))
    assert done.together["recolor", "identity"]["seam"] == pytest.approx(np.mean(videos), rel=1e-6)
    assert done.together["recolor", "jumps"]["seam"] > done.together["recolor", "identity"]["seam"]
    (board,) = make_boards(done, PLAIN)
    assert "seam" in {metric.name for metric in board.more}
    publish_report(out, done, PLAIN, suite.dataset)
    assert audit(out).wrong == []
    facts = json.loads((out / "run.json").read_text())
    (out / "run.json").write_text(json.dumps({**facts, "together": []}))
    assert sum("seam is written None" in words for words in audit(out).wrong) == 2
    (out / "run.json").write_text(json.dumps(facts))
    path = next((out / "kept" / "errors").glob("*.npy"))
    np.save(path, np.load(path) + 40)
    assert any("seam is written" in words for words in audit(out).wrong)


def test_inputs_that_were_made_each_in_its_own_way_have_no_seams(tmp_path):
    suite = make_suite(adjoining(tmp_path / "data", differ=True), [], PLAIN)
    assert suite.continues == {}
    done = run(suite, PLAIN, tmp_path / "out")
    assert "seam" not in done.together.get(("recolor", "identity"), {})
    (board,) = make_boards(done, PLAIN)
    assert "seam" not in board.unavailable
    assert not (tmp_path / "out" / "kept").exists()


def test_an_error_that_jumps_between_clips_only_has_no_ratio():
    still, shifted = (np.full((4, 1, 1, 3), level, np.float32) for level in (0, 5))
    rows = [{"key": key, "video": "v", "continues": before} for key, before in (("a", ""), ("b", "a"))]
    told = TOGETHER["seam"].value(rows, [[still], [shifted]])
    assert told == "the error of a video jumps between clips only"
    assert TOGETHER["seam"].value(rows, [[still], [still]]) == 1
