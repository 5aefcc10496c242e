"""The suite of procedural scenes: its content, and the sweep that comes with it."""

import cv2
import pytest

from benchmarks.settings import BenchSettings
from benchmarks.suite import EMBEDDED, build_scenes, describe_scenes
from configs import OutputError
from shards import Dataset
from tests.benchmarks.test_suite_folders import bench


def test_the_embedded_suite_is_what_it_was_published_as(tmp_path):
    # a question mark behind what OpenCV could use and the machine has not
    if not {"AVX2", "*AVX2"} & set(cv2.getCPUFeaturesLine().split()):
        pytest.skip("no AVX2 here: OpenCV rounds otherwise, and makes other pictures")
    folder = build_scenes(tmp_path, BenchSettings())
    # a change of what datagen makes changes the suite: then raise EMBEDDED, and say so in the changelog
    assert describe_scenes(folder) == f"the embedded suite, content {EMBEDDED}"


def test_other_scenes_are_not_taken_for_it(tmp_path):
    (tmp_path / "r.yaml").write_text(
        "extends: bench\nclip: {frames: 2, size: 64}\nscenes: {count: 3}\ntasks: {dehaze: {}}\n"
    )
    folder = build_scenes(tmp_path, BenchSettings(recipe=str(tmp_path / "r.yaml")))
    assert f"not the embedded suite's {EMBEDDED}" in describe_scenes(folder)


def test_the_embedded_suite_comes_with_a_sweep_of_the_damage(tmp_path):
    small = "extends: bench\nclip: {frames: 2, size: 64}\nscenes: {count: 4}\ntasks: {dehaze: {}}\nsplits: {train: 0, test: 1}\n"
    (tmp_path / "r.yaml").write_text(small)
    options = [
        "--suite",
        "scenes",
        "-t",
        "dehaze",
        "-t",
        "inpaint",
        "--methods",
        "clahe",
        "--workers",
        "0",
        "--set",
        f"recipe={tmp_path / 'r.yaml'}",
    ]
    done = bench(*options, "--set", "cost_samples=0", "--out", tmp_path / "o")
    assert done.returncode == 0, done.stderr
    assert "scored on scenes of content" in done.stdout
    assert "clahe" in (tmp_path / "o" / "severity" / "dehaze" / "study.md").read_text()
    assert "identity" in (tmp_path / "o" / "severity" / "inpaint" / "study.md").read_text()
    refused = bench("--suite", "scenes", "--data", tmp_path, "--out", tmp_path / "o")
    assert refused.returncode == 2
    assert "makes its own data" in refused.stderr


def test_scenes_of_an_earlier_version_are_left_as_they_are(tmp_path, monkeypatch):
    recipe = tmp_path / "r.yaml"
    recipe.write_text(
        "extends: bench\nclip: {frames: 2, size: 64}\nscenes: {count: 3}\ntasks: {dehaze: {}}\n", encoding="utf-8"
    )
    settings = BenchSettings(recipe=str(recipe))
    folder = build_scenes(tmp_path, settings)
    before = Dataset(folder).manifest.sha256
    monkeypatch.setattr("datagen.sources.rendered._sha256.__defaults__", (1,))
    with pytest.raises(OutputError, match=r"scenes of an earlier version; give another --out, or --data .*scenes"):
        build_scenes(tmp_path, settings)
    assert Dataset(folder).manifest.sha256 == before
