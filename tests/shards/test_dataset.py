import json
import shutil
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from configs import DatasetError, OutputError
from shards import Dataset, encode_sample, load_manifest, stream, verify, write_shard
from shards.card import wids_index
from shards.codecs import decode_video
from shards.reader import decode_sample
from shards.writer import INDEX
from tests.conftest import make_sample


def plain(members: dict) -> dict:
    return {name: bytes(data) for name, data in members.items() if not name.startswith("__")}


@pytest.fixture(scope="module")
def expected(toy_dataset) -> dict:
    dataset = Dataset(toy_dataset)
    return {key: dataset.members(key) for key in dataset.keys("dehaze", "train")}


def test_a_sample_comes_back_as_it_was_written(toy_dataset):
    written = make_sample("dehaze", "train", 3)
    read = Dataset(toy_dataset)[written.key]
    assert read.instruction == written.instruction
    assert read.meta == written.meta
    assert np.abs(read.target.astype(int) - written.target).mean() < 2
    assert np.array_equal(read.target, decode_video(encode_sample(written).members["target.mkv"]))


def test_captions_are_in_the_index_and_datasets_from_before_there_were_any_still_read(toy_dataset, tmp_path):
    sample = make_sample("dehaze", "train", 3)
    assert Dataset(toy_dataset).row(sample.key)["caption"] == sample.meta.caption != ""
    old = shutil.copytree(toy_dataset, tmp_path / "old")
    for index in old.glob("*/*.parquet"):
        pq.write_table(pq.read_table(index).drop_columns("caption"), index)
    encoded = encode_sample(sample).members
    meta = json.loads(encoded["meta.json"])
    del meta["caption"]
    dataset = Dataset(old)
    assert set(dataset.index()["caption"].to_pylist()) == {""}
    assert dataset.index().schema.equals(INDEX)
    assert np.array_equal(dataset[sample.key].target, Dataset(toy_dataset)[sample.key].target)
    read = decode_sample(sample.key, {**encoded, "meta.json": json.dumps(meta).encode()})
    assert read.meta == replace(sample.meta, caption="")


def test_masks_and_references_come_back_exactly(tmp_path):
    rng = np.random.default_rng(0)
    mask = rng.integers(0, 256, (4, 32, 48), dtype=np.uint8)
    reference = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    sample = make_sample("inpaint", "train", 0, mask=mask, reference=reference)
    read = decode_sample(sample.key, encode_sample(sample).members)
    assert np.array_equal(read.mask, mask)
    assert np.array_equal(read.reference, reference)


def test_webdataset_reads_the_same_members(toy_dataset, expected):
    import webdataset

    shards = [toy_dataset / "dehaze" / f"train-00000{n}.tar" for n in (0, 1)]
    found = {item["__key__"]: plain(item) for item in webdataset.WebDataset(list(map(str, shards)), shardshuffle=False)}
    assert found == expected


def test_our_stream_gives_every_sample_in_stored_order(toy_dataset):
    dataset = Dataset(toy_dataset)
    samples = list(stream(toy_dataset, "recolor", "train"))
    assert [sample.key for sample in samples] == dataset.keys("recolor", "train")
    assert np.array_equal(samples[7].source, dataset[samples[7].key].source)


@pytest.mark.parametrize("streaming", [False, True])
def test_hugging_face_datasets_reads_the_same_members(toy_dataset, expected, streaming, tmp_path):
    import datasets

    pairs = datasets.load_dataset(
        str(toy_dataset), "dehaze", split="train", streaming=streaming, cache_dir=str(tmp_path)
    )
    found = {row["__key__"]: row for row in pairs}
    assert found.keys() == expected.keys()
    for key, members in expected.items():
        assert found[key]["source.mkv"]["bytes"] == members["source.mkv"]
        assert found[key]["target.mkv"]["bytes"] == members["target.mkv"]
        assert found[key]["instruction.txt"] == members["instruction.txt"].decode()
        assert found[key]["meta.json"] == json.loads(members["meta.json"])


def test_the_hugging_face_card_names_every_split(toy_dataset, tmp_path):
    import datasets

    pairs = datasets.load_dataset(str(toy_dataset), "recolor", cache_dir=str(tmp_path))
    assert {name: len(split) for name, split in pairs.items()} == {"train": 12, "validation": 2, "test": 4}


def test_wids_index_counts_what_the_tars_hold(toy_dataset):
    import tarfile

    index = wids_index(toy_dataset, load_manifest(toy_dataset), "dehaze", "train")
    assert index["__kind__"] == "wids-shard-index-v1"
    for shard in index["shardlist"]:
        with tarfile.open(toy_dataset / "dehaze" / shard["url"]) as tar:
            assert len({name.split(".")[0] for name in tar.getnames()}) == shard["nsamples"]


def test_the_index_points_at_the_bytes(toy_dataset):
    for path in toy_dataset.glob("*/*.parquet"):
        data = path.with_suffix(".tar").read_bytes()
        for row in pq.read_table(path).to_pylist():
            text = next(m for m in row["members"] if m["name"] == "instruction.txt")
            assert data[text["offset"] : text["offset"] + text["size"]].decode() == row["instruction"]
            assert data[row["offset"] :].startswith(row["key"].encode())


def test_writing_twice_gives_the_same_bytes(tmp_path):
    samples = [make_sample("dehaze", "train", n) for n in range(3)]
    first = write_shard(tmp_path / "a" / "train-000000.tar", [encode_sample(s) for s in samples])
    second = write_shard(tmp_path / "b" / "train-000000.tar", [encode_sample(s) for s in samples])
    assert (first.sha256, first.index_sha256) == (second.sha256, second.index_sha256)


def test_a_writer_that_fails_leaves_nothing(tmp_path):
    def failing():
        yield encode_sample(make_sample("dehaze", "train", 0))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_shard(tmp_path / "dehaze" / "train-000000.tar", failing())
    assert not list((tmp_path / "dehaze").iterdir())


def test_a_place_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="cannot write"):
        write_shard(tmp_path / "file" / "train-000000.tar", [])


def test_a_sound_dataset_verifies(toy_dataset):
    assert verify(toy_dataset, decode=True) == []


def damage(copy, kind):
    tar = copy / "dehaze" / "train-000000.tar"
    data = tar.read_bytes()
    if kind == "cut":
        tar.write_bytes(data[: len(data) // 2 // 512 * 512])
    elif kind == "flip":
        tar.write_bytes(data[:5000] + bytes([data[5000] ^ 1]) + data[5001:])
    elif kind == "lost":
        tar.unlink()
    elif kind == "extra":
        shutil.copy(tar, tar.with_name("train-000009.tar"))
    elif kind == "index":
        tar.with_suffix(".parquet").write_bytes(b"nothing")


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        ("cut", "cut short"),
        ("flip", "changed"),
        ("lost", "missing"),
        ("extra", "not in the manifest"),
        ("index", "changed"),
    ],
)
def test_each_kind_of_damage_is_named(toy_dataset, tmp_path, kind, word):
    copy = tmp_path / "copy"
    shutil.copytree(toy_dataset, copy)
    damage(copy, kind)
    problems = verify(copy)
    assert len(problems) == 1
    assert word in problems[0]
    assert "dehaze/train-00000" in problems[0]


def test_an_index_with_other_columns_is_one_line(toy_dataset, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(toy_dataset, copy)
    pq.write_table(pa.table({"key": [None, 1]}), copy / "dehaze" / "train-000000.parquet")
    with pytest.raises(DatasetError, match="other columns than an index"):
        Dataset(copy)


def test_a_cut_shard_is_not_read_silently(toy_dataset, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(toy_dataset, copy)
    damage(copy, "cut")
    dataset = Dataset(copy)
    with pytest.raises(DatasetError, match="cut short"):
        dataset[dataset.keys("dehaze", "train")[5]]


@pytest.mark.parametrize(
    "edit",
    [
        lambda values: values["shards"][0].update(sha256="0" * 64),
        lambda values: values["recipe"].update(seed=99),
        lambda values: values.update(rejects=[]),
        lambda values: values.update(sources=None),
        lambda values: values.update(shards=3),
        lambda values: values.pop("recipe"),
    ],
)
def test_an_edited_manifest_is_noticed(toy_dataset, tmp_path, edit):
    copy = tmp_path / "copy"
    shutil.copytree(toy_dataset, copy)
    path = copy / "manifest.json"
    values = json.loads(path.read_text())
    edit(values)
    path.write_text(json.dumps(values))
    with pytest.raises(DatasetError, match="was changed by hand"):
        Dataset(copy)


@pytest.mark.parametrize(
    "make",
    [
        lambda p: None,
        lambda p: p.write_text("x"),
        lambda p: p.mkdir(),
        lambda p: (p.mkdir(), (p / "manifest.json").write_text("{")),
        lambda p: (p.mkdir(), (p / "manifest.json").write_text("[1]")),
        lambda p: (p.mkdir(), (p / "manifest.json").write_text('{"format": 1}')),
    ],
)
def test_a_folder_that_is_no_dataset_is_one_line(tmp_path, make):
    make(tmp_path / "x")
    with pytest.raises(DatasetError) as error:
        Dataset(tmp_path / "x")
    assert "\n" not in str(error.value)


def test_an_unknown_task_or_key_is_named_with_what_was_meant(toy_dataset):
    dataset = Dataset(toy_dataset)
    with pytest.raises(DatasetError, match="did you mean 'dehaze'"):
        dataset.index("dehase")
    with pytest.raises(DatasetError, match="did you mean 'dehaze-train-00"):
        dataset["dehaze-train-000"]


def test_of_the_keys_that_an_unknown_one_could_be_few_are_listed(toy_dataset):
    dataset = Dataset(toy_dataset)
    with pytest.raises(DatasetError) as error:
        dataset["nosuchkey"]
    assert len(dataset.keys()) > 3
    shown = ", ".join(sorted(dataset.keys())[:3])
    assert str(error.value).endswith(f"available: {shown}, ... ({len(dataset.keys())} in all)")
