"""Edits of the whole picture that any video allows: styles, weather, light, and the colours of a reference image."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from datagen.edits import Drawn, Edit, Edited, Operation, one_of, phrase
from datagen.effects import relight, styles, weather
from datagen.effects.depth import perspective_depth
from datagen.effects.haze import haze
from datagen.scenes.textures import photograph
from datagen.sources.base import Clip
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
    "reference": (
        "give it the colors of the reference image",
        "match the palette of the picture",
        "transfer the mood of the reference image to it",
        "grade it like the example image",
        "make its colors agree with the given picture",
    ),
}
_PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "hubble_deep_field", "ihc", "rocket")
"""Pictures with strong colours of their own that come with scikit-image."""
_REFERENCE_SIDE = 224


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**31))


def _between(rng: np.random.Generator, low: float, high: float) -> float:
    return round(float(rng.uniform(low, high)), 4)


_DRAWN: dict[str, Callable[[np.random.Generator, Clip], dict[str, Any]]] = {
    "cartoon": lambda rng, clip: {"tones": int(rng.integers(5, 9)), "lines": _between(rng, 0.6, 0.95)},
    "pencil": lambda rng, clip: {"seed": _seed(rng), "darkness": _between(rng, 0.7, 1.4)},
    "oil": lambda rng, clip: {"radius": _between(rng, 0.012, 0.022)},
    "pixel_art": lambda rng, clip: {"rows": int(rng.integers(40, 81)), "colours": int(rng.integers(12, 33))},
    "vintage": lambda rng, clip: {"seed": _seed(rng), "strength": _between(rng, 0.6, 1.0)},
    "rain": lambda rng, clip: {
        "seed": _seed(rng),
        "fps": clip.fps,
        "amount": _between(rng, 0.6, 1.8),
        "slant": _between(rng, -0.4, 0.4),
    },
    "snow": lambda rng, clip: {
        "seed": _seed(rng),
        "fps": clip.fps,
        "amount": _between(rng, 0.5, 1.8),
        "wind": _between(rng, -0.8, 0.8),
    },
    "night": lambda rng, clip: {"strength": _between(rng, 0.8, 1.0)},
    "golden_hour": lambda rng, clip: {
        "side": one_of((-1, 1), rng) * _between(rng, 0.4, 1.0),
        "strength": _between(rng, 0.8, 1.2),
    },
    "bright_day": lambda rng, clip: {"strength": _between(rng, 0.7, 1.1)},
}
"""How the parameters of each look are drawn; what they mean is said at the function of that name."""
_LOOKS: dict[str, Look] = {
    "cartoon": styles.cartoon,
    "pencil": styles.pencil,
    "oil": styles.oil,
    "pixel_art": styles.pixel_art,
    "vintage": styles.vintage,
    "rain": weather.rain,
    "snow": weather.snow,
    "night": relight.night,
    "golden_hour": relight.golden_hour,
    "bright_day": relight.bright_day,
}
_GROUPS = {
    "style": ("cartoon", "pencil", "oil", "pixel_art", "vintage"),
    "weather": ("rain", "snow", "fog"),
    "light": ("night", "golden_hour", "bright_day"),
}


def _draw_look(names: Sequence[str]) -> Callable[[Clip, np.random.Generator], Drawn]:
    def draw(clip: Clip, rng: np.random.Generator) -> Drawn:
        name = one_of(names, rng)
        if name == "fog":
            return _draw_fog(clip, rng)
        values = _DRAWN[name](rng, clip)
        words = {"side": relight.toward(values["side"])} if "side" in values else {}
        return Drawn(program=[{"op": name, **values}], words=phrase(_WORDINGS[name], rng, **words))

    return draw


def _draw_fog(clip: Clip, rng: np.random.Generator) -> Drawn:
    """Draw a beta that lets a third to two thirds of the light of the clip's median pixel through."""
    prior = {"horizon": _between(rng, 0.15, 0.45), "far": _between(rng, 6.0, 14.0)}
    middle = float(np.median(_depth(clip, prior)[::2, ::8, ::8]))
    values = {
        "beta": round(-float(np.log(rng.uniform(0.3, 0.6))) / middle, 6),
        "airlight": _between(rng, 0.6, 0.85),
        "depth": "exact" if clip.depth is not None else prior,
    }
    return Drawn(program=[{"op": "fog", **values}], words=phrase(_WORDINGS["fog"], rng))


def _depth(clip: Clip, prior: Any) -> NDArray[np.float32]:
    return clip.depth if clip.depth is not None else perspective_depth(clip.frames, **prior)


def _apply_look(clip: Clip, program: Sequence[Operation]) -> Edited:
    (operation,) = program
    values = {name: value for name, value in operation.items() if name != "op"}
    if operation["op"] == "fog":
        depth, airlight = _depth(clip, values["depth"]), [[values["airlight"]] * 3] * len(clip.frames)
        target = haze(clip.frames, depth, beta=[values["beta"]] * len(clip.frames), airlight=airlight)
    else:
        target = _LOOKS[operation["op"]](clip.frames, **values)
    return Edited(target=target, mask=_everywhere(clip))


def _everywhere(clip: Clip) -> Video:
    return np.full(clip.frames.shape[:3], 255, np.uint8)


def _draw_reference(clip: Clip, rng: np.random.Generator) -> Drawn:
    operation = {
        "op": "reference",
        "picture": one_of(_PHOTOGRAPHS, rng),
        "turn": int(rng.integers(0, 180)),
        "chroma": _between(rng, 0.6, 1.3),
        "light": _between(rng, 0.8, 1.2),
        "strength": _between(rng, 0.8, 1.0),
    }
    return Drawn(program=[operation], words=phrase(_WORDINGS["reference"], rng))


def _apply_reference(clip: Clip, program: Sequence[Operation]) -> Edited:
    (operation,) = program
    picture = _reference(operation)
    target = styles.with_colours_of(clip.frames, picture, strength=operation["strength"])
    return Edited(target=target, mask=_everywhere(clip), reference=picture)


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
