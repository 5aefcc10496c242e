"""The table of all methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.methods import (
    colour,
    deblurring,
    dehazing,
    editing,
    grounding,
    haze_lines,
    inpainting,
    oracles,
    pretrained,
    propagation,
    segmentation,
)
from benchmarks.methods.base import Method
from benchmarks.methods.identity import IDENTITY
from benchmarks.networks import NotAvailable, located
from configs import ConfigError, unknown_name

METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        IDENTITY,
        # dehaze
        dehazing.DARK_CHANNEL,
        dehazing.DARK_CHANNEL_TEMPORAL,
        haze_lines.HAZE_LINES,
        dehazing.CLAHE,
        oracles.KNOWN_HAZE,
        # deblur
        deblurring.UNSHARP,
        deblurring.WIENER,
        deblurring.RICHARDSON_LUCY,
        deblurring.BURST_FUSION,
        # inpaint
        inpainting.TELEA,
        inpainting.NAVIER_STOKES,
        inpainting.BIHARMONIC,
        inpainting.TEMPORAL_MEDIAN,
        inpainting.FLOW_PROPAGATION,
        # recolor
        colour.MEAN_CHROMA,
        colour.CHROMA_TABLE,
        colour.REINHARD,
        propagation.LEVIN,
        oracles.KNOWN_CHROMA,
        # segment
        segmentation.EMPTY,
        segmentation.CENTRE,
        segmentation.COLOUR_WORDS,
        segmentation.MOTION_SALIENCY,
        segmentation.PARSER,
        segmentation.FIRST_FRAME,
        oracles.KNOWN_MASK,
        # edit
        editing.FILTER_PROGRAM,
        editing.REINHARD_EDIT,
        oracles.KNOWN_INSIDE,
        # of others, where their weights are here
        *pretrained.PRETRAINED,
        *grounding.GROUNDING,
    )
}
"""The bench's own, by name."""


def check_methods(
    wanted: Sequence[str],
    tasks: Sequence[str],
    entrants: Sequence[Method] = (),
    weights: Mapping[str, str] | None = None,
) -> None:
    """Raise unless every wanted method can be run for one of the tasks.

    Raises:
        ConfigError: a wanted method is unknown, or fits none of the tasks; or an entrant has the name of another method.
        NotAvailable: a wanted method's weights are not here.
    """
    known = _all(entrants)
    for name in wanted:
        if name == "vidiff" and name not in known:
            raise ConfigError("method 'vidiff' needs --model RUN, the folder of a trained model")
        if name not in known:
            raise ConfigError(unknown_name("method", name, known) + _told_entrants(entrants))
    for method in [known[name] for name in wanted] + list(entrants):
        if not any(method.fits(task) for task in tasks):
            raise ConfigError(f"method {method.name!r} is for {', '.join(method.tasks)}; scored is {', '.join(tasks)}")
        for network in method.networks:
            _check_network(method, network, weights or {})


def _told_entrants(entrants: Sequence[Method]) -> str:
    """Return a hint for who looks for an entrant under another name than it has; nothing where there is none."""
    if not entrants:
        return ""
    names = ", ".join(method.name for method in entrants)
    return (
        f"; what --model, --method and --predictions name (here {names}) is scored whatever --methods says, and a model without "
        "a name is called vidiff (--model NAME=FOLDER)"
    )


def _check_network(method: Method, network: str, weights: Mapping[str, str]) -> None:
    try:
        located(network, weights)
    except NotAvailable as missing:
        raise NotAvailable(f"method {method.name!r} is n/a ({missing})") from None


def methods_for(
    task: str,
    wanted: Sequence[str],
    entrants: Sequence[Method] = (),
    weights: Mapping[str, str] | None = None,
    *,
    can_learn: bool = True,
    references: bool = True,
) -> list[Method]:
    """Return the methods to run for a task: those wanted that fit it, identity and entrants always.

    If none is named, all whose weights are here, that have something to learn from if they need it (`can_learn`), and
    pictures to follow if they need them (`references`).
    """
    always = {IDENTITY.name, *(method.name for method in entrants)}
    return [
        method
        for name, method in _all(entrants).items()
        if method.fits(task)
        and (
            name in wanted
            or name in always
            or (
                not wanted
                and not method.lacks(weights or {})
                and (can_learn or not method.learns_here)
                and (references or not method.needs_reference)
            )
        )
    ]


def _all(entrants: Sequence[Method]) -> dict[str, Method]:
    found = dict(METHODS)
    for method in entrants:
        if method.name in found:
            raise ConfigError(
                f"two methods are named {method.name!r}; give one another name, as in --model NAME=FOLDER"
            )
        found[method.name] = method
    return found
