"""Written clips: what browsers play, the same bytes again, and nothing half-written."""

import io

import av
import numpy as np
import pytest

from configs import OutputError, VideoError
from shards.video import encode_preview, probe, read_video, write_video
from tests.shards.hard_files import CLOSED, number_in, numbered, sound_only, write

FRAMES = [numbered(number) for number in range(20)]


def test_what_is_written_reads_back_frame_by_frame(tmp_path):
    write_video(tmp_path / "clip.mp4", iter(FRAMES), fps=25)
    info = probe(tmp_path / "clip.mp4")
    assert (info.frames, info.fps, info.width, info.height) == (20, 25, 128, 96)
    assert (info.codec, info.pixel_format, info.container) == ("h264", "yuv420p", "mov")
    back = read_video(tmp_path / "clip.mp4")
    assert [number_in(frame) for frame in back] == list(range(20))
    # 4:2:0 and crf 18 cost a few levels; a wrong colour matrix would shift whole channels
    error = back.astype(float) - np.stack(FRAMES)
    assert np.abs(error).mean() < 5
    assert np.abs(error.mean((0, 1, 2))).max() < 2


def test_the_index_comes_first_so_that_playing_starts_at_once(tmp_path):
    write_video(tmp_path / "clip.mp4", FRAMES, fps=25)
    data = (tmp_path / "clip.mp4").read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")


def test_equal_frames_give_equal_bytes(tmp_path):
    for name in ("a.mp4", "b.mp4"):
        write_video(tmp_path / name, FRAMES, fps=30000 / 1001)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()
    assert encode_preview(FRAMES, 25) == encode_preview(iter(FRAMES), 25)


@pytest.mark.parametrize("size", [(131, 97), (131, 96), (1, 1)])
def test_odd_sizes_grow_by_repeating_their_edge(size, tmp_path):
    width, height = size
    frames = [np.full((height, width, 3), 90, np.uint8)] * 3
    write_video(tmp_path / "odd.mp4", frames, fps=10)
    back = read_video(tmp_path / "odd.mp4")
    assert back.shape == (3, height + height % 2, width + width % 2, 3)
    assert np.abs(back.astype(int) - 90).max() <= 3


def test_a_preview_is_a_playable_file_in_memory():
    with av.open(io.BytesIO(encode_preview(FRAMES, 12.5))) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.average_rate) == ("h264", 12.5)
        numbers = [number_in(frame.to_ndarray(format="rgb24")) for frame in container.decode(stream)]
    assert numbers == list(range(20))


def test_colours_are_tagged_so_that_players_need_not_guess(tmp_path):
    write_video(tmp_path / "clip.mp4", FRAMES, fps=25)
    with av.open(str(tmp_path / "clip.mp4")) as container:
        frame = next(container.decode(video=0))
    assert (frame.colorspace, frame.color_range) == (1, 1)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi"])
def test_sound_is_taken_over_as_far_as_the_pictures_reach(suffix, tmp_path):
    source = tmp_path / f"source{suffix}"
    write(source, options=CLOSED, sound=True)
    write_video(tmp_path / "clip.mp4", FRAMES, fps=25, audio_from=source)
    with av.open(str(tmp_path / "clip.mp4")) as container:
        sound = container.streams.audio[0]
        assert sound.codec_context.name == "aac"
        samples = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(sound)])
    # 20 frames last 0.8 s; sound comes in packets of 23 ms
    assert 0.75 < len(samples) / 44100 < 0.9
    # the tone of the source: 44100 / (2 pi 20) Hz
    loudest = np.argmax(np.abs(np.fft.rfft(samples))) * 44100 / len(samples)
    assert loudest == pytest.approx(44100 / (2 * np.pi * 20), rel=0.02)


def test_sound_that_mp4_cannot_hold_becomes_aac(tmp_path):
    source = tmp_path / "source.mkv"
    with av.open(str(source), "w") as output:
        video = output.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
        tone = output.add_stream("pcm_s16le", rate=22050, layout="mono")
        for number in range(25):
            picture = av.VideoFrame.from_ndarray(numbered(number, 64, 64), format="rgb24").reformat(format="yuv420p")
            picture.pts = number
            output.mux(video.encode(picture))
            wave = (8000 * np.sin(np.arange(882)[None] / 10)).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(wave, format="s16", layout="mono")
            frame.sample_rate, frame.pts = 22050, 882 * number
            output.mux(tone.encode(frame))
        output.mux(video.encode(None))
        output.mux(tone.encode(None))
    write_video(tmp_path / "clip.mp4", FRAMES, fps=25, audio_from=source)
    with av.open(str(tmp_path / "clip.mp4")) as container:
        sound = container.streams.audio[0]
        assert (sound.codec_context.name, sound.rate) == ("aac", 22050)
        assert sum(frame.samples for frame in container.decode(sound)) / 22050 == pytest.approx(0.8, abs=0.1)


def test_a_silent_source_leaves_the_clip_silent(tmp_path):
    write(tmp_path / "silent.mp4", options=CLOSED)
    write_video(tmp_path / "clip.mp4", FRAMES, fps=25, audio_from=tmp_path / "silent.mp4")
    assert not probe(tmp_path / "clip.mp4").has_audio


def test_sound_alone_is_no_video_to_take_it_from(tmp_path):
    sound_only(tmp_path / "sound.mp4")
    with pytest.raises(VideoError, match="it holds no video, only audio"):
        write_video(tmp_path / "clip.mp4", FRAMES, fps=25, audio_from=tmp_path / "sound.mp4")
    assert not (tmp_path / "clip.mp4").exists()


@pytest.mark.parametrize(
    ("frames", "words"),
    [
        ([], "there are no frames to write"),
        ([FRAMES[0], numbered(1, 64, 64)], "must have one size"),
        ([FRAMES[0].astype(float)], "must be uint8"),
        ([FRAMES[0][..., 0]], "must be uint8"),
    ],
)
def test_wrong_frames_are_refused_and_leave_nothing_behind(frames, words, tmp_path):
    with pytest.raises(VideoError, match=words):
        write_video(tmp_path / "clip.mp4", frames, fps=25)
    assert list(tmp_path.iterdir()) == []


def test_frames_that_fail_midway_leave_the_old_file(tmp_path):
    def failing():
        yield from FRAMES[:5]
        raise RuntimeError("the model ran out of memory")

    write_video(tmp_path / "clip.mp4", FRAMES, fps=25)
    before = (tmp_path / "clip.mp4").read_bytes()
    with pytest.raises(RuntimeError, match="out of memory"):
        write_video(tmp_path / "clip.mp4", failing(), fps=25)
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]
    assert (tmp_path / "clip.mp4").read_bytes() == before


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="cannot write"):
        write_video(tmp_path / "file" / "clip.mp4", FRAMES, fps=25)


@pytest.mark.parametrize("fps", [0, -5, float("nan")])
def test_a_rate_that_is_none_is_refused(fps, tmp_path):
    with pytest.raises(VideoError, match="frames per second"):
        write_video(tmp_path / "clip.mp4", FRAMES, fps=fps)
