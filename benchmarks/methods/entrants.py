"""Methods that are not the bench's own: a function of somebody's package, or clips that were made elsewhere."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.methods.base import Answer, Context, Method, Restore
from configs import ConfigError
from shards import Sample, read_video
from shards.picture_folder import PictureReader, pictures_in
from shards.sample import Video
from vidiff.training_data import learnt_by

if TYPE_CHECKING:
    from types import ModuleType

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,39}")
_ALLOWED = "letters, digits and _.+- are allowed, at most 40"
_CLIPS = (".mkv", ".mp4", ".avi", ".mov", ".webm")


def named(text: str) -> tuple[str, str]:
    """Split `NAME=WHAT`; the name is empty where only WHAT is given.

    Raises:
        ConfigError: the name has other signs than letters, digits and `_.+-`.
    """
    name, sign, what = text.partition("=")
    if not sign:
        return "", text
    if not _NAME.fullmatch(name):
        raise ConfigError(f"a method cannot be named {name!r}: {_ALLOWED}")
    return name, what


def plugin(text: str) -> Method:
    """Return `[NAME=]package.module:object` as a method.

    The object is a function `(clip, instruction, reference, mask) -> clip` as in `Restore`, a class whose instances can be
    called so (made once, without arguments), or a `Method`. Modules in the working folder are found, too.

    Raises:
        ConfigError: there is no such module or object, or it cannot be called.
    """
    name, place = named(text)
    module, found = _find(place)
    if isinstance(found, Method):
        found = replace(found, name=name or found.name)
        if not _NAME.fullmatch(found.name):
            raise ConfigError(f"{place} is named {found.name!r}: {_ALLOWED}, so give it another: NAME={place}")
        return found
    if inspect.isclass(found) and not any("__call__" in vars(base) for base in found.__mro__):
        raise ConfigError(
            f"{place} is a class whose instances cannot be called; give it __call__(clip, instruction, reference, mask)"
        )
    if not callable(found):
        raise ConfigError(
            f"{place} is a {type(found).__name__}; a method is a function, a class or a benchmarks.Method"
        )
    words = (inspect.getdoc(found) or "").strip().splitlines()
    return Method(
        name=name or _tame(place.partition(":")[2]),
        tasks=(),
        summary=words[0] if words else place,
        paper="-",
        version=1,
        make=partial(_make_plugin, place),
        # it may have, and does not say from what
        learns=True,
        weights=_digest_of_code(module, inspect.getmodule(found)),
    )


def predictions(text: str) -> Method:
    """Return the clips in `[NAME=]FOLDER` as a method: `FOLDER/TASK/KEY.mkv` (or mp4, avi, mov, webm), one per sample.

    A clip must have as many frames, of the same size, as the sample's source; where one is missing the method has failed
    on that sample. What `vidiff-translate` writes for a dataset is such a folder; what its model has learnt from stands in it.

    Raises:
        ConfigError: no such folder, or no clips in it.
        ModelError: what it says of its training data is damaged.
    """
    name, place = named(text)
    folder = Path(place)
    if not folder.is_dir():
        raise ConfigError(f"no folder {folder}; --predictions names one that holds TASK/KEY.mkv files")
    files = sorted(path for path in folder.glob("*/*") if path.suffix in _CLIPS or path.is_dir())
    if not files:
        raise ConfigError(
            f"{folder} holds no predictions; they are expected as TASK/KEY.mkv or TASK/KEY/*.png, KEY the sample's key"
        )
    pictures = [picture for path in files if path.is_dir() for picture in pictures_in(path)]
    files = sorted([path for path in files if path.is_file()] + pictures)
    learnt = learnt_by(folder)
    lines = [f"{path.relative_to(folder)} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in files]
    return Method(
        name=name or _tame(folder.resolve().name),
        tasks=tuple(sorted({path.relative_to(folder).parts[0] for path in files})),
        summary=f"answers found in {folder.name}/, made elsewhere",
        paper="-",
        version=1,
        make_seeing=partial(_make_reader, folder),
        learns=True,
        trained_on=learnt.sources,
        tells_all=learnt.complete,
        weights=hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16],
    )


def _find(place: str) -> tuple[ModuleType, Any]:
    module_name, sign, attribute = place.partition(":")
    if not sign or not module_name or not attribute:
        raise ConfigError(f"{place!r} is no method of your own: it is named package.module:object")
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # whatever somebody's module raises while it is loaded
        raise ConfigError(
            f"cannot import {module_name}: {type(error).__name__}: {' '.join(str(error).split())}"
        ) from None
    if not hasattr(module, attribute):
        raise ConfigError(f"module {module_name} has no {attribute!r}")
    return module, getattr(module, attribute)


def _make_plugin(place: str, context: Context) -> Restore:
    _, found = _find(place)
    made: Any = found() if inspect.isclass(found) else found
    restore: Restore = made
    return restore


def _digest_of_code(*modules: ModuleType | None) -> str:
    """Return a hash of the packages that modules belong to: of all their files, for one may load another only when called."""
    digest = hashlib.sha256()
    for file in sorted({file for module in modules if module is not None for file in _code_of(module)}):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _code_of(module: ModuleType) -> Iterator[Path]:
    """Yield the files of a module's package; of a lone module its own, and those of what it has loaded from its folder."""
    top = sys.modules.get(module.__name__.partition(".")[0], module)
    if folders := getattr(top, "__path__", None):
        yield from (path for folder in folders for path in Path(folder).rglob("*.py"))
    elif own := getattr(module, "__file__", None):
        home = Path(own).resolve().parent
        loaded = [
            Path(file).resolve() for one in tuple(sys.modules.values()) if (file := getattr(one, "__file__", None))
        ]
        yield from (path for path in loaded if path.parent == home and path.suffix == ".py")


def _make_reader(folder: Path, context: Context) -> Answer:
    def answer(sample: Sample) -> Video:
        for ending in _CLIPS:
            path = folder / sample.meta.task / f"{sample.key}{ending}"
            if path.is_file():
                return read_video(path)
        path = folder / sample.meta.task / sample.key
        if not path.is_dir():
            raise FileNotFoundError(f"no {sample.meta.task}/{sample.key}.mkv")
        reader = PictureReader(path)
        if sample.meta.task == "segment" and _are_masks(path):
            return np.where(reader.read_labels() > 0, np.uint8(255), np.uint8(0))
        return reader.read()

    return answer


def _are_masks(folder: Path) -> bool:
    """Return whether pictures are of one channel or of numbered colours, as masks are."""
    from PIL import Image

    with Image.open(pictures_in(folder)[0]) as picture:
        return picture.mode in ("1", "L", "P")


def _tame(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.+-]+", "-", name).strip("-.")[:40] or "entrant"
