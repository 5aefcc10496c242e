import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from configs import ModelError, OutputError, VideoError
from shards import probe, read_video, write_video
from tests.shards import hard_files
from vidiff import TrainSettings, translate_file
from vidiff import translate as room
from vidiff.translate import working_size


@pytest.fixture
def model(pipe, tmp_path):
    pipe.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def video(tmp_path):
    ramp = np.linspace(0, 200, 96, dtype=np.uint8)
    frames = np.stack([np.roll(np.broadcast_to(ramp[None, :, None], (72, 96, 3)), 3 * t, axis=1) for t in range(11)])
    write_video(tmp_path / "in.mp4", frames, fps=12.5, crf=5)
    return tmp_path / "in.mp4"


def test_the_result_has_the_size_the_rate_and_the_frames_of_the_input(model, video, tmp_path):
    heard = []
    translate_file(model, video, tmp_path / "out.mp4", "Remove the haze.", on_frame=lambda *done: heard.append(done))
    before, after = probe(video), probe(tmp_path / "out.mp4")
    assert (after.width, after.height, after.frames, after.fps) == (before.width, before.height, 11, before.fps)
    assert heard == [(number, 11) for number in range(1, 12)]


def test_an_untrained_model_gives_the_video_back(model, video, tmp_path):
    translate_file(model, video, tmp_path / "out.mp4", "Remove the haze.")
    difference = np.abs(read_video(tmp_path / "out.mp4").astype(int) - read_video(video))
    assert difference.mean() < 2


def test_equal_seeds_give_equal_frames(awake_pipe, video, tmp_path, monkeypatch):
    written = {}

    def remember(path, frames, **options):
        written[path.stem] = np.stack(list(frames))

    monkeypatch.setattr(room, "write_video", remember)
    awake_pipe.save_pretrained(tmp_path / "awake")
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        translate_file(tmp_path / "awake", video, tmp_path / f"{name}.mp4", "Remove the haze.", seed=seed)
    assert np.array_equal(written["a"], written["b"])
    assert not np.array_equal(written["a"], written["c"])


@pytest.mark.parametrize(
    ("size", "short", "expected"),
    [
        ((854, 480), 128, (228, 128)),
        ((480, 854), 128, (128, 228)),
        ((96, 72), 128, (96, 72)),
        ((64, 8000), 32, (32, 4000)),
    ],
)
def test_the_working_size_keeps_the_proportions_and_never_enlarges(size, short, expected):
    assert working_size(*size, short, 4) == expected


def test_what_cannot_be_used_is_named_and_nothing_is_written(model, video, tmp_path):
    (tmp_path / "text.mp4").write_text("not a video")
    with pytest.raises(VideoError):
        translate_file(model, tmp_path / "text.mp4", tmp_path / "out.mp4", "x")
    hard_files.write(tmp_path / "hdr.mp4", pixels="yuv420p10le", matrix=9, transfer=18, numbers=range(2))
    with pytest.raises(VideoError, match=r"arib-std-b67 .HDR.*convert it to SDR first"):
        translate_file(model, tmp_path / "hdr.mp4", tmp_path / "out.mp4", "x")
    with pytest.raises(ModelError):
        translate_file(tmp_path / "nowhere", video, tmp_path / "out.mp4", "x")
    with pytest.raises(OutputError, match="is the input itself"):
        translate_file(model, video, video, "x")
    with pytest.raises(OutputError):
        translate_file(model, video, tmp_path / "text.mp4" / "out.mp4", "x")
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.real_clips
def test_a_real_clip_keeps_size_rate_and_frames(model, clips, tmp_path):
    clip = min(clips, key=lambda path: probe(path).frames)
    translate_file(model, clip, tmp_path / "out.mp4", "Remove the haze.", num_inference_steps=1)
    before, after = probe(clip), probe(tmp_path / "out.mp4")
    assert (after.width, after.height, after.frames) == (before.width, before.height, before.frames)
    assert after.fps == pytest.approx(before.fps, rel=1e-3)


def test_a_reference_image_goes_with_the_instruction(video, tmp_path):
    import configs
    from vidiff.sizes import new_pipeline

    blind = new_pipeline(configs.load(TrainSettings, "tiny-fast"))
    seeing = new_pipeline(configs.load(TrainSettings, "tiny-fast", ["model.image_width=32"]))
    for name, model in (("blind", blind), ("seeing", seeing)):
        model.save_pretrained(tmp_path / name)
    Image.fromarray(np.full((40, 50, 3), 200, np.uint8)).save(tmp_path / "reference.png")
    translate_file(
        tmp_path / "seeing", video, tmp_path / "out.mp4", "Recolor it.", reference=tmp_path / "reference.png"
    )
    assert probe(tmp_path / "out.mp4").frames == 11
    with pytest.raises(ModelError, match="takes no image instruction"):
        translate_file(
            tmp_path / "blind", video, tmp_path / "no.mp4", "Recolor it.", reference=tmp_path / "reference.png"
        )
    assert not (tmp_path / "no.mp4").exists()
    with pytest.raises(VideoError, match="nothing"):
        translate_file(tmp_path / "seeing", video, tmp_path / "no.mp4", "x", reference=tmp_path / "nothing.png")


PEAK = """
import resource, sys
from vidiff import translate_file
translate_file(*sys.argv[1:4], "Remove the haze.")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak_memory(model, video, out):
    done = subprocess.run(
        [sys.executable, "-c", PEAK, model, video, out], capture_output=True, text=True, check=True, timeout=120
    )
    return int(done.stdout.split()[-1])


@pytest.mark.slow
def test_memory_does_not_grow_with_the_length(pipe, tmp_path):
    pipe.register_to_config(window=16)
    pipe.save_pretrained(tmp_path / "model")
    frame = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    peaks = {}
    for clips in (2, 10):
        frames = (np.roll(frame, t, axis=1) for t in range(16 + 14 * (clips - 1)))
        write_video(tmp_path / f"{clips}.mp4", frames, fps=25)
        peaks[clips] = peak_memory(tmp_path / "model", tmp_path / f"{clips}.mp4", tmp_path / "out.mp4")
    assert peaks[10] < 1.1 * peaks[2]
