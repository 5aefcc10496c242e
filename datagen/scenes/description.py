"""What a procedural scene is: a frozen description in metres, and how one is drawn at random."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from configs import ConfigError, unknown_name
from shards.colours import COLOURS as COLOURS

SHAPES = ("disc", "square", "triangle", "star", "hexagon", "ring", "diamond", "cross")
MATERIALS = {"plain": "", "brick": "brick", "grassy": "grass", "stony": "gravel"}
"""Names of object surfaces, and the texture each has."""
SIZES = {"small": 0.45, "medium": 0.75, "large": 1.15}
"""Names of object sizes: radius in metres."""
GROUNDS = ("grass", "gravel", "brick")
ALIKE = ({"square", "diamond"}, {"disc", "hexagon"}, {"orange", "brown"}, {"grassy", "stony"})
"""Words that may be taken for each other: some call a square turned by 45 degrees a diamond, and the two rough surfaces differ
in the size of their grains."""
BACKDROPS = {
    "hills": "a hilly landscape",
    "rocket": "a launch pad at dusk",
    "coffee": "a cup of coffee",
    "chelsea": "a cat's face",
    "hubble_deep_field": "a sky full of galaxies",
}
"""What backdrops show, whatever part of them is seen."""


@dataclass(frozen=True, kw_only=True)
class Track:
    """A smooth way: offset + speed * s + sway * sin(phase + 2 pi cycles s), s from 0 (first frame) to 1 (last)."""

    offset: float
    speed: float = 0.0
    sway: float = 0.0
    phase: float = 0.0
    cycles: float = 1.0

    def at(self, s: float) -> float:
        """Return the value at `s` in [0, 1]."""
        return self.offset + self.speed * s + self.sway * math.sin(self.phase + 2 * math.pi * self.cycles * s)


@dataclass(frozen=True, kw_only=True)
class Thing:
    """An upright, flat object that faces the camera. Lengths in metres, `spin` in radians."""

    shape: str
    colour: str
    material: str
    size: str
    x: Track
    y: Track
    """Height of its centre above the ground."""
    z: Track
    """Distance along the camera's initial line of sight."""
    spin: Track

    def __post_init__(self) -> None:
        known = {"shape": SHAPES, "colour": COLOURS, "material": MATERIALS, "size": SIZES}
        for what, names in known.items():
            if getattr(self, what) not in names:
                raise ConfigError(unknown_name(what, getattr(self, what), names))

    @property
    def radius(self) -> float:
        """Radius of the circle around it, in metres."""
        return SIZES[self.size]

    @property
    def name(self) -> str:
        """What one would call it: `the small red brick star`, with `plain` left out."""
        words = (self.size, self.colour, "" if self.material == "plain" else self.material, self.shape)
        return "the " + " ".join(word for word in words if word)


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A ground plane at height 0, a backdrop plane at `backdrop_z`, things between them, and a camera that moves
    without turning and looks along +z. Renders to the same pixels wherever it is rendered."""

    frames: int
    height: int
    width: int
    focal: float
    """Focal length in pixels."""
    horizon: float
    """Row of the horizon, as a share of the height."""
    camera_x: Track
    camera_y: Track
    camera_z: Track
    ground: str
    ground_colour: tuple[int, int, int]
    backdrop: str
    backdrop_z: float
    backdrop_seed: int
    light: float
    """Brightness of the whole scene, 1 as the textures are."""
    things: tuple[Thing, ...]
    hidden: tuple[int, ...] = ()
    """Numbers (from 1) of things that are taken out; those that stay keep their numbers."""

    @property
    def shown(self) -> list[tuple[int, Thing]]:
        """The things that are there, each with its number."""
        return [(k, thing) for k, thing in enumerate(self.things, start=1) if k not in self.hidden]

    def to_json(self) -> str:
        """Return the description as JSON text."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Scene:
        """Undo `to_json`."""
        values: dict[str, Any] = json.loads(text)
        values = _tracks(values)
        values["ground_colour"] = tuple(values["ground_colour"])
        values["things"] = tuple(Thing(**_tracks(thing)) for thing in values["things"])
        values["hidden"] = tuple(values["hidden"])
        return cls(**values)


def _tracks(values: dict[str, Any]) -> dict[str, Any]:
    return {name: Track(**value) if isinstance(value, dict) else value for name, value in values.items()}


def draw_scene(rng: np.random.Generator, *, frames: int, size: tuple[int, int], seconds: float = 0.64) -> Scene:
    """Draw a scene of `frames` frames of `size` (height, width) pixels that lasts `seconds`.

    Three to six things at 4 to 25 m before a backdrop at 30 to 60 m; no two things share shape and colour.
    """
    height, width = size
    count = int(rng.integers(3, 7))
    pairs = rng.choice(len(SHAPES) * len(COLOURS), count, replace=False)
    # one thing in each slice of depth, so that they overlap in the picture but never in space
    depths = np.exp(np.linspace(math.log(4.0), math.log(25.0), count + 1))
    focal = 1.1 * max(height, width)
    things = tuple(
        _draw_thing(rng, int(pair), depths[i], depths[i + 1], focal, width, seconds) for i, pair in enumerate(pairs)
    )
    return Scene(
        frames=frames,
        height=height,
        width=width,
        focal=focal,
        horizon=_number(rng, 0.3, 0.48),
        camera_x=Track(
            offset=0.0, speed=_number(rng, -1.2, 1.2) * seconds, sway=_number(rng, 0, 0.05), phase=_number(rng, 0, 6.28)
        ),
        camera_y=Track(offset=_number(rng, 1.3, 2.2), sway=_number(rng, 0, 0.03), phase=_number(rng, 0, 6.28)),
        camera_z=Track(offset=0.0, speed=_number(rng, -0.5, 1.5) * seconds),
        ground=_pick(rng, GROUNDS),
        ground_colour=_ground_colour(rng),
        backdrop=_pick(rng, (*BACKDROPS, *("hills",) * 3)),
        backdrop_z=_number(rng, 30.0, 60.0),
        backdrop_seed=int(rng.integers(2**31)),
        light=_number(rng, 0.8, 1.15),
        things=things,
    )


def _draw_thing(
    rng: np.random.Generator, pair: int, near: float, far: float, focal: float, width: int, seconds: float
) -> Thing:
    size = _pick(rng, tuple(SIZES))
    radius = SIZES[size]
    z = _number(rng, near + 0.25 * (far - near), far - 0.25 * (far - near))
    reach = 0.42 * width / focal * z
    bounces = rng.random() < 0.4
    return Thing(
        shape=SHAPES[pair % len(SHAPES)],
        colour=tuple(COLOURS)[pair // len(SHAPES)],
        material=_pick(rng, tuple(MATERIALS)),
        size=size,
        x=Track(
            offset=_number(rng, -reach, reach),
            speed=_number(rng, -0.45, 0.45) * z * 0.4 * seconds,
            sway=_number(rng, 0, 0.06),
        ),
        y=Track(
            offset=radius * (1.5 if bounces else 1.02),
            sway=0.45 * radius if bounces else 0.0,
            phase=_number(rng, 0, 6.28),
        ),
        z=Track(offset=z, speed=_number(rng, -0.15, 0.15) * (far - near)),
        spin=Track(
            offset=_number(rng, -0.3, 0.3), speed=_number(rng, -2.0, 2.0) * seconds if rng.random() < 0.5 else 0.0
        ),
    )


def _ground_colour(rng: np.random.Generator) -> tuple[int, int, int]:
    base = np.array(
        [(96, 128, 62), (150, 128, 94), (134, 110, 88), (120, 122, 126), (176, 150, 108)][int(rng.integers(5))]
    )
    red, green, blue = (int(value) for value in np.clip(base + rng.integers(-18, 19, 3), 20, 235))
    return red, green, blue


def _number(rng: np.random.Generator, low: float, high: float) -> float:
    return round(float(rng.uniform(low, high)), 5)


def _pick(rng: np.random.Generator, names: tuple[str, ...]) -> str:
    return names[int(rng.integers(len(names)))]
