"""Edits of the whole picture that any video allows: styles, weather, light, and the colours of a reference image."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from datagen.clip_depth import clip_depth, draw_depth, prior_depth
from datagen.edits import Drawn, Edit, Edited, Operation, one_of, phrase
from datagen.effects import relight, styles, weather
from datagen.effects.palette import colour_statistics_transfer
from datagen.gates import changed_share
from datagen.scenes.textures import photograph
from datagen.sources.base import Clip
from datagen.tasks.base import UnsuitableClipError
from shards.sample import Video

Look = Callable[..., Video]
_WORDINGS: dict[str, tuple[str, ...]] = {
    "cartoon": (
        "turn the video into a cartoon",
        "make it look like a cartoon",
        "redraw it as an animated cartoon",
        "give it the look of a comic book",
    ),
    "pencil": (
        "turn the video into a pencil drawing",
        "make it look sketched with a pencil",
        "draw it in graphite on paper",
        "render it as a pencil sketch",
    ),
    "oil": (
        "turn the video into an oil painting",
        "make it look painted in oil",
        "repaint it with thick brush strokes",
        "render it as an oil painting on canvas",
    ),
    "pixel_art": (
        "turn the video into pixel art",
        "make it look like an old video game",
        "draw it in large pixels",
        "render it as 8-bit graphics",
    ),
    "vintage": (
        "make it look like an old film",
        "give the video a vintage look",
        "age it like a print from the seventies",
        "make it look like faded home movie footage",
    ),
    "rain": ("make it rain", "let it rain", "add rain", "turn the weather to rain", "show it on a rainy day"),
    "snow": ("make it snow", "let it snow", "add falling snow", "turn the weather to snow", "show it in a snowfall"),
    "fog": ("add fog", "let fog come up", "wrap the scene in fog", "make it a foggy day", "show it on a misty day"),
    "night": ("turn day into night", "make it night", "show the scene at night", "set it in the dark of the night"),
    "golden_hour": (
        "bathe it in the light of the evening sun",
        "show it at golden hour",
        "let the low sun shine from the {side}",
        "light it warmly from the {side} as at sunset",
    ),
    "bright_day": (
        "make it a bright sunny day",
        "put it in the light of noon",
        "let the sun shine brightly",
        "light it like a summer noon",
    ),
    "noir": (
        "turn the video into a film noir",
        "make it a hard black and white film",
        "show it in high-contrast black and white",
        "give it the look of a detective film of the forties",
    ),
    "overcast": (
        "put it under an overcast sky",
        "make it a gray day",
        "take the sun away and light it softly",
        "show it on a cloudy day",
    ),
    "reference": (
        "give it the colors of the reference image",
        "match the palette of the picture",
        "transfer the mood of the reference image to it",
        "grade it like the example image",
        "make its colors agree with the given picture",
    ),
}
_PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "ihc", "rocket")
"""Pictures with strong colours of their own that come with scikit-image; a nearly black one would leave nothing to see."""
_REFERENCE_SIDE = 224
_LEAST_SHOWN = 0.1
"""Share of the picture that a look has to change visibly: a painting of a white wall is a white wall."""


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**31))


def _between(rng: np.random.Generator, low: float, high: float) -> float:
    return round(float(rng.uniform(low, high)), 4)


_DRAWN: dict[str, Callable[[np.random.Generator, Clip], dict[str, Any]]] = {
    "cartoon": lambda rng, clip: {
        "tones": int(rng.integers(5, 9)),
        "lines": _between(rng, 0.8, 1.0),
        "saturation": _between(rng, 1.4, 1.8),
    },
    "pencil": lambda rng, clip: {
        "line": _between(rng, 1.5, 2.5),
        "shading": _between(rng, 0.5, 0.8),
        "paper": _between(rng, 0.6, 1.0),
        "seed": _seed(rng),
    },
    "oil": lambda rng, clip: {
        "radius": _between(rng, 1.8, 3.0),
        "relief": _between(rng, 0.5, 1.0),
        "saturation": _between(rng, 1.2, 1.5),
    },
    "pixel_art": lambda rng, clip: {
        "rows": int(rng.integers(36, 73)),
        "colours": int(rng.integers(10, 25)),
        "dither": _between(rng, 0.0, 0.6),
    },
    "vintage": lambda rng, clip: {
        "strength": _between(rng, 0.6, 1.0),
        "grain": _between(rng, 1.0, 4.0),
        "seed": _seed(rng),
    },
    "noir": lambda rng, clip: {
        "contrast": _between(rng, 1.3, 2.0),
        "grain": _between(rng, 1.0, 3.5),
        "seed": _seed(rng),
    },
    "rain": lambda rng, clip: {**_falling(rng, clip), "wind": _between(rng, -3, 3)},
    "snow": lambda rng, clip: {**_falling(rng, clip), "wind": _between(rng, -0.8, 0.8)},
    "fog": lambda rng, clip: {"density": _between(rng, 0.4, 0.85), "airlight": _airlight(rng)},
    "night": lambda rng, clip: {"strength": _between(rng, 0.8, 1.0), "exposure": _between(rng, 0.05, 0.12)},
    "golden_hour": lambda rng, clip: {
        "strength": _between(rng, 0.6, 1.0),
        "side": _between(rng, 10, 60) if rng.random() < 0.5 else _between(rng, 120, 170),
    },
    "overcast": lambda rng, clip: {"strength": _between(rng, 0.85, 1.0)},
    "bright_day": lambda rng, clip: {"strength": _between(rng, 0.7, 1.0)},
}
"""How the parameters of each look are drawn; what they mean is said at the function of that name."""


def _falling(rng: np.random.Generator, clip: Clip) -> dict[str, Any]:
    return {
        "fps": clip.fps,
        "intensity": _between(rng, 0.5, 1.0),
        "veil": _between(rng, 0.05, 0.25),
        "seed": _seed(rng),
    }


_LOOKS: dict[str, Look] = {
    "cartoon": styles.cartoon,
    "pencil": styles.pencil,
    "oil": styles.oil,
    "pixel_art": styles.pixel_art,
    "vintage": styles.vintage,
    "noir": styles.noir,
    "rain": weather.rain,
    "snow": weather.snow,
    "fog": weather.fog,
    "night": relight.night,
    "golden_hour": relight.golden_hour,
    "overcast": relight.overcast,
    "bright_day": relight.bright_day,
}
_GROUPS = {
    "style": ("cartoon", "pencil", "oil", "pixel_art", "vintage", "noir"),
    "weather": ("rain", "snow", "fog"),
    "light": ("night", "golden_hour", "overcast", "bright_day"),
}


def _draw_look(names: Sequence[str]) -> Callable[[Clip, np.random.Generator], Drawn]:
    def draw(clip: Clip, rng: np.random.Generator) -> Drawn:
        name = one_of(names, rng)
        values = _DRAWN[name](rng, clip)
        # a scene tells its depth by itself
        if name in _GROUPS["weather"] and clip.scene is None:
            values |= _weather_depth(name, clip, rng)
        words = {"side": "right" if values["side"] < 90 else "left"} if "side" in values else {}
        return Drawn(program=[{"op": name, **values}], words=phrase(_WORDINGS[name], rng, **words))

    return draw


def _weather_depth(name: str, clip: Clip, rng: np.random.Generator) -> dict[str, Any]:
    """Return what to record of the depth: without one the veil of what falls is everywhere the same, but fog takes a prior."""
    if clip.depth is not None or clip.depth_from != "prior":
        return draw_depth(clip, rng)
    return prior_depth(weather.HORIZON, weather.FAR) if name == "fog" else {}


def _airlight(rng: np.random.Generator) -> list[float]:
    """Draw the colour of fog, linear: gray, and a little blue."""
    gray = rng.uniform(0.55, 0.8)
    return [round(float(part), 4) for part in (0.97 * gray, 0.99 * gray, gray)]


def _apply_look(clip: Clip, program: Sequence[Operation]) -> Edited:
    (operation,) = program
    values = {name: value for name, value in operation.items() if name not in ("op", "depth", "depth_unit")}
    if operation["op"] in _GROUPS["weather"]:
        values["depth"] = clip_depth(clip, operation) if "depth" in operation else clip.depth
    return _edited(clip, operation["op"], _LOOKS[operation["op"]](clip.frames, **values))


def _edited(clip: Clip, name: str, target: Video, reference: NDArray[np.uint8] | None = None) -> Edited:
    changed = changed_share(clip.frames, target)
    if changed < _LEAST_SHOWN:
        raise UnsuitableClipError(
            f"no edit: {name} would change {changed:.0%} of the picture, less than {_LEAST_SHOWN:.0%}"
        )
    return Edited(target=target, mask=np.full(clip.frames.shape[:3], 255, np.uint8), reference=reference)


def _draw_reference(clip: Clip, rng: np.random.Generator) -> Drawn:
    operation = {
        "op": "reference",
        "picture": one_of(_PHOTOGRAPHS, rng),
        "turn": int(rng.integers(0, 180)),
        "chroma": _between(rng, 0.5, 0.95),
        "light": _between(rng, 0.8, 1.2),
        "strength": _between(rng, 0.8, 1.0),
    }
    return Drawn(program=[operation], words=phrase(_WORDINGS["reference"], rng))


def _apply_reference(clip: Clip, program: Sequence[Operation]) -> Edited:
    (operation,) = program
    picture = _reference(operation)
    target = colour_statistics_transfer(clip.frames, picture, strength=operation["strength"])
    return _edited(clip, "reference", target, picture)


def _reference(operation: Mapping[str, Any]) -> NDArray[np.uint8]:
    """Return a photograph, its hues turned by `turn` half degrees, as uint8 [s s 3]: few pictures, many palettes."""
    picture = photograph(operation["picture"])
    side = min(picture.shape[:2])
    top, left = (picture.shape[0] - side) // 2, (picture.shape[1] - side) // 2
    square = np.ascontiguousarray(picture[top : top + side, left : left + side])
    small = cv2.resize(square, (_REFERENCE_SIDE, _REFERENCE_SIDE), interpolation=cv2.INTER_AREA)
    hsv = cv2.cvtColor(small, cv2.COLOR_RGB2HSV).astype(np.int32)
    hsv[..., 0] = (hsv[..., 0] + operation["turn"]) % 180
    hsv[..., 1] = np.clip(hsv[..., 1] * operation["chroma"], 0, 255)
    hsv[..., 2] = np.clip(hsv[..., 2] * operation["light"], 0, 255)
    return np.asarray(cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB), np.uint8)


EDITS: dict[str, Edit] = {
    **{kind: Edit(draw=_draw_look(names), apply=_apply_look) for kind, names in _GROUPS.items()},
    "reference": Edit(draw=_draw_reference, apply=_apply_reference),
}
