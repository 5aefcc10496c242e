"""What is left out is counted in one way, by everything that says it."""

import re
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from configs import counted, load
from datagen import Recipe, build, commands, synthesize
from datagen.build_bar import BuildBar
from datagen.gates_page import collect, summary
from datagen.rejects import in_lines, read_rejects, without_samples
from datagen.remedies import REMEDIES
from datagen.telling import _told_videos
from shards import Dataset, write_video
from tests.conftest import moving_clip
from tests.datagen.conftest import SMALL, command

RECIPE = ["clip.frames=4", "clip.size=48", "clip.per_video=3", "tasks={dehaze: {max_black_point: 255}, recolor: {}}"]
IN_SHORT = "left out: 4 videos, 6 clips, 6 pairs"
LINES = [
    "4 videos left out: duplicate 1, too short 1, unreadable 2",
    "6 clips left out: black 3, near-duplicate 3",
    "6 recolor pairs left out: colourless 6",
]


@pytest.mark.parametrize(("number", "said"), [(0, "0 clips"), (1, "1 clip"), (1234, "1,234 clips")])
def test_a_number_is_said_with_its_noun(number, said):
    assert counted(number, "clip") == said


@pytest.fixture(scope="module")
def mixed(tmp_path_factory) -> Path:
    """Three coloured videos and two gray ones, of three clips each; one more in black, one too short, two broken ones, a
    copy, and a lighter copy."""
    folder = tmp_path_factory.mktemp("mixed")
    scenes = [moving_clip(40 + number, frames=14, height=54, width=72) for number in range(5)]
    for number in (3, 4):
        scenes[number] = np.repeat(scenes[number][..., :1], 3, axis=-1)
    for number, frames in enumerate(scenes):
        write_video(folder / f"v{number}.mp4", frames, fps=25)
    write_video(folder / "lighter.mp4", np.clip(scenes[0] + 9.0, 0, 255).astype(np.uint8), fps=25)
    write_video(folder / "black.mp4", np.zeros_like(scenes[0]), fps=25)
    write_video(folder / "short.mp4", scenes[1][:2], fps=25)
    shutil.copy(folder / "v1.mp4", folder / "again.mp4")
    (folder / "cut.mp4").write_bytes((folder / "v1.mp4").read_bytes()[:900])
    (folder / "text.mp4").write_text("no video")
    return folder


class Stops(BuildBar):
    """Stops the build when a unit is done."""

    def unit_done(self, result) -> None:
        super().unit_done(result)
        raise KeyboardInterrupt


def test_bar_summary_info_and_gates_count_alike(mixed, tmp_path, capsys):
    out, recipe = tmp_path / "x", load(Recipe, "default", RECIPE)
    with pytest.raises(KeyboardInterrupt), Stops(Console(quiet=True)) as bar:
        build(recipe, out, sources=[str(mixed)], progress=bar)
    with BuildBar(Console(quiet=True)) as bar:
        manifest = build(recipe, out, sources=[str(mixed)], progress=bar)
    assert bar.bars.note == f"{manifest.samples} samples, {IN_SHORT}"
    rejects = list(read_rejects(out))
    assert list(in_lines(rejects)) == LINES
    assert len(rejects) == 4 + 6 + 6 == sum(manifest.rejects.values())
    commands.show_info(out)
    told = capsys.readouterr().out.splitlines()
    start = told.index(f"{manifest.samples} samples of {manifest.sources} sources in {len(manifest.shards)} shards")
    assert told[start + 1 : start + 4] == [f"  {line}" for line in LINES]
    told = list(summary(collect(out)))
    assert told[told.index(LINES[0]) :][:3] == LINES


def test_videos_without_a_sample_are_named_and_a_task_that_lost_most_of_its_pairs_hears_what_helps(mixed, tmp_path):
    limits = "tasks={dehaze: {max_black_point: 255}, recolor: {min_colourfulness: 300}}"
    given = [word for setting in (*RECIPE, limits) for word in ("--set", setting)]
    done = command("build", "--from", mixed, "--out", tmp_path / "x", "--workers", 0, *given)
    told = done.stdout.splitlines()
    start = told.index("  videos without a sample:") + 1
    kept = {row["source_id"] for row in Dataset(tmp_path / "x").index().to_pylist()}
    (copy,) = {"v0", "lighter"} - kept
    named = ["black: black.mp4", "duplicate: again.mp4", f"near-duplicate: {copy}.mp4", "too short: short.mp4"]
    assert [line.strip() for line in told[start : start + 5]] == [*named, "unreadable: cut.mp4, text.mp4"]
    assert (
        told[start + 5]
        == f"  recolor lost most of its pairs; what helps against 'colourless': {REMEDIES['colourless']}"
    )
    assert "dehaze lost" not in done.stdout


def test_a_build_that_has_nothing_to_do_draws_no_bar_of_clips(mixed, tmp_path):
    given = ["--from", mixed, "--out", tmp_path / "x", "--workers", 0, *(w for s in RECIPE for w in ("--set", s))]
    assert " clips/s " in command("build", *given).stderr
    again = command("build", *given)
    assert again.stdout.startswith("nothing to do, ")
    assert "samples, left out: " in again.stderr
    assert not [words for words in ("building clips", "examining", "without copies") if words in again.stderr]


def test_the_hashes_of_a_reject_come_after_all_that_one_reads(mixed, tmp_path):
    build(load(Recipe, "default", RECIPE), tmp_path / "x", sources=[str(mixed)])
    lines = [line for line in (tmp_path / "x" / "rejects.jsonl").read_text().splitlines() if "phash" in line]
    assert lines
    for line in lines:
        assert re.fullmatch(r'[^\[]*"sharpness": [\d.]+, "phash": \[[^\[]*\], "phash_moving": \[[^\[]*\]\}\}', line)


def test_of_many_videos_and_reasons_a_few_are_named():
    rejects = [
        {"where": "source", "source": f"{kind}-{n}.mp4", "sha256": "", "start": -1, "task": "", "reason": f"{kind}: x"}
        for kind in "abcdefghijk"
        for n in range(7)
    ]
    told = list(_told_videos(without_samples(rejects, set())))
    assert told[1] == "    a: a-0.mp4, a-1.mp4, a-2.mp4, a-3.mp4, a-4.mp4 and 2 more"
    assert len(told) == 10
    assert told[-1].startswith("    for other reasons: i-0.mp4, ")
    assert told[-1].endswith(" and 16 more")


def test_what_lost_frames_alone_is_not_left_out():
    reject = {"where": "frames", "source": "x", "sha256": "", "start": -1, "task": "", "reason": "lost: 3 of 9"}
    assert list(in_lines([reject])) == ["frames of kept videos left out: lost 1"]


def test_info_of_a_dataset_without_rejects_says_nothing_of_reasons(toy_dataset):
    done = command("info", toy_dataset)
    assert done.returncode == 0, done.stderr
    assert "nothing left out" in done.stdout
    assert "reason" not in done.stdout


def test_a_single_one_is_no_plural(tmp_path):
    settings = ["scenes.count=1", "tasks={dehaze: {}}", "splits={train: 1, val: 0, test: 0}", "clip.per_video=1"]
    build(load(Recipe, "default", [*SMALL, *settings]), tmp_path / "x")
    for line in ("info", "stats", "verify"):
        said = command(line, tmp_path / "x").stdout
        assert "1 sample" in said
        assert not [plural for plural in ("1 samples", "1 sources", "1 shards") if f" {plural}" in f" {said}"]
    assert "1 clip pair from 1 source, made" in (tmp_path / "x" / "README.md").read_text()


def test_a_clip_that_one_task_left_out_is_counted_once(mixed, tmp_path):
    """Recolor has no use for the six gray clips, dehaze has one for all."""
    limits = "tasks={dehaze: {max_black_point: 255}, recolor: {min_colourfulness: 6}}"
    out = tmp_path / "x"
    build(load(Recipe, "default", [*RECIPE, limits]), out, sources=[str(mixed)])
    found = collect(out)
    every, own = found.gate("colourfulness"), found.gate("colourfulness", "recolor")
    clips = Counter(reject["where"] for reject in read_rejects(out))
    assert (every.thresholds, every.rejected) == ([], [])
    assert len(every.kept) == found.clips
    assert len(every.kept) + len(every.others) == found.clips + clips["gate"]
    assert [limit.label for limit in own.thresholds] == ["recolor.min_colourfulness 6"]
    assert own.kinds == {"colourless": 6}
    assert len(own.kept) == found.clips - 6
    assert max(own.rejected) < 6 <= min(own.kept)
    lines = [line for line in summary(found) if line.startswith("colourfulness")]
    assert len(lines) == 1
    assert lines[0].startswith(f"colourfulness of recolor: recolor.min_colourfulness 6; kept {len(own.kept)}:")
    assert lines[0].endswith("left out 6 (colourless 6)")


def test_a_clip_that_every_task_left_out_is_not_kept(mixed, tmp_path):
    limits = "tasks={dehaze: {max_black_point: -1}, recolor: {min_colourfulness: 6}}"
    out = tmp_path / "x"
    build(load(Recipe, "default", [*RECIPE, limits]), out, sources=[str(mixed)])
    found = collect(out)
    gate = found.gate("brightness")
    assert gate.kinds == {"black": 3}
    assert len(gate.kept) == found.clips == 9
    assert len(gate.others) == 6


def test_nothing_is_laid_over_a_scene_whatever_looks_like_lettering(videos, tmp_path, monkeypatch):
    found = synthesize.score
    monkeypatch.setattr(synthesize, "score", lambda video: found(video) | {"lettering": 0.5})
    settings = load(Recipe, "default", ["tasks={recolor: {}}", "clip.frames=4", "clip.size=48", "scenes.count=2"])
    manifest = build(settings, tmp_path / "out", sources=["scenes", str(videos / "v00.mp4")])
    assert manifest.samples == 2
    assert manifest.rejects.keys() == {"lettering"}
