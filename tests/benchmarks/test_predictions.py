"""Answers that were made elsewhere: which files answer a sample, and what is wrong with those that do not."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from benchmarks.audit import audit
from benchmarks.commands import publish_report, run_bench
from benchmarks.methods import Method
from benchmarks.methods.entrants import predictions
from benchmarks.methods.segmentation import painted
from benchmarks.metrics.masks import boundary_accuracy, region_similarity
from benchmarks.report import make_boards
from benchmarks.report.stored import load_run
from benchmarks.runner import run as run_all
from benchmarks.suite import make_suite
from configs import ConfigError
from shards import Dataset, Manifest, encode_sample, write_card, write_shard
from shards.codecs import encode_video
from shards.storage import sha256_of
from shards.video import write_video
from tests.benchmarks.test_entrants import SETTINGS, scored
from tests.benchmarks.test_studies import saved_model
from tests.conftest import make_sample, moving_clip
from vidiff.training_data import Learnt
from vidiff.translate import Translator
from vidiff.translate_many import translate_dataset


@pytest.fixture
def suite(toy_dataset):
    return make_suite(toy_dataset, ["dehaze"], SETTINGS)


def answers(dataset: Dataset, folder: Path, ending: str = ".mkv") -> Path:
    (folder / "dehaze").mkdir(parents=True)
    for key in dataset.keys("dehaze", "test"):
        sample = dataset[key]
        if ending == ".mkv":
            (folder / "dehaze" / f"{key}.mkv").write_bytes(encode_video(sample.target, 25, "lossless"))
        else:
            write_video(folder / "dehaze" / f"{key}{ending}", sample.target, fps=25)
    return folder


def test_clips_that_were_made_elsewhere_are_scored_as_they_are(suite, tmp_path):
    folder = answers(suite.dataset, tmp_path / "their answers")
    rows = scored(suite, tmp_path / "out", predictions(str(folder)))
    assert {row["method"] for row in rows} == {"their-answers"}
    assert [row["scores"]["psnr"] for row in rows] == [100.0] * 4
    lossy = answers(suite.dataset, tmp_path / "lossy", ".mp4")
    assert all(15 < row["scores"]["psnr"] < 100 for row in scored(suite, tmp_path / "out", predictions(str(lossy))))


@pytest.mark.parametrize("count", [0, 1])
def test_what_reading_answers_takes_is_no_cost(suite, tmp_path, count):
    theirs = predictions(str(answers(suite.dataset, tmp_path / "theirs")))
    settings, out = SETTINGS.model_copy(update={"methods": ("identity",), "cost_samples": count}), tmp_path / "out"
    done = run_all(suite, settings, out, entrants=[theirs])
    (board,) = make_boards(done, settings)
    assert {line.name.split()[0]: line.seconds_per_frame is None for line in board.lines} == {
        "theirs": True,
        # what scoring took, with others at work beside it, stands in the place of no measurement
        "identity": count == 0,
    }
    publish_report(out, done, settings, suite.dataset)
    assert audit(out).wrong == []
    assert load_run(out).costs == done.costs
    noted = (out / "costs.jsonl").read_text()
    assert run_all(suite, settings, out, entrants=[theirs]).costs == done.costs
    assert (out / "costs.jsonl").read_text() == noted


def test_answers_of_a_model_that_had_seen_a_video_leak_as_the_model_itself(suite, tmp_path):
    folder = answers(suite.dataset, tmp_path / "theirs")
    assert not any(
        row["leaked"] or row["knows_its_data"] for row in scored(suite, tmp_path / "out", predictions(str(folder)))
    )
    seen = suite.rows["dehaze"][0]["clean_sha256"]
    Learnt(sources=frozenset({seen}), complete=True).save(folder)
    rows = scored(suite, tmp_path / "out", predictions(str(folder)))
    assert [row["key"] for row in rows if row["leaked"]] == [
        row["key"] for row in suite.rows["dehaze"] if row["clean_sha256"] == seen
    ]
    assert all(row["knows_its_data"] for row in rows)


def test_folders_of_pictures_are_clips(suite, tmp_path):
    for key in suite.dataset.keys("dehaze", "test"):
        folder = tmp_path / "theirs" / "dehaze" / key
        folder.mkdir(parents=True)
        for number, frame in enumerate(suite.dataset[key].target):
            Image.fromarray(frame).save(folder / f"{number:05d}.png")
    rows = scored(suite, tmp_path / "out", predictions(str(tmp_path / "theirs")))
    assert [row["scores"]["psnr"] for row in rows] == [100.0] * 4


@pytest.fixture
def segments(tmp_path):
    """One sample of a moving square on a ground that has the paint's colour in places."""
    mask = np.zeros((4, 32, 48), np.uint8)
    mask[:, 8:24, 10:30] = 255
    source = moving_clip(0)
    source[:, :, 30:] = (214, 38, 40)
    sample = make_sample("segment", "test", 0, mask=mask)
    meta = dataclasses.replace(sample.meta, parameters={"rgb": [214, 38, 40]})
    sample = dataclasses.replace(sample, meta=meta, source=source, target=painted(source, mask > 0, (214, 38, 40)))
    root = tmp_path / "segments"
    manifest = Manifest(
        recipe={"seed": 0},
        recipe_digest="0",
        code_version="0",
        shards=(write_shard(root / "segment" / "test-000000.tar", [encode_sample(sample)]),),
        sources=1,
    )
    write_card(root, manifest, {"CC0-1.0": 1})
    manifest.save(root)
    return make_suite(root, [], SETTINGS)


def test_masks_that_are_answered_again_are_compared_as_they_are_painted(segments, tmp_path):
    steady = Method(
        name="steady",
        tasks=("segment",),
        summary="",
        paper="-",
        version=1,
        make=lambda context: lambda clip, *_: clip[..., 0] > 100,
    )
    settings = SETTINGS.model_copy(update={"methods": ("empty",), "cost_samples": 1})
    spent = run_all(segments, settings, tmp_path / "out", entrants=[steady]).costs["segment", "steady"]
    assert (spent["asked_again"], spent["answered_otherwise"]) == (1, 0)


def test_masks_are_scored_as_they_are_whatever_lies_below_them(segments, tmp_path):
    (key,) = segments.dataset.keys("segment")
    mask = segments.dataset[key].mask
    found = np.roll(mask, 8, axis=2)
    folder = tmp_path / "theirs" / "segment" / key
    folder.mkdir(parents=True)
    for number, frame in enumerate(found):
        # object numbers, as DAVIS' results have them
        Image.fromarray(frame // 255 * 2).save(folder / f"{number:05d}.png")
    out = tmp_path / "out"
    done = run_all(segments, SETTINGS, out, entrants=[predictions(str(tmp_path / "theirs"))])
    row = next(row for row in done.rows if row["method"] == "theirs")
    assert row["scores"]["j"] == pytest.approx(region_similarity(found, mask).mean())
    assert row["scores"]["f"] == pytest.approx(boundary_accuracy(found, mask).mean())
    publish_report(out, done, SETTINGS, segments.dataset)
    assert audit(out).wrong == []
    kept = next(out.glob("predictions/theirs/*.masks.mkv"))
    kept.unlink()
    assert any("is not the masks that were scored" in words for words in audit(out).wrong)
    run_all(segments, SETTINGS, out, entrants=[predictions(str(tmp_path / "theirs"))])
    assert kept.is_file()


def test_what_a_clip_counts_in_a_pooled_mean_cannot_be_made_up(segments, tmp_path):
    out = tmp_path / "out"
    publish_report(out, run_all(segments, SETTINGS, out), SETTINGS, segments.dataset)
    table = pd.read_parquet(out / "rows.parquet")
    table["overall_iou.weight"] *= 2
    table.to_parquet(out / "rows.parquet", index=False)
    noted = [json.loads(line) for line in (out / "rows.jsonl").read_text().splitlines()]
    for row in noted:
        row["weights"]["overall_iou"] *= 2
    (out / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in noted))
    facts = json.loads((out / "run.json").read_text())
    signed = {**facts, "rows_sha256": sha256_of(out / "rows.parquet")}
    (out / "run.json").write_text(json.dumps(signed))
    (wrong,) = audit(out, method="identity").wrong
    assert "overall_iou is written to count" in wrong


def test_masks_of_another_size_or_kind_are_failures(segments, tmp_path):
    for number, answer in enumerate(
        (np.zeros((4, 16, 24), bool), np.zeros((4, 32, 48)), np.zeros((3, 32, 48), np.uint8))
    ):
        method = Method(
            name="odd",
            tasks=(),
            summary="",
            paper="",
            version=number,
            make=lambda context, answer=answer: lambda *_: answer,
        )
        done = run_all(segments, SETTINGS, tmp_path / "out", entrants=[method])
        row = next(row for row in done.rows if row["method"] == "odd")
        assert row["status"] == "failed"
        assert "answered masks" in row["error"]


def test_a_missing_clip_and_one_of_another_length_or_size_are_failures(suite, tmp_path):
    folder = answers(suite.dataset, tmp_path / "p")
    first, second, third, _ = suite.dataset.keys("dehaze", "test")
    (folder / "dehaze" / f"{first}.mkv").unlink()
    small = np.ascontiguousarray(suite.dataset[third].target[:, ::2, ::2])
    (folder / "dehaze" / f"{third}.mkv").write_bytes(encode_video(small, 25, "lossless"))
    short = suite.dataset[second].target[:-1]
    (folder / "dehaze" / f"{second}.mkv").write_bytes(encode_video(short, 25, "lossless"))
    rows = {row["key"]: row for row in scored(suite, tmp_path / "out", predictions(str(folder)))}
    assert "no prediction of this sample" in rows[first]["error"]
    assert f"dehaze/{second}.mkv has 3 frames, the sample has 4" in rows[second]["error"]
    assert "(4 frames of 24 x 16), not uint8 [4, 32, 48, 3] (4 frames of 48 x 32)" in rows[third]["error"]
    assert sum(row["status"] == "ok" for row in rows.values()) == 1


def test_how_many_samples_have_a_prediction_is_told_once(toy_dataset, tmp_path, capsys):
    folder = answers(Dataset(toy_dataset), tmp_path / "p")
    first, second, *_ = Dataset(toy_dataset).keys("dehaze", "test")
    for key in (first, second):
        (folder / "dehaze" / f"{key}.mkv").rename(folder / "dehaze" / f"{key}-v2.mkv")
    code = run_bench(SETTINGS, toy_dataset, ["dehaze"], tmp_path / "o", folders=[f"theirs={folder}"])
    told = capsys.readouterr().err
    assert code == 1
    assert f"predictions of 2 of 4 dehaze samples; {first} and 1 more without one count as failed" in told
    assert f"dehaze/{first}-v2.mkv and 1 more are of no sample that is scored" in told
    assert f"failed: dehaze theirs {first} and 1 more: FileNotFoundError: no prediction of this sample" in told


def test_endings_may_be_capitals_and_two_answers_to_one_sample_are_told(suite, tmp_path):
    folder = answers(suite.dataset, tmp_path / "p")
    first, second, *_ = suite.dataset.keys("dehaze", "test")
    (folder / "dehaze" / f"{first}.mkv").rename(folder / "dehaze" / f"{first}.MKV")
    pictures = folder / "dehaze" / second
    pictures.mkdir()
    for number, frame in enumerate(suite.dataset[second].target):
        Image.fromarray(frame).save(pictures / f"{number}.PNG")
    with pytest.raises(ConfigError, match=rf"{second} and {second}.mkv beside it answer the same sample"):
        predictions(str(folder))
    (folder / "dehaze" / f"{second}.mkv").unlink()
    (folder / "dehaze" / "._junk.mkv").touch()
    (folder / "dehaze" / "notes").mkdir()
    assert [row["scores"]["psnr"] for row in scored(suite, tmp_path / "out", predictions(str(folder)))] == [100.0] * 4
    (folder / "dehaze" / f"{first}.mp4").touch()
    with pytest.raises(ConfigError, match=rf"{first}.MKV and {first}.mp4 beside it"):
        predictions(str(folder))
    with pytest.raises(ConfigError, match=rf"TASK one of .*dehaze.*; is it {folder}\?"):
        predictions(str(tmp_path))


def test_clips_that_were_made_anew_are_scored_anew(suite, tmp_path):
    folder = answers(suite.dataset, tmp_path / "p")
    scored(suite, tmp_path / "out", predictions(str(folder)))
    key = suite.dataset.keys("dehaze", "test")[0]
    changed = np.full_like(suite.dataset[key].target, 9)
    (folder / "dehaze" / f"{key}.mkv").write_bytes(encode_video(changed, 25, "lossless"))
    row = next(r for r in scored(suite, tmp_path / "out", predictions(str(folder))) if r["key"] == key)
    assert row["scores"]["psnr"] < 30


def test_folders_without_clips_are_told(tmp_path):
    with pytest.raises(ConfigError, match="no folder"):
        predictions(str(tmp_path / "none"))
    with pytest.raises(ConfigError, match="holds no predictions"):
        predictions(str(tmp_path))


def test_two_methods_of_one_name_are_told(suite, tmp_path):
    folder = answers(suite.dataset, tmp_path / "p")
    with pytest.raises(ConfigError, match="two methods are named 'identity'"):
        run_all(suite, SETTINGS, tmp_path / "out", entrants=[predictions(f"identity={folder}")])


def test_answers_that_all_follow_one_instruction_are_noted(suite, tmp_path, capsys):
    translator, settings = Translator(saved_model(tmp_path / "model")), SETTINGS.model_copy(update={"limit": 1})
    chosen = make_suite(suite.dataset.root, ["dehaze"], settings)
    for name, said, told in (("own", None, False), ("theirs", "make it\nsnow", True)):
        folder, out, how = tmp_path / name, tmp_path / f"out {name}", {"task": "dehaze", "split": "test", "said": {}}
        translate_dataset(translator, suite.dataset.root, folder, **how, instruction=said, num_inference_steps=1)
        done = run_all(chosen, settings, out, entrants=[predictions(str(folder))])
        publish_report(out, done, settings, suite.dataset)
        found = f"! {name}: all its answers follow the one instruction 'make it snow', not the samples' own\n"
        assert (found in capsys.readouterr().out) == told
        assert audit(out).wrong == []
    older = [{name: value for name, value in row.items() if name != "remark"} for row in done.rows]
    assert make_boards(dataclasses.replace(done, rows=older), settings)
    note = folder / "translation.json"
    note.write_text(json.dumps({"instruction": "snow " * 40}))
    assert predictions(str(folder)).remark.endswith("snow snow ...', not the samples' own")
    note.write_text("[]")
    with pytest.raises(ConfigError, match=r"translation\.json, which says how these answers were made, is damaged"):
        predictions(str(folder))
