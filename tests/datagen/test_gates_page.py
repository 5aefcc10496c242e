import html
import json
import re
import shutil
import subprocess
import sys
import xml.dom.minidom
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from configs import DatasetError, load
from datagen import Recipe, build
from datagen.gates_page import Threshold, collect, summary, write_gates
from datagen.merge import merge
from datagen.rejects import broken_score, read_rejects
from shards import Manifest, encode_sample, write_shard
from tests.conftest import make_sample
from tests.datagen.conftest import SMALL

CLIP = ["source_sha256", "start", "step", "frames"]
SCORES = {
    "brightness",
    "contrast",
    "motion",
    "duplicates",
    "black_point",
    "colourfulness",
    "pair_psnr",
    "jump",
    "borders",
    "lettering",
    "sharpness",
    "pair_changed",
}


def made(out: Path, *settings: str) -> Path:
    build(load(Recipe, "default", [*SMALL, "scenes.count=12", *settings]), out)
    return out


def table(root: Path) -> pd.DataFrame:
    """The index with a column for each score, by way of pandas alone."""
    rows = pd.concat([pd.read_parquet(path) for path in sorted(root.glob("*/*.parquet"))], ignore_index=True)
    return rows.join(pd.json_normalize(rows["scores"].map(json.loads).tolist()))


def rejects_of(root: Path) -> list[dict]:
    return [json.loads(line) for line in (root / "rejects.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """Nothing is turned away here."""
    return made(tmp_path_factory.mktemp("gates") / "whole")


@pytest.fixture(scope="module")
def strict(whole, tmp_path_factory) -> Path:
    """The clips that move less than half of them do are turned away, and the pairs that are nearest to each other."""
    rows = table(whole)
    settings = (f"gates.min_motion={rows['motion'].median()}", f"gates.max_pair_psnr={rows['pair_psnr'].quantile(0.7)}")
    return made(tmp_path_factory.mktemp("gates") / "strict", *settings)


def test_the_gate_of_repeated_frames_is_no_namesake_of_the_rejects_that_are_the_same_file(whole, tmp_path):
    found = collect(whole)
    (line,) = (line for line in summary(found) if "max_duplicates" in line)
    assert line.startswith("repeated frames: max_duplicates 0.6; kept ")
    page = write_gates(found, tmp_path / "gates.html").read_text()
    assert "<h4>repeated frames</h4>" in page
    assert "<h4>duplicates</h4>" not in page


def test_kept_scores_are_those_of_pandas(whole):
    found = collect(whole)
    rows = table(whole)
    clips = rows.drop_duplicates(CLIP)
    assert found.clips == len(clips)
    assert {score for score, task in found.gates if not task} == SCORES
    for score in SCORES:
        wanted = rows if score.startswith("pair_") else clips
        assert sorted(found.gate(score).kept) == sorted(wanted[score])
        assert not found.gate(score).rejected
    for task, group in rows.groupby("task"):
        assert sorted(found.gate("pair_psnr", task).kept) == sorted(group["pair_psnr"])


def test_what_was_turned_away_is_counted_for_its_own_gate(whole, strict):
    found, rows = collect(strict), table(whole)
    clips = rows.drop_duplicates(CLIP)
    limits = {limit.setting: limit.value for limit in found.thresholds}
    still = clips[clips["motion"] < limits["min_motion"]]
    assert found.gate("motion").kinds == {"still": len(still)}
    # the reason rounds to six digits
    assert sorted(found.gate("motion").rejected) == pytest.approx(sorted(still["motion"]), rel=1e-5)
    alike = rows[(rows["motion"] >= limits["min_motion"]) & (rows["pair_psnr"] > limits["max_pair_psnr"])]
    assert found.gate("pair_psnr").kinds == {"no change": len(alike)}
    by_task = {task: gate.kinds["no change"] for (score, task), gate in found.gates.items() if task and gate.kinds}
    assert by_task == alike["task"].value_counts().to_dict()
    assert {name: kind.count for name, kind in found.kinds.items()} == Counter(
        reject["reason"].split(":")[0] for reject in rejects_of(strict)
    )


def test_thresholds_are_those_of_the_recipe_and_of_the_tasks_own_options(strict):
    found = collect(strict)
    recipe = found.manifest.recipe
    limits = {name: value for name, value in recipe["gates"].items() if name.startswith(("min_", "max_"))}
    assert {limit.setting: limit.value for limit in found.thresholds if not limit.task} == limits
    assert Threshold(setting="min_colourfulness", value=6.0, task="recolor") in found.thresholds
    assert not found.gate("colourfulness").thresholds
    assert [limit.label for limit in found.gate("colourfulness", "recolor").thresholds] == [
        "recolor.min_colourfulness 6"
    ]
    assert [limit.setting for limit in found.gate("brightness").thresholds] == ["max_brightness", "min_brightness"]


def with_scores(strict: Path, whole: Path, copy: Path) -> Path:
    """A copy whose rejects tell every score of what was turned away, as newer builds do."""
    shutil.copytree(strict, copy)
    clips = table(whole).set_index("source_sha256")
    lines = []
    for reject in rejects_of(copy):
        row = clips.loc[[reject["sha256"]]].iloc[0]
        lines.append(
            json.dumps(
                reject | {"scores": {score: float(row[score]) for score in SCORES - {"pair_psnr", "pair_changed"}}}
            )
        )
    (copy / "rejects.jsonl").write_text("\n".join(lines) + "\n")
    return copy


def test_scores_that_rejects_tell_are_taken_in(whole, strict, tmp_path):
    assert collect(strict).unknown == 0
    found = collect(with_scores(strict, whole, tmp_path / "copy"))
    clips = table(whole).drop_duplicates(CLIP)
    still = clips[clips["motion"] < next(t.value for t in found.thresholds if t.setting == "min_motion")]
    assert sorted(found.gate("motion").rejected) == sorted(still["motion"])
    for score in ("brightness", "contrast", "colourfulness"):
        assert sorted(found.gate(score).others) == sorted(still[score])
        assert not found.gate(score).rejected
    assert found.unknown == 0


def test_a_task_s_own_gate_counts_what_it_turned_away(tmp_path):
    root = made(tmp_path / "x", "tasks={dehaze: {}, recolor: {min_colourfulness: 60}}")
    clips = table(root).drop_duplicates(CLIP).set_index("source_sha256")["colourfulness"]
    lines = [json.dumps(r | {"scores": {"colourfulness": clips[r["sha256"]]}}) for r in rejects_of(root)]
    (root / "rejects.jsonl").write_text("".join(line + "\n" for line in lines))
    found = collect(root)
    assert sorted(found.gate("colourfulness").kept) == sorted(clips)
    assert not found.gate("colourfulness").rejected
    own = found.gate("colourfulness", "recolor")
    assert own.kinds == {"colourless": (clips < 60).sum()}
    assert sorted(own.rejected) == sorted(clips[clips < 60])
    assert sorted(own.kept) == sorted(clips[clips >= 60])


def test_the_page_draws_every_threshold_and_fetches_nothing(strict):
    found = collect(strict)
    page = write_gates(found, strict / "gates.html").read_text()
    assert not re.findall(r"""(?:src|href)=["'](?!#)""", page)
    assert "http" not in page
    for limit in found.thresholds:
        assert f">{limit.label}</text>" in page
    for svg in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        xml.dom.minidom.parseString(svg)


def test_bars_add_up_to_what_was_kept_and_turned_away(strict):
    found = collect(strict)
    page = write_gates(found, strict / "gates.html").read_text()
    chart = re.search(r"<h4>motion</h4>(<svg.*?</svg>)", page, re.DOTALL)[1]
    for words, values in (("kept", found.gate("motion").kept), ("left out for it", found.gate("motion").rejected)):
        assert sum(map(int, re.findall(rf"{words} (\d+)</title>", chart))) == len(values) > 0


def test_a_line_of_each_gate_has_its_percentiles_and_threshold(strict, capsys):
    rows = table(strict)
    lines = {line.split(":")[0]: line for line in summary(collect(strict))}
    titles = SCORES - {"duplicates"} | {"repeated frames"}
    assert titles <= {name.split(" of ")[0] for name in lines}
    low, middle, high = np.percentile(rows["pair_psnr"], [5, 50, 95])
    line = lines["pair_psnr"].replace("\N{NO-BREAK SPACE}", " ")
    assert f"5 %: {low:.4g}, median: {middle:.4g}, 95 %: {high:.4g}" in line
    assert f"{rows['pair_psnr'].min():.4g} to {rows['pair_psnr'].max():.4g}" in line
    assert f"max_pair_psnr {load_gates(strict)['max_pair_psnr']:.4g}" in line
    assert re.search(r"left out \d+ \(no change \d+\)$", line)


def load_gates(root: Path) -> dict[str, float]:
    return json.loads((root / "manifest.json").read_text())["recipe"]["gates"]


def test_three_examples_of_each_kind_are_shown_from_different_sources(strict):
    found = collect(strict)
    page = html.unescape(write_gates(found, strict / "gates.html").read_text())
    for kind in found.kinds.values():
        sources = [example["source"] for example in kind.examples]
        assert len(set(sources)) == len(sources) <= 3
        assert all(example["reason"] in page for example in kind.examples)
    assert len(found.kinds["still"].examples) == 3


def test_no_text_breaks_out_of_the_page_and_odd_values_are_left_alone(tmp_path):
    evil = '</svg><script>alert("x")</script>雪'
    root = tmp_path / "<script>雪"
    sample = make_sample("dehaze", "train", 0)
    sample = replace(sample, meta=replace(sample.meta, scores={evil: 1.0, "motion": 2.0}))
    shard = write_shard(root / "dehaze" / "train-000000.tar", [encode_sample(sample)])
    recipe = {"gates": {"min_motion": 1, f"max_{evil}": 3}, "tasks": {evil: {"min_motion": 2, "min_x": "y"}}}
    Manifest(recipe=recipe, recipe_digest="0", code_version=evil, shards=(shard,), sources=1).save(root)
    reject = {
        "where": "gate",
        "source": evil,
        "reason": f"{evil}: {evil} 3",
        "scores": {evil: 9, "motion": "fast", "x": True},
    }
    (root / "rejects.jsonl").write_text(json.dumps(reject) + "\n" + json.dumps(reject | {"scores": None}) + "\n")
    page = write_gates(collect(root), root / "gates.html").read_text()
    assert page.count("<script>") == 1
    assert page.count("</script>") == 1
    for svg in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        xml.dom.minidom.parseString(svg)
    assert list(summary(collect(root)))[-1].startswith("2 videos left out: ")


def test_thousands_of_kinds_and_rejects_give_a_small_page(strict, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(strict, copy)
    with (copy / "rejects.jsonl").open("a") as file:
        for number in range(5000):
            reject = {"where": "decode", "source": "y" * 500, "reason": f"{number % 500} oddity: " + "z" * 999}
            file.write(json.dumps(reject) + "\n")
    page = write_gates(collect(copy), copy / "gates.html").read_text()
    assert len(page) < 200_000
    assert "more kinds" in page


def test_the_parts_of_a_merged_dataset_keep_their_own_thresholds(whole, tmp_path):
    other = made(tmp_path / "other", "seed=3", "gates.min_motion=1")
    merge([whole, other], tmp_path / "both")
    found = collect(tmp_path / "both")
    assert [limit.label for limit in found.gate("motion").thresholds] == [
        "min_motion 0.02 (whole)",
        "min_motion 1 (other)",
    ]
    assert [limit.label for limit in found.gate("contrast").thresholds] == ["min_contrast 4"]
    write_gates(found, tmp_path / "gates.html")


def test_a_dataset_without_rejects_or_gates_has_a_page(toy_dataset, tmp_path):
    found = collect(toy_dataset)
    assert "Nothing was left out." in write_gates(found, tmp_path / "gates.html").read_text()
    assert list(summary(found))[-1] == "nothing left out"


@pytest.mark.parametrize("line", ["{", "[1]", '{"where": "gate"}', '{"reason": 3}'])
def test_damaged_rejects_are_one_line(toy_dataset, tmp_path, line):
    shutil.copytree(toy_dataset, tmp_path / "x")
    (tmp_path / "x" / "rejects.jsonl").write_text(line + "\n")
    with pytest.raises(DatasetError, match=r"rejects.jsonl, line 1 is damaged"):
        list(read_rejects(tmp_path / "x"))


def test_only_what_a_gate_wrote_is_read_as_a_score():
    reject = {"where": "gate", "reason": "still: motion 1e-05"}
    assert broken_score(reject) == ("motion", 1e-05)
    assert broken_score(reject | {"reason": "no change: pair_psnr 51.2", "where": "pair"}) == ("pair_psnr", 51.2)
    assert broken_score(reject | {"reason": "still: motion 1e-05 < 0.02"}) == ("motion", 1e-05)
    assert broken_score(reject | {"reason": "failed: at frame 3", "where": "task"}) is None
    assert broken_score(reject | {"reason": "black"}) is None


def test_the_command_prints_a_line_for_each_gate(strict, tmp_path):
    line = [sys.executable, "-m", "datagen", "gates", str(strict), "-o", str(tmp_path / "x.html")]
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    pairs = sum(reject["task"] == "recolor" for reject in read_rejects(strict))
    left_out = lines[len(SCORES) : -1]
    assert [line.split(" left out: ")[0] for line in left_out[:2]] == ["6 clips", f"{pairs} recolor pairs"]
    assert left_out[2] == "what helps; with other settings build into another --out:"
    assert [line.split(":")[0] for line in left_out[3:]] == ["  no change", "  still"]
    assert (tmp_path / "x.html").is_file()
