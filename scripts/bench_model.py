"""Speed of the model: the pipeline beside the bare calls it makes, a training step, and on a GPU the full size.

Called by `make bench-speed`.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from configs import load
from vidiff.conditioning import decode_video, encode_text, encode_video
from vidiff.data import Batch
from vidiff.devices import keep_freed_memory
from vidiff.pipeline import VIDiffPipeline
from vidiff.settings import TrainSettings
from vidiff.sizes import new_pipeline
from vidiff.train import make_state, train_step
from vidiff.unet import VIDiffUNet

REPEATS = 15
STEPS = 4
SCALES = {"video_guidance_scale": 1.5, "text_guidance_scale": 3.0}
"""Two scales that need all three passes."""
PEAK_TFLOPS = {"H100": 989, "H200": 989, "A100": 312, "L40S": 362, "RTX 4090": 165}
"""Dense bf16, by a part of the device's name, as their makers say."""


def main() -> None:
    """Measure everything, print it, and write reports/bench_model.json."""
    keep_freed_memory()
    results: dict[str, float | str] = {**pipeline_over_calls(), **training_step()}
    if torch.cuda.is_available():
        results |= full_size()
    else:
        print("no GPU here: time per step, MFU and memory of the full size are not measured")
    path = Path(__file__).resolve().parent.parent / "reports" / "bench_model.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(results, indent=1) + "\n")
    for name, value in results.items():
        print(f"{name:56} {value}")
    print(f"written to {path}")


def pipeline_over_calls() -> dict[str, float | str]:
    """Compare a call of the pipeline with the calls of encoders, U-Net and decoder in it, on tensors of the same shapes."""
    pipe = new_pipeline(load(TrainSettings, "tiny"))
    pipe.set_progress_bar_config(disable=True)
    torch.set_num_threads(1)
    side = pipe.working_size
    clip = np.random.default_rng(0).integers(0, 256, (pipe.window, side, side, 3), dtype=np.uint8)
    ratios, seconds = [], []
    for _ in range(REPEATS + 2):
        bare = timed(lambda: bare_calls(pipe, clip))
        whole = timed(lambda: pipe(clip, "Remove the haze.", num_inference_steps=STEPS, **SCALES))
        ratios.append(whole / bare)
        seconds.append(whole)
    return {
        f"tiny pipeline, {pipe.window} x {side} x {side}, {STEPS} steps of 3 passes, s": round(
            statistics.median(seconds[2:]), 3
        ),
        "pipeline over its bare calls, median (goal <= 1.05)": round(statistics.median(ratios[2:]), 3),
    }


@torch.no_grad()
def bare_calls(pipe: VIDiffPipeline, clip: np.ndarray[Any, Any]) -> None:
    """Encode the source and both texts, denoise, decode; nothing else."""
    frames = torch.from_numpy(clip).permute(3, 0, 1, 2)[None].float() / 127.5 - 1
    latent = encode_video(pipe.vae, frames)
    texts = [encode_text(pipe.tokenizer, pipe.text_encoder, [text]) for text in ("Remove the haze.", "")]
    context = torch.cat([texts[1], texts[1], texts[0]])
    seen = torch.cat([latent, latent], dim=1).repeat(3, 1, 1, 1, 1)
    for _ in range(STEPS):
        pipe.unet(seen, 500, context)
    decode_video(pipe.vae, latent)


def training_step() -> dict[str, float | str]:
    """Time a whole training step - encoding, forward, backward, optimizer, average - at latents of 8 x 32 x 32, batch 4, bf16."""
    settings = load(TrainSettings, "tiny")
    pipe = new_pipeline(settings)
    state = make_state(pipe, settings)
    side = 32 * settings.model.patch
    clips = torch.randint(0, 256, (4, 3, 8, side, side), dtype=torch.uint8)
    batch = Batch(source=clips, target=clips.flip(0), instructions=["Remove the haze."] * 4)
    results: dict[str, float | str] = {}
    for threads in (1, torch.multiprocessing.cpu_count()):
        torch.set_num_threads(threads)
        spent = [timed(partial(train_step, pipe, batch, state, settings, step, 1e-3)) for step in range(8)]
        results[f"tiny training step, latents 8 x 32 x 32, batch 4, {threads} threads, s (goal <= 0.9)"] = round(
            statistics.median(spent[2:]), 3
        )
    return results


@torch.no_grad()
def full_size() -> dict[str, float | str]:
    """Time the U-Net of Stable Diffusion 1.5's size at 16 x 256 x 256 in bf16 on the GPU, with and without `torch.compile`."""
    unet: Any = VIDiffUNet(sample_size=32).to("cuda", torch.bfloat16).eval()
    latent = torch.randn(1, 8, 16, 32, 32, device="cuda", dtype=torch.bfloat16)
    context = torch.randn(1, 77, 768, device="cuda", dtype=torch.bfloat16)
    name = torch.cuda.get_device_name()
    peak = next((tflops for part, tflops in PEAK_TFLOPS.items() if part in name), None)
    flops = counted_flops(lambda: unet(latent, 500, context))
    results: dict[str, float | str] = {"device": name, "TFLOP of one pass": round(flops / 1e12, 3)}
    for how, model in (("", unet), (", compiled", torch.compile(unet))):
        torch.cuda.reset_peak_memory_stats()
        for _ in range(3):
            model(latent, 500, context)
        spent = statistics.median(gpu_seconds(partial(model, latent, 500, context)) for _ in range(20))
        results |= {
            f"one pass, 16 x 256 x 256, bf16{how}, ms": round(spent * 1e3, 2),
            f"TFLOP/s{how}": round(flops / spent / 1e12, 1),
            f"MFU{how}": round(flops / spent / 1e12 / peak, 3) if peak else "n/a (this device's peak is not listed)",
            f"peak memory{how}, MB": round(torch.cuda.max_memory_allocated() / 2**20),
        }
    return {**results, **cpu_and_gpu_apart(unet)}


def cpu_and_gpu_apart(unet: Any) -> Mapping[str, float]:
    """Run four frames of 64 x 64 px in float32 on both; return the largest difference over the spread of the output."""
    unet = unet.float()
    latent, context = torch.randn(1, 8, 4, 8, 8), torch.randn(1, 77, 768)
    there = unet(latent.cuda(), 500, context.cuda()).sample.cpu()
    here = unet.cpu()(latent, 500, context).sample
    return {"GPU and CPU in float32, largest difference over spread": float((there - here).abs().max() / here.std())}


def counted_flops(work: Callable[[], object]) -> int:
    """Return the floating-point operations of some work, as torch counts them."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        work()
    return int(counter.get_total_flops())


def gpu_seconds(work: Callable[[], object]) -> float:
    """Return the seconds from the start of some work to its end on the GPU."""
    torch.cuda.synchronize()
    started = time.perf_counter()
    work()
    torch.cuda.synchronize()
    return time.perf_counter() - started


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that `work()` takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
