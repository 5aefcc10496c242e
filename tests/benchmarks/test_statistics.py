"""Means, intervals, tests and ranks, on simulated methods whose differences are known."""

import math

import numpy as np
import pytest
from scipy import stats

from benchmarks.metrics import METRICS, get_metrics
from benchmarks.statistics import interval, leaderboard, shares
from benchmarks.ties import LEAST_VIDEOS, holm, least_difference, least_shift, sign_flip, tie_groups


def row(method: str, video: str, psnr: float, number: int = 0, **more) -> dict:
    return {
        "method": method,
        "video": video,
        "key": f"{video}-{number}",
        "status": "ok",
        "scores": {"psnr": psnr},
        "weights": {},
        "frames": 8,
        "seconds_per_frame": 0.1,
        **more,
    }


def ranking(rows: list[dict], metrics=("psnr",), **options):
    chosen = [METRICS[name] for name in metrics]
    return leaderboard(rows, chosen, **{"draws": 500, "permutations": 2000, "seed": 0} | options)


def test_means_are_over_videos_so_a_long_video_does_not_outvote_a_short_one():
    rows = [row("m", "a", 0.0, n) for n in range(3)] + [row("m", "b", 10.0)]
    assert ranking(rows).entries[0].scores["psnr"].mean == 5.0


def test_a_short_last_clip_counts_as_many_frames_as_it_has():
    rows = [row("m", "a", 30.0, 0) | {"frames": 30}, row("m", "a", 10.0, 1) | {"frames": 10}]
    assert ranking(rows).entries[0].scores["psnr"].mean == 25.0


def covered(count: int, draw, trials: int = 400) -> float:
    rng = np.random.default_rng(count)
    hits = 0
    for _ in range(trials):
        values = draw(rng, count)
        means = values[rng.integers(count, size=(1000, count))].mean(axis=1)
        low, high = interval(means, count)
        hits += low <= 0 <= high
    return hits / trials


@pytest.mark.parametrize("count", [6, 8, 12, 30, 100])
def test_intervals_cover_the_truth_as_often_as_they_say(count):
    # 400 trials: two standard errors are 2.2 %
    assert 0.925 <= covered(count, lambda rng, n: rng.normal(0, 3, n)) <= 0.98


def test_skewed_scores_do_not_break_the_intervals():
    assert covered(30, lambda rng, n: rng.exponential(1, n) - 1) >= 0.9


def test_too_few_videos_give_no_interval():
    assert interval(np.arange(100.0), LEAST_VIDEOS - 1) == (None, None)


@pytest.mark.parametrize("count", [4, 9, 13])
def test_sign_flips_are_those_of_scipy(count):
    differences = np.random.default_rng(count).normal(0.5, 1, count)
    expected = stats.permutation_test(
        (differences,), np.sum, permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
    ).pvalue
    assert sign_flip(differences, permutations=1000, seed=0) == pytest.approx(expected)


def test_random_flips_come_near_the_exact_test():
    differences = np.random.default_rng(3).normal(0.4, 1, 16)
    expected = stats.permutation_test(
        (differences,), np.sum, permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
    ).pvalue
    assert sign_flip(differences, permutations=20_000, seed=1) == pytest.approx(expected, abs=0.01)
    assert sign_flip(np.zeros(20), permutations=1000, seed=0) == 1


def test_holm_by_hand():
    # 0.01 x 4, 0.02 x 3, 0.03 x 2, and 0.04, which may not fall below the one before
    assert holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_equal_methods_are_told_apart_in_one_table_of_twenty_at_most():
    rng = np.random.default_rng(0)
    false = 0
    for trial in range(200):
        videos = rng.normal(25, 4, 12)
        merits = {f"m{n}": videos + rng.normal(0, 1, 12) for n in range(4)}
        places = tie_groups(merits, permutations=1000, seed=trial)
        false += any(place != (1, 4) for place in places.values())
    # 200 trials: the standard error is 1.5 %
    assert false / 200 <= 0.08


def test_exchangeable_methods_with_skewed_scores_are_not_told_apart_more_often():
    rng = np.random.default_rng(3)
    chances = [
        sign_flip(np.diff(rng.lognormal(0, 1.5, (2, 12)), axis=0)[0], permutations=1000, seed=0) for _ in range(400)
    ]
    # 400 trials: the standard error is 1.1 %
    assert np.mean(np.array(chances) <= 0.05) <= 0.08


def test_rare_failures_are_beyond_what_intervals_and_tests_promise():
    # as docs/bench.md says: a mean of 0 from small gains on nine videos of ten, and one that loses all of them
    def gains(rng, count):
        return np.where(rng.random(count) < 0.9, 1.0, -9.0) + rng.normal(0, 0.3, count)

    rng = np.random.default_rng(4)
    false = np.mean([sign_flip(gains(rng, 20), permutations=1000, seed=0) <= 0.05 for _ in range(200)])
    assert false > 0.1
    assert covered(20, gains) < 0.9


def test_methods_that_differ_on_every_video_are_told_apart_however_much_videos_differ():
    rng = np.random.default_rng(1)
    videos = rng.normal(25, 8, 12)
    merits = {
        "good": videos + 1.5 + rng.normal(0, 0.3, 12),
        "same": videos + 1.5 + rng.normal(0, 0.3, 12),
        "bad": videos,
    }
    places = tie_groups(merits, permutations=1000, seed=0)
    assert places == {"good": (1, 2), "same": (1, 2), "bad": (3, 3)}


@pytest.mark.parametrize(("videos", "methods"), [(6, 2), (8, 3), (11, 5), (12, 2), (13, 4), (14, 10), (20, 4)])
def test_the_least_difference_is_found_four_times_out_of_five_among_all_the_pairs(videos, methods):
    rng = np.random.default_rng(videos)
    # methods of spread 1 each, so that their differences have the square root of two
    shift = np.sqrt(2) * least_shift(videos, 0.05 / math.comb(methods, 2), 2000)
    ahead = []
    for trial in range(150):
        merits = {f"m{n}": rng.normal(shift * (n == 0), 1, videos) for n in range(methods)}
        places = tie_groups(merits, permutations=2000, seed=trial)
        ahead.append(np.mean([places[f"m{n}"][0] > 1 for n in range(1, methods)]))
    # 150 trials: the standard error is 3 %; Holm's later steps find some more
    assert 0.73 <= np.mean(ahead) <= 0.96


def test_with_many_videos_the_least_difference_is_that_of_the_normal_distribution():
    merits = [np.random.default_rng(5).normal(0, 1, 1000), np.zeros(1000)]
    found = least_difference(merits, permutations=1000)
    assert found == pytest.approx((1.96 + 0.8416) / np.sqrt(1000), rel=0.1)


@pytest.mark.parametrize(("videos", "methods", "tells"), [(8, 5, False), (8, 3, True), (6, 3, False), (6, 2, True)])
def test_too_many_methods_for_so_few_videos_have_no_least_difference(videos, methods, tells):
    rng = np.random.default_rng(0)
    # as far apart as can be, and still the smallest p-value there is, 2 / 2^n, times the pairs is above 5 %
    merits = [rng.normal(1000 * n, 1, videos) for n in range(methods)]
    assert (least_difference(merits, permutations=1000) is not None) == tells
    places = tie_groups({str(n): own for n, own in enumerate(merits)}, permutations=1000, seed=0)
    assert (set(places.values()) != {(1, methods)}) == tells


def test_random_flips_too_few_for_a_level_find_nothing():
    assert least_shift(30, 1 / 1002, 1000) is None
    assert least_shift(30, 1 / 1000, 1000) is not None


def test_a_failure_counts_as_the_worst_and_is_counted():
    rows = [row("m", v, 30.0) for v in "abcdef"]
    rows[0] |= {"status": "failed", "scores": {}}
    rows += [row("identity", v, 20.0) for v in "abcdef"]
    entry = next(e for e in ranking(rows).entries if e.method == "m")
    assert entry.scores["psnr"].mean == 25.0
    assert (entry.failures, entry.samples) == (1, 6)


def test_a_method_the_bench_could_not_score_stands_without_rank():
    rows = [row("m", v, 30.0) for v in "abcdef"] + [row("identity", v, 20.0) for v in "abcdef"]
    rows[0] |= {"status": "invalid", "scores": {}}
    entry = next(e for e in ranking(rows).entries if e.method == "m")
    assert (entry.rank, entry.invalid, entry.scores) == (None, 1, {})


def test_who_knows_the_truth_has_no_rank_and_pushes_nobody_down():
    rows = [row(name, v, score) for name, score in (("oracle", 50.0), ("m", 30.0)) for v in "abcdefg"]
    found = {e.method: e.rank for e in ranking(rows, unranked=["oracle"]).entries}
    assert found == {"oracle": None, "m": (1, 1)}


def test_gains_over_identity_are_paired():
    rng = np.random.default_rng(0)
    level = rng.normal(25, 8, 12)
    rows = [row("identity", f"v{n:02}", level[n]) for n in range(12)]
    rows += [row("m", f"v{n:02}", level[n] + 1 + 0.1 * rng.normal()) for n in range(12)]
    entry = ranking(rows).entries[0]
    assert entry.scores["psnr"].high - entry.scores["psnr"].low > 5
    assert entry.gain.high - entry.gain.low < 0.3
    assert entry.gain.mean == pytest.approx(1, abs=0.1)


def test_a_pooled_score_weighs_clips_and_a_failure_weighs_what_its_truth_weighs():
    def of(method, video, iou, union, status="ok"):
        scores = {"jf": 0.5, "overall_iou": iou} if status == "ok" else {}
        return row(method, video, 0.0, status=status) | {"scores": scores, "weights": {"overall_iou": union}}

    rows = [
        of("m", "a", 0.5, 100.0),
        of("m", "b", 1.0, 300.0),
        of("identity", "a", 0.0, 80.0),
        of("identity", "b", 0.0, 200.0),
    ]
    metrics = ("jf", "overall_iou")
    assert ranking(rows, metrics).entries[0].scores["overall_iou"].mean == pytest.approx((50 + 300) / 400)
    rows[1] = of("m", "b", 0, 0, status="failed")
    entry = next(e for e in ranking(rows, metrics).entries if e.method == "m")
    assert entry.scores["overall_iou"].mean == pytest.approx(50 / (100 + 200))


def test_other_means_weigh_frames_clips_and_sets_as_their_names_say():
    rows = [
        {**row("m", video, 0.0, number), "frames": frames, "source": source, "set": group}
        for number, (video, source, group, frames) in enumerate(
            [("a", "a1", "x", 4), ("a", "a1", "x", 2), ("a", "a2", "x", 6), ("b", "b1", "y", 3)]
        )
    ]
    keys = [one["key"] for one in rows]
    assert shares(rows, "videos") is None
    assert list(map(shares(rows, "frames").get, keys)) == [4, 2, 6, 3]
    assert list(map(shares(rows, "clips").get, keys)) == [1, 1, 1, 1]
    # two sources in set x, one in y; a source's clips share it by their frames
    assert list(map(shares(rows, "sets").get, keys)) == pytest.approx([1 / 3, 1 / 6, 1 / 2, 1])


def test_under_another_mean_gains_and_tests_are_of_that_mean():
    rng = np.random.default_rng(5)
    frames = [100, 1, 1, 1, 1, 1, 1, 1]
    rows, own = [], {}
    for name, gain in (("identity", 0.0), ("m", -1.0)):
        # better where there are many frames, worse on all other videos
        values = [20 + rng.normal() + (3 if video == 0 and name == "m" else gain) for video in range(8)]
        rows += [
            {**row(name, f"v{video}", value, video), "frames": frames[video]} for video, value in enumerate(values)
        ]
        own[name] = np.average(values, weights=frames)
    found = leaderboard(rows, [METRICS["psnr"]], draws=200, permutations=1000, seed=0, shares=shares(rows, "frames"))
    by_name = {entry.method: entry for entry in found.entries}
    assert by_name["m"].scores["psnr"].mean == pytest.approx(own["m"])
    assert by_name["m"].gain.mean == pytest.approx(own["m"] - own["identity"])
    assert by_name["m"].gain.mean > 0
    # all rests on one video: nobody is told apart
    assert by_name["m"].rank == by_name["identity"].rank == (1, 2)


def test_lower_is_better_turns_the_order_and_the_gain():
    rows = [
        row(name, v, 0.0) | {"scores": {"ciede2000": value + n * 0.01}}
        for name, value in (("identity", 9.0), ("m", 4.0))
        for n, v in enumerate("abcdefg")
    ]
    found = ranking(rows, ("ciede2000",)).entries
    assert [(e.method, e.rank) for e in found] == [("m", (1, 1)), ("identity", (2, 2))]
    assert found[0].gain.mean == pytest.approx(5)


def test_every_task_has_a_metric_that_ranks():
    for task in ("dehaze", "deblur", "inpaint", "recolor", "segment", "edit", "one_of_mine"):
        metrics = get_metrics(task)
        assert len({metric.name for metric in metrics}) == len(metrics) >= 4
