"""The list of the videos that a model has learnt from."""

import json
from dataclasses import replace

import pytest

from configs import ModelError
from shards import Dataset, Manifest, encode_sample, write_shard
from tests.conftest import make_sample
from vidiff.training_data import NAME, Learnt, learnt_by, learnt_from

SEEN = {"with masks 0", "alone 0", "other side 0"}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """A train and a test sample, of videos that came with masks and another side."""
    root, shards = tmp_path_factory.mktemp("masked"), []
    for number, split in enumerate(("train", "test")):
        sample = make_sample("segment", split, number)
        names = {"source_sha256": f"with masks {number}", "clean_sha256": f"alone {number}"}
        meta = replace(sample.meta, **names, pair_sha256=f"other side {number}")
        path = root / "segment" / f"{split}-000000.tar"
        shards.append(write_shard(path, [encode_sample(replace(sample, meta=meta))]))
    Manifest(recipe={}, recipe_digest="0", code_version="0", shards=tuple(shards), sources=2).save(root)
    return Dataset(root)


def test_a_training_lists_the_videos_of_its_train_split_as_they_were_given_and_alone(dataset, tmp_path):
    learnt = learnt_from(dataset, ["segment"])
    assert learnt.sources == SEEN
    assert learnt.complete
    learnt.save(tmp_path)
    assert learnt_by(tmp_path) == learnt


def test_what_a_base_has_learnt_from_counts_and_what_it_does_not_say_is_not_known(dataset, tmp_path):
    for complete in (True, False):
        base = tmp_path / str(complete)
        Learnt(sources=frozenset({"earlier"}), complete=complete).save(base / "model")
        for folder in (base, base / "model"):
            learnt = learnt_from(dataset, ["segment"], str(folder))
            assert (learnt.sources, learnt.complete) == ({*SEEN, "earlier"}, complete)
    assert not learnt_from(dataset, ["segment"], str(tmp_path / "says nothing")).complete


def test_lists_of_earlier_versions_are_read_and_damaged_ones_are_one_line(tmp_path):
    old = {"dataset": "d", "tasks": ["dehaze"], "complete": True, "sources": ["a", "b"]}
    (tmp_path / NAME).write_text(json.dumps(old))
    assert learnt_by(tmp_path) == Learnt(sources=frozenset("ab"), complete=True, dataset="d", tasks=("dehaze",))
    for damaged in ("{", "[]", "{}", '{"sources": 3}'):
        (tmp_path / NAME).write_text(damaged)
        with pytest.raises(ModelError, match=r"training_data.json, which lists the videos .* is damaged"):
            learnt_by(tmp_path)
