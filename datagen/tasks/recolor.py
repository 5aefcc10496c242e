"""Recoloring pairs: the colour clip, and its lightness alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from pydantic import Field, PositiveFloat

from configs import Settings, Share
from datagen.effects.colour import faded, lightness, toned
from datagen.sources.base import Clip
from datagen.tasks.base import Builder, Pair, Parameters, pick

Look = Literal["gray", "sepia", "tinted", "faded"]
_SEPIA = (186.0, 160.0, 125.0)


class RecolorOptions(Settings):
    """What counts as colourful enough to learn colour from, and what is left of the colour in the source."""

    min_colourfulness: float = 6.0
    """Hasler & Suesstrunk's measure; black-and-white film has about 0, a dull day about 10."""
    looks: dict[Look, PositiveFloat] = Field(default={"gray": 1.0}, min_length=1)
    """Shares of the looks of the source: `gray` (the benchmarks' convention), `sepia`, `tinted` (like sepia, of any tone),
    `faded` (an old colour print)."""
    reference: Share = 0.0
    """Share of the samples with a reference image, the image instruction: a colour frame of the same clip, at the same
    or another moment."""


class Recolor(Builder[RecolorOptions]):
    """The L channel of CIE Lab, three times (the TCVC convention); on request also sepia, tinted and faded prints."""

    name = "recolor"
    effect = "lightness"
    version = 1
    Options = RecolorOptions

    def refuse(self, clip: Clip, scores: Mapping[str, Any], options: RecolorOptions) -> str | None:
        """Turn away clips without colour: they would teach that the answer is gray."""
        found = scores["colourfulness"]
        return (
            None if found >= options.min_colourfulness else f"colourless: {found:.1f} < {options.min_colourfulness:g}"
        )

    def draw(self, clip: Clip, options: RecolorOptions, rng: np.random.Generator) -> dict[str, Any]:
        """Draw the look; a clip keeps one look throughout, so that nothing flickers."""
        look = pick(options.looks, rng)
        space: dict[str, Any] = {"look": look, "space": "CIE Lab, D65", "channel": "L", "scale": "0..100 -> 0..255"}
        if options.reference > 0 and rng.random() < options.reference:
            space["reference_frame"] = int(rng.integers(len(clip.frames)))
        if look == "sepia":
            return {**space, "tone": list(_SEPIA)}
        if look == "tinted":
            return {**space, "tone": [round(float(t), 1) for t in rng.uniform(90, 190, 3)]}
        if look == "faded":
            ranges = {"saturation": (0.15, 0.45), "black": (20, 60), "warmth": (0.0, 0.3)}
            return {**space, **{name: round(float(rng.uniform(*ends)), 3) for name, ends in ranges.items()}}
        return space

    def apply(self, clip: Clip, parameters: Parameters) -> Pair:
        """Take the colour away."""
        look, family = parameters["look"], "print"
        if look == "faded":
            strength = {name: parameters[name] for name in ("saturation", "black", "warmth")}
            source = faded(clip.frames, **strength)
        elif look == "gray":
            source, family = lightness(clip.frames), ""
        else:
            source = toned(clip.frames, parameters["tone"])
        if "reference_frame" not in parameters:
            return Pair(source=source, target=clip.frames, family=family)
        shown = clip.frames[parameters["reference_frame"]]
        return Pair(
            source=source, target=clip.frames, reference=shown, family="print_reference" if family else "reference"
        )


BUILDER = Recolor()
