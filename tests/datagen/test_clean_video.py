"""What a dataset records of one video given in several ways, and how datasets from before that are still of use."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from configs import DatasetError, load
from datagen import Recipe, build
from datagen.commands import show_info
from datagen.diff import compare
from datagen.merge import merge
from datagen.replay import replay
from datagen.stats import collect, summary
from datagen.stats_page import write_stats
from shards import Dataset, load_manifest, verify
from shards.storage import sha256_of
from tests.datagen.growing import as_before
from tests.datagen.test_sources_table import RECIPE, mask, table, video

ONLY = {
    "train": "splits={train: 1, val: 0, test: 0}",
    "test": "splits={train: 0, val: 0, test: 1}",
}


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> Path:
    """Two videos, and tables of them alone, with masks, and with two captions each."""
    folder = tmp_path_factory.mktemp("given")
    for n in range(2):
        video(folder / f"{n}.mp4", n)
        mask(folder / f"m{n}", 8 + n)
    rows = {
        "alone": [{"path": f"{n}.mp4"} for n in range(2)],
        "masks": [{"path": f"{n}.mp4", "masks": f"m{n}"} for n in range(2)],
        "captions": [{"path": f"{n}.mp4", "caption": said} for n in range(2) for said in ("a box", "a ball")],
    }
    for name, own in rows.items():
        table(folder / f"{name}.csv", own)
    return folder


@pytest.fixture(scope="module")
def made(videos) -> Callable[..., Path]:
    """Copies a dataset of one of the tables; each is built once."""

    def make(out: Path, name: str, split: str = "train") -> Path:
        whole = videos / f"{name} in {split}"
        if not whole.exists():
            recipe = load(Recipe, "default", [*RECIPE, ONLY[split], "tasks={recolor: {}}"])
            build(recipe, whole, sources=[str(videos / f"{name}.csv")])
        return shutil.copytree(whole, out)

    return make


def test_the_samples_of_one_video_name_it_however_it_was_given(made, videos, tmp_path):
    alone, *more = [Dataset(made(tmp_path / name, name)) for name in ("alone", "masks", "captions")]
    files = {sha256_of(videos / f"{n}.mp4") for n in range(2)}
    assert set(alone.index()["source_sha256"].to_pylist()) == set(alone.index()["clean_sha256"].to_pylist()) == files
    for dataset in more:
        rows = dataset.index().to_pylist()
        whole = {row["source_sha256"] for row in rows}
        assert {row["clean_sha256"] for row in rows} == files
        assert not files & whole
        assert all(dataset[row["key"]].meta.clean_sha256 == row["clean_sha256"] for row in rows)
        assert dataset.videos("recolor", "train") == files | whole
    assert alone.videos("recolor", "test") == frozenset()


@pytest.mark.parametrize("before", [(), ("train",), ("test",)], ids=str)
@pytest.mark.parametrize(("train", "test"), [("masks", "masks"), ("masks", "alone"), ("alone", "captions")])
def test_a_video_in_train_of_one_and_in_test_of_another_is_a_leak_whatever_came_with_it(
    made, train, test, before, tmp_path
):
    folders = {"train": made(tmp_path / "a", train), "test": made(tmp_path / "b", test, "test")}
    for split in before:
        as_before(folders[split])
    known = before == () or train == test or {"train": train, "test": test}[before[0]] == "alone"
    # an older dataset names a video only together with what came with it; that the clips look alike is noticed all the same
    told = "LEAK: 2 source videos are in different splits" if known else "LEAK: 2 clips look like some in another split"
    with pytest.raises(DatasetError, match=told):
        merge(list(folders.values()), tmp_path / "out")


def test_a_dataset_from_before_the_clean_video_was_recorded_is_read_verified_replayed_and_compared(made, tmp_path):
    new, old = made(tmp_path / "new", "masks"), as_before(made(tmp_path / "old", "masks"))
    dataset = Dataset(old)
    rows = dataset.index().to_pylist()
    assert [row["clean_sha256"] for row in rows] == [row["source_sha256"] for row in rows]
    assert all(dataset[row["key"]].meta.clean_sha256 == row["source_sha256"] for row in rows)
    assert verify(old, decode=True) == []
    assert replay(old, rows[0]["key"]).faithful
    found = compare(old, new)
    assert (found.same, found.changed, found.equal) == (len(rows), 0, True)


def test_a_sample_that_an_older_dataset_has_too_is_kept_as_the_newer_one_has_it(made, tmp_path):
    new, old = made(tmp_path / "new", "masks"), as_before(made(tmp_path / "old", "masks"))
    for name, order in {"one": [new, old], "other": [old, new]}.items():
        out = Dataset(merge(order, tmp_path / name) and tmp_path / name)
        assert verify(out.root) == []
        for row in Dataset(new).index().to_pylist():
            assert out.members(row["key"]) == Dataset(new).members(row["key"])
            assert out.row(row["key"])["clean_sha256"] == row["clean_sha256"]


def test_older_and_newer_samples_in_one_merged_dataset_are_read_by_datasets(made, tmp_path):
    import datasets

    old = as_before(made(tmp_path / "old", "masks"))
    new = made(tmp_path / "new", "captions")
    merge([old, new], tmp_path / "out")
    pairs = datasets.load_dataset(str(tmp_path / "out"), "recolor", split="train", cache_dir=str(tmp_path / "cache"))
    found = {row["__key__"]: row["meta.json"]["clean_sha256"] for row in pairs}
    said = {row["key"]: row["clean_sha256"] for row in Dataset(new).index().to_pylist()}
    assert found == {**dict.fromkeys(Dataset(old).index()["key"].to_pylist()), **said}


def test_a_video_with_several_captions_is_one_source_wherever_these_are_counted(made, tmp_path, capsys):
    out = made(tmp_path / "out", "captions")
    index = Dataset(out).index()
    assert (len(index["source_sha256"].unique()), len(index["clean_sha256"].unique())) == (4, 2)
    assert load_manifest(out).sources == 2
    assert f"\n{len(index)} clip pairs from 2 sources, made" in (out / "README.md").read_text()
    stats = collect(out)
    assert next(summary(stats)).startswith(f"{len(index)} samples of 2 sources")
    page = write_stats(stats, tmp_path / "stats.html").read_text()
    assert f"{len(index)} samples of 2 sources" in page
    show_info(out)
    told = capsys.readouterr().out
    assert f"{len(index)} samples of 2 sources in " in told
    assert merge([out, out], tmp_path / "both").sources == 2
