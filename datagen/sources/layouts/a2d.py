"""A2D Sentences (Gavrilyuk et al. 2018, upon Xu et al. 2015): video, a sentence for each actor, masks of a few frames."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from configs import MissingExtraError, SourceError
from datagen.sources.layouts import Layout
from datagen.sources.layouts._expressions import Names, as_phrase
from datagen.sources.library import Entry
from shards.instances import instances_in

_SPLITS = {"0": "train", "1": "test"}
_SENTENCES, _MASKS = "a2d_annotation.txt", "a2d_annotation_with_instances"


def entries(path: Path) -> Iterator[Entry]:
    """Yield every video of `Release/videoset.csv`, as its annotated frames: three to five, spread over it.

    Nothing is known of where the actors are in between, so a clip is made of annotated frames alone: single ones with
    `clip.frames=1`, or some in a row, which are far apart (`fps` says how far).

    Raises:
        SourceError: it has no such list, or no sentences.
        MissingExtraError: h5py, which reads the masks, is not installed.
    """
    listed = path / "Release" / "videoset.csv"
    texts = next((folder for folder in (path / "text_annotations", path) if (folder / _SENTENCES).is_file()), None)
    if not listed.is_file() or texts is None:
        raise SourceError(
            f"{path} is not of the layout a2d: it needs Release/videoset.csv and text_annotations/{_SENTENCES}"
        )
    if find_spec("h5py") is None:
        raise MissingExtraError("the masks of A2D are HDF5 files; pip install h5py (or this package with [a2d])")
    names = _sentences(texts / _SENTENCES)
    for row in _rows(listed):
        if row:
            yield _entry(path, row[0], row[-1].strip(), names.get(row[0], {}), texts / _MASKS / row[0])


def _entry(root: Path, video: str, part: str, names: Names, masks: Path) -> Entry:
    main = root / "Release" / "clips320H" / f"{video}.mp4"
    files = instances_in(masks) if masks.is_dir() else []
    # 00015.h5 is the fifteenth frame
    frames = [int(file.stem) - 1 for file in files if file.stem.isdecimal()]
    problem = "no sentence for it" if not names else "no masks for it" if not frames or min(frames) < 0 else ""
    if problem:
        return Entry(
            id=video,
            name=f"{video}.mp4",
            main=str(main.resolve()),
            facts={"names": names},
            split=_SPLITS.get(part, ""),
            problem=f"{problem} in A2D Sentences",
        )
    places = [place for place, file in enumerate(files) if file.stem.isdecimal()]
    return Entry(
        id=video,
        name=f"{video}.mp4",
        main=str(main.resolve()),
        masks=str(masks.resolve()),
        facts={"names": names, "numbers": {"main": frames, "masks": places}},
        split=_SPLITS.get(part, ""),
    )


def _sentences(file: Path) -> dict[str, Names]:
    """Return the phrases of all videos, by the numbers that `InstanceReader` gives their actors."""
    names: dict[str, Names] = {}
    for video, number, text, *rest in (row for row in _rows(file)[1:] if len(row) >= 3):
        # one line is a copy left over: `1 (copy)`
        if number.strip().isdecimal():
            phrase = as_phrase(",".join([text, *rest]))
            known = names.setdefault(video, {}).setdefault(str(int(number) + 1), [])
            known += [phrase] if phrase and phrase not in known else []
    return names


def _rows(file: Path) -> list[list[str]]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as text:
            return list(csv.reader(text))
    except (OSError, ValueError, csv.Error) as error:
        raise SourceError(f"{file}: cannot be read ({' '.join(str(error).split())[:120]})") from None


LAYOUT = Layout(
    summary="A2D Sentences: the annotated frames of its videos, masks, sentences (with clip.frames=1, or up to 3)",
    entries=entries,
    masks=True,
)
