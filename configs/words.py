"""How a number and its noun are said."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, which takes an s for more than one: `1 clip`, `2 clips`, `12,345 clips`."""
    return f"{number:,} {noun}" + "s" * (number != 1)
