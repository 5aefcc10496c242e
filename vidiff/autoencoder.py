"""A lossless stand-in for a VAE: a scaled, orthonormal patch transform with `AutoencoderKL`'s interface."""

from __future__ import annotations

import math

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.models.autoencoders.vae import DecoderOutput, DiagonalGaussianDistribution
from diffusers.models.modeling_outputs import AutoencoderKLOutput
from torch import Tensor
from torch.nn import functional as F

# orthonormal opponent colours: lightness, red against blue, green against magenta
_OPPONENT = torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, -1.0], [1.0, -2.0, 1.0]])


class PatchAutoencoder(ModelMixin, ConfigMixin):  # type: ignore[misc]
    """Every `patch` x `patch` square of an image becomes the DCT of its opponent colours: `3 patch^2` channels.

    Nothing is learnt and nothing is lost, so training time goes to the diffusion model alone. Every channel is divided
    by its spread in natural video, about `std / (1 + contrast * frequency^falloff)` (measured on a dozen clips), so that
    all have about unit variance. `error_weight`, float [3p^2 1 1 1] with mean 1, is how much an error in a channel
    should count: `spread^weighting`, where 2 is the error in pixels and 0 lets the finest detail count as much as
    brightness. A trained `AutoencoderKL` drops in for it.

    It has no weights, and libraries that move weights between devices overlook it: it follows its input.
    """

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        patch: int = 4,
        lightness_std: float = 3.0,
        chroma_std: float = 0.8,
        contrast: float = 5.0,
        falloff: float = 1.3,
        weighting: float = 1.0,
        scaling_factor: float = 1.0,
        shift_factor: float = 0.0,
    ) -> None:
        super().__init__()
        basis, frequency = _basis(patch)
        at_zero = torch.tensor([lightness_std, chroma_std, chroma_std]).repeat_interleave(patch * patch)
        self.register_buffer("basis", basis)
        spread = at_zero / (1 + contrast * frequency.repeat(3) ** falloff)
        weight = spread**weighting
        self.register_buffer("spread", spread[:, None, None])
        self.register_buffer("error_weight", (weight / weight.mean())[:, None, None, None])

    def encode(self, x: Tensor, return_dict: bool = True) -> AutoencoderKLOutput | tuple[DiagonalGaussianDistribution]:
        """Return a distribution without spread over the latent of images float [b 3 h w] in [-1, 1].

        `h` and `w` are multiples of the patch; the latent is float [b 3p^2 h/p w/p].
        """
        latent = F.conv2d(x, self.basis.to(x), stride=self.config.patch) / self.spread.to(x)
        certain = DiagonalGaussianDistribution(torch.cat([latent, torch.zeros_like(latent)], dim=1), deterministic=True)
        return AutoencoderKLOutput(latent_dist=certain) if return_dict else (certain,)

    def decode(self, z: Tensor, return_dict: bool = True) -> DecoderOutput | tuple[Tensor]:
        """Return the images float [b 3 h w] whose latent is `z`, float [b 3p^2 h/p w/p]."""
        images = F.conv_transpose2d(z * self.spread.to(z), self.basis.to(z), stride=self.config.patch)
        return DecoderOutput(sample=images) if return_dict else (images,)

    def forward(self, sample: Tensor) -> Tensor:
        """Encode and decode again."""
        (latent,) = self.encode(sample, return_dict=False)
        images: Tensor = self.decode(latent.mode(), return_dict=False)[0]
        return images


def _basis(patch: int) -> tuple[Tensor, Tensor]:
    """Return orthonormal kernels float [3p^2 3 p p] and the radial frequency of each of the p^2 patterns."""
    n, k = torch.arange(patch).double(), torch.arange(patch).double()
    cosines = torch.cos(math.pi / patch * (n + 0.5) * k[:, None]) * math.sqrt(2 / patch)
    cosines[0] /= math.sqrt(2)
    patterns = torch.einsum("ay,bx->abyx", cosines, cosines).reshape(patch * patch, patch, patch)
    colours = F.normalize(_OPPONENT.double(), dim=1)
    kernels = torch.einsum("oc,pyx->opcyx", colours, patterns).reshape(3 * patch * patch, 3, patch, patch)
    frequency = torch.hypot(k[:, None].expand(patch, patch), k.expand(patch, patch)).reshape(-1)
    return kernels.float(), frequency.float()
