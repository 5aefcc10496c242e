"""Fixtures that several packages' tests share: synthetic clips, a small dataset, the real clips where there are any."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from shards import Manifest, Meta, Sample, encode_sample, write_card, write_shard

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
cv2.setNumThreads(1)

ROOT = Path(__file__).parent.parent


def real_clips() -> list[Path]:
    folder = Path(os.environ.get("VIDIFF_CLIPS", ROOT.parent / "shared" / "data" / "clips"))
    return sorted(folder.glob("*.mp4"))


@pytest.fixture(scope="session")
def clips() -> list[Path]:
    found = real_clips()
    if not found:
        pytest.skip("no real clips: set VIDIFF_CLIPS to a folder of .mp4 files")
    return found


def moving_clip(seed: int = 0, *, frames: int = 4, height: int = 32, width: int = 48) -> np.ndarray:
    """Return uint8 [t h w 3]: smooth coloured noise that drifts to the left."""
    rng = np.random.default_rng(seed)
    wide = cv2.resize(
        rng.integers(0, 256, (6, 12, 3), dtype=np.uint8), (width + frames, height), interpolation=cv2.INTER_CUBIC
    )
    return np.stack([wide[:, t : t + width] for t in range(frames)])


def make_sample(task: str, split: str, number: int, **members) -> Sample:
    target = moving_clip(number)
    meta = Meta(
        task=task,
        split=split,
        source_id=f"video-{number // 2}",
        source_sha256=f"{number // 2:064x}",
        licence="CC0-1.0",
        caption=f"Pattern {number}, drifting to the left.",
        start=16 * (number % 2),
        step=1,
        fps=25.0,
        seed="ff" * 16,
        effect=task,
        effect_version=1,
        parameters={"beta": [1, 1.5], "number": number},
        scores={"motion": 0.5 * number},
    )
    source = (target * 0.5 + 90).astype(np.uint8)
    key = f"{task}-{split}-{number:04d}"
    return Sample(key=key, source=source, target=target, instruction="Remove the haze.", meta=meta, **members)


@pytest.fixture(scope="session")
def toy_dataset(tmp_path_factory) -> Path:
    """Two tasks, three splits, two train shards each, written by the real writer."""
    root = tmp_path_factory.mktemp("toy") / "dataset"
    shards = []
    for task in ("dehaze", "recolor"):
        for name, numbers in (
            ("train-000000", range(6)),
            ("train-000001", range(6, 12)),
            ("val-000000", (12, 13)),
            ("test-000000", range(14, 18)),
        ):
            split = name.split("-")[0]
            encoded = [encode_sample(make_sample(task, split, number)) for number in numbers]
            shards.append(write_shard(root / task / f"{name}.tar", encoded))
    manifest = Manifest(recipe={"seed": 0}, recipe_digest="0", code_version="0", shards=tuple(shards), sources=9)
    write_card(root, manifest, {"CC0-1.0": manifest.samples})
    (root / "rejects.jsonl").write_text("")
    manifest.save(root)
    return root
