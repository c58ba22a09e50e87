"""Code lengths of the bank's symbols as integers (bitstream_spec.md, section 7.2).

Adaptation decides by them, and both engines measure with them, so that no rounding of a logarithm may differ.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from saidcodec.entropy.bank import bank
from saidcodec.entropy.rans import PRECISION
from saidcodec.residual.engine import LENGTH_BITS, SYMBOL_BITS


def length_of(frequency: np.ndarray) -> np.ndarray:
    """Bits of symbols of these frequencies, int [n], in 2**-16 bit; int64 [n]."""
    whole = np.frexp(frequency.astype(np.float64))[1] - 1  # exact: it reads the exponent
    z = frequency.astype(np.uint64) << (31 - whole).astype(np.uint64)
    fraction = np.zeros(frequency.shape, np.int64)
    for _ in range(LENGTH_BITS):
        z = z * z >> np.uint64(31)
        bit = z >> np.uint64(32)
        z >>= bit
        fraction = fraction << 1 | bit.astype(np.int64)
    return ((PRECISION - whole.astype(np.int64)) << LENGTH_BITS) - fraction


@lru_cache(maxsize=1)
def lengths() -> np.ndarray:
    """Bits of every symbol of every table in 2**-16 bit, uint32 [tables, symbols]; copy tables last."""
    tables = (*bank().tables, *bank().copies)
    found = np.zeros((len(tables), 1 << SYMBOL_BITS), np.uint32)
    for row, table in zip(found, tables, strict=True):
        row[: len(table)] = length_of(table.frequency)
    return found
