"""Pretrained networks: the true architectures with weights made here, against the libraries that define them."""

import warnings
from collections import OrderedDict

import numpy as np
import pytest
import torch
import torchmetrics.functional.image.dists as their_dists
import torchmetrics.functional.image.lpips as their_lpips
from torch import nn

from benchmarks.metrics import METRICS, Outcome
from benchmarks.metrics.together import TOGETHER
from benchmarks.networks import MISSING, NETWORKS, NotAvailable, located, version
from benchmarks.networks.i3d import I3D, _padded, mean_features, scripted_features
from benchmarks.networks.inception import inception_features
from benchmarks.networks.pictures import dists, lpips
from benchmarks.settings import WeightSettings
from tests.conftest import make_sample, moving_clip


def alexnet_layers() -> nn.Sequential:
    """torchvision's `alexnet().features`, which is not installed here."""
    return nn.Sequential(
        *(nn.Conv2d(3, 64, kernel_size=11, stride=4, padding=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(64, 192, kernel_size=5, padding=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(192, 384, kernel_size=3, padding=1), nn.ReLU(inplace=True)),
        *(nn.Conv2d(384, 256, kernel_size=3, padding=1), nn.ReLU(inplace=True)),
        *(nn.Conv2d(256, 256, kernel_size=3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2)),
    )


def vgg_layers() -> nn.Sequential:
    """torchvision's `vgg16().features`."""
    layers, channels = [], 3
    for width in [64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M"]:
        if width == "M":
            layers.append(nn.MaxPool2d(2, 2))
        else:
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
            channels = width
    return nn.Sequential(*layers)


def saved(features: nn.Sequential, path, seed: int) -> str:
    """Write a file as torchvision's: weights of `features`, and of a classifier that nobody asks for."""
    torch.manual_seed(seed)
    for layer in features:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)
            nn.init.uniform_(layer.bias, -0.1, 0.1)
    known = {f"features.{name}": value for name, value in features.state_dict().items()}
    torch.save({**known, "classifier.1.weight": torch.zeros(4, 4)}, path)
    return str(path)


@pytest.fixture(scope="module")
def alexnet(tmp_path_factory):
    features = alexnet_layers()
    return features, saved(features, tmp_path_factory.mktemp("alexnet") / NETWORKS["alexnet"].file, 1)


@pytest.fixture(scope="module")
def vgg(tmp_path_factory):
    features = vgg_layers()
    return features, saved(features, tmp_path_factory.mktemp("vgg") / NETWORKS["vgg16"].file, 2)


def two_clips(frames: int = 5, height: int = 64, width: int = 80) -> tuple[np.ndarray, np.ndarray]:
    clip = moving_clip(3, frames=frames, height=height, width=width)
    noise = np.random.default_rng(0).normal(0, 25, clip.shape)
    return np.clip(clip + noise, 0, 255).astype(np.uint8), clip


def as_tensor(clip: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(clip).permute(0, 3, 1, 2).float() / 255


def test_lpips_is_that_of_torchmetrics(alexnet, monkeypatch):
    features, path = alexnet
    monkeypatch.setattr(their_lpips, "_get_tv_model_features", lambda net, pretrained=False: features)
    real = torch.load
    monkeypatch.setattr(torch, "load", lambda *a, **k: real(*a, **{"map_location": "cpu", **k}))
    theirs = their_lpips._NoTrainLpips(net="alex", pretrained=True)
    answer, target = two_clips()
    with torch.no_grad():
        expected = theirs(as_tensor(answer), as_tensor(target), normalize=True).flatten().numpy()
    found = lpips(answer, target, path)
    assert expected.std() > 1e-4
    assert found == pytest.approx(expected, rel=1e-4)
    assert lpips(target, target, path) == pytest.approx(np.zeros(5), abs=1e-9)
    # one batch or another
    assert lpips(answer[4:], target[4:], path) == pytest.approx(found[4:], rel=1e-5)


def test_dists_is_that_of_torchmetrics(vgg, monkeypatch):
    features, path = vgg

    class Weights:
        DEFAULT = None

    class Named:
        def __init__(self, weights):
            self.features = features

    monkeypatch.setattr(their_dists, "_TORCHVISION_AVAILABLE", True)
    monkeypatch.setattr(their_dists, "VGG16_Weights", Weights, raising=False)
    monkeypatch.setattr(their_dists, "vgg16", Named, raising=False)
    real = torch.load
    monkeypatch.setattr(torch, "load", lambda *a, **k: real(*a, **{"map_location": "cpu", **k}))
    answer, target = two_clips()
    expected = their_dists.DISTSNetwork()(as_tensor(answer), as_tensor(target)).detach().numpy()
    found = dists(answer, target, path)
    assert expected.std() > 1e-4
    assert found == pytest.approx(expected, abs=2e-5)
    assert dists(target, target, path) == pytest.approx(np.zeros(5), abs=1e-5)
    assert dists(answer[4:], target[4:], path) == pytest.approx(found[4:], abs=1e-5)


def test_both_grow_with_the_distortion(alexnet, vgg):
    _, clip = two_clips(frames=2)
    noise = np.random.default_rng(1).normal(0, 1, clip.shape)
    worse = [np.clip(clip + level * noise, 0, 255).astype(np.uint8) for level in (5, 20, 60)]
    for metric, (_, path) in ((lpips, alexnet), (dists, vgg)):
        scores = [metric(answer, clip, path).mean() for answer in worse]
        assert scores == sorted(scores)
        assert 0 < scores[0] < scores[-1]


def test_i3d_has_the_names_and_the_size_of_the_published_file(tmp_path):
    network = I3D()
    names = set(network.state_dict())
    # with the 1024 x 400 weights and 400 biases of its last layer, the published network has 12,697,264 numbers
    assert sum(weight.numel() for weight in network.parameters()) + 1024 * 400 + 400 == 12_697_264
    assert {"Conv3d_1a_7x7.conv3d.weight", "Mixed_4f.b3b.bn.running_mean", "Mixed_5c.b1b.conv3d.weight"} < names
    torch.manual_seed(0)
    for weight in network.parameters():
        if weight.dim() > 1:
            nn.init.kaiming_normal_(weight)
    path = tmp_path / NETWORKS["i3d_rgb"].file
    known = {**network.state_dict(), "logits.conv3d.weight": torch.zeros(400, 1024, 1, 1, 1)}
    torch.save(known, path)
    answer, target = two_clips(frames=9, height=64, width=80)
    found = mean_features(answer, str(path))
    assert found.shape == (1, 1024)
    with torch.no_grad():
        pixels = torch.from_numpy(answer).permute(3, 0, 1, 2)[None].float() / 255
        expected = network.eval()(pixels).mean(dim=(2, 3, 4))
    assert found == pytest.approx(expected.numpy(), rel=1e-5, abs=1e-6)
    assert np.abs(found - mean_features(target, str(path))).max() > 1e-3
    # the published file is of before batches were counted, and in the form of that time
    old = {name: value for name, value in known.items() if not name.endswith("num_batches_tracked")}
    assert len(old) < len(known)
    torch.save(OrderedDict(old), tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    assert np.array_equal(mean_features(answer, str(tmp_path / "old.pt")), found)


@pytest.mark.parametrize(
    ("length", "side", "stride", "before", "after"),
    # TensorFlow's SAME: ceil(length / stride) windows, the smaller half of the zeros in front
    [
        (8, 7, 2, 2, 3),
        (9, 7, 2, 3, 3),
        (8, 3, 2, 0, 1),
        (7, 3, 1, 1, 1),
        (8, 2, 2, 0, 0),
        (7, 2, 2, 0, 1),
        (8, 1, 2, 0, 0),
    ],
)
def test_zeros_around_are_those_of_tensorflow(length, side, stride, before, after):
    x = torch.ones(1, 1, length, length, length)
    padded = _padded(x, (side,) * 3, (stride,) * 3)
    assert padded.shape[-1] == length + before + after
    line = padded[0, 0, padded.shape[2] // 2, padded.shape[3] // 2]
    assert line.tolist() == [0.0] * before + [1.0] * length + [0.0] * after
    assert (padded.shape[-1] - side) // stride + 1 == -(-length // stride)


class ScriptedInception(nn.Module):
    """What the TorchScript file takes and gives, with another network inside."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Linear(12, 8, bias=False)

    def forward(self, x: torch.Tensor, return_features: bool = False) -> torch.Tensor:
        if x.dtype != torch.uint8:
            raise RuntimeError("8-bit pictures are wanted")
        small = nn.functional.adaptive_avg_pool2d(x.float() / 255, 2).flatten(1)
        return self.mix(small) if return_features else small


class ScriptedI3D(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Linear(24, 5, bias=False)

    def forward(
        self, x: torch.Tensor, rescale: bool = False, resize: bool = False, return_features: bool = False
    ) -> torch.Tensor:
        if not (rescale and resize and return_features) or x.max() <= 1:
            raise RuntimeError("values up to 255 are wanted, to be scaled here")
        return self.mix(nn.functional.adaptive_avg_pool3d(x / 127.5 - 1, 2).flatten(1))


class WithoutParameters(nn.Module):
    """A network whose file holds its weights as buffers."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mix", torch.ones(12, 8))

    def forward(self, x: torch.Tensor, return_features: bool = False) -> torch.Tensor:
        return nn.functional.adaptive_avg_pool2d(x.float(), 2).flatten(1) @ self.mix


def test_a_scripted_network_needs_no_parameters(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.script(WithoutParameters()).save(str(tmp_path / "inception.pt"))
    _, clip = two_clips(frames=2)
    assert inception_features(clip, str(tmp_path / "inception.pt")).shape == (2, 8)


def scripted(network: nn.Module, path) -> str:
    torch.manual_seed(0)
    nn.init.normal_(network.mix.weight)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.script(network).save(str(path))
    return str(path)


def test_scripted_networks_get_what_their_files_expect(tmp_path):
    _, clip = two_clips(frames=20)
    inception = ScriptedInception()
    path = scripted(inception, tmp_path / "inception.pt")
    found = inception_features(clip, path)
    with torch.no_grad():
        expected = inception(torch.from_numpy(clip).permute(0, 3, 1, 2), return_features=True).numpy()
    assert found.shape == (20, 8)
    assert found == pytest.approx(expected, abs=1e-5)
    assert inception_features(clip[17:], path) == pytest.approx(found[17:], abs=1e-6)
    i3d = ScriptedI3D()
    path = scripted(i3d, tmp_path / "i3d.pt")
    with torch.no_grad():
        pixels = torch.from_numpy(clip).permute(3, 0, 1, 2)[None].float()
        expected = i3d(pixels, rescale=True, resize=True, return_features=True).numpy()
    assert scripted_features(clip, path) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_a_network_that_is_not_here_is_said_with_name_size_and_remedy(name, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    weights = WeightSettings().model_dump()
    assert version(name, weights) == MISSING
    with pytest.raises(NotAvailable, match=rf"^weights: .*[0-9.]+ [MG]B; --set weights\.{name}="):
        located(name, weights)
    for nowhere in ("/no/such/place", "a name with blanks"):
        assert version(name, {name: nowhere}) == MISSING
        with pytest.raises(NotAvailable, match=rf"in {nowhere}; --set weights\.{name}="):
            located(name, {name: nowhere})


def test_a_network_is_found_as_a_file_in_a_folder_and_in_the_hubs_cache(tmp_path, monkeypatch):
    file = NETWORKS["alexnet"].file
    home = tmp_path / "home"
    (home / "hub" / "checkpoints").mkdir(parents=True)
    (home / "hub" / "checkpoints" / file).write_bytes(b"one")
    monkeypatch.setenv("TORCH_HOME", str(home))
    cached = home / "hub" / "checkpoints"
    assert located("alexnet", {}) == str(cached / file)
    assert located("alexnet", {"alexnet": str(cached)}) == str(cached / file)
    assert located("alexnet", {"alexnet": str(cached / file)}) == str(cached / file)
    before = version("alexnet", {})
    (cached / file).write_bytes(b"two!")
    assert version("alexnet", {}) != before


@pytest.mark.parametrize("name", ["alexnet", "vgg16", "inception", "i3d", "i3d_rgb"])
def test_a_file_that_is_no_network_is_told_in_one_line(name, tmp_path):
    path = tmp_path / "weights.pt"
    path.write_bytes(b"no weights")
    sample = make_sample("edit", "test", 0)
    columns = [one for one in (*METRICS.values(), *TOGETHER.values()) if one.networks == (name,)]
    assert columns
    for one in columns:
        with pytest.raises(NotAvailable, match=r"weights\.pt cannot be loaded") as told:
            call(one, sample, {name: str(path)})
        assert "\n" not in str(told.value)


def call(one, sample, weights):
    if one.name in METRICS:
        return one.function(Outcome(sample, sample.source, weights))
    return one.features(sample.source, *weights.values())


def test_every_setting_names_a_network():
    assert set(WeightSettings.model_fields) == set(NETWORKS)
    used = {name for one in (*METRICS.values(), *TOGETHER.values()) for name in one.networks}
    assert used <= set(NETWORKS)
