"""Readers: what is asked, in which order, how large; and every file that is refused."""

import os
import tracemalloc

import av
import cv2
import numpy as np
import pytest

import shards.cursor
from configs import ConfigError, DecodeLimitError, VideoError
from shards.frame_index import decode_onwards
from shards.video import Limits, VideoReader, probe, read_video, stream_video, write_video
from tests.processes import holds_in_a_fork
from tests.shards.hard_files import BAD, CLOSED, HEVC_OPEN, OPEN, WIDTH, damaged, number_in, write


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "closed.mp4"
    write(path, options=CLOSED)
    return path


@pytest.fixture
def decoded(monkeypatch):
    """Counts the frames that leave the decoder."""
    count = []
    original = shards.cursor.decode_onwards

    def counting(*arguments):
        for frame in original(*arguments):
            count.append(frame.pts)
            yield frame

    monkeypatch.setattr(shards.cursor, "decode_onwards", counting)
    return count


def test_indices_come_back_in_the_order_asked_and_as_often(clip):
    asked = [40, 3, 3, 17, 40, 0]
    for backend in ("pyav", "auto"):
        assert [number_in(frame) for frame in read_video(clip, asked, backend=backend)] == asked


class Halting:
    """An open file with an empty packet behind every other one, by which Theora says that the picture stays."""

    def __init__(self, container):
        self.container = container

    def demux(self, stream):
        for number, packet in enumerate(self.container.demux(stream)):
            yield packet
            if number % 2 and packet.size:
                empty = av.Packet(0)
                empty.pts, empty.dts, empty.time_base, empty.stream = packet.pts, packet.dts, packet.time_base, stream
                yield empty


def test_empty_packets_within_a_file_are_no_damage(clip):
    with av.open(str(clip)) as container:
        frames = list(decode_onwards(Halting(container), container.streams.video[0]))
    assert [number_in(frame.to_ndarray(format="rgb24")) for frame in frames] == list(range(48))


def test_asking_for_nothing_gives_an_empty_clip(clip):
    assert read_video(clip, []).shape == (0, 96, 128, 3)
    assert read_video(clip, range(5, 5), size=(32, 16)).shape == (0, 16, 32, 3)


@pytest.mark.parametrize("asked", [[48], [-1], range(40, 60)])
def test_a_frame_that_is_not_there_is_named(clip, asked):
    with pytest.raises(VideoError, match=r"frame (48|-1) was asked for; it has frames 0 to 47"):
        read_video(clip, asked)


def test_windows_one_after_another_decode_every_frame_once(clip, decoded):
    with VideoReader(clip, backend="pyav") as reader:
        for start in range(0, 48, 8):
            reader.read(range(start, start + 8))
    assert len(decoded) == 48


def test_a_far_frame_is_reached_from_its_key_frame(clip, decoded):
    with VideoReader(clip, backend="pyav") as reader:
        reader.read([0])
        reader.read([40])
    # frame 40 is the fifth of the group that starts at 36
    assert len(decoded) == 1 + 5


@pytest.mark.parametrize("options", [OPEN, HEVC_OPEN])
def test_a_frame_before_an_open_key_frame_is_reached_from_the_group_before(options, decoded, tmp_path):
    path = tmp_path / "open.mp4"
    write(path, codec="libx265" if "x265-params" in options else "libx264", options=options)
    with VideoReader(path, backend="pyav") as reader:
        key = reader._index.key_frames[2]
        for number in (key - 1, key + 1, key, key - 2):
            assert number_in(reader.frame(number)) == number


def test_a_long_transport_stream_is_not_decoded_from_its_start(decoded, tmp_path):
    path = tmp_path / "long.ts"
    write(path, options=OPEN, numbers=range(250))
    with VideoReader(path) as reader:
        for number in (240, 130, 200, 71, 249):
            del decoded[:]
            assert number_in(reader.frame(number)) == number
            # two seconds of head start, and the two groups around it
            assert len(decoded) <= 2 * 25 + 2 * 12


def test_a_seek_that_lands_wrong_falls_back_to_the_beginning(clip):
    with VideoReader(clip, backend="pyav") as reader:
        index = reader._index
        object.__setattr__(index, "seek_to", tuple(stamp + 20_000 for stamp in index.seek_to))
        assert [number_in(frame) for frame in reader.read([14, 30, 47])] == [14, 30, 47]


def test_a_wrong_entry_in_the_index_is_an_error_and_no_wrong_frame(clip):
    with VideoReader(clip, backend="pyav") as reader:
        reader._index.pts[20] += 1
        with pytest.raises(VideoError, match="damaged, frame 20 cannot be decoded"):
            reader.read([20])
        assert number_in(reader.read([21])[0]) == 21


def test_scaling_in_the_decoder_averages_areas(tmp_path):
    path = tmp_path / "full.mp4"
    write(path, options=CLOSED, pixels="yuv444p", numbers=range(3))
    full = read_video(path).astype(float)
    half = full.reshape(3, 48, 2, 64, 2, 3).mean((2, 4))
    assert np.abs(read_video(path, size=(64, 48)) - half).max() <= 2


@pytest.mark.parametrize("size", [(0, 10), (10, -1), (4096, 4096)])
def test_a_size_nobody_can_mean_is_refused(clip, size):
    with pytest.raises(VideoError, match="cannot scale to"):
        read_video(clip, [0], size=size)


def test_an_unknown_backend_is_named_with_the_known_ones(clip):
    with pytest.raises(ConfigError, match="no backend named 'pyaw'; did you mean 'pyav'"):
        read_video(clip, backend="pyaw")


def test_a_reader_opened_before_a_fork_reads_in_the_child(clip):
    reader = VideoReader(clip)
    reader.read([5])
    assert holds_in_a_fork(lambda: [number_in(frame) for frame in reader.read([30, 6])] == [30, 6])
    assert number_in(reader.read([6])[0]) == 6
    reader.close()


def test_streaming_keeps_one_frame_in_memory(clip):
    sum(1 for _ in stream_video(clip))
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    frames = sum(1 for _ in stream_video(clip))
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    assert frames == 48
    assert peak < 8 * WIDTH * 96 * 3


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_refused_in_one_line_that_says_why(name, tmp_path):
    make, suffix, words = BAD[name]
    path = tmp_path / f"{name}{suffix}"
    make(path)
    with pytest.raises(VideoError) as caught:
        probe(path)
    message = str(caught.value)
    assert words in message
    assert message.startswith(str(path))
    assert "\n" not in message


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(VideoError, match=r"nothing\.mp4: no such file"):
        probe(tmp_path / "nothing.mp4")
    with pytest.raises(VideoError, match="is a folder, not a video file"):
        probe(tmp_path)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(VideoError, match="is no regular file"):
        probe(tmp_path / "pipe.mp4")


def test_a_colon_in_the_name_is_no_protocol(clip, tmp_path):
    path = tmp_path / "http: a, b.mp4"
    path.write_bytes(clip.read_bytes())
    assert probe(path).frames == 48


def test_damage_is_reported_where_it_is_and_nowhere_else(tmp_path):
    path = tmp_path / "damaged.mp4"
    damaged(path)
    assert [number_in(frame) for frame in read_video(path, range(12), backend="pyav")] == list(range(12))
    for window in (range(24, 30), range(20, 28)):
        with pytest.raises(VideoError, match=r"damaged\.mp4: damaged"):
            read_video(path, window, backend="pyav")


def test_nothing_is_printed_about_damage(tmp_path, capfd):
    path = tmp_path / "damaged.mp4"
    damaged(path)
    capfd.readouterr()
    with pytest.raises(VideoError):
        read_video(path, backend="pyav")
    # decord conceals the damage, also silently
    assert read_video(path).shape == (48, 96, 128, 3)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (Limits(pixels=128 * 96 - 1), "128x96 pixels a frame, the limit is 12287"),
        (Limits(frames=47), "48 frames, the limit is 47"),
        (Limits(seconds=1.5), "2 s long, the limit is 2 s"),
        (Limits(file_bytes=1000), "bytes, the limit is 1000"),
    ],
)
def test_a_header_above_the_limits_is_refused(clip, limits, words):
    with pytest.raises(DecodeLimitError, match=words):
        probe(clip, limits)


def test_frames_that_no_header_counts_are_counted(tmp_path):
    path = tmp_path / "stream.ts"
    write(path, options=CLOSED)
    with pytest.raises(DecodeLimitError, match="more than 47 frames"):
        probe(path, Limits(frames=47))


def test_a_clip_larger_than_the_limit_says_what_to_do(clip):
    with pytest.raises(DecodeLimitError, match="read fewer at a time, or smaller"):
        read_video(clip, limits=Limits(clip_bytes=10 * 128 * 96 * 3))
    assert len(read_video(clip, range(10), limits=Limits(clip_bytes=10 * 128 * 96 * 3))) == 10


def test_a_picture_that_grows_midway_beyond_the_limit_is_never_decoded(tmp_path):
    parts = [tmp_path / "a.ts", tmp_path / "b.ts"]
    write(parts[0], options=CLOSED, numbers=range(4))
    write(parts[1], options=CLOSED, numbers=range(4), size=(512, 512))
    path = tmp_path / "grows.ts"
    path.write_bytes(parts[0].read_bytes() + parts[1].read_bytes())
    assert probe(path).frames == 8
    with pytest.raises(VideoError):
        probe(path, Limits(pixels=256 * 256))


@pytest.mark.real_clips
def test_real_clips_read_exactly_at_random_and_scaled(clips):
    for path in clips[::3]:
        frames = list(stream_video(path))
        rng = np.random.default_rng(0)
        for backend in ("pyav", "auto"):
            with VideoReader(path, backend=backend) as reader:
                assert reader.info.frames == len(frames)
                for number in rng.integers(0, len(frames), 5):
                    np.testing.assert_array_equal(reader.read([number])[0], frames[number])
        whole = read_video(path, range(len(frames) - 3, len(frames)), size=(96, 64))
        with VideoReader(path) as reader:
            np.testing.assert_array_equal(reader.read([len(frames) - 1], size=(96, 64))[0], whole[-1])


@pytest.mark.parametrize("size", [(32, 32), (48, 24), (24, 48)])
def test_cropping_keeps_the_middle_with_the_proportions_of_the_size(tmp_path, size):
    # a picture that tells its place: red grows to the right, green downwards
    height, width = 96, 160
    rows, columns = np.mgrid[0:height, 0:width]
    frame = np.stack([columns * 255 // width, rows * 255 // height, np.full_like(rows, 90)], axis=-1).astype(np.uint8)
    write_video(tmp_path / "v.mp4", [frame] * 3, fps=25, crf=4)
    whole = read_video(tmp_path / "v.mp4", [1])[0]
    cropped = read_video(tmp_path / "v.mp4", [1], size=size, crop=(0.5, 0.5))[0]
    wide, high = min(width, round(height * size[0] / size[1])), min(height, round(width * size[1] / size[0]))
    left, top = (width - wide) // 4 * 2, (height - high) // 4 * 2
    expected = cv2.resize(whole[top : top + high, left : left + wide], size, interpolation=cv2.INTER_AREA)
    assert cropped.shape == expected.shape
    assert np.abs(cropped.astype(int) - expected).max() <= 4


def test_cropped_frames_have_the_colours_that_were_written(tmp_path):
    rng = np.random.default_rng(0)
    frame = cv2.resize(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8), (128, 96), interpolation=cv2.INTER_CUBIC)
    write_video(tmp_path / "v.mp4", [frame] * 3, fps=25)
    cropped = read_video(tmp_path / "v.mp4", size=(64, 48), crop=(0.5, 0.5))[1].astype(int)
    expected = cv2.resize(frame, (64, 48), interpolation=cv2.INTER_AREA)
    assert np.abs((cropped - expected).mean((0, 1))).max() < 0.5
    assert np.abs(cropped - expected).mean() < 4
