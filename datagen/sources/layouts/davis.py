"""DAVIS 2016 and 2017, and Ref-DAVIS17: frames, object masks, and expressions where they lie beside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from configs import SourceError
from datagen.sources.layouts import Layout
from datagen.sources.layouts._expressions import Names, as_phrase, referring_names
from datagen.sources.layouts.frames import DEAD_LINK, visible_folders
from datagen.sources.library import Entry

_RESOLUTIONS = ("480p", "Full-Resolution", "1080p", ".")
_SPLITS = {"train": "train", "val": "test"}
"""Results are reported on `val`; it is a test set to everybody."""
_VAL_2017 = (
    "bike-packing blackswan bmx-trees breakdance camel car-roundabout car-shadow cows dance-twirl dog dogs-jump drift-chicane "
    "drift-straight goat gold-fish horsejump-high india judo kite-surf lab-coat libby loading mbike-trick motocross-jump "
    "paragliding-launch parkour pigs scooter-black shooting soapbox"
)
"""The thirty sequences that results are reported on."""


def entries(path: Path) -> Iterator[Entry]:
    """Yield the sequences below `JPEGImages/480p` (or another resolution) and `Annotations`; one without masks is a reject."""
    roots = [root for root in (path, path / "train", path / "valid") if (root / "JPEGImages").is_dir()]
    if not roots:
        raise SourceError(f"{path} is not of the layout davis: it has no JPEGImages folder")
    splits = official_splits(path)
    for root in roots:
        resolution = next((name for name in _RESOLUTIONS if (root / "Annotations" / name).is_dir()), None)
        if resolution is None or not (root / "JPEGImages" / resolution).is_dir():
            raise SourceError(
                f"{root} is not of the layout davis: JPEGImages and Annotations have no resolution in common"
            )
        names = expressions(path)
        folders = list(visible_folders(root / "JPEGImages" / resolution))
        own = splits or known_splits([folder.name for folder in folders])
        for folder in folders:
            masks = root / "Annotations" / resolution / folder.name
            no_masks = "" if masks.is_dir() else "no masks: Annotations has no folder of that name"
            yield Entry(
                id=folder.name,
                name=folder.relative_to(path).as_posix(),
                main=str(folder.resolve()),
                masks=str(masks.resolve()) if masks.is_dir() else "",
                facts={"names": names[folder.name]} if folder.name in names else {},
                split=own.get(folder.name, {"train": "train", "valid": "test"}.get(root.name, "")),
                fps=24.0,
                problem=no_masks if folder.exists() else DEAD_LINK,
            )
        for name in splits.keys() - {folder.name for folder in folders} if root == path else ():
            problem = f"missing: ImageSets names it, and JPEGImages/{resolution} has no such folder"
            yield Entry(id=name, name=name, main=str(path), split=splits[name], problem=problem)


def known_splits(names: Sequence[str]) -> dict[str, str]:
    """Return the split of each sequence if any of them is of the validation set of 2017, else nothing."""
    found = {name: "test" if name in LAYOUT.reported_on else "train" for name in names}
    return found if "test" in found.values() else {}


def official_splits(path: Path) -> dict[str, str]:
    """Return the split of every sequence that `ImageSets` names."""
    splits: dict[str, str] = {}
    for name, split in _SPLITS.items():
        # 2017: one sequence a line; 2016: `/JPEGImages/480p/bear/00000.jpg /Annotations/480p/bear/00000.png`
        for file in sorted(path.glob(f"ImageSets/*/{name}.txt")):
            for line in file.read_text(encoding="utf-8-sig").split("\n"):
                words = line.split()
                if words:
                    sequence = words[0] if "/" not in words[0] else Path(words[0]).parent.name
                    splits.setdefault(sequence, split)
    return splits


def expressions(path: Path, *, repeats: bool = False) -> dict[str, Names]:
    """Return all phrases: of `meta_expressions.json`, or of the four annotators' original text files.

    `repeats`: keep what two annotators said alike twice.
    """
    names: dict[str, Names] = {}
    for part in ("train", "valid"):
        names |= referring_names(path / "meta_expressions" / part / "meta_expressions.json", repeats=repeats)
    if names:
        return names
    for file in sorted(path.rglob("Davis17_annot*.txt")):
        # bear 1 "a brown bear walking", in the encoding of the annotators' machines
        for line in file.read_text(encoding="latin-1").splitlines():
            words = line.split(maxsplit=2)
            if len(words) == 3 and words[1].isdigit():
                known = names.setdefault(words[0], {}).setdefault(words[1], [])
                phrase = as_phrase(words[2].strip().strip('"'))
                known += [phrase] if phrase and (repeats or phrase not in known) else []
    return names


LAYOUT = Layout(
    summary="DAVIS 2016/2017 and Ref-DAVIS17: frames, masks, expressions",
    entries=entries,
    masks=True,
    marker="JPEGImages/480p",
    reported_on=frozenset(_VAL_2017.split(" ")),
)
