"""Standard suites: a public test set in its own layout, scored by its papers' protocol, with their numbers beside."""

from __future__ import annotations

from pathlib import Path

from benchmarks.settings import BenchSettings, SuiteSettings
from benchmarks.suite import Suite, make_suite
from configs import load, names
from shards import Dataset

_EXACT = (
    # all frames, as they are: nothing is turned away, thrown away or compressed
    "codec=lossless",
    "clip.frames=32",
    "clip.remainder=true",
    "clip.per_video=100000",
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
)


def suite_names() -> list[str]:
    """List the standard suites."""
    return names(SuiteSettings)


def find_suite(name: str) -> SuiteSettings:
    """Return a standard suite; `ConfigError` says which was probably meant."""
    return load(SuiteSettings, name)


def build_suite(standard: SuiteSettings, data: Path, out: Path, settings: BenchSettings, workers: int) -> Suite:
    """Build the dataset of a standard suite from its folder, or finish it, and choose its test samples.

    Raises:
        SourceError: `data` does not have the suite's layout.
    """
    from datagen import Recipe, build

    task = f"tasks={{{standard.task}: {{}}}}"
    recipe = load(Recipe, "default", [task, *_EXACT, *standard.recipe])
    build(recipe, out / "data", sources=[f"{standard.layout}:{data}"], workers=workers)
    suite = make_suite(out / "data", [standard.task], settings)
    return Suite(dataset=Dataset(suite.dataset.root), split=suite.split, rows=suite.rows, standard=standard)
