import numpy as np
import pytest

from configs import ConfigError, VideoError
from shards import get_task, write_video
from shards.codecs import MaskWriter, decode_mask, encode_mask
from shards.colours import COLOURS
from shards.video import read_video
from vidiff import translate_file
from vidiff.segmentation import MaskDecoder, decode_masks, paint_named
from vidiff.translate import working_size


@pytest.fixture
def scene():
    """Drifting colours that a brighter disc crosses, and the disc's mask."""
    rng = np.random.default_rng(4)
    wide = np.kron(rng.uniform(40, 200, (5, 14, 3)), np.ones((24, 24, 1)))
    video = np.stack([wide[:96, 4 * t : 4 * t + 160] for t in range(8)]).astype(np.uint8)
    rows, columns = np.mgrid[:96, :160]
    masks = np.stack([(rows - 48) ** 2 + (columns - 30 - 12 * t) ** 2 < 24**2 for t in range(8)])
    video[masks] = (96, 140, 120)
    return video, masks


def paint(video, masks, colour, share=0.5):
    mixed = video * (1 - share) + np.float64(colour) * share
    return np.where(masks[..., None], np.round(mixed), video).astype(np.uint8)


def overlap(found, masks):
    found = found > 0
    return (found & masks).sum() / (found | masks).sum()


@pytest.mark.parametrize("name", ["red", "cyan", "purple", "white"])
def test_paint_of_half_the_share_is_found_where_it_is(name, scene):
    video, masks = scene
    assert overlap(decode_masks(video, paint(video, masks, COLOURS[name]), COLOURS[name]), masks) > 0.97


def test_noise_and_small_changes_of_light_are_no_paint(scene):
    video, masks = scene
    rng = np.random.default_rng(0)
    painted = paint(video, masks, COLOURS["red"]) * 1.04 + rng.normal(0, 12, video.shape)
    found = decode_masks(video, np.clip(painted, 0, 255).astype(np.uint8), COLOURS["red"])
    assert overlap(found, masks) > 0.93
    empty = decode_masks(
        video, np.clip(video * 1.04 + rng.normal(0, 12, video.shape), 0, 255).astype(np.uint8), COLOURS["red"]
    )
    assert (empty > 0).mean() < 0.002


def test_a_model_s_flicker_is_averaged_out_where_nothing_moves(scene):
    video, masks = scene
    still, mask = np.repeat(video[:1], 8, axis=0), np.repeat(masks[3:4], 8, axis=0)
    shares = np.array([0.5, 0.5, 0.2, 0.5, 0.5, 0.5, 0.2, 0.5])
    painted = np.stack([paint(still[t : t + 1], mask[t : t + 1], COLOURS["blue"], shares[t])[0] for t in range(8)])
    found = decode_masks(still, painted, COLOURS["blue"])
    assert min(overlap(found[t], mask[t]) for t in range(8)) > 0.93
    alone = np.concatenate([decode_masks(still[t : t + 1], painted[t : t + 1], COLOURS["blue"]) for t in range(8)])
    assert (alone[2] > 0).sum() == 0, "each frame by itself would blink"


def test_what_has_the_paint_s_own_colour_is_not_marked_by_chance():
    video = np.full((3, 64, 64, 3), COLOURS["red"], np.uint8)
    noisy = np.clip(video + np.random.default_rng(0).normal(0, 6, video.shape), 0, 255).astype(np.uint8)
    assert (decode_masks(video, noisy, COLOURS["red"]) > 0).mean() < 0.01


def test_frames_come_one_behind_and_none_is_lost(scene):
    video, masks = scene
    painted = paint(video, masks, COLOURS["red"])
    decoder = MaskDecoder(COLOURS["red"])
    counts = [len(decoder.push(*pair)) for pair in zip(video, painted, strict=True)]
    assert counts == [0, *[1] * 7]
    assert len(decoder.close()) == 1
    np.testing.assert_array_equal(decode_masks(video[:1], painted[:1], COLOURS["red"]).shape, (1, *video.shape[1:3]))


@pytest.mark.parametrize("split", ["train", "val"])
def test_the_paint_is_the_template_s_and_not_the_object_s_own_colour(split):
    for template in get_task("segment").templates(split):
        said = template.format(object="the red cube next to the green one", color="blue")
        assert paint_named(said) == COLOURS["blue"], said


def test_words_of_one_s_own_name_a_colour_too_or_that_is_said():
    assert paint_named("Where is the dog? Show me in Yellow, please") == COLOURS["yellow"]
    with pytest.raises(ConfigError, match="names no color to look for; it may be red, orange"):
        paint_named("Where is the dog?")


def test_masks_written_one_by_one_are_those_of_a_shard(scene, tmp_path):
    masks = np.where(scene[1], np.uint8(255), np.uint8(0))

    def write(path, frames):
        with MaskWriter(path, fps=12.5) as writer:
            for mask in frames:
                writer.write(mask)

    write(tmp_path / "m.mkv", masks)
    assert (tmp_path / "m.mkv").read_bytes() == encode_mask(masks, 12.5)
    with pytest.raises(VideoError, match="must have one size"):
        write(tmp_path / "n.mkv", (masks[0], masks[1, 1:]))
    assert [path.name for path in tmp_path.iterdir()] == ["m.mkv"]


def test_translating_writes_the_mask_beside_the_video_at_its_full_size(pipe, scene, tmp_path, monkeypatch):
    video, masks = scene
    write_video(tmp_path / "in.mp4", video, fps=10, crf=4)
    pipe.save_pretrained(tmp_path / "model")
    small = working_size(160, 96, pipe.working_size, pipe.patch)

    def paints(pipe, clip, instruction, **options):
        """A model that finds the disc."""
        import cv2

        done = paints.done
        paints.done += len(clip) if done == 0 else len(clip) - 2
        first = max(done - 2, 0)
        shown = [cv2.resize(mask.astype(np.uint8), small) > 0 for mask in masks[first : first + len(clip)]]
        frames = paint(clip, np.stack(shown), COLOURS["red"])
        frames[: 2 if done else 0] = clip[: 2 if done else 0]
        return type("Out", (), {"frames": frames})

    paints.done = 0
    monkeypatch.setattr(type(pipe), "__call__", paints)
    said = "Highlight the green disc in red."
    translate_file(tmp_path / "model", tmp_path / "in.mp4", tmp_path / "out.mp4", said, mask=tmp_path / "mask.mkv")
    found = decode_mask((tmp_path / "mask.mkv").read_bytes())
    assert found.shape == masks.shape == read_video(tmp_path / "out.mp4").shape[:3]
    assert overlap(found, masks) > 0.85
