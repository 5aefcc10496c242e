"""The seed of every random choice, and the choice of an instruction."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

import numpy as np

from datagen.sources.base import SourceVideo, Window
from shards import Task


def seed_of(run_seed: int, task: str, video: SourceVideo, window: Window, effect: str) -> str:
    """Return the 128-bit seed of one sample in hexadecimal, from what the sample is and nothing else."""
    text = f"{run_seed} {task} {video.sha256} {window.start} {window.step} {window.frames} {effect}"
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def generator(seed: str) -> np.random.Generator:
    """Return the random generator that belongs to a seed."""
    return np.random.default_rng(int(seed, 16))


def choose_instruction(
    task: Task, split: str, attributes: Mapping[str, str], rng: np.random.Generator, family: str = ""
) -> str:
    """Pick a template that `split` may use and fill in the attributes."""
    templates = task.templates(split, family)
    said = filled_in(templates[int(rng.integers(len(templates)))], attributes)
    # a template may begin with an attribute
    return said[:1].upper() + said[1:]


def filled_in(text: str, words: Mapping[str, str]) -> str:
    """Return a template with its words, and the articles that fit them: `a {color} mask` becomes `an orange mask`."""
    for name, value in words.items():
        article = "an" if value[:1] in "aeio" else "a"
        text = re.sub(rf"\ba \{{{name}\}}", f"{article} {{{name}}}", text)
    return text.format(**words)
