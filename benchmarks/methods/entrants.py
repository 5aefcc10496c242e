"""Methods that are not the bench's own: a function of somebody's package, or clips that were made elsewhere."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import re
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.methods.answers import Answers, answers_in, read_answer
from benchmarks.methods.base import Answer, Context, Method, Restore
from benchmarks.methods.loading import digest_of, load
from configs import ConfigError
from shards.picture_folder import pictures_in
from vidiff.training_data import learnt_by

if TYPE_CHECKING:
    from types import ModuleType

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,39}")
_MADE = "translation.json"
"""What `vidiff-translate` leaves beside its results: how they were made."""
_SHOWN = 60
"""Letters of an instruction that a note has."""
_ALLOWED = "letters, digits and _.+- are allowed, at most 40"


def named(text: str) -> tuple[str, str]:
    """Split `NAME=WHAT`; the name is empty where only WHAT is given.

    Raises:
        ConfigError: the name has other signs than letters, digits and `_.+-`.
    """
    name, sign, what = text.partition("=")
    # a path may have the sign in it
    if not sign or os.sep in name:
        return "", text
    if not _NAME.fullmatch(name):
        raise ConfigError(f"a method cannot be named {name!r}: {_ALLOWED}")
    return name, what


def plugin(text: str) -> Method:
    """Return `[NAME=]FILE.py:OBJECT` or `[NAME=]package.module:OBJECT` as a method.

    The object is a function `(clip, instruction, reference, mask) -> clip` as in `Restore`, an object that can be called so, a
    class of such (made once, without arguments, where it works), or a `Method`. Modules in the working folder are found, too.

    Raises:
        ConfigError: there is no such module or object, or it cannot be called so.
    """
    name, place = named(text)
    folder = Path.cwd()
    module, found = load(place, folder)
    if isinstance(found, Method):
        return _own_method(found, name, place, folder, module)
    _check_callable(found, place)
    words = (inspect.getdoc(found) or "").strip().splitlines()
    return Method(
        name=name or _tame(place.rpartition(":")[2]),
        tasks=(),
        summary=words[0] if words else place,
        paper="-",
        version=1,
        make=partial(_make_plugin, place, folder),
        # it may have, and does not say from what
        learns=True,
        weights=digest_of(module),
    )


def predictions(text: str) -> Method:
    """Return the clips in `[NAME=]FOLDER` as a method: `FOLDER/TASK/KEY.mkv` and the like, as in `answers_in`.

    A clip must have as many frames, of the same size, as the sample's source; where one is missing the method has failed
    on that sample. What `vidiff-translate` writes for a dataset is such a folder; what its model has learnt from stands in it.

    Raises:
        ConfigError: no such folder, no clips in it, or two for one sample; or what says how they were made is damaged.
        ModelError: what it says of its training data is damaged.
    """
    name, place = named(text)
    folder = Path(place).absolute()
    answers = answers_in(folder)
    files = sorted(file for path in answers.values() for file in (pictures_in(path) if path.is_dir() else [path]))
    learnt = learnt_by(folder)
    lines = [f"{path.relative_to(folder)} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in files]
    return Method(
        name=name or _tame(folder.resolve().name),
        tasks=tuple(sorted({task for task, _ in answers})),
        summary=f"answers found in {folder.name}/, made elsewhere",
        paper="-",
        version=1,
        make_seeing=partial(_make_reader, answers),
        learns=True,
        trained_on=learnt.sources,
        tells_all=learnt.complete,
        made_elsewhere=True,
        remark=_remark(folder),
        weights=hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16],
    )


def _remark(folder: Path) -> str:
    """Return what answers have in common that were all told the same; nothing where each sample told its own.

    Raises:
        ConfigError: what says how they were made is damaged.
    """
    note = folder / _MADE
    if not note.is_file():
        return ""
    try:
        said = json.loads(note.read_text(encoding="utf-8")).get("instruction")
    except (ValueError, AttributeError):
        raise ConfigError(
            f"{note}, which says how these answers were made, is damaged; translate anew, or delete it"
        ) from None
    if not said:
        return ""
    told = " ".join(str(said).split())
    shown = told if len(told) <= _SHOWN else f"{told[:_SHOWN]}..."
    return f"all its answers follow the one instruction {shown!r}, not the samples' own"


def _own_method(found: Method, name: str, place: str, folder: Path, module: ModuleType) -> Method:
    """Return somebody's `Method` as one that is found again in another process."""
    name = name or found.name
    if not _NAME.fullmatch(name):
        raise ConfigError(f"{place} is named {name!r}: {_ALLOWED}, so give it another: NAME={place}")
    return replace(
        found,
        name=name,
        make=found.make and partial(_made_by, "make", place, folder),
        make_seeing=found.make_seeing and partial(_made_by, "make_seeing", place, folder),
        # of one that learns from the dataset, weights would say that it has learnt elsewhere
        weights=found.weights or ("" if found.learns else digest_of(module)),
    )


def _check_callable(found: Any, place: str) -> None:
    if inspect.isclass(found):
        if not any("__call__" in vars(base) for base in found.__mro__):
            raise ConfigError(
                f"{place} is a class whose instances cannot be called; give it __call__(clip, instruction, reference, mask)"
            )
        if not _takes(found):
            raise ConfigError(f"{place} is made without arguments, and asks for {inspect.signature(found)}")
    elif not callable(found):
        raise ConfigError(
            f"{place} is a {type(found).__name__}; a method is a function, a class or a benchmarks.Method"
        )
    elif not _takes(found, "clip", "instruction", "reference", "mask"):
        raise ConfigError(
            f"{place} is called with (clip, instruction, reference, mask), and takes {inspect.signature(found)}"
        )


def _takes(function: Any, *given: str) -> bool:
    try:
        inspect.signature(function).bind(*given)
    except TypeError:
        return False
    except ValueError:  # of some built-in things nobody knows
        return True
    return True


def _make_plugin(place: str, folder: Path, context: Context) -> Restore:
    _, found = load(place, folder)
    made: Any = found() if inspect.isclass(found) else found
    restore: Restore = made
    return restore


def _made_by(which: str, place: str, folder: Path, context: Context) -> Any:
    return getattr(load(place, folder)[1], which)(context)


def _make_reader(answers: Answers, context: Context) -> Answer:
    return partial(read_answer, answers)


def _tame(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.+-]+", "-", name).strip("-.")[:40] or "entrant"
