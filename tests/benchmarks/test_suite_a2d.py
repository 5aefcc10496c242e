"""A2D Sentences as a suite: its numbers against those of its own definition, on a small set in its own layout."""

import numpy as np
import pytest

from benchmarks.methods import Method
from benchmarks.report import make_boards, to_markdown
from benchmarks.runner import run
from benchmarks.settings import BenchSettings
from benchmarks.suites import build_suite, find_suite
from tests.datagen.layout_files import DOG, MAN, a2d_sentences

SETTINGS = BenchSettings(bootstrap=100, examples=0, methods=("empty",), cost_samples=0)
FOUND = np.roll(MAN | DOG, 3, axis=1)
"""What the method below answers, whatever it is asked for."""


def guess() -> Method:
    return Method(
        name="guess",
        tasks=("segment",),
        summary="",
        paper="-",
        version=1,
        make=lambda context: lambda clip, *_: np.repeat(FOUND[None], len(clip), axis=0),
    )


@pytest.fixture
def folder(tmp_path):
    """With the video that nobody said anything of in the test split, too."""
    folder = a2d_sentences(tmp_path / "a2d")
    listed = folder / "Release" / "videoset.csv"
    listed.write_text(
        listed.read_text().replace("unsaid,79,0:01,0:02,32,48,20,3,0", "unsaid,79,0:01,0:02,32,48,20,3,1")
    )
    return folder


def test_every_sentence_counts_at_every_frame_that_its_actor_is_annotated_in(folder, tmp_path):
    suite = build_suite(find_suite("a2d"), folder, tmp_path / "o", SETTINGS, workers=0)
    done = run(suite, SETTINGS, tmp_path / "o", entrants=[guess()])
    (board,) = make_boards(done, SETTINGS)
    line = next(line for line in board.lines if line.entry.method == "guess")
    # frames 3, 9 and 15 show both, 19 the dog alone
    asked = [MAN] * 3 + [DOG] * 4
    both = np.array([np.sum((FOUND > 0) & (true > 0)) for true in asked])
    either = np.array([np.sum((FOUND > 0) | (true > 0)) for true in asked])
    scores = {name: estimate.mean for name, estimate in line.entry.scores.items()}
    assert (line.entry.samples, line.entry.videos) == (7, 1)
    assert scores["j"] == pytest.approx(np.mean(both / either))
    assert scores["overall_iou"] == pytest.approx(both.sum() / either.sum())
    for level in (50, 60, 70, 80, 90):
        assert scores[f"p{level}"] == pytest.approx(np.mean(both / either > level / 100))
    assert [one.name for one in board.metrics] == ["j", "overall_iou", "p50", "p60", "p70", "p80", "p90"]
    assert board.warning == "", "what has no sentence is no part of the test set"
    assert "| - | ReferFormer (Video-Swin-B) (reported) | 0.703 | 0.786 |" in to_markdown([board])


def test_a_test_video_whose_masks_are_damaged_is_told_as_lost(folder, tmp_path):
    masks = folder / "text_annotations" / "a2d_annotation_with_instances"
    text = folder / "text_annotations" / "a2d_annotation.txt"
    text.write_text(text.read_text() + "unsaid,1,a bird\n")
    (masks / "unsaid").mkdir()
    (masks / "unsaid" / "00002.h5").write_bytes(b"no HDF5")
    suite = build_suite(find_suite("a2d"), folder, tmp_path / "o", SETTINGS, workers=0)
    assert len(suite.rows["segment"]) == 7
    (lost,) = suite.left_out
    assert lost.startswith("lost unsaid.mp4 (unreadable: 00002.h5: no masks of objects")
