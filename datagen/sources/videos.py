"""Real video: a file, a folder of files, or a glob pattern."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

from configs import DecoderLostError, SourceError, VideoError
from datagen.settings import Recipe
from datagen.sources.base import Clip, Examined, Reject, SourceVideo, Window
from shards.fence import FencedReader
from shards.storage import sha256_of
from shards.video import Limits, VideoInfo

A = TypeVar("A")
EXTENSIONS = frozenset(
    [
        ".mp4",
        ".m4v",
        ".mov",
        ".mkv",
        ".webm",
        ".avi",
        ".mpg",
        ".mpeg",
        ".ts",
        ".m2ts",
        ".mts",
        ".ogv",
        ".wmv",
        ".flv",
        ".gif",
        ".3gp",
    ]
)
MAX_UPSCALE = 1.34
"""A target must be sharp: a video is enlarged by no more than this."""
DECODE_TRIES = 3
_MOST_AT_ONCE = 8


class Videos:
    """Video files below `where`: a file, a folder (searched to its depths), or a glob pattern."""

    kind = "videos"

    def __init__(self, where: str, licence: str = "unknown") -> None:
        self.where = where
        self.licence = licence

    def paths(self) -> list[Path]:
        """List the files with a video's extension; a file named on its own is taken whatever it is called.

        Raises:
            SourceError: there is nothing, or nothing that could be a video.
        """
        root = Path(self.where)
        if root.is_dir():
            found = [path for path in sorted(root.rglob("*")) if path.suffix.lower() in EXTENSIONS and path.is_file()]
            if not found:
                raise SourceError(f"no video files in {root}; looked for {' '.join(sorted(EXTENSIONS))}")
            return found
        if root.exists():
            return [root]
        # unlike the glob module, Path.glob does not run in circles through links that lead upwards
        start = Path(root.anchor)
        found = [path for path in sorted(start.glob(str(root.relative_to(start)))) if path.is_file()]
        if not found:
            raise SourceError(f"no such file, folder or pattern: {self.where!r} (or 'scenes' for procedural video)")
        return found

    def _name(self, path: Path) -> str:
        root = Path(self.where)
        shown = path.relative_to(root) if root.is_dir() else Path(path.name)
        return shown.as_posix().encode("utf-8", "backslashreplace").decode()

    def videos(self, recipe: Recipe, examined: Examined) -> Iterator[SourceVideo | Reject]:
        """Probe and hash every file, as many at a time as there are cores; one that is no usable video is a reject."""
        marks = {path: _mark(path, self.licence, recipe) for path in self.paths()}
        at_once = min(os.cpu_count() or 1, _MOST_AT_ONCE)
        with ExitStack() as stack:
            fences: SimpleQueue[FencedReader] = SimpleQueue()
            for _ in range(at_once):
                fence = FencedReader(limits=_limits(recipe), seconds=recipe.limits.decode_seconds)
                fences.put(stack.enter_context(fence))
            pool = ThreadPoolExecutor(at_once)
            # whatever ends this early, Ctrl-C say, does not wait for the files that nobody has looked at yet
            stack.callback(pool.shutdown, cancel_futures=True)
            found = {
                path: pool.submit(self._examine, path, recipe, fences)
                for path, mark in marks.items()
                if mark not in examined
            }
            for path, mark in marks.items():
                if path not in found:
                    yield _from_plain(examined[mark])
                    continue
                item, lasting = found[path].result()
                if lasting:
                    examined[mark] = asdict(item)
                yield item

    def _examine(
        self, path: Path, recipe: Recipe, fences: SimpleQueue[FencedReader]
    ) -> tuple[SourceVideo | Reject, bool]:
        """Return what a file is, and whether that is a property of the file: a decoder that died may have other reasons."""
        name, fence = self._name(path), fences.get()
        try:
            if not _is_text(path):
                raise VideoError("its path is not UTF-8; rename it")
            return self._judge(path, name, with_new_decoders(lambda: fence.probe(path)), recipe), True
        except DecoderLostError as error:
            reason, lasting = f"unreadable: {_without_path(error, path)}", False
        except VideoError as error:
            reason, lasting = f"unreadable: {_without_path(error, path)}", True
        except OSError as error:
            reason, lasting = f"unreadable: {error.strerror}", False
        finally:
            fences.put(fence)
        return Reject(where="source", source=name, reason=reason), lasting

    def _judge(self, path: Path, name: str, info: VideoInfo, recipe: Recipe) -> SourceVideo | Reject:
        size, span, digest = recipe.clip.size, recipe.clip.span, sha256_of(path)
        reason = ""
        if info.frames < span:
            reason = f"too short: {info.frames} frames, a clip reaches over {span} (clip.frames, clip.step)"
        elif min(info.width, info.height) * MAX_UPSCALE < size:
            reason = f"too small: {info.width}x{info.height}, a clip is {size}x{size} (clip.size)"
        if reason:
            return Reject(where="source", source=name, sha256=digest, reason=reason)
        return SourceVideo(
            kind=self.kind,
            id=path.stem,
            sha256=digest,
            licence=self.licence,
            frames=info.frames,
            fps=info.fps,
            locator=str(path.resolve()),
            name=name,
        )

    @staticmethod
    @contextmanager
    def reader(recipe: Recipe) -> Iterator[VideoReader]:
        """Open a reader whose decoder runs in a process of its own, which can be killed."""
        with FencedReader(limits=_limits(recipe), seconds=recipe.limits.decode_seconds) as fence:
            yield VideoReader(fence, recipe.clip.size)


class VideoReader:
    """Reads windows of video files, scaled inside the decoder."""

    def __init__(self, fence: FencedReader, size: int) -> None:
        self.fence = fence
        self.size = size

    def read(self, video: SourceVideo, window: Window) -> Clip:
        """Return the clip."""
        size = (self.size, self.size)
        frames = with_new_decoders(lambda: self.fence.read(video.locator, window.indices, size=size, crop=True))
        return Clip(video=video, window=window, frames=frames)


def with_new_decoders(ask: Callable[[], A]) -> A:
    """Return what `ask()` does; a decoder that is lost over it is replaced, up to `DECODE_TRIES` in all."""
    for _ in range(1, DECODE_TRIES):
        with suppress(DecoderLostError):
            return ask()
    return ask()


def _limits(recipe: Recipe) -> Limits:
    settings = recipe.limits
    return Limits(
        pixels=settings.max_pixels,
        frames=settings.max_frames,
        file_bytes=settings.max_bytes,
        seconds=settings.max_seconds,
    )


def _mark(path: Path, licence: str, recipe: Recipe) -> str:
    status = path.stat()
    where = str(path.resolve()).encode("utf-8", "backslashreplace").decode()
    return f"{where} {status.st_size} {status.st_mtime_ns} {licence} {recipe.clip.digest()} {recipe.limits.digest()}"


def _from_plain(values: dict[str, Any]) -> SourceVideo | Reject:
    return SourceVideo(**values) if "locator" in values else Reject(**values)


def _without_path(error: VideoError, path: Path) -> str:
    # messages are one line, whatever the path is
    message = str(error).replace(f"{path}: ", "").replace(str(path), path.name)
    return message.replace(f"{path}: ".replace("\n", " "), "").replace(str(path).replace("\n", " "), "it")


def _is_text(path: Path) -> bool:
    try:
        str(path.resolve()).encode()
    except UnicodeEncodeError:
        return False
    return True
