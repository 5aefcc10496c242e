"""What a merge makes of its parts' rejects: which samples stay out with a rejected video, and which lines hold for the whole."""

from __future__ import annotations

import json
import shlex
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from configs import counted
from datagen.destination import NOTES
from datagen.ledger import noted_excluded, noted_names
from datagen.naming import some_names
from datagen.parts import Part, Pick
from datagen.rejects import NAME as REJECTS
from datagen.rejects import UNITS, kind_of, leaves_nothing, read_rejects, unit_of
from datagen.sources.base import Reject

_BY_HAND = "rejected"
TurnedAway = Mapping[str, Mapping[int, Reject]]
"""Sources that were rejected by hand, by sha256, each with the numbers of the parts that did so, and their rejects."""


def turned_away(parts: Sequence[Part], picks: Sequence[Pick]) -> TurnedAway:
    """Return whose samples stay out of a merge, because one part has rejected the video that they show.

    As in a build, a video goes with whatever shows it: with other words or masks, or as a side of a pair. What the part that
    rejected it has samples of itself is no such thing.
    """
    sides: dict[str, set[str]] = defaultdict(set)
    own: list[dict[str, str]] = [{} for _ in parts]
    for pick in picks:
        sides[pick.source_sha256] |= {pick.source_sha256, pick.clean_sha256, pick.pair_sha256}
        own[pick.part].setdefault(pick.source_sha256, pick.key)
    found: dict[str, dict[int, Reject]] = defaultdict(dict)
    for number, part in enumerate(parts):
        rejected = _by_hand(part.dataset.root)
        for source in sorted(sides.keys() - own[number].keys()) if rejected else ():
            for side in sorted(sides[source] & rejected.keys()):
                holder = next(n for n, keys in enumerate(own) if source in keys)
                name = str(parts[holder].dataset.row(own[holder][source])["source_id"])
                reject = rejected[side]
                found[source][number] = replace(reject, source=reject.source or name)
    return found


def told_turned_away(parts: Sequence[Part], away: TurnedAway, picks: Sequence[Pick]) -> Iterator[str]:
    """Say for each part that rejected videos of others how many samples stay out, of which videos, and how they come in."""
    for number, part in enumerate(parts):
        sources = {source: rejects[number] for source, rejects in away.items() if number in rejects}
        if not sources:
            continue
        samples = sum(pick.source_sha256 in sources for pick in picks)
        names = sorted({reject.source for reject in sources.values()})
        root = part.dataset.root
        # what came without its notes cannot be changed
        forget = (
            f"first 'datagen forget {shlex.quote(str(root))} --source VIDEO', or " if (root / NOTES).is_dir() else ""
        )
        yield (
            f"{counted(samples, 'sample')} left out of {counted(len(names), 'video')} that {part.name} rejected: "
            f"{some_names(names)}; to have them in, {forget}leave {part.name} out of the merge"
        )


def merged_rejects(parts: Sequence[Part], picks: Sequence[Pick], away: TurnedAway) -> Iterator[bytes]:
    """Yield the lines of all parts' rejects; what several turned away for the same reason comes once.

    A video that one could not use and of which another's samples are among `picks` is not left out. What only the notes of
    a part say it rejected gets a line where samples stayed out for it: a merge has no notes.
    """
    kept = {sha256 for pick in picks for sha256 in (pick.source_sha256, pick.clean_sha256)}
    known = set()
    for line, reject in (*_listed(parts), *_noted(away)):
        names = ("where", "start", "task")
        what = (kind_of(reject), reject["sha256"] or reject["source"], *(reject[name] for name in names))
        if what not in known and (unit_of(reject) != UNITS[0] or leaves_nothing(reject, kept)):
            known.add(what)
            yield line


def _listed(parts: Sequence[Part]) -> Iterator[tuple[bytes, Mapping[str, Any]]]:
    for part in parts:
        root = part.dataset.root
        with (root / REJECTS).open("rb") as file:
            for line, reject in zip(file, read_rejects(root), strict=True):
                yield line.rstrip(b"\n") + b"\n", reject


def _noted(away: TurnedAway) -> Iterator[tuple[bytes, Mapping[str, Any]]]:
    for rejects in away.values():
        for reject in rejects.values():
            yield json.dumps(vars(reject), ensure_ascii=False).encode() + b"\n", vars(reject)


def _by_hand(root: Path) -> dict[str, Reject]:
    """Return the videos that were rejected from a dataset, by sha256, as its notes say; where it came without, its rejects."""
    names = noted_names(root)
    found = {
        sha256: Reject(where="excluded", source=names.get(sha256, ""), sha256=sha256, reason=reason)
        for sha256, reason in noted_excluded(root).videos.items()
    }
    for reject in read_rejects(root):
        if (reject["where"], unit_of(reject), kind_of(reject)) == ("excluded", UNITS[0], _BY_HAND) and reject["sha256"]:
            found[reject["sha256"]] = Reject(
                **{name: reject[name] for name in ("where", "source", "sha256", "reason", "split")}
            )
    return found
