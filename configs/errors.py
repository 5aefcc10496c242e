"""The errors every floor raises, and the words for a name nobody knows."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from pathlib import Path

SHOWN = 24
"""How many known names an error lists."""


class VIDiffError(Exception):
    """Base of everything this project raises on purpose; the message alone says what to do.

    ::

        VIDiffError
        ├── ConfigError       a recipe, an option or a name that is not known
        ├── SourceError       nothing usable to build from
        ├── VideoError        one video file that is not what it claims to be
        │   ├── DecodeLimitError   ... or is larger or slower than the limits allow
        │   └── DecoderLostError   ... or perhaps is: whoever looked at it died or fell silent
        ├── DatasetError      a folder that is no dataset, or one that was changed
        ├── OutputError       a place that cannot be written, or holds something else
        ├── ModelError        a folder that is no model, or weights that do not fit
        ├── MissingExtraError a package or a weight that has to be installed first
        └── StoppedError      Ctrl-C or SIGTERM, where there is more to say than that
    """

    exit_code = 2


class ConfigError(VIDiffError):
    """A recipe, an option or a name that is not known."""


class SourceError(VIDiffError):
    """There is nothing usable to build from."""


class VideoError(VIDiffError):
    """One video file is not what it claims to be."""


class DecodeLimitError(VideoError):
    """A video is larger or slower to decode than the limits allow."""


class DecoderLostError(VideoError):
    """The process that decoded a video died or fell silent; the video may or may not be the reason."""


class DatasetError(VIDiffError):
    """A folder is no dataset, or was changed after it was finished."""


class OutputError(VIDiffError):
    """A place cannot be written, or already holds something else."""


class ModelError(VIDiffError):
    """A folder is no model, or its weights do not fit."""


class MissingExtraError(VIDiffError):
    """A package or a weight file has to be installed first."""


class StoppedError(VIDiffError):
    """The user stopped it; the message says what is kept."""

    exit_code = 130


def meant_path(path: Path | str) -> str:
    """Return `; did you mean ...?` where something beside a path that does not exist is called nearly so; else nothing."""
    path = Path(path)
    beside = path.parent if path.parent.is_dir() else None
    names = [found.name for found in beside.iterdir()] if beside else []
    close = difflib.get_close_matches(path.name, names, n=1, cutoff=0.6)
    return f"; did you mean {str(path.parent / close[0])!r}?" if close else ""


def no_weights(name: str, error: Exception) -> str:
    """Say in short why no weights were loaded from a folder, or under a name on the hub: `error` is what a library said.

    Of a folder that is not there libraries say that the network is at fault.
    """
    said = " ".join(str(error).split())[:140]
    if Path(name).exists():
        return said
    if name.startswith(("/", ".", "~")) or name.count("/") > 1:
        return f"there is no folder {name}{meant_path(name)}"
    hub = (
        "cannot be reached" if re.search("connect|offline", said, re.IGNORECASE) else f"gives none of that name: {said}"
    )
    return f"there is no folder {name}{meant_path(name)}, and the hub {hub.rstrip('.')}"


def unknown_name(what: str, name: str, allowed: Iterable[str], *, shown: int = SHOWN) -> str:
    """Say that `name` is not a known `what`, what was probably meant, and the first `shown` of what there is."""
    names = sorted(allowed)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"; did you mean {close[0]!r}?" if close else "."
    listed = ", ".join(names[:shown]) + (f", ... ({len(names)} in all)" if len(names) > shown else "")
    return f"no {what} named {name!r}{hint} available: {listed or 'none'}"
