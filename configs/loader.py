"""Turn a recipe (YAML), its parents and `--set` overrides into one checked, frozen settings object."""

from __future__ import annotations

import hashlib
import json
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PositiveFloat, ValidationError

from configs.errors import ConfigError, unknown_name

HERE = Path(__file__).parent
_COMMENT_WIDTH = 100


def _ascending(ends: tuple[float, float]) -> tuple[float, float]:
    if ends[0] > ends[1]:
        raise ValueError("the first number must not exceed the second")
    return ends


Share = Annotated[float, Field(ge=0, le=1)]
Interval = Annotated[tuple[float, float], AfterValidator(_ascending)]
"""Lowest and highest of something that is drawn in between."""
ShareInterval = Annotated[tuple[Share, Share], AfterValidator(_ascending)]
PositiveInterval = Annotated[tuple[PositiveFloat, PositiveFloat], AfterValidator(_ascending)]


class Settings(BaseModel):
    """Base of every settings class: frozen; an unknown key is an error, and so is a number that is infinite or none."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

    kind: ClassVar[str] = ""
    """Folder under `configs/` that holds this class's named recipes."""

    def digest(self) -> str:
        """Return a short hash of every setting; equal settings have equal digests."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    def to_yaml(self, *, explained: bool = False) -> str:
        """Return the settings as YAML which `load` reads back to an equal object; `explained` has each one's docstring above
        it, as a comment."""
        return "".join(_explained(self)) if explained else _yaml(self.model_dump(mode="json"))


S = TypeVar("S", bound=Settings)


def load(schema: type[S], recipe: str | Path, overrides: Iterable[str] = ()) -> S:
    """Read a recipe and check it.

    `recipe` is the name of a file in `configs/<schema.kind>/` or the path of a YAML file. A recipe may start
    from another with `extends: NAME`, and then says only what differs. `overrides` are `a.b=value` strings,
    `value` in YAML.

    Raises:
        ConfigError: no such recipe, not YAML, an unknown key, a value of the wrong kind.
    """
    path = _find(schema, recipe)
    return check(schema, _read(schema, path), overrides, where=f"recipe {recipe}")


def check(schema: type[S], values: Mapping[str, Any], overrides: Iterable[str] = (), *, where: str) -> S:
    """Build `schema` from plain values and overrides as in `load`; a wrong one raises `ConfigError` naming the key and the
    remedy."""
    for override in overrides:
        values = _assign(values, *_parse_override(override))
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"{where}: {_explain(schema, error)}") from None


def _explained(settings: Settings, indent: str = "") -> Iterator[str]:
    """Yield a settings object as YAML, piece by piece, each setting below what it means."""
    for name, value in settings.model_dump(mode="json").items():
        inner = getattr(settings, name)
        nested = isinstance(inner, Settings)
        meaning = type(settings).model_fields[name].description or (type(inner).__doc__ if nested else "")
        for line in textwrap.wrap(" ".join((meaning or "").split()), _COMMENT_WIDTH - len(indent)):
            yield f"{indent}# {line}\n"
        yield f"{indent}{name}:\n" if nested else textwrap.indent(_yaml({name: value}), indent)
        if nested:
            yield from _explained(inner, indent + "  ")


def _yaml(values: Mapping[str, Any]) -> str:
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


def names(schema: type[Settings]) -> list[str]:
    """List the named recipes of a settings class."""
    return sorted(path.stem for path in (HERE / schema.kind).glob("*.yaml"))


def _find(schema: type[Settings], recipe: str | Path) -> Path:
    if str(recipe).endswith((".yaml", ".yml")):
        path = Path(recipe)
        if not path.is_file():
            raise ConfigError(f"no recipe file {path}; named recipes: {', '.join(names(schema)) or 'none'}")
        return path
    path = HERE / schema.kind / f"{recipe}.yaml"
    if not path.is_file():
        message = unknown_name(f"{schema.kind} recipe", str(recipe), names(schema))
        raise ConfigError(f"{message} (or give the path of a .yaml file)")
    return path


def read_mapping(path: Path) -> dict[str, Any]:
    """Return what a YAML file holds.

    Raises:
        ConfigError: it cannot be read, is no YAML, or holds something else than a mapping.
    """
    try:
        values = _parse(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise ConfigError(f"{path} cannot be read: {' '.join(str(error).split())[:200]}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{path} holds a {type(values).__name__}; wanted is a mapping of keys to values")
    return values


def _read(schema: type[Settings], path: Path, seen: tuple[Path, ...] = ()) -> dict[str, Any]:
    try:
        values = _parse(path.read_text(encoding="utf-8")) or {}
    except (ValueError, OSError) as error:
        raise ConfigError(f"{path} is no recipe: {' '.join(str(error).split())[:200]}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{path} holds a {type(values).__name__}; a recipe is a mapping of keys to values")
    parent = values.pop("extends", None)
    if parent is None:
        return values
    base = _find(schema, parent)
    if base in (*seen, path):
        raise ConfigError(f"{path}: 'extends: {parent}' goes round in a circle")
    return _merge(_read(schema, base, (*seen, path)), values)


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        merged[key] = _merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def _assign(values: Mapping[str, Any], path: list[str], value: Any) -> dict[str, Any]:
    """Return `values` with the entry at `path` replaced, not merged: what is set is exactly what was said."""
    head, *rest = path
    old = values.get(head)
    inner = _assign(old if isinstance(old, dict) else {}, rest, value) if rest else value
    return {**values, head: inner}


def _parse_override(text: str) -> tuple[list[str], Any]:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"--set {text!r} is not of the form key=value, as in --set clip.size=128")
    try:
        return key.strip().split("."), _parse(value)
    except ValueError:
        raise ConfigError(f"--set {_short(text)}: {_short(value)} is not a YAML value") from None


class _PlainLoader(yaml.SafeLoader):
    """YAML without what a recipe has no use for: aliases, which can blow a small file up, keys given twice, and numbers
    that one does not recognise as such (16:9 in base 60, 010 in base 8, 0x10)."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases (*name) are not allowed")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = next((key for key in keys if keys.count(key) > 1), None)
        if twice is not None:
            raise yaml.YAMLError(f"the key {twice!r} is given twice")
        return super().construct_mapping(node, deep)


_NUMBERS = {
    "int": r"[-+]?(0|[1-9][0-9]*)",
    "float": r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
}
_PlainLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag.rpartition(":")[2] not in _NUMBERS]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _kind, _pattern in _NUMBERS.items():
    _PlainLoader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_kind}", re.compile(f"({_pattern})$"), list("-+.0123456789")
    )


def _parse(text: str) -> Any:
    """Return what YAML text says; whatever is wrong with it is a `ValueError`."""
    try:
        # the loader is a SafeLoader: it makes plain values only
        return yaml.load(text, Loader=_PlainLoader)
    except (yaml.YAMLError, RecursionError, TypeError, UnicodeError) as error:
        raise ValueError(f"not YAML, {error}") from None


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _explain(schema: type[Settings], error: ValidationError) -> str:
    problems = [_explain_one(schema, dict(item)) for item in error.errors(include_url=False)]
    return "; ".join(dict.fromkeys(problems))


def _explain_one(schema: type[Settings], item: dict[str, Any]) -> str:
    location = [str(part) for part in item["loc"]]
    if item["type"] != "extra_forbidden":
        message = str(item["msg"]).removeprefix("Value error, ")
        came = "" if item["type"] == "missing" else f" (came: {_short(item['input'])})"
        return f"{'.'.join(location) or 'recipe'}: {message}{came}"
    owner = _model_at(schema, location[:-1])
    allowed = owner.model_fields if owner else ()
    inside = f" in {'.'.join(location[:-1])}" if location[:-1] else ""
    return unknown_name("setting", location[-1], allowed) + inside


def _model_at(schema: type[BaseModel], location: list[str]) -> type[BaseModel] | None:
    owner: type[BaseModel] | None = schema
    for part in location:
        field = owner.model_fields.get(part) if owner else None
        annotation = field.annotation if field else None
        owner = annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None
    return owner
