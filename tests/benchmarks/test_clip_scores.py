"""CLIP scores on a small CLIP of the true architecture, made here."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from benchmarks.commands import publish_report
from benchmarks.metrics import METRICS, NotAvailable, Outcome
from benchmarks.metrics.clip_scores import (
    consistency_of_all,
    consistency_of_neighbours,
    direction,
    likeness,
    text_likeness,
)
from benchmarks.networks import clip
from benchmarks.networks.clip import image_features, load_clip, text_features
from benchmarks.report import make_boards
from benchmarks.runner import run
from benchmarks.settings import BenchSettings, WeightSettings
from benchmarks.suite import make_suite
from shards import Manifest, encode_sample, write_card, write_shard
from tests.conftest import make_sample, moving_clip

SETTINGS = BenchSettings(bootstrap=100, examples=0, methods=("identity",), cost_samples=0)


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
    model, processor, _ = load_clip(small_clip)
    with torch.inference_mode():
        pixels = processor(images=list(clip), return_tensors="pt")["pixel_values"]
        theirs = model.get_image_features(pixel_values=pixels)
    theirs = getattr(theirs, "pooler_output", theirs).double().numpy()
    assert found == pytest.approx(theirs / np.linalg.norm(theirs, axis=1, keepdims=True), abs=1e-5)
    assert found[3:5] == pytest.approx(image_features(clip[3:5], small_clip), abs=1e-5)


@pytest.fixture
def bare_clip(small_clip, tmp_path):
    """A CLIP without its picture processor and tokenizer, as PickScore is published."""
    for name in ("config.json", "model.safetensors"):
        shutil.copy(Path(small_clip) / name, tmp_path)
    return str(tmp_path)


def test_a_model_that_is_published_without_its_reader_says_whose_it_needs(bare_clip):
    with pytest.raises(
        NotAvailable, match=r"^weights: .* is without picture processor .*CLIP-ViT-H-14.*, are not in Hugging"
    ):
        load_clip(bare_clip)


def test_a_model_that_is_published_without_its_reader_is_read_by_the_one_it_was_tuned_from(
    bare_clip, small_clip, monkeypatch
):
    monkeypatch.setattr(clip, "_READER", small_clip)
    frames = moving_clip(0, frames=3, height=48, width=64)
    assert np.array_equal(image_features(frames, bare_clip), image_features(frames, small_clip))
    assert np.array_equal(text_features(["a cube"], bare_clip), text_features(["a cube"], small_clip))


def test_a_picture_processor_is_read_from_a_file_as_openai_published_it(small_clip, tmp_path):
    folder = shutil.copytree(small_clip, tmp_path / "clip")
    old = {"crop_size": 32, "size": 32, "resample": 3, "feature_extractor_type": "CLIPFeatureExtractor"}
    told = json.loads((folder / "preprocessor_config.json").read_text())
    kept = {name: told[name] for name in ("do_center_crop", "do_normalize", "do_resize", "image_mean", "image_std")}
    (folder / "preprocessor_config.json").write_text(json.dumps({**kept, **old}))
    frames = moving_clip(0, frames=3, height=48, width=64)
    assert image_features(frames, str(folder)) == pytest.approx(image_features(frames, small_clip), abs=1e-6)


def test_words_are_read_as_by_transformers(small_clip):
    model, _, tokenizer = load_clip(small_clip)
    words = ["a red cube", "a very long caption " * 40]
    found = text_features(words, small_clip)
    for place, text in enumerate(words):
        tokens = tokenizer([text], truncation=True, max_length=24, return_tensors="pt")
        with torch.inference_mode():
            theirs = model.get_text_features(**tokens)
        theirs = getattr(theirs, "pooler_output", theirs).double().numpy()
        assert found[place] == pytest.approx(theirs[0] / np.linalg.norm(theirs), abs=1e-5)


def test_text_and_direction_by_hand():
    frames, sources, words = unit((1, 0), (1, 1), (1, 0)), unit((0, 1), (0, 1), (1, 0)), unit((0, 1), (1, 0))
    assert text_likeness(frames, words[1:]) == pytest.approx([100, 100 / np.sqrt(2), 100])
    # the caption turns from up to right, as the first frame does; the last frame has not changed
    assert direction(frames, sources, words)[0] == pytest.approx(100)
    assert 0 < direction(frames, sources, words)[1] < 100
    assert direction(frames, sources, words)[2] == 0


def with_captions(sample, **captions):
    meta = dataclasses.replace(sample.meta, parameters={**sample.meta.parameters, **captions})
    return dataclasses.replace(sample, meta=meta)


def test_text_scores_follow_their_definitions(small_clip):
    sample = with_captions(make_sample("edit", "test", 0), before="a cube", after="a red cube")
    outcome = Outcome(sample, sample.target, {"clip": small_clip, "pickscore": small_clip})
    seen, asked = image_features(sample.target, small_clip), image_features(sample.source, small_clip)
    before, after = text_features(["a cube", "a red cube"], small_clip)
    assert METRICS["clip_text"].score(outcome) == pytest.approx(100 * (seen @ after).mean())
    change = seen - asked
    cosines = change @ (after - before) / np.linalg.norm(change, axis=1) / np.linalg.norm(after - before)
    assert METRICS["clip_direction"].score(outcome) == pytest.approx(100 * cosines.mean())
    scale = float(load_clip(small_clip)[0].logit_scale.detach().exp())
    assert METRICS["pickscore"].score(outcome) == pytest.approx(scale * (seen @ after).mean(), rel=1e-5)


@pytest.mark.parametrize("name", ["clip_text", "clip_direction", "pickscore"])
def test_samples_without_captions_have_nothing_to_measure_and_want_no_weights(name):
    sample = make_sample("edit", "test", 0)
    assert METRICS[name].score(Outcome(sample, sample.target)) is None
    half = with_captions(sample, after="a red cube")
    assert METRICS[name].score(Outcome(half, sample.target)) is None
    with pytest.raises(NotAvailable, match="weights: "):
        METRICS[name].score(Outcome(with_captions(half, before="a cube"), sample.target))


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
    assert board.unavailable["CLIP all pairs"] == "weights: CLIP ViT-L/14, 1.7 GB; --set weights.clip=FOLDER"
    assert {row["status"] for row in done.rows} == {"ok"}
    publish_report(tmp_path, done, SETTINGS, suite.dataset)
    assert "CLIP target: n/a (weights: CLIP ViT-L/14" in (tmp_path / "leaderboard.md").read_text()
    assert json.loads(pd.read_parquet(tmp_path / "rows.parquet")["unavailable"][0])

    given = SETTINGS.model_copy(update={"weights": WeightSettings(clip=small_clip)})
    done = run(suite, given, tmp_path)
    (board,) = make_boards(done, given)
    assert not [name for name in board.unavailable if name.startswith("CLIP")]
    scores = board.lines[0].entry.scores
    assert {"clip_consistency", "clip_neighbours", "clip_target"} < set(scores)
    assert scores["clip_consistency"].mean <= 100 >= scores["clip_neighbours"].mean


def test_every_clip_score_belongs_to_edits_alone():
    assert all(METRICS[name].tasks == ("edit",) for name in METRICS if name.startswith("clip_"))
