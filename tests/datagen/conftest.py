"""Small videos of known content for the tests of building."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from configs import load
from datagen import Recipe, build
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


def contents(root: Path) -> dict[str, bytes]:
    """Everything a reader sees, by name; a build's own notes are left out."""
    files = [path for path in root.rglob("*") if path.is_file() and ".build" not in path.parts]
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


def command(*arguments: object, **options) -> subprocess.CompletedProcess:
    line = [sys.executable, "-m", "datagen", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, timeout=120, check=False, **options)
