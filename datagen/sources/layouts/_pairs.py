"""Folders of frames in two states, a degraded one and a clean one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from configs import SourceError
from datagen.sources.layouts.frames import DEAD_LINK, dead_links, folders_of_pictures
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
    have, by the degraded one's. The split is that which a folder above is called after. A sequence of which one side is
    missing, or lies behind a broken link, is a reject.

    Raises:
        SourceError: there is no pair.
    """
    folders = sorted(folders_of_pictures(path))
    partners = dict(_partners(path, folders, degraded, clean, counterparts))
    if not any(partners.values()):
        raise SourceError(
            f"{path} is not of the layout {layout}: no folder of frames below {' or '.join(degraded)} "
            f"has its like below {' or '.join(clean)}{_dead(dead_links(path))}"
        )

    def entry(folder: Path, main: Path, pair: str = "", problem: str = "") -> Entry:
        below = folder.relative_to(path).parts
        # what lies below tells the sequences apart, or what lies above does
        place = _place(below, (*degraded, *clean))
        sequence = [part for k, part in enumerate(below) if k != place and part.lower() not in (*_SPLITS, "rgb")]
        split = next((_SPLITS[part.lower()] for part in reversed((path.name, *below)) if part.lower() in _SPLITS), "")
        return Entry(
            id="-".join(sequence) or path.name,
            name=folder.relative_to(path).as_posix(),
            main=str(main),
            pair=pair,
            task=task,
            split=split,
            fps=fps,
            problem=problem,
        )

    for folder, partner in partners.items():
        if partner is not None:
            yield entry(folder, partner.resolve(), str(folder.resolve()))
    taken = set(partners.values())
    lone = [(folder, clean) for folder, partner in partners.items() if partner is None]
    lone += [(folder, degraded) for folder in folders if _is_lone(folder, path, degraded, clean, taken)]
    problems = [entry(link, link, problem=DEAD_LINK) for link in dead_links(path)]
    problems += [entry(own, own, problem=f"unpaired: it has no like below {' or '.join(names)}") for own, names in lone]
    # a side behind a broken link is missing for that reason
    yield from {problem.id: problem for problem in reversed(problems)}.values()


def _dead(links: Sequence[Path]) -> str:
    return f"; {len(links)} links lead nowhere, such as {links[0].name}" if links else ""


def _partners(
    path: Path,
    folders: Sequence[Path],
    degraded: tuple[str, ...],
    clean: tuple[str, ...],
    counterparts: Callable[[str], Sequence[str]],
) -> Iterator[tuple[Path, Path | None]]:
    """Yield every degraded sequence with its clean one."""
    for folder in folders:
        below = folder.relative_to(path).parts
        place = _place(below, degraded)
        if place is None or _better_named(path.joinpath(*below[:place]), below[place], degraded):
            continue
        above, inside = path.joinpath(*below[:place]), "/".join(below[place + 1 :])
        likes = [above / name / like for name in clean for like in counterparts(inside)]
        yield folder, next((like for like in likes if like.is_dir()), None)


def _is_lone(
    folder: Path, path: Path, degraded: tuple[str, ...], clean: tuple[str, ...], taken: set[Path | None]
) -> bool:
    """Whether a folder is a clean sequence that no degraded one belongs to."""
    below = folder.relative_to(path).parts
    return folder not in taken and _place(below, clean) is not None and _place(below, degraded) is None


def _place(below: Sequence[str], names: Sequence[str]) -> int | None:
    return next((k for k, part in enumerate(below) if part in names), None)


def _better_named(parent: Path, name: str, names: tuple[str, ...]) -> bool:
    return any(any(folders_of_pictures(parent / better)) for better in names[: names.index(name)])
