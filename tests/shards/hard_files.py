"""Makers of the video files that readers get wrong; every frame carries its number, so a file tells the truth itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

WIDTH, HEIGHT, FRAMES, GROUP = 128, 96, 48, 12
_X264 = f"keyint={GROUP}:min-keyint={GROUP}:scenecut=0:bframes=3:b-adapt=0:threads=1"
_X265 = f"keyint={GROUP}:min-keyint={GROUP}:scenecut=0:bframes=3:b-adapt=0:pools=none:frame-threads=1:log-level=none"
CLOSED = {"x264-params": f"{_X264}:open-gop=0"}
OPEN = {"x264-params": f"{_X264}:open-gop=1"}
HEVC_CLOSED = {"x265-params": f"{_X265}:open-gop=0"}
HEVC_OPEN = {"x265-params": f"{_X265}:open-gop=1"}


@dataclass(frozen=True)
class HardFile:
    """`numbers`: what each frame shows, in order. `decord`: whether decord may be chosen for it."""

    make: Callable[[Path], None]
    suffix: str
    numbers: Sequence[int] = range(FRAMES)
    decord: bool = False
    reference: bool = True
    """A plain PyAV loop reads it whole and upright, so that its pictures can be compared bit for bit."""


def numbered(number: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """Return uint8 [h w 3]: a drifting coloured texture under a strip of eight cells, black or white, `number` in binary."""
    y, x = np.mgrid[:height, :width]
    red = 127 + 90 * np.sin((x + 3 * number) / 9)
    green = 127 + 90 * np.sin((y + 2 * number) / 7)
    blue = 127 + 90 * np.cos((x + y - number) / 11)
    picture = np.stack([red, green, blue], -1).astype(np.uint8)
    bits = (number >> np.arange(8)) & 1
    picture[: height // 4] = np.where(bits[(np.arange(width) * 8) // width], 235, 20)[None, :, None]
    return picture


def number_in(picture: np.ndarray) -> int:
    """Read the number back, from a frame of any size."""
    height, width = picture.shape[:2]
    cells = [
        picture[height // 16 : height // 6, int((i + 0.3) * width / 8) : int((i + 0.7) * width / 8)] for i in range(8)
    ]
    return sum(int(cell.mean() > 127) << i for i, cell in enumerate(cells))


def write(
    path: Path,
    *,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    pixels: str = "yuv420p",
    size: tuple[int, int] = (WIDTH, HEIGHT),
    numbers: Iterable[int] = range(FRAMES),
    rate: Fraction | int = 25,
    times: Callable[[int], int] | None = None,
    turn: tuple[float, bool, bool] | None = None,
    matrix: int = 5,
    full_range: bool = False,
    transfer: int = 2,
    container: dict[str, str] | None = None,
    sound: bool = False,
    draw: Callable[[int, int, int], np.ndarray] = numbered,
) -> None:
    """Encode numbered frames, or what `draw` makes of number, width and height.

    `times`: from the frame's position to its time in milliseconds, for a varying rate. `matrix`, `transfer`: by their
    numbers in ITU-T H.273.
    """
    with av.open(str(path), "w", options=container or {}) as output:
        stream = output.add_stream(codec, rate=rate, options=options or {})
        stream.height, stream.width = _as_stored(draw(0, *size), turn).shape[:2]
        stream.pix_fmt = pixels
        stream.codec_context.thread_count = 1
        stream.codec_context.colorspace, stream.codec_context.color_range = matrix, 2 if full_range else 1
        stream.codec_context.color_trc = transfer
        if times:
            stream.codec_context.time_base = Fraction(1, 1000)
        if turn:
            stream.set_display_rotation(*turn)
        tone = output.add_stream("aac", rate=44100) if sound else None
        for position, number in enumerate(numbers):
            stored = _as_stored(draw(number, *size), turn)
            rgb = av.VideoFrame.from_ndarray(stored, format="rgb24")
            colours = (
                {}
                if pixels.startswith(("rgb", "bgr", "gray", "argb"))
                else {"dst_colorspace": matrix, "dst_color_range": 2 if full_range else 1}
            )
            picture = rgb.reformat(format=pixels, **colours)
            picture.color_trc = transfer
            picture.pts = times(position) if times else position
            picture.time_base = Fraction(1, 1000) if times else 1 / Fraction(rate)
            output.mux(stream.encode(picture))
        output.mux(stream.encode(None))
        if tone:
            for packet in _tone_packets(tone):
                output.mux(packet)


def _as_stored(upright: np.ndarray, turn: tuple[float, bool, bool] | None) -> np.ndarray:
    """Undo what a player will do: turn counter-clockwise by the degrees, then mirror along x and y."""
    if turn is None:
        return upright
    degrees, mirror_x, mirror_y = turn
    mirrored = upright[:: -1 if mirror_y else 1, :: -1 if mirror_x else 1]
    return np.ascontiguousarray(np.rot90(mirrored, -round(degrees / 90)))


def remux(
    source: Path,
    path: Path,
    *,
    keep: Callable[[int, av.Packet], bool] = lambda number, packet: True,
    shift: int = 0,
    container: dict[str, str] | None = None,
) -> None:
    """Copy packets without decoding. `shift`: ticks added to every stamp."""
    with av.open(str(source)) as input_, av.open(str(path), "w", options=container or {}) as output:
        stream = input_.streams.video[0]
        copy = output.add_stream_from_template(stream)
        for number, packet in enumerate(input_.demux(stream)):
            if packet.size and keep(number, packet):
                packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                packet.stream = copy
                output.mux(packet)


def _tone_packets(stream: av.AudioStream) -> Iterable[av.Packet]:
    for number in range(80):
        samples = np.sin(np.arange(1024, dtype=np.float32)[None] / 20) * 0.2
        frame = av.AudioFrame.from_ndarray(samples.astype(np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 44100, 1024 * number, Fraction(1, 44100)
        yield from stream.encode(frame)
    yield from stream.encode(None)


def sound_only(path: Path) -> None:
    with av.open(str(path), "w") as output:
        for packet in _tone_packets(output.add_stream("aac", rate=44100)):
            output.mux(packet)


def cover_only(path: Path) -> None:
    """Sound with an attached cover picture: no video."""
    import io

    image = io.BytesIO()
    with av.open(image, "w", format="image2pipe") as output:
        stream = output.add_stream("mjpeg", rate=1)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuvj420p"
        picture = av.VideoFrame.from_ndarray(numbered(1, 64, 64), format="rgb24").reformat(format="yuvj420p")
        for packet in stream.encode(picture) + stream.encode(None):
            output.mux(packet)
    with av.open(str(path), "w", format="mp4") as output:
        tone = output.add_stream("aac", rate=44100)
        cover = output.add_mux_stream("mjpeg", width=64, height=64)
        cover.disposition = av.stream.Disposition.attached_pic
        packet = av.Packet(image.getvalue())
        packet.stream = cover
        packet.is_keyframe = True
        output.mux(packet)
        for sound in _tone_packets(tone):
            output.mux(sound)


def open_cut(path: Path, codec: str, options: dict[str, str]) -> None:
    """Stream-copied from an open group on: its header counts pictures whose references were left behind."""
    whole = path.with_name(f"whole-{path.name}")
    write(whole, codec=codec, options=options)
    remux(whole, path, keep=_from_group(2))


def mid_cut(path: Path) -> None:
    """Stream-copied from the middle of a group on: nothing before the next key frame can be decoded."""
    whole = path.with_name(f"whole-{path.name}")
    write(whole, options=CLOSED)
    remux(whole, path, keep=lambda number, packet: number >= 5)


def edit_list(path: Path) -> None:
    """An mp4 whose edit list hides the first five frames."""
    whole = path.with_name(f"whole-{path.name}")
    write(whole, options=CLOSED)
    with av.open(str(whole)) as container:
        tick = int(1 / (25 * container.streams.video[0].time_base))
    remux(whole, path, shift=-5 * tick, container={"avoid_negative_ts": "disabled"})


def glued(path: Path) -> None:
    """Two transport streams of different sizes, one behind the other: time stamps come twice."""
    parts = [path.with_name(f"{part}-{path.name}") for part in "ab"]
    write(parts[0], options=CLOSED, numbers=range(24))
    write(parts[1], options=CLOSED, numbers=range(24, 48), size=(192, 144))
    path.write_bytes(b"".join(part.read_bytes() for part in parts))


def _from_group(wanted: int) -> Callable[[int, av.Packet], bool]:
    groups = 0

    def keep(number: int, packet: av.Packet) -> bool:
        nonlocal groups
        groups += packet.is_keyframe
        return groups > wanted

    return keep


def _made(**options: object) -> Callable[[Path], None]:
    return lambda path: write(path, **options)  # type: ignore[arg-type]


def _irregular(position: int) -> int:
    return 40 * position + (0, 7, 19, 3)[position % 4]


HARD = {
    "closed": HardFile(_made(options=CLOSED), ".mp4", decord=True),
    "closed_with_sound": HardFile(_made(options=CLOSED, sound=True), ".mp4", decord=True),
    "closed_hevc": HardFile(_made(codec="libx265", options=HEVC_CLOSED), ".mp4", decord=True),
    "bt709": HardFile(_made(options=CLOSED, matrix=1), ".mp4", decord=True),
    "full_range": HardFile(_made(options=CLOSED, full_range=True, pixels="yuvj420p"), ".mp4", decord=True),
    "ntsc_rate": HardFile(_made(options=CLOSED, rate=Fraction(30000, 1001)), ".mp4", decord=True),
    "open": HardFile(_made(options=OPEN), ".mp4"),
    "open_hevc": HardFile(_made(codec="libx265", options=HEVC_OPEN), ".mp4"),
    "open_cut": HardFile(lambda path: open_cut(path, "libx264", OPEN), ".mp4", numbers=range(24, FRAMES)),
    "open_cut_hevc": HardFile(lambda path: open_cut(path, "libx265", HEVC_OPEN), ".mp4", numbers=range(24, FRAMES)),
    "mid_cut": HardFile(mid_cut, ".mp4", numbers=range(12, FRAMES)),
    "edit_list": HardFile(edit_list, ".mp4", numbers=range(5, FRAMES)),
    "intra_refresh": HardFile(_made(options={"x264-params": "intra-refresh=1:keyint=12:threads=1"}), ".mp4"),
    "fragmented": HardFile(_made(options=CLOSED, container={"movflags": "frag_keyframe+empty_moov"}), ".mp4"),
    "varying_rate": HardFile(_made(options=CLOSED, times=_irregular), ".mp4"),
    "slide_show": HardFile(_made(options=CLOSED, numbers=range(5), times=lambda i: 4000 * i), ".mkv", numbers=range(5)),
    "transport_open": HardFile(_made(options=OPEN), ".ts"),
    "transport_closed": HardFile(_made(options=CLOSED), ".ts"),
    "transport_hevc": HardFile(_made(codec="libx265", options=HEVC_OPEN), ".ts"),
    "transport_mpeg2": HardFile(_made(codec="mpeg2video", options={"g": "12", "bf": "2", "b": "2M"}), ".ts"),
    "glued": HardFile(glued, ".ts", reference=False),
    "program": HardFile(_made(codec="mpeg2video", options={"g": "12", "bf": "2", "b": "2M"}), ".mpg"),
    "av1": HardFile(_made(codec="libsvtav1", options={"preset": "12", "g": "12", "svtav1-params": "lp=1"}), ".mp4"),
    "vp9": HardFile(_made(codec="libvpx-vp9", options={"g": "12", "deadline": "realtime", "cpu-used": "8"}), ".webm"),
    "vp8_hidden": HardFile(
        _made(
            codec="libvpx", options={"g": "12", "auto-alt-ref": "1", "lag-in-frames": "16", "cpu-used": "4", "b": "1M"}
        ),
        ".webm",
    ),
    "matroska_ntsc": HardFile(_made(options=CLOSED, rate=Fraction(30000, 1001)), ".mkv"),
    "matroska_open": HardFile(_made(options=OPEN), ".mkv"),
    "avi_bframes": HardFile(_made(codec="mpeg4", options={"g": "12", "bf": "2", "b": "2M"}), ".avi"),
    "avi_h264": HardFile(_made(options=CLOSED), ".avi"),
    "avi_jpeg": HardFile(_made(codec="mjpeg", pixels="yuvj420p", options={"b": "4M"}, full_range=True), ".avi"),
    "flash": HardFile(_made(codec="flv", options={"g": "12", "b": "2M"}), ".flv"),
    "prores": HardFile(_made(codec="prores_ks", pixels="yuv422p10le"), ".mov"),
    "gif": HardFile(_made(codec="gif", pixels="rgb8"), ".gif"),
    "ten_bit": HardFile(_made(codec="libx265", options=HEVC_CLOSED, pixels="yuv420p10le"), ".mp4"),
    "gray": HardFile(_made(codec="ffv1", pixels="gray"), ".mkv"),
    "full_chroma": HardFile(_made(options=CLOSED, pixels="yuv444p"), ".mp4"),
    "alpha": HardFile(_made(codec="qtrle", pixels="argb"), ".mov"),
    "odd_size": HardFile(_made(codec="ffv1", size=(131, 97)), ".mkv"),
    "odd_size_444": HardFile(_made(options=CLOSED, pixels="yuv444p", size=(131, 97)), ".mp4"),
    "turned_90": HardFile(_made(options=CLOSED, turn=(90, False, False)), ".mov", reference=False),
    "turned_180": HardFile(_made(options=CLOSED, turn=(180, False, False)), ".mov", reference=False),
    "turned_270": HardFile(_made(options=CLOSED, turn=(270, False, False)), ".mp4", reference=False),
    "mirrored": HardFile(_made(options=CLOSED, turn=(0, True, False)), ".mov", reference=False),
    "turned_and_mirrored": HardFile(_made(options=CLOSED, turn=(90, True, False)), ".mov", reference=False),
    "single_frame": HardFile(_made(options=CLOSED, numbers=[7]), ".mp4", numbers=[7], decord=True),
}


def _cut_file(share: float, **options: object) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        whole = path.with_name(f"whole-{path.name}")
        write(whole, **options)  # type: ignore[arg-type]
        data = whole.read_bytes()
        path.write_bytes(data[: int(share * len(data))])

    return make


def no_frames(path: Path) -> None:
    """A header that names a video stream, and nothing behind it."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        output.start_encoding()


def bomb(path: Path) -> None:
    """8K frames, all black: some kilobytes that become 50 MB a frame."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=25, options={"preset": "ultrafast", "x264-params": "threads=1"})
        stream.width, stream.height, stream.pix_fmt = 7680, 4320, "yuv420p"
        black = av.VideoFrame(7680, 4320, "yuv420p")
        for plane in black.planes:
            plane.update(bytes(plane.buffer_size))
        output.mux(stream.encode(black))
        output.mux(stream.encode(None))


def damaged(path: Path) -> None:
    """The bytes of a group's key frame overwritten; header and the group before are whole."""
    write(path, options=CLOSED)
    with av.open(str(path)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.is_keyframe]
    data = bytearray(path.read_bytes())
    start, size = places[2]
    data[start + 8 : start + size] = np.random.default_rng(0).integers(0, 256, size - 8, dtype=np.uint8).tobytes()
    path.write_bytes(data)


def _bytes(data: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(data) and None


def still(path: Path) -> None:
    with av.open(str(path), "w", format="image2") as output:
        stream = output.add_stream("png", rate=1)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "rgb24"
        picture = av.VideoFrame.from_ndarray(numbered(1, 64, 64), format="rgb24")
        output.mux(stream.encode(picture) + stream.encode(None))


_INDEX_FIRST = {"movflags": "+faststart"}
_GARBAGE = np.random.default_rng(0).integers(0, 256, 50_000, dtype=np.uint8).tobytes()

# name: (maker, suffix, what the message must say)
BAD = {
    "text": (_bytes(b"This is no video, whatever its name says.\n" * 50), ".mp4", "not a video"),
    "text_art": (_bytes(b"\x1b[31mA line of text art\n" * 50), ".txt", "not a video"),
    "garbage": (_bytes(_GARBAGE), ".mp4", "not a video"),
    "empty": (_bytes(b""), ".mp4", "empty"),
    "playlist": (
        _bytes(b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nother.ts\n#EXT-X-ENDLIST\n"),
        ".mp4",
        "not a video",
    ),
    "picture": (still, ".png", "not a video"),
    "sound": (sound_only, ".mp4", "it holds no video, only "),
    "sound_with_cover": (cover_only, ".mp4", "a cover picture"),
    "no_stream": (no_frames, ".mp4", "it holds no video"),
    "no_frames": (no_frames, ".avi", "it holds no frame"),
    "cut_before_index": (_cut_file(0.6, options=CLOSED), ".mp4", "cut off"),
    "cut_after_index": (_cut_file(0.6, options=CLOSED, container=_INDEX_FIRST), ".mp4", "cut off"),
    "cut_last_frames": (_cut_file(0.98, options=CLOSED, container=_INDEX_FIRST), ".mp4", "cut off"),
    "cut_matroska": (_cut_file(0.6, options=CLOSED), ".mkv", "cut off"),
    "cut_avi": (_cut_file(0.6, codec="mjpeg", pixels="yuvj420p", options={"b": "4M"}), ".avi", "cut off"),
    "bomb": (bomb, ".mp4", "7680x4320"),
}
