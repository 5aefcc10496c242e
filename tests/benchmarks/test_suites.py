"""Public test sets in their own layouts, scored by their papers' protocols."""

import re

import cv2
import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio

from benchmarks.audit import audit
from benchmarks.commands import publish_report
from benchmarks.metrics import METRICS, psnr
from benchmarks.metrics.temporal import estimate_motion, warping_error
from benchmarks.metrics.together import TOGETHER
from benchmarks.report import make_boards, to_latex, to_markdown
from benchmarks.runner import run
from benchmarks.scoring import enlarged, reduced
from benchmarks.settings import BenchSettings
from benchmarks.suites import build_suite, find_suite, suite_names
from configs import OutputError
from shards import get_task
from tests.conftest import make_sample, moving_clip
from tests.datagen.layout_files import REAL, frames, masks

SETTINGS = BenchSettings(bootstrap=100, examples=0, methods=("identity",), cost_samples=0)


@pytest.fixture
def gopro(tmp_path):
    """Two sequences of five and three frames, 48 x 32, in GoPro's layout."""
    clips = {}
    for name, count in (("GOPR1", 5), ("GOPR2", 3)):
        for kind, shift in (("blur", 20), ("sharp", 0)):
            clips[name, kind] = frames(
                tmp_path / "set" / "test" / name / kind, count, seed=count, names="{:06d}.png", shift=shift
            )
    return tmp_path / "set", clips


def small(name: str, *overrides: str, **changes):
    standard = find_suite(name)
    return standard.model_copy(update={"recipe": (*standard.recipe, *overrides), **changes})


def test_every_frame_of_a_set_is_scored_as_it_is_and_means_are_over_sequences(gopro, tmp_path):
    folder, clips = gopro
    suite = build_suite(small("gopro", "clip.size=48x32", "clip.frames=2"), folder, tmp_path / "o", SETTINGS, workers=0)
    assert sum(row["frames"] for row in suite.rows["deblur"]) == 8
    done = run(suite, SETTINGS, tmp_path / "o")
    (board,) = make_boards(done, SETTINGS)
    expected = [psnr(clips[name, "blur"], clips[name, "sharp"]).mean() for name in ("GOPR1", "GOPR2")]
    assert board.lines[0].entry.scores["psnr"].mean == pytest.approx(np.mean(expected), abs=1e-9)


@pytest.mark.parametrize(
    ("change", "why"), [("files", "the source videos differ"), ("recipe", "made by another recipe")]
)
def test_a_folder_with_the_data_of_an_earlier_run_is_refused_with_a_remedy_that_the_bench_has(
    change, why, gopro, tmp_path
):
    folder, _ = gopro
    build_suite(small("gopro", "clip.size=48x32"), folder, tmp_path / "o", SETTINGS, workers=0)
    if change == "files":
        frames(folder / "test" / "GOPR2" / "sharp", 3, seed=9, names="{:06d}.png")
    other = "clip.frames=2" if change == "recipe" else "clip.size=48x32"
    with pytest.raises(OutputError, match=why) as refused:
        build_suite(small("gopro", "clip.size=48x32", other), folder, tmp_path / "o", SETTINGS, workers=0)
    assert "--overwrite" not in str(refused.value)
    assert str(refused.value).endswith("; give another --out, or delete that folder")


def test_reported_rows_stand_beside_and_are_never_ranked(gopro, tmp_path):
    suite = build_suite(small("gopro", "clip.size=48x32"), gopro[0], tmp_path / "o", SETTINGS, workers=0)
    boards = make_boards(run(suite, SETTINGS, tmp_path / "o"), SETTINGS)
    markdown = to_markdown(boards)
    assert "| - | VRT (reported, not comparable) | 34.81 | 0.9724 |" in markdown
    assert "NOT THE WHOLE TEST SET: 2 of 11 videos" in markdown
    assert [line.entry.method for line in boards[0].lines] == ["identity"]
    assert "- & VRT (reported, not comparable) & 34.81" in to_latex(boards)
    assert r"\textbf{34.81}" not in to_latex(boards)


@pytest.mark.parametrize("name", suite_names())
def test_every_suite_names_a_task_metrics_and_settings_that_exist(name, tmp_path):
    from benchmarks.suites import _EXACT
    from configs import load
    from datagen import Recipe

    standard = find_suite(name)
    get_task(standard.task)
    known = {*METRICS, *TOGETHER}
    assert all(metric in known for row in standard.reported for metric in row.scores)
    assert set(standard.metrics) <= known
    assert not standard.metrics or standard.metrics[0] in METRICS
    load(Recipe, "default", [f"tasks={{{standard.task}: {{}}}}", *_EXACT, *standard.recipe])


@pytest.fixture
def completion(tmp_path):
    """Two videos of six and three frames, 48 x 32, with holes, as FuseFormer's test sets have them."""
    clips, holes = {}, {}
    for name, count in (("bear", 6), ("swan", 3)):
        clips[name] = frames(tmp_path / "set" / "JPEGImages" / name, count, seed=count, names="{:05d}.png")
        holes[name] = np.zeros((count, 32, 48), np.uint8)
        folder = tmp_path / "set" / "test_masks" / name
        folder.mkdir(parents=True)
        for n in range(count):
            holes[name][n, 12:18, 10 + 2 * n : 20 + 2 * n] = 255
            cv2.imwrite(str(folder / f"{n:05d}.png"), holes[name][n])
    return tmp_path / "set", clips, holes


def test_video_completion_fills_the_papers_holes_and_averages_over_all_frames(completion, tmp_path):
    folder, clips, holes = completion
    suite = build_suite(small("davis-inpaint", "clip.size=48x32"), folder, tmp_path / "o", SETTINGS, workers=0)
    assert [row["frames"] for row in suite.rows["inpaint"]] == [6, 3]
    cross = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)
    expected = []
    for row in suite.rows["inpaint"]:
        sample = suite.dataset[row["key"]]
        name = row["source_id"]
        assert np.array_equal(sample.target, clips[name])
        widened = np.stack([cv2.dilate(hole, cross, iterations=4) for hole in holes[name]])
        assert np.array_equal(sample.mask, widened)
        assert (sample.source[widened == 0] == sample.target[widened == 0]).all()
        expected += list(psnr(sample.source, sample.target))
    boards = make_boards(run(suite, SETTINGS, tmp_path / "o"), SETTINGS)
    (line,) = boards[0].lines
    # what is outside the hole is the target already, so pasting changes nothing; 9 frames count alike
    assert line.entry.scores["psnr_pasted"].mean == pytest.approx(np.mean(expected), abs=1e-9)
    assert boards[0].metrics[0].name == "psnr_pasted"
    # E_warp alone is a mean over videos, the longer one no heavier than the other
    warped = [
        warping_error(sample.source, estimate_motion(sample.target)).mean()
        for sample in (suite.dataset[row["key"]] for row in suite.rows["inpaint"])
    ]
    assert line.entry.scores["warping_error_pasted"].mean == pytest.approx(np.mean(warped), abs=1e-9)
    told = to_markdown(boards)
    assert re.search(
        r"- PSNR pasted.*mean over the clip's frames, then the mean over all clips by their frames\.", told
    )
    assert re.search(r"- E_warp pasted.*, then over videos\.", told)
    assert "| - | E2FGVI (reported, not comparable) | 33.01 |" in to_markdown(boards)
    assert boards[0].warning.startswith("NOT THE WHOLE TEST SET: 2 of 50 videos, while")


def test_a_packed_video_of_a_completion_set_is_turned_away_with_the_remedy(completion, tmp_path):
    folder, *_ = completion
    for file in (folder / "JPEGImages" / "swan").iterdir():
        file.unlink()
    (folder / "JPEGImages" / "swan").rmdir()
    (folder / "JPEGImages" / "swan.zip").write_bytes(b"")
    build_suite(small("davis-inpaint", "clip.size=48x32"), folder, tmp_path / "o", SETTINGS, workers=0)
    assert "swan.zip must be unpacked" in (tmp_path / "o" / "data" / "rejects.jsonl").read_text()


@pytest.fixture
def ref_davis(tmp_path):
    """Two test videos, of two objects and one, with two annotators, who once say the same; and a train video."""
    root = tmp_path / "davis"
    for place, (name, objects) in enumerate((("bear", 2), ("swan", 1), ("goat", 1))):
        frames(root / "JPEGImages" / "480p" / name, 3, seed=place)
        masks(root / "Annotations" / "480p" / name, 3, objects=objects)
    (root / "ImageSets" / "2017").mkdir(parents=True)
    (root / "ImageSets" / "2017" / "val.txt").write_text("bear\nswan\n")
    (root / "ImageSets" / "2017" / "train.txt").write_text("goat\n")
    for annotator, words in (
        (1, ("brown bear", "small cub", "a swan")),
        (2, ("the big bear", "small cub", "white bird")),
    ):
        lines = [f'bear 1 "{words[0]}"', f'bear 2 "{words[1]}"', f'swan 1 "{words[2]}"', 'goat 1 "a goat"']
        (root / f"Davis17_annot{annotator}.txt").write_text("\n".join(lines))
    return root


def test_every_expression_of_ref_davis_counts_alike_and_videos_are_drawn_whole(ref_davis, tmp_path):
    suite = build_suite(small("ref-davis17", "clip.size=48x32"), ref_davis, tmp_path / "o", SETTINGS, workers=0)
    rows = suite.rows["segment"]
    said = sorted(suite.dataset[row["key"]].meta.parameters["expression"] for row in rows)
    assert said == sorted(["brown bear", "the big bear", "small cub", "small cub", "a swan", "white bird"])
    settings = SETTINGS.model_copy(update={"methods": ("centre",)})
    done = run(suite, settings, tmp_path / "o")
    own = [row for row in done.rows if row["method"] == "centre"]
    assert {row["video"] for row in own} == {"bear", "swan"}
    (board,) = make_boards(done, settings)
    line = next(line for line in board.lines if line.entry.method == "centre")
    assert line.entry.videos == 2
    assert line.entry.scores["jf"].mean == pytest.approx(np.mean([row["scores"]["jf"] for row in own]))


def test_hazeworld_is_averaged_over_its_sets(tmp_path):
    root = tmp_path / "hazeworld"
    means = {}
    for place, (where, name) in enumerate((("DAVIS", "bear"), ("DAVIS", "cows"), ("UA-DETRAC", "MVI_20011"))):
        clean = frames(root / "test" / "gt" / where / name, 3, seed=place, names="{:05d}.png")
        for beta in ("0.005", "0.03"):
            hazy = root / "test" / "hazy" / where / f"{name}_239_{beta}"
            seen = frames(hazy, 3, seed=place, names="{:05d}.png", shift=round(1000 * float(beta)) + 3 * place)
            means.setdefault(where, []).append(psnr(seen, clean).mean())
    suite = build_suite(small("hazeworld", "clip.size=48x32"), root, tmp_path / "o", SETTINGS, workers=0)
    done = run(suite, SETTINGS, tmp_path / "o")
    assert {(row["set"], row["video"]) for row in done.rows} == {
        ("DAVIS", "DAVIS-bear"), ("DAVIS", "DAVIS-cows"), ("UA-DETRAC", "UA-DETRAC-MVI_20011"),
    }  # fmt: skip
    (board,) = make_boards(done, SETTINGS)
    expected = np.mean([np.mean(own) for own in means.values()])
    assert board.lines[0].entry.scores["psnr"].mean == pytest.approx(expected, abs=1e-9)
    # by strength of haze, each over the sets again: the weak haze came first
    weak, strong = (np.mean([np.mean(own[place::2]) for own in means.values()]) for place in (0, 1))
    assert board.parts["beta 0.005"]["identity"] == pytest.approx(weak, abs=1e-9)
    assert board.parts["beta 0.03"]["identity"] == pytest.approx(strong, abs=1e-9)
    publish_report(tmp_path / "o", done, SETTINGS, suite.dataset)
    assert f"| identity | {weak:.2f} | {strong:.2f} |" in (tmp_path / "o" / "leaderboard.md").read_text()
    assert "by part" in (tmp_path / "o" / "index.html").read_text()


def test_a_method_sees_the_reduced_input_and_is_scored_at_full_size():
    sample = make_sample("dehaze", "test", 0)
    half = reduced(sample, 0.5)
    assert half.source.shape == (4, 16, 24, 3)
    expected = np.stack([cv2.resize(frame, (24, 16), interpolation=cv2.INTER_LINEAR) for frame in sample.source])
    assert np.array_equal(half.source, expected)
    assert enlarged(half.source, sample.source.shape).shape == sample.source.shape
    assert reduced(sample, 1.0) is sample
    assert enlarged(sample.source, sample.source.shape) is sample.source


@pytest.mark.parametrize("name", ["gopro", "revide"])
def test_real_samples_of_a_set_are_taken_as_they_are(name, tmp_path):
    folder = REAL / {"gopro": "GOPRO_Large", "revide": "REVIDE_indoor"}[name]
    if not folder.is_dir():
        pytest.skip(f"no {folder.name} here")
    # reduced, to be quick; the layout, its official split and its single frames are what is asked
    suite = build_suite(small(name, "clip.size=320x180"), folder, tmp_path / "o", SETTINGS, workers=0)
    rows = run(suite, SETTINGS, tmp_path / "o").rows
    assert rows
    assert {row["status"] for row in rows} == {"ok"}


def test_a_suite_of_videos_of_several_sizes_is_scored_in_their_own(tmp_path):
    """Odd sizes too; the page plays them, and what was turned away of other splits is nothing lost."""
    root, expected = tmp_path / "set", []
    sizes = {"dog": (45, 31), "cows": (48, 32), "goat": (33, 61), "bear": (48, 32), "bus": (12, 8)}
    for seed, (name, size) in enumerate(sizes.items()):
        clip = np.stack([cv2.resize(frame, size) for frame in moving_clip(seed, frames=3)])
        for part, pictures in (
            ("JPEGImages", clip[..., ::-1]),
            ("Annotations", np.full(clip.shape[:3], 255, np.uint8)),
        ):
            (root / part / "480p" / name).mkdir(parents=True)
            for number, picture in enumerate(pictures):
                cv2.imwrite(str(root / part / "480p" / name / f"{number:05d}.png"), picture)
        if name in ("dog", "cows", "goat"):
            expected.append(size)
    settings = SETTINGS.model_copy(update={"examples": 3, "methods": ("identity", "mean_chroma")})
    suite = build_suite(find_suite("davis-recolor"), root, tmp_path / "o", settings, workers=0)
    assert sorted((row["width"], row["height"]) for row in suite.rows["recolor"]) == sorted(expected)
    done = run(suite, settings, tmp_path / "o")
    assert {row["status"] for row in done.rows} == {"ok"}
    scores = []
    for row in suite.rows["recolor"]:
        sample = suite.dataset[row["key"]]
        pairs = zip(sample.source, sample.target, strict=True)
        scores.append(np.mean([peak_signal_noise_ratio(target, source) for source, target in pairs]))
    publish_report(tmp_path / "o", done, settings, suite.dataset)
    (board,) = make_boards(done, settings)
    line = next(line for line in board.lines if line.entry.method == "identity")
    assert line.entry.scores["psnr"].mean == pytest.approx(np.mean(scores))
    assert board.left_out[0] == "3 of 30 videos"
    assert not any("bus" in told for told in board.left_out), "a video for training"
    assert audit(tmp_path / "o").wrong == []


def test_gopro_is_scored_on_the_blur_that_most_papers_report_on(tmp_path):
    for name, shift in (("sharp", 0), ("blur", 20), ("blur_gamma", 40)):
        frames(tmp_path / "set" / "test" / "GOPR0384_11_00" / name, 3, shift=shift)
    suite = build_suite(find_suite("gopro"), tmp_path / "set", tmp_path / "o", SETTINGS, workers=0)
    (key,) = suite.dataset.keys()
    sample = suite.dataset[key]
    assert np.median(sample.source.astype(int) - sample.target) == 20


def test_hazeworld_as_it_comes_is_scored_on_its_official_test_split_alone(tmp_path):
    root = tmp_path / "set"
    for seed, (own, name) in enumerate((("train", "bear"), ("val", "cows"))):
        frames(root / "gt" / "DAVIS" / own / name, 3, seed=seed)
        frames(root / "hazy" / "DAVIS" / own / f"{name}_200_0.005", 3, seed=seed, shift=20)
    (root / "gt" / "DAVIS" / "mapping_info_GT_train.txt").write_text("train train bear 3\ntrain train dogs 3\n")
    (root / "gt" / "DAVIS" / "mapping_info_GT_test.txt").write_text("val test cows 3\nval test goat 3\n")
    suite = build_suite(find_suite("hazeworld"), root, tmp_path / "o", SETTINGS, workers=0)
    assert suite.dataset.splits == ["test"]
    assert [row["source_id"] for row in suite.rows["dehaze"]] == ["DAVIS-cows_200_0.005"]
    boards = make_boards(run(suite, SETTINGS, tmp_path / "o"), SETTINGS)
    assert boards[0].warning == (
        "NOT THE WHOLE TEST SET: 1 of 6 sets, lost DAVIS/goat (missing: a list of the data set has it, and there is no such "
        "folder below hazy)"
    )
