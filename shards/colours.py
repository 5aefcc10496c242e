"""The colours that instructions name: of objects in scenes, of fillings, and of the paint that marks an object."""

from __future__ import annotations

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (214, 38, 40),
    "orange": (240, 128, 22),
    "yellow": (242, 208, 40),
    "green": (44, 160, 60),
    "cyan": (40, 190, 200),
    "blue": (40, 84, 210),
    "purple": (132, 60, 190),
    "pink": (238, 110, 170),
    "white": (236, 236, 232),
    "brown": (130, 82, 44),
}
"""RGB by name."""
