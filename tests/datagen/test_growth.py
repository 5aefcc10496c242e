"""What happens to a finished dataset: more sources, a newer version, and what failed tried again."""

import json
import shutil
from contextlib import suppress

import datasets
import pyarrow.parquet as pq
import pytest

import datagen.sources.rendered
from configs import DatasetError, OutputError, SourceError
from datagen import build
from datagen.builder import take_out
from datagen.merge import merge
from datagen.plan import make_plan
from datagen.sources import find_source
from datagen.synthesize import open_readers
from shards import Dataset, load_manifest, verify
from shards.storage import sha256_of
from tests.datagen.conftest import SMALL, command
from tests.datagen.growing import (
    as_before,
    killed_at,
    recipe,
    rejects,
    samples,
    some,
    splits,
    stamps,
    with_recipe,
    without_later_settings,
)


def test_more_inputs_touch_no_shard_that_is_there_and_give_the_same_samples_as_a_build_of_all(videos, tmp_path):
    inputs, out = some(videos, tmp_path / "in", range(10)), tmp_path / "out"
    build(recipe(), out, sources=[str(inputs)])
    before, splits = stamps(out), {row["source_id"]: row["split"] for row in Dataset(out).index().to_pylist()}
    some(videos, inputs, range(10, 16))
    manifest = build(recipe(), out, sources=[str(inputs)])
    after = stamps(out)
    assert {path: after[path] for path in before} == before
    assert len(after) > len(before)
    assert manifest.sources == 16
    assert verify(out, decode=True) == []
    for row in Dataset(out).index().to_pylist():
        assert splits.get(row["source_id"], row["split"]) == row["split"]
    build(recipe(), tmp_path / "all", sources=[str(inputs)])
    grown, whole = samples(out), samples(tmp_path / "all")
    assert grown.keys() == whole.keys()
    # a new video may fill a split that stood empty when all were there at once
    same_split = [key for key in grown if Dataset(out)[key].meta.split == Dataset(tmp_path / "all")[key].meta.split]
    assert len(same_split) > 0.7 * len(grown)
    assert all(grown[key] == whole[key] for key in same_split)


@pytest.mark.parametrize("noted", [True, False])
def test_growth_that_is_killed_goes_on(noted, videos, tmp_path, monkeypatch):
    inputs, out = some(videos, tmp_path / "in", range(6)), tmp_path / "out"
    build(recipe(), out, sources=[str(inputs)])
    standing = (out / ".build" / "standing.json").read_text()
    if not noted:  # as a dataset of earlier versions, of which the manifest alone tells what stands
        (out / ".build" / "standing.json").unlink()
    some(videos, inputs, range(6, 12))
    shutil.copytree(out, tmp_path / "other")
    build(recipe(), tmp_path / "other", sources=[str(inputs)])

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("datagen.ledger.Ledger.record", stop)
        with pytest.raises(KeyboardInterrupt):
            build(recipe(), out, sources=[str(inputs)])
    assert not (out / "manifest.json").exists(), "what is not whole has no manifest"
    assert json.loads((out / ".build" / "standing.json").read_text()) == json.loads(standing)
    build(recipe(), out, sources=[str(inputs)])
    assert samples(out) == samples(tmp_path / "other")


def test_more_scenes_are_growth_too(tmp_path):
    few, many = (recipe("clip.size=32", "clip.frames=2", f"scenes.count={count}") for count in (20, 30))
    build(few, tmp_path / "x")
    before = stamps(tmp_path / "x")
    assert build(many, tmp_path / "x").sources == 30
    assert {path: stamps(tmp_path / "x")[path] for path in before} == before
    with pytest.raises(SourceError, match="10 of the 30"):
        build(few, tmp_path / "x")


def test_scenes_of_an_earlier_version_do_not_grow_and_what_is_said_to_help_does(tmp_path, monkeypatch):
    few, many = (recipe("clip.size=32", "clip.frames=2", f"scenes.count={count}") for count in (3, 5))
    with monkeypatch.context() as patch:
        real = datagen.sources.rendered._sha256
        patch.setattr(datagen.sources.rendered, "_sha256", lambda *described: real(*described, 1))
        build(few, tmp_path / "old")
    with pytest.raises(SourceError, match=r"the 3 scenes .* drawn by an earlier version of datagen.*\(datagen merge\)"):
        build(many, tmp_path / "old")
    build(many, tmp_path / "new")
    assert merge([tmp_path / "old", tmp_path / "new"], tmp_path / "both").sources == 8


def test_sources_that_are_gone_are_named_three_at_most_and_those_that_changed_are_called_so(videos, tmp_path):
    inputs, out = some(videos, tmp_path / "in", range(6)), tmp_path / "out"
    build(recipe(), out, sources=[str(inputs)])
    shutil.copy(videos / "v09.mp4", inputs / "v01.mp4")
    (inputs / "v04.mp4").unlink()
    with pytest.raises(SourceError, match=r"2 of the 6 that .* given \(v01.mp4 \(changed\), v04.mp4\); name them too"):
        build(recipe(), out, sources=[str(inputs)])
    with pytest.raises(SourceError, match=r"4 of the 6 .* given \(v00.mp4, v02.mp4, v03.mp4 and 1 more\); name"):
        build(recipe(), out, sources=[str(videos / "v05.mp4"), str(videos / "v01.mp4")])


@pytest.mark.parametrize("notes", [True, False])
def test_settings_that_came_later_and_stand_at_their_defaults_make_no_other_recipe(notes, videos, tmp_path):
    inputs, out = some(videos, tmp_path / "in", range(3)), tmp_path / "out"
    build(recipe(), out, sources=[str(inputs)])
    before = samples(out)
    with_recipe(out, without_later_settings)
    if not notes:
        shutil.rmtree(out / ".build")
    else:
        some(videos, inputs, range(3, 5))
    with pytest.raises(OutputError, match=r"another recipe: splits.only None -> 'train'; give --overwrite"):
        build(recipe("splits.only=train"), out, sources=[str(inputs)])
    assert build(recipe(), out, sources=[str(inputs)]).sources == (5 if notes else 3)
    assert before.items() <= samples(out).items()
    assert load_manifest(out).recipe == recipe().model_dump(mode="json")


def test_options_of_a_task_that_are_spelt_out_at_their_defaults_make_no_other_recipe(videos, tmp_path):
    sources = [str(videos / "v01.mp4")]
    build(recipe("tasks={recolor: {}}"), tmp_path / "out", sources=sources)
    before = stamps(tmp_path / "out")
    assert before
    build(recipe("tasks={recolor: {reference: 0.0}}"), tmp_path / "out", sources=sources)
    assert stamps(tmp_path / "out") == before, "nothing was made again"
    with pytest.raises(OutputError, match=r"another recipe: tasks.recolor.reference 0.0 -> 0.5"):
        build(recipe("tasks={recolor: {reference: 0.5}}"), tmp_path / "out", sources=sources)


def test_a_setting_that_is_gone_makes_another_recipe(videos, tmp_path):
    build(recipe(), tmp_path / "out", sources=[str(videos / "v01.mp4")])
    with_recipe(tmp_path / "out", lambda old: old | {"fog": 1})
    with pytest.raises(OutputError, match="another recipe: fog is gone; "):
        build(recipe(), tmp_path / "out", sources=[str(videos / "v01.mp4")])


@pytest.mark.parametrize("taken", [(), ("v01",)], ids=["grown", "and a source taken out"])
def test_what_is_done_to_an_earlier_dataset_leaves_all_its_indexes_with_the_same_columns(taken, videos, tmp_path):
    inputs, out, whole = some(videos, tmp_path / "in", range(10)), tmp_path / "out", tmp_path / "whole"
    for folder in (out, whole):
        build(recipe("tasks={recolor: {}}"), folder, sources=[str(inputs)])
        some(videos, inputs, range(10))
    as_before(out)
    tars = stamps(out)
    some(videos, inputs, range(10, 24))
    for folder in (out, whole):
        build(recipe("tasks={recolor: {}}"), folder, sources=[str(inputs)])
    assert tars.items() <= stamps(out).items()
    for folder in (out, whole) if taken else ():
        take_out(folder, taken, reason="by hand")
    assert verify(out, decode=True) == []
    indexes = [str(path) for path in sorted(out.glob("*/*.parquet"))]
    assert len({str(pq.read_schema(path)) for path in indexes}) == 1
    cache = str(tmp_path / "cache")
    rows = datasets.load_dataset("parquet", data_files=indexes, split="train", cache_dir=cache)
    assert {row["clean_sha256"] for row in rows} == {sha256_of(inputs / f"{row['source_id']}.mp4") for row in rows}
    assert Dataset(out).keys() == Dataset(whole).keys()
    read = [
        datasets.load_dataset(str(out), "recolor", split="train", streaming=streaming, cache_dir=cache)
        for streaming in (False, True)
    ]
    said = {row["source_sha256"]: row["clean_sha256"] for row in Dataset(out).index("recolor", "train").to_pylist()}
    for pairs in read:
        meta = [row["meta.json"] for row in pairs]
        assert {values["source_sha256"] for values in meta} == said.keys()
        assert all(values["clean_sha256"] in (None, said[values["source_sha256"]]) for values in meta)


def test_an_earlier_dataset_whose_indexes_were_being_completed_when_it_was_killed_is_whole_again(
    videos, tmp_path, monkeypatch
):
    inputs, start = some(videos, tmp_path / "in", range(3)), tmp_path / "start"
    one_task = recipe("tasks={recolor: {}}", "clip.per_video=1")
    build(one_task, start, sources=[str(inputs)])
    keys = Dataset(as_before(start)).keys()

    def made_again(*args):
        raise AssertionError("a clip was made again, and its effect may be another one by now")

    monkeypatch.setattr("datagen.synthesize.clip_samples", made_again)
    for write in range(1, 100):
        out = shutil.copytree(start, tmp_path / f"killed{write}")
        with monkeypatch.context() as patch:
            written = killed_at(write, patch)
            with suppress(KeyboardInterrupt):
                build(one_task, out, sources=[str(inputs)])
        build(one_task, out, sources=[str(inputs)])
        assert verify(out) == []
        assert Dataset(out).keys() == keys
        assert all("clean_sha256" in pq.read_schema(path).names for path in out.glob("*/*.parquet"))
        if written[0] < write:
            break
    assert 10 < write < 99


@pytest.mark.parametrize("name", ["plan", "identity", "excluded", "removal", "examined", "units/train-000000"])
def test_a_note_that_is_damaged_is_one_line_or_made_again(name, videos, tmp_path):
    inputs, start, out = some(videos, tmp_path / "in", range(3)), tmp_path / "start", tmp_path / "out"
    one_task = recipe("tasks={recolor: {}}", "clip.per_video=1")
    build(one_task, start, sources=[str(inputs)])
    for text in ("", "[]", "null", "{}"):
        shutil.copytree(start, out)
        (out / ".build" / f"{name}.json").write_text(text)
        if name in ("examined", "units/train-000000"):
            build(one_task, out, sources=[str(inputs)])
        else:
            with pytest.raises(
                DatasetError, match=rf"{name}.json is damaged; run the same 'datagen build' with --overw"
            ):
                build(one_task, out, sources=[str(inputs)])
            build(one_task, out, sources=[str(inputs)], overwrite=True)
        assert samples(out) == samples(start)
        assert verify(out) == []
        shutil.rmtree(out)


def test_what_failed_is_tried_again_only_when_asked(videos, tmp_path, monkeypatch):
    from configs import DecoderLostError

    inputs, out = some(videos, tmp_path / "in", range(4)), tmp_path / "out"
    real = open_readers

    def failing(settings):
        from contextlib import contextmanager

        @contextmanager
        def opened():
            with real(settings) as read:

                def broken(video, window):
                    if video.id == "v02" and window.start == 4:
                        raise DecoderLostError(f"{video.locator}: it hung")
                    return read(video, window)

                yield broken

        return opened()

    with monkeypatch.context() as patch:
        patch.setattr("datagen.workers.open_readers", failing)
        build(recipe(), out, sources=[str(inputs)])
    assert [reject["reason"] for reject in rejects(out)] == ["undecodable: v02.mp4: it hung"]
    build(recipe(), out, sources=[str(inputs)])
    assert len(rejects(out)) == 1
    build(recipe(), out, sources=[str(inputs)], retry_failed=True)
    assert rejects(out) == []
    build(recipe(), tmp_path / "clean", sources=[str(inputs)])
    assert samples(out) == samples(tmp_path / "clean")


def test_a_file_that_was_unreadable_and_is_mended_comes_in(videos, tmp_path):
    inputs, out = some(videos, tmp_path / "in", range(4)), tmp_path / "out"
    whole = (inputs / "v03.mp4").read_bytes()
    (inputs / "v03.mp4").write_bytes(whole[:500])
    assert build(recipe(), out, sources=[str(inputs)]).sources == 3
    (inputs / "v03.mp4").write_bytes(whole)
    assert build(recipe(), out, sources=[str(inputs)]).sources == 4
    assert rejects(out) == []


def told(*arguments):
    done = command(*arguments, "--workers", 0)
    assert done.returncode == 0, done.stderr
    return [line for line in done.stdout.splitlines() if line.startswith("no ")]


def test_an_empty_split_is_told_with_what_helps_and_that_helps(videos, tmp_path):
    inputs, out = some(videos, tmp_path / "in", range(2)), tmp_path / "out"
    settings = [f"--set={setting}" for setting in (*SMALL, "tasks={recolor: {}}")]
    arguments = ["build", *settings, "--from", inputs, "--out", out]
    assert told(*arguments) == [
        "no val samples: 2 sources with samples, none in val (samples: train 3, test 3; splits.val=0.1): more videos in --from "
        "fill it; so may another seed or larger share, with another --out"
    ]
    some(videos, inputs, [2])
    assert told(*arguments) == []
    (tested,) = (name for name, split in splits(out).items() if split == "test")
    (line,) = told("reject", out, "--source", tested)
    assert line.startswith(
        "no test samples: 2 sources with samples, none in test (samples: train 3, val 3; splits.test=0.1)"
    )
    before = splits(out)
    some(videos, inputs, [3])
    assert told(*arguments) == []
    assert splits(out) == before | {"v03": "test"}


@pytest.mark.parametrize("count", [1, 2, 3, 4])
@pytest.mark.parametrize("seed", range(6))
def test_of_few_videos_train_has_one_and_of_three_every_split(count, seed, videos, tmp_path):
    settings = recipe("tasks={recolor: {}}", f"seed={seed}", "splits={train: 0.4, val: 0.3, test: 0.3}")
    files = [str(videos / f"v{number:02d}.mp4") for number in range(count)]
    plan = make_plan((item for file in files for item in find_source(file, "").videos(settings, {})), settings)
    assert "train" in plan.splits.values()
    assert len(set(plan.splits.values())) == min(count, 3)
