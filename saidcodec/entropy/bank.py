"""The frozen bank of probability tables, and which table codes which sample (spec section 7).

A table gives the distance of a sample from a centre, -510 .. 510, so one bank serves 8-bit and
9-bit components.  The mean comes in sixteenths of a sample value, but a wide mixture needs no
such precision: a scale has ``fractions(scale)`` distinct positions between two integers, and of
those only one half is stored, the other half being its mirror image.  Nor does it need every
weight of the tail: from half a sample on, two tail indices share their tables.
"""

from __future__ import annotations

import math
import os
import struct
import zlib
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from saidcodec.entropy.rans import PRECISION, Table

SCALES = 44  # scale indices 0 .. 43, four to an octave
SCALES_PER_OCTAVE = 4
SMALLEST_SCALE_LOG2 = -3.5  # log2 of the core's width, in sample values, were index 0 on the ladder
TAILS = 4  # tail indices: how much weight lies outside the core
REACH = 510  # the greatest distance of a sample from its centre
SYMBOLS = 2 * REACH + 1
MEAN_STEPS = 16  # steps of the mean in one sample value
MOST_FRACTIONS = 8
SHARED_TAILS = (0.3, 2.2)  # tail of the tables that two tail indices share
ZIP_ENTRY = b"PK\3\4"
Rows = tuple[int, ...]  # a calibration: of each mixture table the number of the one that stands in for it
BANK = os.path.join(os.path.dirname(__file__), "tables.npz")


def fractions(scale: int) -> int:
    """Distinct positions of the mean between two integers at a scale index.

    An eighth of a sample costs a thousandth of a bit where the core is widest for it; more positions would
    cost the coder calls, since symbols of one table are coded together.
    """
    return int(min(max(2.0 ** (2 - octave(scale)), 1), MOST_FRACTIONS))


def tails(scale: int) -> tuple[float, ...]:
    """Tails of the distinct tables at a scale index.

    On photographs, sharing costs 0.03 to 0.1 % of the bits and saves a quarter of the coder's calls.
    """
    return tuple(map(float, range(TAILS))) if octave(scale) < -1 else SHARED_TAILS


def octave(scale: int) -> int:
    """Octave of the core's width: 0 from one sample value on."""
    return math.floor(scale / SCALES_PER_OCTAVE + SMALLEST_SCALE_LOG2)


class Bank(NamedTuple):
    """Tables and the look-ups from (fraction of the mean, scale, tail) to them.

    The look-ups are flat, indexed by ``fraction + 16 * (tail + 4 * scale)``: ``table`` is the bank
    row, ``carry`` what to add to the integer part of the mean to get the centre, ``sign`` whether
    the table is read mirrored (-1) or not (+1).
    """

    tables: tuple[Table, ...]
    gaussian: tuple[Table, ...]
    table: np.ndarray  # int32 [16 * TAILS * SCALES]
    carry: np.ndarray  # int32, the same shape
    sign: np.ndarray  # int32, the same shape
    copies: tuple[Table, ...]  # of a question, whether a pixel is the same as a neighbour
    cheapest: float  # bits of the likeliest symbol of the narrowest table

    def first(self, scale: int, tail: int) -> Table:
        """The table centred on an integer (fraction 0)."""
        return self.tables[self.table[MEAN_STEPS * (tail + TAILS * scale)]]


def positions() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The three look-ups of ``Bank``."""
    table, carry = np.empty((2, SCALES, TAILS, MEAN_STEPS), np.int32)
    tail, fraction = np.arange(TAILS)[:, None], np.arange(MEAN_STEPS)
    start = 0
    for scale in range(SCALES):
        steps, distinct = fractions(scale), len(tails(scale))
        coarse = MEAN_STEPS // steps
        kept = steps // 2 + 1
        place = (fraction + coarse // 2) // coarse  # 0 .. steps, halves upwards
        mirrored = 2 * place > steps
        table[scale] = start + tail * distinct // TAILS * kept + np.where(mirrored, steps - place, place)
        carry[scale] = mirrored
        start += distinct * kept
    return table.reshape(-1), carry.reshape(-1), 1 - 2 * carry.reshape(-1)


def look_up(
    mean: np.ndarray, scale: np.ndarray, tail: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Table, centre and sign, int32 [n] each (spec section 7)."""
    position = (mean & (MEAN_STEPS - 1)) + MEAN_STEPS * (tail + TAILS * scale)
    tables = bank()
    return tables.table[position], (mean >> 4) + tables.carry[position], tables.sign[position]


def in_quanta(mean: np.ndarray, scale: np.ndarray, max_error: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and scale index int [n] → those of quanta, 2 * max_error + 1 sample values each, around the
    integer nearest to the mean (spec section 7.1)."""
    quantum = 2 * max_error + 1
    whole = (mean + MEAN_STEPS // 2) // MEAN_STEPS * MEAN_STEPS
    left = mean - whole
    narrower = (quantum**SCALES_PER_OCTAVE).bit_length() - 1
    return whole + np.sign(left) * (np.abs(left) // quantum), np.maximum(scale - narrower, 0)


@lru_cache(maxsize=1)
def bank() -> Bank:
    """The bank, read from the package on first use."""
    with open(BANK, "rb") as file:
        arrays = read_arrays(file.read())
    mixture, gaussian = (arrays[name].reshape(-1, SYMBOLS) for name in ("mixture", "gaussian"))
    copies = arrays["copy"].reshape(-1, 2)
    likeliest = max(int(mixture.max()), int(gaussian.max()))
    rows, gaussians, questions = (tuple(map(Table, one)) for one in (mixture, gaussian, copies))
    return Bank(rows, gaussians, *positions(), questions, PRECISION - math.log2(likeliest))


def read_arrays(data: bytes) -> dict[str, np.ndarray]:
    """The int32 arrays of a compressed .npz file, flat.

    ``np.load`` imports ``zipfile`` for it, which takes longer than to decode a small image.
    """
    found = {}
    while data.startswith(ZIP_ENTRY):
        name, extra = struct.unpack_from("<HH", data, 26)
        entry = zlib.decompressobj(-zlib.MAX_WBITS)
        array = entry.decompress(data[30 + name + extra :])
        (header,) = struct.unpack_from("<H", array, 8)  # of a .npy file
        title = data[30 : 30 + name].decode().removesuffix(".npy")
        found[title] = np.frombuffer(array, "<i4", -1, 10 + header)
        data = entry.unused_data
    return found
