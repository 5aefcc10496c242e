"""What people prefer: blind pairs on a local page, every vote kept, and what the votes say."""

import contextlib
import json
import re
import shutil
import signal
import socket
import sys
import threading
import urllib.error
import urllib.request
from dataclasses import replace

import numpy as np
import pytest
from scipy import optimize, stats

from benchmarks.runner import Run, run
from benchmarks.settings import BenchSettings
from benchmarks.studies import preference
from benchmarks.studies.odds import bradley_terry, rate_interval
from benchmarks.studies.preference import Poll, make_pairs, preference_study, read_votes, serve_poll
from benchmarks.suite import make_suite
from configs import DatasetError
from tests.processes import running, wait_for

SETTINGS = BenchSettings(bootstrap=100, examples=0, methods=("identity",), cost_samples=0)


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


def test_a_pair_is_the_same_one_whoever_else_is_asked_about(folder):
    pairs = {pair.name for pair in make_pairs(folder, [], [], None, seed=0)}
    few = {pair.name for pair in make_pairs(folder, ["dehaze"], ["clahe", "identity"], None, seed=0)}
    assert len(few) == 4
    assert few < pairs


def test_votes_on_answers_that_were_made_anew_count_no_more_and_are_asked_for_again(folder, monkeypatch):
    pairs = make_pairs(folder, [], [], None, seed=0)
    for pair in pairs:
        Poll(folder, pairs).vote(pair.name, "left", "me")
    found = preference.load_run(folder)
    rows = [{**one, "kept_sha256": "0" * 64} if one["method"] == "clahe" else one for one in found.rows]
    monkeypatch.setattr(preference, "load_run", lambda folder: replace(found, rows=rows))
    assert "4 votes of 1 voter" in preference_study(folder).question
    assert "8 votes on other answers of the same methods left out" in preference_study(folder).question
    assert len({pair.name for pair in make_pairs(folder, [], [], None, seed=0)} - {pair.name for pair in pairs}) == 8


def test_voters_who_stop_early_are_shown_other_pairs(folder):
    pairs = make_pairs(folder, [], [], None, seed=0)
    poll = Poll(folder, pairs)
    for voter in range(4):
        for _ in range(3):
            poll.vote(poll.next_for(str(voter))["pair"], "same", str(voter))
    assert len({vote["pair"] for vote in read_votes(folder)}) == 12


def ask(address: str, path: str, body: object = None):
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(address + path, data), timeout=30) as answer:
        return answer.read()


@contextlib.contextmanager
def asking(poll: Poll):
    """Serve a poll for as long as the block takes; gives its address."""
    ready, place = threading.Event(), []
    threading.Thread(
        target=serve_poll, args=(poll, 0, lambda address: (place.append(address), ready.set())), daemon=True
    ).start()
    assert ready.wait(10)
    yield place[0]


def test_a_voter_sees_blind_pairs_once_and_every_vote_is_kept_at_once(folder):
    pairs = make_pairs(folder, [], [], None, seed=0)
    with asking(Poll(folder, pairs)) as address:
        _vote_on_all(address, folder, pairs)
    study = preference_study(folder)
    assert study.records[0]["method"] == "clahe"
    assert study.records[0]["win rate"] == 1
    assert {record["win rate"] for record in study.records[1:]} == {0.25}


def _vote_on_all(address, folder, pairs):
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


def test_a_vote_that_cannot_be_kept_is_told_with_its_file_and_asked_again(folder):
    pairs = make_pairs(folder, [], [], 2, seed=0)
    with asking(Poll(folder, pairs)) as address:
        # a folder where the votes should be
        (folder / "preference" / "votes.jsonl").mkdir(parents=True)
        with pytest.raises(urllib.error.HTTPError) as refused:
            ask(address, "vote", {"pair": pairs[0].name, "choice": "left", "voter": "me"})
        assert refused.value.code == 507
        assert f"cannot write {folder / 'preference' / 'votes.jsonl'}" in refused.value.read().decode()
        (folder / "preference" / "votes.jsonl").rmdir()
        assert json.loads(ask(address, "next/me"))["pair"] == pairs[0].name


def test_ctrl_c_ends_a_poll_though_a_browser_hangs_in_the_middle_of_a_request(folder, tmp_path):
    command = [sys.executable, "-m", "benchmarks", "study", "preference", folder, "--port", "0"]
    said = tmp_path / "said"
    with running(*command, said=said) as process:
        wait_for(lambda: re.search(r"127\.0\.0\.1:\d+\D", said.read_text()), seconds=120)
        port = int(re.search(r"127\.0\.0\.1:(\d+)", said.read_text())[1])
        with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
            client.sendall(b"POST /vote HTTP/1.1\r\nContent-Length: 100\r\n\r\n{")
            ask(f"http://127.0.0.1:{port}/", "next/me")
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 130


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
    # of one voter on one pair the last vote counts, once
    assert [vote["winner"] for vote in read_votes(folder)] == [pair.right]


def test_without_votes_there_is_nothing_to_sum_up(folder):
    with pytest.raises(DatasetError, match="no votes yet"):
        preference_study(folder)
