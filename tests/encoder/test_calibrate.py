"""Calibrations stand in where they save bits, and nowhere else."""

from __future__ import annotations

import numpy as np
from factory import random_model

from saidcodec.encoder.calibrate import calibration, symbols_of
from saidcodec.encoder.writing import header_of
from saidcodec.format.header import Header
from saidcodec.format.presentation import Presentation
from saidcodec.residual.engine import SYMBOL_BITS
from saidcodec.residual.lengths import lengths

MODEL = random_model()


def sample(count: int, channels: int = 4) -> list[tuple[Header, np.ndarray]]:
    rng = np.random.default_rng(2)
    images = [rng.integers(100, 110, (20, 20, channels)).astype(np.uint8) for _ in range(count)]
    return [
        (header_of(image, Presentation("RGBA"), MODEL, "context", 0, "normal"), image) for image in images
    ]


def test_stand_ins_save_bits() -> None:
    images = sample(6)
    rows = calibration(images, MODEL, 600, 1)
    assert rows
    spent = np.zeros(2)
    for image in images:
        symbols = symbols_of(*image, MODEL)
        table, symbol = symbols >> SYMBOL_BITS, symbols & ((1 << SYMBOL_BITS) - 1)
        stand_in = np.array([*rows, *range(len(rows), len(lengths()))])[table]
        spent += [lengths()[which, symbol].sum(dtype=np.int64) for which in (table, stand_in)]
    assert spent[1] < 0.97 * spent[0]


def test_they_must_save_more_than_they_cost() -> None:
    assert calibration(sample(1), MODEL, 1, 1 << 20) is None
