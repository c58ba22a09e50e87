"""Differences in which gradients are constant."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from saidcodec.format.gradients import differences, sums

SHAPES = st.tuples(st.integers(1, 12), st.integers(1, 12), st.integers(1, 4))


@given(arrays.arrays(np.uint8, SHAPES))
def test_sums_undo_differences(samples: np.ndarray) -> None:
    kept = samples.copy()
    assert np.array_equal(sums(differences(samples)), samples)
    assert np.array_equal(samples, kept)


def test_the_letter_of_the_specification() -> None:
    samples = np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype(np.uint8)
    padded = np.pad(samples.astype(int), ((1, 0), (1, 0), (0, 0)))
    wanted = padded[1:, 1:] - padded[1:, :-1] - padded[:-1, 1:] + padded[:-1, :-1]
    assert np.array_equal(differences(samples), wanted & 255)


@pytest.mark.parametrize("slope", [(1, 2), (7, 200), (0, 1)])
def test_a_linear_gradient_has_no_differences(slope: tuple[int, int]) -> None:
    y, x = np.mgrid[:20, :30]
    samples = (slope[0] * y + slope[1] * x & 255).astype(np.uint8)[..., None]
    assert not differences(samples)[1:, 1:].any()
