"""Small videos of known content for the tests of building."""

from pathlib import Path

import numpy as np
import pytest

from configs import load
from datagen import Recipe
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
