import cv2
import numpy as np
import pytest
from skimage.morphology import disk

from benchmarks.metrics.masks import (
    areas,
    boundaries,
    boundary_accuracy,
    decay,
    painted_mask,
    recall,
    region_similarity,
)


def blobs(seed: int, shape: tuple[int, int] = (120, 213)) -> np.ndarray:
    rng = np.random.default_rng(seed)
    noise = cv2.GaussianBlur(rng.normal(size=shape), (0, 0), 9)
    return np.where(noise > 0.02, np.uint8(255), np.uint8(0))


def published_j(annotation: np.ndarray, segmentation: np.ndarray) -> float:
    """Region similarity as the DAVIS 2017 evaluation defines it."""
    union = np.sum(annotation | segmentation)
    return 1.0 if np.isclose(union, 0) else np.sum(annotation & segmentation) / union


def published_f(annotation: np.ndarray, segmentation: np.ndarray) -> float:
    """Boundary accuracy as the DAVIS 2017 evaluation defines it: dilation by a disk, precision, recall."""
    radius = int(np.ceil(0.008 * np.linalg.norm(segmentation.shape)))
    edges = []
    for mask in (segmentation, annotation):
        right, below, across = np.zeros_like(mask), np.zeros_like(mask), np.zeros_like(mask)
        right[:, :-1], below[:-1], across[:-1, :-1] = mask[:, 1:], mask[1:], mask[1:, 1:]
        edge = mask ^ right | mask ^ below | mask ^ across
        edge[-1], edge[:, -1] = mask[-1] ^ right[-1], mask[:, -1] ^ below[:, -1]
        edge[-1, -1] = 0
        edges.append(edge)
    found, wanted = edges
    found_wide, wanted_wide = (cv2.dilate(edge.astype(np.uint8), disk(radius)) for edge in edges)
    counts = found.sum(), wanted.sum()
    if counts[0] == 0 or counts[1] == 0:
        return float(counts[0] == counts[1])
    precision = (found * wanted_wide).sum() / counts[0]
    share = (wanted * found_wide).sum() / counts[1]
    return 0.0 if precision + share == 0 else 2 * precision * share / (precision + share)


def cases() -> list[tuple[np.ndarray, np.ndarray]]:
    empty, full = np.zeros((120, 213), np.uint8), np.full((120, 213), 255, np.uint8)
    corner = empty.copy()
    corner[-3:, -3:] = 255
    dot = empty.copy()
    dot[60, 100] = 255
    some = [blobs(seed) for seed in range(4)]
    shifted = [(mask, np.roll(mask, (seed, 3 * seed), (0, 1))) for seed, mask in enumerate(some)]
    odd = [(empty, empty), (empty, full), (full, full), (corner, empty), (corner, dot), (dot, dot), (some[0], full)]
    return [*shifted, (some[0], some[1]), (some[2], some[3]), *odd, *((b, a) for a, b in odd)]


@pytest.mark.parametrize("case", range(len(cases())))
def test_j_and_f_are_the_published_ones(case):
    prediction, target = cases()[case]
    a, b = prediction > 0, target > 0
    assert region_similarity(prediction[None], target[None])[0] == pytest.approx(published_j(b, a), abs=1e-12)
    assert boundary_accuracy(prediction[None], target[None])[0] == pytest.approx(published_f(b, a), abs=1e-12)


@pytest.mark.parametrize("shape", [(480, 854), (11, 9), (240, 432)])
def test_the_tolerance_grows_with_the_picture(shape):
    prediction, target = blobs(5, shape), np.roll(blobs(5, shape), 4, 1)
    expected = published_f(target > 0, prediction > 0)
    assert boundary_accuracy(prediction[None], target[None])[0] == pytest.approx(expected, abs=1e-12)


def test_a_boundary_lies_on_the_inside_of_the_picture_only():
    assert not boundaries(np.full((1, 6, 7), 255, np.uint8)).any()
    square = np.zeros((1, 6, 6), np.uint8)
    square[0, 2:4, 2:4] = 1
    assert np.bitwise_count(boundaries(square)).sum() == 8


@pytest.mark.parametrize("width", [1, 2, 63, 64, 65, 127, 128, 129, 200])
def test_masks_of_any_width_and_number_are_scored_as_published(width):
    rng = np.random.default_rng(width)
    for share in (0.02, 0.5, 0.98):
        target = np.where(rng.random((6, 40, width)) < share, np.uint8(255), np.uint8(0))
        prediction = np.where(rng.random((6, 40, width)) < 0.05, 255 - target, target)
        expected = [published_f(a > 0, b > 0) for a, b in zip(target, prediction, strict=True)]
        assert boundary_accuracy(prediction, target) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("width", [854, 886, 887, 888, 895, 896])
def test_what_touches_the_right_border_is_not_near_what_touches_the_left_one(width):
    rng = np.random.default_rng(width)
    target, prediction = np.zeros((2, 480, width), np.uint8), np.zeros((2, 480, width), np.uint8)
    target[:, 100:300, -3:], prediction[:, 90:310, :3] = 255, 255
    for mask in (target, prediction):
        for y, x in rng.integers(0, (480, width), (40, 2)):
            mask[1, y : y + 5, x : x + 9] = 255
    expected = [published_f(a > 0, b > 0) for a, b in zip(target, prediction, strict=True)]
    assert boundary_accuracy(prediction, target) == pytest.approx(expected, abs=1e-12)
    assert expected[0] == 0 < expected[1]


def test_recall_and_decay_by_hand():
    values = np.array([1.0, 0.9, 0.8, 0.7, 0.4, 0.3, 0.2, 0.1])
    assert recall(values) == 0.5
    # the quarters of 8 frames end at 0, 2, 4, 5 and 7 (linspace 1, 2.75, 4.5, 6.25, 8, rounded), and share those frames
    assert decay(values) == pytest.approx((1.0 + 0.9 + 0.8) / 3 - (0.3 + 0.2 + 0.1) / 3)
    assert decay(np.full(5, 0.7)) == pytest.approx(0)


def test_areas_count_pixels_of_any_shape():
    a, b = np.array([[0, 1, 255], [0, 0, 7]], np.uint8), np.array([[0, 0, 9], [3, 0, 1]], np.uint8)
    assert areas(a, b) == (2, 4)


@pytest.mark.parametrize("side", [1, 2, 4, 11, 40])
def test_an_object_of_any_size_is_found_where_it_is_painted(side):
    rng = np.random.default_rng(side)
    source = rng.integers(0, 256, (3, 96, 128, 3), np.uint8)
    paint = (214, 38, 40)
    wanted = np.zeros(source.shape[:3], bool)
    wanted[:, 30 : 30 + side, 50 : 50 + side] = True
    answer = np.where(wanted[..., None], (source / 2 + np.array(paint) / 2).round().astype(np.uint8), source)
    # what is of the paint's own colour cannot tell
    tells = np.linalg.norm(source.astype(float) - paint, axis=3) > 30
    assert tells.mean() > 0.95
    np.testing.assert_array_equal(painted_mask(source, answer, paint)[tells] > 0, wanted[tells])


def test_the_painted_mask_is_the_share_of_paint_above_a_quarter():
    rng = np.random.default_rng(0)
    source, answer = rng.integers(0, 256, (2, 4, 64, 80, 3), np.uint8)
    paint = np.array([22, 128, 240])
    towards = paint - source.astype(float)
    length = (towards**2).sum(3)
    share = ((answer.astype(float) - source) * towards).sum(3) / np.maximum(length, 625)
    np.testing.assert_array_equal(painted_mask(source, answer, tuple(paint)) > 0, share > 0.25)
