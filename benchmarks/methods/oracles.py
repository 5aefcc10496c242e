"""What would be possible if part of the truth were known: upper bounds that have no rank."""

from __future__ import annotations

import numpy as np

from benchmarks.methods.base import Answer, Context, Method
from benchmarks.methods.colour import coloured, lightness_of, to_lab
from benchmarks.methods.segmentation import painted
from shards import Sample
from shards.sample import Video


def known_haze(sample: Sample) -> Video:
    """Return the clip with the haze inverted under the true airlight and transmission: what 8 bits leave of it.

    J = (I - A) / t + A, t per pixel by least squares from source and target, not below 0.02, in the light in which the
    haze was mixed. Where no airlight is known it answers the target.
    """
    known = sample.meta.parameters
    if "airlight" not in known:
        return sample.target
    gamma = 2.2 if str(known.get("light", "")).startswith("linear") else 1.0
    light = ((np.arange(256) / 255) ** gamma).astype(np.float32)
    clear = np.empty_like(sample.source)
    for i, (hazy, true) in enumerate(zip(sample.source, sample.target, strict=True)):
        airlight = np.asarray(known["airlight"][i], np.float32)
        mixed, away = light[hazy] - airlight, light[true] - airlight
        t = (mixed * away).sum(-1, keepdims=True) / np.maximum((away * away).sum(-1, keepdims=True), np.float32(1e-4))
        found = np.clip(mixed / np.clip(t, 0.02, 1) + airlight, 0, 1)
        clear[i] = found ** np.float32(1 / gamma) * 255 + np.float32(0.5)
    return clear


def known_chroma(sample: Sample) -> Video:
    """Return the source's lightness with the target's chroma: what is lost by keeping the lightness of 8 bits."""
    grey = lightness_of(sample.source)
    return np.stack([coloured(frame, to_lab(true)[..., 1:]) for frame, true in zip(grey, sample.target, strict=True)])


def known_mask(sample: Sample) -> Video:
    """Return the source painted by the true mask: what is lost between painting and decoding."""
    if sample.mask is None:
        return sample.target
    rgb = sample.meta.parameters.get("rgb")
    if rgb is None:
        return sample.target
    return painted(sample.source, sample.mask > 0, (int(rgb[0]), int(rgb[1]), int(rgb[2])))


def known_inside(sample: Sample) -> Video:
    """Return the target inside the sample's mask and the source outside of it; without a mask the target."""
    if sample.mask is None:
        return sample.target
    return np.where((sample.mask > 0)[..., None], sample.target, sample.source)


def _oracle(name: str, tasks: tuple[str, ...], summary: str, answer: Answer) -> Method:
    def make(context: Context) -> Answer:
        return answer

    return Method(name=name, tasks=tasks, summary=summary, paper="-", version=1, make_seeing=make, ranked=False)


KNOWN_HAZE = _oracle("known_haze", ("dehaze",), "inverts the haze with its true airlight and transmission", known_haze)
KNOWN_CHROMA = _oracle("known_chroma", ("recolor",), "the source's lightness with the target's chroma", known_chroma)
KNOWN_MASK = _oracle("known_mask", ("segment",), "paints by the true mask", known_mask)
KNOWN_INSIDE = _oracle(
    "known_inside", ("inpaint", "edit"), "the target inside the mask, the source outside", known_inside
)
