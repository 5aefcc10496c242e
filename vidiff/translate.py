"""One video file in, the translated video file out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from configs import OutputError
from configs.libraries import quiet_libraries
from shards import probe, stream_video, write_video
from shards.codecs import MaskWriter
from shards.picture_folder import PictureReader
from vidiff.devices import choose_device, keep_freed_memory
from vidiff.long_video import seam_places, translate_long
from vidiff.pipeline import load_pipeline
from vidiff.samplers import make_sampler
from vidiff.seams import SeamMeter
from vidiff.segmentation import Mask, MaskDecoder, colour_named, paint_named
from vidiff.tiling import TiledPipe
from vidiff.training_data import learnt_by
from vidiff.upscale import to_full_size

Frame = NDArray[np.uint8]
OnFrame = Callable[[int, int], None]


def translate_file(
    model: Path | str,
    source: Path | str,
    out: Path | str,
    instruction: str,
    *,
    sampler: str | None = None,
    lora: Path | str | None = None,
    lora_scale: float = 1.0,
    **options: Any,
) -> float | None:
    """Translate a video file as an instruction says: what `Translator` and its `file` do together.

    Raises:
        VideoError, ModelError, OutputError, ConfigError: as these two.
    """
    # before a model is loaded for nothing
    probe(source)
    return Translator(model, sampler=sampler, lora=lora, lora_scale=lora_scale).file(
        source, out, instruction, **options
    )


class Translator:
    """A model that is loaded once and translates many videos.

    `sampler`: how denoising steps are taken (`vidiff.samplers`), the model's own way by default. `lora`: LoRA weights to
    load (`vidiff.lora`), with a weight of `lora_scale`.

    Raises:
        ModelError: the model, the sampler or the LoRA weights are not usable.
    """

    def __init__(
        self,
        model: Path | str,
        *,
        sampler: str | None = None,
        lora: Path | str | None = None,
        lora_scale: float = 1.0,
    ) -> None:
        quiet_libraries()
        self.pipe = load_pipeline(model).to(choose_device())
        self.learnt = learnt_by(Path(model))
        if lora is not None:
            self.pipe.load_lora_weights(lora, adapter_name="chosen")
            self.pipe.set_adapters("chosen", lora_scale)
            # nobody says what these have learnt from
            self.learnt = replace(self.learnt, complete=False)
        if sampler is not None:
            self.pipe.scheduler = make_sampler(sampler, self.pipe.scheduler)
        keep_freed_memory()

    def file(
        self,
        source: Path | str,
        out: Path | str,
        instruction: str,
        *,
        size: int | None = None,
        tile: int | None = None,
        seed: int = 0,
        overlap: int = 2,
        carry: str = "translated",
        blend: bool = False,
        reference: Path | str | None = None,
        mask: Path | str | None = None,
        paint: str | None = None,
        on_frame: OnFrame = lambda done, total: None,
        **sampling: Any,
    ) -> float | None:
        """Translate a video file as an instruction says; the result has its width, height, frame rate and frame count.

        The model works at its training size, or at `size` (short side, pixels) and never above the video's own; its change
        is then carried to the full size by `vidiff.upscale`. Frames are streamed, so memory does not grow with the length;
        with `tile` they are translated in squares of so many pixels, so that it does not grow with `size` either.
        `overlap`, `carry`, `blend`: how windows follow each other, as in `vidiff.translate_long`. `reference`: a picture that
        goes with the instruction. `mask`: also write, as a lossless .mkv, where the result is painted with the color `paint`,
        by default the one that the instruction names (`vidiff.segmentation`). `sampling` goes to `VIDiffPipeline`;
        `on_frame(done, total)` hears of progress.

        Returns how much the result jumps from window to window (`vidiff.seams.SeamMeter`), None where it is one window.

        Raises:
            VideoError, OutputError: the video or the place of the result is not usable.
            ConfigError: no color of that name, or none is named.
        """
        info, pipe = probe(source), self.pipe
        full = (info.width, info.height)
        colour = None if mask is None else colour_named(paint) if paint else paint_named(instruction)
        if Path(out).resolve() == Path(source).resolve():
            raise OutputError(f"{out} is the input itself; give another name for the result")
        if reference is not None:
            sampling["image"] = PictureReader(reference).read([0])[0]
        small = working_size(*full, size or pipe.working_size, pipe.patch)
        meter = SeamMeter(seam_places(info.frames, pipe.window, overlap, blend=blend))
        waiting: deque[tuple[Frame, Frame]] = deque()

        def shrunk() -> Iterator[Frame]:
            for frame in stream_video(source):
                waiting.append((frame, _shrink(frame, small)))
                yield waiting[-1][1]

        def translated(marks: _Marks) -> Iterator[Frame]:
            sampling["generator"] = torch.Generator().manual_seed(seed)
            windows = TiledPipe(pipe, tile) if tile else pipe
            results = translate_long(
                windows, shrunk(), instruction, overlap=overlap, carry=carry, blend=blend, **sampling
            )
            for done, result in enumerate(results, start=1):
                frame, little = waiting.popleft()
                marks.add(little, result)
                meter.add(little, result)
                yield to_full_size(frame, little, result)
                on_frame(done, info.frames)

        with _Marks(mask, colour, info.fps, full) as marks:
            write_video(out, translated(marks), fps=info.fps, audio_from=source if info.has_audio else None)
        return meter.ratio


class _Marks:
    """Writes the masks beside the translated video; without a path it does nothing."""

    def __init__(
        self, path: Path | str | None, colour: tuple[int, int, int] | None, fps: float, size: tuple[int, int]
    ) -> None:
        self._open = ExitStack()
        self._decoder = None if path is None or colour is None else MaskDecoder(colour, size=size)
        self._writer = None if path is None else MaskWriter(path, fps=fps)

    def add(self, source: Frame, painted: Frame) -> None:
        """Take the next frame, before and after, at the size that the model works at."""
        if self._decoder is not None:
            self._write(self._decoder.push(source, painted))

    def _write(self, masks: list[Mask]) -> None:
        for mask in masks:
            if self._writer is not None:
                self._writer.write(mask)

    def __enter__(self) -> _Marks:
        if self._writer is not None:
            self._open.enter_context(self._writer)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None and self._decoder is not None:
            self._write(self._decoder.close())
        self._open.__exit__(kind, error, trace)


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
