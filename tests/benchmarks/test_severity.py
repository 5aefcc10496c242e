"""The study of severity: who is in it, and that its numbers are those of the boards, on the same videos at every level."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.commands import run_bench
from benchmarks.metrics import METRICS
from benchmarks.runner import Run, run
from benchmarks.settings import BenchSettings
from benchmarks.statistics import Estimate, leaderboard
from benchmarks.studies import commands, severity
from benchmarks.suite import make_suite
from configs import ConfigError
from datagen.effects.haze import through_haze
from shards.codecs import decode_image
from shards.pages import bytes_of
from tests.benchmarks.test_boards import row
from tests.benchmarks.test_studies import bench, saved_model

SETTINGS = BenchSettings(bootstrap=100, examples=0, methods=("identity",), cost_samples=0)

SMALL = "extends: bench\nclip: {frames: 2, size: 64}\nscenes: {count: 3}\n"


def test_levels_of_damage_are_scored_on_the_same_videos(tmp_path, monkeypatch):
    (tmp_path / "r.yaml").write_text(SMALL)
    settings = SETTINGS.model_copy(update={"recipe": str(tmp_path / "r.yaml")})
    runs = {}
    for level in (0.3, 0.7):
        dataset = severity.build_level("dehaze", level, tmp_path / str(level), settings, "scenes")
        known = [json.loads(row["parameters"])["transmission"]["mean"] for row in dataset.index().to_pylist()]
        assert known
        runs[level] = run(make_suite(dataset.root, ["dehaze"], settings), settings, tmp_path / f"out {level}")
    study = severity.severity_study("dehaze", runs, settings)
    (record,) = study.records
    assert record["method"] == "identity"
    assert record["0.3"].mean > record["0.7"].mean
    assert not any("becomes better" in words for words in study.words)
    turned = severity.severity_study("dehaze", {0.3: runs[0.7], 0.7: runs[0.3]}, settings)
    assert any("The input itself becomes better by PSNR from 0.3 to 0.7" in words for words in turned.words)


def test_haze_of_the_first_level_is_as_dense_as_its_words_say(tmp_path):
    (words,) = severity.SWEEPS["dehaze"].words
    haze, airlight, grey = map(float, re.findall(r"[\d.]*\d", words)[:3])
    black = through_haze(np.zeros((1, 1, 1, 3), np.uint8), np.full((1, 1, 1), 1 - haze, np.float32), [[airlight] * 3])
    assert (black == grey).all()
    (tmp_path / "r.yaml").write_text(SMALL)
    settings = SETTINGS.model_copy(update={"recipe": str(tmp_path / "r.yaml")})
    dataset = severity.build_level("dehaze", haze, tmp_path / "level", settings, "scenes")
    for index in dataset.index().to_pylist():
        sample, parameters = dataset[index["key"]], json.loads(index["parameters"])
        airlights = np.array(parameters["airlight"])[:, None, None]
        hazy, clean = ((clip / 255) ** 2.2 - airlights for clip in (sample.source, sample.target))
        # I - A = t (J - A) in each pixel, whose channels have one t
        t = (hazy * clean).sum(-1) / (clean**2).sum(-1)
        assert np.median(t) == pytest.approx(1 - haze, abs=0.1)
    assert words in severity.severity_study("dehaze", {0.2: inputs({0: 9.5})}, settings).words


def test_stills_are_shown_of_damage_and_not_of_motion(tmp_path):
    (tmp_path / "r.yaml").write_text(SMALL)
    settings = SETTINGS.model_copy(update={"recipe": str(tmp_path / "r.yaml")})
    dataset = severity.build_level("edit", 1, tmp_path / "level", settings, "scenes")
    assert dataset.keys("edit", "test")
    assert severity.level_pictures("edit", {1: dataset}) == []
    assert severity._small(np.zeros((480, 640, 3), np.uint8)).shape == (180, 240, 3)


def test_averages_of_a_severity_study_are_those_of_the_boards_with_their_intervals():
    rng = np.random.default_rng(0)

    def rows(level):
        # videos of one to three clips, of other lengths: neither the mean over clips nor that over frames
        return [
            {
                **{"task": "dehaze", "method": method, "ranked": True, "video": f"v{v}", "key": f"{v}-{clip}"},
                **{"frames": 4 * (clip + 1), "status": "ok", "seconds_per_frame": 0.1},
                **{"board": "dehaze", "learns": False, "leaked": False},
                "scores": {"psnr": 20 + 3 * v - 10 * level + rng.normal()},
            }
            for method in ("identity", "m")
            for v in range(8)
            for clip in range(1 + v % 3)
        ]

    runs = {level: Run(rows=rows(level), facts={}) for level in (0.1, 0.2)}
    runs[0.2].rows[-1].update(status="failed", scores={})
    study = severity.severity_study("dehaze", runs, SETTINGS)
    for level, done in runs.items():
        found = leaderboard(done.rows, [METRICS["psnr"]], draws=100, permutations=10_000, seed=0)
        boards = {entry.method: entry.scores["psnr"] for entry in found.entries}
        assert {record["method"]: record[f"{level:g}"] for record in study.records} == boards
        assert all(one.low < one.mean < one.high for one in boards.values())


def inputs(scores: dict[int, float]) -> Run:
    """Return a run of doing nothing on samples, one a video."""
    return Run(rows=[row("identity", v, score) for v, score in scores.items()], facts={})


def test_levels_at_which_datagen_adds_no_more_damage_are_told():
    runs = {0.2: inputs(dict.fromkeys(range(8), 20.0)), 0.5: inputs({v: 10.0 + v for v in range(8)})}
    runs[0.8] = inputs({v: 10.0 + v - (v > 5) for v in range(8)})
    (told,) = [words for words in severity.severity_study("dehaze", runs, SETTINGS).words if "is the same" in words]
    assert told.startswith("The input is the same at 0.5 and 0.8 on 6 of 8 samples: damage is at datagen's limit there")
    # motion does no damage to doing nothing
    assert not any("is the same" in words for words in severity.severity_study("edit", runs, SETTINGS).words)


def test_the_chart_has_the_intervals_of_the_table_and_none_are_spoken_of_where_there_are_none():
    for videos, intervals in ((8, 2), (3, 0)):
        runs = {level: inputs({v: 20.0 + v - 9 * level for v in range(videos)}) for level in (0.2, 0.5)}
        study = severity.severity_study("dehaze", runs, SETTINGS)
        ((_, svg),) = study.charts
        assert svg.count('class="interval"') == intervals
        told = " ".join(study.words)
        assert ("brackets in page and study.md: 95 % intervals" in told) == bool(intervals)
        assert ("No intervals, for there are 3 videos, fewer than 6" in told) == (not intervals)


@pytest.mark.parametrize("task", list(severity.SWEEPS))
def test_every_sweep_has_a_score_for_the_same_scenes_at_every_level(task, tmp_path):
    (tmp_path / "r.yaml").write_text(SMALL)
    settings = SETTINGS.model_copy(update={"recipe": str(tmp_path / "r.yaml"), "methods": ("identity",)})
    runs = {}
    for level in severity.SWEEPS[task].levels:
        dataset = severity.build_level(task, level, tmp_path / f"{level:g}", settings, "scenes")
        runs[level] = run(make_suite(dataset.root, [task], settings), settings, tmp_path / f"out {level:g}")
    study = severity.severity_study(task, runs, settings)
    (record,) = study.records
    # of a hole the input has what was there before, better or worse by chance where scenes are few
    assert task == "inpaint" or not any("becomes better" in words for words in study.words), "more damage is worse"
    assert all(isinstance(record[f"{level:g}"], Estimate) for level in severity.SWEEPS[task].levels)
    counts = {len({row["video"] for row in done.rows}) for done in runs.values()}
    assert counts <= {2, 3}, "hardly a scene is turned away at any level"


@pytest.fixture
def two_levels(monkeypatch, tmp_path):
    """Let sweeps of three small scenes have two levels, and give the settings for it."""
    for task in ("dehaze", "deblur"):
        sweep = severity.SWEEPS[task]
        monkeypatch.setitem(severity.SWEEPS, task, replace(sweep, levels=sweep.levels[::4]))
    (tmp_path / "r.yaml").write_text(SMALL)
    return SETTINGS.model_copy(update={"recipe": str(tmp_path / "r.yaml"), "methods": ()})


OWN = """
from benchmarks import Method

def nothing(clip, instruction, reference, mask):
    raise ValueError("no luck")

deblurs = Method(name="deblurs", tasks=("deblur",), summary="", paper="-", version=1, make=lambda context: nothing)
"""


def test_a_model_and_somebody_s_own_methods_stand_in_a_sweep_beside_the_bench_s(two_levels, tmp_path, capsys):
    (tmp_path / "own.py").write_text(OWN)
    settings = two_levels.model_copy(update={"methods": ("known_haze", "clahe", "unsharp"), "limit": 1})
    own = [f"{tmp_path / 'own.py'}:{name}" for name in ("nothing", "deblurs")]
    models = [f"mine={saved_model(tmp_path / 'model')}"]
    code = commands.severity(["dehaze", "deblur"], "scenes", settings, tmp_path / "s", 0, models=models, plugins=own)
    assert code == 1, "a method failed"
    told = capsys.readouterr().err
    assert "no luck" in told
    assert "dehaze: level 2 of 2, haze (1 - transmission of the median pixel) 0.8" in told
    tables = {task: pd.read_csv(tmp_path / "s" / task / "study.csv") for task in ("dehaze", "deblur")}
    assert set(tables["dehaze"]["method"]) == {"identity", "clahe", "known_haze (o)", "mine ?", "nothing ?"}
    assert set(tables["deblur"]["method"]) == {"identity", "unsharp", "mine ?", "nothing ?", "deblurs"}
    told = (tmp_path / "s" / "dehaze" / "study.md").read_text()
    assert "nothing failed on samples: 1 of 1 at 0.2, 1 of 1 at 0.8." in told
    assert "(o): knows the target, and is not in the chart; ?: has learnt from nobody knows what." in told
    page = (tmp_path / "s" / "dehaze" / "study.html").read_text()
    assert ">mine ?</text>" in page
    assert ">known_haze (o)</text>" not in page
    pictures = [decode_image(bytes_of(url)) for url in re.findall(r'<img src="([^"]*)"', page)]
    assert re.findall(r"<figcaption>(.*?)</figcaption>", page) == ["target", "input at 0.2", "input at 0.8"]
    target, *inputs = (picture.astype(float) for picture in pictures)
    assert 5 < np.abs(inputs[0] - target).mean() < np.abs(inputs[1] - target).mean(), "the same frame in more haze"


@pytest.mark.parametrize(
    ("methods", "plugins", "words"),
    [
        (("clahee",), [], "no method named 'clahee'; did you mean 'clahe'"),
        (("telea",), [], "'telea' is for inpaint; scored is dehaze"),
        ((), ["own.py:deblurs"], "'deblurs' is for deblur; scored is dehaze"),
    ],
)
def test_a_method_that_no_sweep_can_have_is_refused_before_anything_is_built(
    methods, plugins, words, two_levels, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    Path("own.py").write_text(OWN)
    settings = two_levels.model_copy(update={"methods": methods})
    with pytest.raises(ConfigError, match=words):
        commands.severity(["dehaze"], "scenes", settings, tmp_path / "s", 0, plugins=plugins)
    assert not (tmp_path / "s").exists()


def test_the_command_takes_methods_as_a_run_does(tmp_path):
    (tmp_path / "own.py").write_text(OWN)
    done = bench("severity", "-t", "dehaze", "--method", f"{tmp_path / 'own.py'}:deblurs", "--out", tmp_path / "s")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: method 'deblurs' is for deblur; scored is dehaze\n"
    done = bench("severity", "-t", "dehaze", "--model", tmp_path, "--out", tmp_path / "s")
    assert done.returncode == 2
    assert str(tmp_path) in done.stderr


def test_what_a_method_is_given_and_whom_it_learnt_from_is_said(two_levels):
    rows = [
        row(
            "m",
            v,
            20.0,
            task="segment",
            board="segment, first mask given",
            knows_its_data=True,
            **more,
            scores={"jf": 0.5},
        )
        for v, more in enumerate([{"learns": True, "leaked": True}, {"learns": True}])
    ]
    study = severity.severity_study("segment", {1.0: Run(rows=rows, facts={})}, two_levels)
    assert [record["method"] for record in study.records] == ["m, first mask given *"]
    assert "m has learnt from the videos of 1 segment sample that it is scored on: 0." in study.words


def test_answers_from_a_folder_are_not_in_the_sweep_of_the_embedded_suite(two_levels, tmp_path, monkeypatch, capsys):
    """Their keys are the same at every level: one and the same clip would be the answer to all."""
    datasets = [
        severity.build_level("dehaze", level, tmp_path / f"{level}", two_levels, "scenes")
        for level in severity.SWEEPS["dehaze"].levels
    ]
    assert datasets[0].keys() == datasets[1].keys()
    swept = []
    monkeypatch.setattr(commands, "sweep", lambda *given: swept.append([method.name for method in given[-1]]) or 0)
    (tmp_path / "own.py").write_text(OWN)
    answers = tmp_path / "p" / "dehaze"
    answers.mkdir(parents=True)
    (answers / "some_key.mkv").write_bytes(b"")
    settings = two_levels.model_copy(update={"methods": ("identity",), "limit": 1})
    own = [f"{tmp_path / 'own.py'}:nothing"]
    given = {"plugins": own, "folders": [f"{tmp_path / 'p'}"], "standard": "scenes"}
    assert run_bench(settings, None, ["dehaze"], tmp_path / "out", **given) == 1
    assert swept == [["nothing"]]
    assert "predictions, whose keys are the same at every level" in capsys.readouterr().out
