"""Datasets behind a URL: complete or without a manifest, whatever the network does."""

import json
from pathlib import Path

import fsspec
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.memory import MemoryFileSystem

import datagen.destination
from configs import OutputError, load
from datagen import Recipe, build
from datagen.builder import take_out
from shards import verify
from tests.datagen.conftest import SMALL, command, contents
from tests.datagen.growing import as_before, copy_of, recipe, some, stamps

URL = "memory://bucket/set"


@pytest.fixture
def memory(monkeypatch):
    """The store behind memory://, empty, and no waiting between tries."""
    monkeypatch.setattr(datagen.destination, "_FIRST_WAIT", 0.0)
    store = fsspec.filesystem("memory")
    store.store.clear()
    store.pseudo_dirs[:] = [""]
    return store


def remote(store, root: str = "/bucket/set") -> dict[str, bytes]:
    """What a reader finds there."""
    files = {path.removeprefix(f"{root}/"): store.cat_file(path) for path in store.find(root)}
    return {name: data for name, data in files.items() if not name.startswith(".build/")}


def test_a_url_holds_the_same_bytes_as_a_folder_and_the_staging_keeps_no_shard(
    memory, built, video_folder, small_recipe, tmp_path
):
    build(small_recipe, URL, staging=tmp_path / "s", sources=[str(video_folder)])
    assert remote(memory) == contents(built)
    assert not list((tmp_path / "s").rglob("*.tar"))


class Flaky:
    """Makes uploads fail, and watches that there is no manifest before all of its shards are whole."""

    def __init__(self, monkeypatch, fails) -> None:
        self.count, self.fails, self.manifests = 0, fails, 0
        put = MemoryFileSystem.put_file

        def put_file(system, local, path, *arguments, **options):
            self.count += 1
            how = self.fails(self.count, path)
            if how == "error":
                raise ConnectionError("the network is gone")
            if how == "partial":
                system.pipe_file(path, Path(local).read_bytes()[:100])
                raise TimeoutError("the connection was cut")
            if how == "silent":
                return system.pipe_file(path, Path(local).read_bytes()[:100])
            put(system, local, path, *arguments, **options)
            if path.endswith("/manifest.json"):
                self.manifests += 1
                for shard in json.loads(system.cat_file(path))["shards"]:
                    root = path.removesuffix("manifest.json")
                    assert system.info(root + shard["path"])["size"] == shard["bytes"]
                    assert system.exists(root + shard["path"].replace(".tar", ".parquet"))
            return None

        monkeypatch.setattr(MemoryFileSystem, "put_file", put_file)


@pytest.mark.parametrize("how", ["error", "partial", "silent"])
def test_every_second_upload_fails_and_all_arrives(
    how, memory, built, video_folder, small_recipe, tmp_path, monkeypatch
):
    flaky = Flaky(monkeypatch, lambda count, path: how if count % 2 else None)
    build(small_recipe, URL, staging=tmp_path / "s", sources=[str(video_folder)])
    assert flaky.manifests == 1
    assert remote(memory) == contents(built)


@pytest.mark.parametrize("how", ["error", "partial"])
@pytest.mark.parametrize("last", [0, 1, 3, 6, 9, 12, 14, 15, 16])
def test_a_network_that_goes_for_good_leaves_no_manifest_and_the_next_build_goes_on(
    last, how, memory, built, video_folder, small_recipe, tmp_path, monkeypatch
):
    with monkeypatch.context() as patch:
        Flaky(patch, lambda count, path: how if count > last else None)
        with pytest.raises(
            OutputError, match=r"cannot write memory://bucket/set after 5 tries: the (network|connection)"
        ):
            build(small_recipe, URL, staging=tmp_path / "s", sources=[str(video_folder)])
        whole = {name for name, data in remote(memory).items() if data == contents(built).get(name)}
        assert "manifest.json" not in whole
    build(small_recipe, URL, staging=tmp_path / "s", sources=[str(video_folder)])
    assert remote(memory) == contents(built)


def test_another_machine_goes_on_with_what_is_there(memory, built, video_folder, small_recipe, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        flaky = Flaky(patch, lambda count, path: "error" if "test-000000" in path else None)
        with pytest.raises(OutputError):
            build(small_recipe, URL, staging=tmp_path / "a", sources=[str(video_folder)])
        done = flaky.count
    assert {name for name in remote(memory) if name.endswith(".tar")}
    flaky = Flaky(monkeypatch, lambda count, path: None)
    build(small_recipe, URL, staging=tmp_path / "b", sources=[str(video_folder)])
    assert remote(memory) == contents(built)
    assert flaky.count < done
    # and a third that finds all of it there sends no shard, no card and no manifest
    flaky = Flaky(monkeypatch, lambda count, path: "error" if ".build" not in path else None)
    build(small_recipe, URL, staging=tmp_path / "c", sources=[str(video_folder)])


def test_a_shard_that_was_cut_there_is_made_again(memory, built, video_folder, small_recipe, tmp_path):
    build(small_recipe, URL, staging=tmp_path / "s", sources=[str(video_folder)])
    memory.pipe_file("/bucket/set/dehaze/train-000000.tar", b"cut")
    build(small_recipe, URL, staging=tmp_path / "s", sources=[str(video_folder)])
    assert remote(memory) == contents(built)


def test_growth_and_rejection_of_a_remote_dataset(memory, video_folder, small_recipe, tmp_path):
    some = [str(video_folder / f"video {n}.mp4") for n in (0, 1, 2, 3)]
    for target in (tmp_path / "local", URL):
        staging = tmp_path / "s" if target == URL else None
        build(small_recipe, target, staging=staging, sources=some)
        build(small_recipe, target, staging=staging, sources=[*some, str(video_folder / "video 4.mp4")])
        take_out(target, ["video 1"], reason="by hand", staging=staging)
    assert remote(memory) == contents(tmp_path / "local")


def test_another_recipe_replaces_what_is_there_only_when_told(memory, video_folder, small_recipe, tmp_path):
    build(small_recipe, URL, staging=tmp_path / "s", sources=[str(video_folder)])
    other = load(Recipe, "default", [*SMALL, "tasks={recolor: {}}"])
    with pytest.raises(OutputError, match="memory://bucket/set was made by another recipe"):
        build(other, URL, staging=tmp_path / "s", sources=[str(video_folder)])
    memory.pipe_file("/bucket/set/notes of mine.txt", b"stay")
    build(other, URL, staging=tmp_path / "s", sources=[str(video_folder)], overwrite=True)
    names = {name.split("/")[0] for name in remote(memory)}
    assert names == {"recolor", "manifest.json", "README.md", "rejects.jsonl", "notes of mine.txt"}


def test_a_url_of_other_things_is_never_built_into(memory, small_recipe, tmp_path):
    memory.pipe_file("/bucket/set/holiday.jpg", b"x")
    with pytest.raises(OutputError, match=r"not empty and not a dataset \(it has 'holiday.jpg'\)"):
        build(small_recipe, URL, staging=tmp_path / "s")


def test_workers_upload_what_they_make(built, video_folder, small_recipe, tmp_path):
    build(small_recipe, f"file://{tmp_path}/there", staging=tmp_path / "s", sources=[str(video_folder)], workers=2)
    assert contents(tmp_path / "there") == contents(built)
    assert not list((tmp_path / "s").rglob("*.tar"))


def test_a_url_is_no_folder_to_read_from():
    done = command("info", "s3://bucket/set")
    assert done.returncode == 2
    assert done.stderr == "error: s3:/bucket/set is a URL; datasets are read from folders, so copy it into one first\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--out", "memory://x/y", "--workers", "1"], "lives in one process; build with --workers 0"),
        (["--out", "nosuch://x/y"], "nosuch://x/y: Protocol not known"),
        (["--out", "here", "--staging", "there"], "--staging is for an --out that is a URL"),
    ],
)
def test_urls_of_no_use_are_one_line(arguments, words, video_folder, tmp_path):
    done = command("build", "--from", video_folder, *arguments, cwd=tmp_path)
    assert done.returncode in (2, 3)
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_an_earlier_dataset_behind_a_url_grows_and_no_shard_of_it_is_made_again(videos, tmp_path):
    inputs, there = some(videos, tmp_path / "in", range(4)), tmp_path / "there"
    build(recipe(), f"file://{there}", staging=tmp_path / "s", sources=[str(inputs)])
    before = stamps(as_before(there))
    some(videos, inputs, range(4, 6))
    # looking again for copies looks again at what is finished
    copy_of(inputs / "v05.mp4", inputs / "copy.mp4")
    build(recipe(), f"file://{there}", staging=tmp_path / "another machine", sources=[str(inputs)])
    assert before.items() <= stamps(there).items()
    assert verify(there) == []
    assert all("clean_sha256" in pq.read_schema(path).names for path in there.glob("*/*.parquet"))
