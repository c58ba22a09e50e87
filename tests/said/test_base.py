"""Cells, quantisation and prediction of the base."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saidcodec.said import base


@pytest.mark.parametrize("shape", [(8, 8), (64, 64), (128, 96), (5, 3), (1, 1), (13, 200)])
def test_cells_hold_the_mean_of_the_tile(shape):
    tile = np.random.default_rng(1).integers(0, 256, (*shape, 3)).astype(np.uint8)
    assert base.cells(tile).mean((0, 1)) == pytest.approx(tile.mean((0, 1)))


def test_cells_of_whole_blocks_are_their_means():
    tile = np.random.default_rng(2).integers(0, 256, (16, 24, 3)).astype(np.uint8)
    means = tile.reshape(8, 2, 8, 3, 3).mean((1, 3))
    assert base.cells(tile) == pytest.approx(means)


@pytest.mark.parametrize("step", range(base.STEPS))
def test_quantising_is_off_by_half_a_step_at_most(step):
    cell = np.random.default_rng(3).integers(0, 256, (8, 8, 3)).astype(float)
    grey = np.repeat(cell[..., :1], 3, -1)
    found = base.decode(base.quantise(grey, step, True), step).astype(int)
    assert (found[..., 0] == found[..., 2]).all()
    assert np.abs(found - grey).max() <= (1 << step) // 2
    if step == 0:
        assert (base.decode(base.quantise(cell, 0, False), 0) == cell).all()


def plain_differences(values, step):
    """The spec's prediction, value by value."""
    out = np.zeros((8, 8, 3), int)
    for y in range(8):
        for x in range(8):
            for c in range(3):
                if x and y:
                    predicted = (int(values[y, x - 1, c]) + int(values[y - 1, x, c])) >> 1
                elif x:
                    predicted = int(values[y, x - 1, c])
                elif y:
                    predicted = int(values[y - 1, x, c])
                else:
                    predicted = (128 if c == 0 else 0) >> step
                out[y, x, c] = int(values[y, x, c]) - predicted
    return out


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 8), min_size=1, max_size=5))
def test_differences_of_many_tiles_are_those_of_each_and_come_back(seed, steps):
    bases = np.random.default_rng(seed).integers(-255, 256, (len(steps), 8, 8, 3)).astype(np.int16)
    distances = base.differences(bases, np.array(steps))
    for one, step, distance in zip(bases, steps, distances):
        assert (distance == plain_differences(one, step)).all()
        assert (base.integrate(distance, step) == one).all()
    assert (base.integrate(distances, np.array(steps)) == bases).all()


def test_the_largest_distances_fit_the_bytes_they_are_kept_in():
    for sign in (-1, 1):
        found = base.integrate(np.full((1, 8, 8, 3), 510 * sign), np.array([0]))
        assert np.abs(found).max() < 1 << 15
        assert (base.decode(found[0].astype(np.int16), 8) <= 255).all()


@pytest.mark.parametrize("step", range(9))
def test_a_flat_base_has_no_distances_and_is_grey_or_black(step):
    flat = base.flat(step)
    assert not base.differences(flat, step).any()
    assert (base.start(flat, step, 20, 30) == (128 if step < 8 else 0)).all()


def test_the_start_of_an_even_tile_is_even():
    cell = np.full((8, 8, 3), 77.0)
    assert (base.start(base.quantise(cell, 0, False), 0, 20, 30) == 77).all()
