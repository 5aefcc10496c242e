"""Real video: what any layout lists - files, folders of frames, members of tar files - examined and read alike."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from configs import DecoderLostError, SourceError, VideoError
from datagen.settings import LEAST_SIDE, MOST_FPS, NATIVE, ClipSettings, Recipe
from datagen.shots import SIZE, find_cuts
from datagen.sources.base import Examined, Reject, SourceVideo
from datagen.sources.files import aligned, content_bytes, content_sha256, frame_files, gaps, status
from datagen.sources.tracks import TrackReader, limits_of, with_new_decoders
from shards.fence import FencedReader
from shards.video import VideoInfo

MAX_UPSCALE = 1.34
"""A target must be sharp: a video is enlarged by no more than this."""
_MOST_AT_ONCE = 8
_STRETCHED = 0.03
"""Share by which the proportions of a video's tracks may differ: rounding, and the odd cropped row."""
_VERDICTS = 1
"""Raised when files are judged by other rules than before: what an earlier version found out does not count then."""
_PAIR_VERDICTS = 2
"""The same of pairs: since 2 the other side is named, too."""
_TRACKS = ("main", "pair", "masks", "hole", "depth")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One video as a layout lists it, before anybody has looked into its files.

    `main`, `pair` and `masks` each name a video file, a picture, a folder whose pictures are the frames, or a member of
    a tar file (`shards.members`); all but `main` may be empty.
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
    hole: str = ""
    """What is to be inpainted, frame by frame: white, or any other number than 0."""
    depth: str = ""
    """Distances, frame by frame: pictures of 16 bits, or `.npy` and `.npz` files (`shards.arrays`)."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """`names`: phrases by object number (as text); `instruction`: that of the pair; `before` and `after`: captions of its two
    sides; `haze`: the `airlight` (grey level) and `beta` that the pair was made with; `caption`; `depth_scale`: metres per unit
    of `depth`, and `depth_sky`: from how many metres on it means that nothing is there; `expression`: its place in a data
    set's list, where a source is listed for one expression alone; `numbers`: which frames of each track belong together,
    where their names do not say."""
    split: str = ""
    """`train`, `val` or `test` where the data set says."""
    fps: float = 0.0
    """That of all frames of the main track, where its files do not say; of those that masks leave, every so many are used."""
    licence: str = ""
    group: str = ""
    """Name of what it is a part of, such as the film it was cut from: all of a group come into one split."""
    problem: str = ""
    """Why it is of no use, where its data set tells that much; it becomes a reject."""

    @property
    def tracks(self) -> dict[str, str]:
        """Its locators by what they hold."""
        return {name: getattr(self, name) for name in _TRACKS if getattr(self, name)}


class Library:
    """All videos that one layout lists. `masks`: whether they come with object masks, or what finds it out when asked."""

    kind = "files"

    def __init__(
        self, entries: Callable[[], Iterable[Entry]], licence: str, *, masks: bool | Callable[[], bool] = False
    ) -> None:
        self.entries = entries
        self.licence = licence
        self._masks = masks

    @property
    def masks(self) -> bool:
        """Whether any of its videos comes with object masks."""
        return self._masks if isinstance(self._masks, bool) else self._masks()

    def videos(self, recipe: Recipe, examined: Examined) -> Iterator[SourceVideo | Reject]:
        """Probe and hash every file, as many at a time as there are cores; one that is no usable video is a reject.

        What there is is listed at once, so that a path which is wrong is told before anything is read.
        """
        return self._examined(_of_split(list(self.entries()), recipe.splits.only), recipe, examined)

    def _examined(self, entries: Sequence[Entry], recipe: Recipe, examined: Examined) -> Iterator[SourceVideo | Reject]:
        at_once = min(os.cpu_count() or 1, _MOST_AT_ONCE)
        with ExitStack() as stack:
            fences: SimpleQueue[FencedReader] = SimpleQueue()
            for _ in range(at_once):
                fence = FencedReader(limits=limits_of(recipe), seconds=recipe.limits.decode_seconds)
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
        if entry.problem:
            return Reject(where="source", source=entry.name, split=entry.split, reason=entry.problem), True
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
                cuts = sorted({*item.facts.get("cuts", ()), *_cuts(item, fence)})
                item = replace(item, facts={**item.facts, "cuts": cuts})
            return item, True
        except DecoderLostError as error:
            reason, lasting = f"unreadable: {_without_paths(error, entry)}", False
        except VideoError as error:
            reason, lasting = f"unreadable: {_without_paths(error, entry)}", True
        except OSError as error:
            name = f"{Path(error.filename).name}: " if error.filename else ""
            reason, lasting = f"unreadable: {name}{(error.strerror or str(error)).lower()}", False
        finally:
            fences.put(fence)
        return Reject(where="source", source=entry.name, split=entry.split, reason=reason), lasting

    def _judge(self, entry: Entry, probed: Mapping[str, VideoInfo], recipe: Recipe) -> SourceVideo | Reject:
        info, (digest, clean, pair) = probed["main"], _digests(entry)
        numbers = entry.facts.get("numbers") or aligned(entry.tracks)
        frames = len(next(iter(numbers.values()))) if numbers else min(found.frames for found in probed.values())
        width, height = recipe.clip.size_of(info.width, info.height)
        cuts = gaps(entry.main, numbers.get("main", ()))
        fps = (info.fps or entry.fps or recipe.clip.folder_fps) * _share_taken(numbers, cuts)
        in_a_row = max(end - first for first, end in pairwise((0, *cuts, frames)))
        span = 1 if recipe.clip.remainder else recipe.clip.span_at(fps)
        reason = (
            _odd_rate(info)
            or _interlaced(probed)
            or _other_kind(probed)
            or _other_shape(probed, recipe.clip)
            or _other_length(probed, numbers)
            or ""
        )
        if reason:
            pass
        elif in_a_row < span:
            reason = _too_short(in_a_row, frames, span)
        elif min(width, height) < LEAST_SIDE:
            reason = f"too small: {info.width}x{info.height}, a clip's sides are {LEAST_SIDE} at least"
        elif max(width / info.width, height / info.height) > MAX_UPSCALE:
            reason = f"too small: {info.width}x{info.height}, a clip is {width}x{height} (clip.size)"
        if reason:
            return Reject(where="source", source=entry.name, sha256=digest, split=entry.split, reason=reason)
        return SourceVideo(
            kind=self.kind,
            id=entry.id,
            sha256=digest,
            licence=entry.licence or self.licence,
            frames=frames,
            fps=fps,
            locator=entry.main,
            name=entry.name,
            width=info.width,
            height=info.height,
            bytes=content_bytes(entry.main),
            split=entry.split,
            tracks={track: locator for track, locator in entry.tracks.items() if track != "main"},
            facts=_facts(entry, numbers, cuts),
            clean_sha256=clean if clean != digest else "",
            pair_sha256=pair,
            lost=[*_missing(entry.main), *_unpaired(probed, numbers)],
            group_name=entry.group,
        )

    @staticmethod
    @contextmanager
    def reader(recipe: Recipe) -> Iterator[TrackReader]:
        """Open a reader whose decoders run in processes of their own, which can be killed."""
        with ExitStack() as stack:
            yield TrackReader(recipe, stack)


def _of_split(entries: list[Entry], only: str | None) -> list[Entry]:
    """Return the entries that their data set puts in a split, or else those that it puts nowhere; all for no split."""
    if only is None:
        return entries
    kept = [entry for entry in entries if entry.split == only] or [entry for entry in entries if not entry.split]
    if entries and not kept:
        raise SourceError(
            f"of {len(entries)} videos found ({entries[0].name}, ...) none is in the {only} split of its data set; "
            f"they are in {', '.join(sorted({entry.split for entry in entries}))}"
        )
    return kept


def _odd_rate(info: VideoInfo) -> str | None:
    if info.fps > MOST_FPS:
        return f"unlikely frame rate: {info.fps:g} frames per second by their times; write these anew (ffmpeg -r, say)"
    return None


def _interlaced(probed: Mapping[str, VideoInfo]) -> str | None:
    if any(probed[track].interlaced for track in ("main", "pair") if track in probed):
        return "interlaced: its frames are of two moments each; deinterlace it first (with ffmpeg's filter bwdif, say)"
    return None


def _other_kind(probed: Mapping[str, VideoInfo]) -> str | None:
    """Say which track is numbers where it should be pictures, or the other way round."""
    for track, other in probed.items():
        if (other.container == "instances") > (track == "masks"):
            return f"unreadable: {track} is a folder of object masks, it must be a video or pictures"
        if (other.container == "arrays") > (track == "depth"):
            return f"unreadable: {track} is an array of numbers, it must be a video or pictures"
        if track == "depth" and other.container not in ("arrays", "pictures"):
            return "unreadable: depth is a video, it must be pictures of 16 bits, .npy or .npz"
    return None


def _other_shape(probed: Mapping[str, VideoInfo], clip: ClipSettings) -> str | None:
    """Say which track has other proportions than the main one, or is so small that it would have to be enlarged much more.

    Frames and holes that are stretched to one size may have any; a pair that keeps its pixels has one size.
    """
    info = probed["main"]
    for track, other in probed.items():
        stretched = abs(other.width / other.height * info.height / info.width - 1)
        uneven = stretched > _STRETCHED and not (clip.crop == "stretch" and track == "hole")
        smaller = track == "pair" and other.height * 2 < info.height
        resized = track == "pair" and clip.size == NATIVE and (other.width, other.height) != (info.width, info.height)
        if uneven or smaller or resized:
            return f"uneven {track}: {info.width}x{info.height} and {other.width}x{other.height}"
    return None


def _other_length(probed: Mapping[str, VideoInfo], numbers: Mapping[str, Sequence[int]]) -> str | None:
    """Say which track has other frames than the main one, or not those that belong together."""
    frames = probed["main"].frames
    for track, other in probed.items():
        if not numbers and other.frames != frames:
            found = (
                f"{frames} frames and {other.frames} masks"
                if track == "masks"
                else f"{frames} and {other.frames} frames"
            )
            return f"uneven {track}: {found}"
        if numbers and max(numbers[track]) >= other.frames:
            return f"uneven {track}: frame {max(numbers[track])} is wanted, it has {other.frames}"
    return None


def _missing(locator: str) -> Iterator[str]:
    """Say before which frame of a folder the numbers in the names jump."""
    places = gaps(locator)
    if places:
        more = f", and in {len(places) - 1} more places" if len(places) > 1 else ""
        yield f"missing frames: before {frame_files(Path(locator))[places[0]].name}{more}"


def _unpaired(probed: Mapping[str, VideoInfo], numbers: Mapping[str, Sequence[int]]) -> Iterator[str]:
    """Say which tracks have frames without their like in the others. Masks of every fifth frame leave none unpaired."""
    steps = {after - before for before, after in pairwise(numbers.get("main", ()))}
    if "masks" in probed and (steps != {1} or probed["main"].container != "pictures"):
        return
    lost = {track: probed[track].frames - len(own) for track, own in numbers.items()}
    if any(count > 0 for count in lost.values()):
        told = (f"{count} of {probed[track].frames} in {track}" for track, count in lost.items() if count > 0)
        yield f"unpaired frames: {', '.join(told)}"


def _cuts(video: SourceVideo, fence: FencedReader) -> list[int]:
    numbers = video.facts.get("numbers", {}).get("main", range(video.frames))
    return find_cuts(
        lambda part: with_new_decoders(lambda: fence.read(video.locator, [numbers[i] for i in part], size=SIZE)),
        video.frames,
    )


def _too_short(in_a_row: int, frames: int, span: int) -> str:
    """Say how many frames there are for a clip, and what to do where it is a single picture."""
    found = "1 frame" if in_a_row == 1 else f"{in_a_row} frames"
    gap = f" of {frames} between gaps in their numbers" if in_a_row < frames else ""
    remedy = "; --set clip.frames=1 takes it as a picture" if frames == 1 else ""
    return f"too short: {found}{gap}, a clip reaches over {span} (clip.frames, clip.step){remedy}"


def _share_taken(numbers: Mapping[str, Sequence[int]], cuts: Sequence[int]) -> float:
    """Return how many of the main track's frames are used, as a share; frames that are missing at `cuts` do not count."""
    steps = [after - before for before, after in pairwise(numbers.get("main", ()))]
    usual = [step for place, step in enumerate(steps, start=1) if place not in cuts] or steps
    return len(usual) / sum(usual) if usual else 1.0


def _facts(entry: Entry, numbers: Mapping[str, list[int]], cuts: list[int]) -> dict[str, Any]:
    found: dict[str, Any] = {**entry.facts}
    found |= {"task": entry.task} if entry.task else {}
    found |= {"numbers": dict(numbers)} if numbers else {}
    return found | ({"cuts": cuts} if cuts else {})


def _digests(entry: Entry) -> tuple[str, str, str]:
    """Return the sha256 of an entry, which is of the contents of all its files and of what is said about them, and those of its
    main track and of its other side (or nothing) as if each had come alone and nothing were said: of a lone file's content."""
    contents = {track: content_sha256(locator) for track, locator in sorted(entry.tracks.items())}
    clean, pair = (
        _alone(entry.tracks[track], contents[track]) if track in contents else "" for track in ("main", "pair")
    )
    alone = contents.keys() == {"main"} and not entry.facts
    return clean if alone else _joined(contents, [entry.task, dict(entry.facts)]), clean, pair


def _alone(locator: str, content: str) -> str:
    return _joined({"main": content}, ["", {}]) if Path(locator).is_dir() else content


def _joined(contents: Mapping[str, str], said: list[Any]) -> str:
    digest = hashlib.sha256("".join(f"{track} {sha256}\n" for track, sha256 in contents.items()).encode())
    digest.update(json.dumps(said, sort_keys=True, ensure_ascii=False).encode())
    return digest.hexdigest()


def _mark(entry: Entry, licence: str, recipe: Recipe) -> str:
    """Return what an examination depends on; equal marks need no second look."""
    files = " ".join(f"{locator} {status(locator)}" for locator in entry.tracks.values())
    said = {name: value for name, value in asdict(entry).items() if name not in entry.tracks}
    digest = hashlib.blake2b(json.dumps(said, sort_keys=True).encode(), digest_size=8).hexdigest()
    where = files.encode("utf-8", "backslashreplace").decode()
    verdicts = _PAIR_VERDICTS if entry.pair else _VERDICTS
    return f"{where} {digest} {licence} {recipe.clip.digest()} {recipe.limits.digest()} {verdicts}"


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
