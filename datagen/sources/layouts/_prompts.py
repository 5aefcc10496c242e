"""The `prompt.json` of InstructPix2Pix and InsV2V: an edit, with captions of what is seen before and after it."""

from __future__ import annotations

from pathlib import Path

from configs import SourceError
from datagen.sources.layouts._expressions import load_json

_NAMES = {"instruction": "edit", "before": "input", "after": "output"}


def prompt_facts(path: Path) -> tuple[dict[str, str], str]:
    """Return `instruction`, and `before` and `after` where the file has them; and why it is of no use, or nothing.

    One such file of hundreds of thousands may be damaged: that is the end of its pairs alone.
    """
    try:
        said = load_json(path)
        found = {fact: " ".join(str(said.get(name) or "").split()) for fact, name in _NAMES.items()}
    except (SourceError, AttributeError):
        return {}, f"unreadable: there is no {path.name} beside it, or it is no JSON object"
    return {fact: words for fact, words in found.items() if words or fact == "instruction"}, ""
