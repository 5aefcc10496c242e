"""The manifest: written last, it says which shards make up a dataset and how they came to be."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from configs import DatasetError, meant_path
from shards.storage import publish_json

NAME = "manifest.json"
FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class Shard:
    """One finished tar with its index. `path` is relative to the dataset: `<task>/<split>-NNNNNN.tar`."""

    path: str
    samples: int
    bytes: int
    sha256: str
    index_sha256: str

    @property
    def task(self) -> str:
        """Name of the task whose samples it holds."""
        return self.path.split("/")[0]

    @property
    def split(self) -> str:
        """`train`, `val` or `test`."""
        return self.path.split("/")[1].rsplit("-", 1)[0]

    @property
    def index(self) -> str:
        """Path of its parquet index, relative to the dataset."""
        return self.path.removesuffix(".tar") + ".parquet"


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What `manifest.json` says. It has no time and no path in it, so equal builds have equal manifests."""

    recipe: Mapping[str, Any]
    recipe_digest: str
    code_version: str
    shards: tuple[Shard, ...]
    rejects: Mapping[str, int] = field(default_factory=dict)
    """How many videos, clips and pairs were left out, by reason."""
    inputs: str = ""
    """Digest of the source videos' names and contents."""
    sources: int = 0
    """How many clean videos or scenes gave at least one clip: each counts once, whatever captions and masks it came with."""
    families: tuple[tuple[str, ...], ...] = ()
    """Clean videos, by sha256, that are one video to statistics: copies of each other, one still camera's, of one group, or
    sides of one pair. Those that stand alone are not named, nor any where that was not recorded."""
    format: int = FORMAT

    def __post_init__(self) -> None:
        object.__setattr__(self, "families", tuple(map(tuple, self.families)))

    @property
    def sha256(self) -> str:
        """Hash of the content: of every shard's path and sha256."""
        text = "\n".join(f"{shard.path} {shard.sha256}" for shard in self.shards)
        return hashlib.sha256(text.encode()).hexdigest()

    @cached_property
    def first_of_family(self) -> dict[str, str]:
        """The video that stands for its family, by `clean_sha256`, of each that has one."""
        return {video: family[0] for family in self.families for video in family}

    @property
    def parts(self) -> tuple[Mapping[str, Any], ...]:
        """What `datagen merge` made it of: name, content_sha256, recipe, ... of each; nothing where it was built."""
        return tuple(self.recipe.get("merged", ()))

    @property
    def samples(self) -> int:
        """How many samples all shards hold together."""
        return sum(shard.samples for shard in self.shards)

    def save(self, root: Path) -> None:
        """Write `root/manifest.json`; do this after everything else."""
        values = asdict(self) | {"dataset_sha256": self.sha256}
        # earlier versions, which do not know them, still read what has none
        if not self.families:
            del values["families"]
        publish_json(root / NAME, values | {"manifest_sha256": _digest(values)})


def _digest(values: Mapping[str, Any]) -> str:
    """Hash everything a manifest says, whatever its layout."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def load_manifest(root: Path) -> Manifest:
    """Read `root/manifest.json`.

    Raises:
        DatasetError: `root` is no dataset, its build did not finish, or it is of a newer format.
    """
    if re.match(r"[a-z][a-z0-9+.-]+:/", str(root)):
        raise DatasetError(f"{root} is a URL; datasets are read from folders, so copy it into one first")
    if not root.is_dir():
        found = "it is a file" if root.exists() else f"there is nothing{meant_path(root)}"
        raise DatasetError(f"{root} is not a dataset folder: {found}")
    if not (root / NAME).is_file():
        notes = root / ".build"
        begun = {"merge.json": "merge", "removal.json": "reject' or 'datagen forget"}
        command = next((command for note, command in begun.items() if (notes / note).is_file()), "build")
        remedy = (
            f"what was done to it did not finish; run the same 'datagen {command}' again"
            if notes.is_dir()
            else "it has no manifest.json"
        )
        raise DatasetError(f"{root} is not a finished dataset: {remedy}")
    try:
        values = json.loads((root / NAME).read_text(encoding="utf-8"))
        if values["format"] != FORMAT:
            raise DatasetError(
                f"{root}: manifest format {values['format']} is unknown here; this version reads {FORMAT}"
            )
        if values.pop("manifest_sha256") != _digest(values):
            raise DatasetError(
                f"{root / NAME} was changed by hand: what it says does not match its own manifest_sha256"
            )
        del values["dataset_sha256"]
        values["shards"] = tuple(Shard(**shard) for shard in values["shards"])
        return Manifest(**values)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DatasetError(
            f"{root / NAME} is damaged ({error!r}); run 'datagen build' again with --overwrite"
        ) from None
