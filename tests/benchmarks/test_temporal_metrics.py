import cv2
import numpy as np
import pytest

from benchmarks.metrics.temporal import Motion, estimate_motion, flicker, temporal_psnr, visible, warp, warping_error
from tests.conftest import moving_clip


def test_warping_error_by_hand():
    clip = np.zeros((2, 4, 5, 3), np.uint8)
    clip[0, 1, 2], clip[1, 1, 3] = 255, 255  # one pixel moves to the right by one
    still = np.zeros((4, 5, 2), np.float32)
    seen = np.ones((4, 5), np.uint8)
    # two of twenty pixels differ by 1: 0.1, in units of 1e-2
    assert warping_error(clip, Motion((still,), (seen,))) == pytest.approx([10.0])
    right = still.copy()
    right[..., 0] = 1
    assert warping_error(clip, Motion((right,), (seen,))) == pytest.approx([0.0])
    seen[1, 2] = 0  # a pixel that is hidden is not asked
    assert warping_error(clip, Motion((still,), (seen,))) == pytest.approx([100 / 19])
    assert warping_error(clip, Motion((still,), (np.zeros_like(seen),))).tolist() == [0.0]


def test_warping_by_a_whole_number_of_pixels_is_a_shift():
    image = np.random.default_rng(0).random((9, 12, 3)).astype(np.float32)
    flow = np.zeros((9, 12, 2), np.float32)
    flow[..., 0], flow[..., 1] = 2, 1
    assert np.array_equal(warp(image, flow)[:-1, :-2], image[1:, 2:])


def test_occlusions_follow_the_two_rules():
    still, there = np.zeros((20, 30, 2), np.float32), np.full((20, 30, 2), 3, np.float32)
    assert visible(still, still).all()
    # forth and back agree, but the last pixels leave the picture
    agreed = visible(there, -there)
    assert agreed[:-3, :-3].all()
    assert not agreed[-3:].any()
    # |w + w'|^2 = 0.72 against 0.5 + 0.01 * 0.72: hidden; 0.32 against 0.5: seen
    assert not visible(still, still + np.float32(0.6)).any()
    assert visible(still, still + np.float32(0.4)).all()
    edge = still.copy()
    edge[:, 15:, 0] = 1
    assert not visible(edge, -edge)[:, 14:16].any()


def test_the_flow_of_a_clip_that_slides_is_found():
    clip = moving_clip(1, frames=3, height=96, width=128)
    motion = estimate_motion(clip)
    assert np.median(motion.flows[0][..., 0]) == pytest.approx(-1, abs=0.1)
    slid, flickering = clip, clip.copy()
    flickering[1] = np.clip(flickering[1].astype(int) + 20, 0, 255)
    assert warping_error(flickering, motion).mean() > 5 * warping_error(slid, motion).mean()


def test_flicker_is_the_jump_of_the_mean_error():
    target = np.full((4, 3, 3, 3), 100, np.uint8)
    offsets = np.array([0, 2, -1, -1])
    prediction = (target + offsets[:, None, None, None]).astype(np.uint8)
    assert flicker(prediction, target).tolist() == [2.0, 3.0, 0.0]
    assert flicker(target + np.uint8(9), target).tolist() == [0.0] * 3


def test_temporal_psnr_ignores_what_stays_and_sees_what_jumps():
    target = moving_clip(0, frames=3)
    # the clip keeps off the ends of the range, so that nothing is clipped
    target = (target // 2 + 60).astype(np.uint8)
    assert temporal_psnr(target + np.uint8(5), target).tolist() == [100.0, 100.0]
    jumping = target.copy()
    jumping[1] += 4
    assert temporal_psnr(jumping, target) == pytest.approx(20 * np.log10(255 / np.array([4, 4])))


def test_a_flow_computed_twice_is_the_same():
    clip = moving_clip(2, frames=3, height=64, width=96)
    cv2.setNumThreads(1)
    first, second = estimate_motion(clip), estimate_motion(clip)
    assert all(np.array_equal(a, b) for a, b in zip(first.flows, second.flows, strict=True))
