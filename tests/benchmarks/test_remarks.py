"""What a table says of its samples, and of how answers came about, below and above its numbers."""

from dataclasses import replace

import numpy as np

from benchmarks.audit import audit
from benchmarks.commands import publish_report
from benchmarks.methods.segmentation import painted
from benchmarks.report import make_boards
from benchmarks.report.stored import load_run
from benchmarks.runner import run
from benchmarks.settings import BenchSettings
from benchmarks.suite import make_suite
from shards import Manifest, encode_sample, write_card, write_shard
from tests.conftest import make_sample


def test_a_table_says_on_how_many_samples_an_empty_mask_is_right(tmp_path, capsys):
    """An identity of 1.000 looks like a broken metric where nobody says that there was nothing to find."""
    mask = np.zeros((4, 32, 48), np.uint8)
    mask[:, 8:24, 10:30] = 255
    samples = []
    for number, held in enumerate((mask * 0, mask)):
        sample = make_sample("segment", "test", number, mask=held)
        meta = replace(sample.meta, parameters={"rgb": [214, 38, 40]})
        target = painted(sample.source, held > 0, (214, 38, 40))
        samples.append(encode_sample(replace(sample, meta=meta, target=target)))
    root, settings = tmp_path / "segments", BenchSettings(bootstrap=100, methods=("known_mask",), cost_samples=0)
    shard = write_shard(root / "segment" / "test-000000.tar", samples)
    manifest = Manifest(recipe={}, recipe_digest="0", code_version="0", shards=(shard,), sources=1)
    write_card(root, manifest, {"CC0-1.0": 2})
    manifest.save(root)
    told = "1 of 2 samples names nothing that is in the clip: an empty mask is right there, and scores 1"
    for limit, words in ((None, told), (1, told.replace("2 samples", "1 sample"))):
        out, chosen = tmp_path / f"out {limit}", settings.model_copy(update={"limit": limit})
        suite = make_suite(root, [], chosen)
        publish_report(out, run(suite, chosen, out), chosen, suite.dataset)
        assert f"{words}\n" in capsys.readouterr().out
        for name in ("leaderboard.md", "leaderboard.tex", "leaderboard.json", "index.html"):
            assert words in (out / name).read_text()
        assert audit(out).wrong == []
    # whom a sample shows is found by its area, whoever finds all of it
    (board,) = make_boards(load_run(tmp_path / "out None"), settings)
    assert {line.entry.scores["jf"].mean for line in board.lines} == {0.5, 1.0}
