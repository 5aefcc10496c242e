"""Guidance with two scales, one for the source video and one for the instruction."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from vidiff.settings import Scales

Pass = tuple[bool, bool]
"""Whether a pass sees the source video, and whether it sees the instruction."""


class Denoise(Protocol):
    """One pass through the U-Net; what it may not see is replaced by its null."""

    def __call__(self, *, video: bool, text: bool) -> Tensor:
        """Return the prediction, float [b c t h w]."""
        ...


def pass_weights(scales: Scales) -> dict[Pass, float]:
    """Return the weight of every pass that does not vanish; they sum to one.

    `e(0,0) + s_V (e(V,0) - e(0,0)) + s_T (e(V,T) - e(V,0))`, the rule of InstructPix2Pix with the video in place of
    the image (VIDiff's two scales, arXiv 2311.18837), sorted by passes. It is linear in the predictions, so it
    means the same for noise, velocity and clean-latent predictions. Another rule is another function like this one.
    """
    weights = {
        (False, False): 1 - scales.video,
        (True, False): scales.video - scales.text,
        (True, True): scales.text,
    }
    return {seen: weight for seen, weight in weights.items() if weight != 0}


def guide(denoise: Denoise, scales: Scales) -> Tensor:
    """Combine the passes of `denoise`; a pass without weight is not computed."""
    terms = [weight * denoise(video=video, text=text) for (video, text), weight in pass_weights(scales).items()]
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total
