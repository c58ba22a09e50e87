"""What happens to a step's samples: written, read, or only measured (spec section 7)."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from saidcodec.colour import HIGH, LOW
from saidcodec.entropy import Decoder, Encoder, Table
from saidcodec.errors import CorruptError
from saidcodec.residual.tables import REACH, SYMBOLS, bank
from saidcodec.residual.wavefront import Batch, Wavefront


def grouped(table: np.ndarray) -> tuple[np.ndarray, list[int], list[int]]:
    """Order that brings equal numbers together, and the numbers in use with their counts."""
    order = table.astype(np.uint16).argsort(kind="stable")
    counts = np.bincount(table)
    used = np.flatnonzero(counts)
    return order, used.tolist(), counts[used].tolist()


class Writer:
    """Adds every sample to an entropy encoder; the wavefront holds the samples.

    ``errors`` gives the largest error allowed for each component; samples are coded in steps of
    2 * error + 1 and the wavefront goes on with what the decoder will see.
    """

    def __init__(self, wavefront: Wavefront, encoder: Encoder, errors: tuple[int, ...]):
        self.wavefront, self.encoder, self.errors = wavefront, encoder, errors
        self.progressive = any(errors)
        self.tables = bank().tables
        self._waiting: list[list[tuple[np.ndarray, list[Table], list[int]]]] = []

    def code(self, batch: Batch, table: np.ndarray, centre: np.ndarray, sign: np.ndarray) -> np.ndarray:
        truth = self.wavefront.values(batch)
        error = self.errors[batch.component]
        if error:
            distance = (truth - centre + error) // (2 * error + 1)
            sample = np.clip(centre + (2 * error + 1) * distance, LOW[batch.component], HIGH)
        else:
            distance, sample = truth - centre, truth
        self._add(batch, sign * distance + REACH, table)
        return sample

    def _add(self, batch: Batch, symbol: np.ndarray, table: np.ndarray) -> None:
        """Sort each step's symbols by table; a step's components follow each other in the stream."""
        if not batch.component:
            self._waiting = [[] for _ in batch.spans]
        for parts, span in zip(self._waiting, batch.spans):
            own, tables = symbol[span.start : span.stop], table[span.start : span.stop]
            if batch.active is not None:
                active = batch.active[span.start : span.stop]
                own, tables = own[active], tables[active]
            order, used, counts = grouped(tables)
            parts.append((own[order], [self.tables[index] for index in used], counts))
        if batch.component == self.wavefront.components - 1:
            for parts in self._waiting:
                for part in parts:
                    self.encoder.add_groups(*part)


class Reader:
    """Takes every step's samples from an entropy decoder; CorruptError on an impossible one."""

    def __init__(self, wavefront: Wavefront, decoder: Decoder, errors: tuple[int, ...]):
        self.wavefront, self.decoder, self.errors = wavefront, decoder, errors
        self.progressive = True
        self.tables = bank().tables

    def code(self, batch: Batch, table: np.ndarray, centre: np.ndarray, sign: np.ndarray) -> np.ndarray:
        active = batch.active
        order, used, counts = grouped(table if active is None else table[active])
        if not used:
            return centre
        taken = self.decoder.take_groups([self.tables[index] for index in used], counts)
        symbol = np.empty(len(order), np.int32)
        symbol[order] = taken
        if active is not None:
            symbol = spread(symbol, active)
        error = self.errors[batch.component]
        sample = centre + sign * (symbol - REACH) * (2 * error + 1)
        if error:
            return np.clip(sample, LOW[batch.component], HIGH)
        outside = (sample < LOW[batch.component]) | (sample > HIGH)
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

    progressive = False

    def __init__(self, wavefront: Wavefront):
        self.wavefront = wavefront
        self.bits = np.zeros(wavefront.tiles)
        self.lengths = code_lengths()

    def code(self, batch: Batch, table: np.ndarray, centre: np.ndarray, sign: np.ndarray) -> np.ndarray:
        truth = self.wavefront.values(batch)
        bits = self.lengths.take(table * SYMBOLS + sign * (truth - centre) + REACH)
        if batch.active is not None:
            bits = bits * batch.active
        self.bits += bits.reshape(-1, self.wavefront.tiles).sum(0)
        return truth


@lru_cache(maxsize=1)
def code_lengths() -> np.ndarray:
    """Bits of every symbol of every table of the bank, flat float32."""
    return np.concatenate([table.bits for table in bank().tables]).astype(np.float32)
