"""A small 2.5D renderer: textured ground and backdrop, moving things that hide each other, a moving camera."""

from datagen.scenes.describe import Appearance, describe
from datagen.scenes.description import Scene, Thing, Track, draw_scene
from datagen.scenes.editing import changed, without
from datagen.scenes.expressions import absent, expressions
from datagen.scenes.flow import optical_flow
from datagen.scenes.render import Rendered, render, render_edited

__all__ = [
    "Appearance",
    "Rendered",
    "Scene",
    "Thing",
    "Track",
    "absent",
    "changed",
    "describe",
    "draw_scene",
    "expressions",
    "optical_flow",
    "render",
    "render_edited",
    "without",
]
