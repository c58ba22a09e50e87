"""Differences in which gradients are constant (bitstream_spec.md, section 8.6)."""

from __future__ import annotations

import numpy as np


def differences(samples: np.ndarray) -> np.ndarray:
    """Of each sample its left and upper neighbour less, the one between them more; uint8 [h, w, channels]
    modulo 256.  Outside all samples are 0."""
    across = samples.copy()
    across[:, 1:] -= samples[:, :-1]
    found = across.copy()
    found[1:] -= across[:-1]
    return found


def sums(found: np.ndarray) -> np.ndarray:
    """The samples uint8 [h, w, channels] of such differences."""
    return np.cumsum(np.cumsum(found, 0, dtype=np.uint8), 1, dtype=np.uint8)
