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


def methods_for(task: str, wanted: tuple[str, ...], model: Path | None) -> list[Method]:
    """Return the methods to run for a task: those wanted that fit it, and identity always.

    Raises:
        ConfigError: a wanted method is unknown, or needs a model and none is given.
    """
    for name in wanted:
        if name not in METHODS:
            raise ConfigError(unknown_name("method", name, METHODS))
        if METHODS[name].needs_model and model is None:
            raise ConfigError(f"method {name!r} needs --model RUN, the folder of a trained model")
    names = {IDENTITY.name, *wanted} if wanted else METHODS.keys()
    return [method for name, method in METHODS.items() if name in names and method.fits(task, model)]
