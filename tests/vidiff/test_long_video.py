from types import SimpleNamespace

import numpy as np
import pytest

from vidiff import translate_clip, translate_long
from vidiff.long_video import prefixed


class CopyingPipe:
    """Returns its condition and remembers what it was asked."""

    window = 4

    def __init__(self, change=0):
        self.asked, self.change = [], change

    def __call__(self, video, instruction, **sampling):
        self.asked.append((len(video), instruction))
        return SimpleNamespace(frames=video + np.uint8(self.change))


def numbered(frames):
    return np.arange(frames, dtype=np.uint8)[:, None, None, None].repeat(3, axis=3)


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 5, 6, 7, 11, 40])
@pytest.mark.parametrize("prior", [0, 1, 2, 9])
def test_copying_the_condition_gives_the_video_back_whatever_its_length(frames, prior):
    video = numbered(frames)
    assert np.array_equal(translate_clip(CopyingPipe(), video, "Copy.", prior_frames=prior), video)


def test_windows_begin_with_translated_frames_and_say_so():
    pipe = CopyingPipe(change=100)
    seen = []
    call = pipe.__call__
    pipe = SimpleNamespace(window=4)

    class Watching(CopyingPipe):
        def __call__(self, video, instruction, **sampling):
            seen.append(video[:, 0, 0, 0].tolist())
            return call(video, instruction, **sampling)

    translate_clip(Watching(), numbered(7), "Copy.", prior_frames=2)
    assert seen == [[0, 1, 2, 3], [102, 103, 4, 5], [104, 105, 6]]


def test_the_prefix_counts_the_translated_frames():
    pipe = CopyingPipe()
    translate_clip(pipe, numbered(8), "Remove the haze.", prior_frames=1)
    assert pipe.asked == [
        (4, "Remove the haze."),
        (4, "Based on the first 1 frame, remove the haze."),
        (2, "Based on the first 1 frame, remove the haze."),
    ]
    assert prefixed("Remove the haze.", 2) == "Based on the first 2 frames, remove the haze."


def test_frames_are_read_as_they_are_needed():
    taken = []

    def source():
        for frame in numbered(20):
            taken.append(1)
            yield frame

    results = translate_long(CopyingPipe(), source(), "Copy.", prior_frames=2)
    next(results)
    assert len(taken) == 4
    for _ in range(4):
        next(results)
    assert len(taken) == 6


def test_an_untrained_pipeline_gives_a_long_clip_back_exactly(pipe):
    video = np.random.default_rng(0).integers(0, 256, (11, 32, 32, 3), dtype=np.uint8)
    assert np.array_equal(translate_clip(pipe, video, "Remove the haze."), video)
