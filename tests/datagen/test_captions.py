"""What a data set says of a video comes along with every sample that is made of it."""

import json
import tarfile

import pandas as pd
import pytest

from configs import counted, load
from datagen import Recipe, build
from datagen.replay import replay
from datagen.stats import collect, summary
from datagen.stats_page import write_stats
from shards import Dataset, verify, write_video
from tests.conftest import moving_clip

RECIPE = ["clip.frames=3", "clip.size=32", "gates.min_motion=0", "gates.max_duplicates=1", "tasks={recolor: {}}"]


@pytest.fixture
def videos(tmp_path):
    for n in range(3):
        write_video(tmp_path / f"{n}.mp4", moving_clip(n, frames=6), fps=25)
    return tmp_path


def captions(dataset: Dataset) -> dict[str, str]:
    for key in sorted(dataset.keys()):
        assert dataset[key].meta.caption == dataset.row(key)["caption"]
    return {row["source_id"]: row["caption"] for row in dataset.index().to_pylist()}


def test_captions_of_a_table_are_in_the_samples_the_index_and_the_numbers(videos, tmp_path):
    rows = [
        {"path": "0.mp4", "caption": "a  dog,\nrunning"},
        {"path": "1.mp4", "caption": "ein Hündchen"},
        {"path": "2.mp4"},
    ]
    pd.DataFrame(rows).to_parquet(videos / "t.parquet")
    out = tmp_path / "out"
    build(load(Recipe, "default", RECIPE), out, sources=[str(videos / "t.parquet")])
    assert captions(Dataset(out)) == {"0": "a dog, running", "1": "ein Hündchen", "2": ""}
    assert replay(out, Dataset(out).keys()[0]).faithful
    assert verify(out, decode=True) == []
    stats = collect(out)
    captioned = sum(row["caption"] != "" for row in Dataset(out).index().to_pylist())
    assert stats.captioned == captioned
    assert f"with a caption: {counted(captioned, 'sample')}" in list(summary(stats))
    page = write_stats(stats, tmp_path / "s.html").read_text()
    assert f"with a caption: {captioned} of {counted(stats.samples, 'sample')}" in page


def test_captions_of_shards_are_in_the_samples(videos, tmp_path):
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        for n in range(3):
            (videos / f"{n}.json").write_text(json.dumps({"caption": f"caption {n}"}))
            tar.add(videos / f"{n}.json", f"{n}.json")
            tar.add(videos / f"{n}.mp4", f"{n}.mp4")
    build(load(Recipe, "default", RECIPE), tmp_path / "out", sources=[str(tmp_path / "x.tar")])
    assert captions(Dataset(tmp_path / "out")) == {str(n): f"caption {n}" for n in range(3)}
