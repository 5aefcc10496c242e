"""The files behind a video's tracks: which frames belong together, what their content is, whether they changed."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from configs import VideoError
from shards.arrays import arrays_in
from shards.instances import instances_in
from shards.members import member_at
from shards.picture_folder import is_pictures, pictures_in
from shards.storage import sha256_of

_NUMBER = re.compile(r"\d+")
_TIMES = 10
"""Numbers so far apart may be times, which are rounded: then half as much again is no gap."""


def frame_files(folder: Path) -> list[Path]:
    """Return the pictures in a folder, else its arrays, else its HDF5 files, in the order of their numbers."""
    return pictures_in(folder) or arrays_in(folder) or (instances_in(folder) if folder.is_dir() else [])


def aligned(tracks: Mapping[str, str]) -> dict[str, list[int]]:
    """Return the numbers of the frames that every folder among the tracks has, by track; nothing where they all agree.

    Frames belong together by name, and YouTube-VOS annotates every fifth frame. Where no names are equal the last number
    in them counts (Virtual KITTI's rgb_00042 and depth_00042).

    Raises:
        VideoError: two folders have no name in common.
    """
    folders = {track: Path(locator) for track, locator in tracks.items() if Path(locator).is_dir()}
    stems = {track: [file.stem for file in frame_files(folder)] for track, folder in folders.items()}
    if len(folders) < 2 or len(folders) < len(tracks) or len(set(map(tuple, stems.values()))) == 1:
        return {}
    if not _shared(stems):
        stems = {track: [_last_number(name) for name in names] for track, names in stems.items()}
        if len(set(map(tuple, stems.values()))) == 1:
            return {}
    shared = _shared(stems)
    if not shared:
        raise VideoError(f"no frame of {' and '.join(stems)} has the same name")
    ordered = [stem for place, stem in enumerate(stems["main"]) if stem in shared and stem not in stems["main"][:place]]
    return {track: [names.index(stem) for stem in ordered] for track, names in stems.items()}


def gaps(locator: str, places: Sequence[int] = ()) -> list[int]:
    """Return where frames are missing: which of the frames are numbered on from the one before by another step than usual.

    `places`: those of the folder's files that are taken; all where there are none. Nothing where names do not count.
    """
    names = _names(locator)
    steps = _steps([names[place] for place in places if place < len(names)] if places else names)
    usual = _usual(steps)
    allowed = usual / 2 if usual >= _TIMES else 1
    return [place for place, step in enumerate(steps, start=1) if abs(step - usual) >= allowed]


def usual_step(locator: str) -> int:
    """Return by how much the numbers in the names of a folder's frames go on; 0 where they do not count."""
    return _usual(_steps(_names(locator)))


def _names(locator: str) -> list[str]:
    return [file.stem for file in frame_files(Path(locator))] if is_pictures(Path(locator)) else []


def _usual(steps: Sequence[int]) -> int:
    return Counter(steps).most_common(1)[0][0] if steps else 0


def _steps(names: Sequence[str]) -> list[int]:
    """Return by how much each name counts on; nothing where not one number in them grows, and all else stays as it is."""
    if len({_NUMBER.sub("0", name) for name in names}) != 1:
        return []
    columns = zip(*(map(int, _NUMBER.findall(name)) for name in names), strict=True)
    changing = [column for column in columns if len(set(column)) > 1]
    steps = [after - before for before, after in pairwise(changing[0])] if len(changing) == 1 else []
    return steps if all(step > 0 for step in steps) else []


def _shared(stems: Mapping[str, list[str]]) -> set[str]:
    return set.intersection(*map(set, stems.values()))


def _last_number(name: str) -> str:
    found = _NUMBER.findall(name)
    return str(int(found[-1])) if found else name


def content_sha256(locator: str) -> str:
    """Return a sha256 of what a track shows: of the file, or of all the files of its frames."""
    files = _files(locator)
    if len(files) == 1:
        return file_sha256(files[0])
    digest = hashlib.sha256("\n".join(map(file_sha256, files)).encode())
    return digest.hexdigest()


def content_bytes(locator: str) -> int:
    """Return how large the file of a track is, or all the files of its frames together."""
    members = [(member_at(file), Path(file)) for file in _files(locator)]
    return sum(member.size if member else path.stat().st_size for member, path in members)


def _files(locator: str) -> list[str]:
    return list(map(str, frame_files(Path(locator)))) if is_pictures(Path(locator)) else [locator]


def file_sha256(locator: str) -> str:
    """Return the sha256 of a file or of a member of a tar file."""
    member = member_at(locator)
    return member.sha256() if member else sha256_of(Path(locator))


def status(locator: str) -> str:
    """Return what changes when the files of a track do: sizes and times, without reading them."""
    member, path = member_at(locator), Path(locator)
    try:
        if member:
            path = member.tar
        elif is_pictures(path):
            found = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in frame_files(path)]
            return hashlib.blake2b(repr(found).encode("utf-8", "backslashreplace"), digest_size=8).hexdigest()
        found_now = path.stat()
    except OSError:
        return "missing"
    return f"{found_now.st_size} {found_now.st_mtime_ns}"
