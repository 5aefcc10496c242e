"""The `prompt.json` of InstructPix2Pix and InsV2V: an edit, with captions of what is seen before and after it."""

from __future__ import annotations

from pathlib import Path

from datagen.sources.layouts._expressions import load_json

_NAMES = {"instruction": "edit", "before": "input", "after": "output"}


def prompt_facts(path: Path) -> dict[str, str]:
    """Return `instruction`, and `before` and `after` where the file has them.

    Raises:
        SourceError: the file cannot be read.
    """
    said = load_json(path)
    found = {fact: " ".join(str(said.get(name) or "").split()) for fact, name in _NAMES.items()}
    return {fact: words for fact, words in found.items() if words or fact == "instruction"}
