"""LoRA weights in a pipeline, through peft: of the image model it came from, of AnimateDiff's motion, or its own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from diffusers.loaders import StableDiffusionLoraLoaderMixin
from diffusers.utils import is_peft_available

from configs import MissingExtraError, ModelError, VIDiffError, no_weights

_MOTION = re.compile(r"(motion_modules\.\d+\.)(?!transformer\.|convolution\.)")
"""AnimateDiff's names, whose temporal transformer is the whole motion module and not a part of it."""
_SIDE = re.compile(r"[._](lora_A|lora_linear_layer\.down|lora\.down|lora_down)\.|_lora\.down\.")
"""Where the name of a layer ends, and that of its first factor begins."""


class LoraMixin(StableDiffusionLoraLoaderMixin):  # type: ignore[misc]
    """What diffusers' pipelines do with LoRA weights - load, name, weigh, fuse, unload - for safetensors alone.

    The names of the spatial layers are those of the 2D U-Net, so weights trained for it fit: by diffusers, peft or kohya.
    """

    def load_lora_weights(self, source: Any, adapter_name: str | None = None, **options: Any) -> None:
        """Load LoRA weights into U-Net and text encoder: a .safetensors file, a folder or a name on the hub.

        The options are those of diffusers' pipelines.

        Raises:
            MissingExtraError: peft is not installed.
            ModelError: there are none, or they are pickled, or they are for another network.
        """
        if not is_peft_available():
            raise MissingExtraError("LoRA weights need peft: pip install 'vidiff[lora]'")
        before = sum(map(_layers_with_lora, (self.unet, self.text_encoder)))
        self._asked: set[str] = set()
        try:
            super().load_lora_weights(source, adapter_name=adapter_name, **options)
        except VIDiffError:
            raise
        except Exception as error:  # the hub's client has errors of its own, and has changed them before
            said = no_weights("" if isinstance(source, Mapping) else str(source), error)
            raise ModelError(f"the LoRA weights {_named(source)} cannot be loaded: {said}") from None
        # of what it has no place for diffusers only warns
        found = sum(map(_layers_with_lora, (self.unet, self.text_encoder))) - before
        if found != len(self._asked):
            self.unload_lora_weights()
            raise ModelError(
                f"the LoRA weights {_named(source)} are for another network: {len(self._asked) - found} of their "
                f"{len(self._asked)} layers are not in this one"
            )

    def lora_state_dict(self, source: Any, **options: Any) -> Any:
        """Read LoRA weights as diffusers does, pickles refused, and name their layers as this U-Net does."""
        _refuse_pickle(source, options.get("weight_name"))
        weights, *others = super().lora_state_dict(source, use_safetensors=True, **options)
        weights = {self._renamed(name): value for name, value in weights.items()}
        self._asked = {_SIDE.split(name)[0] for name in weights if _SIDE.search(name)}
        alphas = others[0] and {self._renamed(name): value for name, value in others[0].items()}
        return weights, alphas, *others[1:]

    def _renamed(self, name: str) -> str:
        # transformers 5 has no such part in its text encoder any more; the files have
        if not hasattr(self.text_encoder, "text_model"):
            name = name.replace("text_encoder.text_model.", "text_encoder.")
        return _MOTION.sub(r"\1transformer.", name)


def refuse_adapters(unet: Any) -> None:
    """Raise `ModelError` where LoRA layers are still apart from the weights: saved like that, nobody could load them."""
    if getattr(unet, "peft_config", None):
        raise ModelError(
            "the model holds LoRA layers; call fuse_lora() and unload_lora_weights(), or the latter alone, before saving it"
        )


def _refuse_pickle(source: Any, weight_name: str | None) -> None:
    if isinstance(source, Mapping):
        return
    path = Path(source)
    files = [path] if path.is_file() else list(path.glob(weight_name or "*")) if path.is_dir() else []
    if files and not any(file.suffix == ".safetensors" for file in files):
        raise ModelError(f"{files[0]} is no safetensors file; pickles can run code when they are loaded")


def _layers_with_lora(module: Any) -> int:
    """Return how many layers of a network have low-rank parts, each adapter counted."""
    return sum(".lora_A." in name and name.endswith(".weight") for name, _ in module.named_parameters())


def _named(source: Any) -> str:
    return "that were given" if isinstance(source, Mapping) else f"in {source}"
