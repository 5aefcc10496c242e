"""Standard suites: a public test set in its own layout, scored by its papers' protocol, with their numbers beside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.settings import BenchSettings, SuiteSettings
from benchmarks.suite import SCENES, Suite, build_dataset, make_suite, named_parts
from configs import ConfigError, SourceError, load, meant_path, names, unknown_name
from shards import Dataset

_EXACT = (
    # all frames, as they are: nothing is turned away, thrown away or compressed
    "codec=lossless",
    "clip.frames=32",
    "clip.size=native",
    "clip.remainder=true",
    "clip.per_video=100000",
    "clip.shots_over=1e9",
    "gates.min_brightness=0",
    "gates.max_brightness=255",
    "gates.min_contrast=0",
    "gates.min_motion=0",
    "gates.max_duplicates=1",
    "gates.max_jump=1e9",
    "gates.max_borders=1",
    "gates.max_lettering=1",
    "gates.min_sharpness=0",
    "gates.copy_bits=0",
    "gates.min_pair_changed=0",
    "gates.max_pair_psnr=1000",
    "splits.train=0",
    "splits.val=0",
    "splits.test=1",
    "splits.only=test",
)
_SHOWN = 5
"""Names and reasons that are told one by one."""


def suite_names() -> list[str]:
    """List the standard suites."""
    return names(SuiteSettings)


def find_suite(name: str) -> SuiteSettings:
    """Return a standard suite, by its name or the path of a .yaml file.

    Raises:
        ConfigError: no such suite; it says which was probably meant.
    """
    if not name.endswith((".yaml", ".yml")) and name not in suite_names():
        known = [SCENES, *suite_names()]
        raise ConfigError(f"{unknown_name('suite', name, known, shown=len(known))} (or give the path of a .yaml file)")
    return load(SuiteSettings, name)


def build_suite(standard: SuiteSettings, data: Path, out: Path, settings: BenchSettings, workers: int) -> Suite:
    """Build the dataset of a standard suite from its folder, or finish it, and choose its test samples.

    Raises:
        SourceError: `data` is not the folder that the suite needs, or holds nothing of its test set.
        OutputError: an earlier run has read other files into `out`.
    """
    from datagen import Recipe

    check_folder(standard, data)
    task = f"tasks={{{standard.task}: {{}}}}"
    recipe = load(Recipe, "default", [task, *_EXACT, *standard.recipe])
    build_dataset(recipe, out / "data", f"{standard.layout}:{data}", workers)
    suite = make_suite(out / "data", [standard.task], settings)
    return replace(suite, standard=standard, left_out=tuple(_left_out(standard, suite.dataset)))


def check_folder(standard: SuiteSettings, data: Path) -> None:
    """Raise unless a folder has what the suite's own has, and say where that lies if it is near.

    Raises:
        SourceError: it has not.
    """
    from datagen.sources.layouts import layout

    if not standard.folder or _fits(standard, data):
        return
    wanted = f"the folder of {layout(standard.layout).summary} (layout {standard.layout})"
    if not data.is_dir():
        raise SourceError(f"--data {data} is not {wanted}: there is no such folder{meant_path(data)}")
    below = [folder for folder in sorted(data.iterdir()) if folder.is_dir() and _fits(standard, folder)]
    above = [folder for folder in list(data.absolute().parents)[:3] if _fits(standard, folder)]
    near = below or above[:1]
    remedy = f"; give --data {' or '.join(map(str, near[:_SHOWN]))}" if near else ""
    raise SourceError(f"--data {data} is not {wanted}: it has no {' and no '.join(standard.folder)}{remedy}")


def _fits(standard: SuiteSettings, folder: Path) -> bool:
    return any(any(True for _ in folder.glob(pattern)) for pattern in standard.folder)


def _left_out(standard: SuiteSettings, dataset: Dataset) -> Iterator[str]:
    """Yield what a dataset lacks of the papers' test set, or has beside it: sequences, sizes, and all that was turned away."""
    from datagen.rejects import read_rejects
    from datagen.sources.layouts import layout

    rows = dataset.index(standard.task, "test").to_pylist()
    found = {named_parts(row["source_id"], standard).get("video", row["source_id"]) for row in rows}
    official = layout(standard.layout).reported_on
    if missing := sorted(official - found):
        yield f"without {_some(missing)}"
    if official and (strange := sorted(found - official)):
        yield f"with what is not of it ({_some(strange)})"
    sizes = sorted({f"{row['width']}x{row['height']}" for row in rows})
    if standard.size and sizes != [standard.size]:
        yield f"frames of {_some(sizes)} that should be {standard.size}"
    rejects = [_told(reject) for reject in read_rejects(dataset.root) if reject["split"] in ("", "test")]
    if rejects:
        yield f"lost {_some(rejects)}"


def _told(reject: Mapping[str, Any]) -> str:
    start = f" from frame {reject['start']} on" * (reject["start"] >= 0)
    return f"{reject['source']}{start} ({reject['reason']})"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"
