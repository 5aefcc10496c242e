"""Ray pipelines that turn clean video, or procedural scenes, into paired task data in WebDataset shards."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datagen.builder import Progress, build
    from datagen.settings import Recipe

_ROOM_OF = {"build": "builder", "Progress": "builder", "Recipe": "settings"}

__all__ = ["Progress", "Recipe", "build"]


def __getattr__(name: str) -> Any:
    if name not in _ROOM_OF:
        raise AttributeError(f"module 'datagen' has no attribute {name!r}")
    return getattr(import_module(f"datagen.{_ROOM_OF[name]}"), name)
