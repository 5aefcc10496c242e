import html
import json
import re
import shutil
import subprocess
import sys
import xml.dom.minidom
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from configs import DatasetError, load
from datagen import Recipe, build
from datagen.charts import Line, Series, bin_edges, counted_bars, histogram, round_step
from datagen.merge import merge
from datagen.quantities import flat, unit_of
from datagen.stats import Templates, collect, summary, words_of
from datagen.stats_page import write_stats
from datagen.tasks import builder
from shards import Manifest, encode_sample, get_task, write_shard
from tests.conftest import make_sample
from tests.datagen.conftest import SMALL


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("stats") / "data"
    build(load(Recipe, "default", [*SMALL, "scenes.count=10", "tasks={dehaze: {}, inpaint: {}, recolor: {}}"]), out)
    return out


@pytest.fixture(scope="module")
def rows(folder) -> pd.DataFrame:
    """The index by way of pandas alone."""
    return pd.concat([pd.read_parquet(path) for path in folder.glob("*/*.parquet")])


@pytest.fixture(scope="module")
def page(folder) -> str:
    return write_stats(collect(folder), folder / "stats.html").read_text()


def charts(page: str) -> list[xml.dom.minidom.Document]:
    return [xml.dom.minidom.parseString(svg) for svg in re.findall(r"<svg.*?</svg>", page, re.DOTALL)]


def test_counts_are_those_of_pandas(folder, rows):
    stats = collect(folder)
    assert stats.samples == len(rows)
    for (task, split), group in rows.groupby(["task", "split"]):
        cell = stats.cells[task, split]
        assert cell.samples == len(group)
        assert cell.bytes == group["bytes"].sum()
        assert cell.frames == group["frames"].sum()
        assert cell.seconds == pytest.approx((group["frames"] / group["fps"]).sum())
        assert cell.sources == set(group["clean_sha256"])
    assert dict(stats.sources) == rows["clean_sha256"].value_counts().to_dict()
    assert dict(stats.licences) == rows["licence"].value_counts().to_dict()
    assert dict(stats.sizes) == {(48, 48): len(rows)}
    assert dict(stats.frames) == {4: len(rows)}
    assert dict(stats.rates) == {25.0: len(rows)}


def test_parameters_are_those_of_pandas(folder, rows):
    found = collect(folder).tasks
    haze = pd.json_normalize(rows[rows["task"] == "dehaze"]["parameters"].map(json.loads).tolist())
    for name in ("beta", "airlight", "transmission.mean"):
        wanted = haze[name].map(lambda values: np.mean(np.array(values)))
        assert sorted(found["dehaze"].numbers[name]) == pytest.approx(sorted(wanted))
    assert found["dehaze"].categories["depth.kind"] == {"exact": len(haze)}
    holes = pd.json_normalize(rows[rows["task"] == "inpaint"]["parameters"].map(json.loads).tolist())
    assert dict(found["inpaint"].categories["kind"]) == holes["kind"].value_counts().to_dict()
    assert len(found["inpaint"].numbers["fill.colour"]) == holes["fill.colour"].notna().sum()
    quantities = {name for name in haze.columns if not name.endswith("seed")}
    assert set(found["dehaze"].numbers) | set(found["dehaze"].categories) == quantities


def test_codec_losses_and_words_are_those_of_pandas(folder, rows):
    found = collect(folder).tasks
    for task, group in rows.groupby("task"):
        assert sorted(found[task].psnr_source) == sorted(group["psnr_source"])
        assert sorted(found[task].psnr_target) == sorted(group["psnr_target"])
        assert dict(found[task].instructions) == group["instruction"].value_counts().to_dict()
        words = group["instruction"].str.lower().str.findall(r"[a-z]+").explode()
        for word in ("video", "haze", "hole", "color"):
            assert found[task].words[word] == (words == word).sum()


def test_held_out_templates_are_told_apart(folder, rows):
    found = collect(folder).tasks
    for (task, split), group in rows.groupby(["task", "split"]):
        counts = found[task].templates[split]
        assert counts.total() == len(group)
        assert counts["no template"] == 0
        assert counts["held out" if split == "train" else "train only"] == 0
    plain = rows[rows["task"] == "dehaze"]
    held_out = plain["instruction"].isin(get_task("dehaze").heldout_templates)
    assert sum(c["held out"] for c in found["dehaze"].templates.values()) == held_out.sum()


@pytest.mark.parametrize("task", ["dehaze", "deblur", "inpaint", "recolor", "segment", "edit"])
def test_every_template_is_recognised_however_it_is_filled_in(task):
    from datagen.instructions import choose_instruction

    class First:
        def __init__(self, number: int) -> None:
            self.number = number

        def integers(self, count: int) -> int:
            return self.number % count

    for family in ("", *get_task(task).families):
        which = get_task(task).families[family] if family else get_task(task)
        attributes = dict.fromkeys(which.attributes(), "orange (or odd.*) thing")
        for split in ("train", "test"):
            texts = which.templates(split)
            for number, template in enumerate(texts):
                text = choose_instruction(get_task(task), split, attributes, First(number), family)
                group = Templates(task, {}).group(text)
                wanted = (
                    "shared" if template in which.shared_templates else "train only" if split == "train" else "held out"
                )
                assert group == wanted, template
    assert Templates(task, {}).group("Bake a cake") == "no template"


def test_templates_of_one_s_own_are_recognised_in_a_merged_dataset_too():
    own = {"instructions": {"dehaze": {"shared": [], "train": ["Entnebeln!"], "heldout": ["Weg damit!"]}}}
    for recipe in (own, {"merged": [{"recipe": {}}, {"recipe": {"merged": [{"recipe": own}]}}]}):
        templates = Templates("dehaze", recipe)
        assert templates.group("Entnebeln!") == "train only"
        assert templates.group("Weg damit!") == "held out"
        assert templates.group("Remove the haze.") == "shared"
    assert Templates("dehaze", {}).group("Entnebeln!") == "no template"
    assert Templates("a task of somebody else", own).group("Entnebeln!") == "no template"


def test_nested_parameters_get_dotted_names_and_lists_their_mean():
    values = {
        "a": {"b": [[1, 2], [3, 6, 3]], "c": "x"},
        "d": 2,
        "e": True,
        "f": [],
        "g": ["p", 1],
        "h": None,
        "i": [[1], [2, 6]],
    }
    assert dict(flat(values)) == {"a.b": 3.0, "a.c": "x", "d": 2.0, "e": "true", "g": '["p", 1]', "h": "null", "i": 3.0}


def test_points_are_told_by_their_extent_and_not_by_a_mean_of_places():
    way = [[1, 1], [4, 5], [2, 2]]
    values = {
        "way": way,
        "ways": [way, [[0, 0], [1, 0]]],
        "one": [3, 4],
        "colours": [[1, 2, 3], [1, 2, 3]],
        "half": [way, 1],
    }
    assert dict(flat(values)) == {
        "way (extent)": 5.0,
        "ways (extent)": 3.0,
        "one": 3.5,
        "colours": 2.0,
        "half": 16 / 7,
    }


def test_units_are_said_where_they_are_known(page):
    for title in (
        "beta, per unit of depth",
        "track (extent), px",
        "share, of the picture",
        "transmission.mean, share of light",
    ):
        assert f"<h4>{title}</h4>" in page
    assert unit_of("a task of somebody else", "beta") == unit_of("dehaze", "gain") == ""


@pytest.mark.parametrize("task", ["deblur", "dehaze", "inpaint", "segment"])
def test_every_unit_is_of_a_parameter_that_there_is(task, tmp_path):
    settings = [*SMALL, "scenes.count=40", f"tasks={{{task}: {{{'patchy: 1' if task == 'dehaze' else ''}}}}}"]
    build(load(Recipe, "default", settings), tmp_path / "x")
    found = collect(tmp_path / "x").tasks[task]
    assert set(builder(task).units) <= {name.removesuffix(" (extent)") for name in found.numbers}


def test_the_steps_of_a_program_are_taken_together():
    program = [{"op": "remove", "object": 3}, {"op": "add", "object": 5, "place": {"x": 0.5}}]
    assert dict(flat({"program": program})) == {
        "program.op": "remove, add",
        "program.object": 4.0,
        "program.place.x": 0.5,
    }


def test_words_are_counted_in_every_script():
    words = words_of("Remove the haze; don't touch 3 Häuser, убери туман!")
    assert words == ["remove", "haze", "don't", "touch", "häuser", "убери", "туман"]


def test_the_page_is_whole_and_fetches_nothing(page):
    assert not re.findall(r"""(?:src|href)=["'](?!#)""", page)
    assert "http" not in page
    assert "prefers-color-scheme: dark" in page
    assert page.count("<svg") > 10
    charts(page)


def test_bars_add_up_to_the_samples(page, rows):
    haze = (rows["task"] == "dehaze").sum()
    counts = re.search(r"<h4>beta, per unit of depth</h4>(<svg.*?</svg>)", page, re.DOTALL)[1]
    assert sum(map(int, re.findall(r"samples (\d+)</title>", counts))) == haze


@pytest.fixture(scope="module")
def hostile(tmp_path_factory) -> Path:
    """One sample whose every text would break out of the page, if it could."""
    evil = '</svg><script>alert("x")</script>雪'
    sample = make_sample("dehaze", "train", 0)
    meta = replace(sample.meta, source_id=evil, licence=evil, effect=evil, parameters={evil: evil, f"{evil}2": [1, 2]})
    others = [make_sample("dehaze", "train", n) for n in (1, 2)]
    root = tmp_path_factory.mktemp("hostile") / "<script>雪"
    encoded = [encode_sample(one) for one in (replace(sample, meta=meta, instruction=evil), *others)]
    shard = write_shard(root / "dehaze" / "train-000000.tar", encoded)
    Manifest(recipe={}, recipe_digest="0", code_version=evil, shards=(shard,), sources=1).save(root)
    return root


def test_no_text_breaks_out_of_the_page(hostile):
    page = write_stats(collect(hostile), hostile / "stats.html").read_text()
    assert page.count("<script>") == 1
    assert page.count("</script>") == 1
    assert html.unescape(page).count('<script>alert("x")</script>雪') >= 5
    charts(page)


def test_many_names_are_cut_to_the_most_frequent():
    counts = {f"name {n:05d}": n + 1 for n in range(50_000)}
    svg = counted_bars(counts, 12, "more names")
    assert svg.count("<rect") == 12
    assert "and 49,988 more names" in svg
    left_out = sum(range(1, 50_001)) - sum(range(50_000 - 11, 50_001))
    assert f"({left_out:,})" in svg
    assert len(svg) < 10_000


def test_long_names_are_cut_to_the_room_there_is():
    names = ["the brown cut-out shape at the top left", "雪" * 40, "W" * 40, "short"]
    drawn = re.findall(r'text-anchor="end">(.*?)</text>', counted_bars(dict.fromkeys(names, 1)))
    assert {name[:2]: len(name) for name in drawn} == {"th": 20, "雪雪": 10, "WW": 14, "sh": 5}


def test_a_large_dataset_gives_a_small_page(folder, tmp_path):
    stats = collect(folder)
    for number in range(50_000):
        stats.sources[f"{number % 200:064x}"] += 1
        stats.names[f"{number % 200:064x}"] = f"video {number % 200}"
        stats.tasks["dehaze"].categories.setdefault("free text", type(stats.sources)())[f"text {number}"] += 1
        stats.tasks["dehaze"].instructions[f"Remove haze number {number}."] += 1
    for number in range(300):
        stats.tasks["dehaze"].numbers[f"parameter {number}"] = [0.0, 1.0]
    page = write_stats(stats, tmp_path / "x.html").read_text()
    assert len(page) < 500_000
    assert "more sources" in page
    assert "more parameters" in page


@pytest.mark.parametrize("seed", range(20))
def test_bins_hold_every_value_and_have_round_edges(seed):
    rng = np.random.default_rng(seed)
    values = rng.normal(rng.normal(0, 100), 10.0 ** rng.integers(-6, 6), 500)
    values = np.round(values) if seed % 3 == 0 else values
    edges = bin_edges(values, [values.max() * 1.5] if seed % 2 else [])
    assert np.histogram(values, edges)[0].sum() == 500
    assert 2 <= len(edges) <= 40
    assert np.allclose(np.diff(edges), edges[1] - edges[0])
    assert round_step(np.diff(edges)[0] * 0.999) == pytest.approx(np.diff(edges)[0])


def test_few_whole_numbers_have_a_bin_each():
    edges = bin_edges(np.array([7.0, 9, 9, 13]))
    assert edges.tolist() == [6.5, 7.5, 8.5, 9.5, 10.5, 11.5, 12.5, 13.5]


@pytest.mark.parametrize("value", [0.0, 5.0, 0.123, -2.5])
def test_one_value_alone_is_a_bar_and_not_the_whole_plot(value):
    edges = bin_edges(np.array([value]))
    assert np.histogram([value], edges)[0][0] == 1
    assert len(edges) == 7
    svg = str(histogram([Series(name="kept", values=[value] * 30)]))
    assert svg.count("<rect") == 1
    assert float(re.search(r'<rect[^>]* width="([\d.]+)"', svg)[1]) < 340 / 5


def test_a_line_outside_of_the_values_is_still_in_the_picture():
    svg = histogram([Series(name="kept", values=[1.0, 2.5])], [Line(value=100, label="max <100>")])
    place = float(re.search(r'class="threshold" d="M([\d.]+)', svg)[1])
    assert 0 <= place <= 340
    assert "max &lt;100&gt;" in svg


def test_a_seed_is_no_quantity_and_has_no_chart(folder, rows):
    assert '"seed": ' in "".join(rows["parameters"])
    for found in collect(folder).tasks.values():
        assert not {name for name in (*found.numbers, *found.categories) if name.endswith("seed")}


def test_large_numbers_along_the_axis_do_not_run_into_each_other():
    svg = histogram([Series(name="seeds", values=[0.0, 2**31])])
    assert re.findall(r"<text[^>]*>([^<]*M)</text>", svg) == ["1,000M", "2,000M"]


def test_what_is_not_finite_is_left_out():
    assert histogram([Series(name="x", values=[float("nan"), float("inf")])]) == ""
    assert "histogram of 1 values" in histogram([Series(name="x", values=[float("nan"), 1.0])])


def test_a_merged_dataset_and_a_dataset_of_one_task_have_pages(folder, tmp_path):
    one = ["scenes.count=2", "seed=9", "tasks={dehaze: {}}", "splits={train: 1, val: 0, test: 0}"]
    build(load(Recipe, "default", [*SMALL, *one]), tmp_path / "one")
    merge([folder, tmp_path / "one"], tmp_path / "both")
    for root in (tmp_path / "one", tmp_path / "both"):
        stats = collect(root)
        assert "<svg" in write_stats(stats, root / "stats.html").read_text()
        assert f"{stats.samples} samples" in next(summary(stats))


def test_the_command_prints_a_summary_and_leaves_a_sound_dataset(folder, rows, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    done = subprocess.run(
        [sys.executable, "-m", "datagen", "stats", str(copy)], capture_output=True, text=True, check=False, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{len(rows)} samples of {rows['clean_sha256'].nunique()} sources")
    assert (copy / "stats.html").is_file()
    done = subprocess.run(
        [sys.executable, "-m", "datagen", "verify", str(copy)], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0


def test_what_is_no_dataset_is_one_line(tmp_path):
    with pytest.raises(DatasetError, match="there is nothing"):
        collect(tmp_path / "nothing")
