"""Referring expressions as ReferFormer's converted data sets keep them: `meta_expressions.json`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from configs import SourceError

Names = dict[str, list[str]]
"""Phrases by object number."""
_ALL_QUOTED = re.compile(r"""(["'])((?:(?!\1).)*)\1[ .!,?;:]*""")
_ENDS_QUOTED = re.compile(r"""\s(["'])\S[^"']*\1$""")


def load_json(path: Path) -> Any:
    """Return what a JSON file holds.

    Raises:
        SourceError: it cannot be read, or is no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise SourceError(f"{path}: cannot be read ({' '.join(str(error).split())[:120]})") from None


def referring_names(path: Path, *, repeats: bool = False) -> dict[str, Names]:
    """Return the phrases of every video in a `meta_expressions.json`; nothing where there is no such file.

    `repeats`: keep what two annotators said alike twice.
    Expressions without `obj_id` (those of the sets whose masks are kept back) are left out.
    """
    if not path.is_file():
        return {}
    names: dict[str, Names] = {}
    for video, said in load_json(path).get("videos", {}).items():
        for expression in said.get("expressions", {}).values():
            phrase = as_phrase(str(expression.get("exp", "")))
            if phrase and "obj_id" in expression:
                known = names.setdefault(video, {}).setdefault(str(int(expression["obj_id"])), [])
                known += [phrase] if repeats or phrase not in known else []
    return names


def category_names(path: Path) -> dict[str, Names]:
    """Return `the CATEGORY` for every object of a YouTube-VOS `meta.json` whose category no other object of its video has.

    The category `others` says nothing of what an object is, and gives no phrase.
    """
    if not path.is_file():
        return {}
    names: dict[str, Names] = {}
    for video, said in load_json(path).get("videos", {}).items():
        objects: Mapping[str, Any] = said.get("objects", {})
        categories = [values.get("category", "").replace("_", " ") for values in objects.values()]
        for number, category in zip(objects, categories, strict=True):
            if category not in ("", "others") and categories.count(category) == 1:
                names.setdefault(video, {})[str(int(number))] = [f"the {category}"]
    return names


def as_phrase(text: str) -> str:
    """Return an expression as it stands within a sentence: one line, no quotes around it, small first letter.

    At its end there is no mark of punctuation, and no quotation mark but one that closes a quotation within it.
    """
    phrase = " ".join(text.split())
    quoted = _ALL_QUOTED.fullmatch(phrase)
    phrase = quoted[2] if quoted else phrase
    while phrase != (shorter := _without_end(phrase)):
        phrase = shorter
    first = phrase.split(" ")[0]
    return phrase if first.isupper() and len(first) > 1 else phrase[:1].lower() + phrase[1:]


def _without_end(phrase: str) -> str:
    phrase = phrase.rstrip(" .!,?;:")
    return phrase if _ENDS_QUOTED.search(phrase) else phrase.rstrip("\"'")
