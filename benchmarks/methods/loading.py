"""Somebody's code: found by a file's name or a module's, loaded, and known by a hash of its own files."""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.util
import os
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks.calling import Crash, called
from benchmarks.methods.base import Method
from configs import ConfigError, unknown_name

_ALONE = "entrant_"
"""A lone file is loaded below a package of this name, so that it may be called as a library is, or like nothing in Python."""
_FOLDERS: set[str] = set()
"""Where lone files lie that were loaded here."""
_LIBRARIES = ("site-packages", "dist-packages")
_OURS = frozenset(["benchmarks", "configs", "datagen", "shards", "vidiff"])


def load(place: str, folder: Path) -> tuple[ModuleType, Any]:
    """Return the module and the object of `FILE.py:OBJECT`, where FILE.py may be a package's folder, or `package.module:OBJECT`.

    Files are looked for from `folder`, and modules there first.

    Raises:
        ConfigError: there is no such file, module or object, or it cannot be imported.
    """
    where, sign, name = place.rpartition(":")
    if not sign or not where or not name:
        raise ConfigError(f"{place!r} is no method of your own: it is named FILE.py:OBJECT or package.module:OBJECT")
    try:
        is_file = where.endswith(".py") or os.sep in where
        module = called(_of_file, folder / where) if is_file else called(_of_name, where, folder)
    except ConfigError:
        raise
    except Crash as error:  # whatever somebody's module raises while it is loaded
        raise ConfigError(f"cannot import {where}: {type(error).__name__}: {' '.join(str(error).split())}") from None
    if not hasattr(module, name):
        raise ConfigError(f"{where}: {unknown_name('object', name, _methods_in(module))}")
    return module, getattr(module, name)


def digest_of(module: ModuleType) -> str:
    """Return a hash of a module's own code: its file or package, and what that imports, whenever, from the folder it lies in.

    Libraries are not part of it, nor is the bench.
    """
    digest = hashlib.sha256()
    if getattr(module, "__file__", None):
        home, files = code_of(module)
        for path in sorted(files):
            digest.update(f"{os.path.relpath(path, home)}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _of_name(name: str, folder: Path) -> ModuleType:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    return importlib.import_module(name)


def _of_file(path: Path) -> ModuleType:
    path = path / "__init__.py" if path.is_dir() else path
    if not path.is_file():
        raise ConfigError(f"no file {path}; a method of your own is FILE.py:OBJECT or package.module:OBJECT")
    path = path.resolve()
    names, folder = [path.stem] if path.name != "__init__.py" else [], path.parent
    while (folder / "__init__.py").is_file():
        names, folder = [folder.name, *names], folder.parent
    if folder == path.parent:
        return _alone(path)
    module = _of_name(".".join(names), folder)
    if Path(module.__file__ or "").resolve() != path:
        raise ConfigError(f"{path} is imported as {module.__name__}, and {module.__file__} is, too; rename its package")
    return module


def _alone(path: Path) -> ModuleType:
    folder = str(path.parent)
    package = _ALONE + hashlib.sha256(folder.encode()).hexdigest()[:8]
    name = f"{package}.{path.stem.replace('.', '_')}"
    _make_way(folder)
    if name in sys.modules:
        return sys.modules[name]
    parent = sys.modules.setdefault(package, ModuleType(package))
    parent.__path__ = [folder]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _make_way(folder: str) -> None:
    """Let imports find what lies in a folder, and no longer what lies beside other lone files under the same names."""
    others = _FOLDERS - {folder}
    for name, module in list(sys.modules.items()):
        if not name.startswith(_ALONE) and os.path.dirname(str(getattr(module, "__file__", ""))) in others:  # noqa: PTH120
            del sys.modules[name]
    # at the end: a neighbour that is called as a library is must not be found in its place by others
    sys.path[:] = [*(one for one in sys.path if one not in _FOLDERS), folder]
    _FOLDERS.add(folder)


def _methods_in(module: ModuleType) -> list[str]:
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (isinstance(value, Method) or (callable(value) and getattr(value, "__module__", "") == module.__name__))
    ]


def code_of(module: ModuleType) -> tuple[Path, set[Path]]:
    """Return the folder that a module's imports are looked for in, and all its files there."""
    path = Path(str(module.__file__)).resolve()
    levels = 0 if module.__name__.startswith(_ALONE) else module.__name__.count(".") + (path.name == "__init__.py")
    home = path.parents[levels]
    found: set[Path] = set()
    queue = [path, *_files_of(home, [path.relative_to(home).parts[0]] if levels else [])]
    library = any(part in _LIBRARIES for part in home.parts) or home == Path(sysconfig.get_path("stdlib"))
    while queue:
        path = queue.pop()
        if path not in found:
            found.add(path)
            for base, names in () if library else _imports_of(path, home):
                queue += _files_of(base, names)
    return home, found


def _imports_of(path: Path, home: Path) -> Iterator[tuple[Path, list[str]]]:
    """Yield the folder and the dotted names of each import of a file, wherever in it."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((home, one.name.split(".")) for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = path.parents[node.level - 1] if node.level else home
            start = node.module.split(".") if node.module else []
            yield from ((base, [*start, one.name]) for one in node.names)


def _files_of(base: Path, names: Iterable[str]) -> list[Path]:
    """Return the files below a folder that importing a dotted name may load: of a package all of them."""
    for name in names:
        if name in _OURS:
            return []
        if (base / name / "__init__.py").is_file():
            return list((base / name).rglob("*.py"))
        if (base / f"{name}.py").is_file():
            return [base / f"{name}.py"]
        base = base / name
    return []
