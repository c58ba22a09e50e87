"""The integer networks against plain int64 arithmetic."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from saidcodec.integer import Layer, windows3x3


def random_layers(rng, sizes):
    return [
        Layer(
            rng.integers(-63, 64, (a, b)).astype(np.int8),
            rng.integers(-20000, 20000, b).astype(np.int32),
            rng.integers(4, 12, b).astype(np.int32),
        )
        for a, b in pairwise(sizes)
    ]


def plain(layer, x, raw):
    """The spec's layer in int64 and rationals; exact by construction."""
    sums = x.astype(np.int64) @ layer.weight.astype(np.int64) + layer.bias
    exact = [[Fraction(int(v), 2 ** int(s)) for v, s in zip(row, layer.shift)] for row in sums]
    if raw:
        return np.array([[float(v) for v in row] for row in exact], np.float32)
    return np.array([[min(max(round(v), 0), 255) for v in row] for row in exact], np.uint8)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("raw_last", [False, True])
def test_layers_agree_with_plain_integers(seed, raw_last):
    rng = np.random.default_rng(seed)
    layers = random_layers(rng, [21, 40, 16, 3])
    x = rng.integers(0, 256, (57, 21)).astype(np.uint8)
    expected = x
    for i, layer in enumerate(layers):
        expected = plain(layer, expected, raw_last and i == 2)
    for i, layer in enumerate(layers):
        whole = layer.raw(x) if raw_last and i == 2 else layer.run(x)
        singly = [layer.raw(row[None]) if raw_last and i == 2 else layer.run(row[None]) for row in x]
        assert np.array_equal(whole, np.concatenate(singly))
        x = whole
    assert np.array_equal(x, expected)


def test_extreme_inputs_stay_exact():
    weight = np.full((400, 8), 63, np.int8)
    weight[:, 4:] = -63
    layer = Layer(weight, np.zeros(8, np.int32), np.full(8, 16, np.int32))
    x = np.full((5, 400), 255, np.uint8)
    assert np.array_equal(layer.raw(x), plain(layer, x, True))


def test_rounding_is_half_to_even():
    layer = Layer(np.ones((1, 1), np.int8), np.zeros(1, np.int32), np.ones(1, np.int32))
    x = np.array([[1], [3], [5], [7]], np.uint8)
    assert layer.run(x)[:, 0].tolist() == [0, 2, 2, 4]


@pytest.mark.parametrize(
    ("change", "problem"),
    [({"weight": 64}, "±63"), ({"bias": 1 << 24}, "2\\^24"), ({"shift": 25}, "shift")],
)
def test_layers_that_could_leave_the_exact_range_are_named(change, problem):
    parts = {
        "weight": np.ones((3, 2), np.int8),
        "bias": np.zeros(2, np.int32),
        "shift": np.zeros(2, np.int32),
    }
    for name, value in change.items():
        parts[name].flat[0] = value
    assert Layer(**parts).problem() is not None
    with pytest.raises(AssertionError, match=problem):
        assert Layer(**parts).problem() is None, Layer(**parts).problem()


def test_windows_are_zero_padded_and_ordered():
    x = np.arange(1, 10, dtype=np.uint8).reshape(1, 3, 3, 1)
    windows = windows3x3(x)
    assert windows[4].tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert windows[0].tolist() == [0, 0, 0, 0, 1, 2, 0, 4, 5]
