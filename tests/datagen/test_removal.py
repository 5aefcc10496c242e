"""Source videos taken out of a finished dataset, for good or without a trace."""

import hashlib
import json
import shutil
from contextlib import nullcontext, suppress
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from configs import DatasetError, SourceError
from datagen import build
from datagen.builder import take_out
from datagen.stats import collect
from datagen.stats_page import write_stats
from datagen.telling import told_forgotten
from datagen.view import write_contact_sheet
from shards import Dataset, verify
from shards.storage import sha256_of
from tests.datagen.conftest import command
from tests.datagen.growing import (
    copy_of,
    killed_at,
    recipe,
    rejects,
    samples,
    some,
    stamps,
)


def test_what_was_rejected_does_not_come_back_with_other_words_or_alone(videos, tmp_path):
    folder, table, out = some(videos, tmp_path / "in", range(3)), tmp_path / "t.csv", tmp_path / "out"

    def tell(words):
        table.write_text("path,caption\n" + "".join(f"in/v{n:02d}.mp4,{words} {n}\n" for n in range(3)))

    tell("a thing")
    build(recipe(), out, sources=[str(table)])
    take_out(out, ["v01"], reason="bad")
    left = samples(out)
    # edited in one row, and given plainly in the place of its row
    text = table.read_text()
    table.write_text(text.replace("a thing 1", "another thing"))
    build(recipe(), out, sources=[str(table)])
    assert samples(out) == left
    table.write_text("".join(line + "\n" for line in text.splitlines() if "v01" not in line))
    build(recipe(), out, sources=[str(table), str(folder / "v01.mp4")])
    assert samples(out) == left
    assert "rejected: bad" in {reject["reason"] for reject in rejects(out)}


def test_a_rejected_source_is_gone_only_its_shards_are_made_again_and_it_stays_out(videos, tmp_path):
    out = tmp_path / "out"
    build(recipe(), out, sources=[str(videos)])
    rows = Dataset(out).index().to_pylist()
    touched = {f"{row['task']}/{row['shard']}" for row in rows if row["source_id"] == "v05"}
    before, left = stamps(out), {k: v for k, v in samples(out).items() if Dataset(out)[k].meta.source_id != "v05"}
    take_out(out, ["v05"], reason="a licence withdrawn")
    after = stamps(out)
    assert {str(path) for path in before if before[path] != after.get(path)} == touched
    assert samples(out) == left
    assert verify(out, decode=True) == []
    said = [reject for reject in rejects(out) if reject["source"] == "v05.mp4"]
    assert [(reject["where"], reject["reason"]) for reject in said] == [("excluded", "rejected: a licence withdrawn")]
    build(recipe(), out, sources=[str(videos)])
    assert samples(out) == left


def texts(out):
    """Everything below a folder with its bytes, an index as text."""
    for path in out.rglob("*"):
        if path.suffix == ".parquet":
            yield path, json.dumps(pq.read_table(path).to_pylist(), default=str).encode()
        elif path.is_file():
            yield path, path.read_bytes()


def traces(out, *words):
    return {(path.name, word) for path, content in texts(out) for word in words if word.encode() in content}


def test_a_forgotten_source_leaves_no_trace_and_may_come_again(videos, tmp_path):
    inputs, out = some(videos, tmp_path / "in", range(8)), tmp_path / "out"
    (inputs / "v03.mp4").rename(inputs / "grandmother.mp4")
    copy_of(inputs / "grandmother.mp4", inputs / "a_wedding.mp4")
    build(recipe(), out, sources=[str(inputs)])
    build(recipe(), tmp_path / "before", sources=[str(inputs)])
    write_contact_sheet(out)
    write_stats(collect(out), out / "stats.html")
    (out / "notes.html").write_text("my own")
    known = json.loads((out / ".build" / "sources.json").read_text())
    kept = {row["source_id"] for row in Dataset(out).index().to_pylist()}
    for name in sorted({"grandmother", "a_wedding"}, key=lambda name: name not in kept):
        (sha256,) = (key for key, video in known.items() if video["id"] == name)
        assert {word for _, word in traces(out, name, sha256)} == {name, sha256}
        take_out(out, [sha256[:12]], reason=None)
        assert traces(out, name, sha256, sha256[:12]) == set()
        if name in kept:
            assert not (out / "view.html").exists()
            assert not (out / "stats.html").exists()
            assert {"grandmother", "a_wedding"} - kept <= set(Dataset(out).index()["source_id"].to_pylist())
    assert (out / "notes.html").read_text() == "my own"
    build(recipe(), out, sources=[str(inputs)])
    assert samples(out).keys() == samples(tmp_path / "before").keys()


def test_a_copy_that_is_forgotten_leaves_no_trace_and_what_it_was_a_copy_of_stays(videos, tmp_path):
    inputs, out = some(videos, tmp_path / "in", range(8)), tmp_path / "out"
    copy_of(inputs / "v03.mp4", inputs / "a_wedding.mp4")
    build(recipe(), out, sources=[str(inputs)])
    kept = {row["source_id"] for row in Dataset(out).index().to_pylist()}
    (gone,) = {"v03", "a_wedding"} - kept
    known = json.loads((out / ".build" / "sources.json").read_text())
    (sha256,) = (key for key, video in known.items() if video["id"] == gone)
    before = samples(out)
    done = command("forget", out, "--source", gone, "--workers", 0)
    assert done.returncode == 0, done.stderr
    assert traces(out, gone, sha256) == set()
    assert samples(out) == before


def test_what_is_left_is_counted_and_a_split_that_is_empty_now_is_named(videos, tmp_path):
    inputs, out = some(videos, tmp_path / "in", range(3)), tmp_path / "out"
    options = ["tasks={recolor: {}}", "splits={train: 0.5, val: 0, test: 0.5}"]
    build(recipe(*options), out, sources=[str(inputs)])
    rows = Dataset(out).index("recolor").to_pylist()
    tests = {row["source_id"] for row in rows if row["split"] == "test"}
    trained = sum(row["split"] == "train" for row in rows)
    done = command("reject", out, "--workers", 0, *(word for name in sorted(tests) for word in ("--source", name)))
    assert done.returncode == 0, done.stderr
    assert f"  train: {trained} samples (recolor {trained})\n" in done.stdout
    assert "  test: " not in done.stdout
    assert "no test samples: " in done.stdout


def test_what_was_rejected_before_is_told_from_what_is_rejected_now(videos, tmp_path):
    inputs, out = some(videos, tmp_path / "in", range(4)), tmp_path / "out"
    build(recipe("tasks={recolor: {}}"), out, sources=[str(inputs)])
    done = command("reject", out, "--workers", 0, "--source", "v01")
    assert done.stdout.splitlines()[0] == "rejected now: v01.mp4"
    assert "rejected before" not in done.stdout
    done = command("reject", out, "--workers", 0, "--source", "v01", "--source", "v02.mp4")
    assert done.stdout.splitlines()[:2] == ["rejected now: v02.mp4", "rejected before: v01.mp4"]
    done = command("reject", out, "--workers", 0, "--source", "v01")
    assert done.stdout.splitlines()[0] == "rejected before: v01.mp4"
    assert done.stdout.splitlines()[1].endswith(" left; nothing to build")
    assert done.stderr == ""


def test_what_is_forgotten_is_named(videos, tmp_path):
    inputs, out = some(videos, tmp_path / "in", range(4)), tmp_path / "out"
    build(recipe("tasks={recolor: {}}"), out, sources=[str(inputs)])
    done = command("forget", out, "--workers", 0, "--source", "v01", "--source", "v03")
    told = done.stdout.splitlines()[0]
    assert told == "forgotten: v01.mp4, v03.mp4; the next build takes in again what is still among its sources"
    assert "rejected" not in done.stdout.replace(str(out), "")
    # as where a removal goes on that was killed when the names had gone
    assert list(told_forgotten([])) == []


@pytest.mark.parametrize("name", ["forget", "reject"])
def test_pages_that_show_what_was_taken_out_are_removed_and_that_is_said(name, videos, tmp_path):
    inputs, out = some(videos, tmp_path / "in", range(3)), tmp_path / "out"
    build(recipe("tasks={recolor: {}}"), out, sources=[str(inputs)])
    assert command("view", out).returncode == command("gates", out).returncode == 0
    done = command(name, out, "--source", "v01", "--workers", 0)
    for page in ("view", "gates"):
        assert f"{page}.html was out of date and was removed; 'datagen {page} {out}' makes it again\n" in done.stdout
        assert not (out / f"{page}.html").exists()


def test_a_captioned_video_is_forgotten_with_the_file_that_was_its_duplicate(videos, tmp_path):
    inputs, out = some(videos, tmp_path / "clips", range(8)), tmp_path / "out"
    files = sorted(inputs.iterdir())
    (tmp_path / "t.csv").write_text("path,caption\n" + "".join(f"clips/{file.name},at noon\n" for file in files))
    build(recipe(), out, sources=[str(tmp_path / "t.csv"), str(inputs)])
    sha256 = hashlib.sha256(files[3].read_bytes()).hexdigest()
    assert sha256 in (out / "rejects.jsonl").read_text()
    take_out(out, [files[3].stem], reason=None)
    for path in out.rglob("*"):
        if path.is_file() and path.suffix != ".parquet":
            assert sha256.encode() not in path.read_bytes(), path
    assert (out / "rejects.jsonl").read_text().count("of which more is said") == 7


@pytest.mark.parametrize("by", ["file name", "sha256", "path in the table"])
def test_a_captioned_video_is_taken_out_by_its_file_and_stays_out_when_it_comes_alone(by, videos, tmp_path):
    inputs, out = some(videos, tmp_path / "clips", range(8)), tmp_path / "out"
    files = sorted(inputs.iterdir())
    rows = [f"clips/{file.name},{file.stem} at noon" for file in files]
    (tmp_path / "t.csv").write_text("\n".join(["path,caption", *rows]))
    build(recipe(), out, sources=[str(tmp_path / "t.csv")])
    sha256 = hashlib.sha256(files[3].read_bytes()).hexdigest()
    went = files[3].stem
    assert went in Dataset(out).index()["source_id"].to_pylist()
    name = {"file name": files[3].name, "sha256": sha256, "path in the table": f"clips/{files[3].name}"}[by]
    take_out(out, [name], reason="a licence withdrawn")
    assert went not in Dataset(out).index()["source_id"].to_pylist()
    if by == "sha256":
        build(recipe(), out, sources=[str(tmp_path / "t.csv"), str(files[3])])
        assert went not in Dataset(out).index()["source_id"].to_pylist()


@pytest.mark.parametrize("reason", [None, "by hand"])
def test_a_removal_that_is_killed_goes_on_when_it_is_asked_for_again(reason, videos, tmp_path, monkeypatch):
    inputs, out, whole = some(videos, tmp_path / "in", range(8)), tmp_path / "out", tmp_path / "whole"
    for folder in (out, whole):
        build(recipe(), folder, sources=[str(inputs)])
    take_out(whole, ["v03"], reason=reason)
    with monkeypatch.context() as patch:
        patch.setattr("datagen.workers.build_unit", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            take_out(out, ["v03"], reason=reason)
    with pytest.raises(
        DatasetError, match=r"a removal did not finish; first run 'datagen (forget|reject) .*out --source v03' again"
    ):
        take_out(out, ["v04"], reason=reason)
    take_out(out, ["v03"], reason=reason)
    assert samples(out) == samples(whole)
    assert rejects(out) == rejects(whole)
    # and that is the end of it: nothing of this name is there now
    with pytest.raises(DatasetError, match="no source named 'v03'") if reason is None else nullcontext():
        take_out(out, ["v03"], reason=reason)


@pytest.mark.parametrize("reason", [None, "by hand"])
def test_a_removal_that_is_killed_at_any_write_is_finished_before_anything_else_is_built(
    reason, videos, tmp_path, monkeypatch
):
    inputs, start, whole = some(videos, tmp_path / "in", range(3)), tmp_path / "start", tmp_path / "whole"
    one_task = recipe("tasks={recolor: {}}", "clip.per_video=1")
    build(one_task, start, sources=[str(inputs)])
    shutil.copytree(start, whole)
    take_out(whole, ["v01"], reason=reason)
    command = "forget" if reason is None else "reject"
    for write in range(1, 200):
        out = tmp_path / f"killed{write}"
        shutil.copytree(start, out)
        with monkeypatch.context() as patch:
            written = killed_at(write, patch)
            with suppress(KeyboardInterrupt):
                take_out(out, ["v01"], reason=reason)
        if not (out / ".build" / "removal.json").exists():
            # not begun, or finished
            assert samples(out) == samples(start if write == 1 else whole)
        else:
            # the first two are those of the note; the last is that of the new manifest
            if write > 2 and (out / "manifest.json").exists():
                assert samples(out) == samples(whole)
            remedy = rf"a removal did not finish; first run 'datagen {command} {out} --source v01' again"
            with pytest.raises(DatasetError, match=remedy):
                build(one_task, out, sources=[str(inputs)])
            take_out(out, ["v01"], reason=reason and "another reason")
        if written[0] < write:
            break
        if write > 1:
            assert samples(out) == samples(whole)
            assert (out / "rejects.jsonl").read_text() == (whole / "rejects.jsonl").read_text()
            assert "v01" not in Dataset(out).index()["source_id"].to_pylist()
    assert 10 < write < 199


def test_a_removal_that_is_killed_may_be_dropped_with_the_whole_dataset(videos, tmp_path, monkeypatch):
    inputs, out = some(videos, tmp_path / "in", range(3)), tmp_path / "out"
    build(recipe(), out, sources=[str(inputs)])
    with monkeypatch.context() as patch:
        killed_at(5, patch)
        with pytest.raises(KeyboardInterrupt):
            take_out(out, ["v01"], reason=None)
    build(recipe(), out, sources=[str(inputs)], overwrite=True)
    assert "v01" in Dataset(out).index()["source_id"].to_pylist()


def test_what_is_no_source_or_all_there_is_cannot_be_taken_out(videos, tmp_path):
    out = tmp_path / "out"
    build(recipe(), out, sources=[str(videos / "v01.mp4"), str(videos / "v02.mp4")])
    with pytest.raises(DatasetError, match="did you mean 'v01'"):
        take_out(out, ["v011"], reason="x")
    before = stamps(out)
    with pytest.raises(SourceError, match="nothing would be left"):
        take_out(out, ["v01", "v02"], reason="x")
    assert stamps(out) == before


@pytest.fixture
def of_one_stem(videos, tmp_path) -> Path:
    """A dataset of four videos, two of which are called `clip`."""
    inputs = some(videos, tmp_path / "in", range(2))
    for number, path in enumerate(("a/clip.mp4", "b/clip.mkv"), start=2):
        (inputs / path).parent.mkdir()
        shutil.copy(videos / f"v{number:02d}.mp4", inputs / path)
    build(recipe("tasks={recolor: {}}", "clip.per_video=1"), tmp_path / "out", sources=[str(inputs)])
    return tmp_path / "out"


def test_a_stem_that_several_files_share_is_refused_and_a_path_or_sha256_says_which(of_one_stem):
    done = command("reject", of_one_stem, "--workers", 0, "--source", "clip")
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    unknown = command("reject", of_one_stem, "--workers", 0, "--source", "nosuch").stderr
    assert " available: a/clip.mp4, b/clip.mkv, v00, v01 (" in unknown
    digest = sha256_of(of_one_stem.parent / "in" / "b" / "clip.mkv")
    assert "source 'clip' fits 2 files: a/clip.mp4 (sha256 " in done.stderr
    assert f"b/clip.mkv (sha256 {digest[:12]})" in done.stderr
    for name in ("clip.mkv", "b/clip.mkv", digest[:12]):
        told = command("reject", of_one_stem, "--workers", 0, "--source", name).stdout
        assert told.splitlines()[0].endswith(": b/clip.mkv")
    told = command("reject", of_one_stem, "--workers", 0, "--source", "a/clip.mp4", "--source", "b/clip.mkv").stdout
    assert told.splitlines()[:2] == ["rejected now: a/clip.mp4", "rejected before: b/clip.mkv"]


def test_files_of_one_name_in_two_folders_are_told_apart_by_their_sha256(videos, tmp_path):
    folders = [some(videos, tmp_path / name, [number]) for number, name in enumerate("xyz")]
    for number, folder in enumerate(folders):
        (folder / f"v{number:02d}.mp4").rename(folder / "clip.mp4")
    out = tmp_path / "out"
    build(recipe("tasks={recolor: {}}", "clip.per_video=1"), out, sources=list(map(str, folders)))
    with pytest.raises(DatasetError, match=r"'clip\.mp4' fits 3 files"):
        take_out(out, ["clip.mp4"], reason="x")
    digests = [sha256_of(folder / "clip.mp4")[:12] for folder in folders]
    told = command("reject", out, "--workers", 0, "--source", digests[0], "--source", digests[1]).stdout.splitlines()[0]
    assert all(f"clip.mp4 (sha256 {digest})" in told for digest in digests[:2])
    assert digests[2] not in told
