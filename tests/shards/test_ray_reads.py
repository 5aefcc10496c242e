import logging

import numpy as np
import pytest

from shards import Dataset, Manifest, encode_sample, write_card, write_shard
from tests.conftest import make_sample


@pytest.fixture
def ray_session(monkeypatch):
    import ray

    ray.init(address="local", num_cpus=1, include_dashboard=False, logging_level=logging.ERROR, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Ray Data warns about its own defaults
def test_ray_data_reads_the_same_members(toy_dataset, ray_session):
    import ray

    dataset = Dataset(toy_dataset)
    paths = [str(toy_dataset / "dehaze" / f"train-00000{n}.tar") for n in (0, 1)]
    rows = ray.data.read_webdataset(paths, decoder=None).take_all()
    keys = dataset.keys("dehaze", "train")
    assert sorted(row["__key__"] for row in rows) == keys
    for row in rows:
        assert {name: data for name, data in row.items() if not name.startswith("__")} == dataset.members(
            row["__key__"]
        )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_card_says_how_ray_data_reads_members_that_only_some_samples_have(tmp_path, ray_session):
    import ray

    picture = np.zeros((8, 8, 3), np.uint8)
    samples = [make_sample("edit", "train", 0), make_sample("edit", "train", 1, reference=picture)]
    shard = write_shard(tmp_path / "edit" / "train-000000.tar", [encode_sample(sample) for sample in samples])
    manifest = Manifest(recipe={}, recipe_digest="0", code_version="0", shards=(shard,), sources=1)
    write_card(tmp_path, manifest, {"CC0-1.0": 2}, {"edit": {"reference"}})
    assert "ray.data.read_webdataset(paths, decoder=None)" in (tmp_path / "README.md").read_text()
    rows = ray.data.read_webdataset([str(tmp_path / shard.path)], decoder=None).take_all()
    assert [row.get("reference.png") is None for row in rows] == [True, False]
