"""What `bench verify` finds: numbers, words, clips, rows and costs that were changed, and nothing where nothing was."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from benchmarks.audit import _chosen, audit
from benchmarks.commands import publish_report, report
from benchmarks.methods import METHODS
from benchmarks.report.stored import load_run
from benchmarks.runner import prediction_path, run
from benchmarks.suite import make_suite
from configs import ConfigError, DatasetError
from shards import Dataset, encode_preview
from shards.codecs import decode_video, encode_video
from shards.pages import bytes_of, data_url
from shards.storage import sha256_of
from tests.benchmarks.conftest import REPORTED as SETTINGS
from tests.benchmarks.conftest import method


def test_a_run_that_was_left_alone_is_verified(finished):
    told = []
    found = audit(finished[0], tell=lambda *words: told.append(words))
    assert (found.wrong, found.notes) == ([], [])
    assert (found.scored, found.rows) == (4 * 3, 4 * 4)
    places = [(done, total) for what, done, total in told if what.startswith("scoring again dehaze / ")]
    assert places == [(done, 12) for done in range(12)]


def test_a_run_with_failures_is_verified_at_first_after_a_second_run_and_after_one_on_fewer_samples(
    toy_dataset, tmp_path, monkeypatch
):
    suite = make_suite(toy_dataset, ["dehaze"], SETTINGS)
    bad = suite.dataset[suite.rows["dehaze"][1]["key"]].source

    def fragile(clip, *_):
        if np.array_equal(clip, bad):
            raise ZeroDivisionError("no luck; <b>none</b>")
        return clip // 2

    def never(*_):
        raise RuntimeError("no")

    monkeypatch.setitem(METHODS, "good", method("good", fragile))
    monkeypatch.setitem(METHODS, "never", method("never", never))
    settings = SETTINGS.model_copy(update={"methods": ("good", "never")})
    for own in (settings, settings, settings.model_copy(update={"limit": 2}), settings):
        suite = make_suite(toy_dataset, ["dehaze"], own)
        done = run(suite, own, tmp_path)
        assert {row["status"] for row in done.rows} == {"ok", "failed"}
        publish_report(tmp_path, done, own, suite.dataset)
        assert audit(tmp_path).wrong == []
        report(tmp_path)
        assert audit(tmp_path).wrong == []


def test_one_method_or_one_sample_can_be_verified_whole(finished):
    key = pd.read_parquet(finished[0] / "rows.parquet")["key"][0]
    for found in (audit(finished[0], method="good"), audit(finished[0], key=key)):
        assert (found.wrong, found.scored, found.rows) == ([], 4, 16)
    with pytest.raises(ConfigError, match="no method named 'nobody'"):
        audit(finished[0], method="nobody")
    with pytest.raises(DatasetError, match="keeps no answer for dehaze-1"):
        audit(finished[0], key="dehaze-1")


def test_a_number_changed_in_the_table_is_found(folder):
    path = folder / "leaderboard.json"
    boards = json.loads(path.read_text())
    boards[0]["methods"][1]["scores"]["psnr"]["mean"] += 0.01
    path.write_text(json.dumps(boards))
    (wrong,) = audit(folder).wrong
    assert "does not follow from the rows" in wrong
    assert "psnr.mean" in wrong


@pytest.mark.parametrize("name", ["leaderboard.md", "leaderboard.csv", "leaderboard.tex", "index.html"])
def test_a_number_changed_in_any_form_of_the_table_is_found(folder, name):
    path, text = folder / name, (folder / name).read_text()
    mean = next(line["scores"]["psnr"]["mean"] for line in boards_of(folder)[0]["methods"] if line["method"] == "clahe")
    number = str(mean) if name.endswith("csv") else f"{mean:.2f}"
    assert number in text
    path.write_text(text.replace(number, "99.99"))
    assert [name in words and number in words for words in audit(folder).wrong] == [True]
    path.unlink()
    assert [f"{name} is missing" in words for words in audit(folder).wrong] == [True]


def test_a_cell_that_is_sorted_by_another_number_than_it_shows_is_shown_whole(folder):
    path, text = folder / "index.html", (folder / "index.html").read_text()
    path.write_text(re.sub(r'data-value="(\d+)\.', r'data-value="9\1.', text, count=1))
    (words,) = audit(folder).wrong
    ours, theirs = re.findall(r'data-value=\\?"([^"\\]+)', words)
    assert ours == f"9{theirs}"


def clips_exchanged(text):
    clips = list(dict.fromkeys(re.findall(r"data:video/mp4;base64,[^\"]+", text)))
    return text.replace(clips[0], "first").replace(clips[1], clips[0]).replace('"first"', f'"{clips[1]}"')


def clip_put_in(text):
    frames = np.zeros((4, 32, 48, 3), np.uint8)
    shown = data_url(encode_preview(frames, 25))
    return re.sub(r"data:video/mp4;base64,[^\"]+", shown, text, count=1)


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("index.html", lambda text: text.replace("</body>", "<script>alert(1)</script></body>"), "<script>alert"),
        ("index.html", lambda text: text.replace("</h1>", "</h1>\n<p>Ours is best.</p>"), "Ours is best"),
        ("index.html", lambda text: text.replace("<p ", '<p onclick="x()" ', 1), "onclick"),
        ("index.html", clips_exchanged, "clip 1 of "),
        ("index.html", clip_put_in, "clip 1 of "),
        ("leaderboard.json", lambda text: re.sub(r'"convention": "', '"convention": "twice ', text, count=1), "twice"),
        ("leaderboard.json", lambda text: text.replace('"notes": []', '"notes": ["cheats"]', 1), "cheats"),
        ("leaderboard.json", lambda text: text.replace(": ", ":  ", 1), ":  "),
        ("leaderboard.md", lambda text: text.replace("have no rank", "have one"), "have one"),
        ("leaderboard.md", lambda text: text + "- clahe: cheats\n", "clahe: cheats"),
    ],
)
def test_words_scripts_and_clips_that_were_changed_are_found_and_written_again(folder, name, change, words):
    path = folder / name
    before = path.read_text()
    path.write_text(change(before))
    assert path.read_text() != before
    told = audit(folder, rows_per_method=1).wrong
    assert told
    for line in told:
        assert line.startswith(f"{name} is not what this version writes of the rows")
        assert f"'bench report {folder}' writes it again" in line
    assert words in told[0]
    report(folder)
    assert path.read_text() == before


def test_clips_of_other_bytes_that_show_the_same_frames_are_no_fault(folder, toy_dataset):
    path = folder / "index.html"
    text = path.read_text()
    first = re.search(r"data:video/mp4;base64,[^\"]+", text)[0]
    key = re.search(r"<code>(dehaze-test-\d+)</code></span></header>", text)[1]
    other = data_url(encode_preview(Dataset(toy_dataset)[key].source, 24))
    assert bytes_of(other) != bytes_of(first)
    path.write_text(text.replace(first, other))
    assert audit(folder, rows_per_method=1).wrong == []


def boards_of(folder):
    return json.loads((folder / "leaderboard.json").read_text())


def test_a_score_changed_where_the_next_run_would_find_it_is_found(folder):
    path = folder / "rows.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[0]["scores"]["psnr"] += 1
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (wrong,) = audit(folder).wrong
    assert f"{rows[0]['key']} has another psnr than rows.parquet" in wrong


def test_a_run_is_checked_and_reported_where_its_dataset_has_moved_to(toy_dataset, folder, tmp_path):
    facts = json.loads((folder / "run.json").read_text())
    facts["dataset"] = str(tmp_path / "gone" / toy_dataset.name)
    (folder / "run.json").write_text(json.dumps(facts))
    for command in (audit, report):
        with pytest.raises(DatasetError, match="not there any more; --data FOLDER"):
            command(folder)
    assert audit(folder, data=toy_dataset).wrong == []
    report(folder, toy_dataset)
    with pytest.raises(DatasetError, match="is not a finished dataset"):
        audit(folder, data=tmp_path)


def test_an_answer_that_was_exchanged_is_found(folder):
    row = pd.read_parquet(folder / "rows.parquet").query("method == 'good'").iloc[0].to_dict()
    path = prediction_path(folder, row)
    path.write_bytes(encode_video(decode_video(path.read_bytes()) // 2, 25, "lossless"))
    wrong = audit(folder, method="good").wrong
    assert wrong[-1] == f"dehaze good {row['key']}: {path.name} is not the answer that was scored"
    assert ["index.html" in words and "is another one" in words for words in wrong[:-1]] == [True]


def test_scores_that_do_not_fit_the_kept_answers_are_found_though_all_hashes_are_right(folder):
    table = pd.read_parquet(folder / "rows.parquet")
    table.loc[table["method"] == "good", "ssim"] += 0.001
    table.to_parquet(folder / "rows.parquet", index=False)
    sign(folder)
    wrong = audit(folder, method="good").wrong
    assert sum("ssim is written" in words for words in wrong) == 4


def sign(folder, **facts):
    """Write run.json anew, with the hash of the rows as they are."""
    known = json.loads((folder / "run.json").read_text())
    facts = {**known, **facts, "rows_sha256": sha256_of(folder / "rows.parquet")}
    (folder / "run.json").write_text(json.dumps(facts))


@pytest.mark.parametrize(
    ("name", "column", "value"),
    [
        ("known_haze", "ranked", True),
        ("good", "leaked", True),
        ("good", "status", "failed"),
        ("good", "frames", 5),
        ("good", "learns", True),
        ("clahe", "weights_sha256", "0" * 64),
    ],
)
def test_a_field_of_a_row_that_was_changed_is_found_though_signed_and_reported_anew(folder, name, column, value):
    table = pd.read_parquet(folder / "rows.parquet")
    table.loc[table["method"] == name, column] = value
    table.to_parquet(folder / "rows.parquet", index=False)
    sign(folder)
    report(folder)
    found = [words for words in audit(folder).wrong if f"has another {column} than rows.parquet" in words]
    assert len(found) == 4
    assert all(words.startswith(f"rows.jsonl: dehaze {name} ") for words in found)


def rewrite_everywhere(folder, change):
    """Change rows in rows.parquet and in rows.jsonl alike, sign, and make the report anew: `change` takes a row, or drops it."""
    table = pd.read_parquet(folder / "rows.parquet")
    kept = [row for row in map(change, table.to_dict("records")) if row]
    pd.DataFrame(kept).to_parquet(folder / "rows.parquet", index=False)
    noted = [row for row in map(change, map(json.loads, (folder / "rows.jsonl").read_text().splitlines())) if row]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in noted))
    sign(folder)
    report(folder)


@pytest.mark.parametrize(
    ("name", "column", "value"),
    [
        ("known_haze", "ranked", True),
        ("clahe", "learns", True),
        ("clahe", "leaked", True),
        ("clahe", "board", "dehaze, another contest"),
        ("clahe", "video", "v"),
        ("clahe", "source_id", "another"),
    ],
)
def test_what_rows_say_of_samples_and_methods_is_found_to_be_otherwise_though_noted_alike(folder, name, column, value):
    rewrite_everywhere(folder, lambda row: {**row, column: value} if row["method"] == name else row)
    found = [
        words for words in audit(folder).wrong if f": another {column} than its sample and its method have" in words
    ]
    assert len(found) == 4
    assert all(words.startswith(f"dehaze {name} ") for words in found)


def test_who_entered_cannot_be_made_an_oracle_that_has_no_rank(folder):
    rewrite_everywhere(folder, lambda row: {**row, "ranked": False} if row["method"] == "good" else row)
    assert sum("good" in words and "all others have a rank" in words for words in audit(folder).wrong) == 4


def test_a_score_that_needs_no_network_cannot_be_said_to_be_unavailable(folder):
    def hidden(row):
        if row["method"] != "clahe":
            return row
        if "scores" not in row:
            return {**row, "warping_error": None, "unavailable": json.dumps({"warping_error": "n/a"})}
        scores = {name: value for name, value in row["scores"].items() if name != "warping_error"}
        return {**row, "scores": scores, "unavailable": {"warping_error": "n/a"}}

    rewrite_everywhere(folder, hidden)
    wrong = audit(folder, method="clahe").wrong
    assert sum("warping_error is written None, scored again" in words for words in wrong) == 4


def test_a_scored_row_whose_time_was_taken_away_is_found(folder):
    table = pd.read_parquet(folder / "rows.parquet")
    table.loc[table["method"] == "good", "seconds_per_frame"] = np.nan
    table.to_parquet(folder / "rows.parquet", index=False)
    sign(folder)
    assert sum("good" in words and "has another seconds_per_frame" in words for words in audit(folder).wrong) == 4


def test_a_number_made_up_whose_answer_was_taken_away_is_found(folder):
    rows = pd.read_parquet(folder / "rows.parquet").query("method == 'good'")
    key = rows["key"].iloc[0]
    change = {"psnr": 90.0, "scores": {**load_run(folder).rows[0]["scores"], "psnr": 90.0}}

    def made_up(row):
        if (row["method"], row["key"]) != ("good", key):
            return row
        return {**row, **{name: value for name, value in change.items() if name in row}}

    next((folder / "predictions" / "good").glob(f"{key}-*")).unlink()
    rewrite_everywhere(folder, made_up)
    assert any("dehaze good: 1 of the answers that are kept are not there" in words for words in audit(folder).wrong)


def test_answers_that_rows_say_were_kept_are_missed_though_the_settings_ask_for_none(folder):
    gone = list((folder / "predictions" / "good").iterdir())
    for path in gone:
        path.unlink()
    settings = json.loads((folder / "run.json").read_text())["settings"]
    sign(folder, settings={**settings, "keep": 0})
    report(folder)
    assert any(
        f"dehaze good: {len(gone)} of the answers that are kept are not" in words for words in audit(folder).wrong
    )


def test_what_is_odd_about_an_answer_cannot_be_kept_quiet(folder):
    told = {"suspicions": {str: "", list: []}}
    rewrite_everywhere(folder, lambda row: {**row, "suspicions": told["suspicions"][type(row["suspicions"])]})
    wrong = audit(folder, method="identity").wrong
    assert len(wrong) == 4
    assert all("written as nothing, found again returned its input" in words for words in wrong)


def test_which_rows_are_scored_again_is_not_known_beforehand(finished):
    run = load_run(finished[0])
    seen = {
        row["key"]
        for _ in range(40)
        for row in _chosen(finished[0], run.rows, 1, None, None)
        if row["method"] == "good"
    }
    assert len(seen) == 4, "missing one of four in 40 draws has a chance of 4e-5"


def test_samples_that_were_left_out_of_every_method_are_missed(folder):
    worst = pd.read_parquet(folder / "rows.parquet").query("method == 'good'").sort_values("psnr")["key"].iloc[0]
    rewrite_everywhere(folder, lambda row: None if row["key"] == worst else row)
    wrong = audit(folder).wrong
    assert [words for words in wrong if "dehaze: 3 samples were scored, of which 3 are among the 4 that" in words]


def test_a_row_that_is_said_to_have_failed_and_has_a_kept_answer_is_found(folder):
    table = pd.read_parquet(folder / "rows.parquet")
    table.loc[table["method"] == "good", "status"] = "failed"
    table.to_parquet(folder / "rows.parquet", index=False)
    sign(folder)
    rows = [json.loads(line) for line in (folder / "rows.jsonl").read_text().splitlines()]
    for row in rows:
        row["status"] = "failed" if row["method"] == "good" else row["status"]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    report(folder)
    wrong = audit(folder).wrong
    assert sum("said to have failed" in words and "its answer was kept" in words for words in wrong) == len(wrong) == 4


def test_rows_that_were_never_noted_as_scored_are_found(folder):
    text = (folder / "rows.jsonl").read_text().splitlines()
    (folder / "rows.jsonl").write_text("\n".join(text[3:]) + "\n")
    (wrong,) = audit(folder).wrong
    assert wrong.startswith("rows.jsonl lacks 3 of the 16 rows of rows.parquet")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda costs: [{**cost, "warm_seconds_per_frame": 1e-6} for cost in costs], "warm_seconds_per_frame"),
        (lambda costs: [{**cost, "parameters": 1} for cost in costs], "parameters"),
        (lambda costs: [], "do not have one cost"),
        (lambda costs: [{**cost, "id": "0"} for cost in costs], "do not have one cost"),
    ],
)
def test_costs_that_are_not_those_that_were_measured_are_found_though_reported_anew(folder, change, words):
    facts = json.loads((folder / "run.json").read_text())
    sign(folder, costs=change(facts["costs"]))
    report(folder)
    wrong = audit(folder).wrong
    assert [words in told and "costs.jsonl" in told for told in wrong] == [True] * 4
