"""One file per task: clean clip -> pair. A new file here and one in `configs/tasks` add a task."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

from configs import ConfigError, unknown_name
from shards import get_task, task_names

if TYPE_CHECKING:
    from datagen.tasks.base import Builder


def builder_names() -> list[str]:
    """List the tasks that can be built."""
    return sorted(module.name for module in iter_modules(__path__) if module.name != "base")


@cache
def builder(name: str) -> Builder[Any]:
    """Return the builder of a task.

    Raises:
        ConfigError: there is no such task, or its file has no `BUILDER` of that name.
    """
    if name in task_names() and name not in builder_names():
        raise ConfigError(
            f"task {name!r} is declared but has no builder yet; can be built: {', '.join(builder_names())}"
        )
    if name not in builder_names():
        raise ConfigError(unknown_name("task", name, builder_names()))
    get_task(name)
    found = getattr(import_module(f"datagen.tasks.{name}"), "BUILDER", None)
    if found is None or found.name != name:
        raise ConfigError(f"datagen/tasks/{name}.py must define BUILDER, a Builder whose name is {name!r}")
    return found
