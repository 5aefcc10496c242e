"""Folders of frames in two states, a degraded one and a clean one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from configs import SourceError
from datagen.sources.layouts.frames import folders_of_pictures
from datagen.sources.library import Entry

_SPLITS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


def folder_pairs(
    path: Path,
    degraded: tuple[str, ...],
    clean: tuple[str, ...],
    *,
    task: str,
    layout: str,
    fps: float = 0.0,
    counterparts: Callable[[str], Sequence[str]] = lambda name: (name,),
) -> Iterator[Entry]:
    """Yield a pair for every folder of frames below one called as in `degraded` that has its like below `clean`.

    It does not matter whether sequences lie inside (`hazy/A000`, `gt/A000`) or outside (`SEQ/blur`, `SEQ/sharp`). Where
    there are several names the first that exists counts. `counterparts` gives the paths that the clean sequence may
    have, by the degraded one's. The split is that which a folder above is called after.

    Raises:
        SourceError: there is none.
    """
    found = 0
    for folder in sorted(folders_of_pictures(path)):
        below = folder.relative_to(path).parts
        place = next((k for k, part in enumerate(below) if part in degraded), None)
        if place is None or _better_named(path.joinpath(*below[:place]), below[place], degraded):
            continue
        above, inside = path.joinpath(*below[:place]), "/".join(below[place + 1 :])
        partners = [above / name / like for name in clean for like in counterparts(inside)]
        partner = next((partner for partner in partners if partner.is_dir()), None)
        if partner is None:
            continue
        found += 1
        # what lies below tells the sequences apart, or what lies above does
        sequence = [part for part in (*below[:place], *below[place + 1 :]) if part.lower() not in (*_SPLITS, "rgb")]
        yield Entry(
            id="-".join(sequence) or path.name,
            name=folder.relative_to(path).as_posix(),
            main=str(partner.resolve()),
            pair=str(folder.resolve()),
            task=task,
            split=next(
                (_SPLITS[part.lower()] for part in reversed((path.name, *below)) if part.lower() in _SPLITS), ""
            ),
            fps=fps,
        )
    if not found:
        raise SourceError(
            f"{path} is not of the layout {layout}: no folder of frames below {' or '.join(degraded)} "
            f"has its like below {' or '.join(clean)}"
        )


def _better_named(parent: Path, name: str, names: tuple[str, ...]) -> bool:
    return any(any(folders_of_pictures(parent / better)) for better in names[: names.index(name)])
