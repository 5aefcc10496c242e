"""Studies: variants of a model or of the data beside each other."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

import configs
from benchmarks.methods import Context
from benchmarks.runner import prediction_path, run
from benchmarks.settings import BenchSettings
from benchmarks.statistics import Estimate
from benchmarks.studies import commands
from benchmarks.studies.long_video import WAYS, drift, long_study, long_variants, seams_of
from benchmarks.studies.report import Study, table_of, write_study
from benchmarks.studies.unseen import train_without
from benchmarks.studies.variants import (
    check_pictures,
    guidance_study,
    guidance_variants,
    instruction_variants,
    temporal_variants,
    with_pictures,
)
from benchmarks.suite import make_suite
from configs import ConfigError, ModelError
from shards import Dataset
from shards.codecs import decode_video
from tests.conftest import make_sample, moving_clip
from vidiff import TrainSettings

SETTINGS = BenchSettings(bootstrap=100, examples=0, methods=("identity",), cost_samples=0)


def saved_model(folder, *overrides):
    """A pipeline of the smallest recipe in which noise, source, text and time matter."""
    import torch

    from vidiff.sizes import new_pipeline
    from vidiff.unet import MotionModule

    pipe = new_pipeline(configs.load(TrainSettings, "tiny-fast", list(overrides)))
    torch.manual_seed(0)
    for layer in (pipe.unet.conv_in, pipe.unet.conv_out):
        torch.nn.init.normal_(layer.weight, std=0.3)
    for module in pipe.unet.modules():
        if isinstance(module, MotionModule):
            for weight in module.parameters():
                torch.nn.init.normal_(weight, std=0.2)
    if pipe.image_projector is not None:
        torch.nn.init.normal_(pipe.image_projector.null)
    pipe.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return saved_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def seeing(tmp_path_factory):
    return saved_model(tmp_path_factory.mktemp("seeing"), "model.image_width=32", "model.image_layers=1")


def asked(frames: int = 4, seed: int = 0, **more):
    clip = moving_clip(seed, frames=frames, height=32, width=48)
    return replace(make_sample("dehaze", "test", 0), source=clip, target=clip, **more)


def answers(methods, sample):
    context = Context(dataset=None, task=sample.meta.task, seed=0)
    return {method.name: method.answer(context)(sample) for method in methods}


def test_without_temporal_layers_a_frame_is_made_without_its_neighbours(model):
    sample, other = asked(), asked()
    changed = other.source.copy()
    changed[3] = 255 - changed[3]
    before, after = (
        answers(temporal_variants(model), sample),
        answers(temporal_variants(model), replace(sample, source=changed)),
    )
    assert np.array_equal(before["frame by frame"][:3], after["frame by frame"][:3])
    assert not np.array_equal(before["temporal"][:3], after["temporal"][:3])
    assert not np.array_equal(before["temporal"], before["frame by frame"])


def test_a_variant_that_fails_ends_the_study_with_exit_code_1(model, toy_dataset, tmp_path, monkeypatch, capsys):
    def broken(model):
        raise ValueError("no time")

    assert commands.temporal(model, toy_dataset, ["dehaze"], SETTINGS, tmp_path / "well", 0) == 0
    monkeypatch.setattr("benchmarks.studies.variants._without_time", broken)
    assert commands.temporal(model, toy_dataset, ["dehaze"], SETTINGS, tmp_path / "ill", 0) == 1
    assert "dehaze frame by frame" in capsys.readouterr().err


def test_a_study_without_data_says_that_it_takes_procedural_scenes_and_which(
    model, toy_dataset, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(commands, "build_scenes", lambda out, settings, overrides: toy_dataset)
    for study in (lambda *given: commands.guidance(*given, [1.0], [3.0]), commands.temporal):
        assert study(model, None, ["dehaze"], SETTINGS.model_copy(update={"limit": 1}), tmp_path / "s", 0) == 0
        told = capsys.readouterr()
        assert told.err.startswith("no --data: building procedural scenes to score on\n")
        assert f"scored on scenes of content {Dataset(toy_dataset).manifest.sha256[:12]}, not the embedded" in told.out
    for study in ("instructions", "temporal", "guidance"):
        assert "[default: one built from procedural scenes]" in " ".join(bench(study, "--help").stdout.split())


def test_a_map_of_guidance_says_beforehand_what_it_costs_and_afterwards_of_what_model_it_is(
    model, toy_dataset, tmp_path, capsys
):
    settings = SETTINGS.model_copy(update={"limit": 2})
    assert commands.guidance(model, toy_dataset, ["dehaze"], settings, tmp_path / "s", 0, [1.0, 2.0], [1.0, 3.0]) == 0
    told = capsys.readouterr()
    assert told.err.startswith("4 pairs of scales on 2 samples: 8 translations, less what")
    words = " ".join(told.out.split())
    assert re.search(r"of one model, of [\d,]{6,} parameters", words)
    # it has no brackets to be explained otherwise
    assert "none below 6 videos" in words.split("guidance: How")[1]


def test_every_pair_of_scales_is_a_variant_of_its_own(model):
    variants = guidance_variants(model, (1.0, 2.0), (1.0, 7.5))
    assert [method.name for method in variants] == ["V1 T1", "V1 T7.5", "V2 T1", "V2 T7.5"]
    assert len({method.weights for method in variants}) == 4
    found = answers(variants, asked())
    assert len({clip.tobytes() for clip in found.values()}) == 4


def test_text_picture_and_both_are_three_questions(seeing):
    picture = moving_clip(5, frames=1, height=64, width=64)[0]
    variants = instruction_variants(seeing)
    found = answers(variants, asked(reference=picture))
    assert len({clip.tobytes() for clip in found.values()}) == 3
    other = answers(variants, asked(reference=255 - picture))
    assert np.array_equal(found["text"], other["text"])
    assert not np.array_equal(found["image"], other["image"])
    words = answers(variants, asked(reference=picture, instruction="Do something else."))
    assert np.array_equal(found["image"], words["image"])
    assert not np.array_equal(found["text+image"], words["text+image"])


def test_of_samples_those_with_a_picture_are_chosen_before_a_limit_counts(toy_dataset):
    suite = make_suite(toy_dataset, [], SETTINGS)
    with pytest.raises(ConfigError, match=r"no test sample of .* has a reference picture"):
        with_pictures(suite, None)
    first, second, *others = suite.rows["dehaze"]
    shown = [{**row, "members": [*row["members"], {"name": "reference.png"}]} for row in others]
    found = with_pictures(replace(suite, rows={**suite.rows, "dehaze": [first, second, *shown]}), 1)
    assert list(found.rows) == ["dehaze"]
    assert [row["key"] for row in found.rows["dehaze"]] == [others[0]["key"]]


def test_a_model_without_eyes_is_not_asked_with_pictures(model):
    told = r"takes no image instructions.*; 'vidiff-train --set model\.image_width=64' trains a model that has one"
    with pytest.raises(ConfigError, match=told):
        check_pictures(model)


def test_error_at_seams_by_hand():
    target = np.zeros((6, 4, 4, 3), np.uint8)
    answer = target + np.array([0, 1, 2, 8, 9, 10], np.uint8)[:, None, None, None]
    # steps of 1 everywhere, and of 6 before frame 3
    assert seams_of(answer, target, [3]) == 6
    assert seams_of(target, target, [3]) == 1
    assert seams_of(answer, target, []) is None
    # what the target itself does is no error
    assert seams_of(answer, answer, [3]) == 1


def test_drift_is_a_slope_per_hundred_frames():
    assert drift(30 - 0.02 * np.arange(50)) == pytest.approx(-2)
    assert drift(np.array([30.0])) == 0


def test_ways_of_joining_windows_are_compared_on_kept_answers(model, toy_dataset, tmp_path):
    variants = long_variants(model)
    assert [method.name for method in variants] == [name.replace(", ", "+") for name in WAYS]
    suite = make_suite(toy_dataset, ["dehaze"], SETTINGS.model_copy(update={"limit": 1}))
    done = run(suite, SETTINGS, tmp_path, entrants=variants)
    study = long_study(done, tmp_path, suite.dataset, SETTINGS, window=2, overlap=1)
    by_method = {record["method"]: record for record in study.records}
    assert set(by_method) == {"identity", *(method.name for method in variants)}
    row = next(row for row in done.rows if row["method"] == "identity")
    assert by_method["identity"]["PSNR (dB)"].mean == pytest.approx(row["scores"]["psnr"])
    assert {record["failed"] for record in study.records} == {"0/1"}


def test_long_clips_that_were_not_answered_are_counted_and_videos_count_alike(toy_dataset, tmp_path):
    suite = make_suite(toy_dataset, ["dehaze"], SETTINGS)
    done = run(suite, SETTINGS, tmp_path)
    rows = list(done.rows)
    assert len({row["video"] for row in rows}) == 2
    rows[0] = {**rows[0], "status": "failed", "scores": {}}
    study = long_study(replace(done, rows=rows), tmp_path, suite.dataset, SETTINGS, window=2, overlap=1)
    (record,) = study.records
    assert record["failed"] == "1/4"
    videos = [[row["scores"]["psnr"] for row in rows[1:] if row["video"] == v] for v in {row["video"] for row in rows}]
    assert record["PSNR (dB)"].mean == pytest.approx(np.mean([np.mean(own) for own in videos]))


def test_a_study_is_written_as_table_and_page(tmp_path):
    study = Study(name="n", question="q?", records=[{"a": 1.23456, "b": None}, {"a": 2.0, "b": "x"}], words=("w",))
    page = write_study(tmp_path, study)
    assert "q?" in page.read_text()
    assert (tmp_path / "study.csv").read_text().splitlines() == ["a,b", "1.23456,", "2.0,x"]
    assert table_of(study) == (["a", "b"], [["1.235", "n/a"], ["2", "x"]])


def test_an_estimate_is_three_columns_of_numbers_in_csv_and_sorts_by_its_mean_on_the_page(tmp_path):
    records = [{"m": "a|b", "x": Estimate(mean=9.5, low=9.0, high=10.25)}, {"m": "c", "x": Estimate(mean=10.0)}]
    study = Study(name="n", question="q?", records=[*records, {"m": "d", "x": None}])
    page = write_study(tmp_path, study).read_text()
    table = pd.read_csv(tmp_path / "study.csv")
    assert list(table) == ["m", "x", "x low", "x high"]
    assert table["x"].tolist()[:2] == [9.5, 10.0]
    assert table.dtypes["x low"].kind == "f"
    assert r"| a\|b | 9.50 [9.00, 10.25] |" in (tmp_path / "study.md").read_text()
    assert '<th class="" data-sort="number">x</th>' in page
    assert 'data-value="9.5">9.50 [9.00, 10.25]</td>' in page
    assert table_of(study, intervals=False)[1] == [["a|b", "9.50"], ["c", "10.00"], ["d", "n/a"]]


def bench(*words: object) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "benchmarks", "study", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


def test_the_help_says_what_each_study_asks_in_whole_sentences():
    listed = bench("--help").stdout.partition("Commands:")[2].partition("Exit codes")[0].strip().splitlines()
    assert len(listed) == 7
    assert all(line.endswith(".") and not line.endswith("..") for line in listed)


def test_studies_of_a_model_run_from_the_command_line(model, toy_dataset, tmp_path):
    line = [
        "guidance",
        "-m",
        model,
        "--data",
        toy_dataset,
        "-t",
        "dehaze",
        "--limit",
        2,
        "--out",
        tmp_path,
        "--workers",
        0,
    ]
    done = bench(*line, "--video", "1,2", "--text", "1")
    assert done.returncode == 0, done.stderr
    assert "change made" in done.stdout
    assert {path.name for path in tmp_path.iterdir()} >= {"study.html", "study.md", "study.csv", "index.html"}
    done = bench(*line, "--video", "1,x")
    assert done.returncode == 2
    assert "numbers with commas between" in done.stderr


def fidelity_to_source(folder, dataset, rows, measure):
    """The mean over videos of a measure between kept answers and their sources, by scikit-image."""
    videos = {}
    for row in rows:
        answer = decode_video(prediction_path(folder, row).read_bytes())
        frames = [measure(a, b) for a, b in zip(dataset[row["key"]].source, answer, strict=True)]
        videos.setdefault(row["video"], []).extend(frames)
    return np.mean([np.mean(own) for own in videos.values()])


def test_a_map_of_guidance_has_the_fidelity_to_the_source_as_scikit_image_measures_it(model, toy_dataset, tmp_path):
    settings = SETTINGS.model_copy(update={"keep": 10**9})
    suite = make_suite(toy_dataset, ["dehaze"], settings)
    done = run(suite, settings, tmp_path, entrants=guidance_variants(model, (1.0, 2.0), (1.0, 10.0)))
    study = guidance_study(done, tmp_path, suite.dataset, settings)
    window = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "channel_axis": -1}
    measures = {
        "PSNR to the source (dB)": lambda a, b: peak_signal_noise_ratio(a, b, data_range=255),
        "SSIM to the source": lambda a, b: structural_similarity(a, b, data_range=255, **window),
    }
    assert [(record["video scale"], record["text scale"]) for record in study.records] == [
        (1, 1),
        (1, 10),
        (2, 1),
        (2, 10),
    ]
    for record in study.records:
        name = f"V{record['video scale']:g} T{record['text scale']:g}"
        rows = [row for row in done.rows if row["method"] == name]
        for column, measure in measures.items():
            assert record[column].mean == pytest.approx(
                fidelity_to_source(tmp_path, suite.dataset, rows, measure), abs=5e-5
            )
        wanted = [row["scores"]["psnr"] for row in rows]
        assert record["PSNR (dB)"].mean == pytest.approx(np.mean(wanted), abs=1e-6)
        assert abs(record["PSNR to the source (dB)"].mean - record["PSNR (dB)"].mean) > 0.1


def test_leaving_a_task_out_trains_a_model_for_each(toy_dataset, tmp_path):
    options = ["--config", "tiny-fast", "--minutes", "0.02", "--workers", 0, "--limit", 1]
    done = bench("unseen", "--data", toy_dataset, "--out", tmp_path, *options)
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(tmp_path / "study.csv")
    assert table["task"].tolist() == ["dehaze", "recolor"]
    assert table[["identity", "never saw it", "trained on all"]].notna().all(axis=None)
    notes = sorted((tmp_path / "runs").glob("*.json"))
    assert [path.stem for path in notes] == ["all", "without-dehaze", "without-recolor"]
    steps = {json.loads(path.read_text())["steps"] for path in notes}
    assert len(steps) == 1, "all take as many steps as the first took in its time"
    assert f"took {steps.pop()} steps each" in (tmp_path / "study.md").read_text()


@pytest.mark.parametrize("what", ["minutes", "config", "tasks", "dataset"])
def test_a_finished_training_of_something_else_is_trained_anew(what, toy_dataset, tmp_path, monkeypatch):
    trained, told = [], []

    def training(command, **_):
        folder = Path(command[command.index("--out") + 1])
        (folder / "model").mkdir(parents=True, exist_ok=True)
        (folder / "log.jsonl").write_text('{"step": 7}\n')
        trained.append((folder.name, [word for word in command if word.startswith("steps")]))
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", training)
    dataset = Dataset(toy_dataset)
    given = {"dataset": dataset, "tasks": ["dehaze", "recolor"], "config": "tiny-fast", "minutes": 1.0}
    train_without(**given, out=tmp_path, tell=told.append)
    assert trained == [
        ("all", ["steps=null"]),
        ("without-dehaze", ["steps=7"]),
        ("without-recolor", ["steps=7"]),
    ]
    trained.clear()
    train_without(**given, out=tmp_path, tell=told.append)
    assert (trained, [words.split(":")[0] for words in told]) == ([], ["reused"] * 3)
    (tmp_path / "mine.yaml").write_text("extends: tiny-fast\noptimizer: {batch: 4}\n")
    other = SimpleNamespace(root=toy_dataset, manifest=SimpleNamespace(sha256="0" * 64), tasks=dataset.tasks)
    others = ["without-dehaze", "without-recolor"]
    changes = {
        "minutes": ({"minutes": 2.0}, ["all"], "another minutes"),
        "config": ({"config": str(tmp_path / "mine.yaml")}, ["all", *others], "another optimizer"),
        "tasks": ({"tasks": ["dehaze", "recolor", "x"]}, ["all", *others, "without-x"], "another data"),
        "dataset": ({"dataset": other}, ["all", *others], "another dataset"),
    }
    change, anew, words = changes[what]
    train_without(**{**given, **change}, out=tmp_path, tell=told.append)
    assert [name for name, _ in trained] == anew
    assert any(words in line for line in told[3:])


def test_a_training_that_failed_is_told_and_not_taken_for_finished(toy_dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, 3))
    for _ in range(2):
        with pytest.raises(ModelError, match="failed with exit code 3"):
            train_without(Dataset(toy_dataset), ["dehaze", "recolor"], tmp_path, "tiny-fast", 1.0, print)
    assert list(tmp_path.glob("*.json")) == []
