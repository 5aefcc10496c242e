"""Guidance with two scales, one for the source video and one for the instruction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol, get_args

from torch import Tensor

from configs import ModelError, unknown_name
from vidiff.settings import Scales

Pass = tuple[bool, bool]
"""Whether a pass sees the source video, and whether it sees the instruction."""
Rule = Literal["instruct_pix2pix", "instruct_diffusion"]


class Denoise(Protocol):
    """Passes through the U-Net; what one may not see is replaced by its null."""

    def __call__(self, passes: Sequence[Pass]) -> Sequence[Tensor]:
        """Return the predictions of some passes made together, float [b c t h w] each."""
        ...


def pass_weights(scales: Scales, rule: str = "instruct_pix2pix") -> dict[Pass, float]:
    """Return the weight of every pass that does not vanish; they sum to one.

    `instruct_pix2pix`: `e(0,0) + s_V (e(V,0) - e(0,0)) + s_T (e(V,T) - e(V,0))`, with the video in place of that paper's
    image (VIDiff's two scales, arXiv 2311.18837); plain conditioning is s_V = s_T = 1. `instruct_diffusion` (arXiv
    2309.03895): `(e(V,0) + e(0,T)) / 2 + s_V (e(V,T) - e(0,T)) + s_T (e(V,T) - e(V,0))`; plain conditioning is
    s_V = s_T = 1/2. Both are linear in the predictions, so they mean the same for noise, velocity and clean latents.

    Raises:
        ModelError: no such rule.
    """
    if rule == "instruct_pix2pix":
        weights = {
            (False, False): 1 - scales.video,
            (True, False): scales.video - scales.text,
            (True, True): scales.text,
        }
    elif rule == "instruct_diffusion":
        weights = {
            (False, True): 0.5 - scales.video,
            (True, False): 0.5 - scales.text,
            (True, True): scales.video + scales.text,
        }
    else:
        raise ModelError(unknown_name("guidance rule", rule, get_args(Rule)))
    return {seen: weight for seen, weight in weights.items() if weight != 0}


def guide(denoise: Denoise, scales: Scales, *, rule: str = "instruct_pix2pix", together: bool = True) -> Tensor:
    """Combine the passes of `denoise`; a pass without weight is not computed.

    `together`: in one batch, which is faster where there is memory for it, or else one after the other.
    """
    weights = pass_weights(scales, rule)
    groups = [list(weights)] if together else [[seen] for seen in weights]
    predictions = [prediction for group in groups for prediction in denoise(group)]
    terms = [weight * prediction for weight, prediction in zip(weights.values(), predictions, strict=True)]
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total
