"""Methods of other people, on equal terms: functions of their packages, and clips they made elsewhere."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from benchmarks.audit import audit
from benchmarks.commands import publish_report, run_bench
from benchmarks.methods import Method
from benchmarks.methods.entrants import plugin, predictions
from benchmarks.methods.loading import code_of, load
from benchmarks.methods.segmentation import painted
from benchmarks.metrics.masks import boundary_accuracy, region_similarity
from benchmarks.runner import run as run_all
from benchmarks.settings import BenchSettings
from benchmarks.suite import make_suite
from benchmarks.suspicions import RETURNED
from configs import ConfigError
from shards import Dataset, Manifest, encode_sample, write_card, write_shard
from shards.codecs import encode_video
from shards.storage import sha256_of
from shards.video import write_video
from tests.conftest import make_sample, moving_clip
from vidiff.training_data import Learnt

SETTINGS = BenchSettings(bootstrap=100, examples=0, methods=("identity",), cost_samples=0)
CODE = '''
"""A package of somebody's."""

def darker(clip, instruction, reference, mask):
    """Halves every value."""
    return clip // 2

class Stateful:
    """Loads once."""

    def __call__(self, clip, instruction, reference, mask):
        return clip

NUMBER = 3
'''


@pytest.fixture
def package(tmp_path, monkeypatch):
    (tmp_path / "somebodys.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("somebodys", None)


@pytest.fixture
def suite(toy_dataset):
    return make_suite(toy_dataset, ["dehaze"], SETTINGS)


def scored(suite, out, entrant) -> list[dict]:
    return [row for row in run_all(suite, SETTINGS, out, entrants=[entrant]).rows if row["method"] == entrant.name]


def test_a_function_and_a_class_of_a_package_are_scored(package, suite, tmp_path):
    rows = scored(suite, tmp_path / "a", plugin("somebodys:darker"))
    assert [row["status"] for row in rows] == ["ok"] * 4
    assert rows[0]["summary"] == "Halves every value."
    named = plugin("mine-2=somebodys:Stateful")
    assert named.name == "mine-2"
    assert all(RETURNED in row["suspicions"] for row in scored(suite, tmp_path / "b", named))


def test_other_code_anywhere_in_its_package_is_another_method(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "whole").mkdir()
    (tmp_path / "whole" / "__init__.py").write_text("from whole.inner import restore\n")
    (tmp_path / "whole" / "inner.py").write_text(
        "def restore(clip, *_):\n    from whole import late\n    return late.go(clip)\n"
    )
    (tmp_path / "whole" / "late.py").write_text("def go(clip):\n    return clip // 2\n")
    before = plugin("whole:restore").weights
    assert plugin("whole:restore").weights == before
    (tmp_path / "whole" / "late.py").write_text("def go(clip):\n    return clip // 3\n")
    assert plugin("whole:restore").weights != before


def test_names_and_classes_that_will_not_do_are_refused_at_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "odd.py").write_text(
        "from benchmarks import Method\n"
        "m = Method(name='../../escaped', tasks=(), summary='', paper='-', version=1, make=lambda c: None)\n"
        "class Bad:\n    pass\n"
    )
    with pytest.raises(ConfigError, match="give it another: NAME=odd:m"):
        plugin("odd:m")
    assert plugin("fine=odd:m").name == "fine"
    with pytest.raises(ConfigError, match="instances cannot be called"):
        plugin("odd:Bad")


def test_other_code_is_another_method(package):
    before = plugin("somebodys:darker").weights
    (package / "somebodys.py").write_text(CODE + "\n# changed\n")
    assert plugin("somebodys:darker").weights != before


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("somebodys", "FILE.py:OBJECT or package.module:OBJECT"),
        ("nosuch.thing:f", "cannot import nosuch.thing"),
        ("somebodys:nothing", "no object named 'nothing'. available: Stateful, darker"),
        ("somebodys:dark", "did you mean 'darker'"),
        ("nosuch.py:f", "no file .*nosuch.py"),
        ("somebodys:NUMBER", "is a int"),
        ("a b=somebodys:darker", "cannot be named"),
    ],
)
def test_what_is_no_method_is_told(package, text, words):
    with pytest.raises(ConfigError, match=words):
        plugin(text)


FILE = """
import numpy as np
import torch
from helper import double

def restore(clip, instruction, reference, mask):
    from late import go
    return go(torch.from_numpy(double(clip)).numpy())

class Model:
    def __init__(self):
        print("weights of 80 GB are loaded")

    def __call__(self, clip, instruction, reference, mask):
        return clip

class Asking(Model):
    def __init__(self, size):
        pass

instance = Model.__new__(Model)

def narrow(clip):
    return clip
"""


@pytest.fixture
def file(tmp_path):
    folder = tmp_path / "my code"
    folder.mkdir()
    (folder / "a method v1.2.py").write_text(FILE)
    (folder / "helper.py").write_text("def double(clip):\n    return clip + clip // 4\n")
    (folder / "late.py").write_text("def go(clip):\n    return clip\n")
    (folder / "other.py").write_text("1 / 0\n")
    before = set(sys.modules), list(sys.path)
    yield folder / "a method v1.2.py"
    sys.path[:] = before[1]
    for name in set(sys.modules) - before[0]:
        if name.startswith("entrant_") or name in ("helper", "late"):
            del sys.modules[name]


def test_one_file_that_imports_a_library_is_a_method_and_known_by_its_own_code_alone(
    file, suite, tmp_path, monkeypatch
):
    monkeypatch.chdir(file.parent)
    found = plugin(f"mine={file.name}:restore")
    monkeypatch.chdir("/")  # of which a relative name would be another file
    assert [row["status"] for row in scored(suite, tmp_path / "out", found)] == ["ok"] * 4
    _, files = code_of(load(f"{file}:restore", tmp_path)[0])
    assert {path.name for path in files} == {file.name, "helper.py", "late.py"}
    (file.parent / "other.py").write_text("2 / 0\n")
    assert plugin(f"{file}:restore").weights == found.weights
    (file.parent / "late.py").write_text("def go(clip):\n    return clip // 2\n")
    assert plugin(f"{file}:restore").weights != found.weights


def test_what_a_class_loads_is_loaded_where_it_works(file, tmp_path, capsys):
    found = plugin(f"{file}:Model")
    assert capsys.readouterr().out == ""
    found.make(None)
    assert "80 GB" in capsys.readouterr().out
    assert plugin(f"{file}:instance").make(None)(3, "", None, None) == 3


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("restor", "did you mean 'restore'. available: Asking, Model, instance, narrow, restore"),
        ("Asking", r"made without arguments, and asks for \(size\)"),
        ("narrow", r"called with \(clip, instruction, reference, mask\), and takes \(clip\)"),
    ],
)
def test_an_object_of_a_file_that_will_not_do_is_told(file, name, words):
    with pytest.raises(ConfigError, match=words):
        plugin(f"{file}:{name}")


RELATIVE = "from .inner import level\n\ndef restore(clip, *_):\n    return clip // level\n"


@pytest.mark.parametrize("package", [True, False])
def test_files_import_from_their_own_folder(tmp_path, package, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    folder = tmp_path / f"folder{package}"
    folder.mkdir()
    (folder / "outer.py").write_text(RELATIVE)
    (folder / "inner.py").write_text("level = 2\n")
    if package:
        (folder / "__init__.py").write_text("from .outer import restore\n")
        assert plugin(f"{folder}:restore").weights == plugin(f"{folder}/outer.py:restore").weights
    method = plugin(f"{folder / 'outer.py'}:restore")
    assert method.make(None)(np.full(3, 8)).tolist() == [4, 4, 4]
    (folder / "inner.py").write_text("level = 4\n")
    assert plugin(f"{folder / 'outer.py'}:restore").weights != method.weights


def test_two_files_may_have_neighbours_of_one_name(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    methods = []
    for number in (2, 4):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "neighbour_of_both.py").write_text(f"level_{number} = {number}\n")
        (folder / "run.py").write_text(
            f"from neighbour_of_both import level_{number}\n\n"
            f"def f(clip, *_):\n    import neighbour_of_both\n    return clip // neighbour_of_both.level_{number}\n"
        )
        methods.append(plugin(f"{folder}/run.py:f"))
    assert [method.make(None)(8) for method in methods] == [4, 2]
    sys.modules.pop("neighbour_of_both")


def test_a_method_object_of_a_file_is_found_again_by_a_worker(suite, tmp_path):
    (tmp_path / "theirs.py").write_text(
        "from benchmarks import Method\n"
        "m = Method(name='theirs', tasks=(), summary='', paper='-', version=1, make=lambda c: lambda clip, *_: clip)\n"
    )
    done = run_all(suite, SETTINGS, tmp_path / "out", entrants=[plugin(f"{tmp_path}/theirs.py:m")], workers=1)
    assert [row["status"] for row in done.rows if row["method"] == "theirs"] == ["ok"] * 4


def answers(dataset: Dataset, folder: Path, ending: str = ".mkv") -> Path:
    (folder / "dehaze").mkdir(parents=True)
    for key in dataset.keys("dehaze", "test"):
        sample = dataset[key]
        if ending == ".mkv":
            (folder / "dehaze" / f"{key}.mkv").write_bytes(encode_video(sample.target, 25, "lossless"))
        else:
            write_video(folder / "dehaze" / f"{key}{ending}", sample.target, fps=25)
    return folder


def test_clips_that_were_made_elsewhere_are_scored_as_they_are(suite, tmp_path):
    folder = answers(suite.dataset, tmp_path / "their answers")
    rows = scored(suite, tmp_path / "out", predictions(str(folder)))
    assert {row["method"] for row in rows} == {"their-answers"}
    assert [row["scores"]["psnr"] for row in rows] == [100.0] * 4
    lossy = answers(suite.dataset, tmp_path / "lossy", ".mp4")
    assert all(15 < row["scores"]["psnr"] < 100 for row in scored(suite, tmp_path / "out", predictions(str(lossy))))


def test_answers_of_a_model_that_had_seen_a_video_leak_as_the_model_itself(suite, tmp_path):
    folder = answers(suite.dataset, tmp_path / "theirs")
    assert not any(
        row["leaked"] or row["knows_its_data"] for row in scored(suite, tmp_path / "out", predictions(str(folder)))
    )
    seen = suite.rows["dehaze"][0]["clean_sha256"]
    Learnt(sources=frozenset({seen}), complete=True).save(folder)
    rows = scored(suite, tmp_path / "out", predictions(str(folder)))
    assert [row["key"] for row in rows if row["leaked"]] == [
        row["key"] for row in suite.rows["dehaze"] if row["clean_sha256"] == seen
    ]
    assert all(row["knows_its_data"] for row in rows)


def test_folders_of_pictures_are_clips(suite, tmp_path):
    for key in suite.dataset.keys("dehaze", "test"):
        folder = tmp_path / "theirs" / "dehaze" / key
        folder.mkdir(parents=True)
        for number, frame in enumerate(suite.dataset[key].target):
            Image.fromarray(frame).save(folder / f"{number:05d}.png")
    rows = scored(suite, tmp_path / "out", predictions(str(tmp_path / "theirs")))
    assert [row["scores"]["psnr"] for row in rows] == [100.0] * 4


@pytest.fixture
def segments(tmp_path):
    """One sample of a moving square on a ground that has the paint's colour in places."""
    mask = np.zeros((4, 32, 48), np.uint8)
    mask[:, 8:24, 10:30] = 255
    source = moving_clip(0)
    source[:, :, 30:] = (214, 38, 40)
    sample = make_sample("segment", "test", 0, mask=mask)
    meta = dataclasses.replace(sample.meta, parameters={"rgb": [214, 38, 40]})
    sample = dataclasses.replace(sample, meta=meta, source=source, target=painted(source, mask > 0, (214, 38, 40)))
    root = tmp_path / "segments"
    manifest = Manifest(
        recipe={"seed": 0},
        recipe_digest="0",
        code_version="0",
        shards=(write_shard(root / "segment" / "test-000000.tar", [encode_sample(sample)]),),
        sources=1,
    )
    write_card(root, manifest, {"CC0-1.0": 1})
    manifest.save(root)
    return make_suite(root, [], SETTINGS)


def test_masks_are_scored_as_they_are_whatever_lies_below_them(segments, tmp_path):
    (key,) = segments.dataset.keys("segment")
    mask = segments.dataset[key].mask
    found = np.roll(mask, 8, axis=2)
    folder = tmp_path / "theirs" / "segment" / key
    folder.mkdir(parents=True)
    for number, frame in enumerate(found):
        # object numbers, as DAVIS' results have them
        Image.fromarray(frame // 255 * 2).save(folder / f"{number:05d}.png")
    out = tmp_path / "out"
    done = run_all(segments, SETTINGS, out, entrants=[predictions(str(tmp_path / "theirs"))])
    row = next(row for row in done.rows if row["method"] == "theirs")
    assert row["scores"]["j"] == pytest.approx(region_similarity(found, mask).mean())
    assert row["scores"]["f"] == pytest.approx(boundary_accuracy(found, mask).mean())
    publish_report(out, done, SETTINGS, segments.dataset)
    assert audit(out)[0] == []
    kept = next(out.glob("predictions/theirs/*.masks.mkv"))
    kept.unlink()
    assert any("is not the masks that were scored" in words for words in audit(out)[0])
    run_all(segments, SETTINGS, out, entrants=[predictions(str(tmp_path / "theirs"))])
    assert kept.is_file()


def test_what_a_clip_counts_in_a_pooled_mean_cannot_be_made_up(segments, tmp_path):
    out = tmp_path / "out"
    publish_report(out, run_all(segments, SETTINGS, out), SETTINGS, segments.dataset)
    table = pd.read_parquet(out / "rows.parquet")
    table["overall_iou.weight"] *= 2
    table.to_parquet(out / "rows.parquet", index=False)
    noted = [json.loads(line) for line in (out / "rows.jsonl").read_text().splitlines()]
    for row in noted:
        row["weights"]["overall_iou"] *= 2
    (out / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in noted))
    facts = json.loads((out / "run.json").read_text())
    signed = {**facts, "rows_sha256": sha256_of(out / "rows.parquet")}
    (out / "run.json").write_text(json.dumps(signed))
    (wrong,) = audit(out, method="identity")[0]
    assert "overall_iou is written to count" in wrong


def test_masks_of_another_size_or_kind_are_failures(segments, tmp_path):
    for number, answer in enumerate(
        (np.zeros((4, 16, 24), bool), np.zeros((4, 32, 48)), np.zeros((3, 32, 48), np.uint8))
    ):
        method = Method(
            name="odd",
            tasks=(),
            summary="",
            paper="",
            version=number,
            make=lambda context, answer=answer: lambda *_: answer,
        )
        done = run_all(segments, SETTINGS, tmp_path / "out", entrants=[method])
        row = next(row for row in done.rows if row["method"] == "odd")
        assert row["status"] == "failed"
        assert "answered masks" in row["error"]


def test_a_missing_clip_and_one_of_another_length_or_size_are_failures(suite, tmp_path):
    folder = answers(suite.dataset, tmp_path / "p")
    first, second, third, _ = suite.dataset.keys("dehaze", "test")
    (folder / "dehaze" / f"{first}.mkv").unlink()
    small = np.ascontiguousarray(suite.dataset[third].target[:, ::2, ::2])
    (folder / "dehaze" / f"{third}.mkv").write_bytes(encode_video(small, 25, "lossless"))
    short = suite.dataset[second].target[:-1]
    (folder / "dehaze" / f"{second}.mkv").write_bytes(encode_video(short, 25, "lossless"))
    rows = {row["key"]: row for row in scored(suite, tmp_path / "out", predictions(str(folder)))}
    assert "no prediction of this sample" in rows[first]["error"]
    assert f"dehaze/{second}.mkv has 3 frames, the sample has 4" in rows[second]["error"]
    assert "(4 frames of 24 x 16), not uint8 [4, 32, 48, 3] (4 frames of 48 x 32)" in rows[third]["error"]
    assert sum(row["status"] == "ok" for row in rows.values()) == 1


def test_how_many_samples_have_a_prediction_is_told_once(toy_dataset, tmp_path, capsys):
    folder = answers(Dataset(toy_dataset), tmp_path / "p")
    first, second, *_ = Dataset(toy_dataset).keys("dehaze", "test")
    for key in (first, second):
        (folder / "dehaze" / f"{key}.mkv").rename(folder / "dehaze" / f"{key}-v2.mkv")
    code = run_bench(SETTINGS, toy_dataset, ["dehaze"], tmp_path / "o", folders=[f"theirs={folder}"])
    told = capsys.readouterr().err
    assert code == 1
    assert f"predictions of 2 of 4 dehaze samples; {first} and 1 more without one count as failed" in told
    assert f"dehaze/{first}-v2.mkv and 1 more are of no sample that is scored" in told
    assert f"failed: dehaze theirs {first} and 1 more: FileNotFoundError: no prediction of this sample" in told


def test_endings_may_be_capitals_and_two_answers_to_one_sample_are_told(suite, tmp_path):
    folder = answers(suite.dataset, tmp_path / "p")
    first, second, *_ = suite.dataset.keys("dehaze", "test")
    (folder / "dehaze" / f"{first}.mkv").rename(folder / "dehaze" / f"{first}.MKV")
    pictures = folder / "dehaze" / second
    pictures.mkdir()
    for number, frame in enumerate(suite.dataset[second].target):
        Image.fromarray(frame).save(pictures / f"{number}.PNG")
    with pytest.raises(ConfigError, match=rf"{second} and {second}.mkv beside it answer the same sample"):
        predictions(str(folder))
    (folder / "dehaze" / f"{second}.mkv").unlink()
    (folder / "dehaze" / "._junk.mkv").touch()
    (folder / "dehaze" / "notes").mkdir()
    assert [row["scores"]["psnr"] for row in scored(suite, tmp_path / "out", predictions(str(folder)))] == [100.0] * 4
    (folder / "dehaze" / f"{first}.mp4").touch()
    with pytest.raises(ConfigError, match=rf"{first}.MKV and {first}.mp4 beside it"):
        predictions(str(folder))
    with pytest.raises(ConfigError, match=rf"TASK one of .*dehaze.*; is it {folder}\?"):
        predictions(str(tmp_path))


def test_clips_that_were_made_anew_are_scored_anew(suite, tmp_path):
    folder = answers(suite.dataset, tmp_path / "p")
    scored(suite, tmp_path / "out", predictions(str(folder)))
    key = suite.dataset.keys("dehaze", "test")[0]
    changed = np.full_like(suite.dataset[key].target, 9)
    (folder / "dehaze" / f"{key}.mkv").write_bytes(encode_video(changed, 25, "lossless"))
    row = next(r for r in scored(suite, tmp_path / "out", predictions(str(folder))) if r["key"] == key)
    assert row["scores"]["psnr"] < 30


def test_folders_without_clips_are_told(tmp_path):
    with pytest.raises(ConfigError, match="no folder"):
        predictions(str(tmp_path / "none"))
    with pytest.raises(ConfigError, match="holds no predictions"):
        predictions(str(tmp_path))


def test_two_methods_of_one_name_are_told(suite, tmp_path):
    folder = answers(suite.dataset, tmp_path / "p")
    with pytest.raises(ConfigError, match="two methods are named 'identity'"):
        run_all(suite, SETTINGS, tmp_path / "out", entrants=[predictions(f"identity={folder}")])


def test_the_command_takes_a_module_from_the_working_folder(package, toy_dataset, tmp_path):
    line = ["run", "--data", toy_dataset, "-t", "dehaze", "--methods", "identity", "--limit", 2, "--workers", 1]
    command = [
        sys.executable,
        "-m",
        "benchmarks",
        *map(str, line),
        "--method",
        "somebodys:darker",
        "--out",
        tmp_path / "o",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, cwd=package)
    assert done.returncode == 0, done.stderr
    assert "darker" in done.stdout
