"""Where a dataset goes: a local folder, or a URL that fsspec opens, filled through a local folder."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import time
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from configs import OutputError
from datagen.splits import SPLITS
from datagen.synthesize import UnitResult
from shards import Shard, task_names
from shards.manifest import NAME as MANIFEST
from shards.storage import publish, sha256_of

NOTES = ".build"
"""Folder of a build's own notes, inside the dataset."""
_TRIES = 5
_FIRST_WAIT = 0.5
"""Seconds before the second try; every further wait is twice as long."""
IDENTITY = "identity.json"
"""Note of what a dataset is: where it lies, there is one."""
PLAN = "plan.json"
"""Note of which clips are in which unit."""
OF_A_MACHINE = ("examined.json",)
"""Notes about the source files, which lie elsewhere on another machine."""
BESIDE = ("rejects.jsonl", "README.md")
"""What lies in a dataset beside its shards and the manifest."""
PAGES = ("view.html", "stats.html", "gates.html")
"""Pages that commands write into a dataset; they show its clips and name its videos."""
SHARD = re.compile(rf"({'|'.join(SPLITS)})-\d{{6,}}\.(tar|parquet)")
_T = TypeVar("_T")


class Destination:
    """A local folder: what is written there is where it belongs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def name(self) -> str:
        """What messages call it."""
        return str(self.folder)

    def pull(self) -> None:
        """Bring what is known of the dataset into the folder."""

    def has(self, shard: Shard) -> bool:
        """Whether a shard and its index are in place, at their sizes."""
        path = self.folder / shard.path
        return path.is_file() and path.stat().st_size == shard.bytes and (self.folder / shard.index).is_file()

    def settle(self, result: UnitResult) -> None:
        """Bring the shards of a finished unit to their place; called where they were made."""

    def note(self, path: Path) -> None:
        """Keep a note of the build, `path` in the folder, which was just written."""

    def remove(self, path: str) -> None:
        """Remove a file, named relative to the dataset, if it is there, and its folder where that is empty then."""
        (self.folder / path).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            (self.folder / path).parent.rmdir()

    def clear(self) -> None:
        """Remove the dataset where it is not in the folder; the folder is cleared by others."""

    def publish(self) -> None:
        """Bring what lies beside the shards to its place, the manifest last."""


class RemoteDestination(Destination):
    """A dataset behind a URL.

    Shards are made in `folder`, uploaded and deleted there; their indexes and the notes of the build stay in both places,
    so that a build goes on where it was stopped, on another machine too. Every upload is tried several times and its size
    compared. Until all else is there, there is no manifest.
    """

    def __init__(self, url: str, folder: Path) -> None:
        super().__init__(folder)
        self.url = url.rstrip("/")
        self._sizes: dict[str, int] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        # what was listed stays at home: it may be long
        return RemoteDestination, (self.url, self.folder)

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.url

    def pull(self) -> None:
        """Fetch all but the shards: notes, indexes, and what lies beside them."""
        system, root = self._open()
        system.invalidate_cache()
        found: dict[str, dict[str, Any]] = self._trying("read", lambda: system.find(root, detail=True))
        files = {str(PurePosixPath(path).relative_to(root)): int(entry["size"]) for path, entry in found.items()}
        if files and not files.keys() & {MANIFEST, f"{NOTES}/{IDENTITY}"}:
            raise OutputError(
                f"{self.url} is not empty and not a dataset (it has {min(files)!r}); choose another --out"
            )
        self._sizes = files
        # what is gone there was taken away, maybe from another machine
        for name in self._here() - files.keys():
            super().remove(name)
        # notes first: they say which indexes are here already
        for name in sorted(files, key=lambda name: not name.startswith(f"{NOTES}/")):
            if name.endswith(".tar") or (name.endswith(".parquet") and self._is_index(name)):
                continue
            data = self._content(name)
            # an upload that was cut short; what is here, if anything, is better
            if data is not None and not (name.endswith(".json") and not _is_json(data)):
                publish(self.folder / name, data)

    def _here(self) -> set[str]:
        """Return what lies in the folder of that which lies there, too."""
        notes = [path for path in (self.folder / NOTES).rglob("*.json") if path.name not in OF_A_MACHINE]
        indexes = [path for task in task_names() for path in (self.folder / task).glob("*.parquet")]
        beside = [path for name in (MANIFEST, *BESIDE) if (path := self.folder / name).is_file()]
        return {str(path.relative_to(self.folder)) for path in (*notes, *indexes, *beside)}

    def _is_index(self, name: str) -> bool:
        """Whether an index is here as the note of its unit says; other ones may be of equal size."""
        local, note = self.folder / name, self.folder / NOTES / "units" / f"{PurePosixPath(name).stem}.json"
        if not local.is_file() or not note.is_file():
            return False
        shards = json.loads(note.read_text(encoding="utf-8"))["result"]["shards"]
        return sha256_of(local) in {shard["index_sha256"] for shard in shards}

    def has(self, shard: Shard) -> bool:
        """Whether a shard and its index are there at their sizes, and the index here."""
        index = self.folder / shard.index
        if not index.is_file() or sha256_of(index) != shard.index_sha256:
            return False
        return self._size_of(shard.path) == shard.bytes and self._size_of(shard.index) == index.stat().st_size

    def settle(self, result: UnitResult) -> None:
        """Upload the shards of a finished unit, and delete them here."""
        for shard in result.shards:
            self._upload(shard.index)
            self._upload(shard.path)
            (self.folder / shard.path).unlink()

    def note(self, path: Path) -> None:
        """Upload a note."""
        self._upload(str(path.relative_to(self.folder)))

    def remove(self, path: str) -> None:
        """Remove a file here and there."""
        super().remove(path)
        self._sizes.pop(path, None)
        system, root = self._open()

        def remove() -> None:
            with contextlib.suppress(FileNotFoundError):
                system.rm_file(f"{root}/{path}")

        self._trying("write", remove)

    def publish(self) -> None:
        """Upload what lies beside the shards where it differs, the manifest last."""
        for name in (*BESIDE, MANIFEST):
            if self._content(name) != (self.folder / name).read_bytes():
                self._upload(name)

    def clear(self) -> None:
        """Remove what builds put there: the manifest first, and last what says that it is a dataset."""
        ours = [name for name in self._sizes if name in BESIDE or name.startswith(f"{NOTES}/") or _is_shard(name)]
        for name in (MANIFEST, *sorted(ours, key=clearing_order)):
            self.remove(name)

    def _upload(self, name: str) -> None:
        system, root = self._open()
        local, remote = self.folder / name, f"{root}/{name}"
        self._sizes.pop(name, None)

        def upload() -> None:
            system.makedirs(remote.rpartition("/")[0], exist_ok=True)
            system.put_file(str(local), remote)
            system.invalidate_cache()
            there, here = system.info(remote)["size"], local.stat().st_size
            if there != here:
                raise OSError(f"{there} of {here} bytes of {name} arrived")

        self._trying("write", upload)

    def _size_of(self, name: str) -> int | None:
        if name in self._sizes:
            return self._sizes[name]
        system, root = self._open()

        def size() -> int | None:
            with contextlib.suppress(FileNotFoundError):
                return int(system.info(f"{root}/{name}")["size"])
            return None

        return self._trying("read", size)

    def _content(self, name: str) -> bytes | None:
        system, root = self._open()

        def content() -> bytes | None:
            with contextlib.suppress(FileNotFoundError):
                return bytes(system.cat_file(f"{root}/{name}"))
            return None

        return self._trying("read", content)

    def _open(self) -> tuple[Any, str]:
        import fsspec

        try:
            system, root = fsspec.core.url_to_fs(self.url)
        except (ImportError, ValueError) as error:
            # an unknown scheme, or the package that serves it is not installed; fsspec says which
            raise OutputError(f"{self.url}: {error}") from None
        return system, root.rstrip("/")

    def _trying(self, what: str, action: Callable[[], _T]) -> _T:
        """Run `action`, again after a while where it fails: a network does."""
        for attempt in range(_TRIES):
            try:
                return action()
            except PermissionError as error:
                raise OutputError(f"cannot {what} {self.url}: {error}") from None
            except Exception as error:
                # every backend has errors of its own
                if attempt == _TRIES - 1:
                    said = " ".join(str(error).split()) or type(error).__name__
                    raise OutputError(f"cannot {what} {self.url} after {_TRIES} tries: {said}") from None
            time.sleep(_FIRST_WAIT * 2**attempt)
        raise AssertionError("the last try returns or raises")


def find_destination(out: Path | str, *, workers: int, staging: Path | None = None) -> Destination:
    """Return the destination that `out`, a folder or a URL, names.

    `staging`: where a URL's shards are made; by default a folder in the user's cache, one for each URL.

    Raises:
        OutputError: a staging folder without a URL, or memory:// for several processes.
    """
    if "://" not in str(out):
        if staging is not None:
            raise OutputError("--staging is for an --out that is a URL; a folder is written in place")
        return Destination(Path(out))
    url = str(out)
    if url.startswith("memory://") and workers:
        raise OutputError(f"{url} lives in one process; build with --workers 0")
    return RemoteDestination(url, staging or _cache() / hashlib.blake2b(url.encode(), digest_size=8).hexdigest())


def clearing_order(name: str) -> int:
    """Sort what is to be removed: without a plan nothing is believed, and without an identity nothing is ours."""
    return {PLAN: 0, IDENTITY: 2}.get(PurePosixPath(name).name, 1)


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vidiff" / "staging"


def _is_json(data: bytes) -> bool:
    with contextlib.suppress(ValueError):
        json.loads(data)
        return True
    return False


def _is_shard(name: str) -> bool:
    folder, _, file = name.rpartition("/")
    return folder in task_names() and SHARD.fullmatch(file) is not None
