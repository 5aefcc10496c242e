"""Editing pairs, of videos and of images, in their own layouts."""

import json

import numpy as np
import pandas as pd
import pytest

from configs import SourceError, load
from datagen import Recipe, build
from datagen.sources import find_source
from datagen.sources.base import Reject, SourceVideo
from shards import Dataset, write_video
from tests.conftest import moving_clip
from tests.datagen.layout_files import RECIPE, found, frames, image, masks, read


def test_editing_pairs_are_listed_by_any_of_the_public_names(tmp_path):
    for name, seed in (("source/a.mp4", 1), ("global/a_ink.mp4", 2), ("source/b.mp4", 3), ("local/b_hat.mp4", 4)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_video(tmp_path / name, moving_clip(seed, frames=6), fps=20)
    ditto = [{"source_path": "source/a.mp4", "instruction": "Make it ink.", "edited_path": "global/a_ink.mp4"}]
    (tmp_path / "metadata").mkdir()
    (tmp_path / "metadata" / "global.json").write_text(json.dumps(ditto))
    (tmp_path / "metadata" / "notes.json").write_text('{"version": 1}')
    rows = [{"original_video": "source/b.mp4", "edited_video": "local/b_hat.mp4", "edit_prompt": "Add a  hat"}]
    pd.DataFrame(rows).to_csv(tmp_path / "local.csv", index=False)
    videos = found(f"edit_pairs:{tmp_path}")
    assert {(v.id, v.facts["instruction"]) for v in videos} == {("a-a_ink", "Make it ink."), ("b-b_hat", "Add a hat")}
    clip = read(next(v for v in videos if v.id == "b-b_hat"))
    assert clip.native is not None
    assert np.abs(clip.native.other.astype(int) - moving_clip(4, frames=6)[:3, :, 8:40]).mean() < 12
    assert found(f"edit_pairs:{tmp_path / 'local.csv'}")[0].id == "b-b_hat"


def test_the_synthetic_pairs_of_insv2v_pass_their_authors_thresholds(tmp_path):
    folder = tmp_path / "0000042"
    for seed in (7, 11):
        for side, shift in ((0, 0), (1, 50)):
            for n in range(4):
                image(folder / "image" / f"{seed}_{side}_{n:04d}.jpg", seed + n, shift=shift)
    good = {"sim_dir": 0.3, "sim_0": 0.3, "sim_1": 0.25, "sim_image": 0.8}
    lines = [{"seed": 7, **good}, {"seed": 11, **good, "sim_dir": 0.1}]
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (folder / "prompt.json").write_text(json.dumps({"input": "a", "edit": "make it brighter", "output": "b"}))
    items = find_source(f"insv2v:{tmp_path}", "").videos(load(Recipe, "default", RECIPE), {})
    video, reject = sorted(items, key=lambda item: isinstance(item, Reject))
    assert isinstance(reject, Reject)
    assert (reject.source, reject.reason) == ("0000042/11", "below its authors' thresholds: sim_dir 0.1 <= 0.2")
    assert isinstance(video, SourceVideo)
    assert (video.id, video.frames, video.facts["instruction"]) == ("0000042-7", 4, "make it brighter")
    clip = read(video)
    assert clip.native is not None
    assert clip.native.parameters == {"before": "a", "after": "b"}
    assert clip.native.other.mean() > clip.frames.mean() + 20


def test_instruct_pix2pix_lists_its_seeds_in_the_order_of_its_splits(tmp_path):
    listed = []
    for number in range(20):
        folder = tmp_path / f"{number:07d}"
        image(folder / "123_0.jpg", number)
        image(folder / "123_1.jpg", number, shift=40)
        (folder / "prompt.json").write_text(
            json.dumps({"edit": f"edit {number}", "input": "", "output": f"after {number}"})
        )
        listed.append([folder.name, ["123"]])
    videos = found(f"instruct_pix2pix:{tmp_path}", "clip.frames=1")
    assert len(videos) == 20
    (tmp_path / "seeds.json").write_text(json.dumps(listed))
    videos = found(f"instruct_pix2pix:{tmp_path}", "clip.frames=1")
    assert [v.split for v in videos] == ["train"] * 18 + ["val"] + ["test"]
    recipe = load(Recipe, "default", [*RECIPE, "clip.frames=1", "tasks={edit: {}}"])
    build(recipe, tmp_path / "out", sources=[f"instruct_pix2pix:{tmp_path}"])
    dataset = Dataset(tmp_path / "out")
    assert "edit 3" in dataset.index()["instruction"].to_pylist()
    sample = next(sample for sample in map(dataset.__getitem__, dataset.keys()) if sample.instruction == "edit 3")
    assert sample.meta.parameters == {"after": "after 3"}


def test_magicbrush_gives_every_turn_as_a_pair(tmp_path):
    for name, seed in (("input", 1), ("output1", 2), ("output2", 3)):
        image(tmp_path / "dev" / "images" / "242679" / f"242679-{name}.png", seed)
    turns = [
        {
            "input": "242679-input.png",
            "mask": "242679-mask1.png",
            "output": "242679-output1.png",
            "instruction": "add a cat",
        },
        {
            "input": "242679-output1.png",
            "mask": "242679-mask2.png",
            "output": "242679-output2.png",
            "instruction": "remove it",
        },
    ]
    (tmp_path / "dev" / "edit_turns.json").write_text(json.dumps(turns))
    videos = found(f"magicbrush:{tmp_path}", "clip.frames=1")
    assert [(v.id, v.split, v.facts["instruction"]) for v in videos] == [
        ("242679-output1", "val", "add a cat"),
        ("242679-output2", "val", "remove it"),
    ]


@pytest.mark.parametrize("layout", ["hazeworld", "edit_pairs", "insv2v", "instruct_pix2pix", "magicbrush"])
def test_a_folder_of_another_kind_of_pairs_says_what_was_missed(layout, tmp_path):
    (tmp_path / "x").mkdir()
    with pytest.raises(SourceError, match=f"not of the layout {layout}"):
        found(f"{layout}:{tmp_path}")


def test_edits_of_one_clip_are_no_copies_but_stay_in_one_split(tmp_path):
    lists = []
    for n in range(6):
        write_video(tmp_path / f"s{n}.mp4", moving_clip(n, frames=4), fps=20)
        for k in range(3):
            write_video(tmp_path / f"e{n}{k}.mp4", moving_clip(100 + 10 * n + k, frames=4), fps=20)
            lists.append({"source": f"s{n}.mp4", "edited": f"e{n}{k}.mp4", "instruction": f"edit {k}"})
    (tmp_path / "list.json").write_text(json.dumps(lists))
    recipe = load(Recipe, "default", [*RECIPE, "tasks={edit: {}}"])
    manifest = build(recipe, tmp_path / "out", sources=[f"edit_pairs:{tmp_path / 'list.json'}"])
    assert manifest.samples == 18
    splits = {}
    for row in Dataset(tmp_path / "out").index().to_pylist():
        splits.setdefault(row["source_id"].split("-")[0], set()).add(row["split"])
    assert all(len(found_in) == 1 for found_in in splits.values())
    assert set.union(*splits.values()) == {"train", "val", "test"}


def test_pairs_are_found_where_their_archives_put_them(tmp_path):
    for name, seed in (
        ("obj_swap_upload/0001/abc_org.mp4", 1),
        ("obj_swap_upload/0001/abc.mp4", 2),
        ("other/abc.mp4", 3),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        write_video(tmp_path / name, moving_clip(seed, frames=6), fps=20)
    row = {
        "source_video_path": "./obj_swap/0001/abc_org.mp4",
        "target_video_path": "./obj_swap/0001/abc.mp4",
        "instruction": "swap dog to cat",
        "enhanced_instruction": "Replace the dog with a cat.",
    }
    (tmp_path / "updated_data_obj_swap_videos.json").write_text(json.dumps([[row]]))
    (video,) = found(f"edit_pairs:{tmp_path}")
    assert video.facts["instruction"] == "swap dog to cat"
    assert video.locator.endswith("obj_swap_upload/0001/abc_org.mp4")
    assert video.tracks["pair"].endswith("obj_swap_upload/0001/abc.mp4")


@pytest.mark.parametrize(
    ("layout", "name", "text"),
    [
        ("magicbrush", "edit_turns.json", '[{"input": "a.png"}]'),
        ("instruct_pix2pix", "seeds.json", '["a", "b"]'),
        ("davis", "meta_expressions/valid/meta_expressions.json", "[1]"),
    ],
)
def test_lists_of_another_form_are_one_line(layout, name, text, tmp_path):
    frames(tmp_path / "JPEGImages" / "480p" / "x")
    masks(tmp_path / "Annotations" / "480p" / "x")
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text(text)
    with pytest.raises(SourceError, match=f"its lists are not those of the layout {layout}"):
        found(f"{layout}:{tmp_path}")
