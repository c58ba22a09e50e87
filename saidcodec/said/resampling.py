"""Fixed-point bilinear up-sampling of 8 samples to any number (bitstream_spec.md, section 9.3)."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

SIDE = 8  # samples along one side of a base or a patch
UNIT_BITS = 7  # a weight of 1 is 2**7


@lru_cache(maxsize=256)
def weights(n: int) -> np.ndarray:
    """Weights of the 8 samples at ``n`` half-pixel centres, int32 [n, 8]; each row sums to 128."""
    unit = 1 << UNIT_BITS
    place = ((2 * np.arange(n, dtype=np.int64) + 1) * SIDE * unit) // (2 * n) - unit // 2
    place = np.clip(place, 0, (SIDE - 1) * unit)
    left, share = place >> UNIT_BITS, place & (unit - 1)
    matrix = np.zeros((n, SIDE), np.int32)
    rows = np.arange(n)
    matrix[rows, left] += (unit - share).astype(np.int32)
    matrix[rows, np.minimum(left + 1, SIDE - 1)] += share.astype(np.int32)
    return matrix


def upsample(samples: np.ndarray, width: int, height: int) -> np.ndarray:
    """uint8 [..., 8, 8, c] → int32 [..., height, width, c], rounded half up."""
    down, across = weights(height).astype(np.float32), weights(width).astype(np.float32)
    # Products stay below 255 * 2**14 < 2**24, so float32 holds every sum exactly.
    columns = np.einsum("xj,...ijc->...ixc", across, samples.astype(np.float32), optimize=True)
    sums = np.einsum("yi,...ixc->...yxc", down, columns, optimize=True)
    return (sums.astype(np.int32) + (1 << 2 * UNIT_BITS - 1)) >> 2 * UNIT_BITS
