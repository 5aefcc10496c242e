"""Long Video Sampling Correction: a window is led through the frames it shares with the one before."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

CORRECTED_STEPS = 0.5
"""Share of the denoising steps, from the first on, that are corrected (InsV2V, arXiv 2311.00213, section 3.3)."""


@dataclass(frozen=True, eq=False)
class Overlap:
    """The frames that a window begins with, as the window before ended with them; both float [1 c k h w].

    `latents`: what became of them. `noise`: of unit variance, what they were made from.
    """

    latents: Tensor
    noise: Tensor

    @property
    def frames(self) -> int:
        """How many there are."""
        return int(self.latents.shape[2])

    def last(self, count: int) -> Overlap:
        """Return the last `count` frames."""
        return Overlap(self.latents[:, :, -count:], self.noise[:, :, -count:])


def begin_with(noise: Tensor, overlap: Overlap) -> Tensor:
    """Return noise float [1 c t h w] that begins with the overlap's."""
    return torch.cat([overlap.noise.to(noise), noise[:, :, overlap.frames :]], dim=2)


def corrected(predicted: Tensor, noisy: Tensor, overlap: Overlap, alpha_bar: Tensor, kind: str) -> Tensor:
    """Return a prediction float [1 c t h w] that is right about the overlap, and moved as much everywhere else.

    `noisy`: what the network saw, sqrt(alpha_bar) clean + sqrt(1 - alpha_bar) noise. `kind`: what is predicted, as
    diffusers' `prediction_type` calls it. For the K frames of the overlap the right prediction r follows from their clean
    latents; the others are moved by the mean over K of r - prediction. InsV2V says this of noise (with the formula
    D = r - e[:K]; e[:K] += D; e[K:] += mean D); noise, velocity and clean latent are linear in each other at a given
    step, so it is the same thing for all three.
    """
    shared = overlap.frames
    right = _right(noisy[:, :, :shared], overlap.latents.to(noisy), alpha_bar.to(noisy), kind)
    moved = predicted[:, :, shared:] + (right - predicted[:, :, :shared]).mean(dim=2, keepdim=True)
    return torch.cat([right, moved], dim=2).to(predicted.dtype)


def _right(noisy: Tensor, clean: Tensor, alpha_bar: Tensor, kind: str) -> Tensor:
    """Return what the network should say of a noisy latent whose clean latent is known."""
    if kind == "sample":
        return clean
    kept, lost = alpha_bar.sqrt(), (1 - alpha_bar).sqrt()
    return (kept * noisy - clean) / lost if kind == "v_prediction" else (noisy - kept * clean) / lost
