"""What one part of a merge has rejected does not come in by way of another, and its rejects say so."""

import json
import shutil

import pytest

from datagen.builder import take_out
from datagen.commands import merge_datasets, show_info
from datagen.merge import merge
from datagen.merge_rejects import turned_away
from datagen.parts import Part, picks_of
from shards import Dataset, load_manifest, verify, write_video
from tests.conftest import moving_clip
from tests.datagen.conftest import made, shards_of
from tests.datagen.growing import rejects, some

TRAIN = "splits={train: 1, val: 0, test: 0}"


def ids(out):
    return set(Dataset(out).index()["source_id"].to_pylist())


@pytest.fixture
def folder(videos, tmp_path):
    return some(videos, tmp_path / "in", range(3))


@pytest.fixture
def two(folder, tmp_path):
    """Two datasets of the same three videos, by two tasks; from the first one video was rejected."""
    roots = [made(tmp_path / t, TRAIN, f"tasks={{{t}: {{}}}}", sources=[folder]) for t in ("dehaze", "recolor")]
    take_out(roots[0], ["v01"], reason="private")
    return roots


@pytest.mark.parametrize("notes", [True, False])
@pytest.mark.parametrize("turned", [False, True])
def test_what_a_part_rejected_stays_out_and_is_told(notes, turned, two, tmp_path, capsys):
    if not notes:
        shutil.rmtree(two[0] / ".build")
    theirs = sum(row["source_id"] == "v01" for row in Dataset(two[1]).index().to_pylist())
    out = tmp_path / "out"
    merge_datasets(two[::-1] if turned else two, out, [], 0)
    assert ids(out) == {"v00", "v02"}
    assert verify(out) == []
    first = f"first 'datagen forget {two[0]} --source VIDEO', or " if notes else ""
    told = capsys.readouterr().out
    assert (
        f"{theirs} samples left out of 1 video that dehaze rejected: v01.mp4; to have them in, {first}leave dehaze out of "
        "the merge\n"
    ) in told
    assert "in another part, too" not in told
    parts = {part["name"]: part for part in load_manifest(out).parts}
    assert [parts[name]["rejected_samples"] for name in ("dehaze", "recolor")] == [0, theirs]
    assert parts["recolor"]["samples"] == load_manifest(two[1]).samples - theirs
    show_info(out)
    told = capsys.readouterr().out
    assert "1 video left out: rejected 1\n" in told
    assert "    rejected: v01.mp4\n" in told


def test_what_is_forgotten_again_comes_in(two, tmp_path):
    take_out(two[0], ["v01"], reason=None)
    lines = []
    merge(two, tmp_path / "out", tell=lines.append)
    assert ids(tmp_path / "out") == {"v00", "v01", "v02"}
    assert lines == []


def test_what_was_rejected_with_its_words_stays_out_alone_and_of_later_merges_too(folder, tmp_path):
    rows = "".join(f"in/{path.name},at noon\n" for path in sorted(folder.iterdir()))
    (tmp_path / "t.csv").write_text(f"path,caption\n{rows}")
    told = made(tmp_path / "told", TRAIN, "tasks={dehaze: {}}", sources=[tmp_path / "t.csv"])
    take_out(told, ["v01"], reason="private")
    bare = [made(tmp_path / t, TRAIN, f"tasks={{{t}: {{}}}}", sources=[folder]) for t in ("recolor", "dehaze")]
    merge([told, bare[0]], tmp_path / "out")
    assert ids(tmp_path / "out") == {"v00", "v02"}
    lines = []
    merge([tmp_path / "out", bare[1]], tmp_path / "again", tell=lines.append)
    assert ids(tmp_path / "again") == {"v00", "v02"}
    assert [line.split("; ")[1] for line in lines] == ["to have them in, leave out out of the merge"]
    assert {reject["reason"] for reject in rejects(tmp_path / "again") if reject["where"] == "excluded"} == {
        "rejected: private"
    }


def test_a_part_keeps_its_own_samples_of_what_its_rejects_name(two, tmp_path):
    """As a merge of an earlier version has them."""
    path = two[1] / "rejects.jsonl"
    path.write_text(path.read_text() + (two[0] / "rejects.jsonl").read_text())
    parts = [Part(dataset=Dataset(root), weight=None) for root in two[1:] * 2]
    assert turned_away(parts, [pick for n, part in enumerate(parts) for pick in picks_of(n, part.dataset)]) == {}


def test_a_video_that_is_rejected_leaks_into_no_split(videos, tmp_path):
    copies = some(videos, tmp_path / "in", range(2)), some(videos, tmp_path / "other", range(1, 3))
    train = made(tmp_path / "train", TRAIN, "tasks={dehaze: {}}", sources=[copies[0]])
    test = made(tmp_path / "test", "splits={train: 0, val: 0, test: 1}", "tasks={dehaze: {}}", sources=[copies[1]])
    rejecting = made(tmp_path / "rejecting", TRAIN, "tasks={recolor: {}}", sources=[copies[0]])
    take_out(rejecting, ["v01"], reason="private")
    merge([train, test, rejecting], tmp_path / "out")
    assert ids(tmp_path / "out") == {"v00", "v02"}


def test_a_video_that_only_one_part_could_not_use_is_not_left_out(tmp_path, capsys):
    for name, seed, size in (("small", 0, 48), ("large", 1, 96)):
        write_video(tmp_path / "in" / f"{name}.mp4", moving_clip(seed, frames=14, height=size, width=size), fps=25)
    parts = [
        made(tmp_path / task, TRAIN, f"clip.size={size}", f"tasks={{{task}: {{}}}}", sources=[tmp_path / "in"])
        for task, size in (("dehaze", 32), ("recolor", 96))
    ]
    assert load_manifest(parts[1]).rejects == {"too small": 1}
    manifest = merge(parts, tmp_path / "out")
    assert ids(tmp_path / "out") == {"small", "large"}
    assert manifest.rejects == {}
    # of a merge of an earlier version, which kept such lines
    path = tmp_path / "out" / "rejects.jsonl"
    path.write_text((parts[1] / "rejects.jsonl").read_text())
    show_info(tmp_path / "out")
    assert "videos without a sample" not in capsys.readouterr().out


def test_what_no_part_rejected_is_merged_as_before(parts, merged, tmp_path):
    lines = []
    merge(parts, tmp_path / "out", tell=lines.append)
    assert lines == []
    assert shards_of(tmp_path / "out") == shards_of(merged)
    assert all(json.loads(line)["where"] != "excluded" for line in (merged / "rejects.jsonl").read_text().splitlines())
