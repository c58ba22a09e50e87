"""The base: 8×8 cells of a tile, quantised, and x̂(0) from them (bitstream_spec.md, section 9.2)."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from saidcodec.format import colour
from saidcodec.said.resampling import SIDE, upsample

STEPS = 9  # the base is quantised in steps of 2**0 .. 2**8


def cells(tile: np.ndarray) -> np.ndarray:
    """Mean colour of the 8×8 cells of uint8 RGB [h, w, 3]; float64 [8, 8, 3].  Encoder side."""
    height, width = tile.shape[:2]
    rows = (share(height) @ tile.reshape(height, -1).astype(np.float64)).reshape(SIDE, width, -1)
    return np.asarray(share(width) @ rows)


@lru_cache(maxsize=64)
def share(n: int) -> np.ndarray:
    """How much each of ``n`` pixels counts in each of 8 equal cells; float64 [8, n], rows sum to 1."""
    edges = np.arange(n + 1)
    low, high = np.arange(SIDE)[:, None] * n / SIDE, (np.arange(SIDE)[:, None] + 1) * n / SIDE
    overlap = np.minimum(edges[1:], high) - np.maximum(edges[:-1], low)
    return np.clip(overlap, 0, None) / (n / SIDE)


def quantise(cell: np.ndarray, step: int, grey: bool) -> np.ndarray:
    """Cell means RGB → Y, Co, Cg in steps of 2**step, int16 [8, 8, 3]."""
    planes = colour.forward(np.rint(cell).astype(np.uint8))
    if grey:
        planes[..., 1:] = 0
    return (planes + (1 << step >> 1)) >> step


def flat(step: int) -> np.ndarray:
    """The base whose distances are all 0, int16 [8, 8, 3]: middle grey, or black at step 8; it costs next to
    nothing."""
    return np.broadcast_to(first_prediction(step, 3), (SIDE, SIDE, 3)).astype(np.int16)


def decode(base: np.ndarray, step: int) -> np.ndarray:
    """Quantised base → uint8 RGB [8, 8, 3]."""
    planes = np.clip(base.astype(np.int32) << step, colour.LOW, colour.HIGH)
    return np.clip(colour.inverse(planes), 0, 255).astype(np.uint8)


def start(base: np.ndarray, step: int, width: int, height: int) -> np.ndarray:
    """x̂(0), int32 RGB [height, width, 3]."""
    return upsample(decode(base, step), width, height)


def first_prediction(steps: np.ndarray | int, components: int) -> np.ndarray:
    """What the first cell of bases at steps [...] is predicted to be, int [..., components]."""
    return np.array(colour.MIDDLE[:components]) >> np.asarray(steps)[..., None]


def differences(bases: np.ndarray, steps: np.ndarray | int) -> np.ndarray:
    """Bases [..., 8, 8, components] at steps [...] → what is coded, int32: distances from (W + N) >> 1."""
    values = bases.astype(np.int32)
    left, above = np.roll(values, 1, -2), np.roll(values, 1, -3)
    predicted = (left + above) >> 1
    predicted[..., 0, 1:, :] = left[..., 0, 1:, :]
    predicted[..., 1:, 0, :] = above[..., 1:, 0, :]
    predicted[..., 0, 0, :] = first_prediction(steps, bases.shape[-1])
    return values - predicted


def integrate(distances: np.ndarray, steps: np.ndarray | int) -> np.ndarray:
    """The inverse of ``differences``, int32."""
    values = np.empty(distances.shape, np.int32)
    for y in range(SIDE):
        for x in range(SIDE):
            if y and x:
                predicted = (values[..., y, x - 1, :] + values[..., y - 1, x, :]) >> 1
            elif x:
                predicted = values[..., y, x - 1, :]
            elif y:
                predicted = values[..., y - 1, x, :]
            else:
                predicted = first_prediction(steps, distances.shape[-1])
            values[..., y, x, :] = predicted + distances[..., y, x, :]
    return values
