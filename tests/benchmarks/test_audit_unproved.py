"""What `bench verify` says of rows that nobody can score again: without a kept answer, or said to be invalid."""

import shutil

from benchmarks.audit import audit
from benchmarks.commands import publish_report, verify
from benchmarks.methods import METHODS
from benchmarks.metrics import METRICS
from benchmarks.runner import run
from benchmarks.suite import make_suite
from tests.benchmarks.conftest import REPORTED as SETTINGS
from tests.benchmarks.conftest import method
from tests.benchmarks.test_audit import rewrite_everywhere


def never_scored(name, **more):
    """Return a change that says of a method's rows that the bench could not score them."""

    def change(row):
        if row["method"] != name:
            return row
        bare = {what: value for what, value in row.items() if what not in METRICS and not what.endswith(".weight")}
        empty = {"scores": {}, "suspicions": []} if "scores" in row else {"suspicions": ""}
        return {**bare, **empty, "status": "invalid", "error": "ssim: MemoryError: none left", **more}

    return change


def test_a_row_that_is_said_to_be_invalid_and_can_be_scored_or_has_scores_is_found(folder):
    rewrite_everywhere(folder, never_scored("good"))
    found = audit(folder)
    assert sum("and its kept answer can be scored" in words for words in found.wrong) == len(found.wrong) == 4
    assert all("said to have failed on it (ssim: MemoryError: none left)" in words for words in found.wrong)
    rewrite_everywhere(folder, lambda row: {**row, "status": "invalid"} if row["method"] == "clahe" else row)
    assert sum("and it has scores" in words for words in audit(folder).wrong) == 4


def test_invalid_rows_without_an_answer_are_told_for_they_can_be_neither_proved_nor_disproved(folder, capsys):
    shutil.rmtree(folder / "predictions" / "good")
    rewrite_everywhere(folder, never_scored("good"))
    capsys.readouterr()
    assert verify(folder, 3, None, None) == 0
    told = capsys.readouterr()
    assert told.err == ""
    first, second = told.out.splitlines()
    assert first == f"{folder}: 9 of 16 rows scored again from kept answers, nothing wrong"
    assert second.startswith(
        "dehaze good: 4 of 4 rows invalid, the bench itself is said to have failed there (first: ssim: Mem"
    )
    assert "neither scores nor rank, and 'bench run' with the same options scores them anew" in second


def test_how_many_rows_have_no_kept_answer_is_told(toy_dataset, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(METHODS, "good", method("good", lambda clip, *_: clip // 2))
    settings = SETTINGS.model_copy(update={"methods": ("good",), "keep": 1})
    suite = make_suite(toy_dataset, ["dehaze"], settings)
    publish_report(tmp_path, run(suite, settings, tmp_path), settings, suite.dataset)
    capsys.readouterr()
    assert verify(tmp_path, 3, None, None) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith("2 of 8 rows scored again from kept answers, nothing wrong")
    assert second.startswith("6 rows of 8 have no kept answer (keep=1 of each task and method)")
