"""What happens to a step's samples: written, read, or only measured (spec section 7)."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from saidcodec.colour import HIGH, LOW
from saidcodec.entropy import Decoder, Encoder
from saidcodec.errors import CorruptError
from saidcodec.residual.tables import REACH, SYMBOLS, bank
from saidcodec.residual.wavefront import Place, Wavefront


def grouped(table: np.ndarray) -> tuple[np.ndarray, list[int], list[int]]:
    """Order that brings equal tables together, and the tables in use with their counts."""
    order = table.astype(np.uint16).argsort(kind="stable")
    counts = np.bincount(table)
    used = np.flatnonzero(counts)
    return order, used.tolist(), counts[used].tolist()


class Writer:
    """Adds every step's samples to an entropy encoder; the wavefront holds the samples.

    ``errors`` gives the largest error allowed for each component; samples are coded in steps of
    2 * error + 1 and the wavefront goes on with what the decoder will see.
    """

    def __init__(self, wavefront: Wavefront, encoder: Encoder, errors: tuple[int, ...]):
        self.wavefront, self.encoder, self.errors = wavefront, encoder, errors
        self.tables = bank().tables

    def code(self, place: Place, table: np.ndarray, centre: np.ndarray, sign: np.ndarray) -> np.ndarray:
        truth = self.wavefront.values(place)
        error = self.errors[place.component]
        distance = (truth - centre + error) // (2 * error + 1)
        symbol = sign * distance + REACH
        active = place.active
        if active is not None:
            symbol, table = symbol[active], table[active]
        order, used, counts = grouped(table)
        self.encoder.add_groups(symbol[order], [self.tables[index] for index in used], counts)
        if not error:
            return truth
        return np.clip(centre + (2 * error + 1) * distance, LOW[place.component], HIGH)


class Reader:
    """Takes every step's samples from an entropy decoder; CorruptError on an impossible one."""

    def __init__(self, wavefront: Wavefront, decoder: Decoder, errors: tuple[int, ...]):
        self.wavefront, self.decoder, self.errors = wavefront, decoder, errors
        self.tables = bank().tables

    def code(self, place: Place, table: np.ndarray, centre: np.ndarray, sign: np.ndarray) -> np.ndarray:
        active = place.active
        order, used, counts = grouped(table if active is None else table[active])
        if not used:
            return centre
        taken = self.decoder.take_groups([self.tables[index] for index in used], counts)
        symbol = np.empty(len(order), np.int32)
        symbol[order] = taken
        if active is not None:
            symbol = spread(symbol, active)
        error = self.errors[place.component]
        sample = centre + sign * (symbol - REACH) * (2 * error + 1)
        if error:
            return np.clip(sample, LOW[place.component], HIGH)
        outside = (sample < LOW[place.component]) | (sample > HIGH)
        if (outside if active is None else outside & active).any():
            raise CorruptError("The residual section decodes to an impossible sample.")
        return sample


def spread(values: np.ndarray, active: np.ndarray) -> np.ndarray:
    """Values of the active samples at their places, REACH elsewhere."""
    whole = np.full(len(active), REACH, np.int32)
    whole[active] = values
    return whole


class Meter:
    """Adds up code lengths by tile, in bits; ``bits`` float64 [tiles].  Writes nothing."""

    def __init__(self, wavefront: Wavefront):
        self.wavefront = wavefront
        self.bits = np.zeros(wavefront.tiles)
        self.lengths = code_lengths()

    def code(self, place: Place, table: np.ndarray, centre: np.ndarray, sign: np.ndarray) -> np.ndarray:
        truth = self.wavefront.values(place)
        bits = self.lengths.take(table * SYMBOLS + sign * (truth - centre) + REACH)
        active = place.active
        if active is not None:
            bits = bits * active
        self.bits += bits.reshape(-1, self.wavefront.tiles).sum(0)
        return truth


@lru_cache(maxsize=1)
def code_lengths() -> np.ndarray:
    """Bits of every symbol of every table of the bank, flat float32."""
    return np.concatenate([table.bits for table in bank().tables]).astype(np.float32)
