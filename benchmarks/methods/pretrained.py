"""Published networks that restore and edit, frame by frame; run where their weights are at hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.methods.base import Answer, Context, Learnt, Method, Restore
from benchmarks.networks import NotAvailable, located, unusable
from shards import Sample
from shards.sample import Video

if TYPE_CHECKING:
    from torch import Tensor

Frame = NDArray[np.uint8]
IP2P_STEPS, IP2P_TEXT, IP2P_IMAGE = 100, 7.5, 1.5
"""Steps and guidance scales of InstructPix2Pix's own command line."""
SDEDIT_STEPS, SDEDIT_STRENGTH, SDEDIT_TEXT = 50, 0.6, 7.5
"""SDEdit's authors start between 0.3 and 0.6 of the way to noise; what is asked for here needs the most of it."""


def instruct_pix2pix(context: Context, *, independent: bool) -> Restore:
    """Return InstructPix2Pix, frame by frame.

    `independent`: every frame starts from noise of its own; else all start from the same, and draw the same on the way.

    Raises:
        NotAvailable: its weights cannot be loaded.
    """
    import torch

    pipe = _load_pipeline("StableDiffusionInstructPix2PixPipeline", located("instruct_pix2pix", context.weights))

    def restore(clip: Video, instruction: str, reference: Frame | None, mask: Frame | None) -> Video:
        noise = torch.Generator().manual_seed(context.seed)

        def edited(frame: Frame) -> Frame:
            if not independent:
                noise.manual_seed(context.seed)
            found = pipe(
                instruction,
                image=_picture(frame),
                num_inference_steps=IP2P_STEPS,
                guidance_scale=IP2P_TEXT,
                image_guidance_scale=IP2P_IMAGE,
                generator=noise,
                output_type="np",
            )
            return _as_bytes(found.images[0])

        return _by_frames(clip, edited, multiple=8)

    return Learnt(restore, _count(pipe.components.values()))


def sdedit(context: Context) -> Answer:
    """Return Stable Diffusion started from the noisy frame, frame by frame, all from the same noise. It is told the caption
    after the edit where the data set has one, for it takes descriptions; else the instruction.

    Raises:
        NotAvailable: its weights cannot be loaded.
    """
    import torch

    pipe = _load_pipeline("StableDiffusionImg2ImgPipeline", located("stable_diffusion", context.weights))

    def answer(sample: Sample) -> Video:
        words = str(sample.meta.parameters.get("after") or sample.instruction)

        def edited(frame: Frame) -> Frame:
            found = pipe(
                words,
                image=_picture(frame),
                strength=SDEDIT_STRENGTH,
                num_inference_steps=SDEDIT_STEPS,
                guidance_scale=SDEDIT_TEXT,
                generator=torch.Generator().manual_seed(context.seed),
                output_type="np",
            )
            return _as_bytes(found.images[0])

        return _by_frames(sample.source, edited, multiple=8)

    return Learnt(answer, _count(pipe.components.values()))


def lama(context: Context) -> Restore:
    """Return LaMa, frame by frame; pixels outside the hole stay.

    Raises:
        NotAvailable: its weights cannot be loaded.
    """
    import torch

    from benchmarks.networks.i3d import load_script
    from vidiff.devices import choose_device

    network, device = load_script(located("lama", context.weights)), choose_device()

    def restore(clip: Video, instruction: str, reference: Frame | None, mask: Frame | None) -> Video:
        if mask is None:
            return clip
        answers = clip.copy()
        for frame, hole in zip(answers, mask > 0, strict=True):
            if not hole.any():
                continue
            with torch.inference_mode():
                padded = [np.pad(each, _margins(each.shape, 8), mode="symmetric") for each in (frame, hole[..., None])]
                pixels, empty = (_as_tensor(each).to(device) for each in padded)
                found = network(pixels / 255, (empty > 0).float())[0].permute(1, 2, 0).cpu().numpy()
            frame[hole] = _as_bytes(found)[: frame.shape[0], : frame.shape[1]][hole]
        return answers

    return Learnt(restore, _count([network]))


def read_by_spandrel(context: Context, *, network: str) -> Restore:
    """Return a picture network of one of the many architectures that spandrel knows by their weights, frame by frame.

    Raises:
        NotAvailable: the weights are not here, spandrel is not, or the file is of no architecture that it knows.
    """
    import torch

    from vidiff.devices import choose_device

    place = located(network, context.weights)
    try:
        import spandrel
    except ImportError as error:
        raise NotAvailable("package: spandrel; 'pip install spandrel' (it needs torchvision)") from error
    try:
        found = spandrel.ModelLoader(device=choose_device()).load_from_file(place)
    except Exception as error:  # what spandrel cannot read fails in ways of its own
        raise NotAvailable(f"weights: spandrel cannot read {place} ({' '.join(str(error).split())[:120]})") from error
    if (found.input_channels, found.output_channels, found.scale) != (3, 3, 1):
        raise NotAvailable(f"weights: {place} does not turn a colour picture into one of the same size")
    model = found.eval()

    def restored(frame: Frame) -> Frame:
        with torch.inference_mode():
            pixels = _as_tensor(frame).to(model.device) / 255
            return _as_bytes(model(pixels)[0].permute(1, 2, 0).float().cpu().numpy())

    def restore(clip: Video, instruction: str, reference: Frame | None, mask: Frame | None) -> Video:
        return _by_frames(clip, restored, multiple=1)

    return Learnt(restore, _count([model.model]))


def _by_frames(clip: Video, change: Callable[[Frame], Frame], *, multiple: int) -> Video:
    """Return every frame changed, with sides filled up to a multiple, mirrored, meanwhile."""
    height, width = clip.shape[1:3]
    margins = _margins(clip.shape[1:], multiple)
    return np.stack([change(np.pad(frame, margins, mode="symmetric"))[:height, :width] for frame in clip])


def _margins(shape: tuple[int, ...], multiple: int) -> list[tuple[int, int]]:
    return [(0, -side % multiple) for side in shape[:2]] + [(0, 0)]


def _picture(frame: Frame) -> Any:
    from PIL import Image

    return Image.fromarray(frame)


def _as_tensor(frame: NDArray[Any]) -> Tensor:
    import torch

    return torch.from_numpy(frame.astype(np.float32)).permute(2, 0, 1)[None]


def _as_bytes(picture: NDArray[Any]) -> Frame:
    """Return values from 0 to 1 as uint8."""
    return np.asarray(np.clip(np.nan_to_num(picture) * 255 + 0.5, 0, 255), np.uint8)


def _count(networks: Any) -> int:
    return sum(weight.numel() for part in networks if hasattr(part, "parameters") for weight in part.parameters())


@lru_cache(maxsize=1)
def _load_pipeline(kind: str, place: str) -> Any:
    import diffusers

    from configs.libraries import quiet_libraries
    from vidiff.devices import choose_device

    quiet_libraries()
    # a picture that is judged unsafe comes back black, which no score should see; the judge's own eyes are not needed
    # then, whose class goes by a name that transformers no longer has in older files
    options = {"safety_checker": None, "requires_safety_checker": False, "feature_extractor": None}
    try:
        pipe = getattr(diffusers, kind).from_pretrained(place, local_files_only=True, **options)
    except Exception as error:  # a folder of another kind fails in ways of its own
        raise unusable(place, error) from error
    pipe.set_progress_bar_config(disable=True)
    return pipe.to(choose_device())


def _methods() -> Iterator[Method]:
    common: dict[str, Any] = {"version": 1, "learns": True}
    for name, independent in (("instruct_pix2pix", False), ("instruct_pix2pix_independent", True)):
        noise = "noise of its own for each frame" if independent else "the same noise for all frames"
        yield Method(
            name=name,
            tasks=("edit",),
            summary=f"frame by frame, {noise}; {IP2P_STEPS} steps, text {IP2P_TEXT}, image {IP2P_IMAGE}",
            paper="Brooks, Holynski & Efros, CVPR 2023",
            make=partial(instruct_pix2pix, independent=independent),
            networks=("instruct_pix2pix",),
            **common,
        )
    yield Method(
        name="sdedit",
        tasks=("edit",),
        summary=f"Stable Diffusion from {SDEDIT_STRENGTH} of the noise, frame by frame, the same noise for all; told the caption",
        paper="Meng et al., ICLR 2022",
        make_seeing=sdedit,
        networks=("stable_diffusion",),
        **common,
    )
    yield Method(
        name="lama",
        tasks=("inpaint",),
        summary="frame by frame",
        paper="Suvorov et al., WACV 2022",
        make=lama,
        networks=("lama",),
        **common,
    )
    for name, task, network, paper in (
        ("nafnet", "deblur", "nafnet", "Chen et al., ECCV 2022"),
        ("ddcolor", "recolor", "ddcolor", "Kang et al., ICCV 2023"),
    ):
        yield Method(
            name=name,
            tasks=(task,),
            summary=f"frame by frame; or whatever else of weights.{network} spandrel reads",
            paper=paper,
            make=partial(read_by_spandrel, network=network),
            networks=(network,),
            **common,
        )


PRETRAINED = tuple(_methods())
