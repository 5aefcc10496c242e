"""Dehazing pairs: the clean clip, and the same clip seen through a scattering medium."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field

from configs import Settings, Share, ShareInterval
from datagen.clip_depth import clip_depth, draw_depth
from datagen.effects.haze import patches, through_haze
from datagen.sources.base import Clip
from datagen.tasks.base import Builder, Pair, Parameters


def _seen_through(ends: tuple[float, float]) -> tuple[float, float]:
    if ends[0] == 0:
        raise ValueError("must be greater than 0: through no transmission nothing is seen")
    return ends


Preset = Literal["hazeworld", "reside"]
_HAZEWORLD_BETAS = (0.005, 0.01, 0.02, 0.03)
"""Of HazeWorld (Xu et al., CVPR 2023), per metre."""
_RESIDE_BETA = (0.6, 1.8)
"""Of RESIDE's indoor set (Li et al. 2019), on a depth whose largest value is 1."""
_CAMERA_METRES = 1.6
"""Height of the camera above the ground, where a preset needs metres and the depth is a prior."""
_GUSTS = 0.5
"""Fastest that patches of haze drift, in picture heights per second."""


class DehazeOptions(Settings):
    """Ranges that a clip's haze is drawn from."""

    preset: Preset | None = None
    """Make haze as a public data set does, in place of the ranges below: `hazeworld` (beta of 0.005 to 0.03 per metre)
    or `reside` (0.6 to 1.8 on depth up to 1); both gray, constant, homogeneous and mixed in stored values."""
    transmission: Annotated[ShareInterval, AfterValidator(_seen_through)] = (0.25, 0.75)
    """Of the clip's median pixel. The scattering coefficient beta follows from it and the clip's depth, whose unit
    differs from source to source, so that the same range means the same amount of haze everywhere."""
    faintest: float = Field(0.06, gt=0, lt=1)
    """Least transmission of the clip's far end (its 95th percentile of depth), in the densest patch: beyond it nothing is
    left to restore, so beta is lowered to keep it."""
    airlight: ShareInterval = (0.7, 1.0)
    """Brightness of the airlight in linear light (RESIDE's range)."""
    cast: float = Field(0.04, ge=0, le=0.3)
    """Largest deviation of one colour channel of the airlight from its brightness."""
    drift: float = Field(0.02, ge=0, le=0.2)
    """How far beta and airlight may slowly drift from the values drawn, up or down, as a share of them; 0 keeps them constant."""
    max_black_point: float = 45.0
    """Grey level of a clip's darkest hundredth (in each pixel's least channel): above it the clip looks hazy itself, and would
    teach that haze is clear."""
    patchy: Share = 0.25
    """Share of the clips whose haze is denser here and thinner there, and drifts with the wind."""
    patchiness: ShareInterval = (0.2, 0.6)
    """How far the density of such haze departs from its mean, as a share of it."""


class Dehaze(Builder[DehazeOptions]):
    """Atmospheric scattering I = J t + A (1 - t), t = exp(-beta d), in linear light (Narasimhan & Nayar 2002)."""

    name = "dehaze"
    effect = "haze"
    version = 4
    Options = DehazeOptions
    units: ClassVar[Mapping[str, str]] = {
        "beta": "per unit of depth",
        "airlight": "0 to 1",
        "patches.amount": "share of the density",
        "patches.wind": "heights per frame",
        **dict.fromkeys(("transmission.min", "transmission.mean", "transmission.max"), "share of light"),
    }

    def refuse(self, clip: Clip, scores: Mapping[str, Any], options: DehazeOptions) -> str | None:
        """Turn away clips in which nothing is dark: they may be hazy as they are."""
        found, most = scores["black_point"], options.max_black_point
        return f"hazy or pale itself: black_point {found:.1f} > {most:g}" if found > most else None

    def draw(self, clip: Clip, options: DehazeOptions, rng: np.random.Generator) -> dict[str, Any]:
        """Draw depth (where the clip has none), beta and airlight per frame, and patches."""
        recorded = draw_depth(clip, rng)
        depth = clip_depth(clip, recorded)
        if options.preset is not None:
            haze: dict[str, Any] = _preset(options.preset, len(clip.frames), depth, recorded, rng)
        else:
            haze = _draw_haze(options, clip, depth, rng)
        parameters = {**recorded, **haze}
        t = _transmissions(clip, _Frozen(parameters))
        ends = [cv2.minMaxLoc(frame)[:2] for frame in t]
        summary = {
            "min": [low for low, _ in ends],
            "mean": [cv2.mean(frame)[0] for frame in t],
            "max": [high for _, high in ends],
        }
        return {**parameters, "transmission": {name: _rounded(values, 4) for name, values in summary.items()}}

    def apply(self, clip: Clip, parameters: Parameters) -> Pair:
        """Put the described haze in front of the clip."""
        linear = parameters["light"].startswith("linear")
        t = _transmissions(clip, _Frozen(parameters))
        return Pair(source=through_haze(clip.frames, t, parameters["airlight"], linear=linear), target=clip.frames)


class _Frozen:
    """What the transmission depends on, as a key to remember it by."""

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters
        self.key = json.dumps([parameters[name] for name in ("beta", "depth", "patches")])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Frozen) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


@lru_cache(maxsize=1)  # drawing the parameters needs it for its summary, and applying them a moment later
def _transmissions(clip: Clip, haze: _Frozen) -> NDArray[np.float32]:
    depth, patch = clip_depth(clip, haze.parameters), haze.parameters["patches"]
    t = np.empty_like(depth)
    for distance, beta, out in zip(depth, haze.parameters["beta"], t, strict=True):
        np.multiply(distance, np.float32(-beta), out=out)
    if patch:
        t *= patches(len(t), t.shape[1:3], **patch)
    for out in t:
        cv2.exp(out, dst=out)
    return t


def _draw_haze(
    options: DehazeOptions, clip: Clip, depth: NDArray[np.float32], rng: np.random.Generator
) -> dict[str, Any]:
    frames = len(clip.frames)
    middle, far = np.percentile(depth[::2, ::8, ::8], [50, 95])
    patch = _draw_patches(options, clip.fps, rng)
    densest = 1 + patch.get("amount", 0.0)
    beta = min(-math.log(rng.uniform(*options.transmission)) / middle, -math.log(options.faintest) / (far * densest))
    brightness = rng.uniform(*options.airlight)
    colour = np.clip(brightness + rng.uniform(-options.cast, options.cast, 3), 0, 1)
    betas = beta * _track(rng, frames, options.drift)
    airlights = np.clip(colour * _track(rng, frames, options.drift)[:, None], 0, 1)
    return {
        "beta": _rounded(betas, 7),
        "airlight": [_rounded(row, 5) for row in airlights],
        "patches": patch,
        "light": "linear, gamma 2.2",
    }


def _draw_patches(options: DehazeOptions, fps: float, rng: np.random.Generator) -> dict[str, Any]:
    """Draw the arguments of `patches`, or nothing for haze that is everywhere equally dense."""
    if rng.random() >= options.patchy:
        return {}
    angle, speed = rng.uniform(0, 2 * math.pi), rng.uniform(0, _GUSTS / fps)
    return {
        "seed": int(rng.integers(2**31)),
        "cells": int(rng.integers(2, 5)),
        "amount": round(float(rng.uniform(*options.patchiness)), 4),
        "wind": _rounded([speed * math.cos(angle), 0.3 * speed * math.sin(angle)], 5),
    }


def _preset(
    name: Preset, frames: int, depth: NDArray[np.float32], recorded: Parameters, rng: np.random.Generator
) -> dict[str, Any]:
    """Draw one beta and one gray airlight for the whole clip, in the units of the depth at hand."""
    if name == "hazeworld":
        metres = 1.0 if recorded["depth_unit"] == "metre" else _CAMERA_METRES
        beta = _HAZEWORLD_BETAS[int(rng.integers(len(_HAZEWORLD_BETAS)))] * metres
    else:
        beta = rng.uniform(*_RESIDE_BETA) / float(depth.max())
    airlight = round(float(rng.uniform(0.7, 1.0)), 5)
    return {
        "beta": _rounded([beta] * frames, 7),
        "airlight": [[airlight] * 3] * frames,
        "patches": {},
        "light": "stored values",
        "preset": name,
    }


def _track(rng: np.random.Generator, frames: int, drift: float) -> NDArray[np.float64]:
    """Return a smooth factor per frame within 1 +- drift: less than half a period of a sine, so that nothing flickers."""
    phase, period = rng.uniform(0, 2 * math.pi), rng.uniform(2.0, 4.0)
    amount = rng.uniform(0, drift)
    angle = phase + 2 * math.pi * np.arange(frames) / (period * max(frames, 2))
    track: NDArray[np.float64] = 1 + amount * np.sin(angle)
    return track


def _rounded(values: Any, digits: int) -> list[float]:
    return [round(float(value), digits) for value in values]


BUILDER = Dehaze()
