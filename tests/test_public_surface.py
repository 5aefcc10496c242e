import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ["configs", "shards", "datagen", "vidiff", "benchmarks"]


@pytest.mark.parametrize("package", PACKAGES)
def test_everything_promised_is_there_and_sorted(package):
    module = importlib.import_module(package)
    promised = list(module.__all__)
    assert promised == sorted(
        promised, key=lambda name: (not name.isupper(), name[0].islower(), name)
    ) or promised == sorted(promised)
    for name in promised:
        public = getattr(module, name)
        if callable(public):
            assert public.__doc__, f"{package}.{name} has no docstring"


@pytest.mark.parametrize("package", PACKAGES)
def test_importing_a_package_loads_nothing_heavy(package):
    heavy = ("torch", "ray", "diffusers", "pandas", "cv2", "webdataset", "pydantic")
    code = f"import sys, {package}; print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120, cwd=ROOT
    )
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize("command", ["datagen", "vidiff-train", "vidiff-translate", "bench"])
def test_help_loads_nothing_heavy(command):
    from importlib.metadata import entry_points

    module = next(iter(entry_points(group="console_scripts", name=command))).module
    heavy = ("torch", "ray", "diffusers", "pandas", "cv2", "numpy", "pydantic")
    code = f"import sys, {module}; print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120, cwd=ROOT
    )
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize("command", ["datagen", "vidiff-train", "vidiff-translate", "vidiff-convert", "bench"])
def test_help_is_short_for_h_and_names_exit_codes_and_guide(command):
    from importlib.metadata import entry_points

    entry = next(iter(entry_points(group="console_scripts", name=command)))
    for arguments in (["-h"], ["--help"]):
        code = f"import sys, {entry.module}; sys.argv = {[command, *arguments]}; {entry.module}.{entry.attr}()"
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT, timeout=120
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert "Exit codes: 0 done" in done.stdout
        assert "README.md" in done.stdout


def test_imports_only_go_down_the_floors():
    linter = Path(sys.executable).parent / "lint-imports"
    if not linter.exists():
        pytest.skip("import-linter is not installed")
    done = subprocess.run(
        [str(linter), "--no-cache"], capture_output=True, text=True, check=False, timeout=120, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout


def test_shards_needs_neither_torch_nor_ray():
    code = "import sys, shards; [getattr(shards, n) for n in shards.__all__]; print(sys.modules.keys() & {'torch', 'ray'} or [])"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120, cwd=ROOT
    )
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize("package", PACKAGES)
def test_no_public_name_is_also_a_module(package):
    """Importing the module would put it in the place of the name: `from shards import probe` would give a module."""
    folder = ROOT / package
    modules = {path.stem for path in folder.glob("*.py")} | {path.name for path in folder.iterdir() if path.is_dir()}
    assert not modules & set(importlib.import_module(package).__all__)
