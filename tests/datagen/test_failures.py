"""What a build survives: workers that crash, hang, or are killed; nodes that go; a disk that is full; SIGTERM."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from configs import OutputError, load
from datagen import Recipe, build
from datagen.destination import Destination
from datagen.workers import UnitError, run_here
from shards import Dataset, verify
from tests.datagen.conftest import SMALL, command, contents
from tests.processes import meanwhile, running, wait_for


@pytest.fixture
def on_workers(tmp_path, monkeypatch):
    """Give a function that puts code before `Recolor.apply` in every Ray worker; it sees `clip`."""

    def install(code: str) -> None:
        folder = tmp_path / "site"
        folder.mkdir()
        body = textwrap.indent(textwrap.dedent(code).strip(), "        ")
        (folder / "sitecustomize.py").write_text(
            "import sys\n"
            "if any('default_worker' in word for word in sys.orig_argv):\n"
            "    import ctypes, os, time\n"
            "    from datagen.tasks.recolor import Recolor\n"
            "    make = Recolor.apply\n"
            "    def apply(self, clip, parameters):\n"
            f"{body}\n"
            "        return make(self, clip, parameters)\n"
            "    Recolor.apply = apply\n"
        )
        monkeypatch.setenv("PYTHONPATH", f"{folder}{os.pathsep}{Path(__file__).parents[2]}")

    return install


def rejects_of(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "rejects.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("trouble", "settings", "reason"),
    [
        ("os.kill(os.getpid(), 11)", [], "crashed"),
        # the whole interpreter hangs: no thread of Python's could end it
        ("ctypes.PyDLL(None).sleep(1000)", ["limits.clip_seconds=4"], "crashed"),
        ("eaten = [bytearray(2**26) for _ in range(100)]", ["limits.worker_bytes=1000000000"], "failed"),
    ],
    ids=["segfaults", "hangs", "eats memory"],
)
def test_one_pair_that_takes_its_worker_along_is_left_out_and_its_neighbours_stay(
    trouble, settings, reason, on_workers, built, video_folder, tmp_path
):
    on_workers(f"if clip.video.id == 'video 1' and clip.window.start == 4: {trouble}")
    recipe = load(Recipe, "default", [*SMALL, *settings])
    build(recipe, tmp_path / "x", sources=[str(video_folder)], workers=1)
    assert verify(tmp_path / "x") == []
    bad = [r for r in rejects_of(tmp_path / "x") if r["reason"].startswith(reason)]
    assert [(r["source"], r["start"], r["task"]) for r in bad] == [("video 1.mp4", 4, "recolor")]
    assert bad[0]["tries"] == (2 if reason == "crashed" else 1)
    ours, whole = Dataset(tmp_path / "x"), Dataset(built)
    lost = set(whole.keys("recolor")) - set(ours.keys())
    assert len(lost) == 1
    assert set(ours.keys()) | lost == set(whole.keys())
    assert {name: data for name, data in contents(tmp_path / "x").items() if name.startswith("dehaze")} == {
        name: data for name, data in contents(built).items() if name.startswith("dehaze")
    }


def test_what_was_left_out_after_a_crash_can_be_tried_again(on_workers, built, video_folder, small_recipe, tmp_path):
    marker = tmp_path / "mended"
    on_workers(f"if clip.video.id == 'video 1' and not os.path.exists({str(marker)!r}): os.kill(os.getpid(), 11)")
    build(small_recipe, tmp_path / "x", sources=[str(video_folder)], workers=1)
    assert sum(r["reason"].startswith("crashed") for r in rejects_of(tmp_path / "x")) == 3
    marker.touch()
    build(small_recipe, tmp_path / "x", sources=[str(video_folder)], workers=1)
    assert contents(tmp_path / "x") != contents(built)
    build(small_recipe, tmp_path / "x", sources=[str(video_folder)], workers=1, retry_failed=True)
    assert contents(tmp_path / "x") == contents(built)


def test_an_effect_that_crashes_always_ends_the_build_with_the_reason(on_workers, tmp_path):
    on_workers("os.kill(os.getpid(), 11)")
    recipe = load(Recipe, "default", [*SMALL, "scenes.count=12", "tasks={recolor: {}}", "clip.per_video=1"])
    with pytest.raises(UnitError, match="its worker died of 8 of its clips, 2 times each"):
        build(recipe, tmp_path / "x", workers=2)
    assert not (tmp_path / "x" / "manifest.json").exists()


def test_a_worker_that_is_killed_from_outside_costs_nothing_but_time(
    on_workers, built, video_folder, small_recipe, tmp_path
):
    on_workers("time.sleep(0.3)")
    killed = []

    def kill_one() -> None:
        notes = tmp_path / "x" / ".build" / "progress"
        wait_for(lambda: notes.is_dir() and any("recolor" in note.read_text() for note in notes.iterdir()))
        worker = next(
            p for p in psutil.process_iter(["name"]) if "_build_on_worker" in (p.info["name"] or "") and ours(p)
        )
        worker.kill()
        killed.append(worker.pid)

    with meanwhile(kill_one):
        build(small_recipe, tmp_path / "x", sources=[str(video_folder)], workers=2)
    assert killed
    assert contents(tmp_path / "x") == contents(built)


def ours(process: psutil.Process) -> bool:
    """Whether a process descends from this one: tests run side by side."""
    return psutil.Process() in process.parents()


def test_a_node_that_goes_costs_nothing_but_time(on_workers, built, video_folder, small_recipe, tmp_path):
    from ray.cluster_utils import Cluster

    on_workers("time.sleep(0.3)")
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        second = cluster.add_node(num_cpus=1)
        cluster.wait_for_nodes()
        gone = []

        def kill_node() -> None:
            notes = tmp_path / "x" / ".build" / "progress"
            wait_for(lambda: notes.is_dir() and sum("recolor" in n.read_text() for n in notes.iterdir()) >= 2)
            cluster.remove_node(second, allow_graceful=False)
            gone.append(second)

        with meanwhile(kill_node):
            build(small_recipe, tmp_path / "x", sources=[str(video_folder)], workers=2, address=cluster.address)
        assert gone
    finally:
        cluster.shutdown()
    assert contents(tmp_path / "x") == contents(built)


@pytest.fixture
def somebody_s_cluster():
    """Give a cluster that runs on this machine for other purposes, noted where Ray looks for one."""
    cluster = Path("/tmp/ray/ray_current_cluster")
    before = cluster.read_text() if cluster.is_file() else None
    line = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--num-cpus=1", "--port=0", "--block"]
    with running(*line, "--include-dashboard=false") as process:
        wait_for(lambda: cluster.is_file() and cluster.read_text() != before)
        yield cluster.read_text()
        # asked first: killed, it would leave its note where the next Ray looks
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(30)


def test_a_cluster_that_runs_here_for_others_is_left_alone(
    somebody_s_cluster, built, video_folder, small_recipe, tmp_path
):
    build(small_recipe, tmp_path / "x", sources=[str(video_folder)], workers=1)
    assert contents(tmp_path / "x") == contents(built)


def test_the_cluster_that_ray_address_names_is_joined(
    somebody_s_cluster, built, video_folder, small_recipe, tmp_path, monkeypatch
):
    monkeypatch.setenv("RAY_ADDRESS", somebody_s_cluster)
    build(small_recipe, tmp_path / "x", sources=[str(video_folder)], workers=1)
    assert contents(tmp_path / "x") == contents(built)


@pytest.mark.parametrize("workers", [0, 2])
def test_sigterm_ends_a_build_within_ten_seconds_and_leaves_temporaries_at_most(workers, tmp_path):
    options = [word for value in [*SMALL, "scenes.count=400", "clip.size=96"] for word in ("--set", value)]
    out = tmp_path / "x"
    line = [sys.executable, "-m", "datagen", "build", "--workers", str(workers), *options, "--out", str(out)]
    with running(*line, said=tmp_path / "said") as process:
        wait_for(lambda: list(out.glob("*/*.tar")), seconds=120)
        process.terminate()
        assert process.wait(10) == 130
    said = (tmp_path / "said").read_text()
    assert "Traceback" not in said
    last = "error: stopped; the shards that are finished are kept; run the same command again to go on"
    assert said.splitlines()[-1] == last
    time.sleep(1)
    files = [path for path in out.rglob("*") if path.is_file() and ".build" not in path.parts]
    assert not (out / "manifest.json").exists()
    assert all(path.suffix in (".tar", ".parquet", ".tmp") for path in files)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_full_disk_is_one_line_and_no_manifest_and_the_build_goes_on_when_there_is_room(
    workers, built, video_folder, tmp_path
):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = shutil.which("mount") and os.geteuid() == 0
    mount = ["mount", "-t", "tmpfs", "-o", "size=160k", "none", disk]
    if not mounted or subprocess.run(mount, check=False, timeout=60).returncode:
        pytest.skip("no right to mount a small disk")
    try:
        options = [word for value in SMALL for word in ("--set", value)]
        line = ["build", "--workers", workers, *options, "--from", video_folder, "--out", disk / "x"]
        done = command(*line)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.splitlines()[-1].startswith("error: cannot write")
        assert "No space left on device" in done.stderr
        assert "Traceback" not in done.stderr
        assert not (disk / "x" / "manifest.json").exists()
        subprocess.run(["mount", "-o", "remount,size=100m", disk], check=True, timeout=60)
        assert command(*line).returncode == 0
        assert contents(disk / "x") == contents(built)
    finally:
        subprocess.run(["umount", "-l", disk], check=True, timeout=60)


def test_a_file_that_may_not_grow_is_one_line_too(video_folder, small_recipe, tmp_path, monkeypatch):
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match=r"cannot write .*: No space left on device"):
        build(small_recipe, tmp_path / "x", sources=[str(video_folder)])
    assert not list((tmp_path / "x").glob("*.json"))


def test_two_builds_in_one_folder_and_a_lock_that_was_left(built, video_folder, small_recipe, tmp_path):
    out = tmp_path / "x"
    (out / ".build").mkdir(parents=True)
    # of a process that is no more: its number says nothing, the kernel's lock is gone with it
    (out / ".build" / "lock").write_text(str(os.getpid()))
    options = [word for value in [*SMALL, "scenes.count=300"] for word in ("--set", value)]
    line = [sys.executable, "-m", "datagen", "build", "--workers", "0", *options, "--out", out]
    with running(*line) as first:
        wait_for((out / ".build" / "identity.json").is_file)
        second = command("build", "--workers", 0, *options, "--out", out)
        assert second.returncode == 2
        assert f"another build (process {first.pid}) is at work here" in second.stderr
    build(small_recipe, out, sources=[str(video_folder)], overwrite=True)
    assert contents(out) == contents(built)


def test_the_number_of_clips_done_is_told_across_units(small_recipe, video_folder, tmp_path):
    from datagen.plan import make_plan
    from datagen.sources import find_source

    plan = make_plan(find_source(str(video_folder), "").videos(small_recipe, {}), small_recipe)
    told = []
    list(run_here(list(plan.units), small_recipe, Destination(tmp_path), lambda *counts: told.append(counts)))
    assert [clips for clips, _ in told] == list(range(1, plan.clips + 1))
    black = 3
    assert told[-1][1] == 2 * (plan.clips - black)
