import pytest
import torch

from configs import ModelError
from vidiff import Scales, guide, pass_weights


class ToyDenoiser:
    """A linear network: noise + 2 [video seen] + 3 [text seen]; remembers its passes."""

    def __init__(self):
        self.passes = []

    def __call__(self, passes):
        self.passes += passes
        return [torch.ones(1, 1, 1, 1, 1) + 2 * video + 3 * text for video, text in passes]


def test_unit_scales_are_the_plain_conditional_pass_alone():
    toy = ToyDenoiser()
    assert guide(toy, Scales(video=1, text=1)).item() == 6
    assert toy.passes == [(True, True)]


def test_a_zero_text_scale_never_reads_the_text():
    toy = ToyDenoiser()
    assert guide(toy, Scales(video=1.5, text=0)).item() == pytest.approx(1 + 1.5 * 2)
    assert (True, True) not in toy.passes


def test_zero_scales_are_the_unconditional_pass_alone():
    toy = ToyDenoiser()
    assert guide(toy, Scales(video=0, text=0)).item() == 1
    assert toy.passes == [(False, False)]


@pytest.mark.parametrize(("video", "text"), [(1.5, 7.5), (0.3, 2.0), (2.0, 2.0), (1.0, 4.0)])
def test_a_linear_network_gives_the_closed_form(video, text):
    expected = 1 + video * 2 + text * 3
    assert guide(ToyDenoiser(), Scales(video=video, text=text)).item() == pytest.approx(expected)


@pytest.mark.parametrize(("video", "text", "passes"), [(1.5, 7.5, 3), (1, 7.5, 2), (2, 2, 2), (1, 1, 1)])
def test_weights_sum_to_one_and_vanishing_passes_are_left_out(video, text, passes):
    weights = pass_weights(Scales(video=video, text=text))
    assert sum(weights.values()) == pytest.approx(1)
    assert len(weights) == passes


@pytest.mark.parametrize(("video", "text"), [(1.5, 5.0), (0.5, 0.5), (0.5, 3.0)])
def test_instruct_diffusion_s_rule_gives_its_own_closed_form(video, text):
    expected = (1 + 2 + 1 + 3) / 2 + video * 2 + text * 3
    toy = ToyDenoiser()
    assert guide(toy, Scales(video=video, text=text), rule="instruct_diffusion").item() == pytest.approx(expected)
    assert (False, False) not in toy.passes
    if (video, text) == (0.5, 0.5):
        assert toy.passes == [(True, True)], "plain conditioning"


def test_an_unknown_rule_is_named():
    with pytest.raises(ModelError, match="did you mean 'instruct_pix2pix'"):
        pass_weights(Scales(), "instruct_pix2pic")
