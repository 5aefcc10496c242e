"""What is recorded of a model's weights."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any


def digest_of(weights: Mapping[str, Any]) -> str:
    """Return a short hash of named tensors: another model under the same name gives another dataset."""
    import torch

    digest = hashlib.blake2b(digest_size=8)
    for key, tensor in sorted(weights.items()):
        # numpy knows no bfloat16
        values = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        digest.update(key.encode() + values.numpy().tobytes())
    return digest.hexdigest()
