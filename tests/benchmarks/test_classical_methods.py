"""What the weight-free methods promise: closed forms, invariances, and clips that no method may stumble over."""

import warnings
from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np
import pytest

from benchmarks.methods import METHODS, Context
from benchmarks.methods.colour import to_lab
from benchmarks.methods.deblurring import (
    burst_fusion,
    estimate_exposure,
    motion_kernel,
    richardson_lucy,
    richardson_lucy_steps,
    unsharp,
    wiener_filter,
)
from benchmarks.methods.dehazing import dark_channel_prior, steadied_dark_channel_prior
from benchmarks.methods.editing import filter_program, reinhard_edit
from benchmarks.methods.flow import flow_between
from benchmarks.methods.haze_lines import dehaze_by_lines, directions, nearest_lines
from benchmarks.methods.inpainting import biharmonic, flow_propagation, telea, temporal_median
from benchmarks.methods.oracles import known_chroma, known_haze, known_inside, known_mask
from benchmarks.methods.segmentation import (
    painted,
)
from benchmarks.metrics import psnr
from benchmarks.metrics.local import masked_psnr
from shards import Dataset
from shards.colours import COLOURS
from tests.benchmarks.pictures import grey_of, sliding, texture
from tests.benchmarks.test_segmentation_methods import overlap, scene
from tests.conftest import make_sample, moving_clip

# every method, on every odd clip


@pytest.mark.parametrize("shape", [(1, 24, 24), (2, 11, 17), (3, 33, 20), (4, 96, 130)], ids=str)
@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if method.make and not method.networks])
def test_no_method_stumbles_over_short_small_or_odd_clips(name, shape, toy_dataset):
    method = METHODS[name]
    task = method.tasks[0] if method.tasks else "dehaze"
    sample = make_sample(task, "test", 0)
    clip = moving_clip(1, frames=shape[0], height=shape[1], width=shape[2])
    if task == "recolor":
        clip = np.repeat(clip[..., :1], 3, axis=3)
    reference = moving_clip(2, frames=1, height=40, width=30)[0]
    masks = [None, np.zeros(shape, np.uint8), np.full(shape, 255, np.uint8), np.zeros(shape, np.uint8)]
    masks[3][:, 3:9, 4:10] = 255
    answer = method.answer(Context(dataset=Dataset(toy_dataset), task="recolor" if method.learns else task, seed=0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for mask in masks:
            for picture in (None, reference):
                asked = replace(
                    sample,
                    source=clip,
                    target=clip,
                    mask=mask,
                    reference=picture,
                    instruction="Paint the red ball in blue.",
                )
                found = answer(asked)
                assert found.shape == clip.shape
                assert found.dtype == np.uint8


@pytest.mark.parametrize("name", [name for name, m in METHODS.items() if m.make is not None and not m.learns])
def test_a_method_says_the_same_twice_and_leaves_its_input_alone(name):
    method = METHODS[name]
    sample = make_sample(method.tasks[0] if method.tasks else "dehaze", "test", 0)
    mask = np.zeros(sample.source.shape[:3], np.uint8)
    mask[:, 3:9, 4:10] = 255
    sample = replace(
        sample, mask=mask, reference=moving_clip(2, frames=1)[0], instruction="Mark the red thing in blue."
    )
    answer = method.answer(Context(dataset=None, task=sample.meta.task, seed=0))
    before = sample.source.copy()
    assert np.array_equal(answer(sample), answer(sample))
    assert np.array_equal(sample.source, before)


# dehaze


def street(frames: int = 3, size: int = 120) -> tuple[np.ndarray, np.ndarray]:
    """A clip of saturated blocks, and depth that grows upwards."""
    rng = np.random.default_rng(0)
    picture = np.zeros((size, size, 3), np.uint8)
    for _ in range(260):
        x, y = rng.integers(0, size, 2).tolist()
        colour = rng.integers(0, 220, 3)
        colour[rng.integers(3)] = 0
        cv2.rectangle(picture, (x, y), (x + 9, y + 9), colour.tolist(), -1)
    clip = np.stack([np.roll(picture, 2 * i, axis=1) for i in range(frames)])
    t = np.linspace(0.3, 0.9, size)[:, None, None]
    return clip, t


@pytest.mark.parametrize("method", [dark_channel_prior, steadied_dark_channel_prior, dehaze_by_lines])
def test_haze_of_the_scattering_model_is_mostly_undone(method):
    clear, t = street()
    airlight = np.array([0.86, 0.88, 0.9])
    hazy = clear / 255 * t + airlight * (1 - t)
    hazy[:, :6] = airlight  # the sky
    hazy = (hazy * 255).round().astype(np.uint8)
    inside = np.s_[:, 20:]
    gain = psnr(method(hazy, "", None, None)[inside], clear[inside]).mean() - psnr(hazy[inside], clear[inside]).mean()
    assert gain > 3


def test_a_steadied_transmission_flickers_less_than_one_by_frame():
    clear, t = street(6)
    rng = np.random.default_rng(1)
    hazy = clear / 255 * t + 0.9 * (1 - t)
    noisy = np.clip(hazy * 255 + rng.normal(0, 12, hazy.shape), 0, 255).astype(np.uint8)
    noisy[:, :8] = 230
    still = np.stack([np.roll(frame, -2 * i, axis=1) for i, frame in enumerate(noisy)])

    def unrest(found: np.ndarray) -> float:
        return float(np.abs(np.diff(found[:, 20:].astype(float).mean(axis=3), axis=0)).mean())

    assert unrest(steadied_dark_channel_prior(still, "", None, None)) < unrest(
        dark_channel_prior(still, "", None, None)
    )


def test_directions_cover_the_sphere_evenly_and_pixels_find_theirs():
    found = directions(500)
    assert np.linalg.norm(found, axis=1) == pytest.approx(np.ones(500))
    assert np.abs(found.mean(axis=0)).max() < 0.01
    gaps = np.sort(np.arccos(np.clip(found @ found.T, -1, 1)), axis=1)[:, 1]
    assert gaps.max() < 2 * gaps.min()
    lines = nearest_lines((directions(1000) * np.linspace(0.1, 1, 1000)[:, None]).astype(np.float32))
    assert lines.tolist() == list(range(1000))


# deblur


@pytest.mark.parametrize(("across", "down"), [(8, 0), (0, 5), (-6, 3), (0.5, 0)])
def test_a_motion_kernel_is_centred_and_as_long_as_the_motion(across, down):
    kernel = motion_kernel(across, down)
    assert kernel.sum() == pytest.approx(1, abs=1e-5)
    y, x = np.mgrid[: len(kernel), : len(kernel)] - len(kernel) // 2
    assert ((kernel * x).sum(), (kernel * y).sum()) == pytest.approx((0, 0), abs=0.05)
    # an even line of length l has variance l^2 / 12, and its pixels have 1 / 12 of their own
    spread_of = (kernel * (x**2 + y**2)).sum()
    assert spread_of == pytest.approx((across**2 + down**2) / 12, abs=0.9)


@pytest.mark.parametrize("deconvolve", [wiener_filter, richardson_lucy_steps])
def test_deconvolution_with_the_true_kernel_gains(deconvolve):
    sharp = texture(3)[..., 0].astype(np.float32) / 255
    kernel = motion_kernel(7, 2)
    blurred = cv2.filter2D(sharp, -1, kernel, borderType=cv2.BORDER_REFLECT)
    found = deconvolve(blurred, kernel)
    inside = np.s_[12:-12, 12:-12]
    before, after = (np.square(plane[inside] - sharp[inside]).mean() for plane in (blurred, found))
    assert after < 0.7 * before


def blurred_pan(speed: int, exposure: float, frames: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """A pan by `speed` pixels a frame, and what a shutter open for a share of the frame makes of it (in linear light)."""
    fine = 10
    # detail at every pixel, as in a photograph: magnified noise would have lengths of its own
    grain = np.random.default_rng(5).normal(0, 60, (200, 260 + speed * (frames + 2), 3))
    wide = np.clip(texture(5, *grain.shape[:2]) / 2 + 64 + cv2.GaussianBlur(grain, (0, 0), 0.7), 0, 255)
    light = (wide / 255.0) ** 2.2

    def at(place: float) -> np.ndarray:
        whole, part = int(np.floor(place)), place - np.floor(place)
        return (1 - part) * light[:, whole : whole + 260] + part * light[:, whole + 1 : whole + 261]

    sharp, soft = [], []
    for t in range(1, frames + 1):
        middle = t * speed
        steps = middle + (np.arange(fine * speed) / (fine * speed - 1) - 0.5) * exposure * speed
        sharp.append(at(middle))
        soft.append(np.mean([at(place) for place in steps], axis=0))
    clips = [
        np.round(np.clip(clip, 0, 1) ** (1 / 2.2) * 255).astype(np.uint8) for clip in (np.stack(sharp), np.stack(soft))
    ]
    return clips[1], clips[0]


@pytest.mark.parametrize("exposure", [0.5, 0.9])
def test_the_exposure_of_a_pan_is_found_and_richardson_lucy_sharpens_it(exposure):
    soft, sharp = blurred_pan(12, exposure)
    light = (soft.astype(np.float32) / 255) ** np.float32(2.2)
    motions = [flow_between(a, b) for a, b in pairwise(soft)]
    assert estimate_exposure(light[:-1], motions) == pytest.approx(0.8 * exposure, abs=0.12)
    inside = np.s_[:, 20:-20, 30:-30]
    gain = psnr(richardson_lucy(soft, "", None, None)[inside], sharp[inside]) - psnr(soft[inside], sharp[inside])
    assert gain.mean() > 0.5


def test_a_still_clip_is_left_alone_by_deconvolution():
    still = np.repeat(texture(1)[None], 3, axis=0)
    assert np.array_equal(richardson_lucy(still, "", None, None), still)


def test_unsharp_masking_keeps_flat_pictures_and_raises_edges():
    flat = np.full((1, 20, 20, 3), 77, np.uint8)
    assert np.array_equal(unsharp(flat, "", None, None), flat)
    edge = flat.copy()
    edge[:, :, 10:] = 150
    found = unsharp(edge, "", None, None)
    assert found[0, 10, 9, 0] < 77
    assert found[0, 10, 10, 0] > 150


def test_a_burst_of_shaken_frames_is_sharper_fused():
    sharp = texture(2)
    rng = np.random.default_rng(0)
    shakes = [motion_kernel(*rng.uniform(-7, 7, 2)) for _ in range(5)]
    burst = np.stack([cv2.filter2D(sharp, -1, shake, borderType=cv2.BORDER_REFLECT) for shake in shakes])
    target = np.repeat(sharp[None], 5, axis=0)
    fused = burst_fusion(burst, "", None, None)
    assert psnr(fused, target)[2] > psnr(burst, target).mean() + 0.5


# inpaint


def test_a_hole_in_a_plain_gradient_is_filled_exactly():
    ramp = np.broadcast_to(np.linspace(30, 220, 80)[None, :, None], (60, 80, 3)).round().astype(np.uint8).copy()
    hole = np.zeros((60, 80), bool)
    hole[20:35, 30:50] = True
    spoilt = np.where(hole[..., None], 0, ramp).astype(np.uint8)
    assert np.abs(biharmonic(spoilt, hole).astype(int) - ramp)[hole].max() <= 3
    assert np.abs(telea(spoilt, hole).astype(int) - ramp)[hole].mean() < 12


def test_behind_a_moving_hole_a_still_camera_finds_the_plate():
    plate = np.repeat(texture(4)[None], 6, axis=0)
    mask = np.zeros(plate.shape[:3], np.uint8)
    for t in range(6):
        mask[t, 30:60, 10 + 24 * t : 30 + 24 * t] = 255
    spoilt = np.where(mask[..., None] > 0, 0, plate).astype(np.uint8)
    assert np.array_equal(temporal_median(spoilt, "", None, mask), plate)
    assert masked_psnr(flow_propagation(spoilt, "", None, mask), plate, mask).mean() > 35


def test_along_a_pan_the_flow_brings_what_a_still_hole_covers():
    pan = sliding(8, 6, seed=7)
    mask = np.zeros(pan.shape[:3], np.uint8)
    mask[:, 50:75, 70:90] = 255
    spoilt = np.where(mask[..., None] > 0, 90, pan).astype(np.uint8)
    found = {
        name: masked_psnr(METHODS[name].make(None)(spoilt.copy(), "", None, mask), pan, mask).mean()
        for name in ("telea", "temporal_median", "flow_propagation")
    }
    assert found["flow_propagation"] > found["telea"] + 4
    assert found["flow_propagation"] > found["temporal_median"] + 4


@pytest.mark.parametrize("name", ["telea", "navier_stokes", "biharmonic", "temporal_median", "flow_propagation"])
def test_what_lies_outside_the_hole_stays(name):
    pan = sliding(4, 3)
    mask = np.zeros(pan.shape[:3], np.uint8)
    mask[:, 50:100, 60:110] = 255
    found = METHODS[name].make(None)(pan.copy(), "", None, mask)
    assert np.array_equal(found[mask == 0], pan[mask == 0])


# edit


def test_reinhard_gives_a_clip_the_references_statistics_and_its_own_change_nothing():
    clip = (sliding(3, 2) // 2 + 60).astype(np.uint8)
    own = clip.reshape(1, -1, 3)
    assert np.abs(reinhard_edit(clip, "", own, None).astype(int) - clip).max() <= 1
    reference = (texture(8) // 3 + 80).astype(np.uint8)
    found = to_lab(reinhard_edit(clip, "", reference, None).reshape(1, -1, 3))
    wanted = to_lab(reference)
    assert found.mean((0, 1)) == pytest.approx(wanted.mean((0, 1)), abs=1)
    assert found.std((0, 1)) == pytest.approx(wanted.std((0, 1)), abs=1)


def test_words_run_filters_and_unknown_words_none():
    clip, masks = scene()
    grey = filter_program(clip, "Please make it black and white.", None, None)
    assert (grey == grey[..., :1]).all()
    assert filter_program(clip, "Turn day into night.", None, None).mean() < 0.6 * clip.mean()
    assert filter_program(clip, "Add fog.", None, None).std() < clip.std()
    turned = filter_program(clip, "Change the color of the red square to green.", None, None)
    assert overlap((turned != clip).any(axis=3), masks["red"]) > 0.9
    inside = turned[masks["red"]].mean(axis=0)
    assert inside.argmax() == 1
    assert np.array_equal(filter_program(clip, "Make the triangle bounce.", None, None), clip)


# oracles


def test_oracles_know_what_they_say_they_know():
    clear, t = street()
    airlight = np.array([0.86, 0.88, 0.9])
    hazy = np.round((clear / 255 * t + airlight * (1 - t)) * 255).astype(np.uint8)
    sample = make_sample("dehaze", "test", 0)
    meta = replace(sample.meta, parameters={"airlight": [airlight.tolist()] * 3, "light": "as stored"})
    found = known_haze(replace(sample, source=hazy, target=clear, meta=meta))
    assert psnr(found, clear).mean() > 35

    clip = sliding(2, 1)
    recolor = replace(make_sample("recolor", "test", 0), source=grey_of(clip), target=clip)
    assert psnr(known_chroma(recolor), clip).mean() > 40

    mask = np.zeros(clip.shape[:3], np.uint8)
    mask[:, 20:60, 30:90] = 255
    target = painted(clip, mask > 0, COLOURS["cyan"])
    segment = make_sample("segment", "test", 0)
    meta = replace(segment.meta, parameters={"rgb": list(COLOURS["cyan"])})
    assert np.array_equal(known_mask(replace(segment, source=clip, target=target, mask=mask, meta=meta)), target)
    assert np.array_equal(known_inside(replace(segment, source=clip, target=target, mask=mask)), target)
