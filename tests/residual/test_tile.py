"""Bits of a tile, measured anywhere in any order, are those of its walk."""

import numpy as np
import pytest
from factory import random_model

from saidcodec.residual.coders import Meter
from saidcodec.residual.network import ResidualNetwork
from saidcodec.residual.tile import TileMeter
from saidcodec.residual.walk import walk
from saidcodec.residual.wavefront import Wavefront

SIZES = [(20, 17), (1, 1), (1, 9), (9, 1), (3, 4)]


def walked(planes: np.ndarray, prediction: np.ndarray | None, network: ResidualNetwork, style: int) -> float:
    height, width, components = planes.shape
    front = Wavefront(width, height, np.array([width]), np.array([height]), components)
    front.put(0, 0, planes)
    if prediction is not None:
        front.put(1, 0, prediction)
    meter = Meter(front)
    walk(front, network, meter, np.array([style]), np.array([prediction is not None]))
    return float(meter.bits[0])


@pytest.mark.parametrize("origins", [False, True])
@pytest.mark.parametrize("copies", [False, True])
@pytest.mark.parametrize("components", [1, 3])
@pytest.mark.parametrize("size", SIZES)
def test_one_reconstruction_after_another(
    size: tuple[int, int], components: int, copies: bool, origins: bool
) -> None:
    rng = np.random.default_rng(sum(size))
    network = ResidualNetwork(random_model(3, copies, origins).tensors, None)
    low = np.array([0, -255, -255][:components])
    planes = rng.integers(low, 256, (*size, components)).astype(np.int16)
    style = sum(size) % network.styles
    meter = TileMeter(planes, network, style)
    seen = rng.integers([0, -255, -255], 256, (*size, 3)).astype(np.int16)
    other = seen.copy()
    other[size[0] // 2 :, : size[1] // 2 + 1] += 1
    for prediction in (None, seen, other, seen, None, other):
        expected = walked(planes, prediction, network, style)
        assert meter.bits(prediction) == pytest.approx(expected, rel=1e-5)


def test_only_what_sees_a_difference_is_measured_again() -> None:
    network = ResidualNetwork(random_model(3, True).tensors, None)
    planes = np.zeros((30, 30, 3), np.int16)
    meter = TileMeter(planes, network, 0)
    seen = np.zeros((30, 30, 3), np.int16)
    assert len(meter.contexts.show(seen)) == 900
    changed = seen.copy()
    changed[10, 12] = 1
    places = meter.contexts.show(changed)
    expected = {(10 - dy) * 30 + 12 - dx for dx, dy in network.around}
    assert set(places.tolist()) == expected
