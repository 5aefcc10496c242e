"""What a benchmark recipe can say."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from configs import Settings


class LimitSettings(Settings):
    """What a method may use; the same for all of them."""

    sample_seconds: float = Field(600.0, gt=0)
    """For one answer, and for making the method with its first one; on Ray a method that takes longer is ended, and has failed on
    that sample. What scoring takes is not the method's."""
    worker_bytes: int = Field(16 * 2**30, ge=2**28)
    """Memory that a method on Ray may take; one that asks for more fails on that sample."""
    threads: int = Field(1, ge=1)
    """Threads of OpenCV, torch and the numeric libraries."""


class WeightSettings(Settings):
    """Where pretrained networks lie, a file, a folder, or a name on Hugging Face's hub; empty for where torch's hub or Hugging
    Face's keeps them on this machine. Nothing is fetched: `bench networks` lists them, and which are here."""

    clip: str = ""
    """For the CLIP scores of edits; a CLIPModel with its image processor and tokenizer."""
    pickscore: str = ""
    """For PickScore; a CLIPModel with its image processor and tokenizer."""
    alexnet: str = ""
    """For LPIPS; torchvision's file."""
    vgg16: str = ""
    """For DISTS; torchvision's file."""
    inception: str = ""
    """For FID and KID; StyleGAN's TorchScript file."""
    i3d: str = ""
    """For FVD; StyleGAN-V's TorchScript file."""
    i3d_rgb: str = ""
    """For the inpainting papers' VFID; the weights of pytorch-i3d."""
    instruct_pix2pix: str = ""
    """A method; its diffusers pipeline."""
    stable_diffusion: str = ""
    """For SDEdit; a diffusers pipeline."""
    lama: str = ""
    """A method; its TorchScript file."""
    nafnet: str = ""
    """A method; a file that spandrel reads, of any network that deblurs."""
    ddcolor: str = ""
    """A method; a file that spandrel reads, of any network that colours."""
    clipseg: str = ""
    """A method; a folder with its processor."""
    grounding_dino: str = ""
    """For `grounded_sam2`; a folder with its processor."""
    sam2: str = ""
    """For `grounded_sam2`."""


class BenchSettings(Settings):
    """How methods are run and their scores summed up."""

    kind: ClassVar[str] = "bench"

    split: str = "test"
    """Split of the dataset that is scored: `train`, `val` or `test`."""
    methods: tuple[str, ...] = ()
    """Methods to run; empty for all that fit a task."""
    limit: int | None = Field(None, ge=1)
    """At most so many samples of each task, spread evenly over its videos."""
    seed: int = 0
    """For methods that draw random numbers, and for the bootstrap."""
    bootstrap: int = Field(2000, ge=100)
    """How many times the videos are drawn again for an interval."""
    permutations: int = Field(10_000, ge=1000)
    """How many sign flips a test draws where there are too many videos to go through all."""
    examples: int = Field(4, ge=0)
    """How many samples of each task the page shows."""
    keep: int = Field(24, ge=0)
    """How many answers of each method and task are kept, lossless: for the page, and for `bench verify` to score again."""
    cost_samples: int = Field(2, ge=0)
    """How many samples each method is timed on afterwards, alone on an idle worker; 0 for no timing."""
    limits: LimitSettings = LimitSettings()
    weights: WeightSettings = WeightSettings()
    recipe: str = "bench"
    """The datagen recipe that is built from procedural scenes where no dataset is given."""


class Reported(Settings):
    """A row of a paper, not measured here."""

    method: str
    scores: dict[str, float]
    """By the names of our metrics; only those whose convention is the same."""


class SuiteSettings(Settings):
    """How a public test set becomes a suite."""

    kind: ClassVar[str] = "suites"

    summary: str
    task: str
    layout: str
    """As `datagen build --from LAYOUT:PATH` takes it."""
    protocol: str
    """What exactly is measured, in words; printed with the table."""
    recipe: tuple[str, ...] = ()
    """Settings of datagen, on top of those that every suite has."""
    videos: int | None = None
    """How many the papers' test set has: of fewer, their numbers say little."""
    frames: int | None = None
    """How many these videos have together, where that is known."""
    clips: int | None = None
    """How many samples these are, where the papers count something else than videos."""
    sets: int | None = None
    """Of how many sets of videos it is, where means are over sets."""
    size: str = ""
    """`WIDTHxHEIGHT` of all its frames, where they have one size."""
    folder: tuple[str, ...] = ()
    """Patterns of folders (or files) one of which the right folder has: whoever gives one above or below it is told so."""
    metrics: tuple[str, ...] = ()
    """What heads its table, the first of which ranks; empty for what heads the task's."""
    average: Literal["videos", "frames", "clips", "sets"] = "videos"
    """What counts alike: videos (as everywhere else), frames whatever their video, clips, or sets of videos."""
    names: str = ""
    """A regular expression for what sources are called, with a group `video` for what is drawn again as one where several
    sources show the same, and groups `set` and `part`."""
    parts: str = ""
    """What the parts are called that the metric that ranks is also told for, each by itself."""
    input_scale: float = Field(1.0, gt=0, le=1)
    """Methods see the input at this share of its size, and their answers are enlarged again."""
    reported: tuple[Reported, ...] = ()
