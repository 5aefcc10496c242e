"""Real video: what any layout lists - files, folders of frames, members of tar files - examined and read alike."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from configs import DecoderLostError, VideoError
from datagen.settings import ClipSettings, Recipe
from datagen.shots import SIZE, find_cuts
from datagen.sources.base import Clip, Examined, Moments, Native, Reject, SourceVideo, Window
from shards.fence import FencedReader
from shards.members import member_at
from shards.picture_folder import is_pictures, pictures_in
from shards.pictures import MIDDLE, Place
from shards.storage import sha256_of
from shards.video import Limits, VideoInfo

A = TypeVar("A")
MAX_UPSCALE = 1.34
"""A target must be sharp: a video is enlarged by no more than this."""
DECODE_TRIES = 3
_MOST_AT_ONCE = 8
_STRETCHED = 0.03
"""Share by which the proportions of a video's tracks may differ: rounding, and the odd cropped row."""
HIGH_RATE = 200.0
"""Frames per second from which on the mean of neighbouring frames is a blur without ghosts (GoPro's are of 240)."""
_LONGEST_EXPOSURE = 0.06
"""Seconds."""
_SEEN = 0.002
"""Share of the picture that an object must cover, in half of the frames, to be referred to."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One video as a layout lists it, before anybody has looked into its files.

    `main`, `pair` and `masks` each name a video file, a picture, a folder whose pictures are the frames, or a member of
    a tar file (`shards.members`); `pair` and `masks` may be empty.
    """

    id: str
    name: str
    """What rejects call it: where it lies below the folder that was named."""
    main: str
    """The clean video; of an editing pair the one to be edited."""
    pair: str = ""
    """The other side of a pair that was not made here: hazy, blurred or edited."""
    task: str = ""
    """The task that `pair` belongs to."""
    masks: str = ""
    """Object numbers, frame by frame."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """`names`: phrases by object number (as text); `instruction`: that of the pair; `caption`."""
    split: str = ""
    """`train`, `val` or `test` where the data set says."""
    fps: float = 0.0
    """Where the files do not say."""
    licence: str = ""

    @property
    def tracks(self) -> dict[str, str]:
        """Its locators by what they hold."""
        return {name: getattr(self, name) for name in ("main", "pair", "masks") if getattr(self, name)}


class Library:
    """All videos that one layout lists. `masks`: whether they come with object masks."""

    kind = "files"

    def __init__(self, entries: Callable[[], Iterable[Entry]], licence: str, *, masks: bool = False) -> None:
        self.entries = entries
        self.licence = licence
        self.masks = masks

    def videos(self, recipe: Recipe, examined: Examined) -> Iterator[SourceVideo | Reject]:
        """Probe and hash every file, as many at a time as there are cores; one that is no usable video is a reject."""
        entries = list(self.entries())
        at_once = min(os.cpu_count() or 1, _MOST_AT_ONCE)
        with ExitStack() as stack:
            fences: SimpleQueue[FencedReader] = SimpleQueue()
            for _ in range(at_once):
                fence = FencedReader(limits=_limits(recipe), seconds=recipe.limits.decode_seconds)
                fences.put(stack.enter_context(fence))
            pool = ThreadPoolExecutor(at_once)
            # whatever ends this early, Ctrl-C say, does not wait for the files that nobody has looked at yet
            stack.callback(pool.shutdown, cancel_futures=True)
            marks = [_mark(entry, self.licence, recipe) for entry in entries]
            found = {
                place: pool.submit(self._examine, entries[place], recipe, fences)
                for place, mark in enumerate(marks)
                if mark not in examined
            }
            for place, mark in enumerate(marks):
                if place not in found:
                    yield _from_plain(examined[mark])
                    continue
                item, lasting = found[place].result()
                if lasting:
                    examined[mark] = asdict(item)
                yield item

    def _examine(
        self, entry: Entry, recipe: Recipe, fences: SimpleQueue[FencedReader]
    ) -> tuple[SourceVideo | Reject, bool]:
        """Return what an entry is, and whether that is a property of its files: a decoder that died may have other reasons."""
        fence = fences.get()
        try:
            if not all(_is_text(locator) for locator in entry.tracks.values()):
                raise VideoError("its path is not UTF-8; rename it")
            probed = {
                track: with_new_decoders(lambda at=locator: fence.probe(at))  # type: ignore[misc]
                for track, locator in entry.tracks.items()
            }
            item = self._judge(entry, probed, recipe)
            if isinstance(item, SourceVideo) and item.frames / item.fps > recipe.clip.shots_over and not entry.pair:
                item = replace(item, facts={**item.facts, "cuts": _cuts(item, fence)})
            return item, True
        except DecoderLostError as error:
            reason, lasting = f"unreadable: {_without_paths(error, entry)}", False
        except VideoError as error:
            reason, lasting = f"unreadable: {_without_paths(error, entry)}", True
        except OSError as error:
            reason, lasting = f"unreadable: {error.strerror}", False
        finally:
            fences.put(fence)
        return Reject(where="source", source=entry.name, reason=reason), lasting

    def _judge(self, entry: Entry, probed: Mapping[str, VideoInfo], recipe: Recipe) -> SourceVideo | Reject:
        info, digest = probed["main"], _sha256(entry)
        numbers = _aligned(entry)
        frames = len(next(iter(numbers.values()))) if numbers else min(found.frames for found in probed.values())
        width, height = recipe.clip.width, recipe.clip.height
        fps = info.fps or entry.fps or recipe.clip.folder_fps
        span = recipe.clip.span_at(fps)
        reason = _other_shape(info, probed) or ""
        if reason:
            pass
        elif "masks" in probed and not numbers and probed["masks"].frames != info.frames:
            reason = f"uneven masks: {info.frames} frames and {probed['masks'].frames} masks"
        elif entry.pair and not numbers and probed["pair"].frames != info.frames:
            reason = f"uneven pair: {info.frames} and {probed['pair'].frames} frames"
        elif frames < span:
            reason = f"too short: {frames} frames, a clip reaches over {span} (clip.frames, clip.step)"
        elif max(width / info.width, height / info.height) > MAX_UPSCALE:
            reason = f"too small: {info.width}x{info.height}, a clip is {width}x{height} (clip.size)"
        if reason:
            return Reject(where="source", source=entry.name, sha256=digest, reason=reason)
        return SourceVideo(
            kind=self.kind,
            id=entry.id,
            sha256=digest,
            licence=entry.licence or self.licence,
            frames=frames,
            fps=fps,
            locator=entry.main,
            name=entry.name,
            split=entry.split,
            tracks={track: locator for track, locator in entry.tracks.items() if track != "main"},
            facts=_facts(entry, numbers),
            clean_sha256=_content_sha256(entry.main) if entry.pair else "",
        )

    @staticmethod
    @contextmanager
    def reader(recipe: Recipe) -> Iterator[TrackReader]:
        """Open a reader whose decoders run in processes of their own, which can be killed."""
        with ExitStack() as stack:
            yield TrackReader(recipe, stack)


class TrackReader:
    """Reads windows of all tracks of a video, scaled inside the decoder."""

    def __init__(self, recipe: Recipe, stack: ExitStack) -> None:
        self._recipe, self._stack = recipe, stack
        self._fences: dict[str, FencedReader] = {}

    def read(self, video: SourceVideo, window: Window) -> Clip:
        """Return the clip."""
        clip = self._recipe.clip
        size, crop = (clip.width, clip.height), crop_place(clip, self._recipe.seed, video, window)
        wanted = {track: _numbers(video, track, window) for track in ("main", *video.tracks)}
        frames = with_new_decoders(
            lambda: self._fence("main").read(video.locator, wanted["main"], size=size, crop=crop)
        )
        ids, native = None, None
        if "masks" in video.tracks:
            ids = with_new_decoders(
                lambda: self._fence("masks").read_labels(video.tracks["masks"], wanted["masks"], size=size, crop=crop)
            )
            # 255 marks what the annotators left open
            ids[ids == 255] = 0
        if "pair" in video.tracks:
            other = with_new_decoders(
                lambda: self._fence("pair").read(video.tracks["pair"], wanted["pair"], size=size, crop=crop)
            )
            facts = video.facts
            native = Native(task=facts["task"], other=other, instruction=facts.get("instruction", ""))
        moments = self._moments(video, window, size, crop) if self._wants_moments(video, window) else None
        names = {} if ids is None else _seen(video.facts.get("names", {}), ids)
        return Clip(video=video, window=window, frames=frames, ids=ids, names=names, native=native, moments=moments)

    def _wants_moments(self, video: SourceVideo, window: Window) -> bool:
        """Whether true exposures can be had: of a high-rate video of which the clip takes few frames."""
        exists = video.facts.get("task") == "deblur"
        return "deblur" in self._recipe.tasks and window.step > 1 and video.fps >= HIGH_RATE and not exists

    def _moments(self, video: SourceVideo, window: Window, size: tuple[int, int], crop: Place) -> Moments:
        reach = math.ceil(_LONGEST_EXPOSURE / 2 * video.fps)
        first, last = max(window.start - reach, 0), min(window.indices[-1] + reach, video.frames - 1)
        wanted = _numbers(video, "main", Window(start=first, step=1, frames=last - first + 1))
        frames = with_new_decoders(lambda: self._fence("main").read(video.locator, wanted, size=size, crop=crop))
        return Moments(frames=frames, first=window.start - first)

    def _fence(self, track: str) -> FencedReader:
        """Return the decoder of a track: each keeps its file open, so they do not share one."""
        if track not in self._fences:
            fence = FencedReader(limits=_limits(self._recipe), seconds=self._recipe.limits.decode_seconds)
            self._fences[track] = self._stack.enter_context(fence)
        return self._fences[track]


def crop_place(clip: ClipSettings, seed: int, video: SourceVideo, window: Window) -> Place:
    """Return where a window is cropped: in the middle, or somewhere that follows from what it is."""
    if clip.crop == "middle":
        return MIDDLE
    text = f"crop {seed} {video.sha256} {window.start} {window.step}"
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    x, y = (int.from_bytes(digest[part : part + 4], "big") / 2**32 for part in (0, 4))
    return x, y


def with_new_decoders(ask: Callable[[], A]) -> A:
    """Return what `ask()` does; a decoder that is lost over it is replaced, up to `DECODE_TRIES` in all."""
    for _ in range(1, DECODE_TRIES):
        with suppress(DecoderLostError):
            return ask()
    return ask()


def _other_shape(info: VideoInfo, probed: Mapping[str, VideoInfo]) -> str | None:
    """Say which track has other proportions than the main one, or is so small that it would have to be enlarged much more."""
    for track, other in probed.items():
        stretched = abs(other.width / other.height * info.height / info.width - 1)
        if stretched > _STRETCHED or (track == "pair" and other.height * 2 < info.height):
            return f"uneven {track}: {info.width}x{info.height} and {other.width}x{other.height}"
    return None


def _cuts(video: SourceVideo, fence: FencedReader) -> list[int]:
    numbers = video.facts.get("numbers", {}).get("main", range(video.frames))
    return find_cuts(
        lambda part: with_new_decoders(lambda: fence.read(video.locator, [numbers[i] for i in part], size=SIZE)),
        video.frames,
    )


def _seen(names: Mapping[str, Sequence[str]], ids: NDArray[np.uint8]) -> dict[int, Sequence[str]]:
    """Keep the phrases of objects that are seen in at least half of the clip: the crop may have lost the others."""
    shares = {number: (ids == int(number)).mean((1, 2)) for number in names}
    return {int(number): names[number] for number, share in sorted(shares.items()) if (share >= _SEEN).mean() >= 0.5}


def _aligned(entry: Entry) -> dict[str, list[int]]:
    """Return the numbers of the frames that every folder among the tracks has, by track; nothing where they all agree.

    Frames belong together by name, and YouTube-VOS annotates every fifth frame.

    Raises:
        VideoError: two folders have no name in common.
    """
    folders = {track: Path(locator) for track, locator in entry.tracks.items() if Path(locator).is_dir()}
    stems = {track: [file.stem for file in pictures_in(folder)] for track, folder in folders.items()}
    if len(folders) < 2 or len(folders) < len(entry.tracks) or len(set(map(tuple, stems.values()))) == 1:
        return {}
    shared = set.intersection(*map(set, stems.values()))
    if not shared:
        raise VideoError(f"no frame of {' and '.join(stems)} has the same name")
    ordered = [stem for place, stem in enumerate(stems["main"]) if stem in shared and stem not in stems["main"][:place]]
    return {track: [names.index(stem) for stem in ordered] for track, names in stems.items()}


def _numbers(video: SourceVideo, track: str, window: Window) -> list[int]:
    numbers = video.facts.get("numbers", {}).get(track)
    return [numbers[place] for place in window.indices] if numbers else list(window.indices)


def _facts(entry: Entry, numbers: Mapping[str, list[int]]) -> dict[str, Any]:
    named = {"task": entry.task} if entry.task else {}
    return {**entry.facts, **named, **({"numbers": dict(numbers)} if numbers else {})}


def _sha256(entry: Entry) -> str:
    """Return the sha256 of a lone file's content; else of the contents of all files, and of what is said about them."""
    if list(entry.tracks) == ["main"] and not entry.facts and not Path(entry.main).is_dir():
        return _file_sha256(entry.main)
    digest = hashlib.sha256()
    for track, locator in sorted(entry.tracks.items()):
        digest.update(f"{track} {_content_sha256(locator)}\n".encode())
    digest.update(json.dumps([entry.task, dict(entry.facts)], sort_keys=True, ensure_ascii=False).encode())
    return digest.hexdigest()


def _content_sha256(locator: str) -> str:
    files = pictures_in(Path(locator)) if is_pictures(Path(locator)) else [locator]
    if len(files) == 1:
        return _file_sha256(str(files[0]))
    digest = hashlib.sha256("\n".join(_file_sha256(str(file)) for file in files).encode())
    return digest.hexdigest()


def _file_sha256(locator: str) -> str:
    member = member_at(locator)
    return member.sha256() if member else sha256_of(Path(locator))


def _limits(recipe: Recipe) -> Limits:
    settings = recipe.limits
    return Limits(
        pixels=settings.max_pixels,
        frames=settings.max_frames,
        file_bytes=settings.max_bytes,
        seconds=settings.max_seconds,
    )


def _mark(entry: Entry, licence: str, recipe: Recipe) -> str:
    """Return what an examination depends on; equal marks need no second look."""
    files = " ".join(f"{locator} {_status(locator)}" for locator in entry.tracks.values())
    said = {name: value for name, value in asdict(entry).items() if name not in entry.tracks}
    digest = hashlib.blake2b(json.dumps(said, sort_keys=True).encode(), digest_size=8).hexdigest()
    where = files.encode("utf-8", "backslashreplace").decode()
    return f"{where} {digest} {licence} {recipe.clip.digest()} {recipe.limits.digest()}"


def _status(locator: str) -> str:
    member, path = member_at(locator), Path(locator)
    try:
        if member:
            path = member.tar
        elif is_pictures(path):
            found = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in pictures_in(path)]
            return hashlib.blake2b(repr(found).encode("utf-8", "backslashreplace"), digest_size=8).hexdigest()
        status = path.stat()
    except OSError:
        return "missing"
    return f"{status.st_size} {status.st_mtime_ns}"


def _from_plain(values: dict[str, Any]) -> SourceVideo | Reject:
    return SourceVideo(**values) if "locator" in values else Reject(**values)


def _without_paths(error: VideoError, entry: Entry) -> str:
    """Return the message as one line without the places of the files on this machine."""
    message = str(error)
    for locator in entry.tracks.values():
        for path in (locator, locator.replace("\n", " ")):
            message = message.replace(f"{path}: ", "").replace(f"{path}/", "").replace(path, "it")
    return message


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
