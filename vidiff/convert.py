"""From pretrained image models to a VIDiff pipeline: every weight finds its place, or is named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from diffusers import AutoencoderKL, DDIMScheduler, MotionAdapter, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer, CLIPVisionModel

from configs import ModelError, OutputError, no_weights, unknown_name
from configs.libraries import quiet_libraries
from vidiff.image_instruction import ImageProjector
from vidiff.pipeline import PICKLED, VIDiffPipeline, refuse_code
from vidiff.training_data import learnt_by
from vidiff.unet import VIDiffUNet

Kind = Literal["sd15", "instruct-pix2pix", "animatediff"]
_CHANNELS = {"sd15": 4, "instruct-pix2pix": 8}
_GUIDANCE = {"default": {"video": 1.5, "text": 7.5}}
"""Of InstructPix2Pix."""
_SMALL = 16
"""Side, in latent positions, at which a converted network is compared with the one it was made of."""
_EQUAL = 1e-4


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """What was done: how many tensors were taken over, the names of new ones, and how far the outputs are apart."""

    taken: int
    new: tuple[str, ...]
    apart: float


def convert(
    kind: str,
    source: str,
    out: Path | str,
    *,
    base: Path | str | None = None,
    window: int = 16,
    image_encoder: str | None = None,
) -> Conversion:
    """Make a VIDiff pipeline of pretrained weights and save it in the folder `out`.

    `kind`: `sd15` (a text-to-image Stable Diffusion; of 2.x, too), `instruct-pix2pix` (its U-Net takes the source image
    already), or `animatediff` (a motion adapter, put into the pipeline in the folder `base`). `source`: a folder in the
    layout of diffusers, or a name on the Hugging Face hub. `window`: frames the model takes at once. `image_encoder`: a CLIP
    vision model in the same two ways, for image instructions; its tokens go through a new MLP, which must be trained.

    The network is then run beside the one it was made of: one frame must come out equal.

    Raises:
        ModelError: no such kind, no such weights, pickled or missing ones, or another network.
        OutputError: `out` exists.
    """
    if kind not in get_args(Kind):
        raise ModelError(unknown_name("kind of model", kind, get_args(Kind)))
    if Path(out).exists():
        raise OutputError(f"{out} exists; give a new folder")
    quiet_libraries()
    if kind == "animatediff":
        if base is None:
            raise ModelError(
                "a motion adapter goes into a converted model: give --base FOLDER, made by 'vidiff-convert sd15'"
            )
        pipe, done = _with_adapter(source, base)
    else:
        pipe, done = _from_images(kind, source, window)
    if image_encoder is not None:
        pipe, done = _with_eyes(pipe, image_encoder, done)
    pipe.save_pretrained(str(out))
    if kind == "animatediff" and base is not None:
        # of the weights that were put into it nobody says what they have learnt from
        replace(learnt_by(Path(base)), complete=False).save(Path(out))
    return done


def _from_images(kind: str, source: str, window: int) -> tuple[VIDiffPipeline, Conversion]:
    flat = load_part(UNet2DConditionModel, source, "unet")
    if flat.config.in_channels != _CHANNELS[kind]:
        raise ModelError(
            f"{source}: its U-Net takes {flat.config.in_channels} channels, and one of {kind} {_CHANNELS[kind]}; "
            "4 is a text-to-image model (sd15), 8 instruct-pix2pix"
        )
    unet = VIDiffUNet.from_2d(flat)
    pipe = VIDiffPipeline(
        vae=load_part(AutoencoderKL, source, "vae"),
        text_encoder=load_part(CLIPTextModel, source, "text_encoder"),
        tokenizer=_trying(CLIPTokenizer, source, "tokenizer"),
        unet=unet,
        scheduler=_trying(DDIMScheduler, source, "scheduler"),
        window=window,
        steps=50,
        guidance=_GUIDANCE,
    )
    return pipe, compare(flat, unet)


def _with_adapter(source: str, base: Path | str) -> tuple[VIDiffPipeline, Conversion]:
    adapter = load_part(MotionAdapter, source, "")
    pipe = VIDiffPipeline.from_pretrained(base)
    try:
        pipe.unet.load_motion_modules(adapter)
    except (ValueError, RuntimeError) as error:
        raise ModelError(f"{source} does not fit {base}: {' '.join(str(error).split())[:200]}") from None
    longest = int(adapter.config.motion_max_seq_length)
    pipe.register_to_config(window=min(pipe.window, longest))
    convolutions = tuple(name for name in pipe.unet.state_dict() if ".convolution." in name)
    return pipe, Conversion(taken=len(adapter.state_dict()), new=convolutions, apart=0.0)


def _with_eyes(pipe: VIDiffPipeline, image_encoder: str, done: Conversion) -> tuple[VIDiffPipeline, Conversion]:
    encoder = load_part(CLIPVisionModel, image_encoder, "")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        projector = ImageProjector(
            vision_dim=encoder.config.hidden_size, context_dim=pipe.unet.config.cross_attention_dim
        )
    pipe.register_modules(image_encoder=encoder, image_projector=projector)
    new = tuple(f"image_projector.{name}" for name in projector.state_dict())
    return pipe, replace(done, taken=done.taken + len(encoder.state_dict()), new=(*done.new, *new))


@torch.no_grad()
def compare(flat: UNet2DConditionModel, video: VIDiffUNet) -> Conversion:
    """Check that a video U-Net holds all of a 2D U-Net, and makes of one frame what that makes of it.

    Raises:
        ModelError: a tensor found no place, or the outputs differ: the 2D U-Net has a part that the video one lacks.
    """
    theirs, ours = flat.state_dict(), video.state_dict()
    lost = sorted(name for name, value in theirs.items() if not _holds(ours.get(name), value))
    if lost:
        raise ModelError(f"{len(lost)} tensors of the 2D U-Net find no place, the first is {lost[0]}")
    generator = torch.Generator().manual_seed(0)
    channels, taken = video.config.in_channels, flat.config.in_channels
    latent = torch.randn(1, channels, 1, _SMALL, _SMALL, generator=generator).to(flat.dtype)
    context = torch.randn(1, 8, flat.config.cross_attention_dim, generator=generator).to(flat.dtype)
    expected = flat.eval()(latent[:, :taken, 0], 500, context).sample
    found = video.eval()(latent, 500, context).sample[:, :, 0]
    apart = float((expected - found).abs().max() / expected.abs().max().clamp(min=1e-6))
    if not apart <= _EQUAL:
        raise ModelError(
            f"the video U-Net does not equal its 2D U-Net (they differ by {apart:.1e}); its kind is not supported"
        )
    return Conversion(taken=len(theirs), new=tuple(sorted(ours.keys() - theirs.keys())), apart=apart)


def _holds(ours: torch.Tensor | None, theirs: torch.Tensor) -> bool:
    if ours is None:
        return False
    # the first convolution of a text-to-image U-Net has got channels for the condition
    part = ours[:, : theirs.shape[1]] if ours.ndim == 4 and ours.shape[0] == theirs.shape[0] else ours
    return torch.equal(part, theirs)


def load_part(cls: Any, source: str, name: str) -> Any:
    """Load one component from a folder or the hub: safetensors alone, and nothing in it may be missing.

    Raises:
        ModelError: there is none, or it is a pickle, or weights are missing or of other shapes.
    """
    module, info = _trying(cls, source, name, use_safetensors=True, output_loading_info=True)
    problems: Mapping[str, Any] = {key: info.get(key) for key in ("missing_keys", "mismatched_keys") if info.get(key)}
    for key, found in problems.items():
        first = sorted(map(str, found))[0]
        raise ModelError(f"{_place(source, name)}: {len(found)} {key.replace('_', ' ')}, the first is {first}")
    return module


def _trying(cls: Any, source: str, name: str, **options: Any) -> Any:
    folder = Path(source) / name
    if folder.is_dir():
        refuse_code(folder)
    if Path(source).is_dir() and options.get("use_safetensors"):
        files = [path.suffix for path in folder.glob("*")] if folder.is_dir() else []
        if ".safetensors" not in files and set(files) & set(PICKLED):
            raise ModelError(
                f"{folder} holds pickles, which can run code when they are loaded; only safetensors are read"
            )
    try:
        return cls.from_pretrained(source, **({"subfolder": name} if name else {}), **options)
    except (OSError, ValueError, KeyError, RuntimeError, TypeError) as error:
        raise ModelError(
            f"{_place(source, name)} cannot be loaded as {cls.__name__}: {no_weights(source, error)}; give a folder in the "
            "layout of diffusers, or a name on the hub"
        ) from None


def _place(source: str, name: str) -> str:
    return f"{source}/{name}" if name else source
