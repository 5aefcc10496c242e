"""What a dataset recipe can say."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from configs import ConfigError, Settings, Share, ShareInterval
from shards.tasks import Task, with_templates

NATIVE = "native"
"""What `clip.size` says of clips that are as large as their videos."""
LEAST_SIDE = 16
MOST_FPS = 1000
"""Pixels of a clip."""


def _size(value: int | str) -> int | str:
    if value == NATIVE:
        return value
    if isinstance(value, str) and not re.fullmatch(r"\d{2,4}x\d{2,4}", value):
        raise ValueError(f"must be a number of pixels, or WIDTHxHEIGHT as in 432x240, or {NATIVE!r}")
    sides = [value] if isinstance(value, int) else [int(side) for side in value.split("x")]
    if not all(LEAST_SIDE <= side <= 4096 for side in sides):
        raise ValueError(f"sides must be {LEAST_SIDE} to 4096 pixels")
    return value


def _depth(value: str) -> str:
    if value != "prior" and not (value.startswith("model:") and len(value) > len("model:")):
        raise ValueError("must be 'prior', or model:NAME, a depth model of the Hugging Face hub or a folder")
    return value


class ClipSettings(Settings):
    """How clips are cut out of source videos."""

    frames: int = Field(16, ge=1, le=512)
    """Frames per clip."""
    step: int = Field(1, ge=1, le=64)
    """Distance between two frames of a clip, in source frames."""
    fps: float | None = Field(None, gt=0, le=MOST_FPS)
    """Frames per second that clips should have, in place of `step`: each video's step is the whole number that comes
    nearest."""
    folder_fps: float = Field(25.0, gt=0, le=MOST_FPS)
    """Frames per second of a folder of frames whose layout does not say."""
    size: Annotated[int | str, AfterValidator(_size)] = 256
    """Of a clip in pixels: the side of a square, or `WIDTHxHEIGHT`. The picture is scaled to cover it, and cropped.
    `native`: each clip is as large as its video, whose pixels stay as they are."""
    crop: Literal["middle", "random", "stretch"] = "middle"
    """Which part of the picture is kept where its proportions are others; one place for all frames of a clip. `stretch`
    keeps all of it, in other proportions."""
    remainder: bool = False
    """Keep the frames that are left at the end of a video or a shot as one more, shorter clip; of a video shorter than a
    clip that is all of it. Off, they are left out, and clips have one length."""
    hop: int | None = Field(None, ge=1)
    """Distance between the starts of two clips of one video, in source frames; by default clips lie end to end."""
    shots_over: float = Field(20.0, ge=0)
    """Videos longer than so many seconds are searched for shot changes first, and no clip reaches over one. In shorter
    ones a clip with a cut in it is turned away by the gate `max_jump`."""
    per_video: int = Field(64, ge=1)
    """At most so many clips of one video, spread evenly over it."""

    @model_validator(mode="after")
    def _one_rate(self) -> ClipSettings:
        if self.fps is not None and self.step != 1:
            raise ValueError(f"give fps or step, not both (fps {self.fps:g}, step {self.step})")
        return self

    @property
    def width(self) -> int:
        """Pixels; `ConfigError` where each video has its own."""
        return self._sides()[0]

    @property
    def height(self) -> int:
        """Pixels; `ConfigError` where each video has its own."""
        return self._sides()[1]

    def size_of(self, width: int, height: int) -> tuple[int, int]:
        """Return width and height of the clips of a video of this size, in pixels."""
        return (width, height) if self.size == NATIVE else self._sides()

    def step_at(self, fps: float) -> int:
        """Return the distance between two frames of a clip in a video of `fps` frames per second."""
        return self.step if self.fps is None else max(round(fps / self.fps), 1)

    def span_at(self, fps: float) -> int:
        """Return how many frames of such a video one clip reaches over."""
        return (self.frames - 1) * self.step_at(fps) + 1

    def _sides(self) -> tuple[int, int]:
        if self.size == NATIVE:
            raise ConfigError(
                f"clip.size is {NATIVE!r}, and what is drawn or generated has no size of its own; give pixels, as in 256"
            )
        if isinstance(self.size, int):
            return self.size, self.size
        width, height = map(int, self.size.split("x"))
        return width, height


class SplitSettings(Settings):
    """Shares of the source videos; all clips of one video go to the same split."""

    official: bool = True
    """Leave videos in the split that their data set puts them in, whatever the shares."""
    only: Literal["train", "val", "test"] | None = None
    """Leave out, unread, all videos but those that their data set puts in this split; where it puts none there, all but
    those of which it says nothing."""

    train: float = Field(0.8, ge=0, le=1)
    val: float = Field(0.1, ge=0, le=1)
    test: float = Field(0.1, ge=0, le=1)

    @model_validator(mode="after")
    def _sums_to_one(self) -> SplitSettings:
        if abs(self.train + self.val + self.test - 1) > 1e-6:
            raise ValueError(f"train + val + test must be 1, is {self.train + self.val + self.test:g}")
        return self


class SceneSettings(Settings):
    """The procedural source."""

    count: int = Field(24, ge=1)
    """How many scenes; each gives one clip, unless it has more `frames` than one."""
    fps: float = Field(25.0, ge=1, le=MOST_FPS)
    frames: int | None = Field(None, ge=1, le=4096)
    """Frames that a scene has at least; by default it is as long as a clip. A scene lasts 0.64 s however many it has."""


class GateSettings(Settings):
    """What a clip must be like to be used at all; scores are on 8-bit frames reduced to about 64 pixels."""

    min_brightness: float = 8.0
    """Mean of the gray values: below it the clip is black."""
    max_brightness: float = 247.0
    """Above it the clip is blown out."""
    min_contrast: float = 4.0
    """Standard deviation of the gray values within a frame: below it there is nothing to see."""
    min_motion: float = 0.02
    """Mean absolute difference of neighbouring frames: below it the clip is a still image."""
    max_duplicates: float = Field(0.6, ge=0, le=1)
    """Share of frames that repeat the one before: above it the clip is frozen for most of its time."""
    max_jump: float = Field(2.5, ge=0)
    """Largest difference of neighbouring frames over the median one (and 4 grey levels): above it there is a cut."""
    max_borders: Share = 0.04
    """Share of the picture under black bars."""
    max_lettering: Share = 0.004
    """Share of the picture under lettering that was laid over it: subtitles, watermarks, time stamps; titles on a flat ground."""
    min_sharpness: float = Field(4.0, ge=0)
    """Variance of the Laplacian: below it even the sharpest frame is out of focus, and no target for anything."""
    copy_bits: int = Field(8, ge=0, le=8)
    """Clips of different videos look alike whose perceptual hashes (64 bits) differ in fewer bits: their videos share a split,
    and of two that show the same moment one is left out; 0 keeps all, but equal clips in different splits are an error."""
    min_pair_changed: Share = 0.001
    """Share of the pixels in which a pair's clips differ visibly (by over 10 grey levels): below it nobody sees the edit."""
    max_pair_changed: Share = 1.0
    """Share of the pixels in which a pair's clips differ visibly: above it an edit has changed too much. Of use where pairs
    that exist should be local edits."""
    max_pair_psnr: float = 45.0
    """dB between a pair's source and target: above it there is nothing to restore."""


Cosine = Annotated[float, Field(ge=-1, le=1)]


class EngineSettings(Settings):
    """The model that `--from generated:PROMPTS` makes pairs with, by prompt-to-prompt, and what they must be like."""

    model: str = ""
    """A diffusers pipeline, of the Hugging Face hub or a folder: StableDiffusionPipeline (pictures),
    AnimateDiffPipeline or TextToVideoSDPipeline (video)."""
    motion: str = ""
    """A motion adapter (AnimateDiff) that makes a video pipeline of a StableDiffusionPipeline."""
    steps: int = Field(50, ge=1, le=1000)
    """Denoising steps."""
    guidance: float = Field(7.5, ge=1)
    """Scale of classifier-free guidance."""
    p2p_ratio: ShareInterval = (0.1, 0.9)
    """Share of the steps, from the first on, in which the cross-attention maps of the first caption lead the second;
    drawn between the two for every candidate (InstructPix2Pix's interval), unless a prompt says it."""
    self_ratio: Share = 0.5
    """Self-attention maps are handed over for this share of those steps (Hertz et al.: 0.4 of 0.8)."""
    temporal_ratio: Share = 0.5
    """And those of attention along time for this share of them."""
    candidates: int = Field(1, ge=1, le=1000)
    """Pairs made of each prompt, with seeds and ratios of their own; the one of the best `pair_clip_direction` among
    those that meet the thresholds is kept. InstructPix2Pix made 100."""
    clip: str = ""
    """A CLIP, of the Hugging Face hub or a folder, that scores pairs; without one there is no filter."""
    min_pair_clip_image: Cosine = 0.75
    """Likeness of the two clips (InstructPix2Pix's threshold; InsV2V, for video, took 0.5)."""
    min_pair_clip_text: Cosine = 0.2
    """Likeness of each clip and its caption (both papers')."""
    min_pair_clip_direction: Cosine = 0.2
    """Likeness of the clips' difference and the captions' (both papers')."""
    fps: float = Field(8.0, gt=0, le=MOST_FPS)
    """Frames per second that the model's clips are taken to have, unless clip.fps says it."""
    scale: int = Field(1, ge=1, le=8)
    """Pictures are generated so many times as large as clip.size, and reduced: models are at their best at one size."""
    precision: Literal["float32", "float16", "bfloat16"] = "float32"
    """Of weights and arithmetic; half precision is for GPUs."""
    device: str = Field("auto", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")
    """`auto` takes a GPU if there is one; else `cpu`, `cuda`, `cuda:1`, `mps`."""

    @model_validator(mode="after")
    def _choosable(self) -> EngineSettings:
        if self.candidates > 1 and not self.clip:
            raise ValueError(
                f"of {self.candidates} candidates only a CLIP can choose; set engine.clip, or candidates to 1"
            )
        return self


class LimitSettings(Settings):
    """How much a source file may ask of the machine; larger ones are refused by their header, before any decoding."""

    max_pixels: int = 4096 * 2304
    """Pixels of one frame."""
    max_frames: int = 500_000
    max_bytes: int = 32 * 2**30
    max_seconds: float = 6 * 3600.0
    decode_seconds: float = 60.0
    """Time one clip may take to decode; then the decoder is killed."""
    clip_seconds: float = Field(300.0, gt=0)
    """Time one clip may take in all on a Ray worker; then the worker is killed, and the clip left out the second time."""
    worker_bytes: int = Field(8 * 2**30, ge=2**28)
    """Memory a Ray worker may take beyond what it starts with; an effect that needs more loses its pair."""


class OwnInstructions(Settings):
    """Templates of one's own for one task, with the attributes that the built-in ones have, such as `{object}`."""

    shared: tuple[str, ...] = ()
    """For all splits."""
    train: tuple[str, ...] = ()
    heldout: tuple[str, ...] = ()
    """For val and test alone."""

    @model_validator(mode="before")
    @classmethod
    def _plain_list(cls, value: Any) -> Any:
        return {"shared": value} if isinstance(value, list | tuple) else value


class Recipe(Settings):
    """Everything that decides the bytes of a dataset, but for the sources themselves."""

    kind: ClassVar[str] = "datagen"

    tasks: dict[str, dict[str, Any]]
    """Tasks to build, each with its own options (`datagen tasks` lists both)."""
    seed: int = 0
    """Every random choice derives from it, the source's sha256 and the clip's place."""
    instructions: dict[str, OwnInstructions] = Field(default_factory=dict)
    """Instruction templates of one's own by task, beside the built-in ones (`--instructions FILE`)."""
    codec: str = "jpeg"
    """`jpeg`, `lossless` or `compact`; see shards/codecs.py."""
    shard_megabytes: int = Field(256, ge=1)
    """Shards are cut so that they stay about below this size."""
    clip: ClipSettings = ClipSettings()
    depth: Annotated[str, AfterValidator(_depth)] = "prior"
    """Where clips without depth of their own get one, for haze, fog and defocus: `prior` (a perspective plane), or
    `model:NAME`, a depth model of the Hugging Face hub or a folder."""
    splits: SplitSettings = SplitSettings()
    scenes: SceneSettings = SceneSettings()
    gates: GateSettings = GateSettings()
    engine: EngineSettings = EngineSettings()
    limits: LimitSettings = LimitSettings()

    @field_validator("tasks")
    @classmethod
    def _sorted(cls, tasks: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        # the order in which they were asked for must not show in the dataset's card
        return dict(sorted(tasks.items()))

    @model_validator(mode="after")
    def _known(self) -> Recipe:
        from datagen.tasks import builder
        from shards.codecs import CODECS

        if self.codec not in CODECS:
            raise ValueError(f"no codec named {self.codec!r}; available: {', '.join(CODECS)}")
        if not self.tasks:
            raise ValueError("tasks is empty; name at least one task")
        for name, options in self.tasks.items():
            builder(name).options(options)
        for name in self.instructions:
            self.task(name)
        return self

    def task(self, name: str) -> Task:
        """Return a task with the instructions that this recipe adds.

        Raises:
            ConfigError: there is no such task, or a template lacks an attribute or has one too many.
        """
        from shards import get_task

        own = self.instructions.get(name)
        return get_task(name) if own is None else with_templates(get_task(name), own.shared, own.train, own.heldout)
