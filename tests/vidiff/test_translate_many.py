"""Folders of videos and datasets, translated one after the other; and frames in tiles."""

import os
import subprocess
import sys
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from configs import OutputError, SourceError
from shards import Dataset, Manifest, encode_sample, probe, read_video, write_shard, write_video
from shards.codecs import decode_video
from tests.conftest import make_sample
from vidiff import translate_clip
from vidiff.correction import Overlap
from vidiff.tiling import TiledPipe, tiles
from vidiff.training_data import Learnt, learnt_by
from vidiff.translate import Translator
from vidiff.translate_many import translate_dataset, translate_folder


@pytest.fixture
def model(awake_pipe, tmp_path):
    awake_pipe.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def folder(tmp_path):
    """Three videos, one in a folder below, and one file that is none."""
    videos = tmp_path / "videos"
    (videos / "more").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in ("a.mp4", "b c.mov", "more/a.mp4"):
        # x264 gives equal bytes for widths that are multiples of 64 alone
        frame = rng.integers(0, 256, (16, 32, 3), dtype=np.uint8).repeat(2, 0).repeat(2, 1)
        write_video(videos / name, np.stack([np.roll(frame, t, 1) for t in range(5)]), fps=10)
    (videos / "broken.mp4").write_bytes(b"no video")
    (videos / "notes.txt").write_text("x")
    return videos


def test_every_video_of_a_folder_is_translated_and_what_is_there_is_left_alone(model, folder, tmp_path):
    translator, out = Translator(model), tmp_path / "out"
    started = []
    first = translate_folder(
        translator, folder, out, "Remove the haze.", said={}, on_start=lambda *names: started.append(names)
    )
    assert (first.made, first.there, first.failed) == (3, 0, {"broken.mp4": "not a video file, or damaged"})
    assert [name for name, _, count in started if count == 4] == ["a.mp4", "b c.mov", "broken.mp4", "more/a.mp4"]
    assert probe(out / "more" / "a.mp4").frames == 5
    assert (probe(out / "b c.mp4").width, probe(out / "b c.mp4").height) == (64, 32)
    times = {path: path.stat().st_mtime_ns for path in out.rglob("*.mp4")}
    (out / "more" / "a.mp4").unlink()
    again = translate_folder(translator, folder, out, "Remove the haze.", said={})
    assert (again.made, again.there, list(again.failed)) == (1, 2, ["broken.mp4"])
    assert {path.stat().st_mtime_ns == times[path] for path in times} == {True, False}
    alone = tmp_path / "alone.mp4"
    translator.file(folder / "a.mp4", alone, "Remove the haze.")
    assert np.array_equal(read_video(alone), read_video(out / "a.mp4"))


def test_results_of_other_words_are_not_mixed_with_these(model, folder, tmp_path):
    translator = Translator(model)
    translate_folder(translator, folder / "more", tmp_path / "out", "Remove the haze.", said={"seed": 0})
    with pytest.raises(
        OutputError, match=r"results of other settings \(instruction was 'Remove the haze.', is 'Blur it.'"
    ):
        translate_folder(translator, folder / "more", tmp_path / "out", "Blur it.", said={"seed": 0})
    with pytest.raises(SourceError, match="no videos in"):
        translate_folder(translator, tmp_path / "out" / "nothing", tmp_path / "x", "Blur it.", said={})
    write_video(folder / "a.mkv", np.zeros((2, 32, 32, 3), np.uint8), fps=10)
    with pytest.raises(OutputError, match="would both become"):
        translate_folder(translator, folder, tmp_path / "y", "Blur it.", said={})


def test_a_note_without_an_option_that_came_later_and_stands_at_its_default_is_of_the_same_results(
    model, folder, tmp_path
):
    translator, out = Translator(model), tmp_path / "out"
    options = {"carry": "translated", "lora_scale": 1.0, "video_guidance_scale": None, "task": "default"}
    translate_folder(translator, folder / "more", out, "Remove the haze.", said={"seed": 0})
    again = translate_folder(translator, folder / "more", out, "Remove the haze.", said={"seed": 0, **options})
    assert (again.made, again.there) == (0, 1)
    with pytest.raises(OutputError, match=r"results of other settings \(blend was False, is True\)"):
        translate_folder(translator, folder / "more", out, "Remove the haze.", said={"seed": 0, "blend": True})
    (out / "translation.json").write_text("[1]")
    with pytest.raises(OutputError, match=r"translation\.json is damaged"):
        translate_folder(translator, folder / "more", out, "Remove the haze.", said={"seed": 0})


def test_samples_of_a_dataset_are_translated_as_each_one_says(model, toy_dataset, tmp_path):
    Learnt(sources=frozenset({"a video"}), complete=True).save(model)
    translator = Translator(model)
    done = translate_dataset(translator, toy_dataset, tmp_path / "out", task="dehaze", split="test", said={}, seed=3)
    keys = Dataset(toy_dataset).keys("dehaze", "test")
    assert (done.made, len(keys)) == (4, 4)
    sample = Dataset(toy_dataset)[keys[2]]
    expected = translate_clip(
        translator.pipe,
        sample.source,
        sample.instruction,
        task="dehaze",
        generator=torch.Generator().manual_seed(3),
    )
    found = decode_video((tmp_path / "out" / "dehaze" / f"{keys[2]}.mkv").read_bytes())
    assert np.array_equal(found, expected)
    again = translate_dataset(translator, toy_dataset, tmp_path / "out", task="dehaze", split="test", said={}, seed=3)
    assert (again.made, again.there) == (0, 4)
    assert learnt_by(tmp_path / "out") == learnt_by(model) == translator.learnt


def uneven(root):
    """A dataset with a sample of one task in test, and of the other in train."""
    shards = [
        write_shard(root / task / f"{split}-000000.tar", [encode_sample(make_sample(task, split, 0))])
        for task, split in (("dehaze", "test"), ("recolor", "train"))
    ]
    Manifest(recipe={}, recipe_digest="0", code_version="0", shards=tuple(shards), sources=1).save(root)
    return root


def test_the_command_takes_folders_and_datasets(model, folder, toy_dataset, tmp_path):
    def run(*arguments):
        command = [sys.executable, "-c", "from vidiff.cli import translate; translate()", *map(str, arguments)]
        return subprocess.run(
            [*command, "--model", str(model)],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            env=os.environ | {"COLUMNS": "200"},
        )

    done = run(folder, tmp_path / "out", "Remove the haze.")
    assert done.returncode == 1
    assert f"3 translated into {tmp_path / 'out'}, 1 failed" in done.stdout
    assert [line for line in done.stderr.splitlines() if line.startswith("error: broken.mp4: ")]
    done = run(toy_dataset, tmp_path / "predictions", "--task", "recolor", "--split", "val")
    assert (done.returncode, done.stdout) == (0, f"2 translated into {tmp_path / 'predictions'}\n")
    assert run(folder, tmp_path / "other").returncode == 2
    said = run(uneven(tmp_path / "uneven"), tmp_path / "some").stdout.splitlines()
    assert said == [
        f"1 translated into {tmp_path / 'some'}",
        "not translated, for there are no test samples of them: recolor",
    ]
    assert "one by one" in run(folder, tmp_path / "other", "x", "--mask", "m.mkv").stderr


class PerPixel:
    """Changes every pixel by its own value; counts its calls."""

    window = 4

    def __init__(self):
        self.sizes = []

    def __call__(self, video, instruction, previous=None, **sampling):
        self.sizes.append(video.shape[1:3])
        latents = torch.zeros(1, 1, len(video), 1, 1)
        frames = (255 - (video.astype(int) ** 2 // 255)).astype(np.uint8)
        return SimpleNamespace(frames=frames, overlap=Overlap(latents, latents))


@pytest.mark.parametrize("size", [(50, 70), (32, 200), (33, 31), (96, 33)])
@pytest.mark.parametrize("carry", ["nothing", "corrected"])
def test_tiles_give_what_the_whole_frame_would(size, carry):
    video = np.random.default_rng(0).integers(0, 256, (7, *size, 3), dtype=np.uint8)
    pipe = PerPixel()
    tiled = translate_clip(TiledPipe(pipe, 32, border=8), video, "x", carry=carry)
    assert np.array_equal(tiled, translate_clip(PerPixel(), video, "x", carry=carry))
    assert max(max(shape) for shape in pipe.sizes) <= 32


@pytest.mark.parametrize(("length", "tile", "border"), [(100, 32, 8), (33, 32, 16), (32, 32, 8), (1000, 64, 32)])
def test_tiles_cover_all_and_overlap_by_at_least_the_border(length, tile, border):
    spans = [columns for _, columns in tiles(8, length, tile, border)]
    assert (spans[0].start, spans[-1].stop) == (0, length)
    assert {span.stop - span.start for span in spans} == {min(tile, length)}
    assert all(one.stop - other.start >= border for one, other in pairwise(spans))


def test_tiles_fade_into_each_other():
    """Of tiles that disagree no edge is seen: neighbouring pixels differ by no more than the fade's steps."""

    class Disagreeing(PerPixel):
        def __call__(self, video, instruction, **sampling):
            self.sizes.append(0)
            return SimpleNamespace(frames=np.full_like(video, 100 * (len(self.sizes) % 2)))

    clip = translate_clip(TiledPipe(Disagreeing(), 64, border=20), np.zeros((1, 64, 108, 3), np.uint8), "x")
    steps = np.abs(np.diff(clip[0, 32, :, 0].astype(int)))
    assert clip.max() == 100
    assert clip.min() == 0
    assert steps.max() <= 6


def test_the_real_pipeline_takes_tiles(model, tmp_path):
    video = np.random.default_rng(0).integers(0, 256, (5, 40, 72, 3), dtype=np.uint8)
    write_video(tmp_path / "in.mp4", video, fps=10)
    Translator(model).file(tmp_path / "in.mp4", tmp_path / "out.mp4", "x", size=40, tile=32, carry="corrected")
    assert probe(tmp_path / "out.mp4").frames == 5
