"""Which folder a suite takes, and what is said of one that is not the whole test set."""

import json
import subprocess
import sys

import pytest

from benchmarks.commands import publish_report
from benchmarks.report import make_boards, to_markdown
from benchmarks.runner import run
from benchmarks.settings import BenchSettings
from benchmarks.suites import build_suite, check_folder, find_suite, suite_names
from configs import ConfigError, SourceError
from datagen.sources.layouts import layout
from tests.benchmarks.test_suites import small
from tests.datagen.layout_files import a2d_sentences, frames, masks

SETTINGS = BenchSettings(bootstrap=100, examples=0, methods=("identity",), cost_samples=0)


def bench(*words: object) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "benchmarks", "run", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--suite", "gopor", "--data", "."], "did you mean 'gopro'"),
        (["--suite", "gopro"], "needs --data FOLDER"),
        (["--suite", "gopro", "--data", ".", "-t", "dehaze"], "is for deblur"),
        (["--suite", "gopro", "--data", "{empty}"], "gopro"),
    ],
)
def test_what_is_no_suite_is_one_line(tmp_path, options, words):
    (tmp_path / "empty").mkdir()
    done = bench(*[option.format(empty=tmp_path / "empty") for option in options], "--out", tmp_path / "o")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert words in done.stderr


def test_of_an_unknown_suite_all_there_are_are_told_the_embedded_one_too():
    with pytest.raises(ConfigError) as told:
        find_suite("scens")
    assert "no suite named 'scens'; did you mean 'scenes'?" in str(told.value)
    assert f"available: {', '.join(sorted(['scenes', *suite_names()]))} (or give the path of a .yaml" in str(told.value)


def lay_pair(folder, degraded: str, clean: str, seed: int = 0) -> None:
    for side, shift in ((degraded, 20), (clean, 0)):
        frames(folder / side, 3, seed=seed, names="{:05d}.png", shift=shift)


def lay_suite(name: str, root) -> None:
    """Write one sequence in a suite's native layout."""
    if name in ("davis-recolor", "ref-davis17"):
        frames(root / "JPEGImages" / "480p" / "dog", 3)
        masks(root / "Annotations" / "480p" / "dog", 3)
        (root / "Davis17_annot1.txt").write_text('dog 1 "a dog"')
    elif name.endswith("inpaint"):
        frames(root / "JPEGImages" / "dog", 3)
        masks(root / "test_masks" / "dog", 3)
    elif name == "a2d":
        a2d_sentences(root)
    elif name == "videvo-recolor":
        frames(root / "test" / "input" / "videvo" / "Koala", 3)
    else:
        lay_pair(root, *{
            "gopro": ("test/GOPR0384_11_00/blur", "test/GOPR0384_11_00/sharp"),
            "dvd": ("IMG_0003/input", "IMG_0003/GT"),
            "bsd": ("test/070/Blur/RGB", "test/070/Sharp/RGB"),
            "revide": ("Test/hazy/C005", "Test/gt/C005"),
            "hazeworld": ("test/hazy/DAVIS/bear_239_0.005", "test/gt/DAVIS/bear_239_0.005"),
        }[name])  # fmt: skip


@pytest.mark.parametrize("name", suite_names())
def test_a_folder_above_or_below_the_right_one_is_one_line_that_names_it(name, tmp_path):
    right = tmp_path / "above" / "right"
    lay_suite(name, right)
    standard = find_suite(name)
    check_folder(standard, right)
    lower = right / next(folder.name for folder in sorted(right.iterdir()) if folder.is_dir())
    for wrong in (right.parent, lower):
        with pytest.raises(SourceError, match=f"is not the folder of .* it has no .*give --data {right}$") as found:
            check_folder(standard, wrong)
        assert "\n" not in str(found.value)
    with pytest.raises(SourceError, match="there is no such folder; did you mean"):
        check_folder(standard, right.parent / "rihgt")


def test_of_several_exposures_of_bsd_one_is_to_be_given(tmp_path):
    for exposure in ("BSD_1ms8ms", "BSD_2ms16ms", "BSD_3ms24ms"):
        lay_suite("bsd", tmp_path / exposure)
    done = bench("--suite", "bsd", "--data", tmp_path, "--out", tmp_path / "o")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert f"give --data {tmp_path}/BSD_1ms8ms or {tmp_path}/BSD_2ms16ms or {tmp_path}/BSD_3ms24ms" in done.stderr


def test_what_a_suite_lost_stands_in_the_run_and_in_every_report(tmp_path):
    root = tmp_path / "set"
    for seed, name in enumerate(("GOPR0384_11_00", "GOPR0384_11_05", "GOPR0385_11_01", "mine")):
        lay_pair(root, f"test/{name}/blur", f"test/{name}/sharp", seed=seed)
    (root / "test" / "GOPR0384_11_05" / "blur" / "00000.png").write_bytes(b"no picture")
    (root / "test" / "GOPR0385_11_01" / "sharp" / "00002.png").unlink()
    suite = build_suite(find_suite("gopro"), root, tmp_path / "o", SETTINGS, workers=0)
    done = run(suite, SETTINGS, tmp_path / "o")
    left_out = json.loads((tmp_path / "o" / "run.json").read_text())["left_out"]
    assert left_out == done.facts["left_out"]
    numbers, names, others, sizes, lost = left_out[:2], *left_out[2:]
    assert numbers == ["3 of 11 videos", "8 of 1111 frames"]
    assert names == (
        "without GOPR0384_11_05, GOPR0396_11_00, GOPR0410_11_00, GOPR0854_11_00, GOPR0862_11_00 and 4 more"
    )
    assert others == "with what is not of it (mine)"
    assert sizes == "frames of 48x32 that should be 1280x720"
    assert lost == (
        "lost test/GOPR0384_11_05/blur (unreadable: 00000.png: not a picture, or damaged), "
        "test/GOPR0385_11_01/blur (unpaired frames: 1 of 3 in pair)"
    )
    publish_report(tmp_path / "o", done, SETTINGS, suite.dataset)
    for report in ("leaderboard.md", "leaderboard.csv", "leaderboard.tex", "index.html"):
        told = (tmp_path / "o" / report).read_text().replace("\\_", "_")
        assert "NOT THE WHOLE TEST SET: 3 of 11 videos, 8 of 1111 frames, without GOPR0384_11_05" in told
        assert "with what is not of it (mine)" in told
    (board,) = json.loads((tmp_path / "o" / "leaderboard.json").read_text())
    assert board["left_out"] == left_out


def test_a_whole_test_set_is_not_said_to_lack_anything(tmp_path):
    root = tmp_path / "set"
    for seed, name in enumerate(sorted(layout("gopro").reported_on)):
        lay_pair(root, f"test/{name}/blur", f"test/{name}/sharp", seed=seed)
    lay_pair(root, "train/GOPR0372_07_00/blur", "train/GOPR0372_07_00/sharp", seed=99)
    whole = small("gopro", frames=33, size="48x32")
    suite = build_suite(whole, root, tmp_path / "o", SETTINGS, workers=0)
    assert suite.dataset.splits == ["test"], "what is for training is left alone"
    boards = make_boards(run(suite, SETTINGS, tmp_path / "o"), SETTINGS)
    assert boards[0].left_out == ()
    assert "VRT (reported) |" in to_markdown(boards)
    limited = SETTINGS.model_copy(update={"limit": 2})
    suite = build_suite(whole, root, tmp_path / "o", limited, workers=0)
    boards = make_boards(run(suite, limited, tmp_path / "o"), limited)
    assert boards[0].left_out == ("2 of 11 videos", "6 of 33 frames", "at most 2 clips (limit)")
