"""Build the frozen table bank, ``saidcodec/residual/tables.npz``: run once, then it is data.

    python -m saidcodec.training.build_tables

The spec fixes the bank by its hash, so the floats here never decide a decoded bit.
"""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

import numpy as np

from saidcodec.entropy import TOTAL
from saidcodec.residual import mixture
from saidcodec.residual.tables import BANK, REACH, SYMBOLS, fractions


def frequencies(components: list[tuple[float, float]], mean: float) -> np.ndarray:
    """Integer table of a mixture of (weight, width) around ``mean``; int32 [SYMBOLS]."""
    edges = np.arange(-REACH, REACH + 2) - 0.5 - mean
    probability = np.zeros(SYMBOLS)
    for weight, width in components:
        # the upper tail is computed from below zero too, where erfc keeps its precision
        below = np.array([0.5 * math.erfc(-e / width / math.sqrt(2)) for e in edges])
        above = np.array([0.5 * math.erfc(e / width / math.sqrt(2)) for e in edges])
        probability += weight * np.where(edges[:-1] > 0, above[:-1] - above[1:], below[1:] - below[:-1])
    probability /= probability.sum()
    frequency = 1 + np.floor(probability * (TOTAL - SYMBOLS)).astype(np.int64)
    frequency[np.argmax(frequency)] += TOTAL - frequency.sum()
    return frequency.astype(np.int32)


def build() -> tuple[np.ndarray, np.ndarray]:
    """(mixture tables in bank order, Gaussian tables by scale), each int32 [n, SYMBOLS]."""
    rows = []
    for scale in range(mixture.SCALES):
        steps = fractions(scale)
        for tail in range(mixture.TAILS):
            parts = mixture.components(scale, tail)
            rows += [frequencies(parts, k / steps) for k in range(steps // 2 + 1)]
    gaussian = [frequencies([(1.0, mixture.scale_of(s))], 0.0) for s in range(mixture.SCALES)]
    return np.stack(rows), np.stack(gaussian)


def main() -> None:
    rows, gaussian = build()
    np.savez_compressed(Path(BANK), mixture=rows, gaussian=gaussian)
    digest = hashlib.sha256(rows.astype("<i4").tobytes() + gaussian.astype("<i4").tobytes())
    print(f"{len(rows)} mixture tables, {len(gaussian)} Gaussian tables, SHA-256 {digest.hexdigest()}")


if __name__ == "__main__":
    main()
