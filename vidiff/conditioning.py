"""What the U-Net is told besides the noisy latent: the source clip's latent and the instruction's tokens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, TypeAlias

import torch
from tokenizers import Tokenizer, pre_tokenizers
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from shards import get_task, task_names
from vidiff.long_video import prefixed

VAE: TypeAlias = Any
"""`AutoencoderKL`, or what has its `encode`, `decode` and `config`."""

_BEGIN, _END, _END_OF_WORD = "<|startoftext|>", "<|endoftext|>", "</w>"


def encode_video(vae: VAE, clip: Tensor) -> Tensor:
    """Return the mode of the latent, float [b c t h w], of a clip float [b 3 t h w] in [-1, 1].

    It is not multiplied by `vae.config.scaling_factor`: InstructPix2Pix takes its condition latent as it is, and
    scales only the latent it denoises.
    """
    batch = clip.shape[0]
    frames = clip.transpose(1, 2).flatten(0, 1).to(vae.dtype)
    latent: Tensor = vae.encode(frames).latent_dist.mode()
    return latent.reshape(batch, -1, *latent.shape[1:]).transpose(1, 2)


def unet_input(scheduler: Any, noisy: Tensor, condition: Tensor, timesteps: Tensor, *, fade: bool) -> Tensor:
    """Return the U-Net's input float [b 2c t h w]: the noisy latent, then the condition latent.

    With `fade` the noisy latent is multiplied by sqrt(alpha_bar), which makes it the best linear guess of a clean latent
    of unit variance. The noisier it is the less of it is seen, and of pure noise nothing: a network that has not
    learnt yet to ignore noise at the first step would paint it into the picture.
    """
    if fade:
        # Euler's timesteps are whole numbers in float
        kept = scheduler.alphas_cumprod.to(noisy)[timesteps.reshape(-1).long().to(noisy.device)].sqrt()
        noisy = noisy * kept[:, None, None, None, None]
    return torch.cat([noisy, condition], dim=1)


def decode_video(vae: VAE, latent: Tensor) -> Tensor:
    """Return the clip float [b 3 t h w] in about [-1, 1] of an unscaled latent float [b c t h w]."""
    batch = latent.shape[0]
    frames: Tensor = vae.decode(latent.transpose(1, 2).flatten(0, 1).to(vae.dtype)).sample
    return frames.reshape(batch, -1, *frames.shape[1:]).transpose(1, 2)


def patch_size(vae: VAE) -> int:
    """Return how many pixels, along one side, become one position of the latent."""
    config = vae.config
    return int(config.patch) if "patch" in config else int(2 ** (len(config.block_out_channels) - 1))


def encode_text(
    tokenizer: CLIPTokenizer,
    text_encoder: CLIPTextModel,
    instructions: Sequence[str],
    device: torch.device | None = None,
) -> Tensor:
    """Return the tokens of instructions, float [b n d], padded or cut to the text encoder's length.

    `device`: where the arithmetic runs, by default where the text encoder's weights are.
    The empty instruction is the null that training and guidance use.
    """
    length = text_encoder.config.max_position_embeddings
    ids = tokenizer(list(instructions), padding="max_length", truncation=True, max_length=length, return_tensors="pt")
    tokens: Tensor = text_encoder(ids.input_ids.to(device or text_encoder.device)).last_hidden_state
    return tokens


def join_tokens(text: Tensor, image: Tensor | None = None) -> Tensor:
    """Return the cross-attention context float [b n d]: text tokens, then those of the image instruction.

    The image instruction is CLIP-Vision patch tokens through an MLP; this is where they join.
    """
    return text if image is None else torch.cat([text, image], dim=1)


def small_tokenizer(length: int) -> CLIPTokenizer:
    """Make a byte-level BPE tokenizer from the tasks' train instructions; no text is unknown to it.

    Words of the instructions become single tokens, anything else falls into pieces down to bytes. Equal tasks give
    an equal tokenizer. It is saved with the pipeline, so a later change of the instructions does not touch a model.
    """
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = _learn_merges(_corpus())
    pieces = [*alphabet, *(letter + _END_OF_WORD for letter in alphabet), *(left + right for left, right in merges)]
    words = [*dict.fromkeys(pieces), _BEGIN, _END]
    vocabulary = {word: number for number, word in enumerate(words)}
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=length)


def small_text_encoder(tokenizer: CLIPTokenizer, *, width: int, layers: int) -> CLIPTextModel:
    """Make an untrained CLIP text encoder that fits a tokenizer."""
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=2 * width,
        projection_dim=width,
        num_hidden_layers=layers,
        num_attention_heads=max(1, width // 32),
        max_position_embeddings=tokenizer.model_max_length,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return CLIPTextModel(config)


def _corpus() -> list[str]:
    templates = [text for name in task_names() for text in get_task(name).templates("train")]
    return [prefixed(text, count) for text in templates for count in (0, 1, 2)]


def _learn_merges(corpus: Sequence[str]) -> list[tuple[str, str]]:
    """Merge the most frequent pair of neighbours again and again, until every word is whole.

    The library's learner breaks ties by chance; here the first in the alphabet wins.
    """
    backend = CLIPTokenizer().backend_tokenizer
    words = Counter(word for text in corpus for word in _split(backend, text))
    merges: list[tuple[str, str]] = []
    while pairs := _count_pairs(words):
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        words = Counter({_merge(word, best): count for word, count in words.items()})
    return merges


def _split(backend: Tokenizer, text: str) -> Iterator[tuple[str, ...]]:
    for word, _ in backend.pre_tokenizer.pre_tokenize_str(backend.normalizer.normalize_str(text)):
        yield (*word[:-1], word[-1] + _END_OF_WORD)


def _count_pairs(words: Mapping[tuple[str, ...], int]) -> Counter[tuple[str, str]]:
    pairs: Counter[tuple[str, str]] = Counter()
    for word, count in words.items():
        for pair in pairwise(word):
            pairs[pair] += count
    return pairs


def _merge(word: tuple[str, ...], pair: tuple[str, str]) -> tuple[str, ...]:
    merged: list[str] = []
    for symbol in word:
        if merged and (merged[-1], symbol) == pair:
            merged[-1] += symbol
        else:
            merged.append(symbol)
    return tuple(merged)
