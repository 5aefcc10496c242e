"""Deblurring pairs: the sharp clip, and the same clip through a long exposure, a shaking hand or a lens out of focus."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator, Field, PositiveFloat

from configs import Interval, PositiveInterval, Settings
from datagen.clip_depth import clip_depth, draw_depth
from datagen.effects.blur import Glimpse, Interpolator, Lights, defocus_blur, exposure_blur, shake_blur, tremor
from datagen.sources.base import Clip, Moments
from datagen.tasks.base import Builder, Pair, Parameters, pick

Kind = Literal["motion", "shake", "defocus"]
_SHARES: dict[Kind, float] = {"motion": 0.6, "shake": 0.25, "defocus": 0.15}
_EXPOSURES = {"gopro": tuple(m / 240 for m in range(7, 14, 2)), "bsd": (0.008, 0.016, 0.024)}
"""Seconds. GoPro: 7 to 13 frames at 240 a second (Nah et al. 2017). BSD: the three long exposures of the beam-splitter
set (Zhong et al. 2020)."""
_LEAST_RATE = 240.0
"""Pictures per second that an exposure is made of at least ..."""
_LEAST_INTERPOLATION = 8
"""... and how many times the clip's own rate."""
_SHAKE_PLACES = 17
NONE = "none: frames of the video"
"""What `interpolation` says of a true average."""


def _a_second_at_most(ends: tuple[float, float]) -> tuple[float, float]:
    if not 0 <= ends[0] <= ends[1] <= 1:
        raise ValueError("must lie between 0 and 1 second")
    return ends


class DeblurOptions(Settings):
    """What blurs the clip, and how much."""

    kinds: dict[Kind, PositiveFloat] = Field(default=_SHARES, min_length=1)
    """Shares of the kinds of blur."""
    preset: Literal["gopro", "bsd"] = "gopro"
    """Whose exposure times to draw from."""
    exposure: Annotated[Interval, AfterValidator(_a_second_at_most)] | None = None
    """Shortest and longest exposure in seconds, in place of the preset's."""
    shake: PositiveInterval = (0.004, 0.012)
    """Standard deviation of the camera's way, as a share of the picture's height."""
    defocus: PositiveInterval = (0.012, 0.035)
    """Largest circle of confusion in the clip, as a share of the picture's height."""


class Deblur(Builder[DeblurOptions]):
    """Averages of pictures in linear light, made from the clip alone; the target is each exposure's middle frame."""

    name = "deblur"
    effect = "blur"
    version = 2
    Options = DeblurOptions

    def draw(self, clip: Clip, options: DeblurOptions, rng: np.random.Generator) -> dict[str, Any]:
        """Draw the kind of blur and its parameters, per frame."""
        kind = pick(options.kinds, rng)
        frames, height = clip.frames.shape[:2]
        light = {"kind": kind, "light": "linear, gamma 2.2"}
        if kind == "defocus":
            return {**light, **_draw_defocus(clip, rng.uniform(*options.defocus) * height, rng)}
        exposure = _draw_exposure(options, rng)
        if kind == "motion" and clip.moments is not None:
            return {**light, **_draw_true_exposure(clip, clip.moments, exposure)}
        if kind == "motion":
            per_interval = max(_LEAST_INTERPOLATION, math.ceil(_LEAST_RATE / clip.fps))
            samples = max(2 * round((exposure * clip.fps * per_interval - 1) / 2) + 1, 3)
            share = round(samples / per_interval, 5)
            steps = {"samples": [samples] * frames, "per_interval": per_interval}
            return {**light, **steps, "exposure": [share] * frames, "interpolation": "flow: DIS fast, not refined"}
        amplitude = rng.uniform(*options.shake) * height
        paths = tremor(rng, frames, fps=clip.fps, exposure=exposure, amplitude=amplitude, places=_SHAKE_PLACES)
        return {**light, "exposure": [round(exposure * clip.fps, 5)] * frames, "paths": paths}

    def apply(self, clip: Clip, parameters: Parameters) -> Pair:
        """Blur the clip as described."""
        video = clip.frames
        if parameters["kind"] == "motion":
            samples, per_interval = parameters["samples"], parameters["per_interval"]
            at = Interpolator(video).at if parameters["interpolation"] != NONE else _moment(clip)
            source = exposure_blur(range(len(video)), samples=samples, per_interval=per_interval, at=at)
        elif parameters["kind"] == "shake":
            source = shake_blur(video, parameters["paths"])
        else:
            depth = clip_depth(clip, parameters)
            source = defocus_blur(video, depth, focus=parameters["focus"], aperture=parameters["aperture"])
        return Pair(source=source, target=video, family=parameters["kind"])


def _draw_true_exposure(clip: Clip, moments: Moments, seconds: float) -> dict[str, Any]:
    """Return how many frames of the video itself make each picture: an odd number, fewer where the video begins or ends."""
    step, last = clip.window.step, len(moments.frames) - 1
    reach = max(round((seconds * clip.video.fps - 1) / 2), 1)
    places = [moments.first + i * step for i in range(len(clip.frames))]
    samples = [2 * min(reach, place, last - place) + 1 for place in places]
    shares = [round(count / step, 5) for count in samples]
    return {"samples": samples, "per_interval": step, "exposure": shares, "interpolation": NONE}


def _moment(clip: Clip) -> Callable[[float], Glimpse]:
    """Return what gives the video's own frame at a time in frames of the clip."""
    moments = clip.moments
    if moments is None:
        raise ValueError(f"{clip.video.id} was not read at its full rate")
    lights = Lights(moments.frames, keep=2 * clip.window.step)
    return lambda time: Glimpse(lights[moments.first + round(time * clip.window.step)])


def _draw_exposure(options: DeblurOptions, rng: np.random.Generator) -> float:
    if options.exposure is not None:
        return float(rng.uniform(*options.exposure))
    choices = _EXPOSURES[options.preset]
    return choices[int(rng.integers(len(choices)))]


def _draw_defocus(clip: Clip, largest: float, rng: np.random.Generator) -> dict[str, Any]:
    """Draw a focus that drifts smoothly, near or far, and the aperture that gives the largest circle wanted."""
    recorded = draw_depth(clip, rng)
    depth = clip_depth(clip, recorded)
    near, middle, far = np.percentile(depth[::2, ::8, ::8], [5, 50, 95])
    start, end = (
        rng.choice([near, middle, far], 2, replace=False) if rng.random() < 0.5 else [rng.choice([near, far])] * 2
    )
    # in dioptres: a focus ring that turns evenly
    focus = 1 / np.linspace(1 / start, 1 / end, len(clip.frames))
    spread = max(abs(1 / place - 1 / f) for place in (near, far) for f in (focus[0], focus[-1]))
    return {
        **recorded,
        "focus": [round(float(f), 5) for f in focus],
        "aperture": round(float(largest / max(spread, 1e-6)), 5),
    }


BUILDER = Deblur()
