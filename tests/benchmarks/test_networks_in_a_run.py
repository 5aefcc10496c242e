"""Scores of networks from `--set weights.NAME=PLACE` to the row, the table and the check, with small networks made here."""

import json
from dataclasses import replace

import numpy as np
import pytest

from benchmarks import commands
from benchmarks.metrics import METRICS, Outcome
from benchmarks.metrics.distances import frechet_distance, kernel_distance
from benchmarks.metrics.together import TOGETHER, Distance
from benchmarks.networks.i3d import scripted_features
from benchmarks.networks.inception import inception_features
from shards import Dataset, Manifest, encode_sample, write_card, write_shard
from tests.benchmarks.test_clip_scores import with_captions
from tests.benchmarks.test_networks import ScriptedI3D, ScriptedInception, scripted
from tests.conftest import make_sample, moving_clip


@pytest.fixture(scope="module")
def edits(tmp_path_factory):
    """Three clips with captions, long enough for I3D."""
    root = tmp_path_factory.mktemp("edits") / "dataset"
    samples = []
    for number in range(3):
        made = with_captions(make_sample("edit", "test", number), before="a cube", after="a red cube")
        target = moving_clip(number, frames=12)
        samples.append(replace(made, source=(target * 0.5 + 90).astype(np.uint8), target=target))
    shard = write_shard(root / "edit" / "test-000000.tar", [encode_sample(sample) for sample in samples])
    manifest = Manifest(recipe={"seed": 0}, recipe_digest="0", code_version="0", shards=(shard,), sources=2)
    write_card(root, manifest, {"CC0-1.0": 3})
    manifest.save(root)
    return root


def scored(edits, out, *weights: str) -> tuple[dict, dict]:
    """Run the bench with weights given as on the command line, check the run, and return the board and identity's scores."""
    given = {"methods": ["filter_program"], "limit": None, "split": None}
    overrides = [*weights, "bootstrap=100", "examples=0", "cost_samples=0"]
    assert commands.run_bench(commands.settings("default", overrides, given), edits, [], out) == 0
    assert commands.verify(out, 3, None, None) == 0
    (board,) = json.loads((out / "leaderboard.json").read_text())
    (identity,) = (line for line in board["methods"] if line["method"] == "identity")
    return board, {name: score["mean"] for name, score in identity["scores"].items()}


def test_pickscore_and_clip_scores_by_a_folder_of_transformers(edits, small_clip, tmp_path):
    board, scores = scored(edits, tmp_path, f"weights.pickscore={small_clip}", f"weights.clip={small_clip}")
    dataset = Dataset(edits)
    for name in ("pickscore", "clip_text", "clip_direction"):
        own: dict[str, list[float]] = {}
        for key in dataset.keys("edit"):
            sample = dataset[key]
            outcome = Outcome(sample, sample.source, {"pickscore": small_clip, "clip": small_clip})
            own.setdefault(sample.meta.source_id, []).append(METRICS[name].score(outcome))
        assert scores[name] == pytest.approx(np.mean([np.mean(each) for each in own.values()]), abs=1e-4)
    assert not {"PickScore", "CLIP text"} & board["unavailable"].keys()
    assert "weights.inception" in board["unavailable"]["FID"]


def test_fid_kid_and_fvd_by_torchscript_files(edits, tmp_path, monkeypatch):
    for name, one in TOGETHER.items():
        if isinstance(one, Distance):
            monkeypatch.setitem(TOGETHER, name, replace(one, least=2))
    places = {
        "inception": scripted(ScriptedInception(), tmp_path / "inception-2015-12-05.pt"),
        "i3d": scripted(ScriptedI3D(), tmp_path / "i3d_torchscript.pt"),
    }
    board, scores = scored(edits, tmp_path / "out", *(f"weights.{name}={place}" for name, place in places.items()))
    samples = list(Dataset(edits))
    frames, clips = (
        [np.concatenate([see(getattr(one, side), place) for one in samples]) for side in ("source", "target")]
        for see, place in ((inception_features, places["inception"]), (scripted_features, places["i3d"]))
    )
    assert scores["fid"] == pytest.approx(frechet_distance(*frames), rel=1e-5)
    assert scores["kid"] == pytest.approx(1000 * kernel_distance(*frames), rel=1e-5)
    assert scores["fvd"] == pytest.approx(frechet_distance(*clips), rel=1e-5)
    assert not {"FID", "KID", "FVD"} & board["unavailable"].keys()
    assert "weights.pickscore" in board["unavailable"]["PickScore"]
