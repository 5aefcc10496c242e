"""What NeMo Curator's video pipeline writes: clips/UUID.mp4, and of each clip metas/v0/UUID.json."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from configs import SourceError
from datagen.sources.layouts import Layout
from datagen.sources.layouts._expressions import load_json
from datagen.sources.library import Entry

_CAPTION, _ENHANCED = "_caption", "_enhanced_caption"
"""Ends of what a window's captions are called, behind the name of the model that wrote them (`qwen_caption`)."""


def entries(path: Path) -> Iterator[Entry]:
    """Yield every clip that passed its filters; all clips of one film (`source_video`) come into one split.

    A clip has captions window by window; they make one caption, in order. Those of a captioning model count before those
    that a language model wrote anew. What was filtered out, or has no description, is a reject.

    Raises:
        SourceError: the folder has no clips or no metas/v0.
    """
    clips, filtered, metas = (path / name for name in ("clips", "filtered_clips", "metas/v0"))
    files = {file.stem: file for file in sorted(clips.glob("[!.]*.mp4"))}
    if not files or not metas.is_dir():
        raise SourceError(f"{path} is not of the layout nemo_curator: it needs clips/UUID.mp4 and metas/v0/UUID.json")
    described = {file.stem: file for file in sorted(metas.glob("[!.]*.json"))}
    for uuid in sorted(files.keys() | described.keys()):
        if uuid in files and uuid in described:
            yield _entry(uuid, files[uuid], described[uuid])
        else:
            problem = "no metas/v0/UUID.json says which film it is of"
            if uuid not in files:
                kept = (filtered / f"{uuid}.mp4").exists()
                problem = "filtered out by NeMo Curator" if kept else "there is no clips/UUID.mp4"
            yield _reject(uuid, clips / f"{uuid}.mp4", problem)


def _entry(uuid: str, clip: Path, meta: Path) -> Entry:
    try:
        said = load_json(meta)
    except SourceError:
        said = None
    film = said.get("source_video") if isinstance(said, dict) else None
    if not film:
        return _reject(uuid, clip, "its metas/v0/UUID.json cannot be read, or names no source_video")
    caption = " ".join(filter(None, map(_caption, said.get("windows") or [])))
    return Entry(
        id=uuid,
        name=f"clips/{clip.name}",
        main=str(clip.resolve()),
        facts={"caption": caption} if caption else {},
        group=f"nemo_curator {film}",
    )


def _reject(uuid: str, clip: Path, problem: str) -> Entry:
    return Entry(id=uuid, name=f"clips/{clip.name}", main=str(clip.absolute()), problem=problem)


def _caption(window: Mapping[str, Any]) -> str:
    plain = [name for name in sorted(window) if name.endswith(_CAPTION) and not name.endswith(_ENHANCED)]
    enhanced = [name for name in sorted(window) if name.endswith(_ENHANCED)]
    return next((" ".join(str(window[name]).split()) for name in (*plain, *enhanced) if window[name]), "")


LAYOUT = Layout(
    summary="NeMo Curator's output: clips/UUID.mp4, with films and captions from metas/v0/UUID.json",
    entries=entries,
    marker="metas/v0/*.json",
    of_videos=True,
)
