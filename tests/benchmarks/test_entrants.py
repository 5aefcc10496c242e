"""Functions and classes of other people, on equal terms with the bench's own methods."""

import subprocess
import sys

import numpy as np
import pytest

from benchmarks.methods.entrants import plugin
from benchmarks.methods.loading import code_of, load
from benchmarks.runner import run as run_all
from benchmarks.settings import BenchSettings
from benchmarks.suite import make_suite
from benchmarks.suspicions import RETURNED
from configs import ConfigError

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
