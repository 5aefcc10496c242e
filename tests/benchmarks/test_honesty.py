"""Planted faults: leaks, answers that only look like answers, and rows that do not belong together."""

import io
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from benchmarks.commands import publish_report, report, run_bench
from benchmarks.folders import read_rows
from benchmarks.leaks import find_leaks
from benchmarks.methods import METHODS, Method
from benchmarks.metrics import METRICS
from benchmarks.report import make_boards
from benchmarks.runner import PROTOCOL, Run, run
from benchmarks.settings import BenchSettings
from benchmarks.suite import make_suite
from benchmarks.suspicions import EXACT, FROZEN, MASKS, REORDERED, RETURNED, suspicions
from configs import DatasetError
from shards import Dataset, Manifest, encode_sample, write_card, write_shard
from shards.storage import sha256_of
from tests.benchmarks.test_boards import row as made_row
from tests.conftest import make_sample, moving_clip
from vidiff.training_data import learnt_from

SETTINGS = BenchSettings(bootstrap=100, examples=1, methods=("toy",), cost_samples=0)


@pytest.fixture
def suite(toy_dataset):
    return make_suite(toy_dataset, ["dehaze"], SETTINGS)


def toy(answer=lambda clip, *_: clip // 2, **more) -> Method:
    facts = {"name": "toy", "tasks": ("dehaze",), "summary": "", "paper": "-", "version": 1}
    return Method(**facts, make=lambda context: answer, **more)


def test_a_model_that_saw_a_test_video_stands_without_rank_and_the_samples_are_named(suite, tmp_path, monkeypatch):
    seen = suite.rows["dehaze"][0]["source_sha256"]
    monkeypatch.setitem(METHODS, "toy", toy(learns=True, trained_on=frozenset({seen, "0" * 64}), weights="w"))
    done = run(suite, SETTINGS, tmp_path)
    concerned = [row["key"] for row in suite.rows["dehaze"] if row["source_sha256"] == seen]
    assert [(leak.method, leak.keys) for leak in done.leaks] == [("toy", concerned)]
    (board,) = make_boards(done, SETTINGS)
    line = next(line for line in board.lines if line.entry.method == "toy")
    assert line.rank == "-"
    assert concerned[0] in line.notes[0]
    assert "has learnt from the videos of" in line.notes[0]


def test_who_learns_from_a_train_split_that_shares_videos_with_test_leaks(suite, tmp_path, monkeypatch):
    monkeypatch.setitem(METHODS, "toy", toy(learns=True))
    assert run(suite, SETTINGS, tmp_path).leaks == []
    train = suite.dataset.index("dehaze", "train").to_pylist()
    mixed = replace(suite, rows={"dehaze": [*suite.rows["dehaze"], train[0]]})
    assert [leak.keys for leak in run(mixed, SETTINGS, tmp_path / "b").leaks] == [[train[0]["key"]]]


def test_a_model_that_does_not_say_what_it_saw_is_marked_and_not_accused(suite, tmp_path, monkeypatch):
    monkeypatch.setitem(METHODS, "toy", toy(learns=True, weights="w"))
    done = run(suite, SETTINGS, tmp_path)
    assert done.leaks == []
    (board,) = make_boards(done, SETTINGS)
    assert next(line for line in board.lines if line.entry.method == "toy").mark == "?"
    assert find_leaks([]) == []


def test_a_video_that_a_model_has_seen_leaks_whatever_came_with_it_there_or_here(suite, tmp_path, monkeypatch):
    first, *others = suite.rows["dehaze"]
    with_masks = {**first, "source_sha256": "e" * 64, "clean_sha256": "c" * 64}
    here = replace(suite, rows={"dehaze": [with_masks, *others]})
    # seen alone; seen with the same masks; seen with the same masks, as lists of before the clean video was named say it
    for number, seen in enumerate(({"c" * 64}, {"e" * 64, "c" * 64}, {"e" * 64})):
        monkeypatch.setitem(METHODS, "toy", toy(learns=True, trained_on=frozenset(seen), weights="w"))
        assert [leak.keys for leak in run(here, SETTINGS, tmp_path / str(number)).leaks] == [[first["key"]]]


@pytest.mark.parametrize("side", ["clean_sha256", "pair_sha256"])
@pytest.mark.parametrize("learnt_as", ["clean_sha256", "pair_sha256"])
def test_a_video_that_a_model_has_seen_leaks_as_either_side_of_a_pair_there_and_here(
    learnt_as, side, suite, tmp_path, monkeypatch
):
    sample, path = make_sample("dehaze", "train", 0), tmp_path / "dehaze" / "train-000000.tar"
    meta = replace(sample.meta, **{"source_sha256": "p" * 64, "clean_sha256": "q" * 64, learnt_as: "c" * 64})
    shard = write_shard(path, [encode_sample(replace(sample, meta=meta))])
    Manifest(recipe={}, recipe_digest="0", code_version="0", shards=(shard,), sources=1).save(tmp_path)
    first, *others = suite.rows["dehaze"]
    here = replace(suite, rows={"dehaze": [{**first, side: "c" * 64}, *others]})
    seen = learnt_from(Dataset(tmp_path), ["dehaze"]).sources
    assert "" not in seen, "most samples have no other side, and that is none in common"
    monkeypatch.setitem(METHODS, "toy", toy(learns=True, trained_on=seen, weights="w"))
    assert [leak.keys for leak in run(here, SETTINGS, tmp_path / "run").leaks] == [[first["key"]]]


def test_what_is_known_of_a_model_accuses_it_even_where_it_does_not_say_all(suite, tmp_path, monkeypatch):
    seen = suite.rows["dehaze"][0]["clean_sha256"]
    method = toy(learns=True, trained_on=frozenset({seen}), tells_all=False, weights="w")
    monkeypatch.setitem(METHODS, "toy", method)
    done = run(suite, SETTINGS, tmp_path)
    assert [leak.method for leak in done.leaks] == ["toy"]
    (board,) = make_boards(done, SETTINGS)
    line = next(line for line in board.lines if line.entry.method == "toy")
    assert (line.rank, line.mark) == ("-", "?")


def test_a_method_that_names_its_training_videos_has_learnt_from_them(suite, tmp_path, monkeypatch):
    seen = suite.rows["dehaze"][0]["clean_sha256"]
    monkeypatch.setitem(METHODS, "toy", toy(trained_on=frozenset({seen}), weights="w"))
    done = run(suite, SETTINGS, tmp_path)
    assert [leak.method for leak in done.leaks] == ["toy"]
    (board,) = make_boards(done, SETTINGS)
    assert next(line for line in board.lines if line.entry.method == "toy").mark == "*"


@pytest.fixture
def sample():
    target = moving_clip(3, frames=6, height=64, width=64)
    target = np.roll(target, 7, axis=2)
    target = np.stack([np.roll(frame, 9 * i, axis=1) for i, frame in enumerate(target)])
    return replace(make_sample("dehaze", "test", 0), source=(target // 2 + 90).astype(np.uint8), target=target)


def test_shuffled_frames_are_noticed_and_ordinary_errors_are_not(sample):
    rng = np.random.default_rng(0)
    noisy = np.clip(sample.target + rng.normal(0, 20, sample.target.shape), 0, 255).astype(np.uint8)
    assert suspicions(sample, noisy) == []
    assert suspicions(sample, (sample.target // 2).astype(np.uint8)) == []
    assert suspicions(sample, 255 - sample.target) == []
    assert suspicions(sample, 255 - sample.target[::-1]) == [REORDERED]
    assert suspicions(sample, sample.target[::-1]) == [REORDERED]
    assert suspicions(sample, sample.source[::-1]) == [REORDERED]
    assert suspicions(sample, noisy[[1, 0, 3, 2, 5, 4]]) == [REORDERED]
    assert suspicions(sample, sample.source) == [RETURNED]
    assert suspicions(sample, np.repeat(sample.target[:1], 6, axis=0)) == [FROZEN]


@pytest.mark.parametrize("seed", range(4))
def test_order_is_told_through_dense_haze_and_on_real_errors(sample, seed):
    rng = np.random.default_rng(seed)
    target = sample.target.astype(float)
    depth = np.linspace(0, 1, target.shape[1])[None, :, None, None]
    sample = replace(sample, source=(target * 0.15 * (1 + depth) + 160).astype(np.uint8))
    answers = [sample.source, (target * (0.4 + 0.4 * depth) + 60 + rng.normal(0, 15, target.shape)).astype(np.uint8)]
    order = np.array([2, 0, 1, 4, 5, 3])
    for answer in answers:
        assert REORDERED not in suspicions(sample, answer)
        assert REORDERED in suspicions(sample, answer[order])
        assert REORDERED in suspicions(sample, answer[::-1])


def test_noise_is_no_order(sample):
    rng = np.random.default_rng(0)
    for _ in range(20):
        assert suspicions(sample, rng.integers(0, 256, sample.target.shape, np.uint8)) == []


def test_an_answer_returned_its_input_where_it_made_less_than_a_tenth_of_the_change_that_was_asked(sample):
    asked = sample.target.astype(float) - sample.source
    for share, found in ((0, [RETURNED]), (0.08, [RETURNED]), (0.12, []), (0.5, [])):
        assert suspicions(sample, np.round(sample.source + share * asked).astype(np.uint8)) == found
    # a little was asked, and a good part of it done, too little to be seen
    weak = replace(sample, target=sample.source + np.uint8(12))
    assert suspicions(weak, sample.source + np.uint8(8)) == []
    # much was done in a small place
    spot = replace(sample, target=sample.source.copy())
    spot.target[:, :12, :12] ^= 64
    answer = sample.source.copy()
    answer[:, :4, :4] ^= 64
    assert suspicions(spot, answer) == []


def test_what_nobody_sees_is_no_change_and_the_target_itself_is_noticed(sample):
    touched = sample.source.copy()
    touched[0, 0, 0, 0] ^= 1
    assert suspicions(sample, touched) == [RETURNED]
    assert suspicions(sample, sample.source + np.uint8(2)) == [RETURNED]
    assert suspicions(sample, sample.target) == [EXACT]
    assert suspicions(sample, sample.target, knows_target=True) == []
    nothing_to_do = replace(sample, source=sample.target)
    assert suspicions(nothing_to_do, sample.target) == []


def test_a_still_clip_may_be_in_any_order(sample):
    still = np.repeat(sample.target[:1], 6, axis=0)
    asked = replace(sample, source=still // 2, target=still)
    assert suspicions(asked, still // 3 + 40) == []


def test_masks_that_are_scored_as_a_painted_clip_are_noticed(sample):
    masks = np.where(sample.target.mean(axis=3, keepdims=True) > 128, np.uint8(255), np.uint8(0)).repeat(3, axis=3)
    asked = replace(sample, meta=replace(sample.meta, task="segment"))
    assert MASKS in suspicions(asked, masks)
    lossy = np.clip(masks.astype(int) + np.random.default_rng(0).integers(-9, 9, masks.shape), 0, 255).astype(np.uint8)
    assert MASKS in suspicions(asked, lossy)
    assert MASKS not in suspicions(asked, sample.target)
    assert MASKS not in suspicions(sample, masks)


def test_what_looks_odd_stands_under_the_table(suite, tmp_path, monkeypatch):
    monkeypatch.setitem(METHODS, "toy", toy(lambda clip, *_: clip))
    done = run(suite, SETTINGS, tmp_path)

    def notes() -> dict:
        (board,) = make_boards(done, SETTINGS)
        return {line.entry.method: line.notes for line in board.lines}

    assert notes() == {"toy": ("toy: returned its input or nearly so on 4 of 4 samples",), "identity": ()}
    key = done.rows[0]["key"]
    for row in (row for row in done.rows if row["key"] == key):
        row["suspicions"] = []  # as where nothing was asked
    assert notes() == {"toy": ("toy: returned its input or nearly so on 3 of 4 samples",), "identity": ()}
    next(row for row in done.rows if row["method"] == "toy" and row["key"] != key)["suspicions"] = []
    assert notes() == {"toy": (), "identity": ()}


def test_a_baseline_that_is_there_to_find_nothing_is_not_told_to_have_returned_its_input():
    rows = [
        made_row(name, v, 20.0, suspicions=[RETURNED], task="segment", board="segment", scores={"jf": 0.0})
        for name in ("identity", "empty", "theirs")
        for v in range(2)
    ]
    (board,) = make_boards(Run(rows=rows, facts={}), SETTINGS)
    notes = {line.entry.method: line.notes for line in board.lines}
    assert notes == {
        "identity": (),
        "empty": (),
        "theirs": ("theirs: returned its input or nearly so on 2 of 2 samples",),
    }


def test_when_the_bench_fails_the_cell_is_invalid_and_the_method_is_not_blamed(
    suite, tmp_path, monkeypatch, toy_dataset
):
    def broken(outcome):
        raise ZeroDivisionError("a fault of ours")

    monkeypatch.setitem(METHODS, "toy", toy())
    monkeypatch.setitem(METRICS, "ssim", replace(METRICS["ssim"], function=broken))
    done = run(suite, SETTINGS, tmp_path)
    assert {row["status"] for row in done.rows} == {"invalid"}
    assert "ssim: ZeroDivisionError: a fault of ours" in done.rows[0]["error"]
    (board,) = make_boards(done, SETTINGS)
    assert [line.rank for line in board.lines] == ["-", "-"]
    assert "the bench itself failed on 4 samples" in board.lines[0].notes[0]
    assert run_bench(SETTINGS, toy_dataset, ["dehaze"], tmp_path) == 1


def test_a_score_that_is_no_number_is_invalid(suite, tmp_path, monkeypatch):
    monkeypatch.setitem(METRICS, "ssim", replace(METRICS["ssim"], function=lambda outcome: [np.nan]))
    assert {
        row["status"] for row in run(suite, SETTINGS.model_copy(update={"methods": ("identity",)}), tmp_path).rows
    } == {"invalid"}


@pytest.fixture
def finished(suite, tmp_path, monkeypatch):
    monkeypatch.setitem(METHODS, "toy", toy())
    publish_report(tmp_path, run(suite, SETTINGS, tmp_path), SETTINGS, suite.dataset)
    return tmp_path


def rewrite(folder, change, *, resign: bool) -> None:
    table = change(pd.read_parquet(folder / "rows.parquet"))
    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False)
    (folder / "rows.parquet").write_bytes(buffer.getvalue())
    if resign:
        facts = json.loads((folder / "run.json").read_text())
        facts["rows_sha256"] = sha256_of(folder / "rows.parquet")
        (folder / "run.json").write_text(json.dumps(facts))


def test_tampered_rows_are_refused(finished):
    rewrite(finished, lambda table: table.assign(psnr=table["psnr"] + 1), resign=False)
    with pytest.raises(DatasetError, match="it was changed"):
        report(finished)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda table: table.assign(protocol=[1] + [table["protocol"][0]] * (len(table) - 1)),
            f"rows of protocol 1, {PROTOCOL}",
        ),
        (lambda table: table.assign(dataset=["other", *table["dataset"][1:]]), "more than one dataset"),
        (
            lambda table: table.assign(metric_versions=["psnr 0", *table["metric_versions"][1:]]),
            "metric versions",
        ),
        (lambda table: table.iloc[1:], "not scored on the same samples"),
        (lambda table: pd.concat([table, table.iloc[:1]]), "each once"),
    ],
)
def test_rows_that_do_not_belong_together_are_refused_even_when_signed_anew(finished, change, words):
    rewrite(finished, change, resign=True)
    with pytest.raises(DatasetError, match=words):
        report(finished)


def test_what_has_nothing_to_learn_from_is_left_out_and_refused_by_name(tmp_path):
    root = tmp_path / "dataset"
    shard = write_shard(root / "recolor" / "test-000000.tar", [encode_sample(make_sample("recolor", "test", 0))])
    manifest = Manifest(recipe={"seed": 0}, recipe_digest="0", code_version="0", shards=(shard,), sources=1)
    write_card(root, manifest, {"CC0-1.0": 1})
    manifest.save(root)
    settings = BenchSettings(bootstrap=100, examples=0, cost_samples=0)
    done = run(make_suite(root, [], settings), settings, tmp_path / "out")
    assert {row["status"] for row in done.rows} == {"ok"}
    assert not {"mean_chroma", "chroma_table"} & {row["method"] for row in done.rows}
    named = settings.model_copy(update={"methods": ("mean_chroma",)})
    with pytest.raises(DatasetError, match="no train samples of recolor, which mean_chroma learns from"):
        run(make_suite(root, [], named), named, tmp_path / "out")


def test_what_follows_a_picture_is_left_out_where_there_is_none(toy_dataset, tmp_path):
    settings = BenchSettings(bootstrap=100, examples=0, cost_samples=0)
    suite = make_suite(toy_dataset, ["recolor"], settings)
    assert not suite.has_references("recolor")
    assert not {"reinhard", "levin"} & {row["method"] for row in run(suite, settings, tmp_path).rows}
    named = settings.model_copy(update={"methods": ("levin",)})
    assert "levin" in {row["method"] for row in run(suite, named, tmp_path).rows}


def test_who_leaks_is_said_by_rows_and_not_by_what_run_json_says_of_them(suite, tmp_path, monkeypatch):
    seen = suite.rows["dehaze"][0]["source_sha256"]
    monkeypatch.setitem(METHODS, "toy", toy(learns=True, trained_on=frozenset({seen}), weights="w"))
    run(suite, SETTINGS, tmp_path)
    facts = json.loads((tmp_path / "run.json").read_text())
    (tmp_path / "run.json").write_text(json.dumps({**facts, "leaks": []}))
    report(tmp_path)
    (board,) = json.loads((tmp_path / "leaderboard.json").read_text())
    ranks = {line["method"]: line["rank"] for line in board["methods"]}
    assert ranks["toy"] is None
    assert ranks["identity"] is not None


def test_what_a_model_had_seen_is_noted_anew_when_it_is_learnt_later_without_scoring_anew(suite, tmp_path, monkeypatch):
    calls = []
    seen = frozenset(row["source_sha256"] for row in suite.rows["dehaze"])
    for trained_on in (None, seen):
        method = toy(lambda clip, *_: calls.append(1) or clip, learns=True, trained_on=trained_on, weights="w")
        monkeypatch.setitem(METHODS, "toy", method)
        done = run(suite, SETTINGS, tmp_path)
    assert len(calls) == 4 + 1
    assert len(done.leaks) == 1
    latest = {row["id"]: row for row in read_rows(tmp_path)}
    assert all(latest[row["id"]] == row for row in done.rows)


def test_rows_of_before_leaks_were_in_them_are_refused_with_the_remedy(finished):
    rewrite(finished, lambda table: table.drop(columns="leaked"), resign=True)
    with pytest.raises(DatasetError, match=r"do not say who had seen their videos.*scores nothing anew"):
        report(finished)
