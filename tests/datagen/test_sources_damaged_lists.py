"""Lists and archives of which a part is damaged: that part is a reject, and the rest is read."""

import json
import tarfile
from pathlib import Path

import pytest

from configs import SourceError, load
from datagen import Recipe, build
from datagen.rejects import read_rejects
from datagen.sources import find_source
from datagen.sources.base import Reject, SourceVideo
from shards import write_video
from tests.conftest import moving_clip
from tests.datagen.layout_files import RECIPE, found, frames, image, masks

BOM = b"\xef\xbb\xbf"
GOOD = {"sim_dir": 0.3, "sim_0": 0.3, "sim_1": 0.25, "sim_image": 0.8}


def listed(spec: str) -> tuple[list[str], dict[str, str]]:
    """Return the ids of the usable videos, and the reasons of the others by their names."""
    items = list(find_source(spec, "").videos(load(Recipe, "default", [*RECIPE, "clip.frames=1"]), {}))
    ids = [item.id for item in items if isinstance(item, SourceVideo)]
    return ids, {item.source: item.reason for item in items if isinstance(item, Reject)}


def image_pairs(root: Path, *prompts: str) -> None:
    for number, prompt in enumerate(prompts):
        for side in (0, 1):
            image(root / f"{number}" / f"7_{side}.jpg", 10 * number + side)
        (root / f"{number}" / "prompt.json").write_text(prompt)
    (root / "seeds.json").write_bytes(BOM + json.dumps([[str(n), ["7"]] for n in range(len(prompts))]).encode())


def test_a_damaged_prompt_is_the_end_of_its_own_pair_alone(tmp_path):
    image_pairs(tmp_path, '{"edit": "add fog"}', '{"edit": "add', "[]")
    reason = "unreadable: there is no prompt.json beside it, or it is no JSON object"
    assert listed(f"instruct_pix2pix:{tmp_path}") == (["0-7"], {"1/7": reason, "2/7": reason})


def test_a_pair_without_words_is_left_out_of_the_task_that_needs_them(tmp_path):
    image_pairs(tmp_path, '{"edit": "add fog"}', '{"edit": ""}')
    settings = [*RECIPE, "clip.frames=1", "tasks={edit: {}, recolor: {min_colourfulness: 0}}", "gates.copy_bits=0"]
    build(load(Recipe, "default", settings), tmp_path / "out", sources=[f"instruct_pix2pix:{tmp_path}"], workers=0)
    (reject,) = read_rejects(tmp_path / "out")
    assert (reject["where"], reject["task"]) == ("task", "edit")
    assert reject["reason"] == "no instruction: a pair for edit needs its own words, and has none"


def test_the_splits_of_a_short_list_are_those_of_instruct_pix2pix(tmp_path):
    image_pairs(tmp_path, *['{"edit": "add fog"}'] * 5)
    # its loader takes those before floor(0.9 * 5) for train, from there up to floor(0.95 * 5) for val
    videos = found(f"instruct_pix2pix:{tmp_path}", "clip.frames=1")
    assert [video.split for video in videos] == ["train"] * 4 + ["test"]


def test_damaged_scores_are_named_and_the_other_seeds_are_taken(tmp_path):
    for folder in "ab":
        for side in (0, 1):
            image(tmp_path / folder / "image" / f"7_{side}_0000.jpg", ord(folder) + side)
        (tmp_path / folder / "prompt.json").write_text('{"edit": "add fog"}')
    (tmp_path / "a" / "metadata.jsonl").write_text(json.dumps({"seed": 7, **GOOD}) + '\n{"seed": 8, "sim\n')
    reasons = {
        "a/metadata.jsonl": "unreadable: 1 of 2 lines are no scores of a seed",
        "b/metadata.jsonl": "unreadable: no such file, or no UTF-8",
    }
    assert listed(f"insv2v:{tmp_path}") == (["a-7"], reasons)


def test_a_turn_without_words_is_named_beside_the_others(tmp_path):
    for name, seed in (("input", 1), ("output1", 2)):
        image(tmp_path / "dev" / "images" / "7" / f"7-{name}.png", seed)
    turn = {"input": "7-input.png", "output": "7-output1.png", "instruction": "add a cat"}
    (tmp_path / "dev" / "edit_turns.json").write_text(json.dumps([{"input": "7-input.png"}, turn]))
    reason = "no instruction: turn 1 of edit_turns.json lacks it, or its input or output"
    assert listed(f"magicbrush:{tmp_path}") == (["7-output1"], {"edit_turns.json, 1": reason})


def test_a_broken_line_in_a_list_of_pairs_is_a_row_that_is_no_pair(tmp_path):
    for seed, name in enumerate(("0001", "0002")):
        write_video(tmp_path / f"{name}.mp4", moving_clip(seed, frames=4), fps=20)
    row = json.dumps({"source": "0001.mp4", "edited": "0002.mp4", "instruction": "Add snow."})
    (tmp_path / "list.jsonl").write_bytes(BOM + f'{row}\n{{"source": "00\n\n'.encode())
    ids, reasons = listed(f"edit_pairs:{tmp_path}")
    assert ids == ["0001-0002"]
    assert reasons["list.jsonl"].endswith("1 of 2; the first is row 2, which is no JSON object, or an empty one")


def test_a_comma_too_many_in_every_row_shifts_nothing(tmp_path):
    (tmp_path / "list.csv").write_text("source,edited,instruction\na.mp4,b.mp4,Add snow, please.\n")
    with pytest.raises(SourceError, match="line 2: 4 cells, the header has 3; a cell with a comma in it needs quotes"):
        listed(f"edit_pairs:{tmp_path}")


def shard(file: Path, names: str, folder: Path) -> bytes:
    with tarfile.open(file, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name in names:
            write_video(folder / f"{name}.mp4", moving_clip(ord(name), frames=4), fps=20)
            tar.add(folder / f"{name}.mp4", f"{name}.mp4")
    return file.read_bytes()


def test_of_a_cut_tar_what_is_whole_is_read_and_the_rest_is_a_reject(tmp_path):
    tars = tmp_path / "tars"
    tars.mkdir()
    whole = shard(tmp_path / "00000.tar", "abc", tmp_path)
    headers = [whole.index(f"{name}.mp4".encode()) for name in "abc"]
    for number, size in enumerate((headers[2] + 900, headers[1] + 300, 0)):
        (tars / f"{number}.tar").write_bytes(whole[:size])
    shard(tars / "3.tar", "d", tmp_path)
    ids, reasons = listed(f"tars:{tars}")
    assert ids == ["a", "d"]
    assert reasons == {
        "0.tar": "unreadable: cut off in the middle of c.mp4",
        "1.tar": "unreadable: cut off between two members",
        "2.tar": "unreadable: not an uncompressed tar file (empty file)",
    }
    with pytest.raises(SourceError, match="not an uncompressed tar file"):
        listed(f"tars:{tars / '2.tar'}")


def test_videos_of_a_tar_whose_names_have_dots_are_all_taken(tmp_path):
    with tarfile.open(tmp_path / "0.tar", "w") as tar:
        for number in range(3):
            write_video(tmp_path / "v.mp4", moving_clip(number, frames=4), fps=20)
            tar.add(tmp_path / "v.mp4", f"./walk.v{number}.mp4")
            tar.add(tmp_path / "v.mp4", f"./._walk.v{number}.mp4")
    assert listed(str(tmp_path / "0.tar")) == (["walk.v0", "walk.v1", "walk.v2"], {})


def test_what_macos_leaves_beside_files_is_not_read(tmp_path):
    for seed, name in enumerate("ab"):
        write_video(tmp_path / f"{name}.mp4", moving_clip(seed, frames=4), fps=20)
        (tmp_path / f"._{name}.mp4").write_bytes(b"\0\5\x16\7\xb0")
    (tmp_path / "list.json").write_text(
        json.dumps([{"source": "a.mp4", "edited": "b.mp4", "instruction": "Add snow."}])
    )
    (tmp_path / "__MACOSX").mkdir()
    (tmp_path / "__MACOSX" / "._list.json").write_bytes(b"\0\5\x16\7\xb0")
    assert listed(str(tmp_path)) == (["a", "b"], {})
    assert listed(str(tmp_path / "*.mp4")) == (["a", "b"], {})
    assert listed(f"edit_pairs:{tmp_path}") == (["a-b"], {})


def test_a_byte_order_mark_before_a_list_changes_nothing(tmp_path):
    frames(tmp_path / "JPEGImages" / "480p" / "x")
    masks(tmp_path / "Annotations" / "480p" / "x")
    (tmp_path / "ImageSets" / "2017").mkdir(parents=True)
    (tmp_path / "ImageSets" / "2017" / "val.txt").write_bytes(BOM + b"x\r\n")
    assert [video.split for video in found(f"davis:{tmp_path}")] == ["test"]
    for side in ("gt/DAVIS/x", "hazy/DAVIS/x_239_0.02"):
        frames(tmp_path / "haze" / "test" / side)
    (tmp_path / "haze" / "test" / "meta_info_GT_test.txt").write_bytes(BOM + b"DAVIS/x_239_0.02 4\r\n")
    assert [video.split for video in found(f"hazeworld:{tmp_path / 'haze'}")] == ["test"]
