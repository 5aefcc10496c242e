"""Prompt-to-prompt: the attention maps of one prompt's pass lay out the picture of another (Hertz et al., arXiv 2208.01626).

Both prompts go through a diffusers U-Net in one batch, so a map is handed over by copying rows. The maps themselves are
never held in memory: a map is softmax(q k'), and to use another pass's map is to use its q and k.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Kind = Literal["cross", "self", "temporal"]
_TEMPORAL = {"motion_modules", "temp_attentions", "transformer_in"}
"""What diffusers calls the parts of a U-Net whose attention goes along time."""
_END_OF_WORD = "</w>"


@dataclass(frozen=True, kw_only=True)
class Shares:
    """For which share of the steps, from the first on, each kind of attention is handed over; 0 to 1."""

    cross: float
    self_: float
    temporal: float

    def of(self, kind: Kind) -> float:
        """Return the share of one kind."""
        return {"cross": self.cross, "self": self.self_, "temporal": self.temporal}[kind]


@dataclass(frozen=True, kw_only=True, eq=False)
class Alignment:
    """How the text tokens of two prompts belong together.

    `mapper`: float [n n], how much of the map of a token of the first prompt (row) goes to one of the second (column).
    `own`: float [n], 1 where a token of the second prompt is new and keeps its own map, 0 elsewhere.
    """

    mapper: Tensor
    own: Tensor


def align(before: Sequence[str], after: Sequence[str], length: int) -> Alignment:
    """Align the tokens of two prompts (CLIP's, without begin and end) in texts padded to `length` tokens.

    Equal words keep their maps. Where as many words are replaced as they are replaced by, each takes the map of the word
    at its place, shared out where the two have different numbers of tokens (word swap, section 3.2 of the paper). Other
    new words keep their own maps (refinement). Surplus padding keeps its own.
    """
    mapper, own = torch.zeros(length, length), torch.ones(length)
    for there, here in _partners(before, after, length):
        own[list(here)] = 0
        if len(there) == len(here):
            mapper[list(there), list(here)] = 1
        else:
            mapper[there.start : there.stop, here.start : here.stop] = 1 / len(here)
    return Alignment(mapper=mapper, own=own)


def _partners(before: Sequence[str], after: Sequence[str], length: int) -> Iterator[tuple[range, range]]:
    """Yield the places of tokens of both prompts that belong together, word by word."""
    ends = len(before) + 1, len(after) + 1
    yield range(0, 1), range(0, 1)
    a, b = _words(before), _words(after)
    spelt = [
        [tuple(before[place - 1] for place in word) for word in a],
        [tuple(after[place - 1] for place in word) for word in b],
    ]
    for what, a0, a1, b0, b1 in SequenceMatcher(a=spelt[0], b=spelt[1], autojunk=False).get_opcodes():
        if what == "equal" or (what == "replace" and a1 - a0 == b1 - b0):
            yield from zip(a[a0:a1], b[b0:b1], strict=True)
    padding = length - max(ends)
    yield range(ends[0], ends[0] + padding), range(ends[1], ends[1] + padding)


def _words(tokens: Sequence[str]) -> list[range]:
    """Return the places of each word's tokens; place 0 is the begin token's."""
    words, first = [], 1
    for place, token in enumerate(tokens, start=1):
        if token.endswith(_END_OF_WORD) or place == len(tokens):
            words.append(range(first, place + 1))
            first = place + 1
    return words


class Control:
    """Counts the steps of one run of a U-Net and hands maps over while it is time to.

    The batch holds, for each half of guidance (without text first), the pass of the first prompt and that of the second.
    """

    def __init__(self, alignment: Alignment, shares: Shares, steps: Callable[[], int]) -> None:
        self._alignment, self._shares, self._steps = alignment, shares, steps
        self._step = -1
        self._batch = 2

    def begin_step(self, unet: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        """Note that the U-Net is called once more: a forward pre-hook."""
        self._step += 1
        self._batch = len(arguments[0] if arguments else named["sample"])

    def active(self, kind: Kind) -> bool:
        """Whether maps of this kind are handed over in this step."""
        return self._step < round(self._shares.of(kind) * self._steps())

    def attend(self, kind: Kind, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Return the attention of float [b heads n d], b the batch times frames or pixels, with the first prompt's maps.

        Self-attention is handed over in both halves of guidance (as InstructPix2Pix does), cross-attention in the half
        with text (as Hertz et al. do): the other half reads the same empty text in both passes.
        """
        rows = torch.arange(len(q), device=q.device).reshape(self._batch // 2, 2, -1)
        if kind == "cross":
            rows = rows[-1:]
        first, second = rows[:, 0].flatten(), rows[:, 1].flatten()
        if kind != "cross":
            q, k = (part.index_copy(0, second, part[first]) for part in (q, k))
            return F.scaled_dot_product_attention(q, k, v)
        aligned = aligned_attention(q[first], k[first], q[second], k[second], v[second], self._alignment)
        return F.scaled_dot_product_attention(q, k, v).index_copy(0, second, aligned)


def aligned_attention(q0: Tensor, k0: Tensor, q1: Tensor, k1: Tensor, v: Tensor, alignment: Alignment) -> Tensor:
    """Return what the second prompt's values float [.. n d] give under the first one's maps, brought to its tokens.

    With the maps P0 and P1 of the two that is (P0 M + P1 diag(own)) v, which equals P0 (M v) + P1 (own v).
    """
    mapper, own = alignment.mapper.to(v), alignment.own.to(v)
    out = F.scaled_dot_product_attention(q0, k0, mapper @ v)
    return out + F.scaled_dot_product_attention(q1, k1, own[:, None] * v) if own.any() else out


@contextmanager
def controlled(unet: Any, control: Control) -> Iterator[None]:
    """Put a control into every attention of a diffusers U-Net while the context lasts."""
    before = unet.attn_processors
    unet.set_attn_processor(
        {
            name: _Processor(control, "temporal" if _TEMPORAL & set(name.split(".")) else "self", own)
            if _is_plain(unet.get_submodule(name.removesuffix(".processor")))
            else own
            for name, own in before.items()
        }
    )
    hook = unet.register_forward_pre_hook(control.begin_step, with_kwargs=True)
    try:
        yield
    finally:
        hook.remove()
        unet.set_attn_processor(before)


def _is_plain(attention: Any) -> bool:
    """Whether an attention is one of a transformer block; those of the oldest U-Nets normalise by themselves."""
    extras = ("group_norm", "spatial_norm", "norm_cross", "norm_q", "norm_k", "residual_connection")
    return not any(getattr(attention, name, None) for name in extras)


class _Processor:
    """What diffusers calls for one attention."""

    def __init__(self, control: Control, kind: Kind, own: Callable[..., Tensor]) -> None:
        self._control, self._kind, self._own = control, kind, own

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
    ) -> Tensor:
        kind = self._kind if encoder_hidden_states is None else "cross"
        if attention_mask is not None or not self._control.active(kind):
            return self._own(
                attn, hidden_states, encoder_hidden_states=encoder_hidden_states, attention_mask=attention_mask
            )
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        q, k, v = (
            layer(values).unflatten(-1, (attn.heads, -1)).transpose(1, 2)
            for layer, values in ((attn.to_q, hidden_states), (attn.to_k, context), (attn.to_v, context))
        )
        out = self._control.attend(kind, q, k, v).transpose(1, 2).flatten(2)
        out = attn.to_out[1](attn.to_out[0](out))
        return out / attn.rescale_output_factor
