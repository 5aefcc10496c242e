"""Public test sets in their own layouts, scored by their papers' protocols."""

import subprocess
import sys

import cv2
import numpy as np
import pytest

from benchmarks.metrics import METRICS, psnr
from benchmarks.report import make_boards, to_latex, to_markdown
from benchmarks.runner import run
from benchmarks.scoring import enlarged, reduced
from benchmarks.settings import BenchSettings
from benchmarks.suites import build_suite, find_suite, suite_names
from configs import ConfigError
from shards import get_task
from tests.conftest import make_sample
from tests.datagen.layout_files import REAL, frames

SETTINGS = BenchSettings(bootstrap=100, examples=0, methods=("identity",), cost_samples=0)


@pytest.fixture
def gopro(tmp_path):
    """Two sequences of five and three frames, 48 x 32, in GoPro's layout."""
    clips = {}
    for name, count in (("GOPR1", 5), ("GOPR2", 3)):
        for kind, shift in (("blur", 20), ("sharp", 0)):
            clips[name, kind] = frames(
                tmp_path / "set" / "test" / name / kind, count, seed=count, names="{:06d}.png", shift=shift
            )
    return tmp_path / "set", clips


def small(name: str, *overrides: str, **changes):
    standard = find_suite(name)
    return standard.model_copy(update={"recipe": (*standard.recipe, *overrides), **changes})


def test_every_frame_of_a_set_is_scored_as_it_is_and_means_are_over_sequences(gopro, tmp_path):
    folder, clips = gopro
    suite = build_suite(small("gopro", "clip.size=48x32", "clip.frames=2"), folder, tmp_path / "o", SETTINGS, workers=0)
    assert sum(row["frames"] for row in suite.rows["deblur"]) == 8
    done = run(suite, SETTINGS, tmp_path / "o")
    (board,) = make_boards(done, SETTINGS)
    expected = [psnr(clips[name, "blur"], clips[name, "sharp"]).mean() for name in ("GOPR1", "GOPR2")]
    assert board.lines[0].entry.scores["psnr"].mean == pytest.approx(np.mean(expected), abs=1e-9)


def test_reported_rows_stand_beside_and_are_never_ranked(gopro, tmp_path):
    suite = build_suite(small("gopro", "clip.size=48x32"), gopro[0], tmp_path / "o", SETTINGS, workers=0)
    boards = make_boards(run(suite, SETTINGS, tmp_path / "o"), SETTINGS)
    markdown = to_markdown(boards)
    assert "| - | VRT (reported) | 34.81 | 0.9724 |" in markdown
    assert "NOT THE WHOLE TEST SET: 2 of 11 videos" in markdown
    assert [line.entry.method for line in boards[0].lines] == ["identity"]
    assert "VRT (reported) & 34.81" in to_latex(boards)
    assert r"\textbf{34.81}" not in to_latex(boards)


@pytest.mark.parametrize("name", suite_names())
def test_every_suite_names_a_task_metrics_and_settings_that_exist(name, tmp_path):
    from benchmarks.suites import _EXACT
    from configs import load
    from datagen import Recipe

    standard = find_suite(name)
    get_task(standard.task)
    assert all(metric in METRICS for row in standard.reported for metric in row.scores)
    load(Recipe, "default", [f"tasks={{{standard.task}: {{}}}}", *_EXACT, *standard.recipe])


def test_a_method_sees_the_reduced_input_and_is_scored_at_full_size():
    sample = make_sample("dehaze", "test", 0)
    half = reduced(sample, 0.5)
    assert half.source.shape == (4, 16, 24, 3)
    expected = np.stack([cv2.resize(frame, (24, 16), interpolation=cv2.INTER_LINEAR) for frame in sample.source])
    assert np.array_equal(half.source, expected)
    assert enlarged(half.source, sample.source.shape).shape == sample.source.shape
    assert reduced(sample, 1.0) is sample
    assert enlarged(sample.source, sample.source.shape) is sample.source


@pytest.mark.parametrize("name", ["gopro", "revide"])
def test_real_samples_of_a_set_are_taken_as_they_are(name, tmp_path):
    folder = REAL / {"gopro": "GOPRO_Large", "revide": "REVIDE_indoor"}[name]
    if not folder.is_dir():
        pytest.skip(f"no {folder.name} here")
    # reduced, to be quick; the layout, its official split and its single frames are what is asked
    suite = build_suite(small(name, "clip.size=320x180"), folder, tmp_path / "o", SETTINGS, workers=0)
    rows = run(suite, SETTINGS, tmp_path / "o").rows
    assert rows
    assert {row["status"] for row in rows} == {"ok"}


def bench(*words: object) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "benchmarks", "run", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--suite", "gopor", "--data", "."], "did you mean 'gopro'"),
        (["--suite", "gopro"], "needs --data FOLDER"),
        (["--suite", "gopro", "--data", ".", "-t", "dehaze"], "is for deblur"),
        (["--suite", "gopro", "--data", "{empty}"], "gopro"),
    ],
)
def test_what_is_no_suite_is_one_line(tmp_path, options, words):
    (tmp_path / "empty").mkdir()
    done = bench(*[option.format(empty=tmp_path / "empty") for option in options], "--out", tmp_path / "o")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert words in done.stderr


def test_unknown_suites_are_config_errors():
    with pytest.raises(ConfigError, match="available: bsd"):
        find_suite("nothing")
