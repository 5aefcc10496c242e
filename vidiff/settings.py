"""Every option of training, with its explanation under it; `configs/train/*.yaml` are recipes of `TrainSettings`."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from configs import Settings, Share


class Scales(Settings):
    """How strongly a result follows its source video (`s_V`) and its instruction (`s_T`); 1 is plain conditioning."""

    video: float = 1.0
    text: float = 1.0


class ModelSettings(Settings):
    """Which network: made anew at the size given here; where a training has a `base`, `size` and `window` alone count."""

    size: int = Field(128, ge=16)
    """Short side, in pixels, at which the model works; larger video is resized down to it and back."""
    window: int = Field(8, ge=1, le=32)
    """Frames the model sees at once."""
    patch: int = Field(4, ge=1)
    """Side, in pixels, of what becomes one position of the latent."""
    channels: tuple[int, ...] = (32, 64, 96)
    """Width of every level of the U-Net; each level halves the resolution. Text enters at the last."""
    layers: int = Field(1, ge=1)
    """Residual layers per level."""
    groups: int = Field(8, ge=1)
    """Groups of the group normalisations; divides every width."""
    spatial_heads: int = Field(4, ge=1)
    """Heads of the attention over pixels and text."""
    temporal_heads: tuple[int, ...] = (1, 2, 2)
    """Heads of the attention over frames, per level; at full resolution they are what costs."""
    text_width: int = Field(64, ge=8)
    text_layers: int = Field(2, ge=1)
    text_length: int = Field(77, ge=8)
    """Tokens an instruction is padded or cut to."""
    image_width: int = Field(0, ge=0)
    """Width of the encoder of image instructions; 0 leaves it out: the model then takes text alone."""
    image_layers: int = Field(2, ge=1)
    image_size: int = Field(64, ge=8)
    """Side, in pixels, at which image instructions are looked at."""
    image_patch: int = Field(16, ge=1)
    """Side, in pixels, of what becomes one token of an image instruction."""
    predict_residual: bool = True
    """Add the source latent to the prediction: an untrained network then returns its source. For `sample` only."""

    @model_validator(mode="after")
    def _fits(self) -> ModelSettings:
        if any(width % self.groups for width in self.channels):
            raise ValueError(f"groups ({self.groups}) must divide every one of channels {list(self.channels)}")
        if len(self.temporal_heads) != len(self.channels):
            raise ValueError(f"temporal_heads needs {len(self.channels)} numbers, one per level of channels")
        if self.image_size % self.image_patch:
            raise ValueError(f"image_patch ({self.image_patch}) must divide image_size ({self.image_size})")
        return self


class NoiseSettings(Settings):
    """The diffusion process."""

    prediction: Literal["sample", "epsilon", "v_prediction"] = "sample"
    """What the network predicts: the clean latent, the noise, or the velocity."""
    schedule: Literal["linear", "scaled_linear", "squaredcos_cap_v2"] = "scaled_linear"
    zero_terminal_snr: bool = True
    """Let the last step be pure noise, as sampling starts from it (arXiv 2305.08891). Not with `epsilon`."""
    pure_noise: float = Field(0.0, ge=0, le=1)
    """Share of training clips at the very last timestep; the others are spread evenly. With `zero_terminal_snr` that is
    pure noise, where sampling starts and decides what the picture is. Even draws hardly ever hit it, and the network
    reads a picture into the noise there that it could read just before."""
    fade: bool = False
    """Show the network the noisy latent times sqrt(alpha_bar): of pure noise it then sees nothing. Not with pretrained
    weights, which know the noisy latent as it is."""
    shared: float = Field(0.0, ge=0)
    """Mixed noise (PYoCo, arXiv 2305.10474, eq. 2): variance of the noise all frames share relative to each frame's own."""
    steps: int = Field(4, ge=1)
    """Denoising steps when sampling, unless the caller says otherwise."""

    @model_validator(mode="after")
    def _consistent(self) -> NoiseSettings:
        if self.prediction == "epsilon" and self.zero_terminal_snr:
            raise ValueError("zero_terminal_snr leaves nothing to learn from at pure noise with prediction: epsilon")
        return self


class DataSettings(Settings):
    """What is drawn from the dataset, and how it is varied."""

    tasks: dict[str, float] = Field(default_factory=dict)
    """Mixture weights by task; empty means every task of the dataset, equally."""
    crops: tuple[int, ...] = (64,)
    """Sides, in pixels, of the random training crops, one after the other over equal parts of the training."""
    flip: float = Field(0.5, ge=0, le=1)
    """Chance of mirroring a clip."""
    prior_frames: tuple[int, ...] = (0, 0, 0, 1, 2)
    """K of long video, drawn from these: the first K condition frames are target frames, and the instruction says so."""
    workers: int = Field(0, ge=0)
    """Processes that decode ahead; 0 decodes in the training process."""

    @field_validator("tasks")
    @classmethod
    def _positive(cls, tasks: dict[str, float]) -> dict[str, float]:
        if tasks and min(tasks.values()) <= 0:
            raise ValueError("weights must be above 0; leave a task out instead")
        return tasks


class DropSettings(Settings):
    """Three ways of dropping the condition, so that guidance has its passes (InstructPix2Pix: 5 % each)."""

    text: float = 0.05
    video: float = 0.05
    both: float = 0.05
    """`text` and `both` drop the whole instruction, an image with it."""
    image: Share = 0.1
    """Share of the image instructions that are dropped alone, so that text alone will do ..."""
    words: Share = 0.1
    """... and of the texts beside them, so that an image alone will do."""


class OptimizerSettings(Settings):
    """AdamW, the learning rate over time, and the average of the weights that is kept."""

    batch: int = Field(4, ge=1)
    """Clips per step."""
    lr: float = Field(1e-3, gt=0)
    warmup: int = Field(20, ge=0)
    """Steps over which the learning rate rises."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """Cosine falls to 2 % over `steps` or `minutes`, whichever limits the run."""
    beta2: float = Field(0.99, gt=0, lt=1)
    weight_decay: float = Field(0.0, ge=0)
    clip: float = Field(1.0, gt=0)
    """Largest norm of the gradient."""
    ema: float = Field(0.99, ge=0, lt=1)
    """Decay of the average; it warms up as (1+n)/(10+n), so that short runs forget their start."""


Part = Literal["unet", "spatial", "motion", "text_encoder", "image_encoder", "image_projector"]
_NOISE_OF_THE_BASE = {"prediction", "schedule", "zero_terminal_snr", "fade"}
_OURS_WITH_A_BASE = {"size", "window"}


class TrainSettings(Settings):
    """One training run. Stages are recipes: image pairs are clips of one frame, freezing is a choice of parameters."""

    kind: ClassVar[str] = "train"

    steps: int | None = Field(None, ge=1)
    """Optimizer steps; give this or `minutes`."""
    minutes: float | None = Field(None, gt=0)
    """Wall-clock time of the loop, validation included."""
    seed: int = 0
    base: str = ""
    """Folder of a model to go on from: a run, or what `vidiff-convert` wrote. Network, noise schedule, prediction type and
    `fade` are then its own. `???` in a recipe stands for one that must be named."""
    trained: tuple[Part, ...] = ("unet", "image_projector")
    """Parts that learn; the others stay as they are. Of the U-Net `spatial` is what a 2D U-Net has, `motion` what time
    adds. Encoders with pretrained weights are best left alone."""
    checkpointing: bool = False
    """Compute the U-Net's hidden states again for the gradients instead of keeping them: a third more time, far less memory."""
    precision: Literal["bf16", "fp32"] = "bf16"
    """Of the U-Net's arithmetic; weights are float32."""
    threads: int = Field(0, ge=0)
    """CPU threads that share the arithmetic; 0 takes all where they are faster than one, looked at before every step.
    With more than there are idle cores all wait for the one that does not get to run: ten times slower, measured at the
    tiny size. Only a fixed number keeps a resumed run equal to the bit."""
    model: ModelSettings = ModelSettings()
    noise: NoiseSettings = NoiseSettings()
    data: DataSettings = DataSettings()
    drop: DropSettings = DropSettings()
    optimizer: OptimizerSettings = OptimizerSettings()
    guidance: dict[str, Scales] = Field(default_factory=lambda: {"default": Scales()})
    """Guidance scales by task, kept with the model; `default` serves the tasks that are not listed."""
    guidance_rule: Literal["instruct_pix2pix", "instruct_diffusion"] = "instruct_pix2pix"
    """How the two scales weigh the passes; plain conditioning is 1 and 1 in the first, 0.5 and 0.5 in the second."""
    log_every: int = Field(10, ge=1)
    """Steps between lines of `log.jsonl`."""
    validate_every: int = Field(0, ge=0)
    """Steps between validation clips; 0 makes them at the end alone."""
    checkpoint_every: int = Field(200, ge=1)
    """Steps between checkpoints; the last one is always written."""
    keep_checkpoints: int = Field(2, ge=1)

    @field_validator("guidance")
    @classmethod
    def _with_default(cls, guidance: dict[str, Scales]) -> dict[str, Scales]:
        return {"default": Scales(), **guidance}

    @model_validator(mode="after")
    def _limited(self) -> TrainSettings:
        if (self.steps is None) == (self.minutes is None):
            raise ValueError("give one of steps and minutes, and only one")
        if self.base:
            self._check_base()
        else:
            self.check_sides(self.model.patch * 2 ** (len(self.model.channels) - 1))
        if not self.base and self.model.predict_residual and self.noise.prediction != "sample":
            raise ValueError(
                "model.predict_residual adds the source to a clean latent: it needs noise.prediction: sample"
            )
        return self

    def check_sides(self, multiple: int) -> None:
        """Raise `ValueError` unless the U-Net can halve what it is given at every level."""
        for side in (self.model.size, *self.data.crops):
            if side % multiple:
                raise ValueError(f"model.size and data.crops must be multiples of {multiple}; {side} is not")

    def _check_base(self) -> None:
        said = [f"model.{name}" for name in _changed(self.model) if name not in _OURS_WITH_A_BASE]
        said += [f"noise.{name}" for name in _changed(self.noise) if name in _NOISE_OF_THE_BASE]
        if said:
            raise ValueError(f"{', '.join(said)}: the base has its own; leave it out, or train without a base")


def _changed(settings: Settings) -> list[str]:
    """Return what is not at its default; a recipe that was printed in full names everything."""
    return [name for name, field in type(settings).model_fields.items() if getattr(settings, name) != field.default]
