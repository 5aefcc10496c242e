"""What a task is: its instruction templates, its members, and what it must leave alone."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from configs import ConfigError, unknown_name

DECLARATIONS = Path(__file__).parent.parent / "configs" / "tasks"
MINIMUM_TEMPLATES = 20
OPTIONAL_MEMBERS = ("mask", "reference")


@dataclass(frozen=True, kw_only=True)
class Task:
    """A task as the data knows it, declared in `configs/tasks/<name>.yaml`.

    `train_templates` appear in train samples only and `heldout_templates` in val and test only;
    `shared_templates` appear everywhere. A template may have `{attributes}` that the task's builder fills in.

    Raises:
        ConfigError: fewer than 20 templates, one twice, no held-out ones, or an unknown member.
    """

    name: str
    summary: str
    shared_templates: tuple[str, ...]
    train_templates: tuple[str, ...]
    heldout_templates: tuple[str, ...]
    members: tuple[str, ...] = ()
    """Optional members every sample of the task has: `mask`, `reference`."""
    keeps_outside_mask: bool = False
    """Whether the target equals the source wherever the mask is zero."""
    shows_mask: bool = False
    """Whether the mask belongs to the question: a method is given it. Elsewhere it is a part of the answer."""
    families: Mapping[str, Task] = field(default_factory=dict)
    """Other sets of templates that a builder may ask for by name, each checked like the task's own."""

    def __post_init__(self) -> None:
        templates = (*self.shared_templates, *self.train_templates, *self.heldout_templates)
        if len(set(templates)) < len(templates):
            twice = next(text for text in templates if templates.count(text) > 1)
            raise ConfigError(f"task {self.name}: template {twice!r} is listed twice")
        if len(templates) < MINIMUM_TEMPLATES or not self.heldout_templates or not self.train_templates:
            raise ConfigError(
                f"task {self.name} has {len(templates)} instruction templates ({len(self.heldout_templates)} held out); "
                f"it needs at least {MINIMUM_TEMPLATES}, some for train alone and some held out"
            )
        for member in set(self.members) - set(OPTIONAL_MEMBERS):
            raise ConfigError(f"task {self.name}: {unknown_name('member', member, OPTIONAL_MEMBERS)}")

    def templates(self, split: str, family: str = "") -> tuple[str, ...]:
        """Return the templates a sample of `split` may use.

        Raises:
            ConfigError: the task has no such family.
        """
        if family:
            if family not in self.families:
                raise ConfigError(f"task {self.name}: {unknown_name('family of templates', family, self.families)}")
            return self.families[family].templates(split)
        return self.shared_templates + (self.train_templates if split == "train" else self.heldout_templates)

    def attributes(self) -> set[str]:
        """Return the names of the attributes its templates leave open."""
        everything = (*self.shared_templates, *self.train_templates, *self.heldout_templates)
        return {name for text in everything for _, name, _, _ in string.Formatter().parse(text) if name}


_REGISTERED: dict[str, Task] = {}


def register_task(task: Task) -> Task:
    """Add a task of one's own; the same name twice raises `ConfigError`."""
    if task.name in _tasks():
        raise ConfigError(f"a task named {task.name!r} exists already")
    _REGISTERED[task.name] = task
    return task


def with_templates(task: Task, shared: Sequence[str], train: Sequence[str], heldout: Sequence[str]) -> Task:
    """Return the task with more templates.

    Raises:
        ConfigError: one is there already, or leaves open other attributes than the task's own.
    """
    wanted = task.attributes()
    for text in (*shared, *train, *heldout):
        try:
            fields = [field for field in string.Formatter().parse(text) if field[1] is not None]
        except ValueError:
            raise ConfigError(f"task {task.name}: template {text!r} has a brace that is not closed") from None
        found = {name for _, name, _, _ in fields}
        # a width or a conversion would change the words
        if found != wanted or not text.strip() or any(spec or conversion for _, _, spec, conversion in fields):
            needs = " and ".join(f"{{{name}}}" for name in sorted(wanted)) or "no attributes"
            raise ConfigError(f"task {task.name}: template {text!r} must have {needs}")
    # families that have the task's own templates get these, too
    own = set(task.shared_templates)
    families = {
        name: with_templates(family, shared, train, heldout) if own <= set(family.shared_templates) else family
        for name, family in task.families.items()
    }
    return replace(
        task,
        families=families,
        shared_templates=(*task.shared_templates, *shared),
        train_templates=(*task.train_templates, *train),
        heldout_templates=(*task.heldout_templates, *heldout),
    )


def get_task(name: str) -> Task:
    """Return the task called `name`; `ConfigError` says which was probably meant."""
    tasks = _tasks()
    if name not in tasks:
        raise ConfigError(unknown_name("task", name, tasks))
    return tasks[name]


def task_names() -> list[str]:
    """List all tasks, sorted."""
    return sorted(_tasks())


def _tasks() -> dict[str, Task]:
    return {**_declared(), **_REGISTERED}


@cache
def _declared() -> dict[str, Task]:
    return {path.stem: _read(path) for path in sorted(DECLARATIONS.glob("*.yaml"))}


def _read(path: Path) -> Task:
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    values["members"] = tuple(values.get("members", ()))
    own, families = values.pop("instructions"), values.pop("families", {})
    return Task(
        name=path.stem,
        families={
            name: Task(
                name=f"{path.stem} ({name})",
                summary=values["summary"],
                **_groups(texts, own if texts.get("with_own") else {}),
            )
            for name, texts in families.items()
        },
        **_groups(own),
        **values,
    )


def _groups(*instructions: Mapping[str, Any]) -> dict[str, Any]:
    return {
        f"{group}_templates": tuple(text for texts in instructions for text in texts.get(group, ()))
        for group in ("shared", "train", "heldout")
    }
