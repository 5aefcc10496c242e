"""Where the camera is, and where things are before it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datagen.scenes.description import Scene, Thing
from datagen.scenes.textures import THING_PIXELS


@dataclass(frozen=True, kw_only=True)
class View:
    """Where the camera is in one frame, and what follows from it."""

    scene: Scene
    s: float
    x: float
    y: float
    z: float

    def project(self, x: float, y: float, z: float) -> tuple[float, float, float]:
        """Return column, row and pixels per metre of a point in metres."""
        scale = self.scene.focal / (z - self.z)
        return self.scene.width / 2 + (x - self.x) * scale, self.row_of_horizon - (y - self.y) * scale, scale

    @property
    def row_of_horizon(self) -> float:
        """Row, in pixels, where the ground would end if it were endless."""
        return self.scene.horizon * self.scene.height

    def ground_depth(self) -> NDArray[np.float32]:
        """Return float32 [h]: depth of the ground, or of the backdrop where that is nearer, by row."""
        rows = np.arange(self.scene.height, dtype=np.float32)
        below = np.maximum(rows - np.float32(self.row_of_horizon), np.float32(1e-3))
        return np.minimum(np.float32(self.scene.focal * self.y) / below, np.float32(self.scene.backdrop_z - self.z))


def view_at(scene: Scene, frame: int) -> View:
    """Return the camera's view in one frame."""
    s = frame / max(scene.frames - 1, 1)
    return View(scene=scene, s=s, x=scene.camera_x.at(s), y=scene.camera_y.at(s), z=scene.camera_z.at(s))


def pose_of(view: View, thing: Thing) -> NDArray[np.float64]:
    """Return the 3 x 3 matrix from the pixels of a thing's picture to the pixels of the frame."""
    u, v, scale = view.project(thing.x.at(view.s), thing.y.at(view.s), thing.z.at(view.s))
    zoom = 2 * thing.radius * scale / THING_PIXELS
    cos, sin = np.cos(thing.spin.at(view.s)) * zoom, np.sin(thing.spin.at(view.s)) * zoom
    centre = (THING_PIXELS - 1) / 2
    return np.array([[cos, -sin, u - (cos - sin) * centre], [sin, cos, v - (sin + cos) * centre], [0, 0, 1]])
