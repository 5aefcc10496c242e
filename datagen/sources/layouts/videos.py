"""Video files: one, a folder of them, or a glob pattern; else the folders of frames below a folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from configs import SourceError, meant_path
from datagen.sources.layouts import Layout, frames, layout, layout_names
from datagen.sources.layouts.frames import visible_files
from datagen.sources.library import Entry
from shards.picture_folder import is_pictures
from shards.video import EXTENSIONS


def entries(path: Path) -> Iterator[Entry]:
    """Yield the videos; a file named on its own is taken whatever it is called."""
    found = video_files(path)
    _check_layout(path, with_videos=bool(found))
    if not found:
        # never returns nothing
        yield from _frames(path)
    for file in found:
        if _is_dead(file):
            yield Entry(id=file.stem, name=shown(file, path), main=str(file.absolute()), problem=frames.DEAD_LINK)
        elif file.is_dir() or (file == path and is_pictures(file)):
            yield from frames.entries(file)
        else:
            yield Entry(id=file.stem, name=shown(file, path), main=str(file.resolve()))


def video_files(path: Path) -> list[Path]:
    """List the files with a video's extension below a folder, the file itself, or what a glob pattern matches; links to
    nothing among them. What begins with a dot is none of them: macOS leaves a `._clip.mp4` beside every `clip.mp4`.

    Raises:
        SourceError: there is nothing of that name.
    """
    if path.is_dir():
        videos = [file for file in visible_files(path) if file.suffix.lower() in EXTENSIONS]
        return [file for file in videos if file.is_file() or _is_dead(file)]
    if path.exists() or _is_dead(path):
        return [path]
    # unlike the glob module, Path.glob does not run in circles through links that lead upwards
    start = Path(path.anchor)
    matching = [file for file in sorted(start.glob(str(path.relative_to(start)))) if not file.name.startswith(".")]
    found = [file for file in matching if file.is_file() or file.is_dir() or _is_dead(file)]
    files = [file for file in found if not file.is_dir()]
    if not found:
        raise SourceError(
            f"no such file, folder or pattern: {str(path)!r} (or 'scenes' for procedural video){meant_path(path)}"
        )
    return files or found


def _is_dead(path: Path) -> bool:
    return path.is_symlink() and not path.exists()


def shown(file: Path, root: Path) -> str:
    """Return the path of a file below `root`, as text whatever its bytes are."""
    below = file.relative_to(root) if root.is_dir() and file != root else Path(file.name)
    return below.as_posix().encode("utf-8", "backslashreplace").decode()


def _check_layout(path: Path, *, with_videos: bool) -> None:
    """Raise `SourceError` where a folder is known by its looks: what its layout says of the videos would be lost."""
    for name in layout_names():
        known = layout(name)
        if known.marker and (known.of_videos or not with_videos) and any(path.glob(known.marker)):
            raise _looks_like(path, [f"{name}:{path}"], with_videos=with_videos)


def _frames(path: Path) -> Iterator[Entry]:
    try:
        found = list(frames.entries(path))
    except SourceError:
        raise SourceError(
            f"no video files in {path}, and no folders of frames; looked for {' '.join(sorted(EXTENSIONS))}"
        ) from None
    below = [Path(entry.name).parts for entry in found]
    known = [f"{name}:{root}" for name in layout_names() if (root := _root(path, below, layout(name).marker))]
    if known:
        raise _looks_like(path, known, with_videos=False)
    yield from found


def _root(path: Path, below: Sequence[tuple[str, ...]], marker: str) -> Path | None:
    """Return from where on a layout's marker fits the folders below `path`, at whatever depth; None where it does not."""
    parts = [part for part in marker.split("/") if part != "*"]
    free = marker.count("*/") if marker.startswith("*/") else 0
    for folder in below:
        for place in range(len(folder) - len(parts) + 1 if parts[0] else 0):
            if all(map(fnmatchcase, folder[place:], parts)):
                return path.joinpath(*folder[: max(place - free, 0)])
    return None


def _looks_like(path: Path, named: Sequence[str], *, with_videos: bool) -> SourceError:
    names = " or ".join(repr(name.partition(":")[0]) for name in named)
    plain = "" if with_videos else f", or --from frames:{path} to take each folder as a clean video"
    return SourceError(f"{path} looks like the layout {names}; say --from {' or --from '.join(named)}{plain}")


LAYOUT = Layout(summary="video files below a folder (what a PATH alone means)", entries=entries)
