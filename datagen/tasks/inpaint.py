"""Inpainting pairs: the whole clip, and the same clip with a hole in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import cv2
import numpy as np
from pydantic import AfterValidator, Field, PositiveFloat

from configs import PositiveInterval, Settings, Share
from datagen.effects import masks
from datagen.scenes.description import COLOURS
from datagen.sources.base import Clip
from datagen.tasks.base import Builder, Pair, Parameters, pick

Kind = Literal["blob", "stroke", "box", "silhouette", "text", "logo"]
NOUNS = {
    "blob": "blot",
    "stroke": "scribble",
    "box": "box",
    "silhouette": "cut-out shape",
    "text": "lettering",
    "logo": "logo",
}
GIVEN = "given"
_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
_SHARES: dict[Kind, float] = {"blob": 0.35, "stroke": 0.2, "box": 0.15, "silhouette": 0.15, "text": 0.1, "logo": 0.05}
_WORDS = (
    "SAMPLE", "PREVIEW", "DRAFT", "REC", "LIVE", "CHANNEL 5", "DO NOT COPY", "Archive", "screener", "12:45", "TAPE 3",
    "studio north", "EVENING NEWS", "work in progress", "(c) 1998", "VIDEO ART", "Episode 7", "demo only",
)  # fmt: skip
_CHANNELS = ("TV", "5", "HD", "N24", "one", "CH7", "VX", "live", "K2", "4U", "art", "MAX")
_LOGO_SIZE = 0.5
"""Of logos, as a share of other holes' height; as wide as high."""
_LOGO_MARGIN = 0.04
"""Between a logo and the picture's borders, as a share of the picture's height."""
_LEAST_SCALE, _LETTERS = 0.35, 1 / 300
"""Of letters: about 8 pixels high, the smallest that can be read; and of each row of the picture, for letters a twelfth
as high as it (their strokes are a seventh of that)."""
_WIDEST = 0.95
"""Share of the picture's width that lettering fills at most."""
_LIKE, _HIDDEN = 100.0, 0.25
"""Distance in RGB below which a colour does not stand out, and from which share of a hole on it would be hard to see."""
_THIN = ("text", "logo")
_LEAST_SHARE = 0.01
"""Of the picture: a smaller object has no outline worth cutting out."""
_ROWS, _COLUMNS = ("top", "middle", "bottom"), ("left", "center", "right")


def _at_most_all(ends: tuple[float, float]) -> tuple[float, float]:
    if ends[1] > 1:
        raise ValueError("must be at most 1, the whole picture")
    return ends


class InpaintOptions(Settings):
    """What holes look like."""

    kinds: dict[Kind, PositiveFloat] = Field(default=_SHARES, min_length=1)
    """Shares of the kinds of hole. `silhouette` is an object's outline put elsewhere; a clip without object masks gets
    a blob instead. A `logo` stands in a corner."""
    extent: Annotated[PositiveInterval, AfterValidator(_at_most_all)] = (0.2, 0.6)
    """Height and width of the hole, as shares of the picture's (ProPainter's masks: 0.33 to 1); logos are half as high."""
    stationary: Share = 0.5
    """Share of the holes that do not move (ProPainter: half of them); logos never do."""
    speed: float = Field(0.02, ge=0, le=0.2)
    """Longest step of a moving hole from frame to frame, as a share of the picture's height."""
    noise: Share = 0.25
    """Share of the holes that are filled with noise instead of one colour; lettering and logos have one colour, for in
    thin strokes noise is hard to see."""
    grow_given: int = Field(0, ge=0, le=100)
    """How often a hole that the data set itself gives is widened by the pixels that touch it (the papers: 4)."""
    described: Share = 0.3
    """Share of the instructions that name the hole ("the green scribble at the top left") instead of relying on the
    mask; the mask is stored all the same. Only holes of one colour can be named."""


class Inpaint(Builder[InpaintOptions]):
    """A hole that keeps its shape and moves smoothly, filled with a colour or with noise; the mask is exact."""

    name = "inpaint"
    effect = "hole"
    version = 2
    Options = InpaintOptions
    units: ClassVar[Mapping[str, str]] = {
        "share": "of the picture",
        "fill.colour": "0 to 255",
        **dict.fromkeys(("grow", "offset", "track", "shape.outline", "shape.way", "shape.thickness"), "px"),
    }

    def draw(self, clip: Clip, options: InpaintOptions, rng: np.random.Generator) -> dict[str, Any]:
        """Draw the hole's kind, shape and way, what fills it, and whether the instruction names it. A hole that the data set
        gives is taken as it is."""
        frames, height, width = clip.frames.shape[:3]
        kind: str = pick(options.kinds, rng) if clip.hole is None else GIVEN
        things = _seen_things(clip) if kind == "silhouette" else []
        if kind == "silhouette" and not things:
            kind = "blob"
        hole: dict[str, Any]
        if kind == GIVEN:
            hole = {"rounds": options.grow_given}
        elif kind == "silhouette":
            hole = _draw_silhouette(things, height, width, rng)
        elif kind == "logo":
            hole = _draw_logo(rng.uniform(*options.extent) * _LOGO_SIZE * height, clip.frames.shape, rng)
        else:
            high, wide = (rng.uniform(*options.extent) * side for side in (height, width))
            shape, room = _draw_shape(kind, high, wide, (height, width), rng)
            moves = rng.random() >= options.stationary
            step = options.speed * height if moves else 0.0
            track = masks.bouncing_track(
                rng, frames, room=room, size=(width, height), speed=step, acceleration=step / 4
            )
            hole = {"shape": shape, "track": track}
        mask = self._mask(clip, hole)
        colours = _showing(clip, mask) if kind in _THIN else list(COLOURS)
        colour = colours[int(rng.integers(len(colours)))]
        noisy = rng.random() < options.noise and kind not in _THIN
        what = {"seed": int(rng.integers(2**31))} if noisy else {"colour": list(COLOURS[colour])}
        described = rng.random() < options.described and not noisy and kind in NOUNS
        parameters = {**hole, "kind": kind, "fill": what, "share": [round(float(m.mean() / 255), 4) for m in mask]}
        return {**parameters, "described": _describe(kind, colour, mask) if described else ""}

    def apply(self, clip: Clip, parameters: Parameters) -> Pair:
        """Cut the described hole into the clip."""
        mask = self._mask(clip, parameters)
        named = parameters["described"]
        return Pair(
            source=masks.fill(clip.frames, mask, parameters["fill"]),
            target=clip.frames,
            mask=mask,
            family="described" if named else "",
            attributes={"hole": named} if named else {},
        )

    def _mask(self, clip: Clip, hole: Parameters) -> masks.Mask:
        if "rounds" in hole:
            if clip.hole is None:
                raise ValueError(f"{clip.video.id} gives no hole")
            return np.stack([cv2.dilate(frame, _CROSS, iterations=hole["rounds"]) for frame in clip.hole])
        if "thing" in hole:
            if clip.ids is None:
                raise ValueError(f"{clip.video.id} has no object masks")
            seen = np.where(clip.ids == hole["thing"], np.uint8(255), np.uint8(0))
            return masks.moved(seen, tuple(hole["offset"]), hole["grow"])
        return masks.draw_mask(hole["shape"], hole["track"], clip.frames.shape[1:3])


def _draw_shape(
    kind: str, high: float, wide: float, size: tuple[int, int], rng: np.random.Generator
) -> tuple[dict[str, Any], tuple[float, float]]:
    """Return a shape, and how far its centre should stay from the borders (x, y)."""
    if kind == "blob":
        return {"kind": kind, "outline": masks.bezier_blob(rng, high, wide)}, (wide / 2, high / 2)
    if kind == "box":
        return {"kind": kind, "outline": masks.box(high, wide)}, (wide / 2, high / 2)
    if kind == "stroke":
        thickness = max(round(rng.uniform(0.08, 0.2) * min(high, wide)), 2)
        return {"kind": kind, "way": masks.brush_stroke(rng, high, wide), "thickness": thickness}, (wide / 2, high / 2)
    shape: dict[str, Any] = {
        "kind": kind,
        "words": _WORDS[int(rng.integers(len(_WORDS)))],
        "font": int(rng.integers(masks.fonts())),
        "scale": 1.0,
        "thickness": 2,
    }
    # letters are as wide as the hole should be, but large enough to be seen, and as bold as they can be read
    least = min(_LETTERS * size[0], _WIDEST * size[1] / masks.text_size(shape)[0])
    shape["scale"] = max(round(wide / masks.text_size(shape)[0], 3), round(least, 3), _LEAST_SCALE)
    shape["thickness"] = max(round(3.6 * shape["scale"]), 1)
    width, height = masks.text_size(shape)
    return shape, (width / 2, height / 2)


def _draw_logo(side: float, video_shape: tuple[int, ...], rng: np.random.Generator) -> dict[str, Any]:
    """Draw a channel's logo, an emblem with letters left open, that stands in one corner of the picture."""
    frames, height, width = video_shape[:3]
    shape: dict[str, Any] = {
        "kind": "logo",
        "outline": masks.emblem(rng, side),
        "words": _CHANNELS[int(rng.integers(len(_CHANNELS)))],
        "font": int(rng.integers(masks.fonts())),
        "scale": 1.0,
        "thickness": 1,
    }
    # the letters fill half of the emblem's width, or of its height
    wide, high = masks.text_size(shape)
    shape["scale"] = round(0.5 * side / max(wide, high), 3)
    shape["thickness"] = max(round(2 * shape["scale"]), 1)
    away = side / 2 + _LOGO_MARGIN * height
    x, y = (float(rng.choice([away, length - away])) for length in (width, height))
    return {"shape": shape, "track": [[round(x, 2), round(y, 2)]] * frames}


def _showing(clip: Clip, mask: masks.Mask) -> list[str]:
    """Return the colours that stand out from what a hole covers, or else the one that does most."""
    covered = clip.frames[mask > 0].astype(np.float32)
    if not len(covered):
        return list(COLOURS)
    hidden = {name: float((np.linalg.norm(covered - rgb, axis=1) < _LIKE).mean()) for name, rgb in COLOURS.items()}
    return [name for name, share in hidden.items() if share < _HIDDEN] or [min(hidden, key=lambda name: hidden[name])]


def _seen_things(clip: Clip) -> list[int]:
    """Return the ids of the objects of which enough is seen in every frame of the clip."""
    if clip.ids is None:
        return []
    shares = np.stack([np.bincount(ids.reshape(-1), minlength=256)[1:] / ids.size for ids in clip.ids])
    return [int(k) + 1 for k in np.flatnonzero(shares.min(0) >= _LEAST_SHARE)]


def _draw_silhouette(things: list[int], height: int, width: int, rng: np.random.Generator) -> dict[str, Any]:
    offset = rng.uniform(-0.25, 0.25, 2) * [width, height]
    return {
        "thing": things[int(rng.integers(len(things)))],
        "offset": [round(float(step)) for step in offset],
        "grow": max(round(0.02 * height), 1),
    }


def _describe(kind: str, colour: str, mask: masks.Mask) -> str:
    """Name a hole: `the green scribble at the top left`; the place is that of its middle in the first frame."""
    rows, columns = np.nonzero(mask[0])
    if not len(rows):
        return f"the {colour} {NOUNS[kind]}"
    row = _ROWS[min(int(3 * rows.mean() / mask.shape[1]), 2)]
    column = _COLUMNS[min(int(3 * columns.mean() / mask.shape[2]), 2)]
    place = "in the middle" if (row, column) == ("middle", "center") else f"at the {row} {column}"
    return f"the {colour} {NOUNS[kind]} {place}"


BUILDER = Inpaint()
