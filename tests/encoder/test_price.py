"""Bits of a tile under one reconstruction after another are those of its samples in the band."""

from dataclasses import replace

import numpy as np
import pytest
from factory import random_model

from saidcodec.encoder.price import Meter, styled, tile_bits
from saidcodec.format.planes import NO_RECONSTRUCTION
from saidcodec.format.tiling import Place
from saidcodec.residual import engine
from saidcodec.residual.band import plane_of
from saidcodec.residual.engine import LENGTH_BITS, Plane
from saidcodec.residual.network import ResidualNetwork

LOW = np.array([0, -255, -255])


def places_of(height: int, width: int) -> list[Place]:
    """Tiles of 9×10."""
    return [
        (slice(y, min(y + 9, height)), slice(x, min(x + 10, width)))
        for y in range(0, height, 9)
        for x in range(0, width, 10)
    ]


def spent(network: ResidualNetwork, known: Plane, place: Place, reconstruction: np.ndarray | None) -> float:
    """Bits of a tile's samples, all of the band measured."""
    whole = np.full((*known.coded.shape, 3), NO_RECONSTRUCTION, np.int16)
    if reconstruction is not None:
        whole[place] = reconstruction
    bits = engine.current().measure(network, replace(known, reconstruction=whole)).reshape(known.coded.shape)
    return float(bits[place].sum(dtype=np.int64)) / (1 << LENGTH_BITS)


@pytest.mark.parametrize("origins", [False, True])
@pytest.mark.parametrize("copies", [False, True])
@pytest.mark.parametrize("components", [1, 3])
@pytest.mark.parametrize("size", [(20, 17), (1, 1), (1, 19), (19, 1), (3, 4)])
def test_one_reconstruction_after_another(
    size: tuple[int, int], components: int, copies: bool, origins: bool
) -> None:
    rng = np.random.default_rng(sum(size))
    network = ResidualNetwork(random_model(3, copies, origins).tensors)
    colour = rng.integers(LOW[:components], 256, (*size, components)).astype(np.int16)
    places = places_of(*size)
    known = styled(network, plane_of(colour), places)
    for place in places:
        meter = Meter(network, known, place)
        first = rng.integers(LOW, 256, (*colour[place].shape[:2], 3)).astype(np.int16)
        other = first.copy()
        other[len(first) // 2 :, : first.shape[1] // 2 + 1] += 1
        for reconstruction in (None, first, other, first, None, other):
            assert meter.bits(reconstruction) == spent(network, known, place, reconstruction)


def test_only_what_sees_a_difference_is_measured_again() -> None:
    network = ResidualNetwork(random_model(3, True).tensors)
    known = styled(network, plane_of(np.zeros((18, 20, 3), np.int16)), places_of(18, 20))
    place = (slice(9, 18), slice(0, 10))
    meter = Meter(network, known, place)
    reconstruction = np.zeros((9, 10, 3), np.int16)
    assert meter.show(reconstruction).all()
    changed = reconstruction.copy()
    changed[5, 6] = 1
    rows, columns = np.nonzero(meter.show(changed))
    expected = {(5 - dy, 6 - dx) for dx, dy in {(0, 0), *network.around}}
    assert set(zip(rows.tolist(), columns.tolist(), strict=True)) == expected
    corner = reconstruction.copy()
    meter.show(corner)
    corner[8, 9] = 1  # below is nothing, to the right another tile, which is not the meter's
    rows, columns = np.nonzero(meter.show(corner))
    expected = {(min(8 - dy, 8), 9 - dx) for dx, dy in network.around} | {(8, 9)}
    assert set(zip(rows.tolist(), columns.tolist(), strict=True)) == expected


def test_bits_below_a_limit() -> None:
    rng = np.random.default_rng(2)
    network = ResidualNetwork(random_model(3).tensors)
    colour = rng.integers(LOW, 256, (30, 40, 3)).astype(np.int16)
    place = (slice(0, 30), slice(3, 40))
    known = styled(network, plane_of(colour), [place])
    meter = Meter(network, known, place)
    first, other = (rng.integers(LOW, 256, (30, 37, 3)).astype(np.int16) for _ in range(2))
    before = meter.bits(first)
    for one in (other, None):
        exact = spent(network, known, place, one)
        assert meter.bits_below(one, exact + 1) == pytest.approx(exact)
        assert meter.bits_below(one, exact) is None
        assert meter.bits_below(one, exact / 9) is None
    assert meter.bits(first) == before


def test_bits_of_tiles_are_those_of_their_samples() -> None:
    rng = np.random.default_rng(1)
    network = ResidualNetwork(random_model(3).tensors)
    colour = rng.integers(LOW, 256, (18, 20, 3)).astype(np.int16)
    places = places_of(18, 20)
    known = styled(network, plane_of(colour), places)
    expected = [spent(network, known, place, None) for place in places]
    assert tile_bits(network, plane_of(colour), places).tolist() == expected
    assert tile_bits(network, plane_of(colour), places[1:3]).tolist() == expected[1:3]
