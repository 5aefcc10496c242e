import io
import tarfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from configs import DecodeLimitError, SourceError, VideoError
from shards import read_video, write_video
from shards.containers import Limits
from shards.fence import FencedReader
from shards.members import member_at, members_of
from shards.picture_folder import PictureReader, in_order, palette
from tests.conftest import moving_clip

MIDDLE = (0.5, 0.5)


def save(folder, names, frames) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in zip(names, frames, strict=True):
        Image.fromarray(frame).save(folder / name)


def test_frames_come_in_the_order_of_their_numbers_with_the_bits_that_were_saved(tmp_path):
    clip = moving_clip(frames=12)
    save(tmp_path / "v", [f"frame_{n}.png" for n in range(12)], clip)
    reader = PictureReader(tmp_path / "v")
    assert (reader.info.frames, reader.info.width, reader.info.height) == (12, 48, 32)
    assert np.array_equal(reader.read(), clip)
    assert np.array_equal(reader.read([11, 2]), clip[[11, 2]])


def test_the_fence_reads_folders_like_files(tmp_path):
    clip = moving_clip(frames=3)
    save(tmp_path / "v", ["0.png", "1.png", "2.png"], clip)
    with FencedReader() as fence:
        assert fence.probe(tmp_path / "v").frames == 3
        assert np.array_equal(fence.read(tmp_path / "v", [2, 0]), clip[[2, 0]])
        assert np.array_equal(fence.read(tmp_path / "v" / "1.png"), clip[1:2])


def test_scaling_and_cropping_agree_with_a_video_of_the_same_frames(tmp_path):
    clip = moving_clip(frames=3, height=64, width=96)
    save(tmp_path / "v", ["0.png", "1.png", "2.png"], clip)
    write_video(tmp_path / "v.mp4", clip, fps=25)
    for place in (MIDDLE, (0.0, 0.0), (1.0, 1.0)):
        pictures = PictureReader(tmp_path / "v").read([1], size=(24, 24), crop=place)
        video = read_video(tmp_path / "v.mp4", [1], size=(24, 24), crop=place)
        assert np.abs(pictures.astype(int) - video).mean() < 3


@pytest.mark.parametrize(("place", "columns"), [(0.0, slice(0, 32)), (0.5, slice(8, 40)), (1.0, slice(16, 48))])
def test_a_crop_lies_where_it_was_asked_for(tmp_path, place, columns):
    clip = moving_clip(frames=1)
    save(tmp_path / "v", ["0.png"], clip)
    assert np.array_equal(PictureReader(tmp_path / "v").read(size=(32, 32), crop=(place, 0.5)), clip[:, :, columns])


def test_pictures_are_turned_upright(tmp_path):
    image = Image.fromarray(moving_clip(frames=1)[0])
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "v").mkdir()
    image.save(tmp_path / "v" / "0.jpg", exif=exif, quality=100, subsampling=0)
    reader = PictureReader(tmp_path / "v")
    assert (reader.info.width, reader.info.height) == (32, 48)
    upright = np.rot90(np.asarray(image), -1)
    assert np.abs(reader.read()[0].astype(int) - upright).mean() < 3


def test_object_numbers_are_read_from_palettes_their_colours_and_black_and_white(tmp_path):
    numbers = np.zeros((32, 48), np.uint8)
    numbers[4:12, 6:20], numbers[20:28, 30:40] = 1, 2
    indexed = Image.fromarray(numbers, "P")
    indexed.putpalette(palette().reshape(-1).tolist())
    (tmp_path / "m").mkdir()
    indexed.save(tmp_path / "m" / "0.png")
    indexed.convert("RGB").save(tmp_path / "m" / "1.png")
    Image.fromarray(numbers).save(tmp_path / "m" / "2.png")
    Image.fromarray(np.where(numbers > 0, np.uint8(255), np.uint8(0))).save(tmp_path / "white.png")
    for read in PictureReader(tmp_path / "m").read_labels():
        assert np.array_equal(read, numbers)
    assert np.array_equal(PictureReader(tmp_path / "white.png").read_labels()[0], numbers > 0)
    small = PictureReader(tmp_path / "m").read_labels(size=(16, 16), crop=MIDDLE)
    assert set(np.unique(small)) == {0, 1, 2}, "scaling makes up no numbers"


def test_the_palette_is_the_one_of_pascal_voc():
    assert palette()[:4].tolist() == [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0]]
    assert len(np.unique(palette(), axis=0)) == 256


def test_a_colour_that_marks_no_object_is_an_error(tmp_path):
    save(tmp_path / "m", ["0.png"], moving_clip(frames=1))
    with pytest.raises(VideoError, match="none of the palette"):
        PictureReader(tmp_path / "m").read_labels()


def test_what_is_no_picture_or_too_large_is_one_line(tmp_path):
    folder = tmp_path / "v"
    folder.mkdir()
    with pytest.raises(VideoError, match="no pictures in it"):
        PictureReader(folder)
    (folder / "0.png").write_text("no")
    with pytest.raises(VideoError, match="not a picture"):
        PictureReader(folder)
    save(folder, ["0.png"], moving_clip(frames=1))
    with pytest.raises(DecodeLimitError, match="48x32"):
        PictureReader(folder, limits=Limits(pixels=100))
    with pytest.raises(VideoError, match="frame 1 was asked for"):
        PictureReader(folder).read([1])
    with pytest.raises(DecodeLimitError, match="read fewer"):
        PictureReader(folder, limits=Limits(clip_bytes=100)).read()
    whole = (folder / "0.png").read_bytes()
    (folder / "0.png").write_bytes(whole[: len(whole) // 2])
    with FencedReader() as fence, pytest.raises(VideoError):
        fence.read_labels(folder)


def test_a_mask_video_gives_ones_where_it_is_white(tmp_path):
    mask = np.zeros((4, 32, 48, 3), np.uint8)
    mask[:, 8:24, 12:36] = 255
    write_video(tmp_path / "m.mp4", mask, fps=25)
    with FencedReader() as fence:
        labels = fence.read_labels(tmp_path / "m.mp4", [0, 3])
    assert (labels == (mask[[0, 3], ..., 0] > 0)).mean() > 0.98


def test_a_video_inside_a_tar_is_read_in_place(tmp_path):
    write_video(tmp_path / "a.mp4", moving_clip(1, frames=6), fps=25)
    write_video(tmp_path / "b.mp4", moving_clip(2, frames=6), fps=25)
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        tar.add(tmp_path / "a.mp4", "a.mp4")
        tar.add(tmp_path / "b.mp4", "b.mp4")
    for member in members_of(tmp_path / "x.tar"):
        assert np.array_equal(read_video(member.locator), read_video(tmp_path / member.name))
        assert member.read() == (tmp_path / member.name).read_bytes()
        again = member_at(member.locator)
        assert again is not None
        assert again.sha256() == member.sha256()


def test_a_tar_that_is_cut_off_or_none_is_one_line(tmp_path):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo("a.mp4")
        info.size = 5000
        tar.addfile(info, io.BytesIO(bytes(5000)))
    (tmp_path / "cut.tar").write_bytes(buffer.getvalue()[:3000])
    (tmp_path / "text.tar").write_text("x" * 2000)
    for name in ("cut.tar", "text.tar"):
        with pytest.raises(SourceError, match=name):
            list(members_of(tmp_path / name))
    with pytest.raises(VideoError):
        read_video(f"{tmp_path}/cut.tar#512+5000")


def test_a_locator_like_a_member_that_is_a_file_is_that_file(tmp_path):
    write_video(tmp_path / "a.tar#512+70", moving_clip(frames=3), fps=25)
    assert read_video(tmp_path / "a.tar#512+70").shape == (3, 32, 48, 3)


@pytest.mark.parametrize("mode", ["P", "L"])
def test_255_is_void_in_a_folder_with_object_numbers_and_else_the_object(mode, tmp_path):
    numbers = np.zeros((32, 48), np.uint8)
    numbers[4:12, 6:20], numbers[20:28, 30:40], numbers[0, :] = 1, 2, 255
    border = np.where(numbers == 255, numbers, np.uint8(0))
    alone = np.where(numbers == 1, np.uint8(255), np.uint8(0))
    # the object is not in the first frame, and the last is damaged
    written(tmp_path / "m", [border, numbers, alone], mode)
    (tmp_path / "m" / "9.png").write_bytes(b"no picture")
    labels = PictureReader(tmp_path / "m").read_labels([0, 1, 2])
    assert np.array_equal(labels, [border, numbers, alone])
    written(tmp_path / "w", [alone, border], mode)
    (tmp_path / "w" / "9.png").write_bytes(b"no picture")
    white = PictureReader(tmp_path / "w").read_labels([0, 1])
    assert np.array_equal(white, [alone > 0, border > 0])


def written(folder: Path, labels: list[np.ndarray], mode: str) -> None:
    """Write annotations as DAVIS has them, or without a palette."""
    folder.mkdir()
    for number, values in enumerate(labels):
        picture = Image.fromarray(values, mode)
        if mode == "P":
            picture.putpalette(palette().reshape(-1).tolist())
        picture.save(folder / f"{number}.png")


def test_what_jpeg_leaves_of_black_is_no_object_number(tmp_path):
    faint = np.zeros((32, 48), np.uint8)
    faint[8:24, 12:36] = 9
    mask = np.where(faint > 0, np.uint8(255), np.uint8(0))
    (tmp_path / "m").mkdir()
    for number, values in enumerate((faint, mask)):
        Image.fromarray(values).save(tmp_path / "m" / f"{number}.jpg", quality=90)
    labels = PictureReader(tmp_path / "m").read_labels()
    assert not labels[0].any()
    assert np.array_equal(labels[1], mask > 0)


def test_a_raised_digit_in_a_name_is_no_number():
    assert in_order("1\u00b21.jpg")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg", ".webp"])
def test_a_picture_that_lies_on_its_side_is_read_upright_and_not_squeezed(orientation, suffix, tmp_path):
    stored = Image.fromarray(cv2.resize(moving_clip(frames=1)[0], (48, 32)))
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"tiffinfo": {0x0112: orientation}} if suffix == ".tif" else {"exif": exif, "quality": 100}
    stored.save(tmp_path / f"0{suffix}", **options)
    reader = PictureReader(tmp_path)
    upright = np.array(ImageOps.exif_transpose(Image.open(tmp_path / f"0{suffix}")))
    assert (reader.info.height, reader.info.width) == upright.shape[:2]
    assert np.abs(reader.read()[0].astype(int) - upright).max() <= 2


def test_the_colours_of_pictures_are_those_that_pillow_shows(tmp_path):
    picture = Image.fromarray(moving_clip(frames=1, height=32, width=48)[0])
    for name, made in {
        "cmyk.jpg": picture.convert("CMYK"),
        "cmyk.tif": picture.convert("CMYK"),
        "palette.png": picture.quantize(64),
        "gray.png": picture.convert("L"),
        "gray and alpha.png": picture.convert("LA"),
        "alpha.png": picture.convert("RGBA"),
        "one bit.png": picture.convert("1"),
    }.items():
        made.save(tmp_path / name)
        shown = np.array(Image.open(tmp_path / name).convert("RGB")).astype(int)
        assert np.abs(PictureReader(tmp_path / name).read()[0] - shown).max() <= 2, name


def test_sixteen_bits_become_eight(tmp_path):
    picture = moving_clip(frames=1, height=32, width=48)[0]
    cv2.imwrite(str(tmp_path / "0.png"), picture[..., ::-1].astype(np.uint16) * 257)
    assert np.array_equal(PictureReader(tmp_path).read()[0], picture)
