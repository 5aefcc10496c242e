"""Every file that readers get wrong, read by every backend that may read it, against the numbers in its pictures."""

import av
import cv2
import numpy as np
import pytest

from configs import VideoError
from shards.video import VideoReader, probe, read_video, stream_video
from tests.shards.hard_files import CLOSED, HARD, HEIGHT, WIDTH, number_in, numbered, write


@pytest.fixture(scope="module", params=HARD)
def hard(request, tmp_path_factory):
    """(what was made, its path, all its frames by the reference backend)"""
    file = HARD[request.param]
    path = tmp_path_factory.mktemp("hard") / f"{request.param}{file.suffix}"
    file.make(path)
    return file, path, read_video(path, backend="pyav")


def sequential(path):
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_count = 1
        return np.stack([frame.to_ndarray(format="rgb24", threads=1) for frame in container.decode(stream)])


def test_every_frame_shows_its_number(hard):
    file, path, frames = hard
    assert [number_in(frame) for frame in frames] == list(file.numbers)
    assert probe(path).frames == len(file.numbers)


@pytest.mark.parametrize("hard", [name for name in HARD if HARD[name].reference], indirect=True)
def test_reading_equals_a_plain_decode_bit_for_bit(hard):
    _, path, frames = hard
    np.testing.assert_array_equal(frames, sequential(path))


@pytest.mark.parametrize("backend", ["pyav", "auto"])
def test_random_reads_equal_the_decode_from_the_start(hard, backend):
    _, path, frames = hard
    read_at_random(path, backend, frames)


@pytest.mark.parametrize("hard", [name for name in HARD if HARD[name].decord], indirect=True)
def test_decord_gives_the_same_bits_where_it_may_read(hard):
    pytest.importorskip("decord")
    _, path, frames = hard
    read_at_random(path, "decord", frames)


@pytest.mark.parametrize("hard", [name for name in HARD if not HARD[name].decord], indirect=True)
def test_decord_is_refused_where_it_would_be_wrong(hard):
    with pytest.raises(VideoError, match="decord would not be exact here: "):
        read_video(hard[1], backend="decord")


def read_at_random(path, backend, frames):
    rng = np.random.default_rng(0)
    with VideoReader(path, backend=backend) as reader:
        for number in rng.integers(0, len(frames), 24):
            np.testing.assert_array_equal(reader.read([number])[0], frames[number])


@pytest.mark.parametrize("seed", range(3))
def test_windows_and_strides_equal_the_decode_from_the_start(hard, seed):
    _, path, frames = hard
    rng = np.random.default_rng(seed)
    with VideoReader(path, backend="pyav") as reader:
        for _ in range(6):
            start, stop = sorted(rng.integers(0, len(frames) + 1, 2))
            window = range(start, stop, rng.integers(1, 6))
            np.testing.assert_array_equal(reader.read(window), frames[start : stop : window.step])


def test_streaming_gives_the_same_frames(hard):
    _, path, frames = hard
    np.testing.assert_array_equal(np.stack(list(stream_video(path))), frames)


def test_scaled_frames_still_show_their_number(hard):
    file, path, frames = hard
    small = read_video(path, size=(64, 40))
    assert small.shape == (len(frames), 40, 64, 3)
    assert [number_in(frame) for frame in small] == list(file.numbers)


@pytest.mark.parametrize("name", ["turned_90", "turned_180", "turned_270", "mirrored", "turned_and_mirrored"])
def test_a_turned_file_comes_out_upright(name, tmp_path):
    path = tmp_path / f"{name}{HARD[name].suffix}"
    HARD[name].make(path)
    frames = read_video(path)
    assert frames.shape[1:3] == (HEIGHT, WIDTH) == (probe(path).height, probe(path).width)
    for number in (0, 20, 47):
        # a wrong turn or mirroring of the texture would differ by about 70 grey levels
        assert np.abs(frames[number].astype(float) - numbered(number)).mean() < 8


@pytest.mark.parametrize("name", ["turned_90", "turned_180", "turned_270"])
def test_opencv_turns_files_the_same_way(name, tmp_path):
    path = tmp_path / f"{name}{HARD[name].suffix}"
    HARD[name].make(path)
    capture = cv2.VideoCapture(str(path))
    _, theirs = capture.read()
    capture.release()
    assert np.abs(read_video(path, [0])[0].astype(int) - theirs[..., ::-1]).mean() < 4


SDR_10_BIT = {"pixels": "yuv420p10le", "matrix": 9, "transfer": 14}


@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize(
    "tags", [{"matrix": 1}, {"matrix": 5}, SDR_10_BIT], ids=["BT.709", "BT.601", "BT.2020 in 10 bits"]
)
def test_colours_follow_the_tags_of_the_file(tags, full_range, tmp_path):
    colour = np.array([200, 60, 40], np.uint8)
    path = tmp_path / "tagged.mp4"
    flat = lambda number, width, height: np.full((height, width, 3), colour)  # noqa: E731
    write(path, options=CLOSED, numbers=range(2), full_range=full_range, draw=flat, **tags)
    assert np.abs(read_video(path, size=(64, 48)).astype(int) - colour).max() <= 3
    # BT.601 read as BT.709, or one range as the other, is off by 10 levels and more
    assert np.abs(read_video(path).astype(int) - colour).max() <= 3


@pytest.mark.parametrize("transfer", [(16, "smpte2084"), (18, "arib-std-b67")])
@pytest.mark.parametrize(("codec", "suffix"), [("libx264", ".mp4"), ("ffv1", ".mkv")])
def test_hdr_is_refused_for_it_would_look_washed_out(codec, suffix, transfer, tmp_path):
    # H.264 says it in the stream itself, FFV1 leaves it to the container
    path, (number, name) = tmp_path / f"hdr{suffix}", transfer
    write(path, codec=codec, numbers=range(2), **SDR_10_BIT | {"transfer": number})
    with pytest.raises(VideoError, match=rf"transfer {name} \(HDR\).*; convert it to SDR first"):
        probe(path)


def test_interlaced_video_is_known(tmp_path):
    for name, options in {"fields.mp4": {"x264-params": "tff=1"}, "frames.mp4": {}}.items():
        write(tmp_path / name, numbers=range(2), options=options)
        assert probe(tmp_path / name).interlaced == (name == "fields.mp4")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ntsc_rate", {"fps": pytest.approx(30000 / 1001), "constant_rate": True, "index": "packets"}),
        ("matroska_ntsc", {"fps": pytest.approx(30000 / 1001), "constant_rate": True, "container": "matroska"}),
        ("varying_rate", {"fps": pytest.approx(47 / 1.883), "constant_rate": False}),
        ("open_cut", {"header_frames": 27, "frames": 24, "open_gop": True, "index": "decoded"}),
        ("edit_list", {"header_frames": 48, "frames": 43, "index": "decoded"}),
        ("closed_with_sound", {"has_audio": True, "open_gop": False, "codec": "h264", "pixel_format": "yuv420p"}),
        ("turned_90", {"rotation": 90, "mirrored": False, "width": WIDTH, "height": HEIGHT}),
        ("turned_180", {"rotation": 180, "mirrored": False}),
        ("turned_270", {"rotation": 270, "mirrored": False}),
        ("mirrored", {"rotation": 0, "mirrored": True}),
        ("turned_and_mirrored", {"rotation": 90, "mirrored": True}),
        ("av1", {"codec": "av1", "index": "packets"}),
        ("glued", {"index": "decoded", "frames": 48, "width": WIDTH}),
    ],
)
def test_probe_says_what_the_file_is(name, expected, tmp_path):
    path = tmp_path / f"{name}{HARD[name].suffix}"
    HARD[name].make(path)
    info = probe(path)
    found = {field: getattr(info, field) for field in expected}
    assert found == expected
