"""The table of all methods."""

from __future__ import annotations

from pathlib import Path

from benchmarks.methods.base import Method
from benchmarks.methods.colour import MEAN_CHROMA
from benchmarks.methods.dehazing import DARK_CHANNEL
from benchmarks.methods.identity import IDENTITY
from benchmarks.methods.model import VIDIFF
from configs import ConfigError, unknown_name

METHODS: dict[str, Method] = {method.name: method for method in (IDENTITY, DARK_CHANNEL, MEAN_CHROMA, VIDIFF)}


def check_methods(wanted: tuple[str, ...], tasks: list[str], model: Path | None) -> None:
    """Raise unless every wanted method can be run for one of the tasks.

    Raises:
        ConfigError: a wanted method is unknown, needs a model and none is given, or fits none of the tasks.
    """
    for name in wanted:
        method = _find(name, model)
        if not any(method.fits(task, model) for task in tasks):
            raise ConfigError(f"method {name!r} is for {', '.join(method.tasks)}; scored is {', '.join(tasks)}")


def methods_for(task: str, wanted: tuple[str, ...], model: Path | None) -> list[Method]:
    """Return the methods to run for a task: those wanted that fit it (all, if none is named), and identity always.

    Raises:
        ConfigError: a wanted method is unknown, or needs a model and none is given.
    """
    for name in wanted:
        _find(name, model)
    names = {IDENTITY.name, *wanted} if wanted else METHODS.keys()
    return [method for name, method in METHODS.items() if name in names and method.fits(task, model)]


def _find(name: str, model: Path | None) -> Method:
    if name not in METHODS:
        raise ConfigError(unknown_name("method", name, METHODS))
    if METHODS[name].needs_model and model is None:
        raise ConfigError(f"method {name!r} needs --model RUN, the folder of a trained model")
    return METHODS[name]
