"""Fixed-point bilinear up-sampling of 8 samples to any number (bitstream_spec.md, section 9.3)."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

SIDE = 8  # samples along one side of a base or a patch
UNIT_BITS = 7  # a weight of 1 is 2**7


@lru_cache(maxsize=512)
def weights(n: int) -> np.ndarray:
    """Weights of the 8 samples at ``n`` half-pixel centres, integers as float32 [n, 8]; rows sum to 128."""
    unit = 1 << UNIT_BITS
    place = ((2 * np.arange(n, dtype=np.int64) + 1) * SIDE * unit) // (2 * n) - unit // 2
    place = np.clip(place, 0, (SIDE - 1) * unit)
    left, share = place >> UNIT_BITS, place & (unit - 1)
    matrix = np.zeros((n, SIDE), np.float32)
    rows = np.arange(n)
    matrix[rows, left] += unit - share
    matrix[rows, np.minimum(left + 1, SIDE - 1)] += share
    return matrix


def upsample(samples: np.ndarray, width: int, height: int) -> np.ndarray:
    """uint8 [..., 8, 8, c] → int32 [..., height, width, c], rounded half up."""
    *many, rows, columns, channels = samples.shape
    across = np.moveaxis(samples, -1, -3).astype(np.float32).reshape(-1, columns) @ weights(width).T
    # Products stay below 255 * 2**14 < 2**24, so float32 holds every sum exactly.
    sums = (weights(height) @ across.reshape(-1, rows, width)).astype(np.int32)
    sums += 1 << 2 * UNIT_BITS - 1
    sums >>= 2 * UNIT_BITS
    return np.moveaxis(sums.reshape(*many, channels, height, width), -3, -1)
