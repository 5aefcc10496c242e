"""Publishing files so that a reader sees a whole one or none: temporary name, fsync, rename."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from configs import OutputError

TEMPORARY = ".tmp"
_MAKE_ROOM = "; make room there and run the same command again: what is finished is kept"
_ALLOW = "; let it be written, or name another folder"
_REMEDIES = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), _MAKE_ROOM),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), _ALLOW),
}
_OURS = re.compile(r"\..+\.\d+\.tmp", re.DOTALL)
"""As `publishing` names them: files of that ending may be somebody else's."""
_RACES = 200
"""How often a lock may vanish between opening and holding it."""


class Discard(Exception):
    """Raised inside a `publishing` block that found it has nothing to publish."""


@contextlib.contextmanager
def publishing(path: Path) -> Iterator[IO[bytes]]:
    """Open a temporary file that becomes `path` when the block ends well and vanishes when it does not."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}{TEMPORARY}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise unwritable(path, error) from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def publish(path: Path, data: bytes | str) -> None:
    """Write a whole file at once."""
    with publishing(path) as file:
        file.write(data.encode() if isinstance(data, str) else data)


def publish_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON with a stable key order."""
    publish(path, json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def append_json(path: Path, value: Any) -> None:
    """Append `value` as one line of JSON, whole or not at all; several threads and processes may append to one file.

    A last line that a killed writer cut short is ended first: it would swallow this one.

    Raises:
        OutputError: the file cannot be written; nothing was added then.
    """
    line = json.dumps(value).encode() + b"\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # unbuffered: what a full disk refuses must not come later
        with path.open("ab+", buffering=0) as file:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX)
            size = file.seek(0, os.SEEK_END)
            file.seek(max(size - 1, 0))
            line = b"\n" * (file.read(1) not in (b"", b"\n")) + line
            try:
                if file.write(line) < len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            except OSError:
                with contextlib.suppress(OSError):
                    file.truncate(size)
                raise
    except OSError as error:
        raise unwritable(path, error) from None


def unwritable(path: Path, error: OSError) -> OutputError:
    """Return the error that says which file cannot be written, and what to do."""
    remedy = _REMEDIES.get(error.errno or 0, "")
    return OutputError(f"cannot write {path}: {error.strerror or error}{remedy}")


@contextlib.contextmanager
def locked(path: Path, folder: Path, what: str) -> Iterator[None]:
    """Hold a folder for this process by a lock on the file `path`; it goes with the process, however that ends.

    `what`: what is at work there, in an error's words. The file is removed at the end, and so are folders that were made
    for it and have nothing else in them.

    Raises:
        OutputError: another process holds it, or the file cannot be written.
    """
    made = [parent for parent in path.parents if not parent.exists()]
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(_held(path))
            stack.callback(_leave, path, made)
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
        except BlockingIOError:
            holder = ""
            with contextlib.suppress(FileNotFoundError):
                holder = path.read_text()
            raise OutputError(
                f"{folder}: another {what} (process {holder or '?'}) is at work here; wait for it or choose another --out"
            ) from None
        except OSError as error:
            raise unwritable(folder, error) from None
        yield


def _held(path: Path) -> IO[str]:
    """Return the file `path`, locked; `BlockingIOError` where another process has it."""
    for _ in range(_RACES):
        # a folder may go between any two looks at it, too
        with contextlib.suppress(FileNotFoundError, FileExistsError), contextlib.ExitStack() as stack:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context(path.open("a+"))
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            # whoever held it may have removed it since it was opened here: then it is nobody's, and no lock
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                stack.pop_all()
                return file
    path.parent.mkdir(parents=True, exist_ok=True)
    raise OSError(f"{path} comes and goes")


def _leave(path: Path, made: Iterable[Path]) -> None:
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
        for parent in made:
            parent.rmdir()


def sha256_of(path: Path) -> str:
    """Return the hexadecimal sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remove_temporaries(root: Path) -> None:
    """Delete what killed writers left under `root`."""
    for path in root.rglob(f".*{TEMPORARY}"):
        if _OURS.fullmatch(path.name) and path.is_file():
            path.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
