from collections import Counter

import numpy as np
import pytest

import configs
from configs import ConfigError, DatasetError
from shards import Dataset
from vidiff import TrainSettings
from vidiff.data import Order, TrainingClips, batches, cut, mixture
from vidiff.settings import DataSettings

KEYS = {"dehaze": [f"d{n}" for n in range(6)], "recolor": [f"r{n}" for n in range(2)]}


def settings(*overrides):
    return configs.load(TrainSettings, "tiny-fast", ["data.crops=[16]", *overrides])


def test_an_epoch_gives_every_task_its_share_and_uses_samples_equally():
    order = Order(KEYS, {"dehaze": 1.0, "recolor": 1.0}, seed=0)
    epochs = [Counter(order[position] for position in range(8 * n, 8 * n + 8)) for n in range(3)]
    for epoch in epochs:
        assert sum(count for key, count in epoch.items() if key[0] == "d") == 4
    uses = sum(epochs, Counter())
    assert all(uses[key] == 2 for key in KEYS["dehaze"])
    assert all(uses[key] == 6 for key in KEYS["recolor"])


def test_weights_set_the_shares():
    order = Order(KEYS, {"dehaze": 3.0, "recolor": 1.0}, seed=0)
    assert Counter(order[position][0] for position in range(80)) == {"d": 60, "r": 20}


def test_a_position_has_the_same_sample_whoever_asks_and_whenever():
    order = Order(KEYS, {"dehaze": 1.0, "recolor": 2.0}, seed=0)
    forward = [order[position] for position in range(40)]
    assert [Order(KEYS, {"dehaze": 1.0, "recolor": 2.0}, seed=0)[n] for n in reversed(range(40))] == forward[::-1]
    assert [Order(KEYS, {"dehaze": 1.0, "recolor": 2.0}, seed=1)[n] for n in range(40)] != forward


def test_source_and_target_are_cut_alike(toy_dataset):
    sample = Dataset(toy_dataset)["dehaze-train-0003"]
    twin = type(sample)(key="twin", source=sample.target, target=sample.target, instruction="x", meta=sample.meta)
    for seed in range(5):
        clip = cut(twin, np.random.default_rng(seed), 16, 3, DataSettings(prior_frames=(0,)))
        source, target = clip.source, clip.target
        assert source.shape == (3, 16, 16, 3)
        assert np.array_equal(source, target)


def test_prior_frames_replace_source_by_target_and_the_instruction_says_so(toy_dataset):
    sample = Dataset(toy_dataset)["dehaze-train-0003"]
    without = cut(sample, np.random.default_rng(0), 16, 4, DataSettings(prior_frames=(0,)))
    plain, target = without.source, without.target
    clip = cut(sample, np.random.default_rng(0), 16, 4, DataSettings(prior_frames=(2,)))
    source, instruction = clip.source, clip.instruction
    assert np.array_equal(source[:2], target[:2])
    assert np.array_equal(source[2:], plain[2:])
    assert instruction == "Based on the first 2 frames, remove the haze."


def test_batches_do_not_depend_on_workers(toy_dataset):
    places = [(0, 16), (1, 16), (2, 8)]

    def made(workers):
        chosen = settings(f"data.workers={workers}")
        clips = TrainingClips(Dataset(toy_dataset), chosen)
        return list(batches(clips, chosen, iter(places)))

    for here, there in zip(made(0), made(1), strict=True):
        assert here.source.equal(there.source)
        assert here.instructions == there.instructions
    assert made(0)[2].target.shape == (2, 3, 4, 8, 8)


@pytest.mark.parametrize(
    ("override", "error", "says"),
    [
        ("data.tasks={dehazing: 1}", ConfigError, "did you mean 'dehaze'"),
        ("model.window=8", ConfigError, "have 4 frames, the model's window 8"),
        ("data.crops=[64]", ConfigError, "clips are 32 px, the crops 64"),
    ],
)
def test_what_does_not_fit_the_dataset_is_said_before_training(toy_dataset, override, error, says):
    with pytest.raises(error, match=says):
        TrainingClips(Dataset(toy_dataset), settings(override))


def test_a_task_without_train_samples_is_refused_by_name_and_left_out_otherwise(toy_dataset, monkeypatch):
    dataset = Dataset(toy_dataset)
    own, first = dataset.keys, dataset.tasks[0]
    monkeypatch.setattr(dataset, "keys", lambda task, split: [] if task == first else own(task, split))
    with pytest.raises(DatasetError, match=f"no train samples of '{first}': build more clips, or name other tasks"):
        mixture(dataset, settings(f"data.tasks={{{first}: 1}}").data)
    assert mixture(dataset, settings().data) == dict.fromkeys(dataset.tasks[1:], 1.0)
    monkeypatch.setattr(dataset, "keys", lambda task, split: [])
    with pytest.raises(DatasetError, match="no train samples: build more clips"):
        TrainingClips(dataset, settings())
