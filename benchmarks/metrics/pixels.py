"""Metrics of what pixels show: against the target, from frame to frame, inside and outside a mask."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.metrics import colour, fidelity, local, temporal
from benchmarks.metrics.base import RESTORED, Metric, Outcome, Values
from benchmarks.metrics.haze import transmission_error
from shards.sample import Video

_IN_MASK = "over pixels inside the sample's mask, RGB, 8-bit range 255; samples without a mask are left out"


def _pair(function: Callable[[Video, Video], Values]) -> Callable[[Outcome], Values]:
    return lambda outcome: function(outcome.prediction, outcome.sample.target)


def _luma(function: Callable[[Video, Video], Values]) -> Callable[[Outcome], Values]:
    return lambda outcome: function(fidelity.luma(outcome.prediction), fidelity.luma(outcome.sample.target))


def _pasted(function: Callable[[Video, Video], Values]) -> Callable[[Outcome], Values]:
    def score(outcome: Outcome) -> Values:
        sample = outcome.sample
        return function(local.pasted(outcome.prediction, sample.target, outcome.mask), sample.target)

    return score


def _warped_pasted(outcome: Outcome) -> Values:
    whole = local.pasted(outcome.prediction, outcome.sample.target, outcome.mask)
    return temporal.warping_error(whole, outcome.motion)


def _transmission(outcome: Outcome) -> Values:
    known = outcome.sample.meta.parameters
    if "airlight" not in known:
        return []
    gamma = 2.2 if str(known.get("light", "")).startswith("linear") else 1.0
    airlight = np.asarray(known["airlight"], np.float64)
    sample = outcome.sample
    return transmission_error(outcome.prediction, sample.source, sample.target, airlight, gamma=gamma)


def _change(outcome: Outcome) -> Values:
    sample = outcome.sample
    if np.array_equal(sample.source, sample.target):
        return []
    return local.change_made(outcome.prediction, sample.source, sample.target)


def _change_inside(outcome: Outcome) -> Values:
    sample, inside = outcome.sample, outcome.mask != 0
    if not inside.any() or np.array_equal(sample.source[inside], sample.target[inside]):
        return []
    return local.change_made(outcome.prediction[inside], sample.source[inside], sample.target[inside])


def _outside(outcome: Outcome) -> Values:
    sample = outcome.sample
    outside = np.where(outcome.mask != 0, np.uint8(0), np.uint8(1))
    return [] if sample.mask is None else local.masked_psnr(outcome.prediction, sample.source, outside)


METRICS = (
    Metric(
        name="psnr",
        label="PSNR",
        unit="dB",
        function=_pair(fidelity.psnr),
        higher_is_better=True,
        worst=0.0,
        best=100.0,
        convention="per frame, from the squared error over all pixels and RGB channels, 8-bit range 255, no crop; equal "
        "frames count 100 dB",
    ),
    Metric(
        name="ssim",
        label="SSIM",
        function=_pair(fidelity.ssim),
        higher_is_better=True,
        worst=-1.0,
        best=1.0,
        version=2,
        convention="per frame and RGB channel, gaussian window 11 x 11 with sigma 1.5, population covariance, "
        "K1 0.01, K2 0.03, 8-bit range 255, the map cropped by 5 pixels as scikit-image does, "
        "mean over channels",
        digits=4,
        least_side=11,
    ),
    Metric(
        name="ms_ssim",
        label="MS-SSIM",
        function=_pair(fidelity.ms_ssim),
        higher_is_better=True,
        worst=0.0,
        best=1.0,
        convention="Wang et al. 2003, five scales, SSIM's window and constants, only where the whole window lies inside, "
        "each scale averaged over pixels and RGB channels, negative terms 0",
        digits=4,
        least_side=176,
        tasks=(*RESTORED, "edit"),
    ),
    Metric(
        name="psnr_pooled",
        label="PSNR pooled",
        unit="dB",
        function=_pair(fidelity.pooled_psnr),
        higher_is_better=True,
        worst=0.0,
        best=100.0,
        convention="as PSNR, but from the squared error over all frames of the clip at once (torchmetrics' way)",
        pooling="clip",
        tasks=RESTORED,
    ),
    Metric(
        name="psnr_y",
        label="PSNR-Y",
        unit="dB",
        function=_luma(fidelity.psnr),
        higher_is_better=True,
        worst=0.0,
        best=100.0,
        convention="as PSNR, on Y of BT.601 (16 to 235, rounded), range 255",
        tasks=RESTORED,
    ),
    Metric(
        name="ssim_y",
        label="SSIM-Y",
        function=_luma(fidelity.ssim),
        higher_is_better=True,
        worst=-1.0,
        best=1.0,
        convention="as SSIM, on Y of BT.601 (16 to 235, rounded), range 255",
        digits=4,
        least_side=11,
        tasks=RESTORED,
    ),
    Metric(
        name="ciede2000",
        label="CIEDE2000",
        function=_pair(colour.ciede2000),
        higher_is_better=False,
        worst=100.0,
        best=0.0,
        convention="per pixel, sRGB to Lab under D65, mean over pixels",
        tasks=("dehaze", "recolor", "edit"),
    ),
    Metric(
        name="transmission",
        label="t error",
        function=_transmission,
        higher_is_better=False,
        worst=1.0,
        best=0.0,
        convention="mean absolute difference between the transmissions that answer and target imply under the "
        "true airlight, "
        "where the target is at least 0.1 from it; samples without a known airlight are left out",
        digits=3,
        tasks=("dehaze",),
    ),
    Metric(
        name="warping_error",
        label="E_warp",
        unit="1e-2",
        function=lambda outcome: temporal.warping_error(outcome.prediction, outcome.motion),
        higher_is_better=False,
        marks_best=False,
        worst=100.0,
        best=0.0,
        convention="Lai et al. 2018: squared difference between a frame and the next one warped to it, values in "
        "[0, 1], mean "
        "over visible pixels and channels (occlusions and motion boundaries by Ruder et al. 2016 left out, and pixels "
        "whose flow leaves the picture), "
        "flow: OpenCV's DIS, "
        "medium, of the target; a blurred answer scores well, so read it beside PSNR",
        pooling="steps",
        digits=3,
        least_side=32,
        least_frames=2,
    ),
    Metric(
        name="flicker",
        label="flicker",
        unit="levels",
        function=_pair(temporal.flicker),
        higher_is_better=False,
        marks_best=False,
        worst=255.0,
        best=0.0,
        convention="change of the mean error of brightness, which is the mean of R, G and B, from frame to frame, in grey "
        "levels of 255",
        pooling="steps",
        digits=3,
        least_frames=2,
        tasks=(*RESTORED, "edit"),
    ),
    Metric(
        name="temporal_psnr",
        label="tPSNR",
        unit="dB",
        function=_pair(temporal.temporal_psnr),
        higher_is_better=True,
        worst=-6.03,
        best=100.0,
        convention="PSNR between the differences of neighbouring frames of answer and target, RGB, range 255, equal ones "
        "100 dB",
        pooling="steps",
        least_frames=2,
        tasks=(*RESTORED, "edit"),
    ),
    Metric(
        name="psnr_pasted",
        label="PSNR pasted",
        unit="dB",
        function=_pasted(fidelity.psnr),
        higher_is_better=True,
        worst=0.0,
        best=100.0,
        convention="as PSNR, with the target pasted outside the hole as the inpainting papers do",
        tasks=("inpaint",),
    ),
    Metric(
        name="ssim_pasted",
        label="SSIM-65 pasted",
        function=_pasted(fidelity.ssim_uniform),
        higher_is_better=True,
        worst=-1.0,
        best=1.0,
        convention="square window 65 x 65, sample covariance, K1 0.01, K2 0.03, range 255, the map cropped by 32 "
        "pixels, mean "
        "over RGB channels, with the target pasted outside the hole, as the inpainting papers do",
        digits=4,
        least_side=65,
        tasks=("inpaint",),
    ),
    Metric(
        name="warping_error_pasted",
        label="E_warp pasted",
        unit="1e-2",
        function=_warped_pasted,
        higher_is_better=False,
        marks_best=False,
        worst=100.0,
        best=0.0,
        convention="as E_warp, with the target pasted outside the hole as the inpainting papers do; they take a network's "
        "flow, so that their numbers are not beside it",
        pooling="steps",
        over_videos=True,
        digits=3,
        least_side=32,
        least_frames=2,
        tasks=("inpaint",),
    ),
    Metric(
        name="psnr_hole",
        label="PSNR hole",
        unit="dB",
        function=lambda o: local.masked_psnr(o.prediction, o.sample.target, o.mask),
        higher_is_better=True,
        worst=0.0,
        best=100.0,
        convention=f"as PSNR, {_IN_MASK}",
        tasks=("inpaint",),
    ),
    Metric(
        name="psnr_outside",
        label="PSNR outside",
        unit="dB",
        function=_outside,
        higher_is_better=True,
        marks_best=False,
        worst=0.0,
        best=100.0,
        convention="as PSNR, against the source, over pixels outside the sample's mask: what should have stayed; samples "
        "without a mask are left out",
        tasks=("inpaint", "edit"),
    ),
    Metric(
        name="colourfulness",
        label="colour gap",
        function=lambda o: np.abs(colour.colourfulness(o.prediction) - colour.colourfulness(o.sample.target)),
        higher_is_better=False,
        worst=255.0,
        best=0.0,
        convention="absolute difference between the colourfulness (Hasler & Suesstrunk 2003, grey levels of 255) "
        "of answer and "
        "target",
        tasks=("recolor",),
    ),
    Metric(
        name="cdc",
        label="CDC",
        unit="1e-3",
        function=lambda outcome: colour.colour_distribution_consistency(outcome.prediction) * 1e3,
        higher_is_better=False,
        marks_best=False,
        worst=1e3,
        best=0.0,
        convention="Liu et al. 2021: Jensen-Shannon divergence (natural logarithm) of 256-bin histograms per RGB "
        "channel between "
        "frames 1, 2 and 4 apart, equal weights; a clip of one colour scores 0, so read it beside PSNR",
        pooling="clip",
        digits=3,
        least_frames=2,
        tasks=("recolor",),
    ),
    Metric(
        name="change",
        label="change",
        function=_change,
        higher_is_better=True,
        worst=-1.0,
        best=1.0,
        convention="share of the way from source to target that was gone: 1 - |answer - target|^2 / |source - "
        "target|^2 over all "
        "pixels; 1 for the target, 0 for the source, at least -1",
        pooling="clip",
        digits=3,
    ),
    Metric(
        name="change_inside",
        label="change inside",
        function=_change_inside,
        higher_is_better=True,
        worst=-1.0,
        best=1.0,
        convention="as change, over pixels inside the sample's mask; samples without a mask are left out",
        pooling="clip",
        digits=3,
        tasks=("edit",),
    ),
    Metric(
        name="unchanged",
        label="no-op",
        function=lambda o: float(local.unchanged(o.prediction, o.sample.source, o.sample.target)),
        higher_is_better=False,
        marks_best=False,
        worst=1.0,
        best=0.0,
        convention="share of clips that came back as they were: a mean absolute difference from the source below "
        "a tenth of the "
        "target's",
        pooling="clip",
        tasks=("edit",),
    ),
)
