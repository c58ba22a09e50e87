"""Fixed-point bilinear up-sampling of 8 or 16 samples to any number (bitstream_spec.md, section 9.3)."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

SIDE = 8  # samples along one side of a base, and of a patch unless the model has finer ones
UNIT_BITS = 7  # a weight of 1 is 2**7


@lru_cache(maxsize=512)
def weights(n: int, side: int = SIDE) -> np.ndarray:
    """Weights of ``side`` samples at ``n`` half-pixel centres, in 128ths; whole float32 [n, side]."""
    unit = 1 << UNIT_BITS
    place = ((2 * np.arange(n, dtype=np.int64) + 1) * side * unit) // (2 * n) - unit // 2
    place = np.clip(place, 0, (side - 1) * unit)
    left, share = place >> UNIT_BITS, place & (unit - 1)
    matrix = np.zeros((n, side), np.float32)
    rows = np.arange(n)
    matrix[rows, left] += unit - share
    matrix[rows, np.minimum(left + 1, side - 1)] += share
    return matrix


def upsample(samples: np.ndarray, width: int, height: int) -> np.ndarray:
    """uint8 [..., side, side, c] → int32 [..., height, width, c], rounded half up."""
    *many, rows, columns, channels = samples.shape
    across = np.moveaxis(samples, -1, -3).astype(np.float32).reshape(-1, columns) @ weights(width, columns).T
    # Products stay below 255 * 2**14 < 2**24, so float32 holds every sum exactly.
    sums = (weights(height, rows) @ across.reshape(-1, rows, width)).astype(np.int32)
    sums += 1 << 2 * UNIT_BITS - 1
    sums >>= 2 * UNIT_BITS
    return np.moveaxis(sums.reshape(*many, channels, height, width), -3, -1)
