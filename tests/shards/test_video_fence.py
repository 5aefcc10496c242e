"""A reader behind a fence: the same frames, the same errors, and a decoder that may hang or die."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from configs import ConfigError, DecodeLimitError, DecoderLostError, VideoError
from shards.fence import FencedReader
from shards.video import Limits, probe, read_video
from tests.processes import holds_in_a_fork
from tests.shards.hard_files import BAD, CLOSED, HARD, number_in, write

# a decoder that does to itself what broken files do to real ones
TOY = """
import os, signal, time
from shards.fenced import Calls, serve

class Toy(Calls):
    def read(self, request):
        print("noise on stdout", flush=True)
        os.system("echo more noise")
        name = os.path.basename(request["path"])
        if name == "hang.mp4":
            time.sleep(600)
        if name == "crash.mp4":
            os.kill(os.getpid(), signal.SIGSEGV)
        if name == "exit.mp4":
            os._exit(3)
        if name == "bug.mp4":
            raise KeyError("of the decoder")
        return super().read(request)

serve(Toy)
"""


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "closed.mp4"
    write(path, options=CLOSED)
    return path


@pytest.fixture(scope="module")
def fence():
    with FencedReader() as reader:
        yield reader


@pytest.fixture
def toy(clip, tmp_path):
    """A fenced toy decoder, and names of one good clip that make it misbehave."""
    (tmp_path / "toy.py").write_text(TOY)
    for name in ("good", "hang", "crash", "exit", "bug"):
        (tmp_path / f"{name}.mp4").write_bytes(clip.read_bytes())
    with FencedReader(seconds=2, command=[sys.executable, str(tmp_path / "toy.py")]) as reader:
        yield reader


@pytest.mark.parametrize("name", ["closed", "open_cut", "transport_open", "turned_90", "glued"])
def test_the_fence_changes_neither_frames_nor_facts(name, fence, tmp_path):
    path = tmp_path / f"{name}{HARD[name].suffix}"
    HARD[name].make(path)
    assert fence.probe(path) == probe(path)
    frames = fence.read(path)
    np.testing.assert_array_equal(frames, read_video(path, backend="pyav"))
    np.testing.assert_array_equal(fence.read(path, range(3, 20, 4)), frames[3:20:4])
    np.testing.assert_array_equal(fence.read(path, [9, 2], size=(48, 32)), read_video(path, [9, 2], size=(48, 32)))
    assert fence.read(path, []).shape == (0, *frames.shape[1:])


@pytest.mark.parametrize("name", ["text", "empty", "cut_after_index", "bomb"])
def test_errors_come_through_the_fence_unchanged(name, fence, tmp_path):
    make, suffix, _ = BAD[name]
    path = tmp_path / f"{name}{suffix}"
    make(path)
    with pytest.raises(VideoError) as here:
        probe(path)
    for ask in (fence.probe, fence.read):
        with pytest.raises(VideoError) as there:
            ask(path)
        assert (type(there.value), str(there.value)) == (type(here.value), str(here.value))


def test_relative_names_mean_the_folder_of_the_moment(fence, clip, monkeypatch, tmp_path):
    fence.probe(clip)
    (tmp_path / "here.mp4").write_bytes(clip.read_bytes())
    monkeypatch.chdir(tmp_path)
    assert fence.probe("here.mp4").frames == 48
    with pytest.raises(VideoError, match=r"^gone\.mp4: no such file"):
        fence.read("gone.mp4")


def test_a_file_that_was_replaced_is_read_anew(fence, tmp_path):
    path = tmp_path / "clip.mp4"
    write(path, options=CLOSED, numbers=range(10))
    assert number_in(fence.read(path, [3])[0]) == 3
    write(path, options=CLOSED, numbers=range(20, 35))
    assert number_in(fence.read(path, [3])[0]) == 23


def test_the_limits_hold_behind_the_fence(clip):
    with FencedReader(limits=Limits(frames=47)) as fence, pytest.raises(DecodeLimitError, match="the limit is 47"):
        fence.read(clip)


def test_a_decoder_that_hangs_is_given_up_in_time(toy, tmp_path):
    assert toy.read(tmp_path / "good.mp4").shape[0] == 48
    hung = toy._child._process
    start = time.monotonic()
    with pytest.raises(DecoderLostError, match=r"hang\.mp4: the decoder gave no answer within 2 s"):
        toy.read(tmp_path / "hang.mp4")
    assert 1.9 < time.monotonic() - start < 4
    assert hung.returncode == -signal.SIGKILL
    assert number_in(toy.read(tmp_path / "good.mp4", [30])[0]) == 30


@pytest.mark.parametrize(
    ("name", "words"), [("crash", r"the decoder crashed \(signal 11\)"), ("exit", r"crashed \(exit code 3")]
)
def test_a_decoder_that_dies_costs_one_request(name, words, toy, tmp_path):
    with pytest.raises(VideoError, match=rf"{name}\.mp4: .*{words}"):
        toy.read(tmp_path / f"{name}.mp4")
    assert number_in(toy.read(tmp_path / "good.mp4", [30])[0]) == 30


def test_a_decoder_killed_between_requests_is_reported_once(toy, tmp_path):
    toy.read(tmp_path / "good.mp4", [0])
    os.kill(toy._child._process.pid, signal.SIGKILL)
    with pytest.raises(VideoError, match="signal 9"):
        toy.read(tmp_path / "good.mp4", [0])
    assert toy.read(tmp_path / "good.mp4", [0]).shape[0] == 1


def test_a_bug_in_the_decoder_is_one_line(toy, tmp_path):
    with pytest.raises(VideoError, match=r"bug\.mp4: the decoder failed \(KeyError: 'of the decoder'\)"):
        toy.read(tmp_path / "bug.mp4")


def test_a_child_that_cannot_start_says_why(clip):
    words = r"does not start .*No module named 'no_such_module'"
    command = [sys.executable, "-c", "import no_such_module"]
    with FencedReader(command=command) as fence, pytest.raises(VideoError, match=words):
        fence.probe(clip)


def test_an_unknown_backend_is_a_configuration_error(clip):
    with FencedReader(backend="pyaw") as fence, pytest.raises(ConfigError, match="did you mean 'pyav'"):
        fence.read(clip)


def test_the_address_space_of_the_decoder_is_limited(tmp_path):
    path = tmp_path / "large.mp4"
    write(path, options=CLOSED, size=(1280, 720), numbers=range(40))
    whole = 40 * 1280 * 720 * 3
    with FencedReader(memory=600 * 2**20) as fence:
        assert fence.read(path, [39]).shape == (1, 720, 1280, 3)
        with pytest.raises(DecodeLimitError, match="memory"):
            fence.read(path, [number % 40 for number in range(40 * 600 * 2**20 // whole)])
        assert fence.read(path, [1]).shape == (1, 720, 1280, 3)


def test_the_child_dies_with_its_parent(clip):
    code = (
        "import os, sys; from shards.fence import FencedReader\n"
        "fence = FencedReader(); fence.probe(sys.argv[1])\n"
        "print(fence._child._process.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code, clip], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == -9
    child = int(done.stdout)
    for _ in range(100):
        if not running(child):
            return
        time.sleep(0.05)
    pytest.fail("the child outlived its parent")


def running(pid: int) -> bool:
    try:
        # the state follows the name in brackets; a zombie only waits to be counted
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_fork_gets_a_child_of_its_own(clip):
    with FencedReader() as fence:
        fence.read(clip, [1])
        mine = fence._child._process.pid

        def right() -> bool:
            found = number_in(fence.read(clip, [30])[0]) == 30 and fence._child._process.pid != mine
            fence.close()
            return found

        assert holds_in_a_fork(right)
        assert number_in(fence.read(clip, [2])[0]) == 2
        assert fence._child._process.pid == mine


def test_closing_ends_the_child(clip):
    fence = FencedReader()
    fence.probe(clip)
    process = fence._child._process
    fence.close()
    assert process.returncode is not None
    fence.close()
