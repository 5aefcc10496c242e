"""Edits of the whole picture that any video allows."""

from __future__ import annotations

from datagen.edits import Edit

EDITS: dict[str, Edit] = {}
