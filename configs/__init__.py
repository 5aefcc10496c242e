"""Recipes in YAML and the loader that turns one into a checked, frozen settings object; the ground floor."""

from typing import TYPE_CHECKING, Any

from configs.errors import (
    ConfigError,
    DatasetError,
    DecodeLimitError,
    DecoderLostError,
    MissingExtraError,
    ModelError,
    OutputError,
    SourceError,
    StoppedError,
    VideoError,
    VIDiffError,
    meant_path,
    no_weights,
    unknown_name,
)
from configs.words import counted

if TYPE_CHECKING:
    from configs.loader import Interval, PositiveInterval, Settings, Share, ShareInterval, check, load, names

__all__ = [
    "ConfigError",
    "DatasetError",
    "DecodeLimitError",
    "DecoderLostError",
    "Interval",
    "MissingExtraError",
    "ModelError",
    "OutputError",
    "PositiveInterval",
    "Settings",
    "Share",
    "ShareInterval",
    "SourceError",
    "StoppedError",
    "VIDiffError",
    "VideoError",
    "check",
    "counted",
    "load",
    "meant_path",
    "names",
    "no_weights",
    "unknown_name",
]


_OF_THE_LOADER = {"Interval", "PositiveInterval", "Settings", "Share", "ShareInterval", "check", "load", "names"}


def __getattr__(name: str) -> Any:
    # pydantic and yaml load on first use: the command lines import this package and must answer --help at once
    if name in _OF_THE_LOADER:
        from configs import loader

        return getattr(loader, name)
    raise AttributeError(f"module 'configs' has no attribute {name!r}")
