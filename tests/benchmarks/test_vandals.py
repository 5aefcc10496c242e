"""Methods that change the process they work in, or raise what nobody raises: each costs its own cells at most."""

import os
import random
import signal
import sys
import threading
import time
import warnings

import cv2
import numpy as np
import pytest

from benchmarks.calling import called
from benchmarks.methods import METHODS
from benchmarks.methods.base import Method
from benchmarks.methods.entrants import plugin
from benchmarks.runner import run
from benchmarks.settings import BenchSettings
from benchmarks.suite import make_suite
from tests.conftest import ROOT


def moves(clip, *_):
    os.chdir("/")
    return clip


def seeds(clip, *_):
    import torch

    for seed in (random.seed, np.random.seed, torch.manual_seed, cv2.setRNGSeed):
        seed(time.time_ns() % 2**31)
    return clip


def takes_threads(clip, *_):
    import torch

    torch.set_num_threads(7)
    cv2.setNumThreads(7)
    return clip


def raises(error):
    def restore(clip, *_):
        raise error

    return restore


def writes(clip, instruction, reference, mask):
    clip[:] = 7
    return clip


def closes(clip, *_):
    print("hello")
    sys.stdout.close()
    sys.stderr.close()
    os.close(1)
    os.close(2)
    return clip


def sets_an_alarm(clip, *_):
    signal.alarm(1)
    return clip


def is_strict(clip, *_):
    warnings.simplefilter("error")
    np.seterr(all="raise")
    return clip


def tensor(clip, *_):
    import torch

    return torch.from_numpy(clip)


VANDALS = {
    "moves": (moves, ""),
    "seeds": (seeds, ""),
    "takes_threads": (takes_threads, ""),
    "interrupts": (raises(KeyboardInterrupt("mine")), "RuntimeError: KeyboardInterrupt: mine"),
    "exits": (raises(SystemExit(3)), "SystemExit: 3"),
    "ends_a_generator": (raises(GeneratorExit()), "RuntimeError: GeneratorExit"),
    "stops": (raises(StopIteration()), "StopIteration"),
    "writes": (writes, ""),
    "closes": (closes, ""),
    "is_strict": (is_strict, ""),
    "sets_an_alarm": (sets_an_alarm, ""),
    "a_view": (lambda clip, *_: clip[:], ""),
    "a_flipped_view": (lambda clip, *_: clip[::-1, ::-1, :, ::-1], ""),
    "in_another_order": (lambda clip, *_: np.asfortranarray(clip), ""),
    "a_list": (lambda clip, *_: clip.tolist(), "answered a list"),
    "a_tensor": (tensor, "answered a Tensor"),
    "floats": (lambda clip, *_: clip / np.float32(255), "answered float32"),
}


def witness(clip, *_):
    """Answers with numbers of the generators that all share, and fails where the folder or the threads are others."""
    assert os.path.exists("here")  # noqa: PTH110
    assert cv2.getNumThreads() == 1
    assert "torch" not in sys.modules or sys.modules["torch"].get_num_threads() == 1
    print("a word")
    return clip ^ np.uint8(random.randrange(64)) ^ np.random.randint(0, 64, clip.shape).astype(np.uint8)


@pytest.fixture
def vandals(monkeypatch):
    """The methods in this order, the witness before and after each of them."""
    names = []
    for name, answer in {"witness": witness, **{name: answer for name, (answer, _) in VANDALS.items()}}.items():
        monkeypatch.setitem(METHODS, name, method(name, answer))
        names.append(name)
    monkeypatch.setitem(METHODS, "last_witness", method("last_witness", witness))
    return [*names, "last_witness"]


def method(name: str, answer) -> Method:
    return Method(name=name, tasks=("dehaze",), summary="", paper="-", version=1, make=lambda context: answer)


@pytest.mark.parametrize("workers", [0, 1])
def test_what_a_method_does_to_its_process_costs_its_own_cells_at_most(
    toy_dataset, tmp_path, monkeypatch, vandals, workers, capfd
):
    # workers of Ray find the vandals by the name of this module
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").touch()
    (tmp_path / "data").symlink_to(toy_dataset)
    folder = type(tmp_path)("data")

    def rows(names: list[str], out: str) -> dict[str, list[dict]]:
        settings = BenchSettings(bootstrap=100, methods=tuple(names), cost_samples=0, limit=2)
        suite = make_suite(folder, ["dehaze"], settings)
        done = run(suite, settings, type(tmp_path)(out), workers=workers if out == "out" else 0).rows
        return {name: [row for row in done if row["method"] == name] for name in [*names, "identity"]}

    found, alone = rows(vandals, "out"), rows(["last_witness"], "alone")
    for name, (_, words) in VANDALS.items():
        assert [row["status"] for row in found[name]] == ["failed" if words else "ok"] * 2, found[name]
        assert all(words in row["error"] for row in found[name])
    for name in ("last_witness", "identity"):
        assert [row["scores"] for row in found[name]] == [row["scores"] for row in alone[name]]
        assert all(row["status"] == "ok" for row in found[name])
    assert [row["scores"] for row in found["witness"]] == [row["scores"] for row in alone["last_witness"]]
    assert (
        len(list(tmp_path.glob("out/predictions/*/*.mkv"))) == 2 * sum(not words for _, words in VANDALS.values()) + 6
    )
    print("still here")
    assert "still here" in capfd.readouterr().out


def test_ctrl_c_ends_a_run_whatever_method_is_at_work():
    threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        called(time.sleep, 20)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with pytest.raises(RuntimeError, match="KeyboardInterrupt: mine"):
        called(raises(KeyboardInterrupt("mine")), None)


def test_what_sees_whole_samples_cannot_change_them(toy_dataset, tmp_path, monkeypatch):
    def spoil(sample):
        for clip in (sample.source, sample.target):
            clip[:] = 9
        return sample.target

    spoiler = Method(
        name="spoiler", tasks=(), summary="", paper="-", version=1, make_seeing=lambda context: spoil, ranked=False
    )
    monkeypatch.setitem(METHODS, "spoiler", spoiler)
    settings = BenchSettings(bootstrap=100, methods=("spoiler",), cost_samples=0, limit=1)
    done = run(make_suite(toy_dataset, ["dehaze"], settings), settings, tmp_path)
    assert max(row["scores"]["psnr"] for row in done.rows if row["method"] == "spoiler") < 30


def test_what_somebody_s_code_changes_in_others_goes_with_its_process(toy_dataset, tmp_path):
    (tmp_path / "patches.py").write_text(
        "from benchmarks.methods import identity\n\n"
        "def f(clip, *_):\n    identity.identity = lambda clip, *_: clip // 9\n    return clip\n"
    )
    settings = BenchSettings(bootstrap=100, methods=("identity",), cost_samples=0, limit=1)
    suite = make_suite(toy_dataset, [], settings)
    done = run(suite, settings, tmp_path / "out", entrants=[plugin(f"{tmp_path}/patches.py:f")], workers=1)
    scores = [(row["task"], row["method"], row["scores"]["psnr"]) for row in done.rows]
    assert len({task for task, *_ in scores}) == 2
    assert all(len({psnr for of, _, psnr in scores if of == task}) == 1 for task in suite.tasks)


def test_an_alarm_that_was_set_before_a_method_rings_in_time():
    before = signal.setitimer(signal.ITIMER_REAL, 500)
    try:
        for seconds in (0, 1):
            called(lambda seconds=seconds: signal.alarm(seconds))
            left, _ = signal.getitimer(signal.ITIMER_REAL)
            assert 400 < left < 500
    finally:
        signal.setitimer(signal.ITIMER_REAL, *before)
