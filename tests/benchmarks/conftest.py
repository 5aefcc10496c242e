"""Finished runs on the small dataset, a method that is what a test wants it to be, and a small CLIP."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.commands import publish_report
from benchmarks.methods import METHODS, Method
from benchmarks.runner import run
from benchmarks.settings import BenchSettings
from benchmarks.suite import make_suite

REPORTED = BenchSettings(bootstrap=100, examples=2, methods=("good", "known_haze", "clahe"), cost_samples=1)


def method(name: str, answer) -> Method:
    return Method(name=name, tasks=("dehaze",), summary="a & b_c", paper="-", version=1, make=lambda context: answer)


@pytest.fixture(scope="module")
def finished(toy_dataset, tmp_path_factory):
    """Two runs on one dataset: in the second one `good` is better."""
    folders = []
    with pytest.MonkeyPatch.context() as patch:
        for better in (0, 3):
            better = np.uint8(better)

            def answer(clip, *_, better=better):
                return np.minimum(clip, 240) + better

            patch.setitem(METHODS, "good", replace(method("good", answer), version=int(better) + 1))
            folders.append(tmp_path_factory.mktemp("run"))
            suite = make_suite(toy_dataset, ["dehaze"], REPORTED)
            publish_report(folders[-1], run(suite, REPORTED, folders[-1]), REPORTED, suite.dataset)
    return folders


@pytest.fixture
def folder(finished, tmp_path):
    return shutil.copytree(finished[0], tmp_path / "run")


@pytest.fixture
def toy_method(monkeypatch):
    def register(answer=None, *, version: int = 1, make=None) -> None:
        made = make or (lambda context: answer)
        method = Method(name="toy", tasks=("dehaze",), summary="", paper="-", version=version, make=made)
        monkeypatch.setitem(METHODS, "toy", method)

    return register


@pytest.fixture(scope="session")
def small_clip(tmp_path_factory):
    """A CLIP of the true architecture with small random weights."""
    import torch
    from transformers import CLIPConfig, CLIPModel, CLIPTokenizer
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    folder = tmp_path_factory.mktemp("clip")
    torch.manual_seed(0)
    text = {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "vocab_size": 99,
        "max_position_embeddings": 24,
        "bos_token_id": 0,
        "eos_token_id": 1,
    }
    vision = {**text, "image_size": 32, "patch_size": 8}
    for name in ("vocab_size", "max_position_embeddings", "bos_token_id", "eos_token_id"):
        vision.pop(name)
    model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=12))
    for weight in model.vision_model.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    model.save_pretrained(folder)
    words = ["<|startoftext|>", "<|endoftext|>", *"abcdeglnoprtuvy", *(f"{sign}</w>" for sign in "abcdeglnoprtuvy")]
    tokenizer = CLIPTokenizer(vocab={word: n for n, word in enumerate(words)}, merges=[], model_max_length=24)
    tokenizer.save_pretrained(folder)
    CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(folder)
    return str(folder)
