import pytest
import torch
from diffusers import AutoencoderKL
from scipy.fft import dctn

from vidiff import PatchAutoencoder
from vidiff.conditioning import decode_video, encode_video, patch_size


def images(batch=2, height=16, width=24):
    return torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.mark.parametrize("patch", [1, 2, 4, 8])
def test_encoding_and_decoding_loses_nothing(patch):
    autoencoder = PatchAutoencoder(patch=patch)
    assert (autoencoder(images()) - images()).abs().max() < 1e-5


def test_the_transform_is_orthonormal():
    basis = PatchAutoencoder(patch=4).basis.flatten(1)
    assert torch.allclose(basis @ basis.T, torch.eye(48), atol=1e-6)


def test_lightness_channels_are_the_dct_of_the_scaled_channel_sum():
    autoencoder, picture = PatchAutoencoder(patch=4), images(batch=1)
    latent = autoencoder.encode(picture).latent_dist.mode() * autoencoder.spread
    lightness = picture[0].sum(0).double().numpy() / 3**0.5
    expected = torch.from_numpy(dctn(lightness[4:8, 8:12], norm="ortho"))
    assert torch.allclose(latent[0, :16, 1, 2].reshape(4, 4).double(), expected, atol=1e-5)


def test_error_weights_of_two_measure_errors_as_in_pixels():
    autoencoder = PatchAutoencoder(weighting=2.0)
    other = images() + 0.1 * torch.randn(images().shape, generator=torch.Generator().manual_seed(3))
    latents = [autoencoder.encode(picture).latent_dist.mode() for picture in (images(), other)]
    in_latents = ((latents[0] - latents[1]).square() * autoencoder.error_weight[:, :, 0]).mean()
    in_pixels = (images() - other).square().mean()
    unit = autoencoder.spread.square().mean()
    assert torch.allclose(in_latents * unit, in_pixels, rtol=1e-4)


def test_saving_keeps_the_transform(tmp_path):
    PatchAutoencoder(patch=2, chroma_std=0.5).save_pretrained(tmp_path)
    loaded = PatchAutoencoder.from_pretrained(tmp_path, use_safetensors=True)
    assert (loaded(images()) - images()).abs().max() < 1e-5
    assert loaded.config.chroma_std == 0.5


def test_a_learnt_vae_fits_where_the_transform_does():
    vae = AutoencoderKL(
        block_out_channels=(8, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        norm_num_groups=4,
    )
    clip = torch.rand(2, 3, 5, 16, 24, generator=torch.Generator().manual_seed(0)) * 2 - 1
    for autoencoder, channels, patch in ((vae, 4, 2), (PatchAutoencoder(patch=2), 12, 2)):
        assert patch_size(autoencoder) == patch
        with torch.no_grad():
            latent = encode_video(autoencoder, clip)
            assert latent.shape == (2, channels, 5, 8, 12)
            assert decode_video(autoencoder, latent).shape == clip.shape


@pytest.mark.real_clips
def test_latents_of_real_clips_have_about_unit_variance(clips):
    from shards import read_video

    frames = torch.cat([torch.from_numpy(read_video(path, [0, 40], size=(128, 128))) for path in clips])
    latent = PatchAutoencoder().encode(frames.permute(0, 3, 1, 2).float() / 127.5 - 1).latent_dist.mode()
    assert 0.4 < latent.std() < 1.2
    assert latent[:, :16].std(dim=(0, 2, 3)).min() > 0.2
