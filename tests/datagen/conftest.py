"""Small videos of known content for the tests of building."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from configs import load
from datagen import Recipe, build
from datagen.merge import merge
from shards import write_video
from tests.conftest import moving_clip

SMALL = ["clip.frames=4", "clip.size=48", "clip.per_video=3"]


@pytest.fixture(scope="session")
def small_recipe() -> Recipe:
    return load(Recipe, "default", SMALL)


@pytest.fixture(scope="session")
def video_folder(tmp_path_factory) -> Path:
    """Five usable videos (one of them twice) and six that are not."""
    folder = tmp_path_factory.mktemp("videos")
    for number in range(5):
        frames = moving_clip(number, frames=14, height=54, width=72)
        write_video(folder / f"video {number}.mp4", frames, fps=25)
    (folder / "copy of 3.mp4").write_bytes((folder / "video 3.mp4").read_bytes())
    whole = (folder / "video 0.mp4").read_bytes()
    (folder / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "text.mp4").write_text("this is not a video")
    write_video(folder / "short.mp4", moving_clip(8, frames=2, height=54, width=72), fps=25)
    write_video(folder / "tiny.mp4", moving_clip(9, frames=14, height=16, width=16), fps=25)
    write_video(folder / "black.mp4", np.zeros((14, 54, 72, 3), np.uint8), fps=25)
    return folder


@pytest.fixture(scope="session")
def built(video_folder, small_recipe, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("built") / "dataset"
    build(small_recipe, out, sources=[str(video_folder)])
    return out


@pytest.fixture(scope="session")
def videos(tmp_path_factory) -> Path:
    """Two dozen videos of three clips each, v00 to v23."""
    folder = tmp_path_factory.mktemp("videos")
    for number in range(24):
        write_video(folder / f"v{number:02d}.mp4", moving_clip(100 + number, frames=14, height=54, width=72), fps=25)
    return folder


@pytest.fixture(scope="session")
def halves(tmp_path_factory) -> list[Path]:
    """Two folders of four videos each."""
    folders = [tmp_path_factory.mktemp("half") for _ in range(2)]
    for number in range(8):
        frames = moving_clip(number, frames=14, height=54, width=64)
        write_video(folders[number % 2] / f"video {number}.mp4", frames, fps=25)
    (folders[0] / "text.mp4").write_text("this is not a video")
    return folders


@pytest.fixture(scope="session")
def parts(tmp_path_factory) -> list[Path]:
    """Two datasets of scenes, the second with one task and no val split, and one of a dozen samples more."""
    root = tmp_path_factory.mktemp("parts")
    return [
        made(root / "a", "scenes.count=12", "splits={train: 0.7, val: 0.15, test: 0.15}"),
        made(
            root / "b <script>",
            "scenes.count=9",
            "seed=1",
            "tasks={dehaze: {}}",
            "splits={train: 0.7, val: 0, test: 0.3}",
            "gates.min_motion=0.5",
        ),
    ]


@pytest.fixture(scope="session")
def merged(parts, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("merged") / "both"
    merge(parts, out)
    return out


def contents(root: Path) -> dict[str, bytes]:
    """Everything a reader sees, by name; a build's own notes are left out."""
    files = [path for path in root.rglob("*") if path.is_file() and ".build" not in path.parts]
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


def command(*arguments: object, **options) -> subprocess.CompletedProcess:
    line = [sys.executable, "-m", "datagen", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, timeout=120, check=False, **options)


def made(out: Path, *settings: str, sources=("scenes",)) -> Path:
    build(load(Recipe, "default", [*SMALL, *settings]), out, sources=list(map(str, sources)))
    return out


def table(*roots: Path) -> pd.DataFrame:
    """The index by way of pandas alone."""
    return pd.concat([pd.read_parquet(path) for root in roots for path in sorted(root.glob("*/*.parquet"))])


def shards_of(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.glob("[a-z]*/*")}
