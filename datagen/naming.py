"""Which source videos somebody means who wants them out of a dataset, and what they are called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

from configs import DatasetError, unknown_name
from datagen.sources.base import Reject, SourceVideo

SHOWN = 5
"""Of many names so many are said."""


def some_names(names: Sequence[str]) -> str:
    """Say a few of many names."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def told_apart(videos: Sequence[SourceVideo]) -> list[str]:
    """Return what to call each video: its path, with the beginning of its sha256 where several files have the same one."""
    files = Counter(name for name, _ in {(video.name, video.content) for video in videos})
    return [with_sha256(video.name, video.content) if files[video.name] > 1 else video.name for video in videos]


def with_sha256(name: str, sha256: str) -> str:
    """Say of which file a name is."""
    return f"{name} (sha256 {sha256[:12]})"


def named_videos(names: Sequence[str], found: Sequence[SourceVideo | Reject], out: Path) -> set[str]:
    """Return the sha256 of the videos that are meant.

    Raises:
        DatasetError: a name fits no video, or several different files.
    """
    videos = [item for item in found if isinstance(item, SourceVideo)]
    chosen: set[str] = set()
    for name in names:
        meant = {video.sha256 for video in videos if _is_called(video, name)}
        # a file that is named by its content stays out when it comes alone, too
        meant |= {video.content for video in videos if _begins(video.content, name)}
        # of a dataset made before other sides were recorded the pair itself is all that is known
        meant |= {video.pair_sha256 or video.sha256 for video in videos if _shows_beside(video, name)}
        files = _fitting(videos, name)
        if len(set(files.values())) > 1:
            raise DatasetError(
                f"{out}: source {name!r} fits {len(files)} files: "
                f"{some_names([with_sha256(*file) for file in sorted(files.values())])}; give --source the path or the sha256 "
                "of one as written here, once for each that is meant"
            )
        if not meant:
            raise DatasetError(
                f"{out}: {unknown_name('source', name, _known(videos))} (or the file name or sha256 of one)"
            )
        chosen |= meant
    return chosen


def bare_files(found: Sequence[SourceVideo | Reject], chosen: Collection[str]) -> set[str]:
    """Return the sha256 of files that are known for duplicates of what was chosen, and of nothing that is left.

    A pair that goes takes no other along that has its clean side for an edited one: step by step one leads to the next.
    """
    videos = [item for item in found if isinstance(item, SourceVideo)]
    left = {video.content for video in videos if video.sha256 not in chosen}
    beside = {video.pair_sha256 for video in videos if video.sha256 not in chosen}
    return {
        video.content
        for video in videos
        if video.sha256 in chosen and video.content not in (left | beside if video.pair_sha256 else left)
    }


def _known(videos: Sequence[SourceVideo]) -> set[str]:
    """Return the ids of the videos, and of those that share one what tells them apart."""
    files = Counter(known for known, _ in {(video.id, video.content) for video in videos})
    told = zip(videos, told_apart(videos), strict=True)
    return {name if files[video.id] > 1 else video.id for video, name in told}


def _fitting(videos: Sequence[SourceVideo], name: str) -> dict[str, tuple[str, str]]:
    """Return the files that a name fits, by where they lie: what they are called, and their sha256."""
    beside = {
        video.tracks.get("pair", ""): (f"the other side of {video.name}", video.pair_sha256 or video.sha256)
        for video in videos
        if _shows_beside(video, name)
    }
    return beside | {video.locator: (video.name, video.content) for video in videos if _is_called(video, name)}


def _is_called(video: SourceVideo, name: str) -> bool:
    return name in (video.id, video.name, *_files(video.name, video.locator)) or any(
        _begins(sha256, name) for sha256 in (video.sha256, video.content)
    )


def _shows_beside(video: SourceVideo, name: str) -> bool:
    """Whether a video comes with another side that is called so."""
    return name in _files(video.tracks.get("pair", "")) or _begins(video.pair_sha256, name)


def _files(*paths: str) -> list[str]:
    # folders of frames are called `sharp` or `input` by the hundred, and not meant
    return [file.name for file in map(Path, paths) if file.suffix]


def _begins(sha256: str, name: str) -> bool:
    return len(name) >= 8 and sha256.startswith(name)
