"""Methods in processes of their own: what they do to themselves stays there."""

import json
import os
import time
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.methods import METHODS
from benchmarks.methods.base import Method
from benchmarks.runner import prediction_path, run
from benchmarks.settings import BenchSettings, LimitSettings
from benchmarks.suite import make_suite
from shards import read_video

LIMITS = LimitSettings(sample_seconds=10, worker_bytes=3 * 2**30)
SETTINGS = BenchSettings(bootstrap=100, examples=0, methods=("toy",), cost_samples=0)


def without_times(rows: list[dict]) -> list[dict]:
    return sorted(
        ({k: v for k, v in row.items() if k not in ("seconds_per_frame", "scoring_seconds")} for row in rows),
        key=lambda row: (row["task"], row["method"], row["key"]),
    )


@pytest.fixture
def suite(toy_dataset):
    return make_suite(toy_dataset, ["dehaze"], SETTINGS)


def method(answer) -> Method:
    return Method(name="toy", tasks=("dehaze",), summary="", paper="-", version=1, make=lambda context: answer)


def test_rows_on_ray_are_those_of_this_process_and_the_answers_are_kept(suite, tmp_path):
    settings = SETTINGS.model_copy(update={"methods": ("dark_channel",)})
    here = run(suite, settings, tmp_path / "here")
    there = run(suite, settings, tmp_path / "there", workers=2)
    assert without_times(here.rows) == without_times(there.rows)
    for row in there.rows:
        kept = [read_video(prediction_path(tmp_path / place, row)) for place in ("here", "there")]
        assert np.array_equal(*kept)


def wild(first: list[int]):
    """A method that ends its process, hangs, or takes all memory, by the clip it is given."""

    def restore(clip, instruction, reference, mask):
        what = first.index(int(clip[0, 0, 0, 0]) * 1000 + int(clip[-1, -1, -1, -1]))
        if what == 0:
            os._exit(9)
        if what == 1:
            time.sleep(60)
        if what == 2:
            return np.ones(8 * 2**30, np.uint8)
        return clip

    return restore


def test_a_method_that_dies_hangs_or_takes_all_memory_loses_those_samples_alone(suite, tmp_path, monkeypatch):
    clips = [suite.dataset[row["key"]].source for row in suite.rows["dehaze"]]
    marks = [int(clip[0, 0, 0, 0]) * 1000 + int(clip[-1, -1, -1, -1]) for clip in clips]
    assert len(set(marks)) == 4
    monkeypatch.setitem(METHODS, "toy", method(wild(marks)))
    limited = SETTINGS.model_copy(update={"limits": LIMITS})
    rows = {row["key"]: row for row in run(suite, limited, tmp_path, workers=1).rows if row["method"] == "toy"}
    dead, slow, large, fine = (rows[row["key"]] for row in suite.rows["dehaze"])
    assert dead["status"] == slow["status"] == large["status"] == "failed"
    assert "its process died 2 times" in dead["error"]
    assert "took over 10 s" in slow["error"]
    assert "(limits.sample_seconds)" in slow["error"]
    assert "MemoryError" in large["error"]
    assert fine["status"] == "ok"


def test_only_the_answer_s_own_time_counts_against_a_method(suite, tmp_path, monkeypatch):
    def make(context):
        # in the worker, where its scoring then takes longer than an answer may
        from benchmarks.metrics import METRICS

        score = METRICS["psnr"].function
        METRICS["psnr"] = replace(METRICS["psnr"], function=lambda outcome: (time.sleep(2.5), score(outcome))[1])
        return lambda clip, *_: clip

    monkeypatch.setitem(METHODS, "toy", replace(method(None), make=make))
    quick = SETTINGS.model_copy(update={"limits": LimitSettings(sample_seconds=2)})
    rows = [row for row in run(suite, quick, tmp_path, workers=1).rows if row["method"] == "toy"]
    assert [row["status"] for row in rows] == ["ok"] * 4
    assert min(row["scoring_seconds"] for row in rows) > 2


def test_costs_are_measured_alone_and_measured_once(suite, tmp_path, monkeypatch):
    def heavy(clip, instruction, reference, mask):
        block = np.ones(200 * 2**20, np.uint8)
        time.sleep(0.02 * len(clip))
        return clip + (block[0] - 1)

    monkeypatch.setitem(METHODS, "toy", method(heavy))
    settings = SETTINGS.model_copy(update={"cost_samples": 1, "limit": 1})
    suite = make_suite(suite.dataset.root, ["dehaze"], settings)
    spent = run(suite, settings, tmp_path, workers=1).costs["dehaze", "toy"]
    assert 0.02 <= spent["warm_seconds_per_frame"] < 2
    assert spent["cold_seconds_per_frame"] > 0.01
    assert 190e6 < spent["peak_bytes"] < 400e6
    before = (tmp_path / "costs.jsonl").read_text()
    assert run(suite, settings, tmp_path, workers=1).costs["dehaze", "toy"] == json.loads(before.splitlines()[-1])
    assert (tmp_path / "costs.jsonl").read_text() == before


def test_more_workers_than_a_ray_has_cores_for_wait_for_nobody(suite, tmp_path):
    import ray

    ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False)
    try:
        settings = SETTINGS.model_copy(update={"methods": ("identity",)})
        rows = run(suite, settings, tmp_path, workers=2).rows
    finally:
        ray.shutdown()
    assert {row["status"] for row in rows} == {"ok"}
