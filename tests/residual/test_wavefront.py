"""Contexts and choices do not depend on what is computed together."""

import numpy as np
import pytest
from factory import random_model

from saidcodec.residual.coders import Meter, code_lengths
from saidcodec.residual.context import SKEW, WINDOW, neighbour
from saidcodec.residual.network import ResidualNetwork
from saidcodec.residual.walk import walk
from saidcodec.residual.wavefront import Wavefront


def tiles(components: int) -> list[np.ndarray]:
    rng = np.random.default_rng(2)
    sizes = [(20, 17), (20, 17), (20, 15), (13, 17)]
    low = [0, -255, -255][:components]
    return [rng.integers(low, 256, (*size, components)).astype(np.int16) for size in sizes]


def wavefront(chosen: list[np.ndarray], components: int) -> Wavefront:
    heights, widths = np.array([tile.shape[:2] for tile in chosen]).T
    found = Wavefront(17, 20, widths, heights, components)
    for i, tile in enumerate(chosen):
        found.put(0, i, tile)
    return found


@pytest.mark.parametrize("origins", [False, True])
@pytest.mark.parametrize("components", [1, 3])
@pytest.mark.parametrize("copies", [False, True])
def test_tiles_measured_singly_or_together_cost_the_same(
    components: int, copies: bool, origins: bool
) -> None:
    network = ResidualNetwork(random_model(1, copies, origins).tensors, None)
    styles = np.arange(4) % network.styles
    every = tiles(components)
    together = wavefront(every, components)
    meter = Meter(together)
    walk(together, network, meter, styles, np.zeros(4, bool))
    for i, tile in enumerate(every):
        single = wavefront([tile], components)
        own = Meter(single)
        walk(single, network, own, styles[i : i + 1], np.zeros(1, bool))
        assert own.bits[0] == pytest.approx(meter.bits[i], rel=1e-5)


@pytest.mark.parametrize("copies", [False, True])
def test_steps_measured_in_any_order_cost_the_same(copies: bool) -> None:
    network = ResidualNetwork(random_model(1, copies).tensors, 2)
    front = wavefront(tiles(3), 3)
    styles, without = np.zeros(4, int), np.zeros(4, bool)
    forward, backward = Meter(front), Meter(front)
    walk(front, network, forward, styles, without)
    walk(front, network, backward, styles, without, reversed(range(front.steps)))
    assert np.allclose(forward.bits, backward.bits, rtol=1e-5)


def test_planes_come_back() -> None:
    every = tiles(3)
    front = wavefront(every, 3)
    for i, tile in enumerate(every):
        assert np.array_equal(front.get(i), tile)


def test_the_window_never_looks_ahead() -> None:
    for width in (1, 2, 5, 40):
        for y in range(5):
            for x in range(width):
                for dx, dy in WINDOW:
                    column, row = neighbour(np.array(x), np.array(y), np.array(dx), np.array(dy), width)
                    assert column == -1 or column + SKEW * row < x + SKEW * y
                    assert column < width
                    assert row >= 0


def test_code_lengths_are_those_of_the_tables() -> None:
    mixture, copies = code_lengths()
    assert mixture.min() > 0
    assert mixture.max() == 24
    assert np.allclose((2.0**-copies).reshape(-1, 2).sum(1), 1.0)
