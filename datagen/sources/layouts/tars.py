"""Tar shards of raw videos, as video2dataset and NeMo Curator write them: read in place, nothing is unpacked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from configs import SourceError
from datagen.sources.layouts import Layout
from datagen.sources.layouts.frames import visible_files
from datagen.sources.library import Entry
from shards.members import Member, members_of
from shards.video import EXTENSIONS

_LICENCE = ("license", "licence")
_CAPTION = ("caption", "text", "enhanced_caption")


def entries(path: Path) -> Iterator[Entry]:
    """Yield every video in a tar file, or in the tar files of a folder; captions and licences from its `.json` or `.txt`.

    A tar file that is damaged, as a writer that was killed leaves it, is a reject beside the samples before the damage; the
    last of them is not taken, for its caption may be lost.
    """
    tars = [file for file in visible_files(path) if file.suffix == ".tar"] if path.is_dir() else [path]
    if not tars:
        raise SourceError(f"no .tar files in {path}")
    found, damage = 0, None
    for tar in tars:
        try:
            for members in _samples(tar):
                for video in _videos(members):
                    found += 1
                    yield _entry(tar, video, members)
        except SourceError as error:
            damage = error
            reason = str(error).removeprefix(f"{tar}: ")
            yield Entry(id=tar.stem, name=tar.name, main=str(tar.resolve()), problem=f"unreadable: {reason}")
    if not found:
        raise damage or SourceError(f"no videos in the .tar files of {path}; looked for {' '.join(sorted(EXTENSIONS))}")


def _entry(tar: Path, video: Member, members: dict[str, Member]) -> Entry:
    return Entry(
        id=Path(video.name).stem,
        name=f"{tar.name}/{video.name}",
        main=Member(tar=tar.resolve(), offset=video.offset, size=video.size).locator,
        **_said(members),
    )


def _videos(members: dict[str, Member]) -> list[Member]:
    videos = [member for ending, member in sorted(members.items()) if Path(f"x.{ending}").suffix in EXTENSIONS]
    return [video for video in videos if not Path(video.name).name.startswith(".")]


def _samples(tar: Path) -> Iterator[dict[str, Member]]:
    """Yield the members that share a name up to its first dot, by their endings."""
    key = ""
    members: dict[str, Member] = {}
    for member in members_of(tar):
        folder, slash, file = member.name.rpartition("/")
        stem, _, ending = file.partition(".")
        if folder + slash + stem != key and members:
            yield members
            members = {}
        key = folder + slash + stem
        members[ending.lower()] = member
    if members:
        yield members


def _said(members: dict[str, Member]) -> dict[str, Any]:
    said: dict[str, Any] = {}
    if "json" in members:
        try:
            found = json.loads(members["json"].read())
        except ValueError:
            found = None
        said = found if isinstance(found, dict) else {}
    caption = next((str(said[name]) for name in _CAPTION if said.get(name)), "")
    if not caption and "txt" in members:
        caption = members["txt"].read().decode(errors="replace")
    licence = next((str(said[name]) for name in _LICENCE if said.get(name)), "")
    caption = " ".join(caption.split())
    return {"licence": licence, "facts": {"caption": caption} if caption else {}}


LAYOUT = Layout(summary="tar shards of raw videos (video2dataset, NeMo Curator)", entries=entries)
