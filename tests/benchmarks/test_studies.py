"""Studies: variants of a model or of the data beside each other, and what people prefer."""

import json
import shutil
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from dataclasses import replace

import numpy as np
import pytest
from scipy import optimize, stats

import configs
from benchmarks.methods import Context
from benchmarks.runner import Run, run
from benchmarks.settings import BenchSettings
from benchmarks.studies import preference, severity
from benchmarks.studies.long_video import WAYS, drift, long_study, long_variants, seams_of
from benchmarks.studies.preference import (
    Poll,
    bradley_terry,
    make_pairs,
    preference_study,
    rate_interval,
    read_votes,
    serve_poll,
)
from benchmarks.studies.report import Study, table_of, write_study
from benchmarks.studies.variants import check_pictures, guidance_variants, instruction_variants, temporal_variants
from benchmarks.suite import make_suite
from configs import ConfigError, DatasetError
from shards import Dataset
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


def test_every_pair_of_scales_is_a_variant_of_its_own(model):
    variants = guidance_variants(model, (1.0, 2.0), (1.0, 7.5))
    assert [method.name for method in variants] == ["V1 T1", "V1 T7.5", "V2 T1", "V2 T7.5"]
    assert len({method.weights for method in variants}) == 4
    found = answers(variants, asked())
    assert len({clip.tobytes() for clip in found.values()}) == 4


def test_text_picture_and_both_are_three_questions(seeing, toy_dataset, monkeypatch):
    picture = moving_clip(5, frames=1, height=64, width=64)[0]
    dataset = Dataset(toy_dataset)
    with pytest.raises(ConfigError, match=r"no test sample of .* has a reference picture"):
        instruction_variants(seeing, dataset, ["dehaze"])
    monkeypatch.setattr(Dataset, "__getitem__", lambda self, key: asked(reference=picture))
    variants = instruction_variants(seeing, dataset, ["dehaze"])
    found = answers(variants, asked(reference=picture))
    assert len({clip.tobytes() for clip in found.values()}) == 3
    other = answers(variants, asked(reference=255 - picture))
    assert np.array_equal(found["text"], other["text"])
    assert not np.array_equal(found["image"], other["image"])
    words = answers(variants, asked(reference=picture, instruction="Do something else."))
    assert np.array_equal(found["image"], words["image"])
    assert not np.array_equal(found["text+image"], words["text+image"])


def test_a_model_without_eyes_is_not_asked_with_pictures(model):
    with pytest.raises(ConfigError, match="takes no image instructions"):
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
    study = long_study(done, tmp_path, suite.dataset, window=2, overlap=1)
    by_method = {record["method"]: record for record in study.records}
    assert set(by_method) == {"identity", *(method.name for method in variants)}
    row = next(row for row in done.rows if row["method"] == "identity")
    assert by_method["identity"]["PSNR (dB)"] == pytest.approx(row["scores"]["psnr"])


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
    study = severity.severity_study("dehaze", runs)
    (record,) = study.records
    assert record["method"] == "identity"
    assert record["0.3"] > record["0.7"]


def test_a_level_is_a_mean_over_videos_whatever_the_number_of_their_samples():
    facts = {"task": "dehaze", "method": "m", "ranked": True, "status": "ok", "weights": {}, "frames": 4}
    scores = {"a": [10.0, 10.0, 10.0], "b": [30.0], "lacking at the other level": [0.0]}
    rows = [
        {**facts, "key": f"{video} {n}", "video": video, "scores": {"psnr": score}}
        for video, own in scores.items()
        for n, score in enumerate(own)
    ]
    runs = {0.3: Run(rows=rows, facts={}), 0.7: Run(rows=rows[:4], facts={})}
    study = severity.severity_study("dehaze", runs)
    assert study.records == [{"method": "m", "0.3": 20.0, "0.7": 20.0}]
    assert "the same 2 videos" in study.question


@pytest.mark.parametrize("task", list(severity.SWEEPS))
def test_every_sweep_has_a_score_for_the_same_scenes_at_every_level(task, tmp_path):
    (tmp_path / "r.yaml").write_text(SMALL)
    settings = SETTINGS.model_copy(update={"recipe": str(tmp_path / "r.yaml"), "methods": ("identity",)})
    runs = {}
    for level in severity.SWEEPS[task].levels:
        dataset = severity.build_level(task, level, tmp_path / f"{level:g}", settings, "scenes")
        runs[level] = run(make_suite(dataset.root, [task], settings), settings, tmp_path / f"out {level:g}")
    (record,) = severity.severity_study(task, runs).records
    assert all(isinstance(record[f"{level:g}"], float) for level in severity.SWEEPS[task].levels)
    counts = {len({row["video"] for row in done.rows}) for done in runs.values()}
    assert counts <= {2, 3}, "hardly a scene is turned away at any level"


def test_a_study_is_written_as_table_and_page(tmp_path):
    study = Study(name="n", question="q?", records=[{"a": 1.23456, "b": None}, {"a": 2.0, "b": "x"}], words=("w",))
    page = write_study(tmp_path, study)
    assert "q?" in page.read_text()
    assert (tmp_path / "study.csv").read_text().splitlines() == ["a,b", "1.23456,", "2.0,x"]
    assert table_of(study) == (["a", "b"], [["1.235", "n/a"], ["2", "x"]])


# preference


def test_strengths_of_known_odds_are_found():
    strengths = np.array([4.0, 2.0, 1.0])
    games = 100_000
    wins = games * strengths[:, None] / (strengths[:, None] + strengths[None])
    np.fill_diagonal(wins, 0)
    found = bradley_terry(wins)
    odds = found / (1 - found)
    assert odds / odds[2] == pytest.approx(strengths, rel=1e-3)


def test_who_won_everything_stays_finite_and_first():
    found = bradley_terry(np.array([[0, 9, 9], [0, 0, 5], [0, 4, 0]], float))
    assert (np.diff(found) < 0).all()
    assert 0 < found.min() < found.max() < 1


@pytest.mark.parametrize("kind", ["chain", "sparse", "one-sided"])
def test_strengths_are_the_most_likely_ones(kind):
    rng = np.random.default_rng(4)
    wins = np.zeros((8, 8))
    if kind == "chain":
        for n in range(7):
            wins[n, n + 1], wins[n + 1, n] = 1400, 600
    elif kind == "sparse":
        wins = rng.integers(50, size=(8, 8)) * (rng.random((8, 8)) < 0.2)
    else:
        wins = np.triu(np.full((8, 8), 1000.0), 1)
    wins = wins.astype(float)
    np.fill_diagonal(wins, 0)
    prior = wins + 0.5 * (1 - np.eye(8))

    def unlikeliness(strengths: np.ndarray) -> float:
        gaps = strengths[:, None] - strengths[None]
        return float((prior * np.log1p(np.exp(-gaps))).sum() + strengths.mean() ** 2)

    direct = optimize.minimize(unlikeliness, np.zeros(8), method="BFGS", options={"gtol": 1e-3, "maxiter": 5000}).x
    assert bradley_terry(wins) == pytest.approx(1 / (1 + np.exp(-direct)), abs=1e-4)


@pytest.mark.parametrize("samples", [6, 10, 20])
@pytest.mark.parametrize("truth", [0.5, 0.7, 0.9])
@pytest.mark.parametrize("voters", [1, 4])
def test_intervals_of_win_rates_cover_the_truth_as_often_as_they_say(samples, truth, voters):
    rng = np.random.default_rng(samples)
    hits = 0
    for _ in range(1000):
        # all voters see the same on a sample, as one sees it: their votes are one vote
        votes = rng.integers(1, voters + 1, size=samples).astype(float)
        low, high = rate_interval(votes * (rng.random(samples) < truth), votes)
        hits += low <= truth <= high
    assert hits / 1000 >= 0.93


def test_intervals_of_win_rates_are_wilsons_with_students_quantile():
    # 8 of 10: the quantile is 2.262
    z2 = stats.t.ppf(0.975, 9) ** 2
    low, high = rate_interval(np.repeat([1.0, 0.0], [8, 2]), np.ones(10))
    # the ends of a score interval are the rates that the observed one is just z standard errors from
    for end in (low, high):
        assert (0.8 - end) ** 2 == pytest.approx(z2 * end * (1 - end) / 10)


def test_six_of_six_votes_leave_room_and_five_samples_give_no_interval():
    low, high = rate_interval(np.ones(6), np.ones(6))
    assert low < 0.6
    assert high == 1
    assert rate_interval(np.full(5, 9.0), np.full(5, 9.0)) == (None, None)
    # a method that was not shown on a sample has no vote there
    shown = np.array([1.0, 1, 1, 1, 1, 0])
    assert rate_interval(shown, shown) == (None, None)


@pytest.fixture(scope="module")
def finished(toy_dataset, tmp_path_factory):
    settings = SETTINGS.model_copy(update={"methods": ("clahe", "dark_channel")})
    folder = tmp_path_factory.mktemp("finished")
    run(make_suite(toy_dataset, ["dehaze"], settings), settings, folder)
    return folder


@pytest.fixture
def folder(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "run")


def test_pairs_are_all_pairs_shuffled_and_sides_are_drawn(folder):
    pairs = make_pairs(folder, [], [], None, seed=0)
    assert len(pairs) == 4 * 3
    assert len({pair.name for pair in pairs}) == 12
    assert {frozenset((pair.left, pair.right)) for pair in pairs} == {
        frozenset(two) for two in (("identity", "clahe"), ("identity", "dark_channel"), ("clahe", "dark_channel"))
    }
    assert [pair.key for pair in pairs] != sorted(pair.key for pair in pairs)
    assert {pair.left == min(pair.left, pair.right) for pair in pairs} == {True, False}
    assert make_pairs(folder, [], [], 5, seed=0) == pairs[:5]
    with pytest.raises(DatasetError, match="no two answers"):
        make_pairs(folder, [], ["clahe"], None, seed=0)


def ask(address: str, path: str, body: object = None):
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(address + path, data)) as answer:
        return answer.read()


def test_a_voter_sees_blind_pairs_once_and_every_vote_is_kept_at_once(folder):
    pairs = make_pairs(folder, [], [], None, seed=0)
    ready, place = threading.Event(), []
    poll = Poll(folder, pairs)
    threading.Thread(
        target=serve_poll, args=(poll, 0, lambda address: (place.append(address), ready.set())), daemon=True
    ).start()
    assert ready.wait(10)
    (address,) = place
    page = ask(address, "").decode()
    assert "clahe" not in page
    seen = set()
    for number in range(12):
        found = json.loads(ask(address, "next/me"))
        assert set(found) == {"pair", "instruction", "number", "of"}
        assert ask(address, f"clip/{found['pair']}/left.mp4")[4:8] == b"ftyp"
        seen.add(found["pair"])
        pair = next(pair for pair in pairs if pair.name == found["pair"])
        choice = "left" if pair.left == "clahe" else "right" if pair.right == "clahe" else "same"
        ask(address, "vote", {"pair": found["pair"], "choice": choice, "voter": "me"})
        assert len(read_votes(folder)) == number + 1
    assert len(seen) == 12
    assert json.loads(ask(address, "next/me")) == {"done": 12}
    assert "pair" in json.loads(ask(address, "next/you"))
    for path, body in (("clip/nothing/left.mp4", None), ("vote", {"pair": "x"}), ("vote", "x"), ("etc/passwd", None)):
        with pytest.raises(urllib.error.HTTPError):
            ask(address, path, body)
    study = preference_study(folder)
    assert study.records[0]["method"] == "clahe"
    assert study.records[0]["win rate"] == 1
    assert {record["win rate"] for record in study.records[1:]} == {0.25}


def test_votes_on_several_edits_of_one_video_are_of_one_video(folder, monkeypatch):
    (folder / "preference").mkdir()
    votes = [
        {"pair": f"{n}", "task": "edit", "key": f"k{n}", "left": "a", "right": "b", "winner": "a", "voter": "me"}
        for n in range(12)
    ]
    (folder / "preference" / "votes.jsonl").write_text("".join(json.dumps(vote) + "\n" for vote in votes))
    for videos, told in ((12, True), (6, True), (5, False)):
        rows = [{"key": f"k{n}", "video": f"v{n % videos}"} for n in range(12)]
        monkeypatch.setattr(preference, "load_run", lambda folder, rows=rows: Run(rows=rows, facts={}))
        low, high = rate_interval(np.full(videos, 1.0), np.full(videos, 1.0))
        expected = f"[{low:.2f}, {high:.2f}]" if told else "n/a"
        assert preference_study(folder).records[0]["interval"] == expected


def test_a_vote_cut_short_by_a_kill_is_left_out(folder):
    pair = make_pairs(folder, [], [], None, seed=0)[0]
    Poll(folder, [pair]).vote(pair.name, "left", "me")
    path = folder / "preference" / "votes.jsonl"
    path.write_text(path.read_text() + '{"pair": "x", "vo')
    assert len(read_votes(folder)) == 1
    Poll(folder, [pair]).vote(pair.name, "right", "me")
    assert [vote["winner"] for vote in read_votes(folder)] == [pair.right]


def test_without_votes_there_is_nothing_to_sum_up(folder):
    with pytest.raises(DatasetError, match="no votes yet"):
        preference_study(folder)


def bench(*words: object) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "benchmarks", "study", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


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


def test_leaving_a_task_out_trains_a_model_for_each(toy_dataset, tmp_path):
    options = ["--config", "tiny-fast", "--minutes", "0.02", "--workers", 0, "--limit", 1]
    done = bench("unseen", "--data", toy_dataset, "--out", tmp_path, *options)
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "study.csv").read_text().splitlines()[1:]
    assert [line.split(",")[0] for line in lines] == ["dehaze", "recolor"]
    assert all(len([cell for cell in line.split(",") if cell]) == 5 for line in lines)
    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.glob("runs/*/finished")}
    assert len(stamps) == 3
    assert bench("unseen", "--data", toy_dataset, "--out", tmp_path, *options).returncode == 0
    assert stamps == {path: path.stat().st_mtime_ns for path in stamps}
