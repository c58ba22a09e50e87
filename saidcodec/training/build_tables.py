"""Build the frozen table bank, ``saidcodec/entropy/tables.npz``: run once, then it is data.

    python -m saidcodec.training.build_tables

The spec fixes the bank by its hash, so the floats here never decide a decoded bit.
"""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

import numpy as np

from saidcodec.entropy.bank import BANK, REACH, SCALES, SYMBOLS, fractions, tails
from saidcodec.entropy.rans import TOTAL
from saidcodec.residual import copies
from saidcodec.training import mixture


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


def build() -> dict[str, np.ndarray]:
    """Mixture tables in bank order, Gaussian ones by scale, copies' by logit; int32 [n, symbols] each."""
    rows = []
    for scale in range(SCALES):
        steps = fractions(scale)
        for tail in tails(scale):
            parts = mixture.components(scale, tail)
            rows += [frequencies(parts, k / steps) for k in range(steps // 2 + 1)]
    gaussian = [frequencies([(1.0, mixture.scale_of(s))], 0.0) for s in range(SCALES)]
    logits = (np.arange(copies.LOGITS) - copies.LOGITS // 2) / copies.ODDS_PER_BIT
    same = np.rint(TOTAL / (1.0 + 2.0**-logits)).astype(np.int32)
    return {
        "mixture": np.stack(rows),
        "gaussian": np.stack(gaussian),
        "copy": np.stack([TOTAL - same, same], 1),
    }


def main() -> None:
    arrays = build()
    np.savez_compressed(Path(BANK), allow_pickle=False, **arrays)
    digest = hashlib.sha256(b"".join(array.astype("<i4").tobytes() for array in arrays.values()))
    counts = ", ".join(f"{len(array)} {name}" for name, array in arrays.items())
    print(f"Tables: {counts}; SHA-256 {digest.hexdigest()}")


if __name__ == "__main__":
    main()
