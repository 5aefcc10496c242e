"""When two recipes are the same, and how they differ, whatever versions of datagen wrote them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from configs import ConfigError
from configs.loader import check
from datagen.settings import Recipe
from datagen.tasks import builder


def completed(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recipe, as a dataset has it, with the settings that have come since, at their defaults.

    Two recipes say the same where they are equal then. One that has a setting which is gone, or that stands for a merge,
    comes back as it is.
    """
    try:
        known = check(Recipe, recipe, where="recipe")
    except ConfigError:
        return dict(recipe)
    tasks = {name: builder(name).options(options).model_dump(mode="json") for name, options in known.tasks.items()}
    return {**known.model_dump(mode="json"), "tasks": tasks}


def identity_of(recipe: dict[str, Any]) -> dict[str, Any]:
    """Return what must be equal for a build to go on: not how many scenes there are, for there may come to be more, and not
    which settings there were yet."""
    whole = completed(recipe)
    return {**whole, "scenes": {name: value for name, value in whole.get("scenes", {}).items() if name != "count"}}


def difference(old: Any, new: Any, where: str = "") -> list[str]:
    """Describe how two nested values differ, a phrase for each difference: `clip.size 256 -> 128`, `tasks.edit is new`."""
    if old == new:
        return []
    if not isinstance(old, dict) or not isinstance(new, dict):
        if where == "inputs":
            return ["the source videos differ"]
        return [f"{where.removeprefix('recipe.')} {old!r} -> {new!r}"]
    found = []
    for key in sorted(old.keys() | new.keys(), key=str):
        path = f"{where}.{key}" if where else str(key)
        if key in old and key in new:
            found += difference(old[key], new[key], path)
        else:
            found.append(f"{path.removeprefix('recipe.')} is {'new' if key in new else 'gone'}")
    return found


def added_tasks(old: dict[str, Any], new: dict[str, Any]) -> str:
    """Return the tasks that are new, where the two differ in nothing but which tasks there are; else nothing."""
    before, after = (identity["recipe"].get("tasks", {}) for identity in (old, new))
    rest = [{**values, "recipe": {**values["recipe"], "tasks": {}}} for values in (old, new)]
    common = all(before[task] == after[task] for task in before.keys() & after.keys())
    return ", ".join(sorted(after.keys() - before.keys())) if common and rest[0] == rest[1] else ""
