import io

import av
import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio

from configs import ConfigError, DatasetError
from shards.codecs import decode_mask, decode_video, encode_mask, encode_measured, encode_video, pooled_psnr
from shards.video import encode_preview
from tests.conftest import moving_clip


@pytest.fixture(params=[(4, 32, 48), (1, 17, 31), (16, 64, 64)], ids=str)
def clip(request):
    frames, height, width = request.param
    return moving_clip(1, frames=frames, height=height, width=width)


@pytest.mark.parametrize(("codec", "least"), [("jpeg", 38), ("lossless", 100), ("compact", 32)])
def test_a_clip_comes_back_as_well_as_its_codec_can(clip, codec, least):
    data, psnr = encode_measured(clip, 29.97, codec)
    assert data == encode_video(clip, 29.97, codec)
    back = decode_video(data)
    assert back.shape == clip.shape
    assert psnr >= least
    sampled = slice(min(4, len(clip) // 2), None, 8) if codec == "jpeg" else slice(None)
    assert psnr == pytest.approx(pooled_psnr(clip[sampled], back[sampled]), abs=1e-9)


@pytest.mark.parametrize("codec", ["jpeg", "lossless", "compact"])
def test_encoding_twice_gives_the_same_bytes(clip, codec):
    assert encode_video(clip, 25, codec) == encode_video(clip.copy(), 25, codec)


@pytest.mark.parametrize("codec", ["jpeg", "lossless", "compact", "preview"])
def test_the_bytes_do_not_depend_on_what_the_memory_held_before(codec):
    # at widths that are no multiple of 64, x264's mbtree read memory that nobody had written: once in a hundred here
    clip, rng = moving_clip(3, frames=14, height=120, width=200), np.random.default_rng(0)
    found = set()
    for _ in range(100):
        junk = [rng.integers(0, 256, int(rng.integers(100, 300_000)), dtype=np.uint8) for _ in range(8)]
        del junk
        found.add(encode_preview(clip, 25) if codec == "preview" else encode_video(clip, 25, codec))
    assert len(found) == 1


@pytest.mark.parametrize("codec", ["jpeg", "lossless", "compact"])
def test_any_player_finds_the_frames_the_rate_and_full_chroma(clip, codec):
    with av.open(io.BytesIO(encode_video(clip, 30000 / 1001, codec))) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        assert len(frames) == len(clip)
        assert float(stream.average_rate) == pytest.approx(29.97, abs=0.02)
        assert "420" not in stream.codec_context.pix_fmt
    assert pooled_psnr(clip, np.stack(frames)) > 32


def test_masks_lose_nothing():
    mask = np.random.default_rng(0).integers(0, 256, (5, 33, 47), dtype=np.uint8)
    data = encode_mask(mask, 25)
    assert np.array_equal(decode_mask(data), mask)
    assert encode_mask(mask, 25) == data


def test_psnr_pools_the_error_over_the_clip():
    a = moving_clip(0)
    b = np.clip(a.astype(int) + np.arange(4)[:, None, None, None], 0, 255).astype(np.uint8)
    assert pooled_psnr(a, b) == pytest.approx(peak_signal_noise_ratio(a, b, data_range=255), abs=1e-9)
    assert pooled_psnr(a, a) == 100


def test_an_unknown_codec_is_named_with_what_was_meant():
    with pytest.raises(ConfigError, match="did you mean 'jpeg'"):
        encode_video(moving_clip(0), 25, "jpg")


@pytest.mark.parametrize("data", [b"", b"text", encode_video(moving_clip(0), 25)[:200]])
def test_bytes_that_are_no_clip_are_one_line(data):
    with pytest.raises(DatasetError) as error:
        decode_video(data)
    assert "\n" not in str(error.value)
