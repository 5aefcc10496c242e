"""The table of all methods."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.methods.base import Method
from benchmarks.methods.colour import MEAN_CHROMA
from benchmarks.methods.dehazing import DARK_CHANNEL
from benchmarks.methods.identity import IDENTITY
from configs import ConfigError, unknown_name

METHODS: dict[str, Method] = {method.name: method for method in (IDENTITY, DARK_CHANNEL, MEAN_CHROMA)}
"""The bench's own, by name."""


def check_methods(wanted: Sequence[str], tasks: Sequence[str], entrants: Sequence[Method] = ()) -> None:
    """Raise unless every wanted method can be run for one of the tasks.

    Raises:
        ConfigError: a wanted method is unknown, or fits none of the tasks; or an entrant has the name of another method.
    """
    known = _all(entrants)
    for name in wanted:
        if name == "vidiff" and name not in known:
            raise ConfigError("method 'vidiff' needs --model RUN, the folder of a trained model")
        if name not in known:
            raise ConfigError(unknown_name("method", name, known))
    for method in [known[name] for name in wanted] + list(entrants):
        if not any(method.fits(task) for task in tasks):
            raise ConfigError(f"method {method.name!r} is for {', '.join(method.tasks)}; scored is {', '.join(tasks)}")


def methods_for(task: str, wanted: Sequence[str], entrants: Sequence[Method] = ()) -> list[Method]:
    """Return the methods to run for a task: those wanted that fit it (all, if none is named), identity and entrants always."""
    always = {IDENTITY.name, *(method.name for method in entrants)}
    return [
        method
        for name, method in _all(entrants).items()
        if method.fits(task) and (not wanted or name in wanted or name in always)
    ]


def _all(entrants: Sequence[Method]) -> dict[str, Method]:
    found = dict(METHODS)
    for method in entrants:
        if method.name in found:
            raise ConfigError(
                f"two methods are named {method.name!r}; give one another name, as in --model NAME=FOLDER"
            )
        found[method.name] = method
    return found
