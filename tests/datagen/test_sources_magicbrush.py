"""MagicBrush's masks: pictures with a hole where the edit was to be."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from configs import SourceError, VideoError, load
from datagen import Recipe, build
from datagen.replay import replay
from datagen.sources import find_source
from shards import Dataset
from shards.picture_folder import PictureReader
from tests.conftest import moving_clip

RECIPE = ["clip.frames=1", "clip.size=32", "gates.min_motion=0", "gates.max_duplicates=1", "tasks={edit: {}}"]
HOLE = np.zeros((32, 32), bool)
HOLE[8:20, 5:17] = True


def picture(file: Path, values: np.ndarray) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(file)


@pytest.fixture
def folder(tmp_path) -> Path:
    """One picture, edited inside a hole; its mask is twice as large as the picture."""
    before, after = (moving_clip(seed, frames=1, width=32)[0] for seed in (1, 2))
    images = tmp_path / "dev" / "images" / "7"
    picture(images / "7-input.png", before)
    picture(images / "7-output1.png", np.where(HOLE[..., None], after, before))
    alpha = np.where(HOLE, np.uint8(0), np.uint8(255))[..., None]
    picture(images / "7-mask1.png", np.concatenate([before, alpha], 2).repeat(2, 0).repeat(2, 1))
    turn = {"input": "7-input.png", "mask": "7-mask1.png", "output": "7-output1.png", "instruction": "Add a cat."}
    (tmp_path / "dev" / "edit_turns.json").write_text(json.dumps([turn]))
    return tmp_path


def sample(folder: Path, out: Path):
    build(load(Recipe, "default", [*RECIPE, "codec=lossless"]), out, sources=[f"magicbrush:{folder}"])
    (key,) = Dataset(out).keys("edit")
    assert replay(out, key).faithful
    return Dataset(out)[key]


def test_the_hole_in_a_mask_of_magicbrush_is_the_mask_of_the_pair(folder, tmp_path):
    pair = sample(folder, tmp_path / "out")
    assert np.array_equal(pair.mask[0] > 0, HOLE)
    assert pair.meta.scores["pair_outside"] == 0
    assert pair.instruction == "Add a cat."


@pytest.mark.parametrize("what", ["gone", "opaque", "damaged"])
def test_without_a_hole_all_of_the_picture_may_change(what, folder, tmp_path):
    file = folder / "dev" / "images" / "7" / "7-mask1.png"
    whole = Image.open(file).convert("RGB")
    file.unlink()
    if what == "opaque":
        whole.save(file)
    elif what == "damaged":
        file.write_bytes(b"x")
    assert (sample(folder, tmp_path / "out").mask == 255).all()


def test_a_photograph_is_a_mask_only_where_it_has_a_hole(tmp_path):
    photo = moving_clip(1, frames=1, width=32)[0]
    picture(tmp_path / "whole.png", np.concatenate([photo, np.full((32, 32, 1), 255, np.uint8)], 2))
    with pytest.raises(VideoError, match="none of the palette"):
        PictureReader(tmp_path / "whole.png").read_labels()
    drawn = np.zeros((32, 32, 4), np.uint8)
    drawn[HOLE] = 255
    picture(tmp_path / "drawn.png", drawn)
    assert np.array_equal(PictureReader(tmp_path / "drawn.png").read_labels()[0], HOLE), "white upon nothing is a shape"


def test_pictures_inside_parquet_files_are_one_line_with_the_remedy(tmp_path):
    pd.DataFrame([{"img_id": "7", "instruction": "Add a cat."}]).to_parquet(tmp_path / "train-00000-of-00051.parquet")
    with pytest.raises(SourceError, match="inside parquet files, which are not read: write them out"):
        list(find_source(f"magicbrush:{tmp_path}", "").videos(load(Recipe, "default", RECIPE), {}))
