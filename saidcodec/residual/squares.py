"""Least squares in integers, in plain NumPy: weights of predictions, which follow the sums of products of
features (bitstream_spec.md, sections 6.9, 6.10 and 8.6.3).  ``_squares.h`` is the same in C."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

SEGMENT = 32  # samples after which weights are improved
MOST_FEATURE = 4095
WEIGHT_BITS, MOST_WEIGHT = 14, (1 << 17) - 1
RIDGE_BITS, RIDGE = 14, 1 << 16


class Sums(NamedTuple):
    """Products of features with each other, int64 [n, n], and with the goal, int64 [n]."""

    products: np.ndarray
    goals: np.ndarray

    @staticmethod
    def empty(n: int) -> Sums:
        return Sums(np.zeros((n, n), np.int64), np.zeros(n, np.int64))

    def learn(self, features: np.ndarray, goals: np.ndarray, shift: int) -> None:
        """Forget a part, and add samples: features int64 [samples, n], goals int64 [samples]."""
        self.products[:] += features.T @ features - (self.products >> shift)
        self.goals[:] += features.T @ goals - (self.goals >> shift)


def improve(sums: list[Sums], weights: np.ndarray) -> None:
    """Improve each weight, int64 [n], once, by what several sums hold together."""
    sweep(together(sums), weights, RIDGE_BITS, RIDGE, MOST_WEIGHT)


def together(sums: list[Sums]) -> Sums:
    """What several sums hold together."""
    return Sums(np.sum([one.products for one in sums], axis=0), np.sum([one.goals for one in sums], axis=0))


def sweep(sums: Sums, weights: np.ndarray, ridge_bits: int, least_ridge: int, most: int) -> None:
    """Improve each weight, int64 [n], once, those before it being improved; none becomes greater than
    ``most``.  The ridge is the share 2**-ridge_bits of a feature's own product, and ``least_ridge``."""
    for k, (row, goal) in enumerate(zip(sums.products, sums.goals.tolist(), strict=True)):
        own, weight = int(row[k]), int(weights[k])
        ridge = (own >> ridge_bits) + least_ridge
        left = (goal << WEIGHT_BITS) - ridge * weight - int(row @ weights)
        weights[k] = min(max(weight + left // (own + ridge), -most), most)
