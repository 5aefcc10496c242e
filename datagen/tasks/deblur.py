"""Deblurring pairs: the sharp clip, and the same clip through a long exposure, a shaking hand or a lens out of focus."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import AfterValidator, Field, PositiveFloat

from configs import Interval, PositiveInterval, Settings
from datagen.clip_depth import clip_depth, draw_depth
from datagen.effects.blur import Glimpse, Interpolator, Lights, defocus_blur, exposure_blur, shake_blur, tremor
from datagen.settings import Recipe
from datagen.sources.base import Clip, Moments, SourceVideo
from datagen.tasks.base import Builder, Pair, Parameters, UnsuitableClipError, pick

Kind = Literal["motion", "shake", "defocus"]
_SHARES: dict[Kind, float] = {"motion": 0.6, "shake": 0.25, "defocus": 0.15}
_EXPOSURES = {"gopro": tuple(m / 240 for m in range(7, 14, 2)), "bsd": (0.008, 0.016, 0.024)}
"""Seconds. GoPro: 7 to 13 frames at 240 a second (Nah et al. 2017). BSD: the three long exposures of the beam-splitter
set (Zhong et al. 2020)."""
HIGH_RATE = 200.0
"""Frames per second from which on the mean of neighbouring frames is a blur without ghosts (GoPro's are of 240)."""
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

    @property
    def longest(self) -> float:
        """The longest exposure, in seconds."""
        return self.exposure[1] if self.exposure else max(_EXPOSURES[self.preset])


class Deblur(Builder[DeblurOptions]):
    """Averages of pictures in linear light, made from the clip alone; the target is each exposure's middle frame."""

    name = "deblur"
    effect = "blur"
    version = 3
    Options = DeblurOptions
    units: ClassVar[Mapping[str, str]] = {
        "exposure": "intervals between frames",
        "samples": "pictures an exposure",
        "per_interval": "pictures an interval",
        "paths": "px",
    }

    def draw(self, clip: Clip, options: DeblurOptions, rng: np.random.Generator) -> dict[str, Any]:
        """Draw the kind of blur and its parameters, per frame."""
        kind = _draw_kind(clip, options, rng)
        frames, height = clip.frames.shape[:2]
        light = {"kind": kind, "light": "linear, gamma 2.2"}
        if kind == "defocus":
            return {**light, **_draw_defocus(clip, rng.uniform(*options.defocus) * height, rng)}
        if kind == "motion" and clip.moments is not None:
            return {**light, **_draw_true_exposure(clip, clip.moments, options, rng)}
        exposure = _draw_exposure(options, rng)
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


def frames_around(video: SourceVideo, recipe: Recipe) -> int:
    """Return how many frames before and after its own an exposure takes at most where it is made of the video's frames.

    0 for video that is too slow for that, for pairs that exist already, and where the recipe asks for no motion blur.
    """
    if video.fps < HIGH_RATE or video.facts.get("task") == "deblur" or "deblur" not in recipe.tasks:
        return 0
    options = BUILDER.options(recipe.tasks["deblur"])
    return _reach(options.longest, video.fps) if "motion" in options.kinds else 0


def _reach(seconds: float, fps: float) -> int:
    """Return how many frames on each side an exposure has beside its middle one."""
    return max(round((seconds * fps - 1) / 2), 1)


def _draw_true_exposure(
    clip: Clip, moments: Moments, options: DeblurOptions, rng: np.random.Generator
) -> dict[str, Any]:
    """Draw how many frames of the video itself make each picture, an odd number: as many as its shot has room for."""
    step, frames, fps = clip.window.step, len(clip.frames), clip.video.fps
    room = min(moments.first, len(moments.frames) - 1 - moments.first - (frames - 1) * step)
    seconds = _draw_exposure(options, rng, most=(2 * room + 1) / fps if room else -1.0)
    samples = 2 * _reach(seconds, fps) + 1
    share = round(samples / step, 5)
    return {"samples": [samples] * frames, "per_interval": step, "exposure": [share] * frames, "interpolation": NONE}


def _moment(clip: Clip) -> Callable[[float], Glimpse]:
    """Return what gives the video's own frame at a time in frames of the clip."""
    moments = clip.moments
    if moments is None:
        raise ValueError(f"{clip.video.id} was not read at its full rate")
    lights = Lights(moments.frames, keep=2 * clip.window.step)
    return lambda time: Glimpse(lights[moments.first + round(time * clip.window.step)])


def _draw_kind(clip: Clip, options: DeblurOptions, rng: np.random.Generator) -> Kind:
    """Draw the kind of blur; of a single frame nobody knows how it moves."""
    kind = pick(options.kinds, rng)
    if kind != "motion" or len(clip.frames) > 1 or clip.moments is not None:
        return kind
    others = {name: share for name, share in options.kinds.items() if name != "motion"}
    if not others:
        raise UnsuitableClipError("no motion: a single frame has none; --set 'tasks.deblur.kinds={shake: 1}', say")
    return pick(others, rng)


def _draw_exposure(options: DeblurOptions, rng: np.random.Generator, *, most: float = math.inf) -> float:
    """Draw an exposure in seconds; one of at most `most` is had in the clip's shot."""
    low, high = options.exposure or (0.0, 0.0)
    choices = [seconds for seconds in _EXPOSURES[options.preset] if seconds <= most]
    if low > most or (options.exposure is None and not choices):
        raise UnsuitableClipError("no room for an exposure: its frames would lie before or after the clip's shot")
    if options.exposure is not None:
        return float(rng.uniform(low, min(high, most)))
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
