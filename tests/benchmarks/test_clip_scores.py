"""CLIP scores on a small CLIP of the true architecture, made here."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import CLIPConfig, CLIPModel
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from benchmarks.commands import publish_report
from benchmarks.metrics import METRICS, NotAvailable
from benchmarks.metrics.clip_scores import (
    MISSING,
    clip_version,
    consistency_of_all,
    consistency_of_neighbours,
    image_features,
    likeness,
    load_clip,
)
from benchmarks.report import make_boards
from benchmarks.runner import run
from benchmarks.settings import BenchSettings, WeightSettings
from benchmarks.suite import make_suite
from shards import Manifest, encode_sample, write_card, write_shard
from tests.conftest import make_sample, moving_clip

SETTINGS = BenchSettings(bootstrap=100, examples=0, methods=("identity",), cost_samples=0)


@pytest.fixture(scope="module")
def small_clip(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clip")
    torch.manual_seed(0)
    text = {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "vocab_size": 99,
    }
    vision = {**text, "image_size": 32, "patch_size": 8}
    vision.pop("vocab_size")
    model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=12))
    for weight in model.vision_model.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    model.save_pretrained(folder)
    CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(folder)
    return str(folder)


def unit(*rows: tuple[float, ...]) -> np.ndarray:
    features = np.array(rows, float)
    return features / np.linalg.norm(features, axis=1, keepdims=True)


def test_all_pairs_and_neighbours_by_hand():
    features = unit((1, 0), (0, 1), (1, 0))
    # pairs: 0, 1, 0; neighbours: 0, 0
    assert consistency_of_all(features) == pytest.approx(100 / 3)
    assert consistency_of_neighbours(features).tolist() == [0, 0]
    assert likeness(features, unit((1, 0), (0, -1), (1, 1))) == pytest.approx([100, -100, 100 / np.sqrt(2)])
    with pytest.raises(ValueError, match="one only"):
        consistency_of_all(features[:1])


def test_features_are_those_of_transformers_and_do_not_depend_on_the_batch(small_clip):
    clip = moving_clip(0, frames=20, height=48, width=64)
    found = image_features(clip, small_clip)
    model, processor = load_clip(small_clip)
    with torch.inference_mode():
        pixels = processor(images=list(clip), return_tensors="pt")["pixel_values"]
        theirs = model.get_image_features(pixel_values=pixels)
    theirs = getattr(theirs, "pooler_output", theirs).double().numpy()
    assert found == pytest.approx(theirs / np.linalg.norm(theirs, axis=1, keepdims=True), abs=1e-5)
    assert found[3:5] == pytest.approx(image_features(clip[3:5], small_clip), abs=1e-5)


def test_missing_weights_are_said_and_never_made_up():
    with pytest.raises(NotAvailable, match=r"weights: CLIP ViT-L/14, 1.7 GB"):
        image_features(moving_clip(0), WeightSettings().clip)
    assert clip_version(WeightSettings().clip) == MISSING
    for nowhere in ("/no/such/folder", "a name with blanks"):
        assert clip_version(nowhere) == MISSING
        with pytest.raises(NotAvailable, match="weights: CLIP in"):
            image_features(moving_clip(0), nowhere)


@pytest.fixture(scope="module")
def edits(tmp_path_factory):
    root = tmp_path_factory.mktemp("edits") / "dataset"
    shard = write_shard(
        root / "edit" / "test-000000.tar", [encode_sample(make_sample("edit", "test", n)) for n in range(2)]
    )
    manifest = Manifest(recipe={"seed": 0}, recipe_digest="0", code_version="0", shards=(shard,), sources=1)
    write_card(root, manifest, {"CC0-1.0": 2})
    manifest.save(root)
    return root


def test_without_weights_the_table_says_what_is_missing_and_with_them_it_is_scored(edits, small_clip, tmp_path):
    suite = make_suite(edits, [], SETTINGS)
    done = run(suite, SETTINGS, tmp_path)
    (board,) = make_boards(done, SETTINGS)
    assert board.unavailable[0] == "CLIP all pairs: n/a (weights: CLIP ViT-L/14, 1.7 GB; --set weights.clip=FOLDER)"
    assert {row["status"] for row in done.rows} == {"ok"}
    publish_report(tmp_path, done, SETTINGS, suite.dataset)
    assert "n/a (weights: CLIP ViT-L/14" in (tmp_path / "leaderboard.md").read_text()
    assert json.loads(pd.read_parquet(tmp_path / "rows.parquet")["unavailable"][0])

    given = SETTINGS.model_copy(update={"weights": WeightSettings(clip=small_clip)})
    done = run(suite, given, tmp_path)
    (board,) = make_boards(done, given)
    assert board.unavailable == ()
    scores = board.lines[0].entry.scores
    assert {"clip_consistency", "clip_neighbours", "clip_target"} < set(scores)
    assert scores["clip_consistency"].mean <= 100 >= scores["clip_neighbours"].mean


def test_every_clip_score_belongs_to_edits_alone():
    assert all(METRICS[name].tasks == ("edit",) for name in METRICS if name.startswith("clip_"))
