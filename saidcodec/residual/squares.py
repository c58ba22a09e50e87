"""Least squares in integers, in plain NumPy: weights of predictions, which follow the sums of products of
features (bitstream_spec.md, section 8.6.3).  ``_squares.h`` is the same in C."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SEGMENT = 32  # samples after which weights are improved
MOST_FEATURE = 4095
WEIGHT_BITS, MOST_WEIGHT = 14, (1 << 17) - 1
RIDGE = 1 << 16


@dataclass(frozen=True)
class Sums:
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
    products = np.sum([one.products for one in sums], axis=0)
    goals = np.sum([one.goals for one in sums], axis=0)
    for k in range(len(weights)):
        ridge = (products[k, k] >> WEIGHT_BITS) + RIDGE
        left = (goals[k] << WEIGHT_BITS) - ridge * weights[k] - products[k] @ weights
        weights[k] = np.clip(weights[k] + left // (products[k, k] + ridge), -MOST_WEIGHT, MOST_WEIGHT)
