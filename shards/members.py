"""Videos inside tar files, read in place: `shard.tar#512+70000` names the bytes of one member."""

from __future__ import annotations

import hashlib
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from configs import SourceError

_LOCATOR = re.compile(r"(?P<tar>.+\.tar)#(?P<offset>\d+)\+(?P<size>\d+)", re.DOTALL)
_CHUNK = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Member:
    """Where the content of one member of an uncompressed tar file lies."""

    tar: Path
    offset: int
    size: int
    name: str = ""

    @property
    def locator(self) -> str:
        """The path by which `read_video` reads it."""
        return f"{self.tar}#{self.offset}+{self.size}"

    @property
    def url(self) -> str:
        """The same in libav's words."""
        return f"subfile,,start,{self.offset},end,{self.offset + self.size},,:file:{self.tar.absolute()}"

    def read(self) -> bytes:
        """Return its bytes."""
        with self.tar.open("rb") as file:
            file.seek(self.offset)
            return file.read(self.size)

    def sha256(self) -> str:
        """Return the hexadecimal sha256 of its bytes."""
        digest, left = hashlib.sha256(), self.size
        with self.tar.open("rb") as file:
            file.seek(self.offset)
            while left > 0 and (chunk := file.read(min(_CHUNK, left))):
                digest.update(chunk)
                left -= len(chunk)
        return digest.hexdigest()


def member_at(locator: Path | str) -> Member | None:
    """Return the member that a locator names, or None where it is an ordinary path."""
    found = _LOCATOR.fullmatch(str(locator))
    if found is None or Path(locator).exists():
        return None
    return Member(tar=Path(found["tar"]), offset=int(found["offset"]), size=int(found["size"]))


def members_of(tar: Path) -> Iterator[Member]:
    """Yield the files in a tar file, in order.

    Raises:
        SourceError: it is no uncompressed tar file, or is cut off.
    """
    try:
        size = tar.stat().st_size
        with tarfile.open(tar, "r:") as file:
            for info in file:
                if info.isreg() and info.offset_data + info.size <= size:
                    yield Member(tar=tar, offset=info.offset_data, size=info.size, name=info.name)
                elif info.isreg():
                    raise SourceError(f"{tar}: cut off in the middle of {info.name}")
            # a part of a member's header, which tarfile takes for the end
            if 0 < size - file.offset < tarfile.BLOCKSIZE:
                raise SourceError(f"{tar}: cut off between two members")
    except tarfile.TarError as error:
        raise SourceError(f"{tar}: not an uncompressed tar file ({error})") from None
