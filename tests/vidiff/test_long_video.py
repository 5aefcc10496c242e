from types import SimpleNamespace

import numpy as np
import pytest

from configs import ModelError
from vidiff import translate_clip, translate_long
from vidiff.long_video import faded, prefixed, seam_places
from vidiff.seams import SeamMeter, told_seam


class CopyingPipe:
    """Returns its condition and remembers what it was asked."""

    window = 4

    def __init__(self, change=0):
        self.asked, self.change = [], change

    def __call__(self, video, instruction, **sampling):
        self.asked.append((len(video), instruction))
        overlap = SimpleNamespace(last=lambda count: ("the last", count))
        return SimpleNamespace(frames=video + np.uint8(self.change), overlap=overlap)


def numbered(frames):
    return np.arange(frames, dtype=np.uint8)[:, None, None, None].repeat(3, axis=3)


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 5, 6, 7, 11, 40])
@pytest.mark.parametrize("overlap", [0, 1, 2, 9])
@pytest.mark.parametrize("carry", ["translated", "corrected", "nothing"])
@pytest.mark.parametrize("blend", [False, True])
def test_copying_the_condition_gives_the_video_back_whatever_its_length(frames, overlap, carry, blend):
    video = numbered(frames)
    result = translate_clip(CopyingPipe(), video, "Copy.", overlap=overlap, carry=carry, blend=blend)
    assert np.array_equal(result, video)


@pytest.mark.parametrize("carry", ["translated", "corrected", "nothing"])
@pytest.mark.parametrize("overlap", [0, 1, 2, 3])
@pytest.mark.parametrize("phase", [1, 2, 3, 5])
def test_moving_the_grid_of_windows_does_not_move_the_output(phase, overlap, carry):
    """A denoiser that changes each frame by what that frame shows, wherever in its window it stands."""

    class Inverting(CopyingPipe):
        def __call__(self, video, instruction, **sampling):
            # what is translated already stays as it is
            done = 0 if " first " not in instruction else int(instruction.split()[4])
            frames = np.concatenate([video[:done], 255 - video[done:]])
            return SimpleNamespace(frames=frames, overlap=SimpleNamespace(last=lambda count: None))

    video = numbered(23)
    whole = translate_clip(Inverting(), video, "Invert.", overlap=overlap, carry=carry)
    assert np.array_equal(whole, 255 - video)
    assert np.array_equal(
        translate_clip(Inverting(), video[phase:], "Invert.", overlap=overlap, carry=carry), whole[phase:]
    )


def test_windows_begin_with_translated_frames_and_say_so():
    pipe = CopyingPipe(change=100)
    seen = []
    call = pipe.__call__
    pipe = SimpleNamespace(window=4)

    class Watching(CopyingPipe):
        def __call__(self, video, instruction, **sampling):
            seen.append(video[:, 0, 0, 0].tolist())
            return call(video, instruction, **sampling)

    translate_clip(Watching(), numbered(7), "Copy.", overlap=2)
    assert seen == [[0, 1, 2, 3], [102, 103, 4, 5], [104, 105, 6]]


class Counting:
    """Returns in every frame how often it was called."""

    window = 6

    def __init__(self):
        self.calls = 0
        self.given = []

    def __call__(self, video, instruction, **sampling):
        self.calls += 1
        self.given.append((video[:, 0, 0, 0].tolist(), instruction, sampling))
        overlap = SimpleNamespace(last=lambda count, call=self.calls: (call, count))
        return SimpleNamespace(frames=np.full_like(video, 60 * self.calls), overlap=overlap)


def test_a_window_that_is_corrected_sees_the_source_and_is_given_the_latents_before():
    pipe = Counting()
    translate_clip(pipe, numbered(10), "Copy.", overlap=2, carry="corrected", seed=5)
    assert pipe.given == [
        ([0, 1, 2, 3, 4, 5], "Copy.", {"seed": 5}),
        ([4, 5, 6, 7, 8, 9], "Copy.", {"seed": 5, "previous": (1, 2)}),
    ]


@pytest.mark.parametrize(
    ("overlap", "blend", "expected"),
    [
        (3, False, [60, 60, 60, 60, 60, 60, 120, 120, 120, 180]),
        (3, True, [60, 60, 60, 75, 90, 105, 135, 150, 165, 180]),
        (0, True, [60, 60, 60, 60, 60, 60, 120, 120, 120, 120]),
        # frames that lie in three windows are faded twice
        (4, True, [60, 60, 72, 84, 113, 137, 156, 168, 180, 180]),
    ],
)
def test_blending_fades_over_the_frames_in_common(overlap, blend, expected):
    result = translate_clip(Counting(), numbered(10), "Copy.", overlap=overlap, carry="nothing", blend=blend)
    assert result[:, 0, 0, 0].tolist() == expected


def test_fading_turns_from_one_into_the_other():
    ends = [np.full((1, 1, 3), value, np.uint8) for value in (0, 100)]
    assert [int(frame[0, 0, 0]) for frame in faded([ends[0]] * 4, [ends[1]] * 4)] == [20, 40, 60, 80]


def test_seams_lie_where_a_window_has_its_first_frame_of_its_own():
    result = translate_clip(Counting(), numbered(18), "Copy.", overlap=2, carry="nothing")
    assert (np.flatnonzero(np.diff(result[:, 0, 0, 0].astype(int))) + 1).tolist() == seam_places(18, 6, 2)
    assert seam_places(6, 6, 2) == []
    assert seam_places(9, 4, 9) == [4, 5, 6, 7, 8]


def test_a_blended_seam_is_every_step_of_its_fade():
    # a window without a change, and then one with 100: what blending makes of the step between them
    class Stepping(CopyingPipe):
        window = 8

        def __call__(self, video, instruction, **sampling):
            self.change += 100 * bool(self.asked)
            return super().__call__(video, instruction, **sampling)

    source = np.zeros((14, 1, 1, 3), np.uint8)
    for overlap in (0, 1, 2, 4, 7):
        result = translate_clip(
            Stepping(), source[: 16 - overlap], "Step.", overlap=overlap, carry="nothing", blend=True
        )
        steps = np.flatnonzero(np.diff(result[:, 0, 0, 0].astype(int))) + 1
        assert steps.tolist()[: overlap + 1] == seam_places(len(result), 8, overlap, blend=True)[: overlap + 1]
        meter = SeamMeter(seam_places(9, 8, overlap, blend=True))
        for before, after in zip(source, result[:9], strict=False):
            meter.add(before, after)
        # nothing of the step is taken for what changes from frame to frame anyway
        assert meter.ratio in (float("inf"), None)
    assert seam_places(18, 6, 2, blend=True) == [4, 5, 6, 8, 9, 10, 12, 13, 14]


def test_the_seam_ratio_compares_steps_of_the_change():
    source = np.random.default_rng(0).integers(60, 120, (12, 4, 4, 3), dtype=np.uint8)
    changes = [0, 2, 0, 2, 10, 8, 10, 8, 0, 2, 0, 2]
    meter = SeamMeter([4, 8])
    for frame, change in zip(source, changes, strict=True):
        meter.add(frame, frame + np.uint8(change))
    assert meter.ratio == pytest.approx(8 / 2)


def test_without_seams_or_without_steps_the_ratio_says_so():
    frames = numbered(4)
    ratios = []
    for seams, changes in (([], [1, 2, 3, 4]), ([2], [5, 5, 5, 5]), ([2], [5, 5, 9, 9])):
        meter = SeamMeter(seams)
        for frame, change in zip(frames, changes, strict=True):
            meter.add(frame, frame + np.uint8(change))
        ratios.append(meter.ratio)
    assert ratios == [None, 1.0, float("inf")]


def test_what_windows_carry_over_is_one_of_three():
    with pytest.raises(ModelError, match=r"no carry named 'latents'. available: corrected, nothing, translated"):
        list(translate_long(CopyingPipe(), numbered(3), "Copy.", carry="latents"))


def test_no_instruction_stays_none_in_every_window():
    pipe = CopyingPipe()
    translate_clip(pipe, numbered(8), "", overlap=1)
    assert [instruction for _, instruction in pipe.asked] == ["", "", ""]


def test_the_prefix_counts_the_translated_frames():
    pipe = CopyingPipe()
    translate_clip(pipe, numbered(8), "Remove the haze.", overlap=1)
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

    results = translate_long(CopyingPipe(), source(), "Copy.", overlap=2)
    next(results)
    assert len(taken) == 4
    for _ in range(4):
        next(results)
    assert len(taken) == 6


def test_an_untrained_pipeline_gives_a_long_clip_back_exactly(pipe):
    video = np.random.default_rng(0).integers(0, 256, (11, 32, 32, 3), dtype=np.uint8)
    assert np.array_equal(translate_clip(pipe, video, "Remove the haze."), video)


@pytest.mark.parametrize(("ratio", "blended"), [(1.0, False), (1.41, False), (3.0, True)])
def test_a_seam_is_told_with_what_it_is_measured_against_and_what_helps(ratio, blended):
    told = told_seam(ratio, blended=blended)
    assert f"jumps by {ratio:.2f} times what it jumps by between other neighbouring frames (1 would be no seam)" in told
    assert ("fade" in told) is blended
    assert ("--overlap" in told) is (ratio > 1.2)
