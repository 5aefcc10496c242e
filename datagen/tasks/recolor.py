"""Recoloring pairs: the colour clip, and its lightness alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from configs import Settings
from datagen.effects.colour import lightness
from datagen.sources.base import Clip
from datagen.tasks.base import Builder, Pair, Parameters


class RecolorOptions(Settings):
    """What counts as colourful enough to learn colour from."""

    min_colourfulness: float = 6.0
    """Hasler & Suesstrunk's measure; black-and-white film has about 0, a dull day about 10."""


class Recolor(Builder[RecolorOptions]):
    """The L channel of CIE Lab, three times (the TCVC convention)."""

    name = "recolor"
    effect = "lightness"
    version = 1
    Options = RecolorOptions

    def refuse(self, scores: Mapping[str, float], options: RecolorOptions) -> str | None:
        """Turn away clips without colour: they would teach that the answer is gray."""
        found = scores["colourfulness"]
        return (
            None if found >= options.min_colourfulness else f"colourless: {found:.1f} < {options.min_colourfulness:g}"
        )

    def draw(self, clip: Clip, options: RecolorOptions, rng: np.random.Generator) -> dict[str, Any]:
        """Nothing is left to chance here."""
        return {"space": "CIE Lab, D65", "channel": "L", "scale": "0..100 -> 0..255"}

    def apply(self, clip: Clip, parameters: Parameters) -> Pair:
        """Take the colour away."""
        return Pair(source=lightness(clip.frames), target=clip.frames)


BUILDER = Recolor()
