"""Code lengths of the bank's symbols as integers, so that both engines choose alike."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from saidcodec.entropy.bank import bank
from saidcodec.residual.engine import LENGTH_BITS, SYMBOL_BITS


@lru_cache(maxsize=1)
def lengths() -> np.ndarray:
    """Bits of every symbol of every table in 2**-16 bit, uint32 [tables, symbols]; copy tables last."""
    tables = (*bank().tables, *bank().copies)
    found = np.zeros((len(tables), 1 << SYMBOL_BITS), np.uint32)
    for row, table in zip(found, tables, strict=True):
        row[: len(table)] = np.rint(table.bits * (1 << LENGTH_BITS))
    return found
