"""The ways to take denoising steps, by their usual names: schedulers of diffusers over a model's own noise schedule."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from configs import ModelError, unknown_name

_SAMPLERS: dict[str, tuple[str, dict[str, Any], str]] = {
    "ddim": ("DDIMScheduler", {}, "deterministic, first order (arXiv 2010.02502)"),
    "dpm++": (
        "DPMSolverMultistepScheduler",
        {"algorithm_type": "dpmsolver++", "solver_order": 2},
        "deterministic, second order: DPM-Solver++ (arXiv 2211.01095); good with 10 to 25 steps",
    ),
    "unipc": ("UniPCMultistepScheduler", {"solver_order": 2}, "deterministic, second order (arXiv 2302.04867)"),
    "euler": ("EulerDiscreteScheduler", {}, "deterministic, first order in sigma (arXiv 2206.00364)"),
    "euler-a": (
        "EulerAncestralDiscreteScheduler",
        {},
        "adds new noise at every step; what InstructPix2Pix samples with, in 100 steps",
    ),
    "lcm": (
        "LCMScheduler",
        {},
        "1 to 8 steps, each from new noise, for models distilled to it (arXiv 2310.04378)",
    ),
}
_NO_CLEAN = {"euler-a"}
"""Samplers of diffusers that do not take predictions of the clean latent."""


def sampler_summaries() -> dict[str, str]:
    """Return the samplers by name, with one line each."""
    return {name: summary for name, (_, _, summary) in _SAMPLERS.items()}


def make_sampler(name: str, scheduler: Any) -> Any:
    """Return a scheduler of diffusers over the noise schedule, and for the prediction type, of `scheduler`.

    Put it into a pipeline with `pipe.scheduler = make_sampler("dpm++", pipe.scheduler)`.

    Raises:
        ModelError: no such sampler, or one that cannot use what the model predicts.
    """
    if name not in _SAMPLERS:
        raise ModelError(unknown_name("sampler", name, _SAMPLERS))
    if name in _NO_CLEAN and scheduler.config.prediction_type == "sample":
        others = ", ".join(known for known in _SAMPLERS if known not in _NO_CLEAN)
        raise ModelError(
            f"sampler {name!r} takes models that predict noise or velocity; this one predicts the clean latent: take {others}"
        )
    kind, options, _ = _SAMPLERS[name]
    made: Any = getattr(import_module("diffusers"), kind).from_config(scheduler.config, **options)
    return made
