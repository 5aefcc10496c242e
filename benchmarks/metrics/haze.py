"""How well the haze itself was understood."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shards.sample import Video

_LEAST = 0.1
"""Distance from the airlight, of 1, below which haze does not show on a clear pixel."""


def transmission_error(
    prediction: Video, source: Video, target: Video, airlight: NDArray[np.float64], *, gamma: float = 1.0
) -> NDArray[np.float64]:
    """Return the mean absolute error of the transmission that an answer implies, frame by frame: float64 [t], in [0, 1].

    With I the hazy frame, J the clear one and A the airlight (RGB in [0, 1], one per frame: [t 3]), the scattering model
    I = J t + A (1 - t) gives t = <I - A, J - A> / |J - A|^2 by least squares; once for the answer's J and once for the
    target's. Only pixels whose true J is at least 0.1 from A say anything; frames without any are left out. All clips:
    uint8 [t h w 3]. `gamma`: of the light in which the haze was mixed (1: the stored values themselves).
    """
    light = ((np.arange(256) / 255) ** gamma).astype(np.float32)
    errors = []
    for hazy, found, true, a in zip(source, prediction, target, airlight.astype(np.float32), strict=True):
        mixed, away = light[hazy] - a, light[true] - a
        clear = (away * away).sum(-1) >= _LEAST**2
        if clear.any():
            apart = _implied(mixed, light[found] - a) - _implied(mixed, away)
            errors.append(np.abs(apart)[clear].mean(dtype=np.float64))
    return np.array(errors)


def _implied(mixed: NDArray[np.float32], away: NDArray[np.float32]) -> NDArray[np.float32]:
    least = np.float32(1e-4)
    t: NDArray[np.float32] = (mixed * away).sum(-1) / np.maximum((away * away).sum(-1), least)
    return t.clip(0, 1)
