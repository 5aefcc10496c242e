import logging

import pytest

from shards import Dataset


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
