"""Pairs that were not made here: either side is the same video wherever else it comes, so it is in one split."""

import json
import shutil

import datasets
import pyarrow.parquet as pq
import pytest
from PIL import Image

import datagen.plan
from configs import DatasetError, SourceError, load
from datagen import Recipe, build
from datagen.builder import take_out
from datagen.merge import merge
from datagen.plan import make_plan
from shards import Dataset, verify, write_video
from shards.storage import sha256_of
from tests.conftest import moving_clip
from tests.datagen.growing import as_before, stamps
from tests.datagen.layout_files import found, frames
from tests.datagen.test_sources_table import RECIPE, table, video

HALVES = "splits={train: 0.5, val: 0, test: 0.5}"
EDIT = {"task": "edit", "instruction": "Undo it."}


def recipe(*settings: str) -> Recipe:
    return load(Recipe, "default", [*RECIPE, "splits={train: 1, val: 0, test: 0}", *settings])


def one_split(split: str) -> str:
    return "splits={" + ", ".join(f"{name}: {int(name == split)}" for name in ("train", "val", "test")) + "}"


@pytest.fixture
def videos(tmp_path):
    """Videos by number, and of each one that looks otherwise (`u0.mp4`)."""
    for n in range(6):
        video(tmp_path / f"{n}.mp4", n)
        write_video(tmp_path / f"u{n}.mp4", moving_clip(100 + n, frames=4), fps=25)
    return tmp_path


def pairs(*numbers: int) -> list[dict]:
    return [{"path": f"u{n}.mp4", "pair": f"{n}.mp4", **EDIT} for n in numbers]


def test_a_sample_names_its_other_side_as_if_that_had_come_alone_and_only_where_it_shows_it(videos):
    frames(videos / "sharp")
    frames(videos / "hazy", shift=30)
    rows = [*pairs(0), {"path": "sharp", "pair": "hazy", "task": "dehaze"}]
    out = videos / "out"
    build(recipe("tasks={dehaze: {}, edit: {}, recolor: {}}"), out, sources=[table(videos / "t.csv", rows)])
    (hazy,) = found(f"frames:{videos / 'hazy'}")
    dataset = Dataset(out)
    sides = {"edit": sha256_of(videos / "0.mp4"), "dehaze": hazy.sha256}
    for row in dataset.index().to_pylist():
        native = row["effect"] == "native"
        other = sides[row["task"]] if native else ""
        assert row["pair_sha256"] == dataset[row["key"]].meta.pair_sha256 == other
        # what is made here keeps the bytes that it always had
        assert ("pair_sha256" in json.loads(dataset.members(row["key"])["meta.json"])) == native
    assert sides["edit"] in dataset.videos("edit", "train")
    assert dataset.videos("recolor", "train").isdisjoint(sides.values())
    assert verify(out, decode=True) == []
    for task in ("edit", "recolor"):
        read = datasets.load_dataset(str(out), task, split="train", cache_dir=str(videos / "cache"))
        assert ("pair_sha256" in read.features["meta.json"]) == (task == "edit")
        said = {row["__key__"]: row["meta.json"].get("pair_sha256") or "" for row in read}
        assert said == {row["key"]: row["pair_sha256"] for row in dataset.index(task).to_pylist()}


def test_a_side_of_one_picture_is_named_like_the_picture_alone(tmp_path):
    for name, seed in (("a", 0), ("b", 1)):
        Image.fromarray(moving_clip(seed, frames=1)[0]).save(tmp_path / f"{name}.png")
    spec = table(tmp_path / "t.csv", [{"path": "a.png", "pair": "b.png", **EDIT}])
    (item,) = found(spec, "clip.frames=1")
    assert (item.content, item.pair_sha256) == (sha256_of(tmp_path / "a.png"), sha256_of(tmp_path / "b.png"))


@pytest.mark.parametrize("given", [{"path": "0.mp4", "split": "train"}, {"path": "u1.mp4", "pair": "0.mp4", **EDIT}])
def test_a_video_in_train_and_the_other_side_of_a_pair_in_test_is_one_line(given, videos):
    rows = [{**pairs(0)[0], "split": "test"}, {**given, "split": "train"}]
    told = (
        r"should be in (test|train), and \S+, of the same video, pair or group, in (test|train): that would be a leak"
    )
    with pytest.raises(SourceError, match=told):
        build(recipe("tasks={recolor: {}}"), videos / "out", sources=[table(videos / "t.csv", rows)])


def test_videos_that_share_a_side_come_into_one_split_and_a_pair_alone_stays_where_it_was(videos):
    chain = [*pairs(*range(6)), *({"path": f"{n}.mp4", "pair": f"u{n}.mp4", **EDIT} for n in range(3))]
    alone, together = (found(table(videos / f"{len(rows)}.csv", rows)) for rows in (pairs(*range(6)), chain))
    splits = make_plan(alone, recipe(HALVES)).splits
    assert all(video.group == video.content for video in make_plan(alone, recipe()).videos)
    plain = found(str(videos / "[0-9].mp4"))
    plan = make_plan([*together, *plain], recipe(HALVES))
    for n in range(6):
        shown = {plan.splits[item.sha256] for item in (*together, *plain) if item.name[-5:] == f"{n}.mp4"}
        assert len(shown) == 1
    assert set(splits.values()) == set(plan.splits.values()) == {"train", "test"}


@pytest.mark.parametrize("pair_in", ["train", "test"])
@pytest.mark.parametrize("other", ["recolor", "edit"])
def test_merge_refuses_a_video_that_is_the_other_side_of_a_pair_in_another_split(pair_in, other, videos):
    rest = "test" if pair_in == "train" else "train"
    given = [{"path": "0.mp4"}] if other == "recolor" else [{"path": "u1.mp4", "pair": "0.mp4", **EDIT}]
    for split, task, rows in ((pair_in, "edit", pairs(0)), (rest, other, given)):
        spec = table(videos / f"{split}.csv", rows)
        build(recipe(one_split(split), f"tasks={{{task}: {{}}}}"), videos / f"in {split}", sources=[spec])
    with pytest.raises(DatasetError, match=rf"LEAK: 1 source video is .*{sha256_of(videos / '0.mp4')[:12]} is"):
        merge([videos / "in train", videos / "in test"], videos / "out")


@pytest.fixture
def earlier(videos):
    """A dataset of two pairs as it was made before other sides were recorded, and its table."""

    def make(unsaid):
        spec = table(videos / "t.csv", pairs(0, 1))
        build(recipe("tasks={edit: {}, recolor: {}}"), videos / "out", sources=[spec])
        return as_before(videos / "out", unsaid), spec

    return make


@pytest.mark.parametrize("unsaid", [("pair_sha256",), ("clean_sha256", "pair_sha256")], ids=len)
@pytest.mark.parametrize("taken", [(), ("u0.mp4",)], ids=["grown", "taken out of before"])
def test_a_dataset_of_an_earlier_version_names_the_other_sides_when_it_grows(unsaid, taken, earlier, videos):
    out, spec = earlier(unsaid)
    assert set(Dataset(out).index()["pair_sha256"].to_pylist()) == {""}
    if taken:
        take_out(out, taken, reason="by hand")
    before = stamps(out)
    table(videos / "t.csv", pairs(0, 1, 2))
    for _ in range(2):
        build(recipe("tasks={edit: {}, recolor: {}}"), out, sources=[spec])
    assert before.items() <= stamps(out).items()
    assert verify(out) == []
    assert len({str(pq.read_schema(path)) for path in out.glob("*/*.parquet")}) == 1
    left = [sha256_of(videos / f"{n}.mp4") for n in range(len(taken), 3)]
    assert sorted(Dataset(out).index("edit")["pair_sha256"].to_pylist()) == sorted(left)
    assert set(Dataset(out).index("recolor")["pair_sha256"].to_pylist()) == {""}


def test_of_equal_samples_merge_keeps_the_one_whose_index_names_the_other_side(earlier, videos):
    out, spec = earlier(("pair_sha256",))
    shutil.copytree(out, videos / "old")
    build(recipe("tasks={edit: {}, recolor: {}}"), out, sources=[spec])
    sides = {sha256_of(videos / f"{n}.mp4") for n in range(2)}
    for number, order in enumerate(([out, videos / "old"], [videos / "old", out])):
        merge(order, videos / f"merged {number}")
        assert set(Dataset(videos / f"merged {number}").index("edit")["pair_sha256"].to_pylist()) == sides


def names_of(out) -> set[str]:
    return set(Dataset(out).index()["source_id"].to_pylist())


@pytest.mark.parametrize("by", ["file name", "sha256", "id of it alone"])
@pytest.mark.parametrize("reason", ["a licence withdrawn", None])
def test_a_video_that_is_taken_out_takes_along_the_pairs_whose_other_side_it_is(by, reason, videos):
    out, both, file = videos / "out", recipe("tasks={edit: {}, recolor: {}}"), videos / "0.mp4"
    rows = [*pairs(0, 1), {"path": "2.mp4"}, *([{"path": "0.mp4"}] if by == "id of it alone" else [])]
    spec, digest = table(videos / "t.csv", rows), sha256_of(file)
    build(both, out, sources=[spec])
    assert digest in (out / ".build" / "sources.json").read_text()
    take_out(out, [{"file name": "0.mp4", "sha256": digest[:12], "id of it alone": "0"}[by]], reason=reason)
    assert names_of(out) == {"u1", "2"}
    assert verify(out, decode=True) == []
    notes = [path.read_text() for path in (*out.glob(".build/*.json"), *out.glob(".build/units/*.json"))]
    assert any(digest in note for note in notes) == (reason is not None)
    # neither the pair nor its other side comes back; its clean side was not what was taken out
    build(both, out, sources=[spec, str(file), str(videos / "u0.mp4")])
    come = {"u0", "0"} if reason is None else {"u0"}
    assert names_of(out) == {"u1", "2", *come}
    native = {row["source_id"] for row in Dataset(out).index("edit").to_pylist() if row["pair_sha256"]}
    assert native == ({"u0", "u1"} if reason is None else {"u1"})


def test_a_pair_that_is_taken_out_by_its_id_leaves_the_one_before_it_and_what_else_shows_its_other_side(videos):
    out, rows = videos / "out", [{"path": "0.mp4", "pair": "1.mp4", **EDIT}, {"path": "1.mp4", "pair": "2.mp4", **EDIT}]
    build(recipe("tasks={edit: {}}"), out, sources=[table(videos / "t.csv", [*rows, *pairs(2)])])
    take_out(out, ["1"], reason="misaligned")
    assert names_of(out) == {"0", "u2"}


def test_a_pair_without_a_note_of_its_other_side_is_taken_out_by_the_name_of_that_file(earlier):
    out, _ = earlier(("pair_sha256",))
    take_out(out, ["1.mp4"], reason="by hand")
    assert names_of(out) == {"u0"}


def test_an_earlier_dataset_with_the_sides_of_a_pair_in_two_splits_says_so_and_goes_on_without_one(videos, monkeypatch):
    out, both = videos / "out", recipe("tasks={recolor: {}}")
    rows = [{**pairs(0)[0], "split": "test"}, *({"path": f"{n}.mp4", "split": "train"} for n in range(2))]
    spec = table(videos / "t.csv", rows)
    with monkeypatch.context() as patch:
        patch.setattr(datagen.plan, "_grouped", list)
        build(both, out, sources=[spec])
    as_before(out)
    with pytest.raises(SourceError, match="that would be a leak"):
        build(both, out, sources=[spec])
    take_out(out, ["u0.mp4"], reason="leak")
    table(videos / "t.csv", rows[1:])
    build(both, out, sources=[spec])
    assert Dataset(out).splits == ["train"]


def test_a_pair_stays_out_of_a_merge_with_a_part_that_rejected_its_other_side(videos):
    plain = [str(videos / f"{n}.mp4") for n in range(2)]
    build(recipe("tasks={recolor: {}}"), videos / "a", sources=plain)
    take_out(videos / "a", ["0"], reason="private")
    build(recipe("tasks={edit: {}}"), videos / "b", sources=[table(videos / "t.csv", pairs(0, 2))])
    merge([videos / "a", videos / "b"], videos / "both")
    ids = {row["source_id"] for row in Dataset(videos / "both").index().to_pylist()}
    assert ids == {"1", "u2"}
