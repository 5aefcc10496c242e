"""`VIDiffPipeline`: a clip and an instruction in, the translated clip out, as a standard `DiffusionPipeline`."""

from __future__ import annotations

import inspect
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from diffusers import AutoencoderKL, DiffusionPipeline
from diffusers.utils import BaseOutput
from diffusers.utils.torch_utils import randn_tensor
from numpy.typing import NDArray
from safetensors import safe_open
from torch import Generator, Tensor
from torch.nn import functional as F
from transformers import CLIPTextModel, CLIPTokenizer, CLIPVisionModel

from configs import ModelError, meant_path
from vidiff.autoencoder import PatchAutoencoder
from vidiff.conditioning import decode_video, encode_video, patch_size, unet_input
from vidiff.correction import CORRECTED_STEPS, Overlap, begin_with, corrected
from vidiff.guidance import Pass, guide, pass_weights
from vidiff.image_instruction import ImageProjector, instruction_tokens, to_square
from vidiff.lora import LoraMixin, refuse_adapters
from vidiff.settings import Scales
from vidiff.unet import VIDiffUNet

Clip = NDArray[np.uint8] | Tensor | Sequence[Any]
OutputType = Literal["np", "pt", "pil"]
Callback = Callable[["VIDiffPipeline", int, Tensor, dict[str, Tensor]], dict[str, Tensor] | None]

_ENCODER = re.compile(r"^(text|vision)_model\.")
PICKLED = (".bin", ".ckpt", ".pickle", ".pkl", ".pt", ".pth")


@dataclass
class VIDiffPipelineOutput(BaseOutput):  # type: ignore[misc]
    """`frames`: uint8 array [t h w 3], float tensor [t 3 h w] in [0, 1], or a list of PIL images.

    `overlap`: the latents and the noise they come from, for a next window that goes on from here (`vidiff.correction`).
    """

    frames: Any
    overlap: Overlap | None = None


class VIDiffPipeline(DiffusionPipeline, LoraMixin):  # type: ignore[misc]
    """Translate a clip as an instruction says (VIDiff, arXiv 2311.18837).

    `window`: frames the model was trained on, and takes at once. `steps`: denoising steps by default.
    `shared_noise`: variance of the noise all frames share relative to each frame's own. `fade_noise`: as in
    `vidiff.conditioning.unet_input`. `guidance`: default scales by task, `{"default": {"video": 1, "text": 1}, ...}`.
    `guidance_rule`: how the scales weigh the passes, see `vidiff.guidance.pass_weights`.
    """

    model_cpu_offload_seq = "text_encoder->image_encoder->image_projector->unet->vae"
    _optional_components: ClassVar[list[str]] = ["image_encoder", "image_projector"]
    _callback_tensor_inputs = ("latents",)

    def __init__(
        self,
        vae: PatchAutoencoder | AutoencoderKL,
        text_encoder: CLIPTextModel,
        tokenizer: CLIPTokenizer,
        unet: VIDiffUNet,
        scheduler: Any,
        image_encoder: CLIPVisionModel | None = None,
        image_projector: ImageProjector | None = None,
        window: int = 16,
        steps: int = 20,
        shared_noise: float = 0.0,
        fade_noise: bool = False,
        guidance: Mapping[str, Mapping[str, float]] | None = None,
        guidance_rule: str = "instruct_pix2pix",
    ) -> None:
        super().__init__()
        # model_index.json records the modules of these classes; they are imported above, as diffusers demands to load them
        self.register_modules(
            vae=vae,
            text_encoder=text_encoder,
            tokenizer=tokenizer,
            unet=unet,
            scheduler=scheduler,
            image_encoder=image_encoder,
            image_projector=image_projector,
        )
        table = {task: dict(scales) for task, scales in (guidance or {"default": {}}).items()}
        self.register_to_config(
            window=window,
            steps=steps,
            shared_noise=shared_noise,
            fade_noise=fade_noise,
            guidance=table,
            guidance_rule=guidance_rule,
        )

    @classmethod
    def from_pretrained(cls, path: str | Path, **kwargs: Any) -> VIDiffPipeline:
        """Load a folder that `save_pretrained` wrote; safetensors only.

        Raises:
            ModelError: no such folder, no VIDiff pipeline in it, pickled weights, or a component or weights are missing.
        """
        folder = Path(path)
        _refuse(folder)
        asked = sorted({"trust_remote_code", "custom_pipeline"} & kwargs.keys())
        if asked:
            raise ModelError(f"{asked[0]} runs code that comes with a model; it is not supported: leave it out")
        try:
            pipe: VIDiffPipeline = super().from_pretrained(str(folder), use_safetensors=True, **kwargs)
        except (OSError, ValueError, KeyError, AttributeError, ImportError) as error:
            raise ModelError(f"the model in {folder} cannot be loaded: {' '.join(str(error).split())[:300]}") from None
        for name in ("unet", "vae", "text_encoder", "image_encoder", "image_projector"):
            if name not in kwargs and getattr(pipe, name) is not None:
                _check_weights(folder / name, getattr(pipe, name))
        return pipe

    def save_pretrained(self, path: str | Path, **kwargs: Any) -> None:
        """Write the folder that `from_pretrained` loads, weights as safetensors.

        Raises:
            ModelError: LoRA layers are loaded and not fused.
        """
        refuse_adapters(self.unet)
        super().save_pretrained(str(path), **kwargs)

    @property
    def window(self) -> int:
        """Frames the model takes at once."""
        return int(self.config.window)

    @property
    def patch(self) -> int:
        """Side, in pixels, of one position of the latent."""
        return patch_size(self.vae)

    @property
    def working_size(self) -> int:
        """Short side, in pixels, the model was trained at."""
        return int(self.unet.config.sample_size * self.patch)

    def scales(self, task: str = "default", *, video: float | None = None, text: float | None = None) -> Scales:
        """Return a task's default guidance scales, with those that are given in their place."""
        table = self.config.guidance
        chosen = {"video": video, "text": text}
        given = {name: scale for name, scale in chosen.items() if scale is not None}
        return Scales(**{**table.get(task, table["default"]), **given})

    @torch.no_grad()
    def __call__(
        self,
        video: Clip,
        instruction: str,
        *,
        image: Any = None,
        task: str = "default",
        num_inference_steps: int | None = None,
        video_guidance_scale: float | None = None,
        text_guidance_scale: float | None = None,
        guidance_together: bool = True,
        previous: Overlap | None = None,
        generator: Generator | None = None,
        callback_on_step_end: Callback | None = None,
        output_type: OutputType = "np",
    ) -> VIDiffPipelineOutput:
        """Translate one clip of up to `window` frames; `vidiff.translate_long` takes longer ones.

        `video`: uint8 [t h w 3], float tensor [t 3 h w] in [0, 1], or a list of PIL images, any size. `image`: the image
        instruction, uint8 [h w 3] or a PIL image, for models that take one. `task` picks the
        default scales. `guidance_together`: the passes of guidance in one batch, or one after the other, for a third of the
        memory. `previous`: what a window before made of the first frames of this one, which is then held to it. The result has
        the input's size and length; equal seeds give equal results on one device.
        `callback_on_step_end(pipe, step, timestep, {"latents": ...})` may return other latents.
        """
        clip, (height, width) = _pad(_to_tensor(video), self.patch)
        device, dtype = self._execution_device, self.unet.dtype
        scales = self.scales(task, video=video_guidance_scale, text=text_guidance_scale)
        condition = encode_video(self.vae, clip.to(device)).to(dtype)
        rule = self.config.guidance_rule
        seen_text = {text for _, text in pass_weights(scales, rule)}
        shown = None if image is None else _to_picture(image)
        contexts = {
            text: self._context(instruction if text else "", shown if text else None, dtype) for text in seen_text
        }
        self._set_timesteps(num_inference_steps or self.config.steps, device)
        noise = initial_noise(condition, generator, self.config.shared_noise)
        if previous is not None:
            noise = begin_with(noise, previous)
        latents = noise * self.scheduler.init_noise_sigma
        options = self._step_options(generator)
        corrections = 0 if previous is None else math.ceil(CORRECTED_STEPS * len(self.scheduler.timesteps))

        for step, t in enumerate(self.progress_bar(self.scheduler.timesteps)):
            noisy = self.scheduler.scale_model_input(latents, t)

            def denoise(passes: Sequence[Pass], noisy: Tensor = noisy, t: Tensor = t) -> Sequence[Tensor]:
                seen = torch.cat([condition if video else torch.zeros_like(condition) for video, _ in passes])
                noisy = noisy.repeat(len(passes), 1, 1, 1, 1)
                latent = unet_input(self.scheduler, noisy, seen, t, fade=self.config.fade_noise)
                context = torch.cat([contexts[text] for _, text in passes])
                predicted: Sequence[Tensor] = self.unet(latent, t, context).sample.chunk(len(passes))
                return predicted

            predicted = guide(denoise, scales, rule=rule, together=guidance_together)
            if previous is not None and step < corrections:
                alpha_bar = self.scheduler.alphas_cumprod[int(t)]
                predicted = corrected(predicted, noisy, previous, alpha_bar, self.scheduler.config.prediction_type)
            latents = self.scheduler.step(predicted, t, latents, **options).prev_sample
            if callback_on_step_end is not None:
                latents = (callback_on_step_end(self, step, t, {"latents": latents}) or {}).get("latents", latents)

        decoded = decode_video(self.vae, latents / self.vae.config.scaling_factor)
        self.maybe_free_model_hooks()
        frames = _from_tensor(decoded[..., :height, :width], output_type)
        return VIDiffPipelineOutput(frames=frames, overlap=Overlap(latents, noise))

    def _context(self, instruction: str, image: Tensor | None, dtype: torch.dtype) -> Tensor:
        return instruction_tokens(self, [instruction], image).to(dtype)

    def _set_timesteps(self, steps: int, device: torch.device) -> None:
        try:
            self.scheduler.set_timesteps(steps, device=device)
        except ValueError as error:
            raise ModelError(f"{type(self.scheduler).__name__} cannot take {steps} steps: {error}") from None

    def _step_options(self, generator: Generator | None) -> dict[str, Any]:
        takes = inspect.signature(self.scheduler.step).parameters
        return {"generator": generator} if "generator" in takes else {}


def load_pipeline(path: str | Path) -> VIDiffPipeline:
    """Load the model of a training run, or a folder that `save_pretrained` wrote.

    Raises:
        ModelError: as `VIDiffPipeline.from_pretrained`.
    """
    pipe = VIDiffPipeline.from_pretrained(model_folder(path))
    pipe.set_progress_bar_config(disable=True)
    return pipe


def model_folder(path: str | Path) -> Path:
    """Return where the pipeline of a training run lies, or of what `save_pretrained` wrote.

    Raises:
        ModelError: there is no such folder.
    """
    folder = Path(path)
    if not folder.is_dir():
        found = "it is a file" if folder.exists() else f"there is no such folder{meant_path(folder)}"
        raise ModelError(
            f"{folder} is no VIDiff model: {found}; give a folder that vidiff-train or vidiff-convert made"
        )
    return folder / "model" if (folder / "model").is_dir() else folder


def initial_noise(like: Tensor, generator: Generator | None, shared: float) -> Tensor:
    """Return unit normal noise shaped as `like`, float [b c t h w], of which frames share the part `shared / (1 + shared)`.

    It is drawn on the generator's device, so that a CPU generator gives the same noise everywhere.
    Source: PYoCo, arXiv 2305.10474, eq. 2 (mixed noise).
    """
    own: Tensor = randn_tensor(like.shape, generator=generator, device=like.device, dtype=like.dtype)
    if shared == 0:
        return own
    first = randn_tensor(like[:, :, :1].shape, generator=generator, device=like.device, dtype=like.dtype)
    mixed: Tensor = (own + shared**0.5 * first) / (1 + shared) ** 0.5
    return mixed


def _refuse(folder: Path) -> None:
    index = folder / "model_index.json"
    if not folder.is_dir():
        raise ModelError(f"no model folder {folder}; vidiff-train makes one")
    if not index.is_file():
        raise ModelError(f"{folder} is no VIDiff model: it has no model_index.json and no model/ made by vidiff-train")
    try:
        name = json.loads(index.read_text(encoding="utf-8")).get("_class_name")
    except (ValueError, AttributeError):
        raise ModelError(f"{index} is not the JSON that save_pretrained writes") from None
    if name != VIDiffPipeline.__name__:
        raise ModelError(f"{folder} holds a {name!r}, not a VIDiffPipeline; code named in a model folder is never run")
    pickled = sorted(file for file in folder.rglob("*") if file.suffix in PICKLED)
    if pickled:
        raise ModelError(f"{pickled[0]} is a pickle, which can run code when it is loaded; only safetensors are read")
    refuse_code(folder)


def refuse_code(folder: Path) -> None:
    """Raise `ModelError` where a model's folder brings code along, or a configuration that asks for some."""
    code = sorted(folder.rglob("*.py"))
    if code:
        raise ModelError(
            f"{code[0]} is code; code in a model folder is never run: remove it if the model is whole without it"
        )
    for file in sorted(folder.rglob("*.json")):
        try:
            values = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(values, dict) and "auto_map" in values:
            raise ModelError(
                f"{file} asks for code of its own (auto_map), which is never run; only known classes are loaded"
            )


def _check_weights(folder: Path, module: torch.nn.Module) -> None:
    """Raise unless the files hold the module's weights and nothing else: the libraries draw at random what is missing."""
    stored: set[str] = set()
    for file in folder.glob("*.safetensors"):
        with safe_open(file, "pt") as opened:
            stored |= set(opened.keys())
    # transformers saves encoders by the names they were loaded with: on the hub those have a first part more
    stored = {_ENCODER.sub("", name) for name in stored}
    expected = {_ENCODER.sub("", name) for name in module.state_dict()}
    for names, what in ((expected - stored, "lacks"), (stored - expected, "has, without a use for it,")):
        if names:
            more = f" and {len(names) - 1} more tensors" if len(names) > 1 else ""
            raise ModelError(f"the model in {folder} is not whole: it {what} {min(names)}{more}")


def _to_tensor(video: Clip) -> Tensor:
    """Return float [1 3 t h w] in [-1, 1]."""
    if isinstance(video, Tensor):
        clip = video.permute(1, 0, 2, 3).float() * 2 - 1
    else:
        frames = (
            video if isinstance(video, np.ndarray) else np.stack([np.asarray(image.convert("RGB")) for image in video])
        )
        if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3:
            raise ModelError(f"a clip must be uint8 [t h w 3], is {frames.dtype} {list(frames.shape)}")
        clip = torch.from_numpy(np.ascontiguousarray(frames)).permute(3, 0, 1, 2).float() / 127.5 - 1
    return clip[None]


def _to_picture(image: Any) -> Tensor:
    """Return uint8 [1 3 224 224] of an image uint8 [h w 3] or of PIL's."""
    array = image if isinstance(image, np.ndarray) else np.asarray(image.convert("RGB"))
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3:
        raise ModelError(f"the image instruction must be uint8 [h w 3], is {array.dtype} {list(array.shape)}")
    return torch.from_numpy(to_square(array)).permute(2, 0, 1)[None]


def _pad(clip: Tensor, multiple: int) -> tuple[Tensor, tuple[int, int]]:
    """Repeat the last row and column up to a multiple; return the size before, too."""
    height, width = clip.shape[-2:]
    padding = (0, -width % multiple, 0, -height % multiple, 0, 0)
    return F.pad(clip, padding, mode="replicate"), (height, width)


def _from_tensor(clip: Tensor, output_type: OutputType) -> Any:
    unit = ((clip[0].float() + 1) / 2).clamp(0, 1).cpu()
    if output_type == "pt":
        return unit.permute(1, 0, 2, 3)
    frames = (unit * 255).round().to(torch.uint8).permute(1, 2, 3, 0).numpy()
    if output_type == "pil":
        from PIL import Image

        return [Image.fromarray(frame) for frame in frames]
    return frames
