"""Code lengths as integers."""

import numpy as np

from saidcodec.entropy.bank import SYMBOLS, bank
from saidcodec.residual.engine import LENGTH_BITS
from saidcodec.residual.lengths import lengths


def test_code_lengths_are_those_of_the_tables() -> None:
    rows, copies = np.split(lengths() / (1 << LENGTH_BITS), [len(bank().tables)])
    assert rows[:, :SYMBOLS].min() > 0
    assert rows.max() == 24
    assert np.allclose((2.0 ** -copies[:, :2]).sum(1), 1.0, atol=1e-4)
