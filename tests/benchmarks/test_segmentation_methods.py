"""What segmentation promises: words and motion find what they name, a given mask is carried along."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.methods import METHODS
from benchmarks.methods.segmentation import (
    centre,
    colour_words,
    first_frame_propagation,
    motion_saliency,
    object_colour,
    parser,
)
from shards.colours import COLOURS
from tests.benchmarks.pictures import sliding
from tests.conftest import make_sample, moving_clip


@pytest.mark.parametrize(
    ("instruction", "colour"),
    [
        ("Highlight the red cube in blue.", "red"),
        ("Put an orange tint over the dog.", None),
        ("Fill the region of the silver car with yellow.", "white"),
        ("Paint the blue ball blue.", "blue"),
        ("Mark the violet star in green.", "purple"),
        ("Remove the haze.", None),
    ],
)
def test_the_objects_colour_is_told_from_the_paint(instruction, colour):
    assert object_colour(instruction) == colour


def scene() -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """A textured background that pans, a red square that stays in the picture, and a blue one on the right."""
    clip = (sliding(5, 3, seed=3).mean(axis=3, keepdims=True) / 2 + 60).astype(np.uint8).repeat(3, axis=3)
    masks = {name: np.zeros(clip.shape[:3], bool) for name in ("red", "blue")}
    for t in range(5):
        masks["red"][t, 30:60, 20 + 2 * t : 50 + 2 * t] = True
        masks["blue"][t, 70:100, 110 - 2 * t : 140 - 2 * t] = True
    for name, mask in masks.items():
        clip[mask] = COLOURS[name]
    return clip, masks


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / max((a | b).sum(), 1))


def test_words_find_what_they_name():
    clip, masks = scene()
    assert overlap(colour_words(clip, "Highlight the red square in green.", None), masks["red"]) > 0.9
    assert overlap(parser(clip, "Highlight the blue square in green.", None), masks["blue"]) > 0.9
    assert overlap(parser(clip, "Paint the object on the left green.", None), masks["red"]) > 0.5
    assert not colour_words(clip, "Highlight the dog in green.", None).any()


def test_what_moves_otherwise_than_the_camera_is_found():
    clip, masks = scene()
    found = motion_saliency(clip, "", None)
    assert overlap(found, masks["red"] | masks["blue"]) > 0.3


def test_a_given_first_mask_is_carried_along():
    clip, masks = scene()
    given = np.zeros(clip.shape[:3], np.uint8)
    given[0] = masks["red"][0] * np.uint8(255)
    found = first_frame_propagation(clip, "", given)
    assert overlap(found[-1], masks["red"][-1]) > 0.5


def test_only_the_board_of_its_own_is_shown_a_mask():
    sample = replace(make_sample("segment", "test", 0), instruction="Mark the dog in red.")
    mask = np.full(sample.source.shape[:3], 255, np.uint8)
    seen = []

    def spy(clip, instruction, reference, mask):
        seen.append(mask)
        return clip

    for first in (False, True):
        method = replace(METHODS["parser"], make=lambda context: spy, first_mask=first)
        method.answer(None)(replace(sample, mask=mask))
    assert seen[0] is None
    assert seen[1][0].all()
    assert not seen[1][1:].any()


def test_an_ellipse_covers_a_fifth_of_the_picture():
    clip = moving_clip(0, frames=2, height=80, width=120)
    assert centre(clip, "", None).mean() == pytest.approx(np.pi / 16, abs=0.01)
