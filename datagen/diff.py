"""How two datasets differ, sample by sample, and through what."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from datagen.recipes import completed, difference
from datagen.rejects import broken_score, kind_of, read_rejects
from shards import Dataset, Manifest
from shards.reader import differing_members

Identity = tuple[str, str, int, int, int]
"""Task, sha256 of the source video, first frame, step, number of frames: what a sample is made of."""
_IDENTITY = ("task", "source_sha256", "start", "step", "frames")
_FACTS = {"split": "split", "effect": "effect", "effect_version": "effect version", "codec": "codec"}
"""Columns whose values are few: a cause names both of them."""
_DETAILS = {
    "seed": "seed",
    "instruction": "instruction",
    "fps": "frames per second",
    "source_id": "name of the source",
    "licence": "licence",
    "caption": "caption",
}
"""Columns that have many values: a cause says only that they differ."""
_JSON = {"parameters": "parameters of {task}", "scores": "gate scores"}
_UNEXPLAINED = "nothing that is recorded: other code or libraries made them, or 'datagen verify' finds damage"


@dataclass(frozen=True, kw_only=True)
class Group:
    """Samples that differ through one cause."""

    cause: str
    keys: tuple[tuple[str, ...], ...]
    """A sample's key, or its keys in A and in B where it is in both."""
    names: Mapping[str, int]
    """Which parameters or scores the cause is made of, and in how many samples each differs."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How dataset B differs from dataset A. A changed sample is in every group whose cause fits it."""

    made: tuple[str, ...]
    """Differences of recipe, sources and code version."""
    effects: tuple[str, ...]
    rejects: tuple[str, ...]
    same: int
    changed: int
    members: Mapping[str, int]
    """In how many samples each member has other bytes."""
    only_a: tuple[Group, ...]
    only_b: tuple[Group, ...]
    causes: tuple[Group, ...]

    @property
    def equal(self) -> bool:
        """Whether nothing differs at all."""
        return not (self.made or self.effects or self.rejects or self.changed or self.only_a or self.only_b)

    def to_plain(self) -> dict[str, Any]:
        """Return JSON values."""
        return {"equal": self.equal, **asdict(self)}


def compare(a: Path, b: Path) -> Comparison:
    """Compare two datasets; every member's bytes are read, so a damaged shard shows, too.

    Raises:
        DatasetError: one is no finished dataset, or a shard cannot be read.
    """
    first, second = Dataset(a), Dataset(b)
    made = list(_made(first.manifest, second.manifest))
    pairs, only_a, only_b = _match(first, second)
    causes = _Groups()
    members: Counter[str] = Counter()
    changed = 0
    for key_a, key_b in pairs:
        found, differing = _causes(first, key_a, second, key_b)
        members.update(differing)
        changed += bool(found)
        for cause, names in found.items():
            causes.add(cause, (key_a, key_b), names)
    return Comparison(
        made=tuple(made),
        effects=tuple(_effects(first, second)),
        rejects=tuple(_counted(first.manifest.rejects, second.manifest.rejects)),
        same=len(pairs) - changed,
        changed=changed,
        members=dict(members.most_common()),
        only_a=_missing(first, only_a, second, made),
        only_b=_missing(second, only_b, first, made),
        causes=causes.sorted(),
    )


def _made(a: Manifest, b: Manifest) -> Iterator[str]:
    if bool(a.parts) != bool(b.parts):
        for name, manifest in (("A", a), ("B", b)):
            parts = ", ".join(part["name"] for part in manifest.parts)
            yield f"{name} was merged of {parts}" if parts else f"{name} was built"
    else:
        yield from difference(_identity(a), _identity(b))


def _identity(manifest: Manifest) -> dict[str, Any]:
    recipe = completed(manifest.recipe)
    if manifest.parts:
        # a mapping, so that the difference names a part and not the whole list; counts are no part of a recipe
        recipe["merged"] = {
            f"part {number}": {
                **{name: value for name, value in part.items() if not name.endswith("samples")},
                "recipe": completed(part["recipe"]),
            }
            for number, part in enumerate(manifest.parts)
        }
    return {"recipe": recipe, "inputs": manifest.inputs, "code version": manifest.code_version}


def _match(a: Dataset, b: Dataset) -> tuple[list[tuple[str, str]], list[str], list[str]]:
    """Return the pairs of keys of equal identity, then the keys that only A and only B have."""
    in_a, in_b = _by_identity(a), _by_identity(b)
    pairs, only_a, only_b = [], [], []
    for identity in sorted(in_a.keys() | in_b.keys()):
        keys_a, keys_b = in_a.get(identity, []), in_b.get(identity, [])
        # a merged dataset may have one clip with several seeds
        shared = set(keys_a) & set(keys_b)
        rest_a, rest_b = ([key for key in keys if key not in shared] for keys in (keys_a, keys_b))
        both = min(len(rest_a), len(rest_b))
        pairs += [(key, key) for key in sorted(shared)] + list(zip(rest_a[:both], rest_b[:both], strict=True))
        only_a += rest_a[both:]
        only_b += rest_b[both:]
    return pairs, only_a, only_b


def _by_identity(dataset: Dataset) -> dict[Identity, list[str]]:
    columns = dataset.index().select([*_IDENTITY, "key"]).to_pydict()
    found: dict[Identity, list[str]] = {}
    for *identity, key in zip(*columns.values(), strict=True):
        found.setdefault(tuple(identity), []).append(key)
    return found


class _Groups:
    """Collects samples by cause."""

    def __init__(self) -> None:
        self._keys: dict[str, list[tuple[str, ...]]] = {}
        self._names: dict[str, Counter[str]] = {}

    def add(self, cause: str, keys: tuple[str, ...], names: Iterable[str] = ()) -> None:
        """Add one sample."""
        self._keys.setdefault(cause, []).append(keys)
        self._names.setdefault(cause, Counter()).update(names)

    def sorted(self) -> tuple[Group, ...]:
        """Return the groups, the largest first."""
        order = sorted(self._keys, key=lambda cause: (-len(self._keys[cause]), cause))
        return tuple(
            Group(cause=cause, keys=tuple(self._keys[cause]), names=dict(self._names[cause].most_common()))
            for cause in order
        )


def _causes(a: Dataset, key_a: str, b: Dataset, key_b: str) -> tuple[dict[str, list[str]], list[str]]:
    """Return through what two samples differ (with the names that a cause is made of), and which of their members."""
    row_a, row_b = a.row(key_a), b.row(key_b)
    differing = differing_members(a.members(key_a), b.members(key_b))
    columns = [name for name in row_a if row_a[name] != row_b[name]]
    causes: dict[str, list[str]] = {
        f"{_FACTS[name]} {row_a[name]} -> {row_b[name]}": [] for name in columns if name in _FACTS
    }
    causes |= {_DETAILS[name]: [] for name in columns if name in _DETAILS}
    for name in columns:
        if name in _JSON:
            cause = _JSON[name].format(task=row_a["task"])
            causes[cause] = changed_names(json.loads(row_a[name]), json.loads(row_b[name]))
    if differing and not causes:
        causes[_UNEXPLAINED] = []
    return causes, differing


def changed_names(a: Any, b: Any, where: str = "") -> list[str]:
    """Name the values that differ, nested ones with dots: `depth.far`."""
    if a == b:
        return []
    if not isinstance(a, dict) or not isinstance(b, dict):
        return [where]
    names = sorted(a.keys() | b.keys())
    return [
        path for name in names for path in changed_names(a.get(name), b.get(name), f"{where}.{name}" if where else name)
    ]


def _counted(a: Mapping[str, int], b: Mapping[str, int]) -> Iterator[str]:
    for kind in sorted(a.keys() | b.keys()):
        if a.get(kind, 0) != b.get(kind, 0):
            yield f"{kind} {a.get(kind, 0)} -> {b.get(kind, 0)}"


def _effects(a: Dataset, b: Dataset) -> Iterator[str]:
    """Say which tasks' effects are of other versions; a task that only one dataset has is a difference of recipes."""
    versions = [_versions(dataset) for dataset in (a, b)]
    for task in sorted(versions[0].keys() & versions[1].keys()):
        if versions[0][task] != versions[1][task]:
            yield f"{task}: " + " -> ".join(", ".join(sorted(found[task])) for found in versions)


def _versions(dataset: Dataset) -> dict[str, set[str]]:
    rows = dataset.index().select(["task", "effect", "effect_version"]).group_by(["task", "effect", "effect_version"])
    found: dict[str, set[str]] = {}
    for row in rows.aggregate([]).to_pylist():
        found.setdefault(row["task"], set()).add(f"{row['effect']} {row['effect_version']}")
    return found


def _missing(dataset: Dataset, keys: list[str], other: Dataset, made: list[str]) -> tuple[Group, ...]:
    """Group the keys by the reason why the other dataset lacks their samples."""
    groups = _Groups()
    turned_away = {(r["sha256"], r["start"], r["task"]): r for r in read_rejects(other.root) if _counts(r)}
    sources = set(other.index()["source_sha256"].to_pylist())
    for key in keys:
        row = dataset.row(key)
        sha256, start, task = row["source_sha256"], row["start"], row["task"]
        places = ((sha256, start, ""), (sha256, start, task), (sha256, -1, ""))
        reject = next((turned_away[place] for place in places if place in turned_away), None)
        if reject:
            groups.add(f"turned away there: {kind_of(reject)}{_through(reject, made)}", (key,))
        elif task not in other.tasks:
            groups.add(f"there is no {task} there", (key,))
        elif sha256 not in sources:
            groups.add("its source is not there", (key,))
        elif any(part["weight"] is not None for part in other.manifest.parts):
            groups.add("left out there for the weights of the merge", (key,))
        else:
            groups.add("other clips are cut from its source there", (key,))
    return groups.sorted()


def _counts(reject: dict[str, Any]) -> bool:
    """Whether a reject explains that a sample is missing; a duplicate's content is in the dataset under another name."""
    return bool(reject["sha256"]) and kind_of(reject) != "duplicate"


def _through(reject: dict[str, Any], made: list[str]) -> str:
    """Name the settings that turned the clip away in one dataset and not in the other."""
    score = broken_score(reject)
    prefixes = [f"gates.{end}_{score[0]} " for end in ("min", "max")] if score else []
    if reject["where"] == "task":
        prefixes.append(f"tasks.{reject['task']}.")
    settings = [phrase for phrase in made if phrase.startswith(tuple(prefixes))] if prefixes else []
    return f" ({'; '.join(settings)})" if settings else ""
