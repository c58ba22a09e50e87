"""The frozen bank."""

from pathlib import Path

import numpy as np
import pytest

from saidcodec.entropy.bank import (
    BANK,
    MEAN_STEPS,
    REACH,
    SCALES,
    SYMBOLS,
    TAILS,
    bank,
    fractions,
    read_arrays,
)
from saidcodec.entropy.rans import TOTAL


def test_every_table_is_valid() -> None:
    for table in (*bank().tables, *bank().gaussian):
        assert len(table) == SYMBOLS
        assert table.frequency.min() >= 1
        assert table.frequency.sum() == TOTAL


def test_flat_regions_cost_almost_nothing() -> None:
    assert bank().first(0, 0).bits[REACH] < 0.005


@pytest.mark.parametrize("scale", [18, 21, 22, 25, 26, 30, 43])
@pytest.mark.parametrize("fraction", range(MEAN_STEPS))
def test_a_table_wider_than_a_sample_is_centred_on_its_mean(scale: int, fraction: int) -> None:
    place = fraction + MEAN_STEPS * (1 + TAILS * scale)
    table = bank().tables[bank().table[place]]
    centre = int(bank().carry[place])
    offsets = centre + bank().sign[place] * (np.arange(SYMBOLS) - REACH)
    mean = float((offsets * table.frequency).sum() / TOTAL)
    assert mean == pytest.approx(fraction / MEAN_STEPS, abs=0.5 / fractions(scale) + 0.02)


def test_wider_scales_are_wider() -> None:
    centres = [bank().first(scale, 0).bits[REACH] for scale in range(SCALES)]
    assert (np.diff(centres) > 0).all()


def test_arrays_are_read_as_numpy_reads_them() -> None:
    found = read_arrays(Path(BANK).read_bytes())
    with np.load(BANK) as data:
        assert set(found) == set(data)
        for name, array in data.items():
            assert found[name].tolist() == array.reshape(-1).tolist()


def test_the_cheapest_symbol() -> None:
    tables = bank().tables + bank().gaussian
    assert bank().cheapest == pytest.approx(min(table.bits.min() for table in tables))
