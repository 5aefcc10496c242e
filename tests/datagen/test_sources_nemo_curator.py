"""NeMo Curator's output by a fixture of its native form: clips, and what is said of each."""

import json
from pathlib import Path

import pytest

from configs import SourceError, load
from datagen import Recipe, build
from datagen.sources import find_source
from datagen.sources.base import Reject, SourceVideo
from shards import Dataset, write_video
from tests.conftest import moving_clip

RECIPE = ["clip.frames=3", "clip.size=32", "gates.min_motion=0", "gates.max_duplicates=1", "tasks={recolor: {}}"]


def clip(root: Path, uuid: str, film: str, *windows: dict, seed: int = 0, place: str = "clips") -> None:
    (root / place).mkdir(parents=True, exist_ok=True)
    (root / "metas" / "v0").mkdir(parents=True, exist_ok=True)
    write_video(root / place / f"{uuid}.mp4", moving_clip(seed, frames=6), fps=25)
    said = {"span_uuid": uuid, "source_video": film, "duration_span": [0.0, 0.24], "windows": windows, "valid": True}
    (root / "metas" / "v0" / f"{uuid}.json").write_text(json.dumps(said))


def items(root: Path) -> list[SourceVideo | Reject]:
    return list(find_source(f"nemo_curator:{root}", "").videos(load(Recipe, "default", RECIPE), {}))


def test_clips_come_with_the_captions_of_their_windows(tmp_path):
    first = {"start_frame": 0, "end_frame": 3, "qwen_caption": "A dog\n runs.", "qwen_lm_enhanced_caption": "Fast!"}
    clip(tmp_path, "aa", "/films/1.mp4", first, {"start_frame": 3, "end_frame": 6, "qwen_caption": "It stops."})
    clip(tmp_path, "bb", "/films/1.mp4", {"qwen_lm_enhanced_caption": "A cat."}, seed=1)
    clip(tmp_path, "cc", "/films/2.mp4", seed=2)
    found = {item.id: item for item in items(tmp_path)}
    assert {uuid: video.facts.get("caption") for uuid, video in found.items()} == {
        "aa": "A dog runs. It stops.",
        "bb": "A cat.",
        "cc": None,
    }
    assert found["aa"].group == found["bb"].group != found["cc"].group
    assert (found["aa"].name, found["aa"].frames) == ("clips/aa.mp4", 6)


def test_what_was_filtered_out_or_is_described_badly_is_a_reject(tmp_path):
    clip(tmp_path, "good", "1.mp4")
    clip(tmp_path, "dull", "1.mp4", place="filtered_clips")
    for uuid in ("cut", "bare", "lost"):
        clip(tmp_path, uuid, "1.mp4")
    (tmp_path / "metas" / "v0" / "cut.json").write_text('{"source_vid')
    (tmp_path / "metas" / "v0" / "bare.json").unlink()
    (tmp_path / "clips" / "lost.mp4").unlink()
    assert {item.source: item.reason for item in items(tmp_path) if isinstance(item, Reject)} == {
        "clips/dull.mp4": "filtered out by NeMo Curator",
        "clips/cut.mp4": "its metas/v0/UUID.json cannot be read, or names no source_video",
        "clips/bare.mp4": "no metas/v0/UUID.json says which film it is of",
        "clips/lost.mp4": "there is no clips/UUID.mp4",
    }


def test_all_clips_of_one_film_come_into_one_split(tmp_path):
    for film in range(6):
        for number in range(3):
            clip(tmp_path, f"{film}{number}", f"s3://films/{film}.mp4", seed=10 * film + number)
    build(
        load(Recipe, "default", [*RECIPE, "clip.per_video=1"]), tmp_path / "out", sources=[f"nemo_curator:{tmp_path}"]
    )
    splits: dict[str, set[str]] = {}
    for row in Dataset(tmp_path / "out").index().to_pylist():
        splits.setdefault(row["source_id"][0], set()).add(row["split"])
    assert sorted(map(len, splits.values())) == [1] * 6
    assert set.union(*splits.values()) == {"train", "val", "test"}


def test_a_folder_without_clips_or_descriptions_is_one_line(tmp_path):
    clip(tmp_path, "aa", "1.mp4")
    (tmp_path / "clips" / "aa.mp4").unlink()
    with pytest.raises(SourceError, match="not of the layout nemo_curator: it needs clips/UUID"):
        items(tmp_path)
