"""Which source videos somebody means who wants them out of a dataset."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from configs import DatasetError, unknown_name
from datagen.sources.base import Reject, SourceVideo


def named_videos(names: Sequence[str], found: Sequence[SourceVideo | Reject], out: Path) -> set[str]:
    """Return the sha256 of the videos that are meant."""
    videos = [item for item in found if isinstance(item, SourceVideo)]
    chosen: set[str] = set()
    for name in names:
        meant = {video.sha256 for video in videos if _is_called(video, name)}
        # a file that is named by its content stays out when it comes alone, too
        meant |= {video.content for video in videos if _begins(video.content, name)}
        # of a dataset made before other sides were recorded the pair itself is all that is known
        meant |= {video.pair_sha256 or video.sha256 for video in videos if _shows_beside(video, name)}
        if not meant:
            known = [video.id for video in videos]
            raise DatasetError(f"{out}: {unknown_name('source', name, known)} (or the file name or sha256 of one)")
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
