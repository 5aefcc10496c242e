import cv2
import numpy as np

from vidiff.upscale import to_full_size


def picture(height=120, width=160):
    rng = np.random.default_rng(0)
    smooth = cv2.resize(rng.random((8, 8, 3)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    fine = rng.normal(0, 12, (height, width, 3))
    return np.clip(smooth * 180 + 30 + fine, 0, 255).astype(np.uint8)


def shrink(frame, size=(40, 30)):
    return cv2.resize(frame, size, interpolation=cv2.INTER_AREA)


def error(a, b):
    return np.abs(a.astype(float) - b).mean()


def test_at_the_working_size_nothing_changes():
    source = picture()
    output = 255 - source
    assert np.array_equal(to_full_size(source, source, output), output)


def test_an_unchanged_clip_keeps_all_its_detail():
    source = picture()
    assert error(to_full_size(source, shrink(source), shrink(source)), source) < 1


def test_a_change_of_contrast_reaches_the_fine_detail():
    source = picture()
    wanted = np.clip(source * 0.5 + 60, 0, 255).astype(np.uint8)
    carried = to_full_size(source, shrink(source), shrink(wanted))
    enlarged = cv2.resize(shrink(wanted), (160, 120), interpolation=cv2.INTER_CUBIC)
    assert error(carried, wanted) < 1.5
    assert error(carried, wanted) < 0.4 * error(enlarged, wanted)


def test_detail_of_what_was_removed_does_not_come_back():
    source = picture()
    small = np.full((30, 40, 3), 90, np.uint8)
    assert error(to_full_size(source, shrink(source), small), np.full_like(source, 90)) < 1
