"""Methods that answer otherwise when they are asked again, after everything was scored; and those that do not."""

import numpy as np
import pytest

from benchmarks.audit import audit
from benchmarks.commands import publish_report
from benchmarks.report import make_boards
from benchmarks.runner import run
from benchmarks.settings import BenchSettings
from benchmarks.suite import make_suite

SETTINGS = BenchSettings(bootstrap=100, examples=0, methods=("toy",), cost_samples=2)


def told(suite, out, settings=SETTINGS, **options) -> list[str]:
    (board,) = make_boards(run(suite, settings, out, **options), settings)
    return [note for line in board.lines for note in line.notes if "asked again" in note]


@pytest.fixture
def suite(toy_dataset):
    return make_suite(toy_dataset, ["dehaze"], SETTINGS)


def brighter(clip, by):
    return np.clip(clip.astype(np.int16) + by, 0, 255).astype(np.uint8)


def counting(context):
    """Each answer one grey level brighter than the one before."""
    calls = [0]

    def restore(clip, *_):
        calls[0] += 1
        return brighter(clip, calls[0])

    return restore


def late(context):
    """A little of the clip that it was asked about before shows through."""
    before = [np.uint8(0)]

    def restore(clip, *_):
        shown, before[0] = before[0], clip
        return clip - clip // 8 + shown // 8

    return restore


def unsown(context):
    """Noise that nothing repeats."""
    rng = np.random.default_rng()
    return lambda clip, *_: brighter(clip, rng.normal(0, 3, clip.shape).astype(np.int16))


@pytest.mark.parametrize("make", [counting, late, unsown])
@pytest.mark.parametrize("limit", [None, 2])
def test_answers_that_depend_on_those_before_are_noted(suite, tmp_path, toy_method, make, limit):
    toy_method(make=make)
    settings = SETTINGS.model_copy(update={"limit": limit})
    (note,) = told(make_suite(suite.dataset.root, ["dehaze"], settings), tmp_path, settings)
    assert note.startswith("toy: answers otherwise when asked again on ")


def test_they_are_noted_of_methods_in_their_own_processes_too_and_in_every_report(suite, tmp_path, toy_method):
    toy_method(make=counting)
    done = run(suite, SETTINGS, tmp_path, workers=1)
    assert done.costs["dehaze", "toy"]["asked_again"] == 2
    publish_report(tmp_path, done, SETTINGS, suite.dataset)
    for name in ("leaderboard.md", "leaderboard.tex", "leaderboard.json", "index.html"):
        assert "answers otherwise when asked again" in (tmp_path / name).read_text(), name
    assert audit(tmp_path).wrong == []


def drawn(context):
    """Numbers of all generators that code shares, as a pipeline of diffusion draws its noise."""

    def restore(clip, *_):
        import random

        import torch

        noise = torch.randn(clip.shape).numpy() + np.random.standard_normal(clip.shape) + random.gauss(0, 1)
        return brighter(clip, (4 * noise).astype(np.int16))

    return restore


def made_random(context):
    """Weights that are drawn as it is made, and noise from a generator of torch's own that begins anew for each clip."""
    import torch

    weight = torch.rand(3)

    def restore(clip, *_):
        generator = torch.Generator().manual_seed(context.seed)
        noise = torch.randn(clip.shape, generator=generator).numpy()
        return brighter(clip, (4 * noise * weight.numpy()).astype(np.int16))

    return restore


def loaded_late(context):
    """What is loaded with the first question draws numbers, too."""
    loaded = []

    def restore(clip, *_):
        if not loaded:
            np.random.standard_normal(7)
            loaded.append(True)
        return brighter(clip, np.random.standard_normal(clip.shape).astype(np.int16) * 4)

    return restore


def rounding(context):
    """One grey level more or less in a pixel of twenty, as sums in another order may give."""
    rng = np.random.default_rng()
    return lambda clip, *_: brighter(clip, (rng.random(clip.shape) < 0.05).astype(np.int16))


@pytest.mark.parametrize("make", [drawn, made_random, loaded_late, rounding])
def test_noise_from_seeds_and_rounding_are_no_other_answers(suite, tmp_path, toy_method, make):
    toy_method(make=make)
    assert told(suite, tmp_path) == []


@pytest.mark.parametrize("make", [drawn, loaded_late])
def test_noise_is_the_same_in_another_process(suite, tmp_path, toy_method, make):
    toy_method(make=make)
    assert told(suite, tmp_path, workers=2) == []


def test_without_kept_answers_nothing_is_compared(suite, tmp_path, toy_method):
    toy_method(make=counting)
    settings = SETTINGS.model_copy(update={"keep": 0})
    assert told(suite, tmp_path, settings) == []
    assert "asked_again" not in run(suite, settings, tmp_path).costs["dehaze", "toy"]
