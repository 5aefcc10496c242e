"""Videos that are one to statistics: what a dataset knows as copies of each other, or of one group."""

import json
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.audit import _said, audit
from benchmarks.commands import publish_report
from benchmarks.methods import METHODS
from benchmarks.report import make_boards
from benchmarks.runner import run
from benchmarks.settings import BenchSettings, SuiteSettings
from benchmarks.suite import make_suite
from shards import Manifest, encode_sample, load_manifest, write_card, write_shard
from tests.benchmarks.test_honesty import toy
from tests.conftest import make_sample

SETTINGS = BenchSettings(bootstrap=100, examples=1, methods=("identity",), cost_samples=0)


@pytest.fixture
def related(tmp_path):
    """Three videos of two clips each, of which the first two are copies; and these two."""
    root = tmp_path / "related"
    shard = write_shard(
        root / "dehaze" / "test-000000.tar",
        [encode_sample(make_sample("dehaze", "test", number)) for number in range(6)],
    )
    family = tuple(f"{number:064x}" for number in range(2))
    manifest = Manifest(recipe={}, recipe_digest="0", code_version="0", shards=(shard,), sources=3, families=(family,))
    write_card(root, manifest, {"CC0-1.0": 6})
    manifest.save(root)
    return root, family


def test_copies_are_one_video(related, tmp_path):
    root, family = related
    suite, out = make_suite(root, ["dehaze"], SETTINGS), tmp_path / "out"
    done = run(suite, SETTINGS, out)
    assert [row["video"] for row in done.rows] == [family[0]] * 4 + [f"{2:064x}"] * 2
    (board,) = make_boards(done, SETTINGS)
    (line,) = board.lines
    values = [row["scores"]["psnr"] for row in done.rows]
    assert line.entry.videos == 2
    assert board.size.startswith("6 clips of 2 videos (of 3; copies, and videos of one group, count as one), ranked by")
    assert line.entry.scores["psnr"].mean == pytest.approx((np.mean(values[:4]) + np.mean(values[4:])) / 2)
    publish_report(out, done, SETTINGS, suite.dataset)
    assert audit(out).wrong == []
    # rows of before, which do not name the copies, and a dataset that has none
    older = replace(done, rows=[{name: value for name, value in row.items() if name != "clean"} for row in done.rows])
    assert make_boards(older, SETTINGS)[0].size.startswith("6 clips of 2 videos, ranked by")
    assert list(_said(older, suite)) == []
    alone = replace(done, rows=[{**row, "video": row["clean"]} for row in done.rows])
    assert make_boards(alone, SETTINGS)[0].size.startswith("6 clips of 3 videos, ranked by")


def test_papers_count_their_test_videos_as_they_are(related, tmp_path):
    standard = SuiteSettings.model_construct(names="")
    suite = replace(make_suite(related[0], ["dehaze"], SETTINGS), standard=standard)
    assert len({row["video"] for row in run(suite, SETTINGS, tmp_path / "out").rows}) == 3


def test_who_has_seen_a_video_has_seen_its_copy(related, tmp_path, monkeypatch):
    root, family = related
    monkeypatch.setitem(METHODS, "toy", toy(learns=True, trained_on=frozenset({family[1]}), weights="w"))
    settings = SETTINGS.model_copy(update={"methods": ("toy",)})
    done = run(make_suite(root, ["dehaze"], settings), settings, tmp_path / "out")
    (leak,) = done.leaks
    assert leak.keys == [row["key"] for row in done.rows if row["method"] == "toy" and row["video"] == family[0]]
    assert len(leak.keys) == 4


def test_a_manifest_without_families_is_as_it_was(related):
    root, family = related
    manifest = load_manifest(root)
    assert manifest.families == (family,)
    assert json.loads((root / "manifest.json").read_text())["families"] == [list(family)]
    alone = replace(manifest, families=())
    alone.save(root)
    assert "families" not in json.loads((root / "manifest.json").read_text())
    assert load_manifest(root) == alone
    assert alone.sha256 == manifest.sha256
