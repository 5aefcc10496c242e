"""Procedural scenes as a source: each scene is a video, of one clip unless it is longer, with exact depth and object ids."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pydantic import BaseModel

from configs import ConfigError
from configs.loader import check
from datagen.instructions import generator
from datagen.scenes import absent, describe, draw_scene, expressions, render
from datagen.settings import NATIVE, ClipSettings, Recipe, SceneSettings
from datagen.sources.base import Clip, Examined, Reject, SourceVideo, Window

VERSION = 2
"""Raised whenever the same number gives another scene or other pixels."""


class Scenes:
    """As many scenes as the recipe says, numbered."""

    kind = "scenes"
    masks = True

    def videos(self, recipe: Recipe, examined: Examined) -> Iterator[SourceVideo | Reject]:
        """Yield the scenes; nothing is rendered yet."""
        span = _span(recipe.clip, recipe.scenes)
        for number in range(recipe.scenes.count):
            yield SourceVideo(
                kind=self.kind,
                id=f"scene-{number:06d}",
                sha256=_sha256(recipe.seed, number, recipe.clip, span),
                licence="CC0-1.0",
                frames=span,
                fps=recipe.scenes.fps,
                locator=str(number),
                name=f"scene-{number:06d}",
            )

    @staticmethod
    @contextmanager
    def reader(recipe: Recipe) -> Iterator[SceneReader]:
        """Open a renderer."""
        yield SceneReader((recipe.clip.height, recipe.clip.width))


def is_scene(source_id: str, sha256: str, recipe: Mapping[str, Any]) -> bool:
    """Whether a sample's source is a scene, by the recipe (as plain values) of the dataset that it is in."""
    number = source_id.removeprefix("scene-")
    try:
        clip = check(ClipSettings, _known(ClipSettings, recipe, "clip"), where="clip")
        scenes = check(SceneSettings, _known(SceneSettings, recipe, "scenes"), where="scenes")
    except ConfigError:
        return False
    if not number.isdecimal() or clip.size == NATIVE:
        return False
    span = _span(clip, scenes)
    return any(_sha256(recipe["seed"], int(number), clip, span, version) == sha256 for version in range(1, VERSION + 1))


def _known(settings: type[BaseModel], recipe: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a part of a recipe without what an earlier version could set and this one cannot."""
    return {key: value for key, value in recipe.get(name, {}).items() if key in settings.model_fields}


def _span(clip: ClipSettings, scenes: SceneSettings) -> int:
    """Return how many frames a scene has."""
    return max(clip.span_at(scenes.fps), scenes.frames or 0)


def _sha256(seed: int, number: int, clip: ClipSettings, span: int, version: int = VERSION) -> str:
    description = f"scene {version} {seed} {number} {span} {(clip.height, clip.width)}"
    return hashlib.sha256(description.encode()).hexdigest()


class SceneReader:
    """Renders scenes on demand."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.size = size

    def read(self, video: SourceVideo, window: Window) -> Clip:
        """Draw the scene from its sha256 and render the window."""
        scene = draw_scene(generator(video.sha256[:32]), frames=video.frames, size=self.size)
        rendered = render(scene, window.indices)
        things = describe(scene, rendered, window.indices)
        return Clip(
            video=video,
            window=window,
            frames=rendered.frames,
            depth=rendered.depth,
            depth_unit="metre",
            ids=rendered.ids,
            names=expressions(things, self.size),
            absent=absent(things),
            scene=scene,
        )
