"""Weights of a merge: which share of the train split each part gives."""

from pathlib import Path

import pandas as pd
import pytest

from configs import ConfigError, DatasetError
from datagen.commands import merge_datasets
from datagen.merge import merge
from shards import verify
from tests.datagen.conftest import made, shards_of, table


def by_part(roots: list[Path], out: Path, split: str) -> list[pd.DataFrame]:
    kept = table(out)
    kept = kept[kept["split"] == split]
    return [kept[kept["key"].isin(table(root)["key"])] for root in roots]


@pytest.mark.parametrize("weights", [[0.7, 0.3], [0.3, 0.7], [1, 1], [0, 1], [99, 1]])
def test_weights_are_the_shares_of_the_train_split_as_large_as_possible(parts, weights, tmp_path):
    merge(parts, tmp_path / "out", weights=weights)
    had = [(table(root)["split"] == "train").sum() for root in parts]
    kept = [len(rows) for rows in by_part(parts, tmp_path / "out", "train")]
    whole = min(n / w for n, w in zip(had, weights, strict=True) if w)
    for count, weight in zip(kept, weights, strict=True):
        assert abs(count - whole * weight) <= 0.5 + 1e-9
    assert any(count == n for count, n, weight in zip(kept, had, weights, strict=True) if weight)
    rows, out = table(*parts), table(tmp_path / "out")
    assert set(rows[rows["split"] != "train"]["key"]) == set(out[out["split"] != "train"]["key"])
    assert verify(tmp_path / "out") == []


def test_a_share_is_drawn_evenly_from_the_videos_and_by_the_seed(halves, tmp_path):
    everything = "splits={train: 1, val: 0, test: 0}"
    folders = [made(tmp_path / name, everything, sources=[half]) for name, half in zip("ab", halves, strict=True)]
    chosen = {}
    for name, seed, weight in (("1", 0, 0.5), ("again", 0, 0.5), ("fewer", 0, 0.25), ("2", 1, 0.5)):
        merge(folders, tmp_path / name, weights=[weight, 1], seed=seed)
        rows = by_part(folders, tmp_path / name, "train")[0]
        counts = rows.groupby("source_sha256").size()
        assert len(counts) == 4
        assert counts.max() - counts.min() <= 1
        chosen[name] = set(rows["key"])
    assert chosen["1"] == chosen["again"]
    assert shards_of(tmp_path / "1") == shards_of(tmp_path / "again")
    assert chosen["fewer"] < chosen["1"]
    assert chosen["1"] != chosen["2"]


def test_a_weight_for_a_dataset_without_train_samples_is_refused(parts, tmp_path):
    tests_only = made(tmp_path / "t", "scenes.count=2", "seed=4", "splits={train: 0, val: 0, test: 1}")
    with pytest.raises(DatasetError, match=r"no train samples .* give it the weight 0"):
        merge([parts[0], tests_only], tmp_path / "out", weights=[0.5, 0.5])
    merge([parts[0], tests_only], tmp_path / "out", weights=[1, 0])
    assert len(table(tmp_path / "out")) == len(table(parts[0], tests_only))


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ([0, 1], []),
        (
            [999, 1],
            [
                "train has {a} of {both} samples, because a has only {a} for its share of 99.9 %; in whole samples b <script> is "
                "0.0 % of it in place of 0.1 %"
            ],
        ),
        (
            [2, 5],
            [
                "train has {less} of {both} samples, because b <script> has only {b} for its share of 71.4 %; in whole samples a "
                "is 25.0 % of it in place of 28.6 %, b <script> is 75.0 % of it in place of 71.4 %"
            ],
        ),
    ],
)
def test_what_the_weights_leave_out_and_which_share_is_missed_is_said(parts, weights, words, tmp_path, capsys):
    merge_datasets(parts, tmp_path / "out", weights, 0)
    a, b = ((table(root)["split"] == "train").sum() for root in parts)
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith("train has")]
    assert told == [line.format(a=a, b=b, both=a + b, less=b + b // 3) for line in words]


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ([1], "1 weights for 2 datasets; give --weight once for each"),
        ([-1, 2], "must be 0 or more"),
        ([0, 0], "one of them more"),
        ([float("nan"), 1], "must be 0 or more"),
    ],
)
def test_weights_that_make_no_sense_are_named(parts, weights, words, tmp_path):
    with pytest.raises(ConfigError, match=words):
        merge(parts, tmp_path / "out", weights=weights)
