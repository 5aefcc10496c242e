"""One video file in, the translated video file out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from configs import OutputError
from shards import probe, stream_video, write_video
from vidiff.devices import choose_device, keep_freed_memory, quiet_libraries
from vidiff.long_video import translate_long
from vidiff.pipeline import load_pipeline
from vidiff.upscale import to_full_size

Frame = NDArray[np.uint8]


def translate_file(
    model: Path | str,
    source: Path | str,
    out: Path | str,
    instruction: str,
    *,
    size: int | None = None,
    seed: int = 0,
    prior_frames: int = 2,
    on_frame: Callable[[int, int], None] = lambda done, total: None,
    **sampling: Any,
) -> None:
    """Translate a video file as an instruction says; the result has its width, height, frame rate and frame count.

    The model works at its training size, or at `size` (short side, pixels) and never above the video's own; its change
    is then carried to the full size by `vidiff.upscale`. Frames are streamed, so memory does not grow with the length.
    `sampling` goes to `VIDiffPipeline`; `on_frame(done, total)` hears of progress.

    Raises:
        VideoError, ModelError, OutputError: the video, the model or the place of the result is not usable.
    """
    info = probe(source)
    if Path(out).resolve() == Path(source).resolve():
        raise OutputError(f"{out} is the input itself; give another name for the result")
    quiet_libraries()
    pipe = load_pipeline(model).to(choose_device())
    keep_freed_memory()
    small = working_size(info.width, info.height, size or pipe.working_size, pipe.patch)
    waiting: deque[tuple[Frame, Frame]] = deque()

    def shrunk() -> Iterator[Frame]:
        for frame in stream_video(source):
            waiting.append((frame, _shrink(frame, small)))
            yield waiting[-1][1]

    def translated() -> Iterator[Frame]:
        sampling["generator"] = torch.Generator().manual_seed(seed)
        results = translate_long(pipe, shrunk(), instruction, prior_frames=prior_frames, **sampling)
        for done, result in enumerate(results, start=1):
            frame, little = waiting.popleft()
            yield to_full_size(frame, little, result)
            on_frame(done, info.frames)

    write_video(out, translated(), fps=info.fps, audio_from=source if info.has_audio else None)


def working_size(width: int, height: int, short_side: int, multiple: int) -> tuple[int, int]:
    """Return (width, height) with about this short side and the video's proportions; the video's own if it is smaller.

    Sides are rounded to multiples of what becomes one latent position, so that nothing has to be padded.
    """
    scale = short_side / min(width, height)
    if scale >= 1:
        return width, height
    rounded = [max(multiple, round(side * scale / multiple) * multiple) for side in (width, height)]
    return rounded[0], rounded[1]


def _shrink(frame: Frame, size: tuple[int, int]) -> Frame:
    if (frame.shape[1], frame.shape[0]) == size:
        return frame
    return np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
